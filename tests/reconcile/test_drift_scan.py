"""Clusters are read whole: what is ours and unknown goes, and what is not ours is only read."""

from __future__ import annotations

import threading
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pytest
from drift_world import CLUSTER, EVERY, OURS, DriftWorld
from entry_world import (
    DOCUMENT,
    EDIT,
    GHOST,
    HOUR,
    LAB,
    MINUTE,
    OLD,
    OPEN,
    POLICY,
    ROOT,
    TERRAFORM,
    VIEW,
    World,
    role,
)
from structlog.testing import capture_logs

from bot.core.model import EndReason, GrantState
from bot.core.planner import DEPLOYMENT_TAG, GRANT_TAG
from bot.core.policy import Policy
from bot.reconcile.drift_scan import DriftScanner
from bot.reconcile.pace import Pace, Stopped
from bot.store.claims import Claims


@pytest.fixture
def drift(world: World) -> DriftWorld:
    return DriftWorld(world)


# What is ours and unknown


def test_an_entry_of_ours_that_the_store_does_not_know_is_removed_and_told(
    drift: DriftWorld,
) -> None:
    drift.put("ana", tags=OURS, policies={ROOT: ()}, kubernetes_groups=["admins"])
    drift.scan()
    assert drift.world.entry() is None
    assert drift.events() == [("orphan", "ana")]
    drift.next_scan()
    assert drift.open() == {}
    assert drift.events() == [("orphan", "ana")]


FOREIGN: dict[str, dict[str, Any]] = {
    "terraform": {
        "tags": TERRAFORM,
        "policies": {VIEW: ["b"], ROOT: ()},
        "kubernetes_groups": ["x"],
    },
    "creator": {"tags": {}, "policies": {ROOT: ()}},
    "another": {"tags": OURS | {DEPLOYMENT_TAG: "another"}, "policies": {VIEW: ["a"]}},
    "upper": {"tags": OURS | {DEPLOYMENT_TAG: OURS[DEPLOYMENT_TAG].upper()}},
    "half": {"tags": {DEPLOYMENT_TAG: OURS[DEPLOYMENT_TAG]}, "policies": {VIEW: ["a"]}},
    "made-up": {"tags": OURS | {GRANT_TAG: "yes"}, "policies": {VIEW: ["a"]}},
    "small": {"tags": OURS | {GRANT_TAG: "7k3-qmx"}, "policies": {VIEW: ["a"]}},
    "no-value": {"tags": OURS | {GRANT_TAG: ""}, "policies": {VIEW: ["a"]}},
    "node": {"tags": OURS, "type": "EC2_LINUX"},
    "empty": {"tags": {}},
}


def test_entries_of_others_are_bit_for_bit_the_same_after_many_scans(drift: DriftWorld) -> None:
    for name, entry in FOREIGN.items():
        for cluster in (LAB, OPEN):
            drift.put(name, cluster, **entry)
    drift.world.active("view", "a", who="ana")
    drift.put("orphan", tags=OURS, policies={ROOT: ()})
    before = {
        (one.cluster, one.principal_arn): asdict(one)
        for one in drift.eks.all_entries()
        if one.principal_arn.rpartition("/")[2] in FOREIGN
    }
    assert len(before) == 2 * len(FOREIGN)
    for _ in range(3):
        drift.next_scan()
    drift.clock.advance(timedelta(days=2))
    drift.scan()
    after = {(one.cluster, one.principal_arn): asdict(one) for one in drift.eks.all_entries()}
    assert after == before
    assert [one for one in drift.events() if one[1] != "orphan"] == []


def test_an_entry_with_the_tag_of_this_deployment_and_no_grants_is_named_in_the_log(
    drift: DriftWorld,
) -> None:
    drift.put("half", **FOREIGN["half"])
    drift.put("another", **FOREIGN["another"])
    with capture_logs() as logged:
        drift.scan()
    said = [one for one in logged if "left alone" in one["event"]]
    assert [(one["cluster"], one["principal"]) for one in said] == [(LAB, role("half"))]


def test_without_a_policy_nothing_unknown_is_removed(drift: DriftWorld) -> None:
    """What the deployment is called is not known then."""
    drift.world.active("view", "a")
    drift.put("ben", tags=OURS, policies={ROOT: ()})
    drift.policy = None
    drift.scan()
    assert drift.state_of().scanned_at is not None
    assert drift.world.given("ben") == {ROOT: ()}


