"""Who gains or loses what, on policies small enough to say it by hand."""

from __future__ import annotations

import time

import pytest
from policy_worlds import built, raw_policy

from bot.core.cluster_classes import rules_by_class
from bot.core.namespace_classes import kinds_of
from bot.core.patterns import Patterns
from bot.core.policy_diff import policy_diff
from bot.core.window_states import states_of
from bot.core.windows import Window

OFFICE = {"days": ["mon-fri"], "hours": "09:00-17:00", "time_zone": "Europe/Berlin"}
BOB = {"users": ["U1B"]}


def rule(approval="automatic", **changes):
    made = {
        "clusters": ["prod"],
        "levels": ["view"],
        "namespaces": ["n1"],
        "approval": approval,
        "max_duration": "1h",
        **changes,
    }
    if "scope" in made:
        del made["namespaces"]
    return {key: value for key, value in made.items() if value is not None}


def by(owners=BOB, **changes):
    return {"channel": "C1X", "owners": owners, **changes}


def compared(old, new, known=None, **changes):
    before = raw_policy(old)
    return policy_diff(built(before), built(raw_policy(new, **changes)), known)


def said(changes):
    return [(one.who, one.level, one.namespaces, one.gained, one.lost) for one in changes]


@pytest.mark.parametrize(
    ("old", "new", "who", "gained"),
    [
        ([], [rule()], "anybody", "new access"),
        ([], [rule(requesters={"groups": ["S1A"]})], "S1A", "new access"),
        ([], [rule(requesters={"users": ["U1A"]})], "U1A", "new access"),
        ([rule(by())], [rule()], "anybody", "without approval"),
        ([rule(by(required=2))], [rule(by())], "anybody", "with 1 approval in place of 2"),
        (
            [rule(by())],
            [rule(by({"users": ["U1C"]}))],
            "anybody",
            "with the approval of others",
        ),
        (
            [rule(by())],
            [rule(by(escalate={"after": "10m", "channel": "C1X", "owners": {"users": ["U1C"]}}))],
            "anybody",
            "with the approval of others",
        ),
        ([rule(by())], [rule(by(delegation={"longest": "1d"}))], "anybody", "approval of deputies"),
        ([rule()], [rule(max_duration="2h")], "anybody", "up to 2 h in place of 1 h"),
        ([rule(ticket="T-1")], [rule()], "anybody", "without a ticket"),
        ([rule(ticket="T-1")], [rule(ticket="T-2")], "anybody", "without that ticket"),
        ([rule(when=OFFICE)], [rule()], "anybody", "new access"),
        (
            [rule({"automatic": {"per_day": 1}})],
            [rule({"automatic": {"per_day": 2}})],
            "anybody",
            "new access",
        ),
        (
            [rule(requesters={"groups": ["S1A"]})],
            [rule(requesters={"groups": ["S1A", "S1B"]})],
            "S1B",
            "new access",
        ),
    ],
)
def test_a_gain_names_who_gains_and_what(old, new, who, gained):
    (change,) = compared(old, new)
    assert change.is_gain
    assert change.who == who
    assert gained in " ".join(change.gained)
    assert (change.clusters, change.level, change.namespaces) == (("prod",), "view", ("n1",))
    (back,) = compared(new, old)
    assert not back.is_gain or back.lost
    lost = {"new access": "any access", "with 1 approval in place of 2": "with 1 approval"}
    lost["up to 2 h in place of 1 h"] = "up to 2 h"
    assert lost.get(gained, gained) in " ".join(back.lost)
    assert "in place of" not in " ".join(back.lost)


def test_taking_out_a_stricter_rule_exposes_the_laxer_one_behind_it():
    strict = rule(by(), requesters={"groups": ["S1A"]})
    lax = rule(namespaces=["*"], max_duration="4h")
    (change,) = compared([strict, lax], [lax])
    assert change.who == "S1A"
    assert change.gained == ("up to 4 h in place of 1 h", "without approval")
    assert change.before == "with one approval, up to 1 h (rule r0)"
    assert change.after == "without approval, up to 4 h (rule r0)"


def test_a_change_that_gives_and_takes_is_a_gain_that_says_both():
    (change,) = compared([rule(by())], [rule(by(required=2), max_duration="8h")])
    assert change.is_gain
    assert change.gained == ("up to 8 h in place of 1 h",)
    assert change.lost == ("with 1 approval",)


def test_only_those_are_named_whom_the_two_rules_tell_apart():
    old = [rule(requesters={"groups": ["S1A"]}), rule(by(), requesters={"groups": ["S1B"]})]
    new = [old[1], old[0]]
    (change,) = compared(old, new)
    assert (change.who, change.is_gain) == ("S1A and S1B", False)


def test_with_the_members_of_groups_people_are_named():
    known = {"S1A": {"U1A"}, "S1B": {"U1A", "U1C"}}
    old = [rule(requesters={"groups": ["S1A"]})]
    new = [rule(requesters={"groups": ["S1B"]})]
    assert [one.who for one in compared(old, new, known)] == ["U1C"]
    same = [rule(by({"groups": ["S1A"]}))]
    assert compared(same, [rule(by({"users": ["U1A"]}))], known) == ()
    assert compared(same, [rule(by({"users": ["U1A"]}))]) != ()


