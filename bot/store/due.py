"""When work is due, so that a clock that was wrong and is set right puts nothing off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Case, Column, ColumnElement, bindparam, case, func, literal

from bot.core.retry_after import LONGEST_WAIT

AT_ONCE = datetime(2000, 1, 1, tzinfo=UTC)
"""When that is due which is due at once, by any clock."""

LONGEST_PAUSE = timedelta(minutes=2)
"""More than any pause between two tries; what is put off for longer was so by a wrong clock."""

LONGEST_PUT_OFF = LONGEST_WAIT + LONGEST_PAUSE
"""The same for what waits for Slack, which says how long it wants to be left alone."""


def due_after(due_at: Column[datetime], unasked: ColumnElement[bool]) -> Case[datetime]:
    """When a row is due after a look: at `:next`, unless somebody asked for a look meanwhile.

    Where nobody is to look though somebody asked, the row is not the one that was read: another
    worker answered since, or the store went back to an earlier state. Then it is due at once.
    """
    asked = func.coalesce(due_at, literal(AT_ONCE, due_at.type))
    return case((unasked, bindparam("next", type_=due_at.type)), else_=asked)
