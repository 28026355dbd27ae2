"""What AWS may do to a call: access is never more than granted, and in the end exactly that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from entry_world import EDIT, GHOST, HOUR, LAB, MINUTE, OLD, POLICY, VIEW, World, role

from bot.aws.clients import EksClients
from bot.core.errors import TemporaryAwsProblem
from bot.core.model import EndReason, GrantState
from bot.core.removal import LATE_AFTER, late
from bot.reconcile.backoff import pause
from bot.sandbox import eks_rules
from bot.sandbox.eks import EksStandIn
from bot.sandbox.eks_faults import Faults

SECOND = timedelta(seconds=1)

FAULTS: dict[str, Callable[[Faults, str], object]] = {
    "is throttled": lambda faults, operation: faults.throttle(operation, times=2),
    "meets a fault of AWS": lambda faults, operation: faults.server_error(operation, times=2),
    "is cut off before it took effect": lambda faults, operation: faults.drop(operation),
    "took effect and its answer is lost": lambda faults, operation: faults.lose_answer(operation),
}


def give(world: World) -> None:
    world.ask("view", "a")


def widen(world: World) -> None:
    world.active("view", "a")
    world.ask("view", "b")


def narrow(world: World) -> None:
    world.active("view", "a", "b", length=3 * HOUR)
    world.give_back(world.active("view", "c"))


def take_one_policy(world: World) -> None:
    world.active("view", "a", length=3 * HOUR)
    world.give_back(world.active("edit", "a"))


def add_groups(world: World) -> None:
    world.active("deployer")
    world.ask("operator")


def take_groups(world: World) -> None:
    world.active("deployer", length=3 * HOUR)
    world.give_back(world.active("operator"))


def take_all(world: World) -> None:
    world.give_back(world.active("view", "a"))


READS = ("DescribeAccessEntry", "ListAssociatedAccessPolicies")
CALLS = [
    (give, "DescribeAccessEntry"),
    (give, "CreateAccessEntry"),
    (give, "AssociateAccessPolicy"),
    (give, "ListAssociatedAccessPolicies"),
    (widen, "AssociateAccessPolicy"),
    (narrow, "AssociateAccessPolicy"),
    (take_one_policy, "DisassociateAccessPolicy"),
    (add_groups, "UpdateAccessEntry"),
    (take_groups, "UpdateAccessEntry"),
    (take_all, "DeleteAccessEntry"),
    (take_all, "ListAssociatedAccessPolicies"),
]
PROPAGATING = [
    (scene, operation)
    for scene, operation in CALLS
    if operation not in READS and operation != "DisassociateAccessPolicy"
]


def named(scene: Callable[[World], None]) -> str:
    return scene.__name__ if callable(scene) else str(scene)


@pytest.mark.parametrize(
    ("scene", "operation", "fault"),
    [
        (scene, operation, fault)
        for scene, operation in CALLS
        for fault in FAULTS
        if scene in (give, take_all) or fault != "is throttled"  # which is as any error, and later
    ],
    ids=named,
)
def test_a_call_that_fails_delays_and_does_no_more(
    world: World, scene: Callable[[World], None], operation: str, fault: str
) -> None:
    scene(world)
    met = FAULTS[fault](world.eks.faults, operation)
    world.round()
    assert met.hits  # type: ignore[attr-defined] # a Fault
    world.settle()
    world.assert_union()


@pytest.mark.parametrize("reads", [1, 4])
@pytest.mark.parametrize(
    ("scene", "operation"),
    [*PROPAGATING, (take_one_policy, "DisassociateAccessPolicy")],
    ids=named,
)
def test_a_change_that_eks_shows_late_delays_and_does_no_more(
    world: World, scene: Callable[[World], None], operation: str, reads: int
) -> None:
    scene(world)
    world.eks.faults.propagation_delay(operation, reads=reads)
    world.settle()
    world.assert_union()


@pytest.mark.parametrize(("scene", "operation"), PROPAGATING, ids=named)
def test_an_answer_that_is_lost_and_a_change_that_shows_late_delay_and_do_no_more(
    world: World, scene: Callable[[World], None], operation: str
) -> None:
    scene(world)
    world.eks.faults.propagation_delay(operation, reads=3)
    world.eks.faults.lose_answer(operation)
    world.settle()
    world.assert_union()


def test_what_went_wrong_is_told_while_it_lasts_and_no_longer(world: World) -> None:
    grant_id = world.ask("view", "a")
    world.eks.faults.server_error("CreateAccessEntry")
    world.round()
    grant = world.grant(grant_id)
    assert grant.state is GrantState.PROVISIONING
    assert grant.problem is not None
    assert LAB in grant.problem
    assert "tries again" in grant.problem
    world.settle()
    assert world.grant(grant_id).problem is None


def test_an_answer_that_makes_no_sense_is_tried_again(world: World) -> None:
    grant_id = world.active("view", "a")
    world.give_back(grant_id)
    world.eks.faults.answer(200, "", "", operation="DescribeAccessEntry", times=3)
    world.round()
    grant = world.grant(grant_id)
    assert grant.state is GrantState.REVOKING
    assert grant.problem is not None
    assert "gave an answer that the bot cannot read for lab (KeyError)" in grant.problem
    world.settle()
    assert world.entry() is None


@contextmanager
def odd_client(world: World) -> Iterator[None]:
    """A client that has a fault of its own with each look at an access entry."""

    def fault(**_: Any) -> None:
        raise ValueError("odd")

    events = world.clients.for_cluster(POLICY.clusters_by_name[LAB]).meta.events
    events.register("before-call.eks.DescribeAccessEntry", fault)
    yield
    events.unregister("before-call.eks.DescribeAccessEntry", fault)


def test_a_fault_nobody_foresaw_ends_no_try(world: World) -> None:
    """Whatever goes wrong in the bot itself is logged and told."""
    grant_id = world.active("view", "a")
    world.give_back(grant_id)
    with odd_client(world):
        world.round()
    grant = world.grant(grant_id)
    assert grant.state is GrantState.REVOKING
    assert grant.problem is not None
    assert "unexpected error" in grant.problem
    world.settle()
    assert world.entry() is None


# How often


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(0, 0.25), (1, 0.25), (2, 0.5), (3, 1), (8, 32), (9, 60), (10, 60), (10**9, 60)],
)
def test_the_pause_doubles_up_to_a_minute(attempts: int, seconds: float) -> None:
    assert pause(attempts) == timedelta(seconds=seconds)


def test_the_loop_keeps_the_pauses_and_begins_anew_once_all_is_well(world: World) -> None:
    world.give_back(world.active("view", "a"))
    world.eks.faults.deny("DeleteAccessEntry", times=4)
    pauses = []
    for _ in range(4):
        world.round()
        pauses.append(world.next_due() - world.clock())
        world.clock.advance(pauses[-1])
    assert pauses == [pause(1), pause(2), pause(3), pause(4)]
    world.round()
    assert world.entry() is None
    world.ask("view", "a")
    world.eks.faults.throttle("CreateAccessEntry")
    world.round()
    assert world.next_due() - world.clock() == pause(1)


def test_a_new_wish_does_not_wait_for_the_pause(world: World) -> None:
    world.give_back(world.active("view", "a"))
    world.eks.faults.deny("DeleteAccessEntry", times=1)
    world.round()
    assert world.bot.due() == []
    world.ask("edit", "a")
    assert world.bot.due() != []


def test_a_bot_that_starts_does_not_wait_for_the_pause_of_the_last_one(world: World) -> None:
    world.give_back(world.active("view", "a"))
    world.eks.faults.deny("DeleteAccessEntry", times=9)
    for _ in range(8):
        world.round()
        world.clock.advance(world.next_due() - world.clock())
    world.round()
    assert world.bot.due() == []
    started = world.fresh_bot()
    world.round(started)
    assert world.entry() is None


def test_a_bot_that_starts_shortens_no_pause_that_comes_after(world: World) -> None:
    world.give_back(world.active("view", "a"))
    world.eks.faults.deny("DeleteAccessEntry", times=2)
    world.round()
    started = world.fresh_bot()
    world.round(started)
    assert world.next_due() - world.clock() == pause(2)
    assert started.due() == []


# Access denied


@pytest.mark.parametrize("operation", ["CreateAccessEntry", "AssociateAccessPolicy"])
def test_a_grant_that_aws_denies_fails_with_a_sentence_and_nothing_stays(
    world: World, operation: str
) -> None:
    world.eks.faults.deny(operation)
    grant_id = world.ask("view", "a")
    world.settle()
    assert world.entry() is None
    grant = world.grant(grant_id)
    assert (grant.state, grant.end_reason) == (GrantState.ENDED, EndReason.FAILED)
    assert grant.problem is not None
    assert "does not let the bot" in grant.problem
    assert LAB in grant.problem
    assert "docs/aws.md" in grant.problem
    assert "grant.confirmed" not in world.actions(grant_id)


def test_a_grant_fails_where_the_bot_may_not_even_look(world: World) -> None:
    world.eks.faults.deny("DescribeAccessEntry")
    grant_id = world.ask("view", "a")
    world.round()
    assert world.grant(grant_id).end_reason is EndReason.FAILED
    assert world.writes() == []
    world.eks.faults.clear()
    world.settle()
    assert world.state(grant_id) is GrantState.ENDED


@pytest.mark.parametrize("operation", ["DeleteAccessEntry", "DescribeAccessEntry"])
def test_a_revocation_goes_on_for_ever_and_succeeds_once_it_is_allowed(
    world: World, operation: str
) -> None:
    grant_id = world.active("view", "a")
    world.eks.faults.deny(operation)
    world.clock.advance(HOUR)
    for _ in range(12):
        world.round()
        assert world.state(grant_id) is GrantState.REVOKING
        assert world.next_due() - world.clock() <= MINUTE
        world.clock.advance(MINUTE)
    grant = world.grant(grant_id)
    assert late(grant, world.clock())
    assert grant.problem is not None
    assert "docs/aws.md" in grant.problem
    assert world.given() == {VIEW: ("a",)}
    world.clock.advance(timedelta(days=30))
    world.round()
    assert world.state(grant_id) is GrantState.REVOKING
    world.eks.faults.clear()
    world.clock.advance(MINUTE)
    world.round()
    assert world.entry() is None
    assert world.state(grant_id) is GrantState.ENDED
    assert world.grant(grant_id).end_reason is EndReason.EXPIRED


def test_narrowing_that_aws_denies_is_tried_until_it_is_allowed(world: World) -> None:
    world.active("view", "b", length=9 * HOUR - HOUR)
    first = world.active("view", "a")
    world.eks.faults.deny("AssociateAccessPolicy")
    world.give_back(first)
    for _ in range(10):
        world.round()
        world.clock.advance(MINUTE)
    assert world.state(first) is GrantState.REVOKING
    world.eks.faults.clear()
    world.settle()
    assert world.given() == {VIEW: ("b",)}


def test_a_grant_does_not_wait_for_the_removal_of_another_that_aws_denies(world: World) -> None:
    first = world.active("edit", "a")
    world.give_back(first)
    world.eks.faults.deny("DisassociateAccessPolicy")
    second = world.ask("view", "b")
    world.round()
    assert world.state(first) is GrantState.REVOKING
    assert world.state(second) is GrantState.ACTIVE, world.grant(second).problem
    world.eks.faults.clear()
    world.settle()
    world.assert_union()


def test_a_grant_is_not_given_up_because_the_removal_of_another_is_denied(world: World) -> None:
    world.give_back(world.active("edit", "a"))
    world.eks.faults.deny("DisassociateAccessPolicy")
    world.eks.faults.propagation_delay("AssociateAccessPolicy", reads=4)
    second = world.ask("view", "b")
    world.round()
    assert world.state(second) is GrantState.PROVISIONING, world.grant(second).problem
    assert world.grant(second).problem is None
    world.eks.faults.clear()
    world.settle()
    assert world.state(second) is GrantState.ACTIVE
    world.assert_union()


def test_a_policy_that_eks_does_not_know_fails_its_own_grant_alone(world: World) -> None:
    """EKS's list of access policies is not the same everywhere."""
    world.eks.faults.answer(
        404,
        "ResourceNotFoundException",
        eks_rules.ACCESS_POLICY_NOT_FOUND_MSG,
        operation="AssociateAccessPolicy",
        times=1,
    )
    unknown = world.ask("edit", "a")  # EKS is asked for AmazonEKSEditPolicy first
    known = world.ask("view", "a")
    world.settle()
    grant = world.grant(unknown)
    assert (grant.state, grant.end_reason) == (GrantState.ENDED, EndReason.FAILED)
    assert grant.problem is not None
    assert "policyArn could not be found" in grant.problem
    assert EDIT not in (world.given() or {})
    assert world.state(known) is GrantState.ACTIVE, world.grant(known).problem
    world.assert_union()


