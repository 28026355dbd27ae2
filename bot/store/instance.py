"""One process at a time on a SQLite file.

Claims on SQLite are in memory, so two bots on one file would do the same work twice. PostgreSQL
is what several replicas share.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot.core.errors import StoreUnavailable
from bot.store.database import Database


@contextmanager
def only_instance(database: Database) -> Iterator[None]:
    """Hold the SQLite file for this process; the lock goes with the process, however it ends.

    Raises StoreUnavailable where another process holds it. Does nothing on PostgreSQL.
    """
    file = database.engine.url.database
    if not database.is_sqlite or not file:
        yield
        return
    with Path(f"{file}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreUnavailable(
                "database_in_use",
                f"Another eks-access runs on {file}. A SQLite file serves one process; stop the "
                "other, or let several replicas share a PostgreSQL.",
            ) from error
        yield
