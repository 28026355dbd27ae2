"""When work is due, so that a clock that was wrong and is set right puts nothing off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Case, Column, ColumnElement, bindparam, case, func, literal

from bot.core.lifecycle import CLOCK_TOLERANCE

AT_ONCE = datetime(2000, 1, 1, tzinfo=UTC)
"""When that is due which is due at once, by any clock."""

LONGEST_PAUSE = timedelta(minutes=2)
"""More than any pause between two tries. What is put off for longer was so by Slack, which says how
long it wants to be left alone, or by a wrong clock."""


def put_off_at(now: datetime, until: datetime | None) -> datetime | None:
    """What is stored of a wait that is longer than any pause: when it began; None for others.

    Only so can it be told from a pause that was stored while the clock was ahead.
    """
    return now if until is not None and until - now > LONGEST_PAUSE else None


def put_off_wrongly(due_at: Column[datetime], began: Column[datetime]) -> ColumnElement[bool]:
    """Whether a row was put off while the clock was ahead. It takes the values of `clock_values`.

    `began` is the column with `put_off_at`.
    """
    ahead = began.is_(None) | (began > bindparam("ahead", type_=began.type))
    return (due_at > bindparam("put_off", type_=due_at.type)) & ahead


def clock_values(now: datetime) -> dict[str, datetime]:
    """The values of a query for what is due, with `now`."""
    return {"now": now, "put_off": now + LONGEST_PAUSE, "ahead": now + CLOCK_TOLERANCE}


def due_after(due_at: Column[datetime], unasked: ColumnElement[bool]) -> Case[datetime]:
    """When a row is due after a look: at `:next`, unless somebody asked for a look meanwhile.

    Where nobody is to look though somebody asked, the row is not the one that was read: another
    worker answered since, or the store went back to an earlier state. Then it is due at once.
    """
    asked = func.coalesce(due_at, literal(AT_ONCE, due_at.type))
    return case((unasked, bindparam("next", type_=due_at.type)), else_=asked)
