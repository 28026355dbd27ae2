"""A database restored from an old backup heals: no access comes back, and none is left behind."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
from reading import GENERAL, PATIENCE_SECONDS, given, lab_entry, wait_told, words
from shared_database import PostgresqlServer

from bot.core.model import EndReason, GrantState
from bot.core.planner import DEPLOYMENT_TAG
from bot.sandbox.humans import Human
from bot.sandbox.stage import LAB_ACCOUNT, Stage, sandbox_policy
from bot.store import grants

LAB = "modern-access-lab"
SECURITY = "C0SECURITY"
FOREIGN = f"arn:aws:iam::{LAB_ACCOUNT}:role/platform-admins"
ANOTHER = f"arn:aws:iam::{LAB_ACCOUNT}:role/another-bots"


class Store(Protocol):
    """A database that can be backed up while the bot runs, and restored while it does not."""

    url: str

    def back_up(self) -> None: ...
    def restore(self) -> None: ...


class SqliteStore:
    def __init__(self, folder: Path) -> None:
        self._file, self._backup = folder / "eks-access.db", folder / "backup.db"
        self.url = f"sqlite:///{self._file}"

    def back_up(self) -> None:
        with (
            closing(sqlite3.connect(self._file)) as live,
            closing(sqlite3.connect(self._backup)) as copy,
        ):
            live.backup(copy)

    def restore(self) -> None:
        for ending in ("-wal", "-shm"):
            self._file.with_name(self._file.name + ending).unlink(missing_ok=True)
        shutil.copy(self._backup, self._file)


class PostgresqlStore:
    """The backup is a copy of the database, which PostgreSQL makes where nobody is connected."""

    def __init__(self, server: PostgresqlServer, pause: Callable[[Callable[[], None]], None]):
        self._server = server
        self._pause = pause
        self._name = server.create_migrated()
        self.url = server.url_of(self._name)

    def back_up(self) -> None:
        self._pause(
            lambda: self._server.execute(
                f"CREATE DATABASE {self._name}_backup TEMPLATE {self._name}"
            )
        )

    def restore(self) -> None:
        self._server.drop(self._name)
        self._server.execute(f"ALTER DATABASE {self._name}_backup RENAME TO {self._name}")

    def drop(self) -> None:
        self._server.drop(self._name)


class Restored:
    """The sandbox on a store that can be set back, with two foreign entries on the lab."""

    def __init__(self, stage: Stage, store: Store) -> None:
        self.stage = stage
        self.store = store
        for arn, tags in ((FOREIGN, {}), (ANOTHER, {DEPLOYMENT_TAG: "another"})):
            stage.eks.put_entry(LAB, arn, tags=tags, policies={"AmazonEKSViewPolicy": ["x"]})

    def human(self, name: str) -> Human:
        return self.stage.slack.human(name)

    def types(self, person: Human, command: str) -> None:
        assert person.command(f"/eks-access {command}", GENERAL).acknowledged

    def grant(self, who: str, namespace: str = "default") -> str:
        """Ask for what a rule gives at once, and wait for it. Returns the grant's id."""
        person = self.human(who)
        before = len(person.dm)
        self.types(person, f"request {LAB} view --namespace {namespace} --for 4h Looking")
        told = self.stage.slack.wait(
            lambda: next(
                (one for one in person.dm[before:] if "is active until" in words(one)), None
            ),
            PATIENCE_SECONDS,
        )
        assert told is not None
        assert self.stage.bot is not None
        with self.stage.bot.database.reading() as tx:
            return grants.live(tx, requester=who, cluster=LAB)[-1].id

    def give_back(self, who: str, grant_id: str) -> None:
        self.types(self.human(who), f"return {grant_id}")
        self.wait_ended(grant_id, EndReason.RETURNED)

    def wait_ended(self, grant_id: str, reason: EndReason) -> None:
        """Wait until it has ended so; a message follows, at which it is looked at again."""
        assert self.stage.slack.wait(lambda: self.reason(grant_id) is reason, PATIENCE_SECONDS)

    def reason(self, grant_id: str) -> EndReason | None:
        """Why the grant has ended, as the store has it now; None while it has not."""
        assert self.stage.bot is not None
        with self.stage.bot.database.reading() as tx:
            grant = grants.get(tx, grant_id)
        return grant.end_reason if grant.state is GrantState.ENDED else None

    def set_back(self) -> None:
        """Stop the bot, restore the backup, start the bot some minutes later."""
        self.stage.stop_bot()
        self.store.restore()
        self.stage.advance(timedelta(minutes=5))
        self.stage.start_bot()

    def foreign(self) -> list[dict[str, Any]]:
        return [
            asdict(one)
            for one in self.stage.eks.entries(LAB)
            if one.principal_arn in {FOREIGN, ANOTHER}
        ]

    def security_reads(self, said: str) -> None:
        cleo = self.human("U03CLEO")
        found = self.stage.slack.wait(
            lambda: any(said in words(one) for one in cleo.sees(SECURITY)), PATIENCE_SECONDS
        )
        assert found


