"""Whether each connection to PostgreSQL keeps one session of its own, as claims need it.

A claim is a session advisory lock. A pooler in transaction mode, such as PgBouncer with
`pool_mode = transaction`, hands each statement to whichever session is free: a lock is taken in one
and given back in another, so nothing is ever claimed again.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from bot.core.errors import StoreUnavailable
from bot.store.database import Database

_TURNS = "AABBABAB"
"""Who asks next. Four times each, for psycopg prepares at the fifth, and in no steady turn, so that
sessions handed out one after the other do not fall to the same connection each time."""


def ensure_own_sessions(database: Database) -> None:
    """Raise StoreUnavailable with the remedy where connections do not keep their sessions.

    Two connections ask which process of the server answers them: each is always answered by one,
    and by another than the other's. Does nothing on SQLite.
    """
    if database.is_sqlite:
        return
    with database.autocommit() as one, database.autocommit() as other:
        connections = {"A": one, "B": other}
        answered = {(turn, _process(connections[turn])) for turn in _TURNS}
    if len(answered) != len(connections) or len({process for _, process in answered}) == 1:
        raise StoreUnavailable(
            "database_pooled",
            "DATABASE_URL points to a pooler that gives each statement to another session, as "
            "PgBouncer does with `pool_mode = transaction`. Claims are locks of a session, so the "
            "bot would give nothing. Set `pool_mode = session` for this database, or connect to "
            "PostgreSQL itself.",
        )


def _process(connection: Connection) -> int:
    return int(connection.scalar(text("SELECT pg_backend_pid()")))
