"""Locks that a transaction holds to its end, so that what it counted stays so."""

from __future__ import annotations

from sqlalchemy import Connection, func, select


def one_at_a_time(tx: Connection, person_id: str) -> None:
    """Let no other transaction about this person's requests run at the same time.

    On SQLite a transaction that writes is alone anyway.
    """
    if tx.dialect.name == "postgresql":
        key = func.hashtextextended(f"person:{person_id}", 0)
        tx.execute(select(func.pg_advisory_xact_lock(key)))