# Principals, clusters, limits


def refuse_principal(world: World, times: int | None) -> None:
    world.eks.faults.answer(
        400,
        "InvalidParameterException",
        eks_rules.INVALID_PRINCIPAL_MSG,
        operation="CreateAccessEntry",
        times=times,
    )


def test_a_role_made_a_moment_ago_is_waited_for(world: World) -> None:
    refuse_principal(world, times=5)
    grant_id = world.ask("view", "a")
    world.round()
    problem = world.grant(grant_id).problem
    assert problem is not None
    assert role("ana") in problem
    world.settle()
    assert world.state(grant_id) is GrantState.ACTIVE


def test_a_role_that_does_not_exist_is_given_up_after_two_minutes(world: World) -> None:
    refuse_principal(world, times=None)
    asked_at = world.clock()
    grant_id = world.ask("view", "a")
    world.settle()
    grant = world.grant(grant_id)
    assert (grant.state, grant.end_reason) == (GrantState.ENDED, EndReason.FAILED)
    assert grant.problem is not None
    assert "no valid principal" in grant.problem
    assert grant.revoking_since is not None
    assert 2 * MINUTE <= grant.revoking_since - asked_at < 3 * MINUTE + SECOND
    assert world.entry() is None


@pytest.mark.parametrize(
    ("cluster", "said"),
    [(OLD, "authenticationMode=API_AND_CONFIG_MAP"), (GHOST, "AWS knows no cluster ghost")],
)
def test_a_cluster_that_takes_no_entries_fails_the_grant_and_says_what_to_do(
    world: World, cluster: str, said: str
) -> None:
    grant_id = world.ask("view", "a", cluster=cluster)
    world.round()
    grant = world.grant(grant_id)
    assert grant.end_reason is EndReason.FAILED
    assert grant.problem is not None
    assert said in grant.problem
    assert world.writes() == []


