"""The planner against a model of EKS that is slow to show, fails, and is shared with others."""

from __future__ import annotations

from datetime import timedelta

import pytest
from entry_model import Fault, MemoryKeeper, World
from entry_stories import EDIT, VIEW, Step, lags, lose_the_record, round_with, stories, tell, wait
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.model import Access, AccessScope, Standing

A, AB = Access(VIEW, AccessScope.of(["a"])), Access(VIEW, AccessScope.of(["a", "b"]))
WITH_GROUP = Access(None, AccessScope.cluster(), frozenset({"g"}))


@settings(max_examples=100, deadline=None)
@given(standing=st.sampled_from(Standing), lag=lags, story=stories)
def test_eks_comes_to_hold_exactly_the_union_of_live_grants_beside_what_is_foreign(
    standing: Standing, lag: timedelta, story: list[Step]
) -> None:
    tell(World(MemoryKeeper(), standing=standing, lag=lag), story)


# Stories that take chance too long to find.
TOLD: dict[str, list[Step]] = {
    "a grant ends while the entry it made is not to be seen": [
        (World.grant, A),
        (World.grant, WITH_GROUP),
        (round_with, []),
        (World.end, 1),
    ],
    "a policy is given up while its association is not to be seen": [
        (World.grant, A),
        (World.grant, Access(EDIT, AccessScope.cluster())),
        (round_with, []),
        (World.end, 1),
    ],
    "a scope is narrowed while the wider one is not to be seen": [
        (World.grant, A),
        (World.grant, AB),
        (round_with, []),
        (World.end, 1),
    ],
    "taking a group away fails": [
        (World.grant, A),
        (World.grant, WITH_GROUP),
        (round_with, []),
        (wait, 31),
        (round_with, []),
        (World.end, 1),
        (round_with, [Fault.CRASH_BEFORE]),
    ],
    "a group is given again while taking it away is not to be seen": [
        (World.grant, A),
        (World.grant, WITH_GROUP),
        (round_with, []),
        (wait, 31),
        (round_with, []),
        (World.end, 1),
        (round_with, []),
        (World.grant, WITH_GROUP),
        (round_with, []),
    ],
    "narrowing fails while the wider scope is not to be seen": [
        (World.grant, A),
        (round_with, []),
        (wait, 31),
        (round_with, []),
        (World.grant, AB),
        (round_with, []),
        (World.end, 1),
        (round_with, [Fault.REFUSED]),
    ],
    "the database is restored to before the grant": [
        (World.grant, A),
        (round_with, []),
        (lose_the_record,),
        (round_with, []),
        (wait, 2),
        (round_with, []),
    ],
    "the database is restored and the grant has ended": [
        (World.grant, A),
        (round_with, []),
        (World.end, 0),
        (lose_the_record,),
    ],
}


@pytest.mark.parametrize("lag", [0, 3, 20])
@pytest.mark.parametrize("name", TOLD)
def test_it_comes_out_right_where(name: str, lag: int) -> None:
    world = World(MemoryKeeper(), standing=Standing.REFUSE, lag=timedelta(seconds=lag))
    tell(world, TOLD[name])
