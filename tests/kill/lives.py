"""The lives in the middle of which a bot is killed, and the points of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from kill_points import (
    ASKED,
    EXPIRING,
    EXTENDING,
    GIVING,
    POSTING,
    SEALING,
    TAKING,
    UPDATING,
    Hold,
)
from kill_world import GIVEN, NOTHING, TAKEN, Case, Expected, Writes

from bot.sandbox.interactions import Outcome

PENDING = Expected("PENDING", None, "pending")
DENIED = Expected("DENIED", None, "denied")
ACTIVE = Expected("APPROVED", ("ACTIVE", None), "active")
EXPIRED = Expected("APPROVED", ("ENDED", "expired"), "ended")
RETURNED = Expected("APPROVED", ("ENDED", "returned"), "ended")
REVOKED = Expected("APPROVED", ("ENDED", "revoked"), "ended")
SUPERSEDED = Expected("APPROVED", ("ENDED", "superseded"), "extended")


@dataclass(frozen=True)
class Life:
    """`prepare` brings it to `before`; `act` leads on to `after`, through these points."""

    act: Callable[[Case], Outcome]
    after: tuple[Expected, ...]
    writes: Writes
    points: Mapping[str, Hold]
    prepare: Callable[[Case], Outcome] | None = None
    before: tuple[Expected, ...] = ()
    written: Writes = NOTHING
    undo: Callable[[Case], Outcome] | None = None


def lock_down(case: Case) -> Outcome:
    return case.do("lockdown on --revoke Stolen laptop", case.ben)


ANSWERED = {name: point for name, point in ASKED.items() if name != "asked: who is this"}
DECIDED = {name: point for name, point in ASKED.items() if name.startswith("decided: ")}

LIVES = {
    "automatic": Life(
        act=Case.ask_reader,
        after=(ACTIVE,),
        writes=GIVEN,
        points=ASKED | GIVING | POSTING | SEALING,
    ),
    "asked of owners": Life(act=Case.ask_editor, after=(PENDING,), writes=NOTHING, points=POSTING),
    "approved": Life(
        prepare=Case.ask_editor,
        before=(PENDING,),
        act=Case.approve,
        after=(ACTIVE,),
        writes=GIVEN,
        points=DECIDED | GIVING | UPDATING,
    ),
    "denied": Life(
        prepare=Case.ask_editor,
        before=(PENDING,),
        act=lambda case: case.do("deny {} Wait for the window", case.ben),
        after=(DENIED,),
        writes=NOTHING,
        points=DECIDED | UPDATING,
    ),
    "expired": Life(
        act=lambda case: case.ask_reader("1s"),
        after=(EXPIRED,),
        writes=TAKEN,
        points=EXPIRING | TAKING,
    ),
    "returned": Life(
        prepare=Case.ask_reader,
        before=(ACTIVE,),
        written=GIVEN,
        act=lambda case: case.do("return {}"),
        after=(RETURNED,),
        writes=TAKEN,
        points=ANSWERED | TAKING,
    ),
    "extended": Life(
        prepare=Case.ask_reader,
        before=(ACTIVE,),
        written=GIVEN,
        act=lambda case: case.do("extend {} 1h Still looking"),
        after=(SUPERSEDED, ACTIVE),
        writes=GIVEN,
        points=DECIDED | EXTENDING | UPDATING,
    ),
    "locked down": Life(
        prepare=Case.ask_reader,
        before=(ACTIVE,),
        written=GIVEN,
        act=lock_down,
        after=(REVOKED,),
        writes=TAKEN,
        points=DECIDED | TAKING,
        undo=lambda case: case.do("lockdown off", case.ben),
    ),
}

EVERY_TIME = {
    "sqlite": (
        ("automatic", "giving: policy given, not answered"),
        ("automatic", "giving: read back, not committed"),
        ("expired", "taking: removed, not answered"),
        ("denied", "decided: not committed"),
    ),
    "postgresql": (
        ("approved", "giving: entry on its way and late"),
        ("extended", "extending: confirmed, not committed"),
        ("returned", "taking: ended, committing"),
        ("asked of owners", "told: card posted, not answered"),
    ),
}
"""Those that every run of the tests goes through; `make kill` goes through all."""


def cases(kind: str) -> Iterator[tuple[str, Life, str, Hold]]:
    """Every life with each of its points, by name, as far as this database has them."""
    for name, life in LIVES.items():
        for point, hold in life.points.items():
            if kind == "postgresql" or not getattr(hold, "at_commit", False):
                yield name, life, point, hold  # on SQLite a commit is one write
