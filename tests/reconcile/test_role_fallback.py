"""The role that reaches a cluster is replaced in the policy file while access is live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from backstop_world import BACKSTOP, BackstopWorld
from entry_world import ACCOUNT, DOCUMENT, HOUR, MINUTE, VIEW, World

from bot.aws.clients import EksClients
from bot.core.model import EndReason, GrantState
from bot.core.policy import Policy
from bot.sandbox.eks import EksStandIn
from bot.store import entries, grants
from bot.store.database import Database

OLD = f"arn:aws:iam::{ACCOUNT}:role/eks-access-old"
NEW = f"arn:aws:iam::{ACCOUNT}:role/eks-access-new"


def reached_by(role: str | None, **changes: str) -> Policy:
    """The policy, with a role that reaches the lab."""
    return Policy.model_validate(document(role, **changes))


def document(role: str | None, **changes: str) -> dict[str, Any]:
    lab, *others = DOCUMENT["clusters"]
    if role is not None:
        lab = lab | {"assume_role": role}
    return {**DOCUMENT, "clusters": [lab | changes, *others]}


@pytest.fixture
def world(
    make_world: Callable[[Policy], World], eks: EksStandIn, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """A world in which the lab is reached by the old role, and calls assume roles anew."""
    for name, value in eks.environment().items():
        monkeypatch.setenv(name, value)
    world = make_world(reached_by(OLD))
    restart(world)
    yield world
    eks.faults.clear()


def restart(world: World) -> None:
    """The sessions of the roles are over."""
    world.clients = EksClients()
    world.bot = world.fresh_bot()


def role_of(world: World, grant_id: str) -> str | None:
    with world.database.reading() as tx:
        entry_id = grants.entry_of(tx, grant_id)
        assert entry_id is not None
        return entries.get(tx, entry_id, world.clock()).cluster.assume_role


@pytest.mark.parametrize("role", [NEW, None])
def test_where_the_role_of_the_row_is_refused_the_policys_ends_the_access(
    world: World, role: str | None
) -> None:
    grant_id = world.active("view", "a")
    world.policy = reached_by(role)
    restart(world)
    world.eks.faults.deny("AssumeRole", principal=OLD)
    world.clock.advance(HOUR)
    world.settle()
    assert world.grant(grant_id).end_reason is EndReason.EXPIRED
    assert world.entry() is None
    assert role_of(world, grant_id) == role, "the next look takes it at once"


def test_where_no_row_named_a_role_and_the_account_is_another_now_the_policys_is_tried(
    world: World,
) -> None:
    world.policy = reached_by(None)
    restart(world)
    grant_id = world.active("view", "a")
    world.policy = reached_by(NEW)
    restart(world)
    world.eks.faults.deny("DescribeAccessEntry", times=1)
    world.give_back(grant_id)
    world.settle()
    assert world.entry() is None
    assert role_of(world, grant_id) == NEW


def test_a_role_that_may_read_and_not_take_away_is_replaced_as_well(world: World) -> None:
    grant_id = world.active("view", "a")
    world.policy = reached_by(NEW)
    world.eks.faults.deny("DeleteAccessEntry", times=1)
    world.give_back(grant_id)
    world.round()
    assert world.state(grant_id) is GrantState.ENDED
    assert world.entry() is None


def test_the_role_of_the_row_is_kept_while_it_does(world: World) -> None:
    """The policy file may name one that is not there yet."""
    grant_id = world.active("view", "a")
    world.policy = reached_by(NEW)
    restart(world)
    world.eks.faults.deny("AssumeRole", principal=NEW)
    world.give_back(grant_id)
    world.settle()
    assert world.entry() is None
    assert role_of(world, grant_id) == OLD


def test_where_both_are_refused_the_row_keeps_its_own_and_it_is_tried_on(world: World) -> None:
    grant_id = world.active("view", "a")
    world.policy = reached_by(NEW)
    restart(world)
    world.eks.faults.deny("AssumeRole")
    world.give_back(grant_id)
    world.round()
    grant = world.grant(grant_id)
    assert grant.state is GrantState.REVOKING
    assert NEW in (grant.problem or ""), "whoever mends it reads the role that is to work"
    assert role_of(world, grant_id) == OLD
    world.eks.faults.clear()
    world.clock.advance(MINUTE)
    world.settle()
    assert world.entry() is None


def test_a_role_that_may_take_away_no_more_than_the_rows_is_not_kept(world: World) -> None:
    grant_id = world.active("view", "a")
    world.policy = reached_by(NEW)
    world.eks.faults.deny("DeleteAccessEntry")
    world.give_back(grant_id)
    world.round()
    assert world.state(grant_id) is GrantState.REVOKING
    assert role_of(world, grant_id) == OLD


@pytest.mark.parametrize("change", [{"region": "eu-central-1"}, {"account": "444455556666"}])
def test_a_cluster_of_the_same_name_elsewhere_tells_nothing(
    world: World, change: dict[str, str]
) -> None:
    grant_id = world.active("view", "a")
    world.policy = reached_by(NEW.replace(ACCOUNT, change.get("account", ACCOUNT)), **change)
    restart(world)
    world.eks.faults.deny("AssumeRole", principal=OLD)
    world.give_back(grant_id)
    world.round()
    assert world.state(grant_id) is GrantState.REVOKING
    assert role_of(world, grant_id) == OLD
    assert world.given() == {VIEW: ("a",)}


def test_a_schedule_that_is_left_goes_by_the_policys_role_too(
    database: Database, eks: EksStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in eks.environment().items():
        monkeypatch.setenv(name, value)
    old, new = (Policy.model_validate(document(one) | {"backstop": BACKSTOP}) for one in (OLD, NEW))
    world = BackstopWorld(database, eks, EksClients(), old)
    world.give_back(world.active("view", "a"))
    World.round(world)  # the access loop alone
    assert world.entry() is None
    assert world.schedules()
    world.policy = new
    restart(world)
    world.keeper = world.fresh_keeper()
    eks.faults.deny("AssumeRole", principal=OLD)
    world.keep()
    assert not world.schedules()
