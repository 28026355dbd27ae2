"""The clusters of two policies, put together where the same entries of both cover them.

With ten thousand clusters and a thousand rules there are far fewer kinds of clusters than clusters,
and what is so for one of a kind is so for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from bot.core.model import Cluster
from bot.core.policy import BreakGlass, ClusterChoice, Policy, Rule
from bot.core.policy_reach import Reach

_Choice = TypeVar("_Choice", bound=ClusterChoice)


@dataclass(frozen=True, slots=True)
class Covering(Generic[_Choice]):
    """The entries that cover each cluster of a class, before and after."""

    clusters: tuple[str, ...]
    old: tuple[_Choice, ...]
    new: tuple[_Choice, ...]


def rules_by_class(old: Policy, new: Policy) -> list[Covering[Rule]]:
    """The classes of clusters with their rules, in the order of the files."""
    return _classes(old, new, old.rules, new.rules)


def break_glass_by_class(old: Policy, new: Policy) -> list[Covering[BreakGlass]]:
    """The classes of clusters with their entries of break-glass."""
    return _classes(old, new, old.break_glass, new.break_glass)


def _classes(
    old: Policy, new: Policy, before: Sequence[_Choice], after: Sequence[_Choice]
) -> list[Covering[_Choice]]:
    old_places, new_places = _places(old, before), _places(new, after)
    members: dict[tuple[tuple[int, ...], tuple[int, ...]], list[str]] = {}
    for name in dict.fromkeys((*new.clusters_by_name, *old.clusters_by_name)):
        mine = old_places.get(name, ()) if _same(old, new, name) else ()
        members.setdefault((mine, new_places.get(name, ())), []).append(name)
    return [
        Covering(
            tuple(names),
            tuple(before[place] for place in old_ones),
            tuple(after[place] for place in new_ones),
        )
        for (old_ones, new_ones), names in members.items()
    ]


def _same(old: Policy, new: Policy, name: str) -> bool:
    """Whether the name is not that of another cluster now; one that is gone is itself."""
    here, there = old.clusters_by_name.get(name), new.clusters_by_name.get(name)
    return here is None or there is None or _place(here) == _place(there)


def _place(cluster: Cluster) -> tuple[str, str]:
    return cluster.account, cluster.region


def _places(policy: Policy, choices: Sequence[ClusterChoice]) -> dict[str, tuple[int, ...]]:
    """By cluster, the numbers of the entries that cover it, in order."""
    if not choices:
        return {}
    reach = Reach(policy)
    alike: dict[int, list[int]] = {}
    for place, choice in enumerate(choices):
        alike.setdefault(reach.reached(choice), []).append(place)
    names = list(policy.clusters_by_name)
    found: dict[str, list[int]] = {name: [] for name in names}
    for covered, places in alike.items():
        for bit in _bits(covered):
            found[names[bit]] += places
    return {name: tuple(sorted(places)) for name, places in found.items()}


def _bits(number: int) -> Iterator[int]:
    text = f"{number:b}"[::-1]
    bit = text.find("1")
    while bit >= 0:
        yield bit
        bit = text.find("1", bit + 1)
