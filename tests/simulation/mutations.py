"""Deliberate bugs: each, put into a copy of the project, must be caught.

    python -m tests.simulation.mutations [NAME…]

Each is a small change of the source; the simulation, or the named test where the simulation cannot
see it, has to fail on it. A change whose old text is no longer there once is a mistake of this
list, and a quick test says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
SIMULATION = "simulation"
LIVES = 400
"""The most lives that a bug has to be met in."""

_COPIED = ("bot", "tests", "migrations", "pyproject.toml", "app-manifest.yml")
_TIMEOUT = 1800


@dataclass(frozen=True)
class Mutation:
    """`changes` are (file, old text, new text). `by` is the simulation or a test's address."""

    name: str
    changes: tuple[tuple[str, str, str], ...]
    by: str = SIMULATION
    first: int = field(default=0)
    """The seed with which to begin."""


@dataclass(frozen=True)
class Verdict:
    mutation: Mutation
    caught: bool
    seconds: float
    said: str


def _one(name: str, file: str, old: str, new: str, by: str = SIMULATION) -> Mutation:
    return Mutation(name, ((file, old, new),), by)


ACCESS, PLANNER = "bot/reconcile/access.py", "bot/core/planner.py"
LIFECYCLE, REVIEW = "bot/core/lifecycle.py", "bot/core/review.py"

MUTATIONS: tuple[Mutation, ...] = (
    _one(
        "confirm without observing",
        ACCESS,
        "if given and not plan.changes(grant.access) and not plan.blocks(grant.access):",
        "if not plan.blocks(grant.access):",
    ),
    _one(
        "call it ended without looking again",
        ACCESS,
        "                    and not plan.removals\n                    and not plan.unsettled\n",
        "",
    ),
    _one(
        "skip the read-back",
        ACCESS,
        "        given = satisfied",
        "",
    ),
)