def test_a_cluster_taken_out_of_the_policy_is_read_as_long_as_it_has_a_live_grant(
    drift: DriftWorld,
) -> None:
    grant_id = drift.world.active("view", "a", cluster=OPEN)
    drift.policy = Policy.model_validate({**DOCUMENT, "clusters": DOCUMENT["clusters"][:1]})
    assert {one.name for one in drift.scanner.due()} == {LAB, OPEN}
    drift.scan()
    drift.clock.advance(MINUTE)
    drift.eks.client("eks").delete_access_entry(clusterName=OPEN, principalArn=role("ana"))
    drift.next_scan()
    assert drift.world.grant(grant_id).end_reason is EndReason.REMOVED
    drift.next_scan()
    assert {one.name for one in drift.scanner.due()} == set()
    drift.clock.advance(EVERY)
    assert {one.name for one in drift.scanner.due()} == {LAB}


# What others changed is found without anybody asking


def test_a_scan_has_every_live_entry_looked_at(drift: DriftWorld) -> None:
    people = {
        who: drift.world.active("view", "a", who=who, length=2 * HOUR)
        for who in ("ana", "ben", "cleo")
    }
    drift.scan()
    drift.clock.advance(MINUTE)
    drift.eks.client("eks").delete_access_entry(clusterName=LAB, principalArn=role("ben"))
    drift.next_scan()
    assert drift.events() == [("gone", "ben")]
    assert drift.world.grant(people["ben"]).end_reason is EndReason.REMOVED
    assert drift.world.state(people["ana"]) is GrantState.ACTIVE


def test_a_scan_does_not_hurry_an_entry_that_is_being_tried_again(drift: DriftWorld) -> None:
    grant_id = drift.world.active("view", "a")
    drift.eks.faults.deny("DeleteAccessEntry")
    drift.world.give_back(grant_id)
    drift.world.round()
    due = drift.world.next_due()
    for cluster in drift.scanner.due():
        drift.scanner.scan(cluster)
    assert drift.world.next_due() == due


def test_while_access_is_given_and_taken_scans_find_nothing(drift: DriftWorld) -> None:
    for number in range(4):
        drift.world.ask("view", "a", who=f"p{number}", length=(number + 1) * 10 * MINUTE)
    for _ in range(6):
        drift.scan()
        drift.clock.advance(10 * MINUTE)
    assert drift.events() == []
    assert list(drift.eks.all_entries()) == []


# When


def test_every_cluster_is_read_at_the_start_then_at_intervals(drift: DriftWorld) -> None:
    named = {one.name for one in POLICY.clusters}
    assert {one.name for one in drift.scanner.due()} == named
    drift.scan()
    assert drift.scanner.due() == []
    drift.restart()
    assert {one.name for one in drift.scanner.due()} == {LAB, OPEN}, "the others just failed"
    drift.scan()
    drift.clock.advance(EVERY - timedelta(seconds=1))
    assert {one.name for one in drift.scanner.due()} == {OLD, GHOST}
    drift.clock.advance(1)
    assert {one.name for one in drift.scanner.due()} == named


def test_a_clock_that_was_ahead_does_not_put_a_scan_off(drift: DriftWorld) -> None:
    drift.clock.advance(timedelta(days=300))
    drift.scan()
    drift.clock.advance(-timedelta(days=300))
    assert LAB in {one.name for one in drift.scanner.due()}


@pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
def test_while_one_worker_reads_a_cluster_another_leaves_it_alone(drift: DriftWorld) -> None:
    """On SQLite there is one process with one set of claims; on PostgreSQL, two replicas."""
    drift.put("terraform", tags=TERRAFORM)
    drift.eks.faults.delay(30, "DescribeAccessEntry", cluster=LAB)
    others = drift.scanner if drift.database.is_sqlite else drift.fresh_scanner()
    first = threading.Thread(target=drift.scanner.scan, args=(CLUSTER,))
    first.start()
    assert drift.eks.wait_for(lambda: bool(drift.eks.calls_of("DescribeAccessEntry")), 10)
    before = len(drift.eks.calls)
    others.scan(CLUSTER)
    assert len(drift.eks.calls) == before
    drift.eks.faults.clear()
    first.join(10)
    assert drift.state_of().scanned_at is not None
    others.scan(CLUSTER)
    assert len(drift.eks.calls_of("ListAccessEntries")) == 1, "it was read a moment ago"


def test_two_replicas_that_find_the_same_orphan_remove_it_once_and_tell_it_once(
    drift: DriftWorld,
) -> None:
    drift.put("ana", tags=OURS, policies={VIEW: ()})
    other = drift.fresh_scanner()
    drift.scanner.scan(CLUSTER)
    drift.clock.advance(EVERY)
    other.scan(CLUSTER)
    drift.world.settle()
    drift.world.round()
    assert drift.world.entry() is None
    assert drift.events() == [("orphan", "ana")]
    assert drift.world.writes() == ["DeleteAccessEntry"]


