"""What is told where EKS shows something else than the bot left there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.drift import Finding, Kind, Outcome, compare, lost, outcome, whole
from bot.core.model import Access, AccessScope, Cluster, Grant, GrantState
from bot.core.planner import (
    DEPLOYMENT_TAG,
    GRANT_TAG,
    STANDARD,
    STORE_TAG,
    AssociationRecord,
    EntryRecord,
    ObservedEntry,
    Owner,
)

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SETTLED = NOW - timedelta(seconds=30)
VIEW, EDIT = (
    f"arn:aws:eks::aws:cluster-access-policy/AmazonEKS{one}Policy" for one in ("View", "Edit")
)
TAGS = {DEPLOYMENT_TAG: "acme", GRANT_TAG: "7K3-QMX", STORE_TAG: "0a1b"}
OWNER = Owner("acme", "0a1b")
ARN = "arn:aws:eks:eu-west-1:111122223333:access-entry/lab/role/111122223333/ana/1"


def grant(name: str = "A", policy: str | None = VIEW, *namespaces: str, **changes) -> Grant:
    return replace(
        Grant(
            id=name,
            requester="U01ANA",
            cluster=Cluster("lab", "eu-west-1", "111122223333"),
            principal_arn="arn:aws:iam::111122223333:role/ana",
            access=Access(policy, AccessScope.of(namespaces or ("a",))),
            duration=HOUR,
            created_at=NOW - HOUR,
            provision_by=NOW,
            ends_at=NOW + HOUR,
            state=GrantState.ACTIVE,
            confirmed_at=NOW - HOUR,
        ),
        **changes,
    )


def groups_grant(*groups: str) -> Grant:
    access = Access(None, AccessScope.cluster(), frozenset(groups))
    return grant("G", access=access)


def shows(policies: dict[str, tuple[str, ...]], *groups: str, **changes) -> ObservedEntry:
    scopes = {arn: AccessScope.of(namespaces) for arn, namespaces in policies.items()}
    return replace(ObservedEntry(ARN, STANDARD, TAGS, scopes, frozenset(groups)), **changes)


def left(policies: dict[str, tuple[str, ...]], *groups: str, **changes) -> EntryRecord:
    made = {
        arn: AssociationRecord(AccessScope.of(namespaces), confirmed=True)
        for arn, namespaces in policies.items()
    }
    record = EntryRecord(True, ARN, made, frozenset(groups))
    return replace(record, **changes)


def found(live, observed, record) -> tuple[Finding, ...] | None:
    return compare(live, observed, record, owner=OWNER, confirmed_before=SETTLED)


IN_A = {VIEW: ("a",)}

DIFFERENCES = {
    "nothing": ([grant()], shows(IN_A), left(IN_A), ()),
    "no entry and no grant": ([], None, EntryRecord(), ()),
    "no entry": ([grant()], None, left(IN_A), (Finding(Kind.GONE, grants=("A",)),)),
    "no association": (
        [grant(), grant("B", EDIT)],
        shows(IN_A),
        left({VIEW: ("a",), EDIT: ("a",)}),
        (Finding(Kind.MISSING, EDIT, "a", ("B",)),),
    ),
    "a narrower scope, which another grant is content with": (
        [grant(), grant("B", VIEW, "b")],
        shows({VIEW: ("b",)}),
        left({VIEW: ("a", "b")}),
        (Finding(Kind.NARROWED, VIEW, "b instead of a, b", ("A",)),),
    ),
    "a wider scope": (
        [grant()],
        shows({VIEW: ()}),
        left(IN_A),
        (Finding(Kind.WIDENED, VIEW, "cluster instead of a"),),
    ),
    "another scope": (
        [grant()],
        shows({VIEW: ("x",)}),
        left(IN_A),
        (Finding(Kind.NARROWED, VIEW, "x instead of a", ("A",)),),
    ),
    "fewer groups": (
        [groups_grant("deployers", "operators")],
        shows({}, "operators"),
        left({}, "deployers", "operators"),
        (Finding(Kind.MISSING, "deployers", "", ("G",)),),
    ),
    "an added policy": (
        [grant()],
        shows({VIEW: ("a",), EDIT: ()}),
        left(IN_A),
        (Finding(Kind.FOREIGN_POLICY, EDIT, "cluster"),),
    ),
    "added groups": (
        [groups_grant("deployers")],
        shows({}, "deployers", "admins"),
        left({}, "deployers"),
        (Finding(Kind.FOREIGN_GROUPS, "admins"),),
    ),
    "an added policy on an entry that no grant needs any more": (
        [],
        shows({EDIT: ()}),
        left({}),
        (Finding(Kind.FOREIGN_POLICY, EDIT, "cluster"),),
    ),
    "an entry that no grant needs": ([], shows({}), left({}), (Finding(Kind.ORPHAN),)),
    "an association that no grant needs": (
        [grant()],
        shows({VIEW: ("a",), EDIT: ("a",)}),
        left({VIEW: ("a",), EDIT: ("a",)}),
        (Finding(Kind.ORPHAN, EDIT, "a"),),
    ),
    "an entry of ours that the store does not know": (
        [],
        shows(IN_A, "deployers"),
        EntryRecord(),
        (Finding(Kind.ORPHAN, detail="AmazonEKSViewPolicy (a), deployers"),),
    ),
    "an entry of ours in place of the one that the store knows": (
        [grant()],
        shows(IN_A, arn=ARN + "2"),
        left(IN_A),
        (Finding(Kind.ORPHAN, detail="AmazonEKSViewPolicy (a)", grants=("A",)),),
    ),
    "another store's entry": (
        [],
        shows(IN_A, tags=TAGS | {STORE_TAG: "another"}),
        EntryRecord(),
        (Finding(Kind.ANOTHER_STORE, "another"),),
    ),
    "an entry that names no store": (
        [],
        shows(IN_A, tags={DEPLOYMENT_TAG: "acme", GRANT_TAG: "7K3-QMX"}),
        EntryRecord(),
        (Finding(Kind.ANOTHER_STORE),),
    ),
    "another store's entry in place of ours": (
        [grant()],
        shows(IN_A, arn=ARN + "2", tags=TAGS | {STORE_TAG: "another"}),
        left(IN_A),
        (Finding(Kind.ANOTHER_STORE, "another"), Finding(Kind.REPLACED, grants=("A",))),
    ),
    "our own entry on which somebody changed the store's tag": (
        [grant()],
        shows(IN_A, tags=TAGS | {STORE_TAG: "another"}),
        left(IN_A),
        (),
    ),
    "somebody's entry in place of ours": (
        [grant()],
        shows(IN_A, arn=ARN + "2", tags={}),
        left(IN_A),
        (Finding(Kind.REPLACED, grants=("A",)),),
    ),
    "our entry without its tag": (
        [grant()],
        shows(IN_A, tags={}),
        left(IN_A),
        (Finding(Kind.UNTAGGED),),
    ),
    "somebody's entry": ([], shows(IN_A, tags={}), EntryRecord(), ()),
    "another deployment's entry": (
        [],
        shows(IN_A, tags=TAGS | {DEPLOYMENT_TAG: "ACME"}),
        EntryRecord(),
        (),
    ),
    "a node's entry with our tag": ([], shows({}, type="EC2_LINUX"), EntryRecord(), ()),
    "somebody's entry with our policy beside theirs": (
        [grant()],
        shows({VIEW: ("a",), EDIT: ()}, tags={}),
        left(IN_A, created=False),
        (),
    ),
    "somebody's entry from which our policy was taken": (
        [grant()],
        shows({EDIT: ()}, tags={}),
        left(IN_A, created=False),
        (Finding(Kind.MISSING, VIEW, "a", ("A",)),),
    ),
}


@pytest.mark.parametrize(
    ("live", "observed", "record", "told"), DIFFERENCES.values(), ids=DIFFERENCES
)
def test_what_differs_is_told_with_the_grants_that_lost_by_it(live, observed, record, told):
    assert found(live, observed, record) == told


WAITING = {
    "the entry": left(IN_A, in_flight=True),
    "groups": left(IN_A, earlier_groups={"deployers": True}),
    "an association": left(
        {}, associations={VIEW: AssociationRecord(AccessScope.of("a"), in_flight=True)}
    ),
    "an earlier scope": left(
        {},
        associations={VIEW: AssociationRecord(AccessScope.of("a"), earlier={AccessScope(): True})},
    ),
}


@pytest.mark.parametrize("record", WAITING.values(), ids=WAITING)
def test_nothing_is_told_while_a_write_of_the_bots_may_still_take_effect(record):
    assert found([grant()], None, record) is None
    assert found([grant()], shows({VIEW: ()}), record) is None


@pytest.mark.parametrize(
    "state", [GrantState.PROVISIONING, GrantState.REVOKING, GrantState.SCHEDULED]
)
def test_only_active_access_can_be_taken_away(state):
    assert found([grant(state=state)], None, left(IN_A)) == ()


def test_access_confirmed_a_moment_ago_may_not_be_shown_everywhere_yet():
    assert found([grant(confirmed_at=SETTLED + timedelta(seconds=1))], None, left(IN_A)) == ()
    assert found([grant(confirmed_at=SETTLED)], None, left(IN_A))


def test_what_is_being_given_or_taken_is_not_called_widened():
    more = grant("B", VIEW, "b", state=GrantState.REVOKING)
    assert found([grant(), more], shows({VIEW: ("a", "b")}), left({VIEW: ("a", "b")})) == ()


def test_grants_end_where_their_access_was_taken_unless_that_is_repaired():
    gone, replaced, widened = (
        Finding(Kind.GONE, grants=("A",)),
        Finding(Kind.REPLACED, grants=("B",)),
        Finding(Kind.WIDENED, VIEW),
    )
    assert lost([gone, replaced, widened], repair=False) == {"A", "B"}
    assert lost([gone, replaced, widened], repair=True) == {"B"}


WHOLE = {
    "alone": ({"A"}, ["A"]),
    "with what extends it": ({"A2"}, ["A2", "A3"]),
    "with what it extends": ({"A3"}, ["A2", "A3"]),
    "with another extension of the same": ({"B2"}, ["B2", "B3"]),
    "several": ({"A", "B3"}, ["A", "B2", "B3"]),
    "nothing": (set(), []),
}


@pytest.mark.parametrize(("taken", "over"), WHOLE.values(), ids=WHOLE)
def test_what_was_taken_away_ends_with_its_extensions_and_nothing_else(taken, over):
    waiting, going = GrantState.PROVISIONING, GrantState.REVOKING
    live = [
        grant("A"),
        grant("A3", extends="A2", state=waiting),
        grant("A2", extends="A1"),
        grant("A1", extends="A0", state=going),
        grant("B2", extends="B1"),
        grant("B3", extends="B1", state=waiting),
        grant("C", state=waiting),
    ]
    assert sorted(one.id for one in whole(taken, live)) == over


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_an_outcome_and_what_others_added_is_always_left(kind):
    for repair in (True, False):
        result = outcome(kind, repair=repair)
        if kind in {Kind.FOREIGN_POLICY, Kind.FOREIGN_GROUPS, Kind.UNTAGGED}:
            assert result is Outcome.LEFT
        if not repair and kind in {Kind.GONE, Kind.MISSING, Kind.NARROWED}:
            assert result is Outcome.ENDED
