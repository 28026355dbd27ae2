"""Bringing a database to the shape this version needs, and refusing one from a newer version.

The migrations lie in `migrations/` beside the package in a checkout, and inside it once installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

import bot
from bot.core.errors import StoreUnavailable
from bot.store.database import Database, unhurried_statements
from bot.store.tables import metadata

_LOCKED_SECONDS = 60
"""How long a migration waits for another replica's, or for a table."""


def migrations_folder() -> Path:
    """Where the migrations are."""
    package = Path(bot.__file__).parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def upgrade(database: Database) -> tuple[str | None, str]:
    """Apply the migrations that are missing. Returns the revision before and the one after.

    Raises StoreUnavailable where the database is from a newer version, or does not answer.
    """
    with database.transaction() as connection:
        before = _known_revision(connection)
        if before != head():
            # Two replicas may start at once: the second waits here and finds nothing to do.
            with _time_enough(connection):
                if not database.is_sqlite:
                    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7266281)")
                    before = _known_revision(connection)
                command.upgrade(_config(connection), "head")
    return before, head()


def downgrade(database: Database, revision: str) -> None:
    """Take migrations back down to `revision` (`base`: all of them, with all data)."""
    with database.transaction() as connection, _time_enough(connection):
        command.downgrade(_config(connection), revision)


@contextmanager
def _time_enough(connection: Connection) -> Iterator[None]:
    """A migration works on a table for as long as it needs, and does not wait for it for ever.

    Whoever waits for a table that a bot works on keeps all others from it.
    """
    if connection.dialect.name == "sqlite":
        yield
        return
    with unhurried_statements(connection):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCKED_SECONDS}s'")
        yield


def check(database: Database) -> list[str]:
    """What keeps this version from working on the database; empty where nothing does."""
    with database.reading() as connection:
        revision = _known_revision(connection)
        if revision != head():
            shown = revision or "nothing"
            return [
                f"The database is at {shown}, this version needs {head()}. "
                "Run `eks-access db upgrade`."
            ]
        context = MigrationContext.configure(connection)
        return [
            f"The tables differ from this version's: {difference[0]}."
            for difference in compare_metadata(context, metadata)
        ]


def ensure_current(database: Database) -> None:
    """Raise StoreUnavailable with the remedy unless the database is at this version's revision."""
    with database.reading() as connection:
        revision = _known_revision(connection)
    if revision != head():
        raise StoreUnavailable(
            "database_behind",
            f"The database is at {revision or 'nothing'}, this version needs {head()}. "
            "Run `eks-access db upgrade`.",
        )


def head() -> str:
    """The newest revision this version knows."""
    revision = _scripts().get_current_head()
    if revision is None:
        raise RuntimeError("the package holds no migration")
    return revision


def _known_revision(connection: Connection) -> str | None:
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is not None:
        try:
            _scripts().get_revision(revision)
        except CommandError as error:
            raise StoreUnavailable(
                "database_newer",
                f"The database is at revision {revision}, which this version "
                f"({bot.__version__}) does not know: a newer version has upgraded it. "
                "Install that version or a later one; this one touches nothing.",
            ) from error
    return revision


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(migrations_folder()))


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
