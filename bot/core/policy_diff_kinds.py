"""Which people a comparison of two policies tries, and which of their changes it tells."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from bot.core.policy import Level
from bot.core.policy_compare import level_gains
from bot.core.policy_diff_words import NEW, Change, lost

Fact = TypeVar("Fact")
Way = TypeVar("Way")


@dataclass(frozen=True, slots=True)
class Kind(Generic[Fact]):
    """People who are all treated alike: a named user or anybody, of whom these facts are true."""

    user: str | None
    facts: frozenset[Fact]

    def within(self, other: Kind[Fact]) -> bool:
        """Whether whoever is of the other kind is of this one too."""
        return self.user in (None, other.user) and self.facts <= other.facts


def kinds_to_try(
    users: Collection[str], before: Collection[Fact], after: Collection[Fact]
) -> Iterator[Kind[Fact]]:
    """The kinds of people to try, the widest first: one fact for the old policy, one for the new.

    `before` and `after` are the facts that let somebody have access under them.
    """
    sets = {frozenset({one}) for one in (*before, *after)}
    sets |= {frozenset({one, other}) for one in before for other in after}
    ordered = [
        frozenset[Fact](),
        *sorted(sets, key=lambda some: (len(some), sorted(map(str, some)))),
    ]
    for user in (None, *sorted(users)):
        for facts in ordered:
            yield Kind(user, facts)


@dataclass
class Told(Generic[Fact]):
    """The changes at one place, without those of a kind that a wider kind has too."""

    found: list[tuple[Kind[Fact], Change]] = field(default_factory=list)

    def add(self, kind: Kind[Fact], change: Change, *, who: str, when: str) -> None:
        """Add what this kind gains or loses; `change` is without `who` and `when`."""
        if not any(
            wider.within(kind) and replace(known, who="", when="") == change
            for wider, known in self.found
        ):
            self.found.append((kind, replace(change, who=who, when=when)))

    def __iter__(self) -> Iterator[Change]:
        return (change for _, change in self.found)


def _gains(
    old: Way | None,
    new: Way | None,
    levels: tuple[Level | None, Level | None],
    more: Callable[[Way, Way], list[str]],
) -> tuple[str, ...]:
    """What the new way to access gives that the old one did not; `levels` are old and new."""
    old_level, new_level = levels
    if new is None or new_level is None:
        return ()
    if old is None or old_level is None:
        return (NEW,)
    return (*level_gains(old_level, new_level), *more(old, new))


def compared(
    old: Way | None,
    new: Way | None,
    levels: tuple[Level | None, Level | None],
    more: Callable[[Way, Way], list[str]],
    said: Callable[[Way | None], str],
) -> Change | None:
    """The change from one way to access to the other, for anybody anywhere; None for none.

    `more` lists what the second of two ways gives that the first does not, `said` tells one.
    """
    gained = _gains(old, new, levels, more)
    taken = lost(_gains(new, old, (levels[1], levels[0]), more))
    if not gained and not taken:
        return None
    return Change(gained, taken, "", (), "", (), said(old), said(new))