@pytest.mark.parametrize("cluster", [OLD, GHOST])
def test_nothing_is_left_to_remove_on_a_cluster_that_takes_no_entries(
    world: World, cluster: str
) -> None:
    """So nobody is told for ever that a removal is late which has nothing to remove."""
    grant_id = world.ask("view", "a", cluster=cluster)
    world.settle()
    grant = world.grant(grant_id)
    assert (grant.state, grant.end_reason) == (GrantState.ENDED, EndReason.FAILED)
    assert not late(grant, world.clock())
    assert world.bot.due() == []
    assert world.writes() == []


def test_what_has_just_been_asked_for_there_fails_with_what_to_do_though_another_ends(
    world: World,
) -> None:
    first = world.ask("view", "a", cluster=OLD)
    world.round()
    second = world.ask("edit", "b", cluster=OLD)
    world.settle()
    assert world.state(first) is GrantState.ENDED
    grant = world.grant(second)
    assert grant.state is GrantState.ENDED
    assert grant.problem is not None
    assert "authenticationMode=API_AND_CONFIG_MAP" in grant.problem


def test_a_cluster_that_is_full_fails_the_grant_and_says_so(world: World) -> None:
    world.eks.faults.answer(
        400,
        "ResourceLimitExceededException",
        eks_rules.ACCESS_ENTRY_LIMIT_MSG.format(limit=3000),
        operation="CreateAccessEntry",
    )
    grant_id = world.ask("view", "a")
    world.settle()
    grant = world.grant(grant_id)
    assert (grant.state, grant.end_reason) == (GrantState.ENDED, EndReason.FAILED)
    assert grant.problem is not None
    assert "limit of access entries" in grant.problem


