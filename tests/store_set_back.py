"""A database that goes back to an earlier state while programs use it.

That is what a failover to a replica that lags behind does, and a backup restored under them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from tests.postgresql_server import PostgresqlServer

_TRIES = 200


class SetBack:
    """`keep` takes the copy that `go_back` puts in the place of the database, once.

    On PostgreSQL every session ends with either, as in a failover. The copy is of the same server.
    """

    def __init__(self, url: str, server: Callable[[], PostgresqlServer], folder: Path) -> None:
        self._name = str(make_url(url).database)
        self._server = server() if url.startswith("postgresql") else None
        self._copy = folder / "copy.db"

    def keep(self) -> None:
        if self._server is not None:
            self._alone(f"CREATE DATABASE {self._name}_copy TEMPLATE {self._name}")
            return
        self._copy_file(self._name, str(self._copy))

    def go_back(self) -> None:
        if self._server is not None:
            self._alone(
                f"ALTER DATABASE {self._name} RENAME TO {self._name}_lost",
                f"ALTER DATABASE {self._name}_copy RENAME TO {self._name}",
            )
            self._server.drop(f"{self._name}_lost")
            return
        self._copy_file(str(self._copy), self._name)

    def _alone(self, *statements: str) -> None:
        """Carry these out while nobody is connected, whoever tries to be."""
        assert self._server is not None
        sessions = f"pg_stat_activity WHERE datname = '{self._name}'"
        self._server.execute(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS false")
        for _ in range(_TRIES):  # a session that is told to end takes a moment to
            try:
                self._server.execute(
                    f"SELECT pg_terminate_backend(pid, 1000) FROM {sessions}",  # noqa: S608 - a name of our own
                    *statements,
                )
                break
            except psycopg.errors.ObjectInUse:
                continue
        else:
            raise AssertionError("the database is always in use")
        self._server.execute(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS true")

    @staticmethod
    def _copy_file(source: str, target: str) -> None:
        with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
            one.backup(other)
