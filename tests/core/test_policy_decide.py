from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.ask_checks import START_WITHIN
from bot.core.decide import evaluate, groups_needed, with_ticket
from bot.core.errors import DirectoryUnavailable
from bot.core.model import AccessScope, Ask, Owners, Person, Requirement
from bot.core.policy import Policy

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TEAM = "T01HOME"
ALICE = Person("U01ALICE", TEAM, "Alice")
MEMBERS = {
    "S01ENG": {"U01ALICE", "U02BOB"},
    "S02PAYLEADS": {"U02BOB"},
    "S03PLATFORM": {"U03CARO", "U04DAN"},
    "S04NOBODY": set(),
}
PAYMENTS = {
    "name": "payments",
    "clusters": ["prod-*"],
    "levels": ["view", "edit"],
    "namespaces": ["payments", "payments-*"],
    "requesters": {"groups": ["S01ENG"]},
    "approval": {
        "channel": "C01PAY",
        "owners": {"groups": ["S02PAYLEADS"]},
        "lapse_after": "30m",
    },
    "max_duration": "4h",
}
BILLING = {
    "name": "billing",
    "clusters": ["prod-*"],
    "levels": ["edit"],
    "namespaces": ["billing"],
    "approval": {"channel": "C02BILL", "owners": {"users": ["U03CARO"]}, "lapse_after": "2h"},
    "max_duration": "2h",
    "ticket": "^BILL-[0-9]+$",
}
LAB = {
    "name": "lab",
    "clusters": [{"labels": {"env": "lab"}}],
    "levels": ["view"],
    "namespaces": ["*"],
    "approval": "automatic",
    "max_duration": "30m",
}
PLATFORM = {
    "name": "platform",
    "clusters": ["prod-*"],
    "levels": ["root"],
    "scope": "cluster",
    "requesters": {"users": ["U01ALICE"]},
    "approval": {"channel": "C03PLAT", "owners": {"groups": ["S03PLATFORM"]}, "required": 2},
    "max_duration": "1h",
}


def policy(*rules, users=None):
    return built(rules or [PAYMENTS, BILLING, LAB, PLATFORM], users)


def built(rules, users=None):
    return Policy.model_validate(
        {
            "deployment": "acme",
            "clusters": [
                {"name": "prod-eu", "region": "eu-west-1", "account": "111122223333"},
                {
                    "name": "lab",
                    "region": "eu-west-1",
                    "account": "111122223333",
                    "labels": {"env": "lab"},
                },
            ],
            "levels": {
                "view": {"policy": "AmazonEKSViewPolicy"},
                "edit": {"policy": "AmazonEKSEditPolicy"},
                "root": {"policy": "AmazonEKSClusterAdminPolicy", "scope": "cluster"},
            },
            "principals": {
                "users": users or {"U01ALICE": "arn:aws:iam::{account}:role/eks-jit/alice"}
            },
            "rules": list(rules),
        }
    )


def ask(cluster="prod-eu", level="edit", namespaces=("payments",), **changes):
    return Ask(cluster, level, namespaces, **{"reason": "a stuck job", **changes})


def decide(asked, requester=ALICE, members=MEMBERS, in_policy=None):
    return evaluate(in_policy or policy(), asked, requester, members, NOW, team_id=TEAM)


def codes(decision):
    return [reason.code for reason in decision.reasons]


def sentence(decision):
    return " ".join(reason.sentence for reason in decision.reasons)


def test_a_matching_rule_with_owners_allows_the_request_and_needs_their_approval():
    decision = decide(ask(duration=timedelta(hours=2)))
    assert decision.allowed
    assert not decision.automatic
    assert decision.rules == ("payments",)
    assert decision.requirements == (
        Requirement("payments", "C01PAY", Owners(groups=frozenset({"S02PAYLEADS"})), 1),
    )
    assert decision.access is not None
    assert decision.access.scope == AccessScope.of(["payments"])
    assert decision.duration == timedelta(hours=2)
    assert decision.max_duration == timedelta(hours=4)
    assert decision.lapse_after == timedelta(minutes=30)
    assert codes(decision) == ["needs_review"]


