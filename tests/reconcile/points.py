"""Every point of a round at which the process may die, or somebody else may act.

A point is just before a transaction begins (its connection is taken from the pool), or just before
a call leaves for EKS; what came before it is committed at the store, or done at EKS. The database
and the clients are the real ones: these are the events that SQLAlchemy and botocore offer to
anybody.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from bot.reconcile.access import AccessReconciler
from bot.store.database import Database

TRANSACTION = "a transaction"
READS = ("DescribeAccessEntry", "ListAssociatedAccessPolicies")


class Killed(BaseException):
    """The process died here. Not an Exception: nothing in the bot may catch it."""


class Points:
    """The points passed so far, by name, and what is to happen at one of them.

    `telling` leaves out points at which nothing has changed since the one before, and which are
    therefore one and the same for a process that dies there. `packet` is the last call that was
    about to leave.
    """

    def __init__(self, *, telling: bool) -> None:
        self.passed: list[str] = []
        self.packet: Any = None
        self.changed = True
        self._telling = telling
        self._at: int | str | None = None
        self._act: Callable[[], object] = lambda: None
        self._acting = False

    def at(self, point: int | str, act: Callable[[], object]) -> None:
        """Call `act` at the point of this number, counted from 0, or of this name."""
        self._at, self._act = point, act

    def reach(self, name: str) -> None:
        if self._acting:
            return  # what somebody else does has no points
        writes = name not in (TRANSACTION, *READS)
        if self._telling and not self.changed and not writes:
            return
        self.changed = writes  # for the next point, which comes after it
        self.passed.append(name)
        if self._at in (len(self.passed) - 1, name):
            self._acting = True
            try:
                self._act()
            finally:
                self._acting = False


@contextmanager
def watched(database: Database, client: Any, *, telling: bool = False) -> Iterator[Points]:
    """The points that are passed in this block on this database and this client."""
    points = Points(telling=telling)

    def begins(*_: object) -> None:
        points.reach(TRANSACTION)

    def commits(_: object) -> None:
        points.changed = True

    def leaves(event_name: str, request: Any, **_: object) -> None:
        points.packet = request
        points.reach(event_name.rpartition(".")[2])

    event.listen(database.engine, "checkout", begins)
    event.listen(database.engine, "commit", commits)
    client.meta.events.register_first("before-send.eks", leaves)
    try:
        yield points
    finally:
        event.remove(database.engine, "checkout", begins)
        event.remove(database.engine, "commit", commits)
        client.meta.events.unregister("before-send.eks", leaves)


def die() -> None:
    raise Killed


def killed_at(point: int | str, points: Points, bot: AccessReconciler, entry_id: int) -> bool:
    """Reconcile once and die at that point. False where the round has no such point."""
    points.at(point, die)
    try:
        bot.reconcile(entry_id)
    except Killed:
        return True
    return False


def arrive(packet: Any) -> None:
    """Let a call that had left before the process died reach EKS now."""
    late = urllib.request.Request(  # noqa: S310 - the local EKS
        packet.url, data=packet.body, headers=dict(packet.headers), method=packet.method
    )
    with urllib.request.urlopen(late) as answer:  # noqa: S310 - the same
        assert answer.status == 200
