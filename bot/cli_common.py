"""What the commands share: the set-up they read, its database, and errors as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot.cli_exit import fail
from bot.core.errors import DomainError, InvalidInput, StoreUnavailable
from bot.core.ids import parse_id
from bot.logs import cause_without_secrets
from bot.settings import Settings, SettingsError, read_settings
from bot.store import grants, migrate
from bot.store.database import Database
from bot.store.faults import TOLD_BY_THE_DRIVER

BEING_REMOVED = (
    "revoked. The running bot removes the access, or the next one to start; `eks-access grants` "
    "shows it until it is gone."
)


def environment() -> Settings:
    """The environment's settings. Exits 2 where they are not valid."""
    try:
        return read_settings()
    except SettingsError as error:
        fail(str(error))


@contextmanager
def current_database(settings: Settings | None = None) -> Iterator[Database]:
    """The database that is there, in the shape of this version; what goes wrong is explained.

    It is the one that `settings` name, or else the environment's.
    """
    with explained(), existing(settings or environment()) as database:
        migrate.ensure_current(database)
        yield database


@contextmanager
def existing(settings: Settings) -> Iterator[Database]:
    """The database, but no new file: in a wrong directory that would say that nobody has access."""
    with opened(settings) as database:
        file = database.engine.url.database
        if database.is_sqlite and file is not None and not Path(file).exists():
            fail(
                f"There is no database at {Path(file).absolute()}. Set DATABASE_URL as the bot "
                "has it; `eks-access run` or `eks-access db upgrade` makes a new one."
            )
        yield database


def known_grant(database: Database, typed: str) -> str:
    """The id of the grant that is meant. Exits 2 where there is none."""
    try:
        grant_id = parse_id(typed)
    except InvalidInput:
        fail(f"`{typed}` is not a grant id. `eks-access grants` lists what is live.")
    with database.reading() as tx:
        if grants.find(tx, grant_id) is None:
            fail(f"There is no grant {grant_id}. `eks-access grants` lists what is live.")
    return grant_id


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    database = Database(settings.database_url.get_secret_value())
    try:
        yield database
    finally:
        database.close()


@contextmanager
def explained() -> Iterator[None]:
    """Print what went wrong as a sentence, and exit 2."""
    try:
        yield
    except StoreUnavailable as error:
        # Where the sentence names the cause itself, the driver's words add nothing.
        cause = cause_without_secrets(error) if error.code in TOLD_BY_THE_DRIVER else ""
        fail(f"{error.sentence}\n{cause}")
    except DomainError as error:
        fail(error.sentence)
    except SettingsError as error:
        fail(str(error))
