from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.policy import Policy
from bot.core.policy_checks import errors, warnings
from bot.core.policy_problems import Severity

ROLE = "arn:aws:iam::{account}:role/eks-jit/alice"
PINNED = "arn:aws:iam::111122223333:role/alice"
SSO = "arn:aws:iam::{account}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Dev_0123"
ASKED = {"channel": "C01PAY", "owners": {"users": ["U02BOB", "U03CARO"]}}
OFFICE = {"days": ["mon-fri"], "hours": "09:00-17:00", "time_zone": "Europe/Berlin"}
PROD = {"name": "prod", "region": "eu-west-1", "account": "111122223333"}


def rule(name="all", **changes):
    made = {
        "name": name,
        "clusters": ["*"],
        "levels": ["view"],
        "namespaces": ["default"],
        "approval": "automatic",
        "max_duration": "1h",
        **changes,
    }
    if "scope" in made:
        del made["namespaces"]
    return made


def policy(*rules, **changes):
    return Policy.model_validate(
        {
            "deployment": "acme",
            "clusters": [PROD],
            "levels": {
                "view": {"policy": "AmazonEKSViewPolicy"},
                "root": {"policy": "AmazonEKSClusterAdminPolicy", "scope": "cluster"},
            },
            "principals": {"users": {"U01ALICE": ROLE}},
            "rules": list(rules)
            or [rule(), rule("root", levels=["root"], scope="cluster", approval=ASKED)],
            **changes,
        }
    )


def places(problems):
    return [problem.at for problem in problems]


def test_a_policy_whose_entries_fit_each_other_has_no_problems():
    assert errors(policy()) == ()
    assert warnings(policy()) == ()


@pytest.mark.parametrize(
    ("made", "at", "says"),
    [
        (
            policy(clusters=[PROD, PROD]),
            ("clusters", 1, "name"),
            "`prod` stands twice under `clusters`",
        ),
        (policy(rule(), rule()), ("rules", 1, "name"), "`all` stands twice under `rules`"),
        (policy(rule(levels=["veiw"])), ("rules", 0, "levels", 0), "There is no level `veiw`"),
        (policy(rule(clusters=["pord"])), ("rules", 0, "clusters", 0), "no cluster `pord`"),
        (
            policy(rule(levels=["view", "root"])),
            ("rules", 0, "levels", 1),
            "only given for whole clusters",
        ),
        (
            policy(rule(approval=ASKED | {"required": 3})),
            ("rules", 0, "approval", "required"),
            "3 owners must approve, and the rule names 2",
        ),
        (
            policy(rule(approval=ASKED | {"remind_after": "1h"})),
            ("rules", 0, "approval", "remind_after"),
            "when the request has lapsed",
        ),
        (
            policy(
                rule(
                    approval=ASKED
                    | {
                        "lapse_after": "30m",
                        "escalate": {
                            "after": "40m",
                            "channel": "C02",
                            "owners": {"users": ["U04DAN"]},
                        },
                    }
                )
            ),
            ("rules", 0, "approval", "escalate"),
            "when the request has lapsed",
        ),
        (
            policy(clusters=[PROD | {"assume_role": "arn:aws:iam::444455556666:role/bot"}]),
            ("clusters", 0, "assume_role"),
            "in account 444455556666, and the cluster in 111122223333",
        ),
        (
            policy(clusters=[PROD | {"assume_role": "arn:aws:iam::111122223333:user/bot"}]),
            ("clusters", 0, "assume_role"),
            "cannot be assumed",
        ),
        (
            policy(clusters=[PROD | {"assume_role": "arn:aws-cn:iam::111122223333:role/bot"}]),
            ("clusters", 0, "assume_role"),
            "partition aws-cn",
        ),
        (
            policy(principals={"users": {"U01ALICE": ROLE, "U02BOB": ROLE}}),
            ("principals", "users", "U02BOB"),
            "U02BOB and U01ALICE are one IAM principal",
        ),
        (
            policy(principals={"users": {"U01ALICE": ROLE, "U02BOB": PINNED}}),
            ("principals", "users", "U02BOB"),
            "one IAM principal",
        ),
        (
            policy(principals={"users": {"U01ALICE": PINNED, "U02BOB": ROLE}}),
            ("principals", "users", "U02BOB"),
            "one IAM principal",
        ),
        (
            policy(principals={"users": {"U01ALICE": SSO}}),
            ("principals", "users", "U01ALICE"),
            "Identity Center",
        ),
        (
            policy(
                security_channel="C0SEC",
                break_glass=[
                    {
                        "clusters": ["*"],
                        "levels": ["admin"],
                        "responders": {"groups": ["S04ONCALL"]},
                        "max_duration": "1h",
                        "review": {"owners": {"groups": ["S05SEC"]}, "within": "24h"},
                    }
                ],
            ),
            ("break_glass", 0, "levels", 0),
            "There is no level `admin`",
        ),
    ],
)
def test_entries_that_do_not_fit_each_other_are_errors(made, at, says):
    (problem,) = errors(made)
    assert problem.severity is Severity.ERROR
    assert problem.at == at
    assert says in problem.message
    assert problem.remedy


