"""What the store knows of people and Slack does not: read in the transaction that decides."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from bot.access.facts import Facts
from bot.core.errors import Refused
from bot.core.people import SUSPENDED
from bot.store import suspensions


def as_stored(tx: Connection, facts: Facts) -> Facts:
    """The facts with who is suspended now. Whoever may get something or decide is asked for so.

    Where a lock keeps suspensions out until `tx` is over, call it after the lock is taken.
    """
    suspended = suspensions.among(tx, facts.people)
    if not suspended:
        return facts
    marked = {one: replace(facts.people[one], suspended=True) for one in suspended}
    return replace(facts, people={**facts.people, **marked})


def ensure_not_suspended(tx: Connection, person_id: str) -> None:
    """Raise Refused for a suspended person, by the store alone."""
    if suspensions.current(tx, person_id) is not None:
        raise Refused("suspended", SUSPENDED)
