"""What people asked the bot to do, stored before Slack is acknowledged.

A command or click that changes something is committed here first, then acknowledged, then carried
out: so neither a slow Slack nor a crash loses it, and the acknowledgement waits for neither. An
item is NEW until it was carried out (or refused), ANSWERING until the person was told, then DONE.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Integer, bindparam, func, insert, not_, select, update
from sqlalchemy.exc import IntegrityError

from bot.core.errors import Conflict
from bot.store.due import LONGEST_PAUSE, LONGEST_PUT_OFF
from bot.store.tables import inbox


class Kind(StrEnum):
    """What is asked for."""

    REQUEST = "request"
    APPROVE = "approve"
    DENY = "deny"
    CANCEL = "cancel"
    RETURN = "return"
    EXTEND = "extend"
    ASK = "ask"
    LOCKDOWN = "lockdown"
    BREAK_GLASS = "break_glass"
    REVOKE = "revoke"
    REVIEW = "review"
    DELEGATE = "delegate"
    UNDELEGATE = "undelegate"


GIVING_BACK = frozenset({Kind.RETURN, Kind.CANCEL})
"""What takes access away or a request back; it must always be possible."""

NEVER_LIMITED = GIVING_BACK | {Kind.REVOKE, Kind.LOCKDOWN}
"""What is taken however much somebody has done, and however late it comes to be looked at.

It has workers of its own, so that no flood of requests stands before it.
"""


class ItemState(StrEnum):
    """How far an item is."""

    NEW = "NEW"
    ANSWERING = "ANSWERING"
    DONE = "DONE"


# Built once: to build a statement takes longer than to carry it out, and these are the most used.
_ONE = select(inbox).where(inbox.c.id == bindparam("item"))
_ADD = insert(inbox).returning(inbox.c.id)
_COUNT = select(func.count()).where(
    inbox.c.actor == bindparam("person"), inbox.c.received_at > bindparam("since")
)
_CHANGE = update(inbox).where(inbox.c.id == bindparam("item"))
_CARRIED_OUT = _CHANGE.where(inbox.c.state == ItemState.NEW.value)
_IS_NEVER_LIMITED = inbox.c.kind.in_(sorted(kind.value for kind in NEVER_LIMITED))
_IS_PUT_OFF_ANSWER = (inbox.c.state == ItemState.ANSWERING.value) & (inbox.c.attempts > 0)
_DUE, _DUE_NEVER_LIMITED = (
    select(inbox.c.id)
    .where(
        # Only an answer may be put off for long, at Slack's word. What else seems to be was written
        # while the clock was ahead.
        (inbox.c.due_at <= bindparam("now"))
        | ((inbox.c.due_at > bindparam("put_off")) & not_(_IS_PUT_OFF_ANSWER))
        | (inbox.c.due_at > bindparam("longest")),
        of_kind,
    )
    .order_by(inbox.c.attempts > 0, inbox.c.id)  # what failed before waits for what is new
    .limit(bindparam("most", type_=Integer))
    for of_kind in (not_(_IS_NEVER_LIMITED), _IS_NEVER_LIMITED)
)


@dataclass(frozen=True, slots=True)
class Item:
    """One command or click. `document` is JSON; its shape depends on `kind`.

    `answer` is the Slack message for the person: `{"text": …, "blocks": […]}`.
    """

    id: int
    received_at: datetime
    kind: Kind
    actor: str
    team_id: str | None
    document: Mapping[str, Any]
    response_url: str | None
    state: ItemState
    answer: Mapping[str, Any] | None
    attempts: int


def add(
    tx: Connection,
    kind: Kind,
    *,
    actor: str,
    team_id: str | None,
    document: Mapping[str, Any],
    response_url: str | None,
    now: datetime,
    trigger_id: str | None = None,
) -> int:
    """Store a new item, due at once. Returns its id.

    `trigger_id` is Slack's own for this one command or click: the same payload once more, sent
    again or replayed by somebody, is stored once.
    """
    row = {
        "received_at": now,
        "kind": kind.value,
        "actor": actor,
        "team_id": team_id,
        "document": dict(document),
        "response_url": response_url,
        "trigger_id": trigger_id,
        "state": ItemState.NEW.value,
        "due_at": now,
    }
    try:
        with tx.begin_nested():
            return int(tx.execute(_ADD, row).scalar_one())
    except IntegrityError:
        known = select(inbox.c.id).where(inbox.c.trigger_id == trigger_id)
        return int(tx.scalars(known).one())


def count_since(tx: Connection, actor: str, since: datetime) -> int:
    """How many items a person has put in since then."""
    return int(tx.scalars(_COUNT, {"person": actor, "since": since}).one())


def due(tx: Connection, now: datetime, limit: int, *, never_limited: bool) -> list[int]:
    """Ids of items to work on, new ones first, then by age: of NEVER_LIMITED, or the others."""
    values = {
        "now": now,
        "put_off": now + LONGEST_PAUSE,
        "longest": now + LONGEST_PUT_OFF,
        "most": limit,
    }
    return list(tx.scalars(_DUE_NEVER_LIMITED if never_limited else _DUE, values))


def get(tx: Connection, item_id: int) -> Item:
    """The item."""
    row = tx.execute(_ONE, {"item": item_id}).one()
    return Item(
        id=row.id,
        received_at=row.received_at,
        kind=Kind(row.kind),
        actor=row.actor,
        team_id=row.team_id,
        document=row.document,
        response_url=row.response_url,
        state=ItemState(row.state),
        answer=row.answer,
        attempts=row.attempts,
    )


def carried_out(tx: Connection, item: Item, answer: Mapping[str, Any], now: datetime) -> None:
    """NEW → ANSWERING, in the transaction of what was done. Raises Conflict if already so."""
    state = ItemState.ANSWERING.value
    values = {"state": state, "answer": dict(answer), "attempts": 0, "due_at": now}
    changed = tx.execute(_CARRIED_OUT, values | {"item": item.id})
    if changed.rowcount != 1:
        raise Conflict("already_carried_out", "This was already carried out.")


def answered(tx: Connection, item_id: int) -> None:
    """ANSWERING → DONE."""
    tx.execute(_CHANGE, {"item": item_id, "state": ItemState.DONE.value, "due_at": None})


def later(tx: Connection, item: Item, due_at: datetime) -> None:
    """Work on the item again at `due_at`."""
    tx.execute(_CHANGE, {"item": item.id, "due_at": due_at, "attempts": item.attempts + 1})