def test_windows_are_compared_by_the_moments_at_which_they_are_really_open():
    narrow = OFFICE | {"hours": "10:00-16:00"}
    assert not any(one.is_gain for one in compared([rule(when=OFFICE)], [rule(when=narrow)]))
    (change,) = (one for one in compared([rule(when=narrow)], [rule(when=OFFICE)]) if one.is_gain)
    assert change.gained == ("new access",)
    assert change.when == "at mon-fri 09:00-17:00 (Europe/Berlin)"


def test_a_limit_that_is_used_up_sooner_exposes_the_rule_behind_it():
    old = [rule({"automatic": {"per_day": 5}}), rule(by(), max_duration="8h")]
    new = [rule({"automatic": {"per_day": 1}}), rule(by(), max_duration="8h")]
    (change,) = compared(old, new)
    assert change.gained == ("up to 8 h in place of 1 h",)
    assert change.lost == ("without approval",)
    assert change.when == "with the limits of r0 used up"


def test_a_level_that_means_more_is_a_gain_and_one_that_means_less_a_loss():
    edit = {"view": {"policy": "AmazonEKSEditPolicy"}}
    view = {"view": {"policy": "AmazonEKSViewPolicy"}}
    groups = {"view": {"kubernetes_groups": ["deployers"], "scope": "cluster"}}
    base = raw_policy([rule(namespaces=["n*"])], levels=view)
    more = raw_policy([rule(namespaces=["n*"])], levels=edit)
    (change,) = policy_diff(built(base), built(more))
    assert change.gained == ("AmazonEKSEditPolicy in place of AmazonEKSViewPolicy",)
    assert not any(one.is_gain for one in policy_diff(built(more), built(base)))
    whole = raw_policy([rule(scope="cluster")], levels=view)
    bound = raw_policy([rule(scope="cluster")], levels=groups)
    gains = [one for one in policy_diff(built(whole), built(bound)) if one.is_gain]
    assert [one.gained for one in gains] == [("the Kubernetes group deployers",)]
    assert [one.namespaces for one in gains] == [("the whole cluster",)]


def test_a_name_that_stands_for_another_cluster_gives_all_of_it_anew():
    old, new = raw_policy([rule()]), raw_policy([rule()])
    new["clusters"][0]["account"] = "999900001111"
    (change,) = policy_diff(built(old), built(new))
    assert change.gained == ("new access",)


def test_equal_changes_on_several_clusters_and_namespaces_are_one():
    new = [rule(clusters=["*"], namespaces=["n1", "n2", "dev-*"])]
    (change,) = compared([], new)
    assert change.clusters == ("prod", "lab")
    assert change.namespaces == ("dev-*", "n1", "n2")


def entry(responders, **changes):
    return {
        "clusters": ["prod"],
        "levels": ["view"],
        "responders": responders,
        "max_duration": "1h",
        "review": {"owners": {"users": ["U1D"]}, "within": "24h"},
        **changes,
    }


ON_CALL = {"pagerduty": {"schedules": ["P1"]}}


@pytest.mark.parametrize(
    ("old", "new", "who", "gained", "when"),
    [
        ([], [entry({"groups": ["S1A"]})], "S1A", "new access", ""),
        ([], [entry(ON_CALL)], "on call at pagerduty P1 at example.com", "new access", ""),
        (
            [entry(ON_CALL)],
            [entry({"pagerduty": {"schedules": ["P1"], "users": {"X": "U1A"}}})],
            "U1A, on call at pagerduty P1 as X",
            "new access",
            "",
        ),
        (
            [entry(ON_CALL)],
            [entry(ON_CALL | {"fallback": {"groups": ["S1B"]}})],
            "S1B",
            "new access",
            "while pagerduty does not answer",
        ),
        (
            [entry({"users": ["U1A"]})],
            [entry({"users": ["U1A"]}, max_duration="2h")],
            "U1A",
            "up to 2 h in place of 1 h",
            "",
        ),
        (
            [entry({"users": ["U1A"]})],
            [entry({"users": ["U1A"]}, review={"owners": {"users": ["U1D"]}, "within": "2d"})],
            "U1A",
            "reviewed within 2 days only",
            "",
        ),
        (
            [entry({"users": ["U1A"]})],
            [entry({"users": ["U1A"]}, max_live=4)],
            "U1A",
            "4 at once in place of 3",
            "",
        ),
        (
            [entry({"users": ["U1A"]})],
            [entry({"users": ["U1A"]}, review={"owners": BOB, "within": "24h"})],
            "U1A",
            "reviewed by others as well",
            "",
        ),
    ],
)
def test_a_gain_of_break_glass_is_told(old, new, who, gained, when):
    changes = policy_diff(built(raw_policy([], old)), built(raw_policy([], new)))
    (change,) = (one for one in changes if one.is_gain)
    assert (change.who, change.gained, change.when) == (who, (gained,), when)
    assert change.break_glass


