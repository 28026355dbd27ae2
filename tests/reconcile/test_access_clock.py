"""The clock is wrong for a while, and then set right: access still ends on time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from entry_world import HOUR, World

from bot.core.errors import Conflict, Refused
from bot.core.model import GrantState
from bot.core.removal import LATE_AFTER, late

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def left(world: World, grant_id: str) -> timedelta:
    """How long the access still lasts, to the minute: EKS takes a moment to show it."""
    return MINUTE * round((world.grant(grant_id).ends_at - world.clock()) / MINUTE)


def test_access_confirmed_while_the_clock_was_ahead_ends_after_its_length_of_time(
    world: World,
) -> None:
    world.clock.advance(DAY)
    grant_id = world.active("view", "default")
    world.clock.advance(-DAY)
    world.round()
    grant = world.grant(grant_id)
    assert grant.ends_at - world.clock() <= HOUR
    assert "grant.shortened" in world.actions(grant_id)
    world.clock.advance(HOUR)
    world.settle()
    assert world.state(grant_id) is GrantState.ENDED
    assert world.entry() is None


def test_a_removal_put_off_while_the_clock_was_ahead_is_tried_again_at_once(world: World) -> None:
    grant_id = world.active("view", "default")
    world.clock.advance(DAY)
    world.eks.faults.throttle("DeleteAccessEntry", times=20)
    world.round()
    assert world.state(grant_id) is GrantState.REVOKING
    world.eks.faults.clear()
    world.clock.advance(2 * HOUR - DAY)
    world.settle()
    assert world.state(grant_id) is GrantState.ENDED
    assert world.entry() is None


def test_a_removal_begun_while_the_clock_was_ahead_is_late_as_soon_as_any_other(
    world: World,
) -> None:
    grant_id = world.active("view", "default")
    world.clock.advance(DAY)
    world.eks.faults.throttle("DeleteAccessEntry", times=None)
    world.round()
    world.clock.advance(2 * HOUR - DAY)
    world.round()
    begun = world.clock()
    assert world.grant(grant_id).revoking_since == begun
    assert "grant.set_right" in world.actions(grant_id)
    world.clock.advance(LATE_AFTER)
    assert late(world.grant(grant_id), world.clock())
    world.eks.faults.clear()
    world.settle()
    assert world.state(grant_id) is GrantState.ENDED


def test_access_given_back_while_the_clock_was_ahead_goes_at_once(world: World) -> None:
    grant_id = world.active("view", "default", length=3 * HOUR)
    world.clock.advance(2 * HOUR)
    world.give_back(grant_id)
    world.clock.advance(-2 * HOUR)
    world.round()
    assert world.state(grant_id) is GrantState.ENDED
    assert world.entry() is None


def test_access_asked_for_while_the_clock_was_ahead_is_given_at_once(world: World) -> None:
    world.clock.advance(DAY)
    grant_id = world.ask("view", "default")
    world.clock.advance(-DAY)
    world.round()
    assert world.given() == {"AmazonEKSViewPolicy": ("default",)}
    assert "grant.confirmed" in world.actions(grant_id)


def test_an_extension_made_while_the_clock_was_ahead_counts_towards_the_rules_maximum(
    world: World,
) -> None:
    world.clock.advance(DAY)
    first = world.active("view", "default", length=2 * HOUR)
    world.clock.advance(HOUR)
    longer = world.extend(first)
    world.settle()
    world.clock.advance(-DAY)
    world.round()
    assert left(world, longer) == 2 * HOUR
    for more in (28 * HOUR, 6 * HOUR):
        with pytest.raises(Refused) as refused:
            world.extend(longer, more)
        assert "gives at most 8 h" in refused.value.sentence
    longest = world.extend(longer, 5 * HOUR - MINUTE)
    world.settle()
    assert left(world, longest) == 7 * HOUR - MINUTE


def test_access_is_not_extended_from_an_end_that_is_still_to_be_set_right(world: World) -> None:
    world.clock.advance(DAY)
    first = world.active("view", "default")
    world.clock.advance(-DAY)
    with pytest.raises(Conflict) as refused:
        world.extend(first)
    assert refused.value.code == "clock_was_ahead"
    world.round()
    longer = world.extend(first)
    world.settle()
    assert left(world, longer) == 2 * HOUR