def test_a_cluster_deleted_under_a_live_grant_is_told_and_looked_for_until_it_answers(
    world: World,
) -> None:
    """Nobody can say that the access is gone while AWS does not show the cluster."""
    grant_id = world.active("view", "a")
    world.eks.delete_cluster(LAB)
    world.clock.advance(HOUR)
    world.round()
    world.clock.advance(LATE_AFTER)
    world.round()
    grant = world.grant(grant_id)
    assert grant.state is GrantState.REVOKING
    assert grant.problem is not None
    assert "may have been deleted" in grant.problem
    world.eks.create_cluster(LAB)
    world.settle()
    assert world.state(grant_id) is GrantState.ENDED


OTHER_ACCOUNT = "444455556666"


@pytest.fixture
def elsewhere(eks: EksStandIn) -> EksClients:
    """Clients of another account, in which there is a cluster of the same name."""
    eks.create_cluster(LAB, account=OTHER_ACCOUNT)
    clients = EksClients()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in eks.environment(OTHER_ACCOUNT).items():
            environment.setenv(name, value)
        with suppress(TemporaryAwsProblem):  # made while the environment is theirs, all the same
            clients.for_cluster(POLICY.clusters_by_name[LAB])
    return clients


def test_with_the_credentials_of_another_account_nothing_is_read_as_gone(
    world: World, elsewhere: EksClients
) -> None:
    """The one of the same name there holds nothing for the person."""
    grant_id = world.active("view", "a")
    right, world.clients = world.clients, elsewhere
    world.bot = world.fresh_bot()
    world.give_back(grant_id)
    for _ in range(3):
        world.round()
        world.clock.advance(LATE_AFTER)
    grant = world.grant(grant_id)
    assert grant.state is GrantState.REVOKING
    assert late(grant, world.clock())
    assert grant.problem is not None
    assert "credentials are of account 444455556666" in grant.problem
    assert world.given() == {VIEW: ("a",)}
    world.clients = right
    world.bot = world.fresh_bot()
    world.settle()
    assert world.state(grant_id) is GrantState.ENDED
    assert world.entry() is None


