"""Which schedule ends the access at one entry if the bot never comes back."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core import backstop
from bot.core.backstop import Create, Known, Remove, Schedule, Update
from bot.core.model import Access, AccessScope, BackstopTerms, Cluster, EndReason, Grant, GrantState
from bot.core.planner import (
    DEPLOYMENT_TAG,
    STORE_TAG,
    AssociationRecord,
    EntryRecord,
    ObservedEntry,
    Owner,
)
from bot.core.removal import LATE_AFTER

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
AFTER = 10 * MINUTE
TERMS = BackstopTerms("arn:aws:iam::111122223333:role/eks-access-backstop", "eks-access", AFTER)
LAB = Cluster("lab", "eu-west-1", "111122223333", backstop=TERMS)
ANA = "arn:aws:iam::111122223333:role/eks-jit/ana"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
ROOT = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
OWNER = Owner("acme", "0a1b")


def grant(
    state: GrantState = GrantState.ACTIVE, ends_at: datetime = NOW + HOUR, **more: object
) -> Grant:
    made = Grant(
        id="7K3-QMX",
        requester="U01ANA",
        cluster=LAB,
        principal_arn=ANA,
        access=Access(VIEW, AccessScope.of(["a"])),
        duration=HOUR,
        created_at=NOW,
        provision_by=NOW + 15 * MINUTE,
        ends_at=ends_at,
        state=state,
    )
    return replace(made, **more)  # type: ignore[arg-type] # the fields of a grant


def revoking(since: datetime, ends_at: datetime = NOW + HOUR) -> Grant:
    return grant(GrantState.REVOKING, ends_at, revoking_since=since, end_reason=EndReason.RETURNED)


def wanted(
    *grants: Grant,
    known: Known | None = None,
    alone: bool | None = True,
    there: bool = True,
    now: datetime = NOW,
    cluster: Cluster = LAB,
) -> Schedule | None:
    return backstop.wanted(cluster, ANA, OWNER, grants, known, alone=alone, there=there, now=now)


def at(*grants: Grant, **more: object) -> datetime:
    found = wanted(*grants, **more)  # type: ignore[arg-type] # as wanted takes them
    assert found is not None
    return found.at


def known(when: datetime = NOW + HOUR + AFTER, **more: object) -> Known:
    schedule = wanted(grant(ends_at=when - AFTER))
    assert schedule is not None
    return replace(Known(schedule, confirmed=True, checked_at=NOW), **more)  # type: ignore[arg-type] # its fields


# Names and parameters


def test_a_schedule_is_named_after_its_entry_and_no_other() -> None:
    name = backstop.name_of("acme", "lab", ANA, "")
    assert name == backstop.name_of("acme", "lab", ANA, "")
    others = {
        backstop.name_of("acme", "lab", ANA.replace("ana", "ben"), ""),
        backstop.name_of("acme", "lab", ANA.replace("eks-jit/", "other/"), ""),
        backstop.name_of("acme", "lab", ANA.replace("1111", "2222"), ""),
        backstop.name_of("acme", "lab2", ANA, ""),
        backstop.name_of("acme2", "lab", ANA, ""),
        backstop.name_of("acme", "lab", ANA, "0a1b"),
        backstop.name_of("acme", "lab", ANA, "0a1c"),
    }
    assert len(others | {name}) == 8


@given(
    deployment=st.text(min_size=1, max_size=64),
    cluster=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", fullmatch=True),
    role=st.from_regex(r"[A-Za-z0-9+=,.@_-]{1,64}", fullmatch=True),
)
def test_every_name_is_one_that_eventbridge_scheduler_takes(
    deployment: str, cluster: str, role: str
) -> None:
    name = backstop.name_of(deployment, cluster, f"arn:aws:iam::111122223333:role/{role}", "0a1b")
    assert re.fullmatch(r"[0-9a-zA-Z-_.]{1,64}", name)
    assert name.startswith(backstop.prefix(deployment, cluster))


def test_a_schedule_hits_one_principal_on_one_cluster() -> None:
    schedule = wanted(grant())
    assert schedule is not None
    hit = json.loads(backstop.input_of(schedule))
    assert hit == {"ClusterName": "lab", "PrincipalArn": ANA}
    assert backstop.expression(schedule.at) == "at(2026-01-05T10:10:00)"


# When


def test_the_schedule_comes_after_the_last_end_of_the_live_grants() -> None:
    assert at(grant(), grant(ends_at=NOW + 3 * HOUR)) == NOW + 3 * HOUR + AFTER


def test_access_that_is_not_confirmed_yet_counts_with_its_latest_end() -> None:
    waiting = grant(GrantState.PROVISIONING, NOW + 4 * HOUR)
    assert at(grant(), waiting) == NOW + 4 * HOUR + AFTER


def test_access_for_later_does_not_count_before_it_begins() -> None:
    later = grant(GrantState.SCHEDULED, NOW + 9 * HOUR, starts_at=NOW + 8 * HOUR)
    assert at(grant(), later) == NOW + HOUR + AFTER
    assert wanted(later, there=False) is None


def test_a_part_of_a_second_is_never_cut_off_the_access() -> None:
    odd = NOW + HOUR + timedelta(microseconds=1)
    assert at(grant(ends_at=odd)) == NOW + HOUR + AFTER + SECOND


def test_while_a_removal_goes_on_the_schedule_stays() -> None:
    before = known(NOW + 8 * HOUR)
    assert wanted(revoking(NOW), known=before) == before.schedule


def test_a_late_removal_brings_the_schedule_nearer_and_then_leaves_it() -> None:
    before = known(NOW + 8 * HOUR)
    nearer = wanted(revoking(NOW), known=before, now=NOW + LATE_AFTER)
    assert nearer is not None
    assert nearer.at == NOW + AFTER
    for later in (NOW + LATE_AFTER + SECOND, NOW + HOUR):
        assert wanted(revoking(NOW), known=Known(nearer, confirmed=True), now=later) == nearer


def test_a_schedule_is_never_asked_for_in_the_past() -> None:
    before = known(NOW + 8 * HOUR)
    late = NOW + HOUR
    nearer = wanted(revoking(NOW), known=before, now=late)
    assert nearer is not None
    assert nearer.at == late + MINUTE
    again = wanted(revoking(NOW), known=Known(nearer, confirmed=True), now=late + 30 * SECOND)
    assert again == nearer


def test_once_nothing_is_left_the_schedule_goes() -> None:
    assert wanted(known=known(), there=False) is None


def test_without_grants_the_schedule_stays_for_as_long_as_the_entry_does() -> None:
    assert wanted(known=known(), there=True) == known().schedule


def test_there_is_no_schedule_without_a_backstop_or_beside_what_others_put_there() -> None:
    assert wanted(grant(), cluster=replace(LAB, backstop=None)) is None
    assert wanted(grant(), alone=False) is None


def test_before_the_first_look_at_eks_nothing_is_decided() -> None:
    assert wanted(grant(), alone=None) is None
    assert wanted(grant(), known=known(), alone=None) == known().schedule


def test_a_schedule_stays_in_its_group_and_takes_a_new_role() -> None:
    terms = replace(TERMS, group="new", role="arn:aws:iam::111122223333:role/new")
    found = wanted(grant(), known=known(), cluster=replace(LAB, backstop=terms))
    assert found is not None
    assert (found.group, found.role) == ("eks-access", terms.role)


moments = st.integers(min_value=0, max_value=100_000).map(lambda s: NOW + timedelta(seconds=s / 7))


@st.composite
def some_grants(draw: st.DrawFn) -> tuple[Grant, ...]:
    states = st.sampled_from(sorted(set(GrantState) - {GrantState.ENDED}))
    made = []
    for state in draw(st.lists(states, max_size=4)):
        since = draw(moments) if state is GrantState.REVOKING else None
        made.append(grant(state, draw(moments), revoking_since=since))
    return tuple(made)


@given(
    grants=some_grants(),
    before=st.none() | moments,
    alone=st.sampled_from([True, False, None]),
    there=st.booleans(),
    now=moments,
)
def test_a_schedule_never_comes_before_the_end_of_what_is_given(
    grants: tuple[Grant, ...],
    before: datetime | None,
    alone: bool | None,
    there: bool,
    now: datetime,
) -> None:
    kept = known(before.replace(microsecond=0)) if before is not None else None
    found = wanted(*grants, known=kept, alone=alone, there=there, now=now)
    gives = [one for one in grants if one.gives_access]
    if found is None:
        assert alone is not True or not (gives or (there and kept))
        return
    assert found.at.microsecond == 0
    if alone:
        assert all(found.at >= one.ends_at + AFTER for one in gives)
        # Once it stands as wanted, nothing more is wanted of it, at this moment or the next.
        settled = Known(found, confirmed=True, checked_at=now)
        assert wanted(*grants, known=settled, alone=alone, there=there, now=now) == found
        assert backstop.believed(found, settled, now)
        if gives:
            assert all(backstop.covers(settled, one, LAB) for one in gives)


# Steps


@pytest.mark.parametrize("when", [NOW, NOW + HOUR])
def test_a_step_leads_to_what_is_wanted(when: datetime) -> None:
    right = known(when).schedule
    other = replace(right, at=when + MINUTE)
    assert backstop.step(right, None) == Create(right)
    assert backstop.step(right, other) == Update(right)
    assert backstop.step(right, replace(right, principal_arn="")) == Update(right)
    assert backstop.step(right, right) is None
    assert backstop.step(None, right) == Remove(right)
    assert backstop.step(None, None) is None


def test_what_was_read_a_moment_ago_is_believed_and_no_more_after_a_while() -> None:
    right = known()
    assert backstop.believed(right.schedule, right, NOW)
    assert not backstop.believed(right.schedule, right, NOW + backstop.CHECK_EVERY)
    assert not backstop.believed(right.schedule, replace(right, confirmed=False), NOW)
    assert not backstop.believed(replace(right.schedule, at=NOW), right, NOW)
    assert not backstop.believed(None, right, NOW)
    assert not backstop.believed(right.schedule, None, NOW)
    assert backstop.believed(None, None, NOW)


def test_a_schedule_whose_time_has_come_is_not_looked_for() -> None:
    right = known()
    assert backstop.believed(right.schedule, right, right.schedule.at)


def test_access_is_covered_by_a_confirmed_schedule_behind_its_end_alone() -> None:
    right = known(NOW + HOUR + AFTER)
    assert backstop.covers(right, grant(), LAB)
    assert not backstop.covers(right, grant(ends_at=NOW + HOUR + SECOND), LAB)
    assert not backstop.covers(replace(right, confirmed=False), grant(), LAB)
    assert not backstop.covers(None, grant(), LAB)
    assert backstop.covers(None, grant(), replace(LAB, backstop=None))


# Whose the entry is


def observed(**more: object) -> ObservedEntry:
    entry = ObservedEntry(
        "arn:1", "STANDARD", {DEPLOYMENT_TAG: "acme"}, {VIEW: AccessScope.of(["a"])}
    )
    return replace(entry, **more)  # type: ignore[arg-type] # its fields


OURS = EntryRecord(
    created=True,
    arn="arn:1",
    associations={VIEW: AssociationRecord(AccessScope.of(["a"]), confirmed=True)},
)


def test_an_entry_that_only_the_bot_has_made_is_its_alone() -> None:
    assert backstop.alone(observed(), OURS, OWNER)
    assert backstop.alone(None, EntryRecord(), OWNER)


@pytest.mark.parametrize(
    ("seen", "record"),
    [
        (observed(), EntryRecord()),
        (observed(tags={}), OURS),
        (observed(tags={DEPLOYMENT_TAG: "another"}), OURS),
        (observed(arn="arn:2"), OURS),
        (observed(tags={DEPLOYMENT_TAG: "acme", STORE_TAG: "other"}), replace(OURS, arn=None)),
        (observed(policies={VIEW: AccessScope.of(["a"]), ROOT: AccessScope()}), OURS),
        (observed(kubernetes_groups=frozenset({"theirs"})), OURS),
    ],
)
def test_an_entry_that_others_have_a_part_in_is_not(
    seen: ObservedEntry, record: EntryRecord
) -> None:
    assert not backstop.alone(seen, record, OWNER)
