"""The explanation of a decision: rule by rule, and never another decision."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_worlds import TEAM, built, circumstances, raw_policies, raw_policy

from bot.core.break_glass import evaluate_break_glass
from bot.core.decide import evaluate
from bot.core.errors import DirectoryUnavailable
from bot.core.explain import (
    Outcome,
    assumed_membership,
    explain,
    explain_break_glass,
    groups_of_requesters,
)
from bot.core.model import Ask, Person
from bot.core.oncall import OnCall
from bot.core.rule_choice import ANY_RULE, Spent

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NIGHT = datetime(2026, 11, 24, 23, 0, tzinfo=UTC)
ALICE = Person("U1A", TEAM, "Alice")
ASKED = Ask("prod", "edit", ("n1", "n2"), timedelta(hours=1), reason="a stuck job")
OFFICE = {"hours": "09:00-17:00", "time_zone": "UTC"}


def rule(namespaces, approval="automatic", **changes):
    return {
        "clusters": ["prod"],
        "levels": ["edit"],
        "namespaces": namespaces,
        "approval": approval,
        "max_duration": "4h",
        **changes,
    }


def by(*owners, **changes):
    return {"channel": "C1X", "owners": {"users": list(owners)}, **changes}


def explained(*rules, ask=ASKED, members=None, now=NOON, usage=None):
    return explain(
        built(raw_policy(rules)), ask, ALICE, members or {}, now, team_id=TEAM, usage=usage or {}
    )


def outcomes(explanation):
    return [(step.rule, step.namespace, step.outcome) for step in explanation.steps]


def test_every_rule_on_the_cluster_says_what_becomes_of_it_for_each_namespace():
    found = explained(
        rule(["n1"], levels=["view"]),
        rule(["n1"], requesters={"users": ["U1B"]}),
        rule(["n1"], by("U1C")),
        rule(["n*"], when={"hours": "00:00-09:00", "time_zone": "UTC"}),
        rule(["n2"], {"automatic": {"per_day": 1}}),
        rule(["*"], by("U1D")),
        rule(["*"], clusters=["lab"]),
        usage={"r4": Spent(1)},
    )
    assert outcomes(found) == [
        ("r0", "n1", Outcome.OTHER_LEVEL),
        ("r0", "n2", Outcome.OTHER_LEVEL),
        ("r1", "n1", Outcome.OTHER_PEOPLE),
        ("r1", "n2", Outcome.OTHER_NAMESPACE),
        ("r2", "n1", Outcome.DECIDES),
        ("r2", "n2", Outcome.OTHER_NAMESPACE),
        ("r3", "n1", Outcome.LATER),
        ("r3", "n2", Outcome.CLOSED),
        ("r4", "n1", Outcome.OTHER_NAMESPACE),
        ("r4", "n2", Outcome.USED_UP),
        ("r5", "n1", Outcome.LATER),
        ("r5", "n2", Outcome.DECIDES),
    ]
    assert found.elsewhere == 1
    assert found.decision is not None
    assert found.decision.rules == ("r2", "r5")
    assert found.excluded == {"U1A"}


def test_a_decision_that_hangs_on_a_group_names_it():
    rules = (rule(["*"], requesters={"groups": ["S1A"]}), rule(["*"], by("U1B")))
    found = explained(*rules, ask=Ask("prod", "edit", ("n1",), reason="a stuck job"))
    assert found.decision is None
    assert found.hangs_on == {"S1A"}
    assert outcomes(found) == [
        ("r0", "n1", Outcome.UNKNOWN_GROUP),
        ("r1", "n1", Outcome.LATER),
    ]
    assert found.steps[1].why == "It holds where rule r0 does not."


def test_a_window_counts_at_the_start_that_is_asked_for():
    tomorrow = NOON + timedelta(days=1)
    later = Ask("prod", "edit", ("n1",), start_at=tomorrow, reason="a stuck job")
    found = explained(rule(["*"], when=OFFICE), ask=later, now=NIGHT)
    assert outcomes(found) == [("r0", "n1", Outcome.DECIDES)]
    assert found.decision is not None
    assert found.decision.allowed


def entry(responders, **changes):
    review = {"owners": {"users": ["U1D"]}, "within": "24h"}
    return {
        "clusters": ["prod"],
        "levels": ["edit"],
        "responders": responders,
        "max_duration": "1h",
        "review": review,
        **changes,
    }


def test_every_entry_of_break_glass_on_the_cluster_says_what_becomes_of_it():
    made = raw_policy(
        [],
        [
            entry({"users": ["U1A"]}, levels=["view"]),
            entry({"pagerduty": {"schedules": ["P1"]}}),
            entry({"users": ["U1A"]}),
            entry({"users": ["U1A"]}),
            entry({"users": ["U1A"]}, clusters=["lab"]),
        ],
    )
    on_call = {("pagerduty", ("P1",)): OnCall(available=False)}
    found = explain_break_glass(built(made), ASKED, ALICE, {}, on_call, team_id=TEAM)
    assert outcomes(found) == [
        ("break_glass[0]", None, Outcome.OTHER_LEVEL),
        ("break_glass[1]", None, Outcome.OTHER_PEOPLE),
        ("break_glass[2]", None, Outcome.DECIDES),
        ("break_glass[3]", None, Outcome.LATER),
    ]
    assert "PagerDuty did not say" in found.steps[1].why
    assert found.elsewhere == 1
    assert found.decision is not None
    assert found.decision.allowed


def test_automatic_rules_are_passed_over_after_a_revocation_and_others_are_not():
    found = explained(
        rule(["n1"]),
        rule(["n1"], {"automatic": {"per_day": 3}}),
        rule(["n1"], by("U1D")),
        usage={ANY_RULE: Spent(revoked="7K3-QMX")},
    )
    assert [one.outcome for one in found.steps if one.namespace == "n1"] == [
        Outcome.REVOKED,
        Outcome.REVOKED,
        Outcome.DECIDES,
    ]
    assert found.steps[0].why == (
        "7K3-QMX on this cluster was revoked less than 24 hours before, so rule r0 gives nothing "
        "without a review."
    )


def decided(function, *arguments, **options):
    """The decision, or None where it hangs on a group."""
    try:
        return function(*arguments, **options)
    except DirectoryUnavailable:
        return None


@given(raw_policies(), circumstances())
@settings(max_examples=40)
def test_the_explanation_never_disagrees_with_the_decision(raw, given_):
    policy, ask, person = built(raw), given_.ask, given_.person
    arguments = (policy, ask, person, given_.membership, given_.now)
    found = explain(*arguments, team_id=TEAM, usage=given_.usage)
    assert found.decision == decided(evaluate, *arguments, team_id=TEAM, usage=given_.usage)
    deciding = {(s.rule, s.namespace) for s in found.steps if s.outcome is Outcome.DECIDES}
    if found.decision is not None and found.decision.allowed:
        assert {rule for rule, _ in deciding} == set(found.decision.rules)
        assert {name for _, name in deciding} == (set(ask.namespaces) or {None})
    if found.decision is not None and any(r.code == "no_rule" for r in found.decision.reasons):
        assert {name for _, name in deciding} < (set(ask.namespaces) or {None})
    assert found.elsewhere + len({step.rule for step in found.steps}) == len(policy.rules)


@given(raw_policies(), circumstances(), st.sampled_from([(), ("7K3-QMX",)]))
@settings(max_examples=30)
def test_the_explanation_of_a_break_glass_never_disagrees_with_its_decision(raw, given_, overdue):
    policy, ask, person = built(raw), given_.ask, given_.person
    arguments = (policy, ask, person, given_.membership, given_.on_call)
    found = explain_break_glass(*arguments, team_id=TEAM, overdue=overdue)
    decision = decided(evaluate_break_glass, *arguments, team_id=TEAM, overdue=overdue)
    assert found.decision == (decision[0] if decision is not None else None)
    deciding = [step.rule for step in found.steps if step.outcome is Outcome.DECIDES]
    if decision is not None and decision[1] is not None:
        assert [policy.break_glass[int(name[12:-1])] for name in deciding] == [decision[1]]


@pytest.mark.parametrize(
    ("member_of", "known", "asking", "assumed"),
    [
        (None, {}, None, set()),
        ((), {}, False, set()),
        (("S1A",), {}, True, set()),
        (None, {"S1A": {"U1A"}}, True, set()),
        (None, {"S1A": {"U1B"}}, False, set()),
    ],
)
def test_without_slack_a_group_is_what_the_options_say(member_of, known, asking, assumed):
    owners = {"channel": "C1X", "owners": {"groups": ["S1B"]}, "required": 10}
    policy = built(raw_policy([rule(["*"], owners, requesters={"groups": ["S1A"]})]))
    needed = ["S1A", "S1B"]
    asked = groups_of_requesters(policy, ASKED)
    assert asked == {"S1A"}
    membership, taken = assumed_membership(
        needed, "U1A", asked=asked, member_of=member_of, known=known
    )
    assert taken == {"S1B"} | assumed
    found = explain(policy, ASKED, ALICE, membership, NOON, team_id=TEAM)
    assert (found.decision.allowed if found.decision else None) is asking
