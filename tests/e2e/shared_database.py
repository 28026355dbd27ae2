"""A database on PostgreSQL that several may share, and that can be taken away."""

from __future__ import annotations

from typing import Protocol


class PostgresqlServer(Protocol):
    """What is used here of the server that the tests start."""

    def create_migrated(self) -> str: ...
    def url_of(self, name: str) -> str: ...
    def execute(self, *statements: str) -> None: ...
    def drop(self, name: str) -> None: ...


class SharedDatabase:
    """A database on PostgreSQL that can be taken away and given back."""

    def __init__(self, server: PostgresqlServer) -> None:
        self._server = server
        self._name = server.create_migrated()
        self.url = server.url_of(self._name)

    def take_away(self) -> None:
        sessions = f"pg_stat_activity WHERE datname = '{self._name}'"  # a name of our own
        self._server.execute(
            f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS false",
            f"SELECT pg_terminate_backend(pid) FROM {sessions}",  # noqa: S608 - see above
        )

    def give_back(self) -> None:
        self._server.execute(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS true")

    def drop(self) -> None:
        self._server.drop(self._name)
