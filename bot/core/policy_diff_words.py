"""One gain or loss by a change of the policy, and how equal ones are put together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

NEW = "new access"


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody gains and loses at some places: `before` and `after` say how one has it.

    `gained` and `lost` list in words what is more after and what was more before, to be read after
    "no longer"; both may be.
    `when` says in which circumstances, where it is not always so. No `level`: all of them.
    """

    gained: tuple[str, ...]
    lost: tuple[str, ...]
    who: str
    clusters: tuple[str, ...]
    level: str
    namespaces: tuple[str, ...]
    before: str
    after: str
    when: str = ""
    break_glass: bool = False

    @property
    def is_gain(self) -> bool:
        return bool(self.gained)


def lost(gains: Iterable[str]) -> tuple[str, ...]:
    """What a change takes, in words: `gains` are those of the change turned round."""
    shorter = (one.partition(" in place of ")[0] for one in gains)
    return tuple("any access" if one == NEW else one for one in shorter)


def merged(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Equal changes of several clusters, then of several namespaces, as one; gains first."""
    by_place: dict[Change, dict[str, None]] = {}
    for one in changes:
        key = replace(one, clusters=())
        by_place.setdefault(key, {}).update(dict.fromkeys(one.clusters))
    by_name: dict[Change, dict[str, None]] = {}
    for one, clusters in by_place.items():
        key = replace(one, clusters=tuple(clusters), namespaces=())
        by_name.setdefault(key, {}).update(dict.fromkeys(one.namespaces))
    found = [replace(one, namespaces=tuple(names)) for one, names in by_name.items()]
    return tuple(sorted(found, key=lambda one: not one.is_gain))
