from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.choices import choices_for, is_production
from bot.core.decide import decide_for
from bot.core.model import Ask, Cluster
from bot.core.policy import Policy

HOUR = timedelta(hours=1)
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
APPROVAL = {"channel": "C01PAY", "owners": {"users": ["U02BOB"]}}


def rule(name, levels, approval="automatic", *, most="4h", requesters=None, ticket=None, **where):
    return {
        "name": name,
        "clusters": ["lab"],
        "levels": levels,
        "approval": approval,
        "max_duration": most,
        **({"requesters": requesters} if requesters else {}),
        **({"ticket": ticket} if ticket else {}),
        **where,
    }


POLICY = Policy.model_validate(
    {
        "deployment": "acme",
        "clusters": [
            {"name": name, "region": "eu-west-1", "account": "111122223333"}
            for name in ("lab", "idle")
        ],
        "levels": {
            "view": {"policy": "AmazonEKSViewPolicy"},
            "edit": {"policy": "AmazonEKSEditPolicy"},
            "root": {"policy": "AmazonEKSClusterAdminPolicy", "scope": "cluster"},
        },
        "principals": {"users": {"U01ALICE": "arn:aws:iam::{account}:role/alice"}},
        "rules": [
            rule("short", ["view"], most="30m", namespaces=["secret"]),
            rule("long", ["view"], APPROVAL, most="8h", ticket="A-[0-9]+", namespaces=["a", "b"]),
            rule("globs", ["edit"], most="2h", namespaces=["dev-*", "a"]),
            rule("mine", ["edit"], requesters={"groups": ["S01ENG"]}, scope="cluster"),
            rule(
                "root", ["root", "view"], APPROVAL, requesters={"users": ["U09"]}, scope="cluster"
            ),
        ],
    }
)
LAB = (POLICY.clusters_by_name["lab"],)
NAMES = ["secret", "a", "b", "dev-1", "kube-system", "Bad Name", "", "*"]


def choices(entered=Ask("", ""), user="U01ALICE", membership=()):  # noqa: B008 - an immutable value
    return choices_for(POLICY, LAB, user, dict(membership), entered, now=NOW, usage={})


def test_only_levels_that_can_be_had_are_offered():
    assert choices().levels == ("view", "edit")
    assert choices(user="U09").levels == ("view", "edit", "root")


def test_exact_names_are_told_from_globs():
    assert choices(Ask("lab", "view")).namespaces == ("secret", "a", "b")
    edit = choices(Ask("lab", "edit"))
    assert (edit.namespaces, edit.globs, edit.whole_cluster) == (("a",), ("dev-*",), False)
    assert choices(Ask("lab", "edit"), membership={"S01ENG": ["U01ALICE"]}).whole_cluster


def test_the_only_namespace_that_the_rules_name_is_filled_in():
    assert choices(Ask("lab", "edit")).entered.namespaces == ("a",)
    assert choices(Ask("lab", "edit", ("dev-1",))).entered.namespaces == ("dev-1",)
    assert choices(Ask("lab", "view")).entered.namespaces == ()
    whole = choices(Ask("lab", "edit"), membership={"S01ENG": ["U01ALICE"]})
    assert whole.entered.namespaces == ()


def test_the_longest_is_offered_until_the_namespaces_say_which_rules_decide():
    open_ = choices(Ask("lab", "view"))
    assert (open_.settled, open_.max_duration) == (False, 8 * HOUR)
    both = choices(Ask("lab", "view", ("b", "secret"), 8 * HOUR))
    assert (both.settled, both.max_duration, both.entered.duration) == (True, HOUR / 2, None)
    assert [one.name for one in both.rules] == ["short", "long"]


def test_what_may_not_be_had_is_not_kept():
    kept = choices(Ask("elsewhere", "root", ("nope",), reason="why", ticket="T"))
    assert kept.entered == Ask("lab", "", reason="why", ticket="T")
    assert choices(Ask("lab", "edit", ("dev-1", "kube-system", "B"))).entered.namespaces == (
        "dev-1",
    )


@given(
    st.builds(
        Ask,
        cluster=st.sampled_from(["lab", "idle", "x", ""]),
        level=st.sampled_from(["view", "edit", "root", "x", ""]),
        namespaces=st.lists(st.sampled_from(NAMES), max_size=4).map(tuple),
        duration=st.none() | st.timedeltas(timedelta(-1), timedelta(1)),
        ticket=st.just("A-1"),
        reason=st.just("why"),
    ),
    st.sampled_from(["U01ALICE", "U09"]),
    st.sampled_from([{"S01ENG": ()}, {"S01ENG": ("U01ALICE",)}]),
)
def test_whatever_is_offered_and_complete_is_allowed_by_the_policy(entered, user, membership):
    """What settled choices keep is decided by the same rules, and is never refused."""
    offered = choices(entered, user, membership)
    if not offered.settled:
        return
    kept = offered.entered
    if not kept.namespaces and not offered.whole_cluster:
        return
    decision = decide_for(POLICY, kept, user, membership, None)
    assert decision.allowed, decision.reasons
    assert decision.rules == tuple(one.name for one in offered.rules)
    assert decision.max_duration == offered.max_duration


@pytest.mark.parametrize(
    ("name", "labels", "so"),
    [
        ("prod-eu", {}, True),
        ("Production", {}, True),
        ("eu", {"env": "prod"}, True),
        ("eu", {"stage": "Production"}, True),
        ("eu", {"tier": "production"}, True),
        ("eu", {"team": "prod"}, False),
        ("lab", {"env": "lab"}, False),
        ("non-prod", {"env": "preprod"}, False),
    ],
)
def test_production_is_known_by_label_or_name(name, labels, so):
    assert is_production(Cluster(name, "eu-west-1", "111122223333", labels=labels)) is so
