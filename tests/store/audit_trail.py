"""A sealed audit trail to tamper with, as somebody could who owns the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta

from sqlalchemy import text
from store_examples import ANA, NOW

from bot.core.audit_chain import Head, digest_of, link
from bot.core.audit_findings import Anchor, Finding, Kind
from bot.core.model import AuditEvent
from bot.reconcile.audit import AuditSealer
from bot.store import audit, audit_seals
from bot.store.audit_verify import verify
from bot.store.claims import Claims
from bot.store.database import Database

SECOND = timedelta(seconds=1)
REQUESTS = ("01A-000", "01A-001", "01A-002")


def write(database: Database, count: int, *, first: int = 1) -> None:
    """Record events, one a second."""
    events = [
        AuditEvent(
            NOW + number * SECOND,
            ANA,
            f"action.{number}",
            REQUESTS[number % len(REQUESTS)],
            "prod-eu",
            {"number": number, "reason": "Zwölf 🥊", "lag_seconds": 0.25, "rules": ["a"]},
        )
        for number in range(first, first + count)
    ]
    with database.transaction() as tx:
        audit.record(tx, events)


def sealer(database: Database, now: datetime = NOW) -> AuditSealer:
    return AuditSealer(database, Claims(database), clock=lambda: now)


def written_and_sealed(database: Database, count: int) -> None:
    """A trail of so many events, the ids of which are their positions."""
    write(database, count)
    sealer(database, NOW + count * SECOND).seal()


def head_of(database: Database) -> Head:
    with database.reading() as tx:
        return audit_seals.head(tx)


def anchor_of(database: Database) -> Anchor:
    return Anchor(*head_of(database), source="a log")


def tamper(database: Database, *statements: str) -> None:
    """Change the trail as an owner can: without the triggers, without the foreign key."""
    everything = (*_without_guards(database), *statements)
    if database.is_sqlite:
        with closing(sqlite3.connect(str(database.engine.url.database))) as connection:
            for statement in everything:
                connection.execute(statement)
            connection.commit()
        return
    with database.transaction() as tx:
        for statement in everything:
            tx.exec_driver_sql(statement)


def _without_guards(database: Database) -> Sequence[str]:
    if not database.is_sqlite:
        return (
            "ALTER TABLE audit_events DISABLE TRIGGER ALL",
            "ALTER TABLE audit_seals DISABLE TRIGGER ALL",
        )
    with database.reading() as tx:
        names = tx.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars()
        return [f"DROP TRIGGER {name}" for name in names]


def seal_anew(database: Database, first: int, last: int = 10**9) -> None:
    """Give each seal from a position on the digest and hash that its event now asks for."""
    with database.reading() as tx:
        before = audit_seals.before(tx, first - 1, 1)
        rows = audit_seals.chain(tx, after=first - 1, until=last, limit=10**6)
    previous = before[-1].hash if before else "0" * 64
    changes = []
    for row in rows:
        assert row.event is not None
        digest = digest_of(row.event, row.sealed_at)
        previous = link(previous, str(digest))
        changes.append(
            f"UPDATE audit_seals SET digest = '{digest}', hash = '{previous}' "  # noqa: S608
            f"WHERE position = {row.position}"
        )
    tamper(database, *changes)


def found(database: Database, *anchors: Anchor) -> list[Finding]:
    """What verifying tells, besides that the triggers are gone."""
    report = verify(database, anchors)
    assert not report.left_out
    return [one for one in report.findings if one.kind is not Kind.UNGUARDED]