@pytest.mark.parametrize(
    ("made", "at", "says"),
    [
        (policy(rules=[]), ("rules",), "every request is refused"),
        (policy(rule()), ("levels", "root"), "No rule gives level `root`"),
        (
            policy(rule(clusters=["*", "dev-*"])),
            ("rules", 0, "clusters", 1),
            "no cluster matches",
        ),
        (
            policy(rule(clusters=["prod", {"labels": {"env": "lab"}}])),
            ("rules", 0, "clusters", 1),
            "no cluster matches",
        ),
        (
            policy(rule(namespaces=["kube-*"])),
            ("rules", 0, "namespaces", 0),
            "does not cover kube-system",
        ),
        (
            policy(
                rule(
                    requesters={"users": ["U02BOB"]},
                    approval=ASKED | {"owners": {"users": ["U02BOB"]}},
                )
            ),
            ("rules", 0, "approval", "owners"),
            "Nobody could approve what U02BOB may ask for",
        ),
        (
            policy(principals={"users": {"U01ALICE": ROLE.replace("aws", "aws-cn", 1)}}),
            ("principals", "users", "U01ALICE"),
            "partition aws-cn, where there is no cluster",
        ),
        (
            policy(principals={"users": {"U01ALICE": ROLE}, "shared": [ROLE + "s"]}),
            ("principals", "shared", 0),
            "Nobody is mapped",
        ),
        (
            policy(
                principals={
                    "template": "arn:aws:iam::{account}:role/{email_name}",
                    "email_domains": ["example.com", "example.org"],
                }
            ),
            ("principals", "email_domains"),
            "are one principal",
        ),
    ],
)
def test_entries_that_can_have_no_effect_are_told(made, at, says):
    assert errors(made) == ()
    (problem,) = (problem for problem in warnings(made) if problem.at == at)
    assert says in problem.message
    assert problem.remedy


@pytest.mark.parametrize("shared", [[ROLE], ["arn:aws:iam::111122223333:role/eks-jit/alice"]])
def test_a_principal_declared_shared_may_be_several_peoples(shared):
    users = {"U01ALICE": ROLE, "U02BOB": ROLE, "U03CARO": SSO}
    made = policy(principals={"users": users, "shared": [*shared, SSO]})
    assert errors(made) == ()
    assert ("principals", "shared", 0) not in places(warnings(made))


def test_a_principal_shared_in_one_account_only_is_an_error_where_there_are_more():
    users = {"U01ALICE": ROLE, "U02BOB": ROLE}
    other = PROD | {"name": "other", "account": "444455556666"}
    shared = ["arn:aws:iam::111122223333:role/eks-jit/alice"]
    made = policy(clusters=[PROD, other], principals={"users": users, "shared": shared})
    assert places(errors(made)) == [("principals", "users", "U02BOB")]


def test_principals_that_never_meet_on_a_cluster_are_no_error():
    users = {"U01ALICE": ROLE, "U02BOB": "arn:aws:iam::999900001111:role/alice"}
    assert errors(policy(principals={"users": users})) == ()


