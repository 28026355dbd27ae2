"""Which kinds of namespaces a set of names and globs tells apart: one example of each.

Two namespaces are of one kind where exactly the same patterns cover both. The examples come from
running all patterns side by side over the letters they use, so that none is missed, not even one
that lies in several globs at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bot.core.names import MOST_NAMESPACE_LETTERS, SYSTEM_NAMESPACES

MOST_STATES = 20_000
"""Beyond this the patterns overlap in too many ways to try them all."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"


@dataclass(frozen=True, slots=True)
class Kinds:
    """An example of each kind of namespace. Not `complete` where there are too many."""

    examples: tuple[str, ...]
    complete: bool = True


def kinds_of(patterns: Iterable[str]) -> Kinds:
    """The kinds of namespaces that the patterns tell apart, those that none covers among them.

    The system namespaces, which no glob covers, are always kinds of their own.
    """
    given = sorted({re.sub(r"\*+", "*", pattern) for pattern in patterns})
    side_by_side = _SideBySide(given)
    found, complete = side_by_side.examples()
    ordinary = [name for name in found.values() if name not in SYSTEM_NAMESPACES]
    return Kinds((*sorted(ordinary), *sorted(SYSTEM_NAMESPACES)), complete)


class _SideBySide:
    """All patterns read at once. A bit stands for each place in each pattern."""

    def __init__(self, patterns: list[str]) -> None:
        self._start = self._ends = self._stars = self._any = 0
        self._letter: dict[str, int] = {}
        place = 0
        for pattern in patterns:
            self._start |= 1 << place
            for letter in pattern:
                bit = 1 << place
                if letter == "*":
                    self._stars |= bit
                elif letter == "?":
                    self._any |= bit
                else:
                    self._letter[letter] = self._letter.get(letter, 0) | bit
                place += 1
            self._ends |= 1 << place
            place += 1
        spare = next((letter for letter in _LETTERS[:-1] if letter not in self._letter), "")
        self._alphabet = [*spare, *sorted(self._letter.keys() - {"-"}), "-"]

    def examples(self) -> tuple[dict[int, str], bool]:
        """The shortest example of each set of patterns that may cover a namespace together."""
        found: dict[int, str] = {}
        begun = (self._closed(self._start), False)
        seen = {begun}
        border = [(begun, "")]
        while border:
            following = []
            for (state, _), text in border:
                for letter in self._alphabet:
                    if letter == "-" and not text:
                        continue
                    after = (self._after(state, letter), letter == "-")
                    longer = text + letter
                    if letter != "-" and longer not in SYSTEM_NAMESPACES:
                        found.setdefault(after[0] & self._ends, longer)
                    if after in seen:
                        continue
                    if len(seen) >= MOST_STATES:
                        return found, False
                    seen.add(after)
                    if len(longer) < MOST_NAMESPACE_LETTERS:
                        following.append((after, longer))
            border = following
        return found, True

    def _after(self, state: int, letter: str) -> int:
        matched = state & (self._any | self._letter.get(letter, 0))
        return self._closed((matched << 1) | (state & self._stars))

    def _closed(self, state: int) -> int:
        """With the places behind stars, which may stand for nothing."""
        return state | ((state & self._stars) << 1)
