"""Locks that somebody else holds, so that the store can be read and takes no writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

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
