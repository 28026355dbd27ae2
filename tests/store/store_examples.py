"""Requests, reviews and grants to store: a plain one of each, and anything that can be."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import Connection

from bot.core import lifecycle
from bot.core.model import (
    Access,
    AccessRequest,
    AccessScope,
    Cluster,
    EndReason,
    EscalationStep,
    Grant,
    GrantState,
    Owners,
    Principal,
    RequestState,
    Requirement,
    Review,
    Standing,
    Step,
    StepKind,
    Verdict,
)
from bot.store import entries, grants, requests

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
ANA, BEN, CLEO = "U01ANA", "U02BEN", "U03CLEO"
LAB = Cluster(name="modern-access-lab", region="eu-west-1", account="111122223333")
ROLE = "arn:aws:iam::111122223333:role/EKS-Modern-Reader"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
DEFAULT = AccessScope.of(["default"])


def request(**changes: Any) -> AccessRequest:
    return replace(
        AccessRequest(
            id="01A-000",
            requester=ANA,
            requester_name="Ana Ruiz",
            cluster=LAB,
            level="view",
            namespaces=("default",),
            duration=2 * HOUR,
            reason="Looking at a failing pod",
            ticket=None,
            start_at=None,
            principal=Principal(ROLE),
            access=Access(VIEW, DEFAULT),
            rules=("lab readers",),
            requirements=(Requirement("lab readers", "C01LAB", Owners(frozenset({BEN}))),),
            created_at=NOW,
            lapses_at=NOW + HOUR,
        ),
        **changes,
    )


def review(**changes: Any) -> Review:
    return replace(
        Review("01A-000", BEN, Verdict.APPROVE, NOW + MINUTE, rules=("lab readers",)), **changes
    )


def approval(at: datetime = NOW + MINUTE, by: str = BEN) -> AccessRequest:
    """The plain request, approved."""
    return lifecycle.approve(request(), at, by=by, approvers=(by,), digest="abc")[0]


def denial(at: datetime = NOW + MINUTE, by: str = CLEO) -> AccessRequest:
    """The plain request, denied."""
    verdict = review(reviewer=by, verdict=Verdict.DENY, at=at, reason="Not today")
    return lifecycle.deny(request(), verdict)[0]


def grant(**changes: Any) -> Grant:
    return replace(
        Grant(
            id="01A-000",
            requester=ANA,
            cluster=LAB,
            principal_arn=ROLE,
            access=Access(VIEW, DEFAULT),
            duration=2 * HOUR,
            created_at=NOW,
            provision_by=NOW + 15 * MINUTE,
            ends_at=NOW + 15 * MINUTE + 2 * HOUR,
        ),
        **changes,
    )


def add_grant(tx: Connection, **changes: Any) -> int:
    """Store a grant with its request and its entry. Returns the entry's id."""
    given = grant(**changes)
    requests.add(
        tx,
        request(
            id=given.id,
            requester=given.requester,
            cluster=given.cluster,
            state=RequestState.APPROVED,
        ),
    )
    entry_id = entries.wish(
        tx, given.cluster, given.principal_arn, deployment="acme-test", now=given.created_at
    )
    grants.add(tx, given, entry_id)
    return entry_id


# What people typed has lost its control characters before it is stored.
texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n"), max_size=60
)
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789-*", min_size=1, max_size=63)
people = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=3, max_size=20).map("U".__add__)
times = st.datetimes(
    datetime(2000, 1, 1),  # noqa: DTZ001 - the zone is drawn beside it
    datetime(2100, 1, 1),  # noqa: DTZ001 - the same
    timezones=st.sampled_from([UTC, timezone(5.5 * HOUR), timezone(-8 * HOUR)]),
)
durations = st.integers(1, 30 * 86_400).map(lambda seconds: timedelta(seconds=seconds))
lengths = st.timedeltas(timedelta(), timedelta(days=60))
ids = st.sampled_from(["01A-001", "7K3-QMX"])
scopes = st.frozensets(names, max_size=4).map(AccessScope)
accesses = st.builds(Access, st.none() | st.just(VIEW), scopes, st.frozensets(names, max_size=3))
clusters = st.builds(
    Cluster,
    name=names,
    region=st.just("eu-west-1"),
    account=st.just("111122223333"),
    assume_role=st.none() | st.just(ROLE),
    standing=st.sampled_from(Standing),
    labels=st.dictionaries(names, texts, max_size=2),
)
access_requests = st.builds(
    AccessRequest,
    id=st.just("01A-000"),
    requester=people,
    requester_name=texts,
    cluster=clusters,
    level=names,
    namespaces=st.lists(names, max_size=4).map(tuple),
    duration=durations,
    reason=texts,
    ticket=st.none() | texts,
    start_at=st.none() | times,
    principal=st.builds(
        Principal, st.just(ROLE), st.booleans(), st.lists(people, max_size=2).map(tuple)
    ),
    access=accesses,
    rules=st.lists(texts, max_size=2).map(tuple),
    requirements=st.lists(
        st.builds(
            Requirement,
            texts,
            people,
            st.builds(Owners, st.frozensets(people, max_size=2), st.frozensets(people, max_size=2)),
            st.integers(1, 5),
            remind_after=st.none() | durations,
            escalation=st.none()
            | st.builds(EscalationStep, durations, people, st.builds(Owners, st.just(frozenset()))),
        ),
        max_size=2,
    ).map(tuple),
    steps=st.lists(st.builds(Step, st.sampled_from(StepKind), texts, times), max_size=2).map(tuple),
    created_at=times,
    lapses_at=st.none() | times,
    state=st.sampled_from(RequestState),
    decided_at=st.none() | times,
    decided_by=st.none() | people,
    decision_reason=st.none() | texts,
    extends=st.none() | ids,
    already=lengths,
)
access_grants = st.builds(
    Grant,
    id=st.just("01A-000"),
    requester=people,
    cluster=clusters,
    principal_arn=st.just(ROLE),
    access=accesses,
    duration=lengths,
    created_at=times,
    provision_by=times,
    ends_at=times,
    state=st.sampled_from(GrantState),
    starts_at=st.none() | times,
    confirmed_at=st.none() | times,
    revoking_since=st.none() | times,
    ended_at=st.none() | times,
    end_reason=st.none() | st.sampled_from(EndReason),
    ended_by=st.none() | people,
    problem=st.none() | texts,
    extends=st.none() | ids,
    began_at=st.none() | times,
)
