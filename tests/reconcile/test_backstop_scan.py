"""The scan brings schedules and the store together: what is unknown, what comes and goes."""

from __future__ import annotations

import json

import pytest
from backstop_world import BACKSTOP, GROUP, POLICY, BackstopWorld
from drift_world import DriftWorld
from entry_world import ACCOUNT, DEPLOYMENT, DOCUMENT, HOUR, LAB, REGION, TERRAFORM, VIEW, role
from sqlalchemy import delete, update

from bot.core.backstop import name_of
from bot.core.policy import Policy
from bot.store import tables

WITHOUT = Policy.model_validate(DOCUMENT)


@pytest.fixture
def drift(backed: BackstopWorld) -> DriftWorld:
    return DriftWorld(backed, POLICY)


def forget_schedules(world: BackstopWorld) -> None:
    """As a store that was restored from a backup of before."""
    with world.database.transaction() as tx:
        tx.execute(delete(tables.backstops))
        tx.execute(update(tables.grants).values(state="ENDED"))
        tx.execute(delete(tables.associations))
        tx.execute(
            update(tables.entries).values(created=False, arn=None, due_at=None, deleting=False)
        )


def test_a_schedule_that_the_store_does_not_know_goes_with_the_next_scan(
    backed: BackstopWorld, drift: DriftWorld
) -> None:
    backed.active("view", "a")
    backed.quiet()
    forget_schedules(backed)
    assert len(backed.held()) == 1
    drift.scan(LAB)
    backed.quiet()
    assert backed.held() == ()
    assert backed.entry() is None


def test_a_schedule_that_is_left_over_beside_an_entry_of_others_goes_alone(
    backed: BackstopWorld, drift: DriftWorld
) -> None:
    backed.active("view", "a")
    backed.quiet()
    forget_schedules(backed)
    backed.eks.client("eks").delete_access_entry(clusterName=LAB, principalArn=role("ana"))
    backed.eks.put_entry(LAB, role("ana"), tags=TERRAFORM, policies={VIEW: ()})
    with backed.untouched():
        drift.scan(LAB)
        backed.quiet()
    assert backed.held() == ()


def test_schedules_that_are_not_of_this_deployments_making_are_left_alone(
    backed: BackstopWorld, drift: DriftWorld
) -> None:
    backed.active("view", "a")
    backed.quiet()
    client = backed.eks.client("scheduler")
    (held,) = backed.held()
    others = {
        "somebodys-own",
        name_of("another", LAB, role("ana"), backed.identity),
        name_of(DEPLOYMENT, LAB, role("ben"), "another store"),
        f"{held.name[:30]}x",
    }
    hit = json.dumps({"ClusterName": LAB, "PrincipalArn": role("ben")})
    target = {**held.form["Target"], "Input": hit}
    for name in others:
        client.create_schedule(**{**held.form, "Name": name, "Target": target})
    drift.scan(LAB)
    backed.quiet()
    assert {one.name for one in backed.held()} == others | {held.name}


def test_a_known_schedule_is_not_taken_for_left_over(
    backed: BackstopWorld, drift: DriftWorld
) -> None:
    backed.active("view", "a")
    backed.quiet()
    before = backed.held()
    drift.scan(LAB)
    backed.quiet()
    assert backed.held() == before


def test_a_scan_sees_a_cluster_whole_though_its_schedules_cannot_be_read(
    backed: BackstopWorld, drift: DriftWorld
) -> None:
    backed.eks.faults.deny("ListSchedules")
    drift.scan(LAB)
    assert drift.state_of().scanned_at == backed.clock()


def test_access_that_was_live_before_there_was_a_backstop_gets_one(
    backed: BackstopWorld, drift: DriftWorld
) -> None:
    backed.policy = WITHOUT
    grant_id = backed.active("view", "a", length=3 * HOUR)
    backed.quiet()
    assert backed.held() == ()
    drift.scan(LAB)
    backed.quiet()
    assert backed.schedules() == {"ana": backed.grant(grant_id).ends_at + 10 * HOUR / 60}


def test_a_backstop_that_is_taken_out_of_the_policy_takes_its_schedules_along(
    backed: BackstopWorld, drift: DriftWorld
) -> None:
    grant_id = backed.active("view", "a")
    backed.quiet()
    drift.policy = WITHOUT
    drift.scan(LAB)
    backed.quiet()
    assert backed.held() == ()
    assert backed.given() == {VIEW: ("a",)}
    assert backed.grant(grant_id).problem is None


def test_a_group_that_is_gone_with_its_schedules_gives_way_to_the_one_of_the_policy(
    backed: BackstopWorld, drift: DriftWorld
) -> None:
    backed.active("view", "a", length=3 * HOUR)
    backed.quiet()
    (before,) = backed.held()
    new = Policy.model_validate({**DOCUMENT, "backstop": {**BACKSTOP, "group": "new"}})
    backed.policy = drift.policy = new
    backed.eks.scheduler.create_group("new", REGION, ACCOUNT)
    backed.eks.scheduler.delete_group(GROUP, REGION, ACCOUNT)
    backed.clock.advance(HOUR)
    drift.scan(LAB)
    backed.quiet()
    (after,) = backed.held()
    assert (after.group, after.name, after.at) == ("new", before.name, before.at)
    assert DEPLOYMENT
