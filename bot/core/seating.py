"""Who counts for which part of a rule, so that as many count as can.

An approval takes up two names: that of the person who gave it, and that of the owner in whose place
they gave it. For an owner's own approval both are the same. No name is taken up twice within one
rule, so people are distinct, owners are distinct, and whoever counts has no deputy beside them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

_Names = frozenset[str]
_Room = tuple[int, ...]
"""How many each part still takes."""

_States = dict[tuple[_Names, _Room], tuple[tuple[str, str], ...]]
"""By what still matters, the names taken up and the room: who counts for which part."""

MOST_STATES = 1_000
"""How many states are kept after each approval, at most."""


@dataclass(frozen=True, slots=True)
class _Approval:
    """What one person may count for, and what those who came after them may want.

    `choices` are the names that are taken up and the part's place. `wanted` and `coming` are, by
    part, the names that the later ones may take up, and how many people those are.
    """

    person: str
    choices: tuple[tuple[_Names, int], ...]
    wanted: tuple[_Names, ...]
    coming: _Room


def placed(
    people: Mapping[str, Mapping[str, Collection[str]]], needed: Mapping[str, int]
) -> dict[str, str]:
    """By person the part that they count for; those who count for none are left out.

    `people` are, in the order in which they came, the seats that each may take for each part, and
    `needed` says how many each part takes. Every choice of person, seat and part is followed, so
    another approval never makes fewer count. Of ways with as many, one that had them first is
    taken.

    Ways that agree in what still matters are one state. Of more than MOST_STATES only those that
    lack least are followed: then fewer may count than could, and never more. Twenty approvals of
    ten owners and of deputies for three of them each, made at random, came to 886 states in three
    parts with two seats each.
    """
    parts = tuple(needed)
    states: _States = {(frozenset(), tuple(needed.values())): ()}
    for one in _approvals(people, parts):
        states = _promising(_next(states, one, parts), one)
    return dict(next(iter(states.values())))


def _approvals(
    people: Mapping[str, Mapping[str, Collection[str]]], parts: tuple[str, ...]
) -> list[_Approval]:
    found: list[_Approval] = []
    wanted: tuple[_Names, ...] = (frozenset(),) * len(parts)
    coming: _Room = (0,) * len(parts)
    for person, seats_of in reversed([*people.items()]):
        seats = [frozenset(seats_of.get(part, ())) for part in parts]
        choices = tuple(
            (frozenset({person, seat}), at)
            for at in range(len(parts))
            for seat in sorted(seats[at])
        )
        found.append(_Approval(person, choices, wanted, coming))
        wanted = tuple(
            names | own | {person} if own else names
            for names, own in zip(wanted, seats, strict=True)
        )
        coming = tuple(number + bool(own) for number, own in zip(coming, seats, strict=True))
    return found[::-1]


def _next(states: _States, one: _Approval, parts: tuple[str, ...]) -> _States:
    """Each state with the approval counted in each way that is free, and with it left out."""
    found: _States = {}
    matter: dict[_Room, _Names] = {}
    for (taken, room), way in states.items():
        for names, at in one.choices:
            if room[at] and taken.isdisjoint(names):
                less = (*room[:at], room[at] - 1, *room[at + 1 :])
                if less not in matter:
                    matter[less] = _matter(one, less)
                state = ((taken | names) & matter[less], less)
                found.setdefault(state, (*way, (one.person, parts[at])))
        if room not in matter:
            matter[room] = _matter(one, room)
        found.setdefault((taken & matter[room], room), way)
    return found


def _matter(one: _Approval, room: _Room) -> _Names:
    """The names that somebody may still want for a part that has room."""
    wanted = (names for names, left in zip(one.wanted, room, strict=True) if left)
    return frozenset[str]().union(*wanted)


def _promising(states: _States, one: _Approval) -> _States:
    """The state that lacks least, first, and those that may yet come to lack less than it."""
    ordered = sorted(states.items(), key=lambda item: sum(item[0][1]))
    (_, least), _ = ordered[0]
    better = [
        item
        for item in ordered[1:]
        if sum(max(left - more, 0) for left, more in zip(item[0][1], one.coming, strict=True))
        < sum(least)
    ]
    return dict([ordered[0], *better[: MOST_STATES - 1]])