def test_an_automatic_rule_allows_the_request_without_requirements():
    decision = decide(ask("lab", "view", ("anything",)))
    assert decision.automatic
    assert decision.rules == ("lab",)
    assert decision.lapse_after == timedelta()


def test_without_a_duration_access_is_for_an_hour_or_the_maximum_if_shorter():
    assert decide(ask()).duration == timedelta(hours=1)
    assert decide(ask("lab", "view", ("a",))).duration == timedelta(minutes=30)


def test_several_namespaces_need_the_owners_of_every_matching_rule():
    decision = decide(ask(namespaces=("billing", "payments", "payments"), ticket="BILL-7"))
    assert [requirement.rule for requirement in decision.requirements] == ["payments", "billing"]
    assert decision.max_duration == timedelta(hours=2)
    assert decision.lapse_after == timedelta(minutes=30)
    assert decision.access.scope == AccessScope.of(["billing", "payments"])


def test_an_automatic_rule_for_one_namespace_does_not_spare_the_owners_of_another():
    free = BILLING | {"name": "free", "namespaces": ["sandbox"], "approval": "automatic"}
    decision = decide(
        ask(namespaces=("sandbox", "payments"), ticket="BILL-7"),
        in_policy=policy(free, PAYMENTS),
    )
    assert decision.rules == ("free", "payments")
    assert [requirement.rule for requirement in decision.requirements] == ["payments"]


def test_the_first_rule_that_matches_holds():
    first = PAYMENTS | {"name": "first", "approval": "automatic"}
    assert decide(ask(), in_policy=policy(first, PAYMENTS)).rules == ("first",)
    assert decide(ask(), in_policy=policy(PAYMENTS, first)).rules == ("payments",)


def test_a_rule_for_other_requesters_is_passed_over():
    others = PAYMENTS | {"name": "others", "requesters": {"users": ["U09EVE"]}}
    assert decide(ask(), in_policy=policy(others, PAYMENTS)).rules == ("payments",)


def test_a_rule_without_requesters_is_for_every_full_member():
    decision = decide(ask(namespaces=("billing",), ticket="BILL-7"), Person("U7", TEAM, "Zoe"), {})
    assert decision.rules == ("billing",)


def test_a_level_for_the_whole_cluster_alone_is_asked_for_without_namespaces():
    decision = decide(ask(level="root", namespaces=()))
    assert decision.allowed
    assert decision.access.scope.is_cluster
    assert decision.requirements[0].required == 2


def test_one_namespace_may_be_asked_for_where_the_rule_gives_the_whole_cluster():
    whole = PAYMENTS | {"scope": "cluster"}
    del whole["namespaces"]
    decision = decide(ask(namespaces=("kube-system",)), in_policy=policy(whole))
    assert decision.access.scope == AccessScope.of(["kube-system"])


@pytest.mark.parametrize("name", ["*", "pay*", "Payments", "x" * 64, "a b", "\u0440ayments"])
def test_what_is_no_namespace_is_given_by_no_glob(name):
    everywhere = policy(PAYMENTS | {"namespaces": ["*"]})
    decision = decide(ask(namespaces=(name,)), in_policy=everywhere)
    assert codes(decision) == ["bad_namespace"]


def test_a_system_namespace_is_given_by_its_own_name_alone():
    named = PAYMENTS | {"namespaces": ["*", "kube-system"]}
    assert decide(ask(namespaces=("kube-system",)), in_policy=policy(named)).allowed
    for glob in ("*", "kube-*"):
        decision = decide(
            ask(namespaces=("kube-system",)), in_policy=policy(PAYMENTS | {"namespaces": [glob]})
        )
        assert codes(decision) == ["no_rule"]


def test_a_start_ahead_of_time_is_allowed_up_to_its_bound():
    assert decide(ask(start_at=NOW)).allowed
    assert decide(ask(start_at=NOW + START_WITHIN)).allowed


