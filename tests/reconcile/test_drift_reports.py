"""People are told what was found to differ, and once a week who has standing access."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from drift_world import AUDIT, OURS, SECURITY, TOLD, DriftWorld
from entry_world import LAB, MINUTE, OPEN, POLICY, ROOT, TERRAFORM, VIEW, World, role

from bot.reconcile.drift_reports import digest_key
from bot.slack.drift_views import drift_found
from bot.store.announcements import Said, newest
from bot.store.drift import Found


@pytest.fixture
def drift(world: World) -> DriftWorld:
    return DriftWorld(world)


def findings(drift: DriftWorld, channel: str = SECURITY) -> list[str]:
    return [one for one in drift.said(channel) if "EKS was not as" in one]


def digests(drift: DriftWorld, channel: str = SECURITY) -> list[str]:
    return [one for one in drift.said(channel) if "Standing access" in one]


# What was found


def test_a_finding_is_told_once_in_both_channels(drift: DriftWorld) -> None:
    drift.put("ana", tags=OURS, policies={ROOT: ()})
    drift.scan(LAB)
    for _ in range(3):
        drift.report()
        drift.next_scan(LAB)
    [said] = findings(drift)
    assert "role/eks-jit/ana" in said
    assert "AmazonEKSClusterAdminPolicy (cluster)" in said
    assert "The bot removes it" in said
    assert findings(drift, AUDIT) == [said]


def test_many_findings_are_one_message_that_counts_what_it_leaves_out(drift: DriftWorld) -> None:
    for number in range(22):
        drift.put(f"p{number:02}", tags=OURS)
    drift.put("ana", OPEN, tags=OURS)
    drift.scan(LAB, OPEN)
    drift.report()
    said = sorted(findings(drift), key=len)
    assert len(said) == 2
    assert "22 differences" in said[1]
    assert "p19" in said[1]
    assert "p20" not in said[1]
    assert "2 more" in said[1]


def test_what_cannot_be_told_of_one_cluster_holds_no_other_up(drift: DriftWorld) -> None:
    def found(group: Sequence[Found]) -> Said:
        if group[0].cluster == LAB:
            raise ValueError("odd")
        return drift_found(group)

    drift.put("ana", tags=OURS)
    drift.put("ben", OPEN, tags=OURS)
    drift.scan(LAB, OPEN)
    reporter = drift.fresh_reporter(found)
    for item in reporter.due():
        with suppress(ValueError):
            reporter.report(item)
    [said] = findings(drift)
    assert "role/eks-jit/ben" in said


def test_what_is_found_within_the_minute_waits_for_it(drift: DriftWorld) -> None:
    drift.put("ana", tags=OURS)
    drift.scan(LAB)
    drift.report()
    drift.put("ben", tags=OURS)
    drift.restart()
    drift.scan(LAB)
    drift.report()
    assert len(findings(drift)) == 1
    drift.clock.advance(MINUTE)
    drift.report()
    assert "role/eks-jit/ben" in findings(drift)[1]


def test_two_replicas_tell_a_finding_once(drift: DriftWorld) -> None:
    drift.put("ana", tags=OURS)
    drift.scan(LAB)
    other = drift.fresh_reporter()
    (place,) = other.due()
    assert drift.reporter.due() == [place]
    drift.report()
    other.report(place)
    assert len(findings(drift)) == 1


def test_who_lost_access_by_it_is_named(drift: DriftWorld) -> None:
    grant_id = drift.world.active("view", "a")
    drift.clock.advance(MINUTE)
    drift.eks.client("eks").delete_access_entry(clusterName=LAB, principalArn=role("ana"))
    drift.scan(LAB)
    drift.report()
    [said] = findings(drift)
    assert f"The access has ended: {grant_id}." in said


def test_while_no_policy_is_in_force_findings_wait_to_be_told(drift: DriftWorld) -> None:
    drift.put("ana", tags=OURS)
    drift.scan(LAB)
    drift.policy = None
    drift.report()
    assert findings(drift) == []
    drift.policy = TOLD
    drift.report()
    assert len(findings(drift)) == 1


def test_where_no_channel_is_named_nothing_is_told_and_nothing_waits(drift: DriftWorld) -> None:
    drift.policy = POLICY
    drift.put("ana", tags=OURS)
    drift.scan(LAB)
    drift.report()
    assert drift.reporter.due() == []
    assert drift.events() == [("orphan", "ana")]


# Standing access


@pytest.mark.parametrize(
    ("moment", "key"),
    [
        (datetime(2026, 1, 5, 8, 59, 59, tzinfo=UTC), "standing:2026-W01"),
        (datetime(2026, 1, 5, 9, 0, tzinfo=UTC), "standing:2026-W02"),
        (datetime(2026, 1, 11, 23, 59, tzinfo=UTC), "standing:2026-W02"),
        (datetime(2026, 1, 12, 8, 59, tzinfo=UTC), "standing:2026-W02"),
        (datetime(2026, 1, 12, 9, 0, tzinfo=UTC), "standing:2026-W03"),
        (datetime(2026, 12, 31, 12, 0, tzinfo=UTC), "standing:2026-W53"),
        (datetime(2027, 1, 4, 8, 0, tzinfo=UTC), "standing:2026-W53"),
        (datetime(2027, 1, 4, 9, 0, tzinfo=UTC), "standing:2027-W01"),
    ],
)
def test_a_digest_is_for_the_week_that_begins_on_monday_at_nine(moment: datetime, key: str) -> None:
    assert digest_key(moment) == key
    assert digest_key(moment.astimezone(tz=None)) == key


def test_standing_access_is_told_once_a_week_by_whichever_replica(drift: DriftWorld) -> None:
    drift.put("terraform", tags=TERRAFORM, policies={ROOT: ()})
    drift.scan()
    other = drift.fresh_reporter()
    for _ in range(14):
        for reporter in (drift.reporter, other):
            for item in reporter.due():
                reporter.report(item)
        drift.clock.advance(timedelta(hours=12))
    said = digests(drift)
    assert len(said) == 1
    assert digests(drift, AUDIT) == []
    for _ in range(2):
        drift.report()
    assert len(digests(drift)) == 2
    drift.restart()
    drift.report()
    assert len(digests(drift)) == 2
    assert "role/eks-jit/terraform" in said[0]
    assert "AmazonEKSClusterAdminPolicy (cluster)" in said[0]
    assert "since" in said[0]


def test_machines_and_policies_that_nobody_knows_hide_no_cluster_admin(drift: DriftWorld) -> None:
    for number in range(10):
        drift.put(f"capability-{number}", policies={"AmazonEKSACKPolicy": ()})
        drift.put(f"new-{number}", policies={"AmazonEKSSecretAdminPolicy": ()})
    for name in ("z-one", "z-two", "z-three"):
        drift.put(name, tags=TERRAFORM, policies={ROOT: (), VIEW: ["a"]})
    drift.scan()
    standing = drift.state_of().standing
    assert standing is not None
    assert (standing.people, standing.machines) == (13, 10)
    names = [one.principal_arn.rpartition("/")[2] for one in standing.entries]
    assert names[:3] == ["z-one", "z-three", "z-two"]
    assert list(standing.entries[0].policies) == [ROOT, VIEW]
    drift.report()
    [said] = digests(drift)
    for name in names[:3]:
        assert f"role/eks-jit/{name}" in said
    assert "13 principals (3 ClusterAdmin, 10 other policies), 10 entries of machines" in said
    assert "and 5 more principals: 5 other policies." in said
    assert "capability" not in said


def test_the_digest_says_which_clusters_could_not_be_read(drift: DriftWorld) -> None:
    drift.scan()
    drift.report()
    [said] = digests(drift)
    assert "AWS knows no cluster ghost" in said
    assert "CONFIG_MAP" in said


def test_the_digest_waits_until_every_cluster_was_looked_at(drift: DriftWorld) -> None:
    drift.scan(LAB)
    drift.report()
    assert digests(drift) == []
    drift.scan()
    drift.report()
    assert len(digests(drift)) == 1


def test_without_a_security_channel_there_is_no_digest(drift: DriftWorld) -> None:
    drift.policy = POLICY
    drift.scan()
    assert drift.reporter.due() == []


def test_replicas_at_the_same_moment_make_one_digest(drift: DriftWorld) -> None:
    drift.scan()
    reporters = [drift.fresh_reporter() for _ in range(3)]
    assert [one.due() for one in reporters] == [[("digest",)]] * 3
    for one in reporters:
        one.report(("digest",))
    assert len(digests(drift)) == 1
    with drift.database.reading() as tx:
        assert newest(tx, "standing:") is not None
