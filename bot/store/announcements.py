"""The outbox of messages that belong to no request: alarms, digests, heads of the audit chain.

A use case announces in its own transaction, so that what is said and what is so are committed
together. A loop posts it afterwards; see bot.reconcile.announcements.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, Row, bindparam, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from bot.store.due import clock_values, put_off_at, put_off_wrongly
from bot.store.tables import announcements

LATE, POLICY_REFUSED, DRIFT = "late:", "policy.refused:", "drift:"
"""How the keys of alarms begin: of late removals, of a policy file with errors, of drift."""

WENT_BACK, MADE_DUE = "store.went_back:", "store.made_due:"
"""The same: of a store that went back to an earlier state, of rows that nothing looked at."""

GROUP_GONE, GROUP_BACK = "group.gone:", "group.back:"
"""Of a user group or channel through which nobody counts, and of one that is there again."""

ADOPTION = "adoption:"
"""The same: of a store that may be the wrong one, see bot.reconcile.adoption."""

ALARMS = (LATE, POLICY_REFUSED, DRIFT, WENT_BACK, MADE_DUE, GROUP_GONE, ADOPTION)
"""What goes to people where no channel takes it. Digests and heads of the audit chain do not."""


class Said(Protocol):
    """A message as the views make it."""

    @property
    def text(self) -> str: ...

    @property
    def blocks(self) -> list[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Announcement:
    """One message for one channel. `blocks` are Block Kit, `text` is for notifications.

    `problem` is what Slack last said against it. `posted_ts` is None until it stands in Slack.
    """

    id: int
    key: str
    channel: str
    text: str
    blocks: Sequence[dict[str, Any]]
    created_at: datetime
    attempts: int
    posted_ts: str | None
    problem: str | None


def announce(
    tx: Connection,
    *,
    key: str,
    channel: str,
    text: str,
    blocks: Sequence[dict[str, Any]],
    now: datetime,
) -> bool:
    """Have the message posted to the channel once `tx` is committed.

    The same `key` (at most 200 characters) is announced once in a channel, whoever announces it
    and however often; False where it was announced before.
    """
    if _announced(tx, key, channel):
        return False
    row = insert(announcements).values(
        key=key,
        channel=channel,
        text=text,
        blocks=list(blocks),
        created_at=now,
        **_free_from(tx, channel, now),
    )
    try:
        with tx.begin_nested():
            tx.execute(row)
    except IntegrityError:
        return False  # another replica was faster
    return True


# What is due, or was put off while the clock was ahead.
_DUE = (announcements.c.due_at <= bindparam("now")) | put_off_wrongly(
    announcements.c.due_at, announcements.c.put_off_at
)


def channels_due(tx: Connection, now: datetime) -> list[str]:
    """The channels for which something is to be posted now, the longest waiting first."""
    query = select(announcements.c.channel).where(_DUE).order_by(announcements.c.due_at)
    return list(dict.fromkeys(tx.scalars(query, clock_values(now))))


def due_in(tx: Connection, channel: str, now: datetime, limit: int) -> list[Announcement]:
    """What is to be posted to the channel now, in the order in which it was announced."""
    query = (
        select(announcements)
        .where(announcements.c.channel == channel, _DUE)
        .order_by(announcements.c.id)
        .limit(limit)
    )
    return [_announcement(row) for row in tx.execute(query, clock_values(now))]


def newest(tx: Connection, prefix: str) -> Announcement | None:
    """The last announcement whose key begins with `prefix`."""
    query = (
        select(announcements)
        .where(announcements.c.key.startswith(prefix, autoescape=True))
        .order_by(announcements.c.id.desc())
        .limit(1)
    )
    row = tx.execute(query).one_or_none()
    return _announcement(row) if row is not None else None


def group_is_gone(tx: Connection, group_id: str) -> bool:
    """Whether what was last told of a user group or channel is that nobody counts through it."""
    gone, back = (newest(tx, f"{key}{group_id}:") for key in (GROUP_GONE, GROUP_BACK))
    return gone is not None and (back is None or back.id < gone.id)


def said_in(tx: Connection, prefix: str) -> tuple[str, ...]:
    """The channels for which something was announced whose key begins with `prefix`."""
    query = select(announcements.c.channel).where(
        announcements.c.key.startswith(prefix, autoescape=True)
    )
    return tuple(dict.fromkeys(tx.scalars(query.order_by(announcements.c.id))))


def unheard(
    tx: Connection, prefixes: Collection[str], problems: Collection[str], since: datetime
) -> tuple[Announcement, ...]:
    """Announcements that no channel takes, with what Slack says against the last one.

    Each channel they are for has one of these problems, with this message or with one before it.
    One for each key that begins with one of `prefixes`, announced since then.
    """
    refusing = {
        row.channel: row.problem
        for row in tx.execute(
            select(announcements.c.channel, announcements.c.problem).where(
                announcements.c.problem.in_(problems), announcements.c.due_at.is_not(None)
            )
        )
    }
    if not refusing:
        return ()
    key = announcements.c.key
    waiting = select(key).where(
        announcements.c.channel.in_(refusing),
        announcements.c.posted_ts.is_(None),
        announcements.c.created_at >= since,
        or_(*(key.startswith(one, autoescape=True) for one in prefixes)),
    )
    query = select(announcements).where(key.in_(waiting)).order_by(announcements.c.id)
    by_key: dict[str, list[Announcement]] = {}
    for row in tx.execute(query):
        by_key.setdefault(row.key, []).append(_announcement(row))
    return tuple(
        replace(same[-1], problem=refusing[same[-1].channel])
        for same in by_key.values()
        if all(one.posted_ts is None and one.channel in refusing for one in same)
    )


def posted(tx: Connection, announcement_id: int, channel: str, ts: str) -> None:
    """Store where the message stands in Slack."""
    _change(
        tx,
        announcement_id,
        due_at=None,
        posted_channel=channel,
        posted_ts=ts,
        problem=None,
    )


def failed(
    tx: Connection, announcement_id: int, problem: str, due_at: datetime | None, now: datetime
) -> None:
    """Store that Slack did not take it, and when to try again; None: never."""
    values = {"due_at": due_at, "put_off_at": put_off_at(now, due_at), "problem": problem}
    _change(tx, announcement_id, attempts=announcements.c.attempts + 1, **values)


def put_off(tx: Connection, channel: str, until: datetime, now: datetime) -> None:
    """Let everything that waits for the channel wait until then."""
    tx.execute(
        update(announcements)
        .where(announcements.c.channel == channel, announcements.c.due_at < until)
        .values(due_at=until, put_off_at=put_off_at(now, until))
    )


def _announced(tx: Connection, key: str, channel: str) -> bool:
    query = select(announcements.c.id).where(
        announcements.c.key == key, announcements.c.channel == channel
    )
    return tx.scalar(query) is not None


def _free_from(tx: Connection, channel: str, now: datetime) -> dict[str, datetime | None]:
    """When the channel takes something new: what waits for it goes first."""
    last = (
        select(announcements.c.due_at, announcements.c.put_off_at)
        .where(announcements.c.channel == channel, announcements.c.due_at > now)
        .order_by(announcements.c.due_at.desc())
        .limit(1)
    )
    row = tx.execute(last).one_or_none()
    return {"due_at": row.due_at, "put_off_at": row.put_off_at} if row else {"due_at": now}


def _change(tx: Connection, announcement_id: int, **values: Any) -> None:
    tx.execute(update(announcements).where(announcements.c.id == announcement_id).values(values))


def _announcement(row: Row[Any]) -> Announcement:
    return Announcement(
        id=row.id,
        key=row.key,
        channel=row.channel,
        text=row.text,
        blocks=row.blocks,
        created_at=row.created_at,
        attempts=row.attempts,
        posted_ts=row.posted_ts,
        problem=row.problem,
    )
