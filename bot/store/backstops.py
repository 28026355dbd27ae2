"""Backstops: the schedule of each access entry that ends access where the bot never comes back.

A schedule is stored before it is made, and forgotten once it is seen to be gone, so that after a
crash at any point the row names whatever may be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Connection,
    Integer,
    Row,
    Text,
    bindparam,
    case,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from bot.core.backstop import Known, Schedule, may_have_fired, strikes_until
from bot.store.due import LONGEST_PAUSE, due_after
from bot.store.tables import backstops, entries

# Built once: to build a statement takes longer than to carry it out, and these are the most used.
_ONE = (
    select(backstops, entries.c.cluster, entries.c.principal_arn)
    .join_from(backstops, entries)
    .where(backstops.c.entry_id == bindparam("entry"))
)
_CHANGE = update(backstops).where(backstops.c.entry_id == bindparam("entry"))
_LOOK = _CHANGE.values(due_at=bindparam("now"), generation=backstops.c.generation + 1)
_LET_GO = _CHANGE.values(generation=backstops.c.generation + 1)
_WAKE = _LOOK.where(backstops.c.attempts == 0)
_SEEN = _CHANGE.values(
    due_at=case(
        (
            backstops.c.attempts == 0,
            bindparam("now", type_=backstops.c.due_at.type),
        ),
        else_=backstops.c.due_at,
    ),
    generation=case(
        (backstops.c.attempts == 0, backstops.c.generation + 1), else_=backstops.c.generation
    ),
    alone=bindparam("alone"),
    shown=bindparam("shown"),
)
_WANT = _LOOK.values(attempts=0, problem=None, hopeless=False)
_UNASKED = backstops.c.generation == bindparam("known")
_REST = _CHANGE.values(
    due_at=due_after(backstops.c.due_at, _UNASKED),
    problem=case((_UNASKED, bindparam("what", type_=Text)), else_=backstops.c.problem),
    hopeless=case((_UNASKED, bindparam("for_good", type_=Boolean)), else_=backstops.c.hopeless),
)
_DUE = (
    select(backstops.c.entry_id)
    .where(
        (backstops.c.due_at <= bindparam("now"))
        | ((backstops.c.attempts > 0) & (backstops.c.due_at > bindparam("put_off")))
    )
    # What failed before waits for what is new.
    .order_by(backstops.c.attempts > 0, backstops.c.due_at)
    .limit(bindparam("most", type_=Integer))
)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of one entry's backstop; see bot.core.backstop.

    `problem` is what AWS last said against it, and `hopeless` that trying again changes nothing
    until somebody changes something.
    """

    entry_id: int
    known: Known | None
    alone: bool | None
    shown: bool
    strikes_until: datetime | None
    generation: int
    attempts: int
    problem: str | None
    hopeless: bool

    def may_strike(self, now: datetime) -> bool:
        """Whether a schedule of the bot's may have deleted the entry, or be about to."""
        if self.strikes_until is not None and now <= self.strikes_until:
            return True
        if self.known is None or not may_have_fired(self.known.schedule, now):
            return False
        return now <= strikes_until(self.known.schedule)


def want(tx: Connection, entry_id: int, now: datetime, *, new: bool) -> None:
    """Ask that the backstop be looked at now, as if nothing had failed before.

    Where the entry has none so far, it gets a row if `new`.
    """
    wanted = {"entry": entry_id, "now": now}
    if tx.execute(_WANT, wanted).rowcount > 0 or not new:
        return
    try:
        with tx.begin_nested():
            tx.execute(insert(backstops).values(entry_id=entry_id, due_at=now))
    except IntegrityError:
        tx.execute(_WANT, wanted)  # another grant of the same entry was faster


def wake(tx: Connection, entry_id: int, now: datetime) -> None:
    """Ask that the backstop be looked at now, unless it is being tried again anyway."""
    tx.execute(_WAKE, {"entry": entry_id, "now": now})


def due(tx: Connection, now: datetime, limit: int) -> list[int]:
    """Ids of entries whose backstop is to be looked at, the longest due first.

    Also those that were put off while the clock was ahead.
    """
    values = {"now": now, "put_off": now + LONGEST_PAUSE, "most": limit}
    return list(tx.scalars(_DUE, values))


def find(tx: Connection, entry_id: int) -> Kept | None:
    """What is known of an entry's backstop; None where it never had one."""
    row = tx.execute(_ONE, {"entry": entry_id}).one_or_none()
    return _kept(row) if row is not None else None


