"""What the commands share: the set-up they read, its database, and errors as sentences."""

from __future__ import annotations

import os
import pwd
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bot.cli_exit import fail
from bot.core import operators
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

AsName = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="NAME",
        help="Who you are, where several people share this account; for the audit trail.",
    ),
]


def asked_why(reason: str) -> str:
    """The reason, asked for on a terminal. Nobody is kept from ending access by having none."""
    if not reason.strip() and sys.stdin.isatty() and sys.stderr.isatty():
        reason = typer.prompt("Why", default="", show_default=False, err=True)
    if not reason.strip():
        typer.echo(
            "No reason was given, and the audit trail has none. `--reason TEXT` gives one.",
            err=True,
        )
    return reason.strip()


def operator(as_name: str | None) -> dict[str, str]:
    """Who runs this command, as far as that is known. Exits 2 where `--as` is no name.

    The account is the process's own and no variable's, which anybody can set. Only SUDO_USER is
    believed, and only as what sudo says of itself.
    """
    found = {"user": f"uid {os.getuid()}"}
    with suppress(KeyError, OSError):  # a container's user often has no name
        found["user"] = pwd.getpwuid(os.getuid()).pw_name
    if os.environ.get("SUDO_USER"):
        found["sudo_user"] = os.environ["SUDO_USER"]
    with suppress(OSError):
        found["host"] = socket.gethostname()
    if as_name is not None:
        found["name"] = " ".join(as_name.split())
        if not found["name"] or len(found["name"]) > operators.MOST_NAME_CHARACTERS:
            fail(
                f"--as takes a name of 1 to {operators.MOST_NAME_CHARACTERS} characters. "
                "Nothing was changed."
            )
    return {key: _printable(value) for key, value in found.items() if value}


def _printable(text: str) -> str:
    """One line of characters that every database and terminal takes."""
    kept = "".join(letter if letter.isprintable() else "?" for letter in text)
    return kept.encode("utf-8", "replace").decode()[: operators.MOST_NAME_CHARACTERS]


def read_time(text: str) -> datetime:
    """The moment that was typed, in UTC. Exits 2 where it is none."""
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        fail(
            f"`{text}` is no time. Write it as 2026-11-26T14:30:00+01:00, or as "
            "`2026-11-26 14:30`, which is read as UTC."
        )
    if time.tzinfo is None:
        typer.echo(f"{text} has no time zone and is read as UTC.", err=True)
        return time.replace(tzinfo=UTC)
    return time.astimezone(UTC)


def environment() -> Settings:
    """The environment's settings. Exits 2 where they are not valid."""
    try:
        return read_settings()
    except SettingsError as error:
        fail(str(error))


@contextmanager
def current_database(
    settings: Settings | None = None, *, as_name: str | None = None
) -> Iterator[Database]:
    """The database that is there, in the shape of this version; what goes wrong is explained.

    It is the one that `settings` name, or else the environment's. The audit trail says who runs
    the command, which is `as_name` where that was given.
    """
    with explained(), existing(settings or environment(), as_name) as database:
        migrate.ensure_current(database)
        yield database


@contextmanager
def existing(settings: Settings, as_name: str | None = None) -> Iterator[Database]:
    """The database, but no new file: in a wrong directory that would say that nobody has access."""
    with opened(settings, as_name) as database:
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
def opened(settings: Settings, as_name: str | None = None) -> Iterator[Database]:
    url = settings.database_url.get_secret_value()
    database = Database(url, operator=operator(as_name))
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
