"""What lives longer than a life: the stand-ins, the clients, the database that each life gets anew.

One stage serves one process of the runner; lives follow each other on it.
"""

from __future__ import annotations

import gc
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol

import structlog
from slack_sdk.errors import SlackClientError
from starlette.applications import Starlette

from bot.aws.clients import EksClients
from bot.core.errors import StoreUnavailable
from bot.core.model import Cluster
from bot.sandbox import slack_chat, slack_directory, slack_views
from bot.sandbox.eks import EksStandIn
from bot.sandbox.response_urls import ResponseUrls
from bot.sandbox.slack_admin import ManagedWorkspace
from bot.sandbox.slack_api import WebApi
from bot.store import migrate
from bot.store.database import Database
from tests.simulation.boundary import Boundary, Unforeseen, store_boundary
from tests.simulation.scene import ACCOUNT, LAB, REGION, SECOND_ROLE
from tests.simulation.store_troubles import Copies, PostgresqlCopies, SqliteCopies, Troubles
from tests.simulation.transports import AwsTransport, SlackTransport, installed

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SLACK = "https://slack.simulation"
_FORESEEN = (SlackClientError, OSError, StoreUnavailable, Unforeseen)
"""What a log line with an exception may tell of: Slack or the store said no, or nothing at all, or
the simulation raised what nobody expects."""

_TOLD_IN_FULL = "cannot publish a Home"
"""The log line that tells of half an answer of Slack with an exception."""

_GARBAGE = 50_000
_METHODS = slack_chat.METHODS | slack_directory.METHODS | slack_views.METHODS


class Clock:
    """The time, which only the simulation moves. `passed` is told when it did."""

    def __init__(self) -> None:
        self.time = START
        self.seconds = 0.0
        self.passed: Callable[[], None] = lambda: None

    def __call__(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self.seconds

    def move(self, by: timedelta) -> None:
        self.time += by
        self.seconds += max(by.total_seconds(), 0)
        self.passed()


class Postgresql(Protocol):
    """The part of the tests' PostgreSQL server that is used here."""

    def create(self, template: str = "template1") -> str: ...
    def create_migrated(self) -> str: ...
    def execute(self, *statements: str) -> None: ...
    def url_of(self, name: str) -> str: ...
    def drop(self, name: str) -> None: ...


class Stage:
    """`postgresql` starts the server on first use; None: every life is on SQLite.

    `errors` are the bot's own log lines of this life that tell of an exception nobody foresaw.
    """

    def __init__(self, folder: Path, postgresql: Callable[[], Postgresql] | None = None) -> None:
        self.folder = folder
        self.policy_file = folder / "eks-access.yaml"
        self.clock = Clock()
        self.boundary = Boundary()
        self.troubles = Troubles(self.boundary.met)
        self.errors: list[Mapping[str, Any]] = []
        self._postgresql = postgresql
        self.eks = EksStandIn(account=ACCOUNT, clock=self.clock)
        self._told: Callable[[Any], None] = lambda _: None
        self.eks.subscribe(self._tell)
        self.eks.start()  # STS is asked once, over a socket; EKS never is
        with _environment(self.eks.environment()):
            self.clients = EksClients()
            self.aws = AwsTransport(self.eks, self.boundary)
            for role in (None, SECOND_ROLE):
                reached = Cluster(LAB, REGION, ACCOUNT, role)
                self.clients.prove_account(reached)
                self.aws.take_over(self.clients, reached)
        self.slack_transport = SlackTransport(SLACK, Starlette(), self.boundary)
        self._sqlite = folder / "life.db"
        self._template = folder / "migrated.db"
        made = Database(f"sqlite:///{self._template}")
        migrate.upgrade(made)
        made.close()
        self._database = Database(f"sqlite:///{self._sqlite}")

    @contextmanager
    def open(self) -> Iterator[None]:
        """Everything that urllib opens in this block goes to the simulated Slack; logs are kept."""
        logging.disable(logging.CRITICAL)
        before = structlog.get_config()
        structlog.configure(processors=[self._note])
        try:
            with installed(self.slack_transport):
                yield
        finally:
            structlog.configure(**before)
            logging.disable(logging.NOTSET)

    def close(self) -> None:
        self._database.close()
        self.eks.stop()

    def new_slack(self) -> tuple[ManagedWorkspace, ResponseUrls]:
        """An empty workspace, served from now on."""
        slack = ManagedWorkspace(clock=self.clock)
        slack.url = SLACK
        urls = ResponseUrls(slack)
        application = Starlette(routes=[*WebApi(slack, _METHODS).routes(), *urls.routes()])
        self.slack_transport.serve(application)
        return slack, urls

    def listen(self, told: Callable[[Any], None]) -> None:
        """Have `told` called with each call that EKS carried out, in this life alone."""
        self._told = told

    @contextmanager
    def database(self, kind: str) -> Iterator[tuple[Database, str, Copies]]:
        """A fresh, migrated database, its URL and what keeps it, with the boundary around it."""
        if kind == "postgresql" and self._postgresql is not None:
            server = self._postgresql()
            name = server.create_migrated()
            database = Database(server.url_of(name))
            copies = PostgresqlCopies(server, name, database)
            try:
                with store_boundary(database, self.boundary, self.troubles):
                    yield database, server.url_of(name), copies
            finally:
                database.close()
                copies.drop()
                server.drop(name)
            return
        self._database.close()
        for rest in ("", "-wal", "-shm"):
            Path(f"{self._sqlite}{rest}").unlink(missing_ok=True)
        shutil.copyfile(self._template, self._sqlite)
        copies = SqliteCopies(self._sqlite, self._database)
        with store_boundary(self._database, self.boundary, self.troubles):
            yield self._database, f"sqlite:///{self._sqlite}", copies

    def reset(self) -> None:
        self.clock.time, self.clock.passed = START, lambda: None
        self.errors.clear()
        self.boundary.revive()
        self.boundary.disarm()
        self.boundary.met.clear()
        self.troubles.end()
        self.aws.reset()
        self.slack_transport.odd.clear()
        self.slack_transport.refuses = None
        self._told = lambda _: None

    def _tell(self, call: Any) -> None:
        self._told(call)

    def _note(self, _: Any, method: str, event: Any) -> Any:
        error = sys.exception()
        half = isinstance(error, HTTPException) and event["event"] == _TOLD_IN_FULL
        if event.get("exc_info") and not half and not isinstance(error, _FORESEEN):
            self.errors.append(structlog.processors.format_exc_info(None, method, event))
        raise structlog.DropEvent


@contextmanager
def little_garbage() -> Iterator[None]:
    """The garbage collector looks less often in this block, and not at what was there before it.

    moto and botocore are a million objects, which it would walk through several times in each life.
    """
    thresholds = gc.get_threshold()
    gc.set_threshold(_GARBAGE)
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def stage(postgresql: Callable[[], Postgresql] | None = None) -> Iterator[Stage]:
    """A stage in a folder of its own, in memory where there is room for it."""
    memory = Path("/dev/shm")  # noqa: S108 - a fresh folder is made in it
    fast = str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 1 << 28 else None
    with (
        tempfile.TemporaryDirectory(prefix="simulation-", dir=fast) as folder,
        closing(Stage(Path(folder), postgresql)) as made,
    ):
        yield made