def in_trouble(tx: Connection) -> int:
    """How many entries have a backstop that is not as it should be, for a reason that is known."""
    query = select(func.count()).where(backstops.c.problem.is_not(None))
    return int(tx.scalar(query) or 0)


def names_at(tx: Connection, account: str, region: str, cluster: str) -> frozenset[str]:
    """The names of all schedules that the bot knows of for a cluster."""
    query = (
        select(backstops.c.name)
        .join_from(backstops, entries)
        .where(
            entries.c.account == account,
            entries.c.region == region,
            entries.c.cluster == cluster,
            backstops.c.name.is_not(None),
        )
    )
    return frozenset(tx.scalars(query))


def seen(tx: Connection, entry_id: int, now: datetime, *, alone: bool, shown: bool) -> None:
    """Store what EKS showed of the entry, and `wake`. Nothing where it has no backstop."""
    tx.execute(_SEEN, {"entry": entry_id, "now": now, "alone": alone, "shown": shown})


def intend(tx: Connection, kept: Kept, schedule: Schedule, now: datetime) -> bool:
    """Store the schedule before it is made, changed or taken away.

    False, and nothing is stored, where somebody asked for a look since `kept` was read: a grant may
    count on the schedule that was to go.
    """
    values = {**_columns(schedule), "confirmed": False, "checked_at": None}
    if kept.known is not None and may_have_fired(kept.known.schedule, now):
        values["strikes_until"] = strikes_until(kept.known.schedule)
    unasked = backstops.c.generation == kept.generation
    changed = update(backstops).where(backstops.c.entry_id == kept.entry_id, unasked)
    return tx.execute(changed.values(values)).rowcount > 0


def adopt(tx: Connection, entry_id: int, schedule: Schedule) -> None:
    """Store a schedule that was found, unless one is known by now."""
    unknown = (backstops.c.entry_id == entry_id, backstops.c.name.is_(None))
    tx.execute(update(backstops).where(*unknown).values(_columns(schedule)))


def confirm(tx: Connection, entry_id: int, schedule: Schedule, now: datetime) -> None:
    """Store that the schedule was read back."""
    _change(tx, entry_id, {**_columns(schedule), "confirmed": True, "checked_at": now})


def forget(tx: Connection, entry_id: int, now: datetime) -> None:
    """Store that the schedule is gone."""
    kept = find(tx, entry_id)
    if kept is not None and kept.known is not None and may_have_fired(kept.known.schedule, now):
        _change(tx, entry_id, {"strikes_until": strikes_until(kept.known.schedule)})
    nothing: dict[str, Any] = dict.fromkeys(("name", "group_name", "role_arn", "at", "checked_at"))
    _change(tx, entry_id, nothing | {"confirmed": False})


def let_go(tx: Connection, entry_id: int, now: datetime) -> None:
    """As `forget`, and look at it no more: whatever it was for is gone for good."""
    forget(tx, entry_id, now)
    nothing = {"attempts": 0, "problem": None, "hopeless": False, "due_at": None}
    tx.execute(_LET_GO, {"entry": entry_id, **nothing})


def rest(
    tx: Connection,
    kept: Kept,
    due_at: datetime | None,
    *,
    attempts: int,
    problem: str | None,
    hopeless: bool,
) -> None:
    """Say when to look again, unless somebody asked for it since `kept` was read."""
    which = {"entry": kept.entry_id, "known": kept.generation}
    values = {"next": due_at, "attempts": attempts, "what": problem, "for_good": hopeless}
    tx.execute(_REST, which | values)


def _columns(schedule: Schedule) -> dict[str, Any]:
    return {
        "name": schedule.name,
        "group_name": schedule.group,
        "role_arn": schedule.role,
        "at": schedule.at,
    }


def _change(tx: Connection, entry_id: int, values: Mapping[str, Any]) -> None:
    tx.execute(_CHANGE, {**values, "entry": entry_id})


def _kept(row: Row[Any]) -> Kept:
    known = None
    if row.name is not None:
        schedule = Schedule(
            name=row.name,
            group=row.group_name,
            at=row.at,
            role=row.role_arn,
            cluster=row.cluster,
            principal_arn=row.principal_arn,
        )
        known = Known(schedule, row.confirmed, row.checked_at)
    return Kept(
        entry_id=row.entry_id,
        known=known,
        alone=row.alone,
        shown=row.shown,
        strikes_until=row.strikes_until,
        generation=row.generation,
        attempts=row.attempts,
        problem=row.problem,
        hopeless=row.hopeless,
    )
