"""Who counts for which part of a rule, so that as many count as can.

Everybody counts once, sits in one seat, and nobody else sits there. Who sits where hangs on who is
needed where, so both are found together: as the greatest flow from people over seats to parts, one
person after the other along a path that may move those before (Ford and Fulkerson). Whoever counts
goes on counting when others come.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterator, Mapping

_Node = tuple[str, str]
_Left = defaultdict[_Node, Counter[_Node]]

_END: _Node = ("end", "")


def placed(
    people: Mapping[str, Mapping[str, Collection[str]]], needed: Mapping[str, int]
) -> dict[str, str]:
    """By person the part that they count for; those who count for none are left out.

    `people` are, in the order in which they came, the seats that each may take for each part, and
    `needed` says how many each part takes.
    """
    left: _Left = defaultdict(Counter)
    for person, seat, part in _choices(people, needed):
        left["person", person]["seat", seat] = 1
        left["seat", seat]["seat taken", seat] = 1
        left["seat taken", seat]["part", part] = 1
        left["part", part][_END] = needed[part]
    for person in people:
        for here, there in _path(left, ("person", person)):
            left[here][there] -= 1
            left[there][here] += 1
    # What went along an edge is the room that there is to go back.
    sits = {
        person: seat
        for person, seat, _ in _choices(people, needed)
        if left["seat", seat]["person", person]
    }
    serves = {
        seat: part
        for _, seat, part in _choices(people, needed)
        if left["part", part]["seat taken", seat]
    }
    found = {person: serves[seat] for person, seat in sits.items()}
    return {person: part for person, part in found.items() if people[person].get(part)}


def _choices(
    people: Mapping[str, Mapping[str, Collection[str]]], needed: Mapping[str, int]
) -> Iterator[tuple[str, str, str]]:
    """Each person with each seat for each part."""
    for person, seats_of in people.items():
        for part in needed:
            for seat in sorted(seats_of.get(part, ())):
                yield person, seat, part


def _path(left: _Left, start: _Node) -> list[tuple[_Node, _Node]]:
    """The steps of a shortest way to the end with room on each; none where there is no way."""
    came: dict[_Node, _Node] = {start: start}
    waiting = deque([start])
    while waiting and _END not in came:
        here = waiting.popleft()
        for there, room in left[here].items():
            if room > 0 and there not in came:
                came[there] = here
                waiting.append(there)
    steps: list[tuple[_Node, _Node]] = []
    if _END in came:
        at = _END
        while at != start:
            steps.append((came[at], at))
            at = came[at]
    return steps
