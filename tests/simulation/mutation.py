"""What a deliberate bug is: small changes of the source, and what has to catch it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SIMULATION = "the simulation"


@dataclass(frozen=True)
class Change:
    """`old` becomes `new` in `file`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutation:
    """A bug, and what has to catch it: the simulation, or a test by its address.

    `also` are further tests of which each has to catch it too. `threat` is the number in
    docs/security.md of the threat whose defence it takes out. `first` is the seed of the first life
    to be lived: one that showed the bug, so that it shows soon.
    """

    name: str
    changes: tuple[Change, ...]
    by: str = SIMULATION
    threat: int | None = None
    first: int = 0
    also: tuple[str, ...] = ()

    @property
    def tests(self) -> tuple[str, ...]:
        """The addresses of the tests that have to catch it."""
        return (self.by, *self.also) if self.by != SIMULATION else ()


def threat(
    number: int, name: str, by: str, *changes: Change, also: tuple[str, ...] = ()
) -> Mutation:
    """The defence against a threat taken out. `by` and `also` are addresses below tests/."""
    also = tuple(f"tests/{one}" for one in also)
    return Mutation(name, changes, f"tests/{by}", threat=number, also=also)


def misfit(mutation: Mutation) -> list[str]:
    """What of a bug no longer fits the source: a text that is not there exactly once."""
    return [
        f"{mutation.name}: the old text is {found} times in {change.file}"
        for change in mutation.changes
        if (found := (ROOT / change.file).read_text().count(change.old)) != 1
    ]
