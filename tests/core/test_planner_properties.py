"""The planner against a model of EKS that is slow to show, fails, and is shared with others."""

from __future__ import annotations

from datetime import timedelta

import pytest
from entry_model import MemoryKeeper, World
from entry_stories import TOLD, Step, lags, stories, tell
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.model import Standing


@settings(max_examples=50)
@given(standing=st.sampled_from(Standing), lag=lags, story=stories)
def test_eks_comes_to_hold_exactly_the_union_of_live_grants_beside_what_is_foreign(
    standing: Standing, lag: timedelta, story: list[Step]
) -> None:
    tell(World(MemoryKeeper(), standing=standing, lag=lag), story)


@pytest.mark.parametrize("lag", [0, 3, 20])
@pytest.mark.parametrize("name", TOLD)
def test_it_comes_out_right_where(name: str, lag: int) -> None:
    world = World(MemoryKeeper(), standing=Standing.REFUSE, lag=timedelta(seconds=lag))
    tell(world, TOLD[name])
