"""What EKS shows late, and time that passes in the middle of a round."""

from __future__ import annotations

from typing import Any

import pytest
from entry_world import HOUR, World

from bot.core.lifecycle import PROVISION_WITHIN
from bot.core.model import EndReason, GrantState

Asked = tuple[str, ...]

REMOVALS: dict[str, tuple[Asked | None, Asked]] = {
    "DeleteAccessEntry": (None, ("view", "a")),
    "DisassociateAccessPolicy": (("edit", "a"), ("view", "a")),
    "AssociateAccessPolicy": (("view", "b"), ("view", "a")),
    "UpdateAccessEntry": (("deployer",), ("operator",)),
}
"""What stays and what goes, by the call that takes it away."""


@pytest.mark.parametrize("reads", [3, 5, 8])
@pytest.mark.parametrize("call", REMOVALS)
def test_access_asked_for_again_before_eks_shows_that_it_is_gone_is_given_again(
    world: World, call: str, reads: int
) -> None:
    """What EKS shows then is what was; nothing may be called active on the strength of it."""
    stays, goes = REMOVALS[call]
    if stays is not None:
        world.ask(*stays, length=3 * HOUR)
    world.give_back(world.active(*goes))
    world.eks.faults.propagation_delay(call, reads=reads)
    world.round()
    again = world.ask(*goes, length=3 * HOUR)
    world.settle()
    assert world.state(again) is GrantState.ACTIVE
    world.assert_union()


def passes(world: World, operation: str, time: Any) -> Any:
    """Let time pass while EKS works on a call. Returns what ends that."""

    def told(call: Any) -> None:
        if call.operation == operation:
            world.clock.advance(time)

    return world.eks.subscribe(told)


def test_access_whose_time_to_be_given_is_over_in_the_middle_of_a_round_is_not_begun(
    world: World,
) -> None:
    grant_id = world.ask("view", "a")
    stop = passes(world, "DescribeAccessEntry", PROVISION_WITHIN)
    world.round()
    stop()
    assert world.writes() == []
    world.settle()
    assert world.grant(grant_id).end_reason is EndReason.FAILED


def test_access_whose_end_comes_in_the_middle_of_a_round_is_not_made_anew(world: World) -> None:
    """Somebody deleted the entry, and its last moment is no time to make it again."""
    grant_id = world.active("view", "a")
    entry = world.entry()
    assert entry is not None
    world.eks.client("eks").delete_access_entry(
        clusterName=entry.cluster, principalArn=entry.principal_arn
    )
    before = world.writes()
    stop = passes(world, "DescribeAccessEntry", HOUR)
    world.look_again(grant_id)
    stop()
    assert world.writes() == before
    world.settle()
    assert world.state(grant_id) is GrantState.ENDED
