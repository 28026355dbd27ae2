"""The table of docs/security.md against the deliberate bugs: each test there proves something.

A test that is named beside a threat has to fail once the defence beside it is taken out. So each of
them is named by a bug that takes the defence out, and `make mutants` runs it against exactly those.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tests.simulation.mutation import ROOT, Mutation

TABLE = ROOT / "docs" / "security.md"

_ROW = re.compile(r"^\| (\d+) \|(.*)$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[^`]+::[^`]+)`")


def rows(text: str) -> dict[int, tuple[str, ...]]:
    """By the number of each threat, the tests that its row names."""
    return {int(number): tuple(_TEST.findall(row)) for number, row in _ROW.findall(text)}


def of_table(mutations: Iterable[Mutation]) -> list[Mutation]:
    """The bugs that take out a defence of the table: by their row's number, or by a test there."""
    named = {test for tests in rows(TABLE.read_text()).values() for test in tests}
    return [one for one in mutations if one.threat is not None or not named.isdisjoint(one.tests)]


def unproven(text: str, mutations: Iterable[Mutation]) -> list[str]:
    """What of the table no bug proves, and bugs that name a row without being named in it."""
    every = tuple(mutations)
    table = rows(text)
    bugs = {number: [one for one in every if one.threat == number] for number in table}
    caught = {test for one in every for test in one.tests}
    return [
        *(
            f"row {number}: no deliberate bug takes its defence out"
            for number, tests in table.items()
            if not bugs[number] and caught.isdisjoint(tests)
        ),
        *(
            f"row {number}: no deliberate bug makes {test} fail"
            for number, tests in table.items()
            for test in tests
            if test not in caught
        ),
        *_misplaced(table, every),
    ]


def _misplaced(table: Mapping[int, tuple[str, ...]], every: tuple[Mutation, ...]) -> list[str]:
    return [
        f"{one.name}: row {one.threat} does not name {test}"
        for one in every
        if one.threat is not None
        for test in one.tests
        if test not in table.get(one.threat, ())
    ]
