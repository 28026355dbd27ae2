"""Which names a list of names and globs covers.

A glob has two wildcards: `*` is any letters, also none, and `?` is one letter. There are no sets
and no regular expressions, case counts, and the whole name must match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from bot.core.names import SYSTEM_NAMESPACES


class Patterns:
    """Names and globs, compiled once. Equal lists give equal answers in any order."""

    def __init__(self, patterns: Iterable[str]) -> None:
        given = tuple(patterns)
        self.literals = frozenset(p for p in given if not is_glob(p))
        self.globs = tuple(p for p in given if is_glob(p))
        self._compiled = tuple(_compile(glob) for glob in self.globs)

    def cover(self, name: str) -> bool:
        """Whether some pattern matches `name`."""
        return name in self.literals or any(glob(name) for glob in self._compiled)

    def cover_namespace(self, name: str) -> bool:
        """As `cover`, but a system namespace is covered only by its own name.

        A glob such as `*` is written with the teams' namespaces in mind. Who may touch
        `kube-system` may take over the cluster (its service accounts and add-ons run there), so a
        rule has to say so in that many words.
        """
        if name in SYSTEM_NAMESPACES:
            return name in self.literals
        return self.cover(name)

    def cover_namespaces_of(self, pattern: str) -> bool:
        """Whether every namespace that `pattern` covers is surely covered here.

        Sound, not complete: False may mean that it could not be shown.
        """
        if not is_glob(pattern):
            return self.cover_namespace(pattern)
        return any(glob(pattern) for glob in self._compiled)


def is_glob(pattern: str) -> bool:
    """Whether `pattern` has a wildcard."""
    return "*" in pattern or "?" in pattern


def _compile(glob: str) -> Callable[[str], object]:
    """A matcher that never backtracks over an earlier `*`: a hostile name costs no more time.

    `?` does not match a `*`, so that a glob can be compared with another one as text.
    """
    first, *rest = [
        "".join("[^*]" if letter == "?" else re.escape(letter) for letter in piece)
        for piece in re.sub(r"\*+", "*", glob).split("*")
    ]
    if not rest:
        return re.compile(first).fullmatch
    *middle, last = rest
    stars = "".join(f"(?>.*?{piece})" for piece in middle)
    return re.compile(f"{first}{stars}.*{last}", re.DOTALL).fullmatch