@pytest.mark.parametrize(
    ("requester", "code"),
    [
        (replace(ALICE, deleted=True), "deactivated"),
        (replace(ALICE, is_bot=True), "is_bot"),
        (replace(ALICE, is_guest=True), "is_guest"),
        (replace(ALICE, is_stranger=True), "other_organisation"),
        (replace(ALICE, team_id="T99ELSE"), "other_organisation"),
        (replace(ALICE, team_id=""), "other_organisation"),
    ],
)
def test_only_a_full_member_of_the_installed_workspace_may_ask(requester, code):
    decision = decide(ask("lab", "view", ("a",)), requester)
    assert not decision.allowed
    assert codes(decision) == [code]


def test_somebody_outside_the_requesters_is_told_what_they_may_ask_for():
    decision = decide(ask(), Person("U09EVE", TEAM, "Eve"))
    assert codes(decision) == ["no_rule"]
    assert (
        "`/eks-access request prod-eu edit --namespace billing --for 1h --ticket TICKET …`"
        in sentence(decision)
    )


def test_somebody_with_no_rule_at_all_is_told_so():
    decision = decide(ask(), Person("U09EVE", TEAM, "Eve"), in_policy=policy(PAYMENTS))
    assert "No rule lets you ask for anything there. Ask whoever keeps" in sentence(decision)


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        (ask("prod-ue"), "unknown_cluster", "Did you mean `prod-eu`?"),
        (ask("prod"), "unknown_cluster", "Did you mean `prod-eu`?"),
        (ask("zzz"), "unknown_cluster", "`/eks-access clusters`"),
        (ask(""), "unknown_cluster", "`/eks-access clusters`"),
        (
            ask(level="edti", duration=timedelta(hours=2)),
            "unknown_level",
            "`edti` is no level on prod-eu. There you can ask for view, edit or root; edit in "
            "`payments` or `payments-*`: "
            "`/eks-access request prod-eu edit --namespace payments --for 2h …`",
        ),
        (ask("lab", "edit"), "unknown_level", "There you can ask for view in `*`"),
        (ask(namespaces=("Payments",)), "bad_namespace", "lower case: `payments`"),
        (ask(namespaces=("payments-*",)), "bad_namespace", "Name each namespace"),
        (ask(namespaces=("a" * 64,)), "bad_namespace", "63 is the most"),
        (ask(namespaces=("",)), "bad_namespace", "no namespace name"),
        (
            ask(namespaces=tuple(f"payments-{n}" for n in range(21))),
            "too_many_namespaces",
            "20 is the most",
        ),
        (ask(namespaces=("accounts",)), "no_rule", "on prod-eu in `accounts`"),
        (ask(namespaces=("payments", "accounts")), "no_rule", "--namespace payments --for 1h"),
        (ask("lab", "view", ("kube-system",)), "no_rule", "has to be named by a rule"),
        (ask(namespaces=()), "needs_namespaces", "You named no namespace for edit on prod-eu. "),
        (
            replace(ask(namespaces=()), whole_cluster=True),
            "needs_namespaces",
            "on the whole of prod-eu",
        ),
        (ask(level="root", namespaces=("payments",)), "only_cluster", "Leave the namespaces out"),
    ],
)
def test_what_no_rule_covers_is_refused_with_the_near_miss(asked, code, says):
    decision = decide(asked)
    assert not decision.allowed
    assert codes(decision) == [code]
    assert says in sentence(decision)


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        (
            ask(duration=timedelta(hours=9)),
            "too_long",
            "You asked for 9 h, and rule payments gives at most 4 h: "
            "`/eks-access request prod-eu edit --namespace payments --for 4h …`",
        ),
        (ask(duration=timedelta()), "bad_duration", "no time at all"),
        (ask(duration=timedelta(hours=-1)), "bad_duration", "no time at all"),
        (ask(reason=""), "reason_missing", "There is no reason"),
        (ask(reason=" \n\t"), "reason_missing", "There is no reason"),
        (ask(reason="\u202e\u200b\u0000"), "reason_missing", "There is no reason"),
        (ask(reason="a" * 3001), "reason_too_long", "3000 is the most"),
        (ask(start_at=NOW - timedelta(seconds=1)), "bad_start", "has passed"),
        (ask(start_at=NOW + START_WITHIN + timedelta(1)), "bad_start", "30 days ahead"),
        (ask(start_at=datetime(2026, 11, 25)), "bad_start", "no time zone"),  # noqa: DTZ001
        (ask(ticket="a\nb"), "bad_ticket", "on one line"),
        (ask(ticket="A" * 101), "bad_ticket", "at most 100 letters"),
    ],
)
def test_input_that_cannot_be_taken_is_refused_with_the_remedy(asked, code, says):
    decision = decide(asked)
    assert not decision.allowed
    assert codes(decision) == [code]
    assert says in sentence(decision)
    assert decision.rules == ("payments",)


