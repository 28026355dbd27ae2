"""Small worlds of approvals, made at random, and how many of them count by trying everything.

Run as a program, it counts many of them both ways and says where they differ:

    PYTHONPATH=. python tests/core/seat_worlds.py --worlds 100000 --first 0
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import combinations, product
from random import Random

from bot.core.approvals import Seats, counted, seats, unmet
from bot.core.model import Delegation, DelegationLimits, EscalationStep, Owners, Requirement

ASKED = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LONGEST = timedelta(days=7)
OTHERS = "xyz"
REQUESTER = "r"


@dataclass(frozen=True)
class Part:
    """A part of the rule, and who owns it besides from a minute on."""

    key: str
    required: int
    owners: str
    further: str = ""
    after: int = 30


@dataclass(frozen=True)
class Deputy:
    """Who stands in for an owner, from one minute until before another."""

    owner: str
    deputy: str
    since: int = -60
    until: int = 600


@dataclass(frozen=True)
class World:
    """One rule in parts, its deputies, and the approvals as they came, each with its minute."""

    parts: tuple[Part, ...]
    deputies: tuple[Deputy, ...]
    approvals: tuple[tuple[str, int], ...]

    def without(self, place: int) -> World:
        """The same without one approval, the first being number 0."""
        return replace(self, approvals=self.approvals[:place] + self.approvals[place + 1 :])


def world(seed: int) -> World:
    """A world with up to three parts and five approvals: few owners, with many deputies."""
    chance = Random(seed)  # noqa: S311 - for chance, not for secrets
    owners = chance.choice(("abc", "abcd", "abc" + REQUESTER))
    parts = tuple(
        Part(
            f"part {number}",
            chance.choice((1, 1, 2)),
            _some(chance, owners),
            _some(chance, owners) if chance.random() < 0.6 else "",
        )
        for number in range(chance.choice((1, 2, 2, 3, 3)))
    )
    people = chance.sample(owners.strip(REQUESTER), chance.randint(0, 2))
    people += chance.sample(OTHERS, chance.randint(1, 3))
    chance.shuffle(people)
    deputies = tuple(
        Deputy(owner, deputy, chance.choice((-60, -60, 20)), chance.choice((600, 600, 40)))
        for owner, deputy in product(owners, people)
        if owner != deputy and chance.random() < 0.4
    )
    minutes = sorted(chance.choice((5, 15, 25, 30, 35, 50)) for _ in people)
    return World(parts, deputies, tuple(zip(people, minutes, strict=True)))


def _some(chance: Random, names: str) -> str:
    return "".join(sorted(chance.sample(names, chance.randint(1, 2))))


# As the project counts.


def requirements(of: World) -> tuple[Requirement, ...]:
    return tuple(
        Requirement(
            "rule",
            "C1",
            Owners(frozenset(part.owners)),
            part.required,
            part=part.key,
            escalation=EscalationStep(
                timedelta(minutes=part.after), "C2", Owners(frozenset(part.further))
            )
            if part.further
            else None,
            delegation=DelegationLimits(LONGEST),
        )
        for part in of.parts
    )


def approvers(of: World) -> dict[str, Seats]:
    held = [
        Delegation(number, one.owner, one.deputy, _at(one.since), _at(one.until))
        for number, one in enumerate(of.deputies)
    ]
    return {
        person: {
            one.key: seats(
                person,
                one,
                one.owners_after(timedelta(minutes=minute)),
                membership={},
                delegations=held,
                excluded={REQUESTER},
                now=_at(minute),
            )
            for one in requirements(of)
        }
        for person, minute in of.approvals
    }


def _at(minute: int) -> datetime:
    return ASKED + timedelta(minutes=minute)


# By trying everything.


def owners_at(part: Part, minute: int) -> set[str]:
    return {*part.owners, *(part.further if minute >= part.after else "")} - {REQUESTER}


def places(of: World, person: str, minute: int) -> Iterator[tuple[str, str, str]]:
    """The person, in whose place, and for which part, as docs/policy.md has it."""
    for part in of.parts:
        owners = owners_at(part, minute)
        if person in owners:
            yield person, person, part.key
        else:
            for one in {one.owner for one in of.deputies if _stands_in(one, person, minute)}:
                if one in owners:
                    yield person, one, part.key


def _stands_in(one: Deputy, person: str, minute: int) -> bool:
    return one.deputy == person and one.since <= minute < one.until


def allowed(of: World, chosen: tuple[tuple[str, str, str], ...]) -> bool:
    """Whether these may count together: everybody is in it once, as a person or by a deputy."""
    named = Counter(name for person, seat, _ in chosen for name in {person, seat})
    given = Counter(part for _, _, part in chosen)
    return all(number == 1 for number in named.values()) and all(
        given[part.key] <= part.required for part in of.parts
    )


def most(of: World) -> int:
    """How many can count at once."""
    options = [tuple(places(of, person, minute)) for person, minute in of.approvals]
    for size in range(len(options), 0, -1):
        for some in combinations(options, size):
            if any(allowed(of, chosen) for chosen in product(*some)):
                return size
    return 0


def can_all_count(of: World, have: dict[str, tuple[str, ...]]) -> bool:
    """Whether there is a way for exactly these people to count for exactly these parts."""
    where = {person: key for key, people in have.items() for person in people}
    at = dict(of.approvals)
    options = [
        [one for one in places(of, person, at[person]) if f"rule / {one[2]}" == key]
        for person, key in where.items()
    ]
    return len(where) == sum(map(len, have.values())) and any(
        allowed(of, chosen) for chosen in product(*options)
    )


def wrong(of: World) -> list[str]:
    """What the project counts otherwise than by trying everything."""
    rule, given = requirements(of), approvers(of)
    have = counted(rule, given)
    number, best = sum(map(len, have.values())), most(of)
    needed = sum(part.required for part in of.parts)
    found = []
    if number != best:
        found.append(f"{number} count where {best} can")
    if not can_all_count(of, have):
        found.append(f"these cannot count together: {have}")
    if (not unmet(rule, given)) != (best == needed):
        found.append("whether it is met is told wrongly")
    found += [
        f"without {person} more count"
        for place, (person, _) in enumerate(of.approvals)
        if most(of.without(place)) > number
    ]
    return found


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args(arguments)
    seen: Counter[str] = Counter()
    for seed in range(options.first, options.first + options.worlds):
        one = world(seed)
        best, needed = most(one), sum(part.required for part in one.parts)
        seen["met"] += best == needed
        seen["with a deputy's approval"] += any(
            person != seat for way in one.approvals for person, seat, _ in places(one, *way)
        )
        seen["with an escalation that changes who may"] += any(
            {*places(one, person, 0)} != {*places(one, person, at)} for person, at in one.approvals
        )
        seen["not everybody counts"] += best < len(one.approvals)
        if said := wrong(one):
            seen["wrong"] += 1
            sys.stdout.write(f"world {seed}: {'; '.join(said)}\n  {one}\n")
    wrongly = seen.pop("wrong", 0)
    sys.stdout.write(f"{options.worlds:,} worlds, {wrongly:,} counted wrongly\n")
    for what, number in seen.items():
        sys.stdout.write(f"{number:>9,}  {what}\n")
    return 1 if wrongly else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