ALICE = "arn:aws:iam::{account}:role/jit/U1A"


@pytest.mark.parametrize(
    ("changes", "gained"),
    [
        (
            {"lockdown": {"owners": {"users": ["U1A"]}}},
            [("U1A", "switching lockdown on and off")],
        ),
        (
            {"lockdown": {"owners": {"users": ["U1A"]}, "break_glass": {"groups": ["S1A"]}}},
            [("U1A", "switching lockdown on and off"), ("S1A", "break-glass in a lockdown")],
        ),
        ({"principals": {"users": {"U1A": ALICE}, "email_domains": ["example.com"]}}, []),
        (
            {
                "principals": {
                    "users": {"U1A": ALICE + "2"},
                    "email_domains": ["example.com", "example.org"],
                }
            },
            [
                ("U1A", "another IAM principal"),
                ("anybody at example.org", "trust in their email address"),
            ],
        ),
    ],
)
def test_a_gain_by_what_is_no_rule_is_told(changes, gained):
    found = policy_diff(built(raw_policy([])), built(raw_policy([], **changes)))
    assert [(one.who, one.gained[0]) for one in found if one.is_gain] == gained


def test_who_no_longer_shares_a_principal_may_be_approved_by_the_other():
    shared = {"U1A": ALICE, "U1B": ALICE}
    principals = {"users": shared, "shared": [ALICE]}
    old = built(raw_policy([], principals=principals))
    new = built(raw_policy([], principals={"users": {"U1A": ALICE}, "shared": [ALICE]}))
    gains = [one for one in policy_diff(old, new) if one.is_gain]
    assert [(one.who, one.gained) for one in gains] == [("U1A", ("the approval of U1B",))]


# What there is to compare


@pytest.mark.parametrize(
    "patterns",
    [
        ["n?", "n1", "dev-*", "*"],
        ["a*", "*b", "*c*", "a*b"],
        ["kube-*", "kube-system", "?"],
        ["*"],
        ["*a"],
        ["a?c*", "*-x", "a-*", "abc-x"],
        [],
    ],
)
def test_there_is_an_example_of_every_kind_of_namespace(patterns):
    kinds = kinds_of(patterns)
    every = [Patterns([pattern]) for pattern in patterns]

    def vector(name):
        return tuple(pattern.cover_namespace(name) for pattern in every)

    letters = "abcnx1-dev"
    tried = {"kube-system", "kube-public", "kube-node-lease", "kube-x", "dev-a", "abc-x"}
    tried |= {a + b + c for a in letters for b in ["", *letters] for c in ["", *letters]}
    valid = [name for name in tried if not name.startswith("-") and not name.endswith("-")]
    assert kinds.complete
    assert {vector(name) for name in valid} <= {vector(name) for name in kinds.examples}


def test_patterns_that_overlap_in_too_many_ways_are_told_as_a_gain():
    many = [f"*{letter}*" for letter in "abcdefghijklmno"]
    assert not kinds_of(many).complete
    changes = compared([rule(namespaces=many)], [rule(namespaces=many, max_duration="30m")])
    assert [one.gained for one in changes if one.is_gain] == [("perhaps more",)]


def windows(*given):
    return [Window.model_validate(one) for one in given]


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ([], 1),
        ([OFFICE], 2),
        ([OFFICE, OFFICE | {"hours": "10:00-11:00"}], 3),
        ([OFFICE, OFFICE | {"days": ["sat"]}], 3),
        # An hour's work at once in both places, or in one of them, or in none.
        ([OFFICE, OFFICE | {"time_zone": "Europe/London"}], 4),
        # Overlap for some weeks of the year only, while the clocks are not changed alike.
        (
            [
                OFFICE | {"hours": "12:00-13:00", "days": ["mon"]},
                {"hours": "07:00-08:00", "days": ["mon"], "time_zone": "America/New_York"},
            ],
            4,
        ),
    ],
)
def test_windows_are_open_together_as_they_are_in_some_week_of_the_year(given, number):
    assert len(states_of(windows(*given))) == number


def test_ten_thousand_clusters_and_a_thousand_rules_are_compared_in_seconds():
    clusters = [
        {
            "name": f"c-{number:05}",
            "region": "eu-west-1",
            "account": "111122223333",
            "labels": {"team": f"t{number % 500}"},
        }
        for number in range(10_000)
    ]
    rules = [
        rule(
            clusters=[({"labels": {"team": f"t{n % 500}"}}, f"c-{n % 100:03}*")[n % 2]],
            namespaces=[f"n{n}", f"x{n}-*"],
        )
        for n in range(1000)
    ]
    changed = [*rules[:500], rules[500] | {"max_duration": "2h"}, *rules[501:]]
    old, new = (built(raw_policy(some, clusters=clusters)) for some in (rules, changed))
    begun = time.perf_counter()
    (change,) = policy_diff(old, new)
    assert time.perf_counter() - begun < 20
    assert len(change.clusters) == 20
    assert len(rules_by_class(old, new)) < 10_000
