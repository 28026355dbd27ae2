"""How soon a real bot that was killed is there again, and has made everything right.

`make bench` measures one kind of kill, in the middle of a removal, with the command itself. `make
bench-restart` goes through every point that `make kill` has a name for, on both databases, one
after the other, with bots that are forked: some ten minutes. What is measured begins with their
loops.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from bot.sandbox.stage import LAB_ACCOUNT, Stage, furnish
from bot.store import migrate
from bot.store.database import Database

ROUNDS = 5
_COMMAND = Path(sys.executable).with_name("eks-access")
_ANA = f"arn:aws:iam::{LAB_ACCOUNT}:role/eks-jit/ana"
_ASK = "/eks-access request modern-access-lab view --namespace default --for 1s Measuring"
_PATIENCE_SECONDS = 60

_WITHIN_SECONDS = 5
_KILLING = Path(__file__).parents[1] / "tests" / "kill"


def main() -> None:
    """Go through every point once in each life and on each database, and print a table."""
    sys.path[:0] = [str(_KILLING), str(_KILLING.parents[1])]
    from kill_world import World  # noqa: PLC0415 - the same
    from killing import Restart, kill_at  # noqa: PLC0415 - from where the tests are
    from lives import cases  # noqa: PLC0415 - the same

    from tests.postgresql_server import running_postgresql  # noqa: PLC0415 - the same

    seen: dict[str, dict[str, list[Restart]]] = {}
    with running_postgresql() as server:
        for kind in ("sqlite", "postgresql"):
            points = seen[kind] = defaultdict(list)
            url = server.url_of(server.create_migrated()) if kind == "postgresql" else None
            with World(url, forked=True) as world:
                world.start()
                for name, life, point, hold in cases(kind):
                    restart = kill_at(world, life, hold)
                    points[point].append(restart)
                    sys.stderr.write(f"{kind}, {name}, {point}: {restart.right:.2f}\n")
    for kind, points in seen.items():
        _print(kind, points)


def _print(kind: str, points: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    every = [one for restarts in points.values() for one in restarts]
    width = max(map(len, points))
    head = f"{'':{width}}  {'times':>5} {'median':>7} {'max':>7}"
    sys.stdout.write(f"\n{kind}, seconds from the start of the loops until all is right\n{head}\n")
    for point, restarts in (*points.items(), ("all", every)):
        seconds = [right for _, right in restarts]
        figures = f"{statistics.median(seconds):7.2f} {max(seconds):7.2f}"
        sys.stdout.write(f"{point:{width}}  {len(seconds):5} {figures}\n")
    late = sum(right > _WITHIN_SECONDS for _, right in every)
    sys.stdout.write(f"More than {_WITHIN_SECONDS} s: {late} of {len(every)}.\n")


def restarts() -> tuple[list[float], list[float]]:
    """Seconds from the launch of the process to its loops, and from there to confirmed removal."""
    with Stage() as stage:
        furnish(stage)
        with closing(Database(stage.database_url)) as database:
            migrate.upgrade(database)
            rounds = [_round(stage, database) for _ in range(ROUNDS)]
    launching, removing = (list(one) for one in zip(*rounds, strict=True))
    return launching, removing


def _round(stage: Stage, database: Database) -> tuple[float, float]:
    def live(state: str) -> Callable[[], bool]:
        query = f"SELECT 1 FROM grants WHERE state = '{state}'"  # noqa: S608 - from below

        def found() -> bool:
            with database.reading() as tx:
                return tx.exec_driver_sql(query).first() is not None

        return found

    with bot_process(stage):
        stage.slack.wait_connected(timeout=_PATIENCE_SECONDS)
        # The removal does not arrive, so that the grant is still there after its end.
        stage.eks.faults.delay(_PATIENCE_SECONDS, "DeleteAccessEntry", principal=_ANA)
        stage.eks.faults.drop("DeleteAccessEntry", principal=_ANA)
        stage.slack.human("U01ANA").command(_ASK)
        _wait(live("REVOKING"))
        _wait(lambda: any(one.status is None for one in stage.eks.calls_of("DeleteAccessEntry")))
    stage.eks.faults.clear()
    launched = time.perf_counter()
    with bot_process(stage):
        started = time.perf_counter()
        _wait(lambda: not live("REVOKING")())
        removed = time.perf_counter()
    return started - launched, removed - started


@contextmanager
def bot_process(stage: Stage) -> Iterator[None]:
    """The bot as a process of its own, from when its loops run; then it is killed."""
    environment = {
        **os.environ,
        "SLACK_BOT_TOKEN": stage.slack.bot_token,
        "SLACK_APP_TOKEN": stage.slack.app_token,
        "SLACK_API_URL": stage.slack.api_url,
        "DATABASE_URL": stage.database_url,
        "EKS_ACCESS_CONFIG": str(stage.policy_file),
        "EKS_ACCESS_HTTP_PORT": "0",
    }
    process = subprocess.Popen(  # noqa: S603 - our own command
        [_COMMAND, "run"], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        lines = iter(process.stderr or ())
        if not any(json.loads(line)["event"] == "started" for line in lines):
            raise RuntimeError("the bot did not start")
        reader = threading.Thread(target=deque, args=(lines, 0), daemon=True)
        reader.start()  # so that its pipe never fills
        yield
    finally:
        process.kill()
        process.wait()


def _wait(true: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + _PATIENCE_SECONDS
    while not true():
        if time.perf_counter() > deadline:
            raise RuntimeError(f"it did not come to be within {_PATIENCE_SECONDS} s")
        time.sleep(0.002)
