"""Three replicas on PostgreSQL for half an hour, with failovers, silence and throttling.

    python -m tests.soak [--minutes 30] [--seed 0] [--folder FOLDER]

It stops by itself, prints what happened and what was wrong, and exits with 1 where anything was.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bot.sandbox.stage import LAB_ACCOUNT, Stage
from tests.postgresql_server import running_postgresql
from tests.soak import events, judge
from tests.soak.bots import BotProcess, environment
from tests.soak.figures import figures
from tests.soak.load import CLUSTER, POLICY, Load
from tests.soak.relay import HOST, Relay, over_tcp
from tests.soak.servers import Standby, socket_of, standby_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.sandbox.eks_faults import Call
    from tests.postgresql_server import PostgresqlServer

REPLICAS = 3
_READY_SECONDS = 120
_LAST_END_SECONDS = 150
_SETTLE_SECONDS = 120


def main() -> int:
    """Run a soak. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=None, help="where the bots' logs go")
    parser.add_argument("--only", action="append", help="only events whose name has this word")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    plan = [
        one for one in events.PLAN if not options.only or any(w in one.name for w in options.only)
    ]
    chance = random.Random(options.seed)  # noqa: S311 - for chance, not for secrets
    with _scene(folder, chance) as scene:
        return scene.run(plan, options.minutes * 60)


class Scene:
    """All that takes part: relays, stand-ins, replicas and people."""

    def __init__(
        self, stage: Stage, server: PostgresqlServer, name: str, standby: Standby, store: Relay
    ) -> None:
        self.stage, self.standby, self.store = stage, standby, store
        self.primary = socket_of(server)
        self.url = server.url_of(name)
        self.calls: list[Call] = []
        self.began = time.time()

    def furnish(self, slack: Relay, folder: Path, chance: random.Random) -> None:
        """Set up what the bots meet, and the bots."""
        self.slack, self.chance = slack, chance
        self.load = Load(self.stage.slack, chance)
        self.load.furnish()
        self.stage.eks.create_cluster(CLUSTER, "eu-west-1", LAB_ACCOUNT)
        self.stage.eks.subscribe(self.calls.append)
        # What Slack's stand-in names as its own address is the relay's, so that all goes through.
        self.stage.slack.url = f"http://{HOST}:{slack.port}"
        values = {
            **self.stage.eks.environment(LAB_ACCOUNT),
            "SLACK_BOT_TOKEN": self.stage.slack.bot_token,
            "SLACK_APP_TOKEN": self.stage.slack.app_token,
            "SLACK_API_URL": self.stage.slack.api_url,
            "DATABASE_URL": self.stage.database_url,
            "EKS_ACCESS_CONFIG": str(self.stage.policy_file),
        }
        self.bots = [
            BotProcess(environment(values), folder / f"bot{number}.log")
            for number in range(REPLICAS)
        ]

    def run(self, plan: Sequence[events.Event], seconds: float) -> int:
        """Play the plan and judge. Returns the exit code."""
        for bot in self.bots:
            bot.start()
        try:
            for bot in self.bots:
                bot.wait_ready(_READY_SECONDS)
            self.say(f"{len(self.bots)} replicas are ready")
            self.load.start()
            struck = events.play(plan, seconds, self._make, self.say)
            self.load.stop()
            self.say("nobody asks any more; what was given comes to its end")
            self._settle()
        finally:
            codes = [bot.stop() for bot in self.bots]
        return self._report(struck, codes)

    def _make(self, event: events.Event) -> object:
        if event.store_away:
            return events.failover(self.store, self.primary, self.standby.connect)
        if event is events.SILENT:
            return events.silent_connections(self.bots)
        if event is events.MUTE_SLACK:
            return events.mute(self.slack)
        return events.throttling(self.stage.eks.faults, self.chance)

    def _settle(self) -> None:
        """Wait until all has come to its end, for as long as it may take."""
        deadline = time.time() + _LAST_END_SECONDS + _SETTLE_SECONDS
        while time.time() < deadline and (lost := self._lost()):
            self.say(f"still {len(lost)}, such as {lost[0]}")
            time.sleep(10)

    def _lost(self) -> list[str]:
        left = [
            one.principal_arn for one in self.stage.eks.entries(CLUSTER, "eu-west-1", LAB_ACCOUNT)
        ]
        return judge.lost(self.url, self.load, left)

    def _report(self, struck: Sequence[events.Struck], codes: Sequence[int | None]) -> int:
        now = time.time()
        found = judge.removals(self.url, self.calls)
        wrong = [
            *judge.late(found, struck, now),
            *self._lost(),
            *judge.untold(self.url, self.stage.slack, found, struck),
            *judge.health(self.bots, struck, now),
            *(f"bot {number} ended with {code}" for number, code in enumerate(codes) if code != 0),
        ]
        lines = [*figures(self.load, self.bots, found, struck, now)]
        lines += [f"WRONG: {one}" for one in wrong]
        sys.stdout.write("\n".join([*lines, f"{len(wrong)} things were wrong.", ""]))
        return 1 if wrong else 0

    def say(self, what: str) -> None:
        """Print it, with the time since the beginning."""
        sys.stdout.write(f"{time.time() - self.began:7.1f} s  {what}\n")
        sys.stdout.flush()


@contextmanager
def _scene(folder: Path, chance: random.Random) -> Iterator[Scene]:
    with ExitStack() as stack:
        server = stack.enter_context(running_postgresql())
        name = server.create_migrated()
        standby = stack.enter_context(standby_of(server))
        store = stack.enter_context(Relay(socket_of(server)))
        url = f"postgresql://postgres@{HOST}:{store.port}/{name}"
        stage = stack.enter_context(Stage(policy=POLICY, database_url=url))
        scene = Scene(stage, server, name, standby, store)
        slack = stack.enter_context(Relay(over_tcp(stage.slack.port)))
        scene.furnish(slack, folder, chance)
        yield scene


if __name__ == "__main__":
    sys.exit(main())
