"""Storing what becomes of a grant, the same way in every loop."""

from __future__ import annotations

from sqlalchemy import Connection

from bot.core.model import AuditEvent, Grant
from bot.store import audit, grants, requests


def store_grant(
    tx: Connection, before: Grant, after: Grant, events: tuple[AuditEvent, ...]
) -> Grant:
    """Store a transition with its events. Raises Conflict where the grant moved on meanwhile."""
    # The request's row first, as the use cases lock it: two that lock in other orders would block
    # each other for good.
    requests.touch(tx, after.id)
    grants.change(tx, after, expected=before.state)
    audit.record(tx, events)
    return after
