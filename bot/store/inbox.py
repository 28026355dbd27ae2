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

from sqlalchemy import Connection, Integer, Select, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from bot.core.errors import Conflict
from bot.store.due import clock_values, put_off_at, put_off_wrongly
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
    ANSWER = "answer"
    LOCKDOWN = "lockdown"
    SUSPEND = "suspend"
    UNSUSPEND = "unsuspend"
    BREAK_GLASS = "break_glass"
    REVOKE = "revoke"
    REVIEW = "review"
    DELEGATE = "delegate"
    UNDELEGATE = "undelegate"


GIVING_BACK = frozenset({Kind.RETURN, Kind.CANCEL})
"""What takes access away or a request back; it must always be possible."""

REVOKING = frozenset({Kind.REVOKE, Kind.LOCKDOWN, Kind.SUSPEND})
"""What takes the access of others away. Whether somebody may, Slack is asked."""

NEVER_LIMITED = GIVING_BACK | REVOKING
"""What is taken however much somebody has done, and however late it comes to be looked at.

Of each person one of a kind and subject waits at a time.
"""

ORDINARY = frozenset(Kind) - NEVER_LIMITED

_LOCKDOWN_OFF = "off"

_QUEUES = (GIVING_BACK, REVOKING, ORDINARY)
"""Each has workers of its own, so that none waits for what another asks of Slack."""


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
_TAKEN_IN = select(func.count()).where(inbox.c.received_at > bindparam("since"))
_CHANGE = update(inbox).where(inbox.c.id == bindparam("item"))
_CARRIED_OUT = _CHANGE.where(inbox.c.state == ItemState.NEW.value)
_SUBJECT_LENGTH = 32
_TRIED = inbox.c.attempts > 0


def _due(kinds: frozenset[Kind]) -> Select[tuple[int]]:
    """Items by turns of the people: the first of each, then the second of each, and so on."""
    turn = func.row_number().over(partition_by=(inbox.c.actor, _TRIED), order_by=inbox.c.id)
    items = (
        select(inbox.c.id, _TRIED.label("tried"), turn.label("turn"))
        .where(
            (inbox.c.due_at <= bindparam("now"))
            | put_off_wrongly(inbox.c.due_at, inbox.c.put_off_at),
            inbox.c.kind.in_(sorted(kind.value for kind in kinds)),
        )
        .subquery()
    )
    # What failed before waits for what is new.
    order = (items.c.tried, items.c.turn, items.c.id)
    return select(items.c.id).order_by(*order).limit(bindparam("most", type_=Integer))


_DUE = {kinds: _due(kinds) for kinds in _QUEUES}


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
    again or replayed by somebody, is stored once. Raises Conflict where the same person's same
    command waits already, of those of NEVER_LIMITED.
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
        "subject": subject(kind, document),
    }
    try:
        with tx.begin_nested():
            return int(tx.execute(_ADD, row).scalar_one())
    except IntegrityError:
        same = select(inbox.c.id).where(inbox.c.trigger_id == trigger_id)
        known = tx.scalars(same).one_or_none() if trigger_id is not None else None
        if known is None:
            raise Conflict(
                "on_its_way",
                "You asked for this a moment ago and it is on its way already. The answer follows.",
            ) from None
        return int(known)


def subject(kind: Kind, document: Mapping[str, Any]) -> str | None:
    """What one waiting item is enough of: a request, a person, a lockdown's turn."""
    if kind is Kind.LOCKDOWN:
        turn = "on" if document.get("on") else _LOCKDOWN_OFF
        return f"{turn}, revoking" if document.get("revoking") else turn
    about = document.get("person" if kind is Kind.SUSPEND else "request_id")
    return str(about)[:_SUBJECT_LENGTH] if kind in NEVER_LIMITED and about else None


def takes_away(kind: Kind, document: Mapping[str, Any]) -> bool:
    """Whether it takes access or a request away, or stops granting: that is right however late.

    The end of a lockdown is not: granting begins again by it.
    """
    return kind in NEVER_LIMITED and (kind is not Kind.LOCKDOWN or bool(document.get("on")))


def count_since(tx: Connection, actor: str, since: datetime) -> int:
    """How many items a person has put in since then."""
    return int(tx.scalars(_COUNT, {"person": actor, "since": since}).one())


def taken_in_since(tx: Connection, moment: datetime) -> int:
    """How many items all replicas together have taken in since then."""
    return int(tx.scalars(_TAKEN_IN, {"since": moment}).one())


def due(tx: Connection, now: datetime, limit: int, kinds: frozenset[Kind]) -> list[int]:
    """Ids of items of GIVING_BACK, REVOKING or ORDINARY to work on, in the order to do so.

    New ones come before those that failed, and people take turns: somebody's second item comes
    after the first of everybody else.
    """
    return list(tx.scalars(_DUE[kinds], clock_values(now) | {"most": limit}))


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


def refuse_new(tx: Connection, answer: Mapping[str, Any], now: datetime) -> None:
    """Carry out nothing that waits, but for what `takes_away`, and give everybody this answer."""
    gives = inbox.c.kind.not_in(sorted(kind.value for kind in NEVER_LIMITED)) | (
        (inbox.c.kind == Kind.LOCKDOWN.value) & (inbox.c.subject == _LOCKDOWN_OFF)
    )
    waiting = update(inbox).where(inbox.c.state == ItemState.NEW.value, gives)
    state = ItemState.ANSWERING.value
    tx.execute(waiting.values(state=state, answer=dict(answer), attempts=0, due_at=now))


def later(tx: Connection, item: Item, due_at: datetime, now: datetime) -> None:
    """Work on the item again at `due_at`."""
    values = {"due_at": due_at, "put_off_at": put_off_at(now, due_at)}
    tx.execute(_CHANGE, {"item": item.id, "attempts": item.attempts + 1, **values})
