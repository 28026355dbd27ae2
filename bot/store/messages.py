"""The Slack messages of each request: where they are, and whether they show what is so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from bot.store.tables import messages, requests

_LONGEST_WAIT = timedelta(minutes=10)
"""More than Slack asks anybody to wait; what is put off for longer was so by a wrong clock."""


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

    Also those whose next try was put off while the clock was ahead.
    """
    put_off = (requests.c.messages_attempts > 0) & (
        requests.c.messages_due_at > now + _LONGEST_WAIT
    )
    query = (
        select(requests.c.id)
        .where((requests.c.messages_due_at <= now) | put_off)
        .order_by(requests.c.messages_due_at, requests.c.id)
        .limit(limit)
    )
    return list(tx.scalars(query))


def backlog(tx: Connection, request_id: str) -> Backlog:
    """Which version of a request its messages should show."""
    row = tx.execute(
        select(requests.c.version, requests.c.messages_attempts).where(requests.c.id == request_id)
    ).one()
    return Backlog(request_id, row.version, row.messages_attempts)


def rest(tx: Connection, backlog: Backlog, due_at: datetime | None, *, attempts: int) -> None:
    """Say when to look again, unless the request changed since `backlog` was read."""
    tx.execute(
        update(requests)
        .where(requests.c.id == backlog.request_id, requests.c.version == backlog.version)
        .values(messages_due_at=due_at, messages_attempts=attempts)
    )


def of_request(tx: Connection, request_id: str) -> tuple[Posted, ...]:
    """The messages that stand in Slack for a request."""
    rows = tx.execute(select(messages).where(messages.c.request_id == request_id))
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
    tx.execute(delete(messages).where(*_at(request_id, posted)))


def put(tx: Connection, request_id: str, posted: Posted) -> None:
    """Store where a message is and what it shows."""
    values = {
        "channel": posted.channel,
        "ts": posted.ts,
        "digest": posted.digest,
        "problem": posted.problem,
    }
    if tx.execute(update(messages).where(*_at(request_id, posted)).values(values)).rowcount == 0:
        tx.execute(
            insert(messages).values(
                values
                | {
                    "request_id": request_id,
                    "key": posted.key,
                    "recipient": posted.recipient,
                }
            )
        )


def _at(request_id: str, posted: Posted) -> tuple[ColumnElement[bool], ...]:
    return (
        messages.c.request_id == request_id,
        messages.c.key == posted.key,
        messages.c.recipient == posted.recipient,
    )
