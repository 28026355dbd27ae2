"""The Slack messages of each request: where they are, and whether they show what is so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    Connection,
    Integer,
    bindparam,
    delete,
    exists,
    insert,
    not_,
    select,
    union,
    update,
)

from bot.core.model import GrantState, RequestState
from bot.store.due import clock_values, put_off_at, put_off_wrongly
from bot.store.requests import TOUCHED
from bot.store.tables import entries, grants, messages, requests

RUSH = 20
"""As many removals that wait at once, each for its first try, are a rush."""

REMOVALS_FIRST = timedelta(seconds=30)
"""How long at most the messages about a removal wait in a rush, from when it began."""

# Built once: to build a statement takes longer than to carry it out, and these are the most used.
_DUE = (
    select(requests.c.id)
    .where(
        (requests.c.messages_due_at <= bindparam("now"))
        | (requests.c.messages_attempts > 0)
        & put_off_wrongly(requests.c.messages_due_at, requests.c.messages_put_off_at)
    )
    # What failed before waits for what is new.
    .order_by(requests.c.messages_attempts > 0, requests.c.messages_due_at, requests.c.id)
    .limit(bindparam("most", type_=Integer))
)
_REVOKED_LATELY = exists().where(
    grants.c.id == requests.c.id,
    grants.c.revoking_since > bindparam("lately"),
    grants.c.revoking_since <= bindparam("now"),
)
_DUE_IN_A_RUSH = _DUE.where(not_(_REVOKED_LATELY))
_RUSH = (
    select(entries.c.id)
    .join(grants, grants.c.entry_id == entries.c.id)
    .where(
        entries.c.due_at <= bindparam("now"),
        entries.c.attempts == 0,
        (grants.c.state == GrantState.REVOKING.value)
        | ((grants.c.state == GrantState.ACTIVE.value) & (grants.c.ends_at <= bindparam("now"))),
    )
    .limit(RUSH)
)
_BACKLOG = select(requests.c.version, requests.c.messages_attempts).where(
    requests.c.id == bindparam("request")
)
_REST = update(requests).where(
    requests.c.id == bindparam("request"), requests.c.version == bindparam("shown")
)
_OF_REQUEST = select(messages).where(messages.c.request_id == bindparam("request"))
_THIS = (
    messages.c.request_id == bindparam("request"),
    messages.c.key == bindparam("this_key"),
    messages.c.recipient == bindparam("this_recipient"),
)
_FORGET, _CHANGE, _ADD = (
    delete(messages).where(*_THIS),
    update(messages).where(*_THIS),
    insert(messages),
)


@dataclass(frozen=True, slots=True)
class Posted:
    """A message as it stands in Slack.

    `recipient` is where it was asked to go (a channel, or a person for a direct message);
    `channel` and `ts` are where it is, both None where Slack has refused it for good.
    `digest` is that of the content last sent.
    """

    key: str
    recipient: str
    channel: str | None
    ts: str | None
    digest: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """A request whose messages are to be brought up to `version`, after so many failed attempts."""

    request_id: str
    version: int
    attempts: int


def due(tx: Connection, now: datetime, limit: int) -> list[str]:
    """Ids of requests whose messages are to be looked at, the longest due first.

    Also those whose next try was put off while the clock was ahead. In a rush of removals, those of
    access whose removal has begun lately are left out: to remove more of it comes first.
    """
    values = clock_values(now) | {"most": limit}
    if len(tx.scalars(_RUSH, {"now": now}).all()) < RUSH:
        return list(tx.scalars(_DUE, values))
    return list(tx.scalars(_DUE_IN_A_RUSH, values | {"lately": now - REMOVALS_FIRST}))


def backlog(tx: Connection, request_id: str) -> Backlog:
    """Which version of a request its messages should show."""
    row = tx.execute(_BACKLOG, {"request": request_id}).one()
    return Backlog(request_id, row.version, row.messages_attempts)


def rest(
    tx: Connection, backlog: Backlog, due_at: datetime | None, *, attempts: int, now: datetime
) -> None:
    """Say when to look again, unless the request changed since `backlog` was read."""
    values = {
        "messages_due_at": due_at,
        "messages_attempts": attempts,
        "messages_put_off_at": put_off_at(now, due_at),
    }
    tx.execute(_REST, values | {"request": backlog.request_id, "shown": backlog.version})


def of_request(tx: Connection, request_id: str) -> tuple[Posted, ...]:
    """The messages that stand in Slack for a request."""
    rows = tx.execute(_OF_REQUEST, {"request": request_id})
    return tuple(
        Posted(
            key=row.key,
            recipient=row.recipient,
            channel=row.channel,
            ts=row.ts,
            digest=row.digest,
            problem=row.problem,
        )
        for row in rows
    )


def forget(tx: Connection, request_id: str, posted: Posted) -> None:
    """Drop a message that is no longer in Slack."""
    tx.execute(_FORGET, _this(request_id, posted))


def put(tx: Connection, request_id: str, posted: Posted) -> None:
    """Store where a message is and what it shows."""
    values = {
        "channel": posted.channel,
        "ts": posted.ts,
        "digest": posted.digest,
        "problem": posted.problem,
    }
    if tx.execute(_CHANGE, values | _this(request_id, posted)).rowcount == 0:
        where = {"request_id": request_id, "key": posted.key, "recipient": posted.recipient}
        tx.execute(_ADD, values | where)


def show_anew(tx: Connection) -> None:
    """Send all messages of open requests and live grants again, whatever was sent last."""
    live = select(grants.c.id).where(grants.c.state != GrantState.ENDED.value)
    pending = select(requests.c.id).where(requests.c.state == RequestState.PENDING.value)
    shown = union(live, pending)
    tx.execute(update(requests).where(requests.c.id.in_(shown)).values(TOUCHED))
    tx.execute(update(messages).where(messages.c.request_id.in_(shown)).values(digest=""))


def _this(request_id: str, posted: Posted) -> dict[str, str]:
    return {"request": request_id, "this_key": posted.key, "this_recipient": posted.recipient}
