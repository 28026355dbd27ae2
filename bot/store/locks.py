"""Locks that a transaction holds to its end, so that what it saw stays so.

On SQLite a transaction that writes is alone anyway, so there is nothing to do.
"""

from __future__ import annotations

from sqlalchemy import Connection, Function, func, select

from bot.core.names import principal_key


def one_at_a_time(tx: Connection, person_id: str) -> None:
    """Let no other transaction about this person's requests run at the same time."""
    if tx.dialect.name == "postgresql":
        tx.execute(select(func.pg_advisory_xact_lock(_key(f"person:{person_id}"))))


def one_on_principal(tx: Connection, principal_arn: str) -> None:
    """Let no other transaction begin to use this IAM principal at the same time.

    Taken after the lock on a person, and never before a row of somebody else.
    """
    if tx.dialect.name == "postgresql":
        name = "/".join(principal_key(principal_arn))
        tx.execute(select(func.pg_advisory_xact_lock(_key(f"principal:{name}"))))


def while_granting(tx: Connection) -> None:
    """Let no lockdown begin before this transaction, which grants something, is over."""
    if tx.dialect.name == "postgresql":
        tx.execute(select(func.pg_advisory_xact_lock_shared(_key("granting"))))


def until_nobody_grants(tx: Connection) -> None:
    """Wait for the transactions that grant something, and let none begin before this is over."""
    if tx.dialect.name == "postgresql":
        tx.execute(select(func.pg_advisory_xact_lock(_key("granting"))))


def _key(name: str) -> Function[int]:
    return func.hashtextextended(name, 0)
