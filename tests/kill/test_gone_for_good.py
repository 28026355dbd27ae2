"""The bot is killed and never comes back: EventBridge Scheduler ends the access all the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from bot_process import PATIENCE_SECONDS, until
from kill_world import CLUSTER, POLICY, Case, World

from bot.core.lifecycle import PROVISION_WITHIN
from bot.sandbox.stage import LAB_ACCOUNT, set_up_backstop

REGION = "eu-west-1"
AFTER = timedelta(minutes=10)
BACKSTOP = """\
backstop:
  role: "arn:aws:iam::{account}:role/eks-access-backstop"
  group: eks-access
  after: 10m
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A bot with a backstop, and the EKS and EventBridge Scheduler that will outlive it."""
    url = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql")
        url = server.url_of(server.create_migrated())
    with World(url) as world:
        world.stage.policy_file.write_text(POLICY + BACKSTOP)
        set_up_backstop(world.stage.eks, LAB_ACCOUNT, REGION, deployment="kill")
        world.start()
        yield world


def wait_active(case: Case, length: str) -> None:
    assert case.ask_reader(length).acknowledged
    until(lambda: states(case) == {"ACTIVE"}, case.world.all_logs)


def states(case: Case) -> set[str]:
    rows = case.world.rows("SELECT state FROM grants WHERE requester = :who", who=case.ana.id)
    return {row.state for row in rows}


def test_access_ends_after_the_bot_was_killed_for_good(world: World) -> None:
    """Of two people one has an entry by then that somebody else made: that one stays."""
    case, other = world.begin(), world.begin()
    wait_active(case, "1h")
    wait_active(other, "1h")
    eks = world.stage.eks
    until(lambda: len(eks.scheduler.schedules()) == 2, world.all_logs)
    world.kill()
    eks.client("eks").delete_access_entry(clusterName=CLUSTER, principalArn=other.principal)
    eks.put_entry(CLUSTER, other.principal, REGION, tags={"managed-by": "terraform"})

    fires = {one.hit["PrincipalArn"]: one.at for one in eks.scheduler.schedules()}
    world.stage.advance(min(fires.values()) - world.stage.clock() - timedelta(seconds=30))
    eks.scheduler.fire_due()
    assert eks.entry(CLUSTER, case.principal, REGION) is not None
    world.stage.advance(max(fires.values()) - world.stage.clock())
    fired = eks.scheduler.fired
    assert eks.wait_for(lambda: len(fired) == 2, PATIENCE_SECONDS)
    assert {(one.principal_arn, one.outcome) for one in fired} == {
        (case.principal, "deleted"),
        (other.principal, "denied"),
    }
    assert eks.entry(CLUSTER, case.principal, REGION) is None
    assert eks.entry(CLUSTER, other.principal, REGION) is not None
    assert eks.scheduler.schedules() == ()
    assert world.processes == []


def test_access_given_back_just_before_the_bot_dies_goes_at_its_end_at_the_latest(
    world: World,
) -> None:
    case = world.begin()
    wait_active(case, "2h")
    eks = world.stage.eks
    eks.faults.deny("DeleteAccessEntry", principal=case.principal)
    assert case.do("return {}").acknowledged
    until(lambda: states(case) == {"REVOKING"}, world.all_logs)
    world.kill()
    # The latest end there can be counts until the access is confirmed and its schedule moved.
    world.stage.advance(timedelta(hours=2) + PROVISION_WITHIN + AFTER + timedelta(minutes=1))
    assert eks.wait_for(lambda: bool(eks.scheduler.fired), PATIENCE_SECONDS)
    assert eks.entry(CLUSTER, case.principal, REGION) is None
