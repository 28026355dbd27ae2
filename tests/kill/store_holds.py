"""Holding a bot in the middle of a transaction, by a trigger that the test puts on a table.

On PostgreSQL the trigger waits for a lock that the test holds, and may do so inside COMMIT, which
then succeeds although nobody is left to hear of it. SQLite has no locks to wait for: there the
trigger counts, for hours, and goes with the process.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

import psycopg

from bot.store.database import Database

KEY = 5_005
LOCKED_FOR_SECONDS = 0.5
"""A writer that keeps SQLite's lock for so long is taken to be the one that is held."""


class PostgresqlHold:
    """`moment` is a trigger's, such as `UPDATE`; `when` looks at NEW and OLD."""

    def __init__(self, database: Database, moment: str, table: str, when: str, *, at_commit: bool):
        url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._table = table
        self._connection = psycopg.connect(url, autocommit=True)
        self._execute(f"SELECT pg_advisory_lock({KEY})")
        self._execute(
            f"CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {when} "
            f"THEN PERFORM pg_advisory_xact_lock({KEY}); END IF; RETURN NEW; END $$"
        )
        kind, how = "TRIGGER", f"BEFORE {moment} ON {table}"
        if at_commit:
            kind = "CONSTRAINT TRIGGER"
            how = f"AFTER {moment} ON {table} DEFERRABLE INITIALLY DEFERRED"
        self._execute(f"CREATE {kind} held {how} FOR EACH ROW EXECUTE FUNCTION held()")

    def reached(self) -> bool:
        waiting = f"SELECT 1 FROM pg_locks WHERE objid = {KEY} AND NOT granted"  # noqa: S608 - ours
        return self._connection.execute(waiting).fetchone() is not None

    def lift(self) -> None:
        """Let go of what is held, and take the trigger away."""
        self._execute(f"SELECT pg_advisory_unlock({KEY})")
        self._execute(f"DROP TRIGGER held ON {self._table}")
        self._execute("DROP FUNCTION held")
        self._connection.close()

    def _execute(self, statement: str) -> None:
        self._connection.execute(statement)  # type: ignore[call-overload]


class SqliteHold:
    """As above. There is nothing to hold inside COMMIT, which is one write."""

    def __init__(self, database: Database, moment: str, table: str, when: str) -> None:
        self._file = str(database.engine.url.database)
        self._execute(
            "CREATE VIEW hours AS WITH RECURSIVE n(x) AS "
            "(SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1e12) SELECT count(*) AS x FROM n",
            f"CREATE TRIGGER held BEFORE {moment} ON {table} WHEN {when} "  # noqa: S608 - ours
            "BEGIN SELECT x FROM hours; END",
        )

    def reached(self) -> bool:
        try:
            self._execute("BEGIN IMMEDIATE", "ROLLBACK", patience=LOCKED_FOR_SECONDS)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname == "SQLITE_BUSY":
                return True
            raise
        return False

    def lift(self) -> None:
        """Take the trigger away; whoever was held is dead."""
        self._execute("DROP TRIGGER held", "DROP VIEW hours")

    def _execute(self, *statements: str, patience: float = 5) -> None:
        opened = sqlite3.connect(self._file, timeout=patience, isolation_level=None)
        with closing(opened) as connection:
            for statement in statements:
                connection.execute(statement)


def hold(
    database: Database, moment: str, table: str, when: str, *, at_commit: bool = False
) -> PostgresqlHold | SqliteHold:
    """Hold whoever does this next."""
    if database.is_sqlite:
        assert not at_commit
        return SqliteHold(database, moment, table, when)
    return PostgresqlHold(database, moment, table, when, at_commit=at_commit)
