"""Rows that are live and have no time at which anything looks at them again.

No row may ever be so: each loop finds its work by a time in a column, and what has none is lost in
silence. What one row alone tells, the database refuses to store; see LIVE_IS_DUE in
bot.store.tables. The rest is found here. Audit events are left out: one without a seal that waits
for none was not written by the bot, and `eks-access audit verify` tells of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, text

from bot.core.model import GrantState
from bot.store.tables import LIVE_IS_DUE, REVIEW_OWED, SCHEDULE_TO_GO, UtcDateTime

# By their names, for which there is an index: what has ended is not looked through.
_STATES = ", ".join(f"'{state}'" for state in GrantState if state is not GrantState.ENDED)
_LIVE = f"SELECT entry_id FROM grants WHERE state IN ({_STATES})"  # noqa: S608 - our own text
_REMOVING = "SELECT entry_id FROM associations WHERE removing"


@dataclass(frozen=True, slots=True)
class Check:
    """Rows of `table`, called by `key`, that are live and never due; `column` makes them due."""

    table: str
    key: str
    column: str
    where: str

    @property
    def query(self) -> str:
        """Plain SQL that gives the keys, on SQLite and PostgreSQL."""
        return f"SELECT {self.key} FROM {self.table} WHERE {self.where}"  # noqa: S608 - our own text


@dataclass(frozen=True, slots=True)
class Found:
    """One such row."""

    table: str
    key: str


CHECKS = (
    *(Check(one.table, one.key, one.due, one.broken) for one in LIVE_IS_DUE),
    # The access loop looks at an entry by its time alone, and each end is reached so.
    Check(
        "entries",
        "id",
        "due_at",
        f"due_at IS NULL AND id IN ({_LIVE} UNION {_REMOVING})",
    ),
    # A schedule that is to go, or whose making was begun.
    Check(
        "backstops",
        "entry_id",
        "due_at",
        f"{SCHEDULE_TO_GO} AND entry_id NOT IN ({_LIVE})",
    ),
    Check("requests", "id", "lapses_at", "state = 'PENDING' AND lapses_at IS NULL"),
    # Reminders may be over; that it is overdue is told once, and that is in `steps`.
    Check(
        "post_reviews",
        "request_id",
        "step_due_at",
        f"{REVIEW_OWED} AND CAST(steps AS VARCHAR(1000)) NOT LIKE '%overdue%'",
    ),
)


def find(tx: Connection) -> tuple[Found, ...]:
    """All rows that are live and never due."""
    found = {
        Found(check.table, str(key)): None
        for check in CHECKS
        for key in tx.execute(text(check.query)).scalars()
    }
    return tuple(found)


def make_due(tx: Connection, now: datetime) -> None:
    """Have each of these rows looked at now."""
    for check in CHECKS:
        change = f"UPDATE {check.table} SET {check.column} = :now WHERE {check.where}"  # noqa: S608 - our own text
        tx.execute(text(change).bindparams(bindparam("now", type_=UtcDateTime())), {"now": now})
