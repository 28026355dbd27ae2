"""The bot itself, as `bot.wiring` builds it, without its threads: the simulation does their work.

A new process knows nothing but the store. What the bot would do in the background waits until the
simulation has it done, so that one seed has one course.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from slack_bolt import BoltRequest, BoltResponse
from slack_sdk import WebClient

from bot.aws.clients import EksClients
from bot.settings import Settings
from bot.store.database import Database
from bot.wiring import Bot, Given
from tests.simulation.stage import Clock

SIGNING_SECRET = "not a secret"
_NO_PAUSE = 1e9  # calls a second: a pace by real time is of no use where time is simulated

_HOMES = "slack-homes"

CHANGING = ("giving back", "revoking", "inbox", "access", "messages", "waiting", "starts")
"""The loops that change a request, its access or what is shown of it."""


class Later(Executor):
    """Keeps what is submitted until `run`, and does it then, in order."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, work: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.append((future, lambda: work(*args, **options)))
        return future

    def run(self) -> None:
        while self._waiting:
            future, work = self._waiting.pop(0)
            future.set_result(work())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Drop what waits: a process that ends does no more."""
        del wait, cancel_futures
        self._waiting.clear()


@cache
def _settings(slack_url: str, policy_file: Path) -> Settings:
    values: dict[str, Any] = {
        "SLACK_BOT_TOKEN": "",
        "SLACK_APP_TOKEN": None,
        "SLACK_SIGNING_SECRET": SIGNING_SECRET,
        "SLACK_API_URL": slack_url,
        "EKS_ACCESS_CONFIG": policy_file,
        "EKS_ACCESS_HTTP_PORT": 0,
    }
    return Settings(**values)


class Process:
    """One running bot. `due` lists a loop's items, `work` does one of them."""

    def __init__(
        self,
        database: Database,
        clients: EksClients,
        *,
        policy_file: Path,
        slack_url: str,
        bot_token: str,
        clock: Clock,
    ) -> None:
        self._later, self._homes = Later(), Later()
        given = Given(
            database=database,
            clients=clients,
            # Without the SDK's own repetition after a pause, so that each failure reaches the bot.
            slack=WebClient(bot_token, base_url=slack_url, timeout=10, retry_handlers=[]),
            in_background=lambda _, name: self._homes if name == _HOMES else self._later,
            drift_calls_per_second=_NO_PAUSE,
            monotonic=clock.monotonic,
        )
        token = {"slack_bot_token": SecretStr(bot_token)}
        settings = _settings(slack_url, policy_file).model_copy(update=token)
        self.bot = Bot(settings, clock=clock, given=given)
        self._loops = {loop.name: loop for loop in self.bot.loops}

    @property
    def loops(self) -> tuple[str, ...]:
        """The names of the bot's loops, those that change something first."""
        return (*CHANGING, *(name for name in self._loops if name not in CHANGING))

    def close(self) -> None:
        """The process is gone, with all that it had not done."""
        self.bot.abandon()

    def due(self, loop: str) -> Sequence[Any]:
        return self._loops[loop].due()

    def work(self, loop: str, item: Any) -> None:
        """Do one item of a loop, and what follows in the background."""
        self._loops[loop].work(item)
        self._later.run()

    def dispatch(self, payload: Mapping[str, Any]) -> BoltResponse:
        """Hand a payload to the listeners, as Socket Mode does."""
        request = BoltRequest(mode="socket_mode", body=dict(payload))
        return self.bot.listeners.app.dispatch(request)

    def hear(self, event: Mapping[str, Any]) -> None:
        """Hand one of Slack's events to the listeners."""
        self.dispatch({"type": "event_callback", "event": event})

    def afterwards(self) -> None:
        """Do what a listener left to be done after its acknowledgement."""
        self._later.run()

    def publish_homes(self) -> None:
        """Publish the Homes that changed, each once, as where several changes come at once."""
        self._homes.run()

    def watch_policy(self) -> None:
        """Look at the policy file, as a job of the bot's does every second."""
        self.bot.policy_watch.look()