def test_a_reason_of_the_greatest_length_is_taken():
    assert decide(ask(reason="a" * 3000)).allowed


@pytest.mark.parametrize(
    ("ticket", "code"),
    [
        (None, "ticket_missing"),
        ("", "ticket_missing"),
        ("PAY-1", "bad_ticket"),
        ("BILL-1 and more", "bad_ticket"),
        ("xBILL-1", "bad_ticket"),
    ],
)
def test_a_rule_with_a_ticket_form_needs_the_whole_ticket_to_match(ticket, code):
    decision = decide(ask(namespaces=("billing",), ticket=ticket))
    assert codes(decision) == [code]
    assert "it has to look like `BILL-1423`" in sentence(decision)


@pytest.mark.parametrize(
    ("reason", "ticket", "taken"),
    [
        ("BILL-7: the invoice hangs", None, "BILL-7"),
        ("BILL-7: the invoice hangs", "", "BILL-7"),
        ("BILL-7: the invoice hangs", "BILL-8", "BILL-8"),
        ("BILL-7 or BILL-8", None, None),
        ("PAY-7: the invoice hangs", None, None),
    ],
)
def test_a_reason_that_names_one_ticket_gives_it_where_none_was_entered(reason, ticket, taken):
    asked = ask(namespaces=("billing",), ticket=ticket, reason=reason)
    assert with_ticket(policy(BILLING), asked).ticket == taken
    elsewhere = ask(namespaces=("payments",), ticket=ticket, reason=reason)
    assert with_ticket(policy(BILLING), elsewhere) == elsewhere


def test_the_ticket_that_a_reason_names_is_said_where_the_option_is_missing():
    decision = decide(ask(namespaces=("billing",), reason="BILL-7: the invoice hangs"))
    assert codes(decision) == ["ticket_missing"]
    assert "Add `--ticket` with `BILL-7`, which your reason names." in sentence(decision)


def test_a_ticket_form_without_anchors_is_for_the_whole_ticket_too():
    loose = policy(BILLING | {"ticket": "BILL-[0-9]+"})
    for ticket, allowed in (("BILL-1", True), ("BILL-1, or not", False), ("no BILL-1", False)):
        asked = ask(namespaces=("billing",), ticket=ticket)
        assert decide(asked, in_policy=loose).allowed is allowed


def test_every_problem_is_told_at_once():
    decision = decide(
        ask(
            namespaces=("billing",),
            duration=timedelta(hours=3),
            reason="",
            start_at=NOW - NOW.resolution,
        )
    )
    assert codes(decision) == ["too_long", "ticket_missing", "reason_missing", "bad_start"]


def test_a_rule_whose_only_owner_asks_is_refused():
    bob = Person("U02BOB", TEAM, "Bob")
    decision = decide(ask(), bob)
    assert codes(decision) == ["nobody_to_approve"]
    assert "nobody approves their own request" in sentence(decision)