# Where a cluster cannot be read


def scan_one(drift: DriftWorld, name: str) -> tuple[str, timedelta]:
    """Scan a cluster that cannot be read. Returns what is said, and when it is tried again."""
    drift.scan(name)
    state = drift.state_of(POLICY.clusters_by_name[name])
    assert state.scanned_at is None
    assert state.problem is not None
    return state.problem, state.due_at - drift.clock()


def test_a_cluster_that_is_gone_is_said_and_tried_at_the_next_time(drift: DriftWorld) -> None:
    said, again = scan_one(drift, GHOST)
    assert "AWS knows no cluster ghost" in said
    assert again == EVERY


def test_a_cluster_in_config_map_mode_is_said_and_tried_at_the_next_time(drift: DriftWorld) -> None:
    said, again = scan_one(drift, OLD)
    assert "CONFIG_MAP" in said
    assert again == EVERY


def test_a_cluster_is_left_alone_for_as_long_as_aws_asks(drift: DriftWorld) -> None:
    drift.eks.faults.throttle("ListAccessEntries", headers={"Retry-After": "45"})
    _, again = scan_one(drift, LAB)
    assert again == timedelta(seconds=45)


@pytest.mark.parametrize("operation", ["ListAccessEntries", "DescribeAccessEntry"])
def test_access_denied_is_said_with_what_is_missing(drift: DriftWorld, operation: str) -> None:
    drift.put("terraform", tags=TERRAFORM)
    drift.eks.faults.deny(operation)
    said, again = scan_one(drift, LAB)
    assert "docs/aws.md" in said
    assert again == EVERY


def test_a_cluster_that_cannot_be_read_holds_no_other_up(drift: DriftWorld) -> None:
    drift.put("ana", OPEN, tags=OURS, policies={VIEW: ()})
    drift.eks.faults.deny("ListAccessEntries", cluster=LAB)
    drift.scan()
    assert drift.world.entry("ana", OPEN) is None


def test_throttled_in_the_middle_it_goes_on_where_it_was(drift: DriftWorld) -> None:
    for number in range(30):
        drift.put(f"t{number}", tags=TERRAFORM)
    drift.put("zed", tags=OURS, policies={VIEW: ()})
    drift.eks.faults.throttle("DescribeAccessEntry", principal=role("t7"), times=2)
    for _ in range(2):
        _, again = scan_one(drift, LAB)
        assert timedelta() < again <= MINUTE
        drift.clock.advance(again)
    drift.scan(LAB)
    assert drift.state_of().problem is None
    assert drift.world.entry("zed") is None
    described = [one.principal for one in drift.eks.calls_of("DescribeAccessEntry")]
    assert described.count(role("t0")) == 1
    assert described.count(role("t7")) == 3


def test_it_is_tried_again_ever_more_slowly_but_no_later_than_the_next_time(
    drift: DriftWorld,
) -> None:
    drift.eks.faults.throttle("ListAccessEntries", times=None)
    pauses = []
    for _ in range(8):
        _, again = scan_one(drift, LAB)
        pauses.append(again)
        drift.clock.advance(again)
    assert pauses == sorted(pauses)
    assert pauses[0] >= timedelta(seconds=4)
    assert pauses[-1] == MINUTE


# Many entries, few calls


def test_many_entries_are_listed_by_pages_and_described_once_a_day(drift: DriftWorld) -> None:
    people, machines = 15, 95
    for number in range(people):
        drift.put(f"t{number}", tags=TERRAFORM, policies={VIEW: ["a"]})
    for number in range(machines):
        drift.put(f"n{number}", type="EC2_LINUX")
    drift.put("zed", tags=OURS, policies={ROOT: ()})

    def calls(operation: str) -> int:
        return len(drift.eks.calls_of(operation, cluster=LAB))

    drift.scan(LAB)
    assert drift.world.entry("zed") is None
    assert calls("ListAccessEntries") == 2
    # The access loop saw the orphan twice, before and after it was deleted, and again later.
    assert calls("DescribeAccessEntry") - people - machines <= 5
    first = calls("DescribeAccessEntry")
    assert calls("ListAssociatedAccessPolicies") <= people + 5
    for _ in range(4):
        drift.next_scan(LAB)
    assert calls("DescribeAccessEntry") == first
    assert calls("ListAccessEntries") == 2 * 5
    drift.clock.advance(timedelta(hours=24))
    drift.scan(LAB)
    again = calls("DescribeAccessEntry") - first
    assert 0 < again < people + machines, "about a half is as old as a day by its own measure"
    drift.clock.advance(timedelta(hours=24))
    drift.scan(LAB)
    assert calls("DescribeAccessEntry") - first >= people + machines