@pytest.mark.parametrize(
    ("earlier", "later", "hidden"),
    [
        (rule("a"), rule("b"), True),
        (rule("a", levels=["view", "root"]), rule("b"), True),
        (rule("a"), rule("b", levels=["view", "root"]), False),
        (rule("a", namespaces=["d*"]), rule("b", namespaces=["de*", "default"]), True),
        (rule("a", namespaces=["d*"]), rule("b", namespaces=["de*", "other"]), False),
        (rule("a", namespaces=["*"]), rule("b", namespaces=["kube-system"]), False),
        (rule("a", namespaces=["*"]), rule("b", scope="cluster"), False),
        (rule("a", scope="cluster"), rule("b", namespaces=["*", "kube-system"]), True),
        (rule("a", clusters=["prod"]), rule("b", clusters=["pr*"]), True),
        (rule("a", clusters=["prod"]), rule("b", clusters=["*"]), False),
        (rule("a", clusters=[{"labels": {"env": "lab"}}]), rule("b", clusters=["lab"]), True),
        (rule("a", requesters={"users": ["U1A"]}), rule("b"), False),
        (rule("a"), rule("b", requesters={"users": ["U1A"]}), True),
        (
            rule("a", requesters={"users": ["U1A", "U1B"], "groups": ["S1A"]}),
            rule("b", requesters={"users": ["U1A"], "groups": ["S1A"]}),
            True,
        ),
        (
            rule("a", requesters={"groups": ["S1A"]}),
            rule("b", requesters={"groups": ["S1B"]}),
            False,
        ),
        (rule("a", when=OFFICE), rule("b"), False),
        (rule("a"), rule("b", when=OFFICE), True),
        (rule("a", when=OFFICE), rule("b", when=OFFICE), True),
        (rule("a", when=OFFICE), rule("b", when=OFFICE | {"time_zone": "UTC"}), False),
        (rule("a", approval={"automatic": {"per_day": 9}}), rule("b"), False),
        (rule("a", approval={"automatic": {"time_per_day": "9h"}}), rule("b"), False),
        (rule("a", approval={"automatic": {}, "channel": "C01"}), rule("b"), True),
        (rule("a"), rule("b", approval={"automatic": {"per_day": 9}}), True),
    ],
)
def test_a_rule_that_an_earlier_one_hides_is_found(earlier, later, hidden):
    levels = {
        "view": {"policy": "AmazonEKSViewPolicy"},
        "root": {"policy": "AmazonEKSClusterAdminPolicy"},
    }
    lab = PROD | {"name": "lab", "labels": {"env": "lab"}}
    found = warnings(policy(earlier, later, levels=levels, clusters=[PROD, lab]))
    unreached = [problem for problem in found if "never reached" in problem.message]
    assert places(unreached) == ([("rules", 1, "name")] if hidden else [])


def test_a_rule_that_several_earlier_ones_hide_together_is_found():
    lab = PROD | {"name": "lab"}
    found = warnings(
        policy(
            rule("one", clusters=["prod"]),
            rule("two", clusters=["lab"]),
            rule("three", clusters=["*"]),
            rule("root", levels=["root"], scope="cluster", approval=ASKED),
            clusters=[PROD, lab],
        )
    )
    assert places(found) == [("rules", 2, "name")]
    assert "(one and two)" in found[0].message


PATTERNS = ["n1", "n?", "dev-*", "*", "kube-system"]
RULES = st.lists(
    st.builds(
        lambda clusters, levels, where, users: rule(
            clusters=clusters,
            levels=levels,
            **where,
            **({"requesters": {"users": users}} if users else {}),
        ),
        st.sampled_from([["prod"], ["lab"], ["*"], [{"labels": {"env": "lab"}}]]),
        st.sampled_from([["view"], ["edit"], ["view", "edit"]]),
        st.just({"scope": "cluster"})
        | st.builds(
            lambda namespaces: {"namespaces": namespaces},
            st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2),
        ),
        st.lists(st.sampled_from(["U1A", "U1B"]), max_size=2),
    ),
    min_size=2,
    max_size=5,
).map(lambda rules: [one | {"name": f"r{place}"} for place, one in enumerate(rules)])


@given(RULES)
@settings(max_examples=20)
def test_no_request_reaches_a_rule_said_to_be_never_reached(rules):
    made = policy(
        *rules,
        clusters=[PROD, PROD | {"name": "lab", "labels": {"env": "lab"}}],
        levels={
            "view": {"policy": "AmazonEKSViewPolicy"},
            "edit": {"policy": "AmazonEKSEditPolicy"},
        },
    )
    hidden = {p.at[1] for p in warnings(made) if "never reached" in p.message}
    for cluster in made.clusters_by_name.values():
        for level in made.levels:
            for namespace in (None, "n1", "n2", "dev-a", "kube-system"):
                for user in ("U1A", "U1B", "U1C"):
                    first = next(
                        (
                            place
                            for place, one in enumerate(made.rules)
                            if one.covers(cluster)
                            and level in one.levels
                            and one.covers_namespace(namespace)
                            and (one.requesters is None or user in one.requesters.users)
                        ),
                        None,
                    )
                    assert first not in hidden


def test_a_thousand_rules_are_compared_in_seconds():
    clusters = [PROD | {"name": f"c{n}", "labels": {"team": f"t{n % 50}"}} for n in range(500)]
    rules = [
        rule(
            f"r{n}", clusters=[{"labels": {"team": f"t{n % 50}"}}], namespaces=[f"n{n}", f"x{n}-*"]
        )
        for n in range(1000)
    ]
    made = policy(*rules, clusters=clusters)
    begun = time.perf_counter()
    assert places(warnings(made)) == [("levels", "root")]
    assert time.perf_counter() - begun < 5