def test_an_empty_owner_group_approves_nothing():
    orphan = PAYMENTS | {"approval": {"channel": "C01PAY", "owners": {"groups": ["S04NOBODY"]}}}
    assert codes(decide(ask(), in_policy=policy(orphan))) == ["nobody_to_approve"]


def test_an_owner_on_the_same_principal_does_not_count():
    role = "arn:aws:iam::{account}:role/eks-jit/alice"
    asked = ask(namespaces=("billing",), ticket="BILL-1")
    both = policy(BILLING, users={"U01ALICE": role, "U03CARO": role})
    assert codes(decide(asked, in_policy=both)) == ["nobody_to_approve"]
    assert decide(asked, in_policy=policy(BILLING)).allowed


def test_two_approvals_need_two_others():
    members = MEMBERS | {"S03PLATFORM": {"U01ALICE", "U03CARO"}}
    asked = ask(level="root", namespaces=())
    assert decide(asked).allowed
    decision = decide(asked, members=members)
    assert codes(decision) == ["nobody_to_approve"]
    assert "besides you only 1 could" in sentence(decision)


def test_an_unknown_group_stops_the_decision_that_hangs_on_it():
    for missing in ("S01ENG", "S02PAYLEADS"):
        members = {group: users for group, users in MEMBERS.items() if group != missing}
        with pytest.raises(DirectoryUnavailable, match=missing):
            decide(ask(), members=members)


def test_an_unknown_group_does_not_stop_a_decision_without_it():
    assert decide(ask("lab", "view", ("a",)), members={}).automatic


def test_the_groups_needed_are_those_of_the_rules_that_could_match():
    assert groups_needed(policy(), ask()) == {"S01ENG", "S02PAYLEADS"}
    assert groups_needed(policy(), ask("lab", "view", ("a",))) == frozenset()
    assert groups_needed(policy(), ask(level="root", namespaces=())) == {"S03PLATFORM"}


def test_without_a_rule_the_groups_needed_are_those_for_the_near_miss():
    assert groups_needed(policy(), ask(level="edti")) == {"S01ENG"}
    assert groups_needed(policy(), ask(cluster="nowhere")) == frozenset()


NAMESPACES = ["n1", "n2", "dev-a", "kube-system"]
USERS = ["U01ALICE", "U02BOB", "U03CARO"]
PEOPLE = st.one_of(
    st.builds(lambda users: {"users": users}, st.lists(st.sampled_from(USERS), min_size=1)),
    st.just({"groups": ["S02PAYLEADS"]}),
    st.just({"users": ["U03CARO"], "groups": ["S03PLATFORM"]}),
)
APPROVALS = st.one_of(
    st.just("automatic"),
    st.builds(
        lambda owners, required: {"channel": "C01PAY", "owners": owners, "required": required},
        PEOPLE,
        st.integers(1, 2),
    ),
)
WHERE = st.one_of(
    st.just({"scope": "cluster"}),
    st.lists(st.sampled_from([*NAMESPACES, "n?", "dev-*", "*"]), min_size=1, max_size=2).map(
        lambda namespaces: {"namespaces": namespaces}
    ),
)
RULES = st.lists(
    st.builds(
        lambda clusters, levels, where, approval, hours, requesters: {
            "clusters": clusters,
            "levels": levels,
            "approval": approval,
            "max_duration": f"{hours}h",
            **where,
            **({"requesters": requesters} if requesters else {}),
        },
        st.sampled_from([["prod-eu"], ["lab"], ["*"], [{"labels": {"env": "lab"}}]]),
        st.sampled_from([["view"], ["edit"], ["view", "edit"]]),
        WHERE,
        APPROVALS,
        st.integers(1, 8),
        st.one_of(st.none(), PEOPLE),
    ),
    max_size=5,
).map(lambda rules: [rule | {"name": f"r{place}"} for place, rule in enumerate(rules)])
ASKS = st.builds(
    lambda cluster, level, namespaces, hours: replace(
        ask(cluster, level, tuple(namespaces), duration=hours and timedelta(hours=hours)),
        whole_cluster=not namespaces,
    ),
    st.sampled_from(["prod-eu", "lab"]),
    st.sampled_from(["view", "edit"]),
    st.lists(st.sampled_from(NAMESPACES), max_size=3),
    st.sampled_from([None, 1, 2, 5, 9]),
)