def test_with_the_credentials_of_another_account_nothing_is_given_there(
    world: World, elsewhere: EksClients
) -> None:
    right, world.clients = world.clients, elsewhere
    world.bot = world.fresh_bot()
    grant_id = world.ask("view", "a")
    for _ in range(3):
        world.round()
        world.clock.advance(LATE_AFTER)
    grant = world.grant(grant_id)
    assert grant.problem is not None
    assert "credentials are of account 444455556666" in grant.problem
    world.clients = right
    world.bot = world.fresh_bot()
    world.clock.advance(HOUR)
    world.settle()
    assert world.grant(grant_id).end_reason is EndReason.FAILED
    assert not world.writes()
    assert not world.eks.entries(LAB, account=OTHER_ACCOUNT)


# What AWS asks for

ASKED = pytest.mark.parametrize(
    ("headers", "waits"),
    [
        ({"Retry-After": "20"}, 20),
        ({"x-amz-retry-after": "20000"}, 20),
        ({"x-amz-retry-after": "1500", "Retry-After": "20"}, 1.5),
        ({"Retry-After": "86400"}, 60),
        ({"Retry-After": "soon"}, pause(1).total_seconds()),
    ],
)


@ASKED
@pytest.mark.parametrize("scene", [give, take_all], ids=named)
def test_aws_is_left_alone_for_as_long_as_it_asks_and_a_minute_at_most(
    world: World, scene: Callable[[World], None], headers: dict[str, str], waits: float
) -> None:
    """No removal waits longer at anybody's word."""
    scene(world)
    world.eks.faults.throttle("DescribeAccessEntry", headers=headers)
    world.round()
    assert world.next_due() - world.clock() == timedelta(seconds=waits)
    world.settle()
    world.assert_union()


def test_who_revokes_meanwhile_does_not_wait_for_it(world: World) -> None:
    grant_id = world.ask("view", "a")
    world.eks.faults.throttle("DescribeAccessEntry", headers={"Retry-After": "50"})
    world.round()
    world.revoke(grant_id)
    world.round()
    assert world.state(grant_id) is GrantState.ENDED
