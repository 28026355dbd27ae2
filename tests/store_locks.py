"""Stores that take no writes, since somebody else holds locks, and a server that is frozen."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg


@contextmanager
def file_locked(url: str) -> Iterator[None]:
    """Another program holds the write lock of the SQLite file, as an operator's shell may."""
    file = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(file, isolation_level=None)) as held:
        held.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def table_locked(url: str) -> Iterator[None]:
    """Somebody maintains the audit trail's table on PostgreSQL."""
    with psycopg.connect(url) as held:
        held.execute("LOCK TABLE audit_events")
        yield


@contextmanager
def takes_no_writes(url: str) -> Iterator[None]:
    """The store can be read and not written: by a lock on the file, or on what is sent to Slack."""
    if url.startswith("sqlite"):
        with file_locked(url):
            yield
        return
    with psycopg.connect(url) as held:
        held.execute("LOCK TABLE messages, announcements IN SHARE MODE")
        yield


@contextmanager
def server_frozen(url: str) -> Iterator[None]:
    """PostgreSQL answers nobody, and its kernel acknowledges all that is sent, as in a pause."""
    with psycopg.connect(url) as session, ExitStack() as stopped:

        def stop(process: int) -> None:
            os.kill(process, signal.SIGSTOP)
            stopped.callback(os.kill, process, signal.SIGCONT)

        folder = session.execute("SHOW data_directory").fetchone()
        stop(int(Path(*(folder or ()), "postmaster.pid").read_text().split()[0]))
        others = (  # now that there will be no more of them
            "SELECT pid FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        for row in session.execute(others).fetchall():
            stop(row[0])
        yield
