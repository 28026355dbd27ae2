"""Ending grants whose cluster is gone: what the bot put there went with it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from bot.core import lifecycle
from bot.core.model import Grant, GrantState
from bot.store import audit, backstops, drift, entries, grants, requests


def end_with_cluster(
    tx: Connection, grant_ids: Iterable[str], entry_id: int, now: datetime, *, by: str, why: str
) -> tuple[Grant, ...]:
    """End those of the entry's grants as gone with their cluster, whatever state they are in.

    Once no other gives access there, all that is known of the entry is forgotten, and it is looked
    at no more. Returns what has ended; what had ended meanwhile is left out.
    """
    chosen = set(grant_ids)
    requests.lock(tx, chosen)
    ended = []
    for grant in grants.live_of_entry(tx, entry_id):
        if grant.id not in chosen:
            continue
        after, events = lifecycle.end_with_cluster(grant, now, by=by, why=why)
        grants.change(tx, after, expected=grant.state)
        audit.record(tx, events)
        requests.touch(tx, grant.id)
        ended.append(after)
    left = grants.live_of_entry(tx, entry_id)
    if all(one.state is GrantState.SCHEDULED for one in left):
        entries.let_go(tx, entry_id, min(filter(None, map(lifecycle.due_at, left)), default=None))
        drift.note(tx, entry_id, (), {}, now)
        backstops.let_go(tx, entry_id, now)
    return tuple(ended)