def test_what_others_gave_meanwhile_is_seen_within_a_day_and_a_half(drift: DriftWorld) -> None:
    drift.put("cleo", tags=TERRAFORM, policies={VIEW: ["a"]})
    drift.scan(LAB)
    drift.eks.client("eks").associate_access_policy(
        clusterName=LAB,
        principalArn=role("cleo"),
        policyArn=f"arn:aws:eks::aws:cluster-access-policy/{EDIT}",
        accessScope={"type": "cluster"},
    )
    drift.clock.advance(timedelta(hours=36))
    drift.scan(LAB)
    standing = drift.state_of().standing
    assert standing is not None
    assert set(standing.entries[0].policies) == {VIEW, EDIT}


def test_the_summary_counts_all_and_names_the_widest_first(drift: DriftWorld) -> None:
    drift.put("groups", tags=TERRAFORM, kubernetes_groups=["system-masters"])
    drift.put("root", tags=TERRAFORM, policies={ROOT: ()})
    drift.put("edit", tags=TERRAFORM, policies={EDIT: ["a", "b"]})
    drift.put("view", tags=TERRAFORM, policies={VIEW: ()})
    drift.put("nothing", tags=TERRAFORM)
    drift.put("node", type="EC2_LINUX")
    drift.scan(LAB)
    standing = drift.state_of().standing
    assert standing is not None
    assert (standing.people, standing.machines, standing.empty) == (4, 1, 1)
    names = [one.principal_arn.rpartition("/")[2] for one in standing.entries]
    assert names == ["root", "groups", "edit", "view"]
    assert standing.entries[2].policies == {EDIT: "a, b"}
    assert standing.entries[1].kubernetes_groups == ("system-masters",)
    assert standing.by_width == (
        ("ClusterAdmin", 1),
        ("by Kubernetes groups", 1),
        ("Edit", 1),
        ("View", 1),
    )
    assert all(one.created_at is not None for one in standing.entries)


# The pace


def test_it_keeps_to_a_pace_and_ends_soon_when_the_bot_stops(drift: DriftWorld) -> None:
    for number in range(20):
        drift.put(f"t{number}", tags=TERRAFORM)
    slow = drift.fresh_scanner(calls_per_second=0.001)
    scan = threading.Thread(target=slow.scan, args=(CLUSTER,))
    scan.start()
    assert drift.eks.wait_for(lambda: len(drift.eks.calls_of("DescribeAccessEntry")) == 1, 10)
    slow.close()
    scan.join(10)
    assert not scan.is_alive()
    assert len(drift.eks.calls_of("DescribeAccessEntry")) == 1
    slow.scan(CLUSTER)
    assert len(drift.eks.calls_of("DescribeAccessEntry")) == 1


def test_a_pace_ends_at_once_when_it_is_stopped() -> None:
    stopping = threading.Event()
    pace = Pace(0.001, stopping)
    pace.take(2)
    stopping.set()
    with pytest.raises(Stopped):
        pace.take()


def test_a_clock_that_was_ahead_at_the_start_does_not_make_every_scan_the_first(
    drift: DriftWorld,
) -> None:
    drift.clock.advance(5 * HOUR)
    drift.restart()
    drift.scan()
    drift.clock.advance(-5 * HOUR)
    drift.scan()
    drift.clock.advance(MINUTE)
    assert drift.scanner.due() == []


def test_a_fault_nobody_foresaw_is_put_off_as_known_ones_are(drift: DriftWorld) -> None:
    def policy() -> Policy:
        raise ValueError("odd")

    faulty = DriftScanner(
        drift.database,
        drift.world.clients,
        Claims(drift.database),
        policy,
        every=EVERY,
        clock=drift.clock,
        calls_per_second=1e6,
    )
    waits = []
    for _ in range(3):
        faulty.scan(CLUSTER)
        state = drift.state_of()
        assert state.problem is not None
        assert "an unexpected error" in state.problem
        waits.append(state.due_at - drift.clock())
        faulty.scan(CLUSTER)
        assert drift.state_of().attempts == state.attempts, "it is not read again at once"
        drift.clock.advance(waits[-1].total_seconds())
    assert waits == sorted(waits)
    assert waits[0] < waits[-1] <= EVERY
    drift.scan(LAB)
    assert drift.state_of().problem is None