@pytest.fixture
def make_restored(
    request: pytest.FixtureRequest, tmp_path: Path, make_stage: Callable[..., Stage]
) -> Iterator[Callable[..., Restored]]:
    made: list[tuple[Stage, PostgresqlStore]] = []

    def make(policy: str = "") -> Restored:
        stage: Stage
        store: Store
        if request.param == "sqlite":
            store = SqliteStore(tmp_path)
        else:

            def pause(work: Callable[[], None]) -> None:
                stage.stop_bot()
                work()
                stage.start_bot()

            store = PostgresqlStore(request.getfixturevalue("postgresql"), pause)
        stage = make_stage(policy=f"{sandbox_policy()}\n{policy}", database_url=store.url)
        if isinstance(store, PostgresqlStore):
            made.append((stage, store))
        restored = Restored(stage, store)
        stage.start_bot()
        return restored

    yield make
    for stage, store in made:
        stage.stop_bot()
        store.drop()


@pytest.mark.parametrize(
    ("make_restored", "policy"),
    [("sqlite", ""), ("postgresql", "drift: {repair: true}\n")],
    ids=["sqlite, ending", "postgresql, repairing"],
    indirect=["make_restored"],
)
def test_what_ended_since_the_backup_stays_ended_and_what_was_made_since_goes(
    make_restored: Callable[..., Restored], policy: str
) -> None:
    restored = make_restored(policy)
    stage = restored.stage
    before = restored.foreign()
    kept = restored.grant("U02BEN")
    ended = restored.grant("U01ANA")
    stage.advance(timedelta(minutes=1))

    restored.store.back_up()
    restored.give_back("U01ANA", ended)
    restored.grant("U03CLEO")
    assert lab_entry(stage) is None
    assert lab_entry(stage, "cleo") is not None

    restored.set_back()
    assert stage.eks.wait_for(lambda: lab_entry(stage, "cleo") is None, PATIENCE_SECONDS)
    restored.wait_ended(ended, EndReason.REMOVED)
    wait_told(stage, restored.human("U01ANA"), "somebody else took it away at EKS")
    stage.advance(timedelta(minutes=1))  # what was found after the first message waits for it
    restored.security_reads("role/eks-jit/cleo")
    restored.security_reads(f"The access has ended: {ended}")

    assert lab_entry(stage) is None
    assert given(lab_entry(stage, "ben")) == {"AmazonEKSViewPolicy": ("default",)}
    assert restored.reason(kept) is None
    assert restored.foreign() == before
    stage.advance(timedelta(hours=4))
    assert stage.eks.wait_for(lambda: lab_entry(stage, "ben") is None, PATIENCE_SECONDS)
    assert restored.foreign() == before


@pytest.mark.parametrize("make_restored", ["sqlite", "postgresql"], indirect=True)
def test_asking_again_after_a_restore_gives_only_what_is_asked_for_now(
    make_restored: Callable[..., Restored],
) -> None:
    restored = make_restored()
    stage = restored.stage
    ended = restored.grant("U01ANA", "default")
    stage.advance(timedelta(minutes=1))
    restored.store.back_up()
    restored.give_back("U01ANA", ended)
    again = restored.grant("U01ANA", "dev-web")

    restored.set_back()
    restored.wait_ended(ended, EndReason.REMOVED)
    assert stage.eks.wait_for(lambda: lab_entry(stage) is None, PATIENCE_SECONDS)
    new = restored.grant("U01ANA", "dev-api")
    assert given(lab_entry(stage)) == {"AmazonEKSViewPolicy": ("dev-api",)}
    assert again != new