def first_rules(rules, asked, user):
    """The rule for each namespace asked for, found in another way than the code's."""
    for namespace in asked.namespaces or (None,):
        for rule in rules:
            everywhere = "*" in rule["clusters"] or asked.cluster in rule["clusters"]
            labelled = asked.cluster == "lab" and {"labels": {"env": "lab"}} in rule["clusters"]
            people = rule.get("requesters")
            named = people is None or user in {
                *people.get("users", ()),
                *(one for group in people.get("groups", ()) for one in MEMBERS[group]),
            }
            where = rule.get("namespaces", ())
            covered = "scope" in rule or (
                namespace is not None
                and (
                    namespace in where
                    or (
                        namespace != "kube-system"
                        and (
                            "*" in where
                            or ("n?" in where and namespace in {"n1", "n2"})
                            or ("dev-*" in where and namespace == "dev-a")
                        )
                    )
                )
            )
            if (everywhere or labelled) and asked.level in rule["levels"] and named and covered:
                yield rule
                break
        else:
            yield None


@given(RULES, ASKS, st.sampled_from(USERS))
@settings(max_examples=25)
def test_a_request_gets_what_the_first_matching_rules_give_together(rules, asked, user):
    decision = decide(asked, Person(user, TEAM, user), in_policy=built(rules))
    found = list(first_rules(rules, asked, user))
    if None in found:
        assert not decision.allowed
        return
    longest = min(timedelta(hours=int(rule["max_duration"][:-1])) for rule in found)
    if asked.duration is not None and asked.duration > longest:
        assert "too_long" in codes(decision)
        return
    assert set(decision.rules) == {rule["name"] for rule in found}
    if not decision.allowed:
        assert set(codes(decision)) == {"nobody_to_approve"}
        return
    asking = {rule["name"] for rule in found if rule["approval"] != "automatic"}
    assert {requirement.rule for requirement in decision.requirements} == asking
    assert decision.max_duration == longest
    assert decision.duration <= longest
    assert decision.access.scope == AccessScope.of(asked.namespaces)


@given(RULES, ASKS, st.sampled_from(USERS), st.sampled_from(USERS))
@settings(max_examples=20)
def test_adding_an_owner_never_takes_a_right_away(rules, asked, user, added):
    more = [
        rule
        if rule["approval"] == "automatic"
        else rule
        | {
            "approval": rule["approval"]
            | {
                "owners": rule["approval"]["owners"]
                | {"users": [*rule["approval"]["owners"].get("users", ()), added]}
            }
        }
        for rule in rules
    ]
    person = Person(user, TEAM, user)
    if decide(asked, person, in_policy=built(rules)).allowed:
        assert decide(asked, person, in_policy=built(more)).allowed


ANYTHING = st.text(max_size=20)


@given(
    st.builds(
        Ask,
        st.sampled_from(["prod-eu", "lab"]) | ANYTHING,
        st.sampled_from(["view", "edit", "root"]) | ANYTHING,
        st.lists(st.sampled_from(NAMESPACES) | ANYTHING, max_size=3).map(tuple),
        st.none() | st.timedeltas(),
        st.none() | st.datetimes(timezones=st.none() | st.just(UTC)),
        st.none() | ANYTHING,
        ANYTHING,
    )
)
@settings(max_examples=25)
def test_no_input_makes_a_decision_fail_and_every_refusal_says_why(asked):
    decision = decide(asked)
    assert decision.reasons
    assert all(reason.sentence and reason.code for reason in decision.reasons)
    if not decision.allowed:
        assert decision.access is None
        assert not decision.requirements
    # What was typed stands in backticks of its own: an odd count would let it break out.
    assert sentence(decision).count("`") % 2 == 0
