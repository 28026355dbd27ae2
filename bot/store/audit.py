"""The audit trail: one row an event, written in the transaction of the transition it records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import Column, Connection, Row, bindparam, insert, select

from bot.core import operators
from bot.core.audit_bounds import bounded
from bot.core.lifecycle import OPERATOR
from bot.core.masking import masked
from bot.core.model import AuditEvent
from bot.store.database import operator_of
from bot.store.tables import audit_events

ASKED = "request.asked"
"""The event that is a question: its actor asked it, `details["question"]` is its text."""

ANSWERED = "request.answered"
"""The event that is the requester's answer; `details["answer"]` is its text."""

# Built once: to build a statement takes longer than to carry it out, and these are the most used.
_ADD = insert(audit_events)
_OF_REQUEST = (
    select(audit_events)
    .where(audit_events.c.request_id == bindparam("request"))
    .order_by(audit_events.c.id)
)


def record(tx: Connection, events: Iterable[AuditEvent]) -> None:
    """Append the events.

    What looks like a secret in them is masked: people type it into reasons, other services put it
    into their errors, and from here nothing can be taken out again. What is more than an event may
    hold is cut, after it was masked: half a secret no longer looks like one.
    What is done from the command line has with it who is at it, as the database was told.
    """
    rows = [
        {
            "at": event.at,
            "actor": _fitting(event.actor, audit_events.c.actor),
            "action": _fitting(event.action, audit_events.c.action),
            "request_id": _fitting(event.request_id, audit_events.c.request_id),
            "cluster": _fitting(event.cluster, audit_events.c.cluster),
            "details": bounded(masked(event.details)),
        }
        for event in (_signed(tx, one) for one in events)
    ]
    if rows:
        tx.execute(_ADD, rows)


def _fitting(name: str | None, column: Column[Any]) -> str | None:
    """The name, cut to what its column holds: SQLite would store it whole, PostgreSQL nothing."""
    most = getattr(column.type, "length", None)
    return name if name is None or most is None or len(name) <= most else f"{name[: most - 1]}…"


def _signed(tx: Connection, event: AuditEvent) -> AuditEvent:
    """The event, with which person it is by where it is by somebody at the command line."""
    who = operator_of(tx)
    if event.actor != OPERATOR or not who:
        return event
    return replace(event, details={operators.KEY: who, **event.details})


def of_request(tx: Connection, request_id: str) -> list[AuditEvent]:
    """Everything that happened to one request, oldest first."""
    return [_event(row) for row in tx.execute(_OF_REQUEST, {"request": request_id})]


def questions(tx: Connection, request_id: str) -> list[AuditEvent]:
    """What was asked about a request and what was answered, oldest first."""
    return [event for event in of_request(tx, request_id) if event.action in {ASKED, ANSWERED}]


def latest(tx: Connection, limit: int) -> list[AuditEvent]:
    """The last `limit` events, newest first."""
    query = select(audit_events).order_by(audit_events.c.id.desc()).limit(limit)
    return [_event(row) for row in tx.execute(query)]


def _event(row: Row[tuple[object, ...]]) -> AuditEvent:
    values = row._mapping  # noqa: SLF001 - SQLAlchemy's public way to name the columns
    return AuditEvent(
        at=values["at"],
        actor=values["actor"],
        action=values["action"],
        request_id=values["request_id"],
        cluster=values["cluster"],
        details=values["details"],
    )
