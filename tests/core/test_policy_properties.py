"""What holds of every policy and every request, held against policies made at random."""

from __future__ import annotations

import copy
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from policy_worlds import (
    ALL_MEMBERS,
    FITTING_ASKS,
    MOMENTS,
    TEAM,
    USERS,
    built,
    circumstances,
    raw_policies,
    raw_policy,
)

from bot.core.approvals import unmet
from bot.core.decide import evaluate
from bot.core.model import AccessRequest, Ask, Delegation, Person, Principal
from bot.core.people import belongs
from bot.core.principals import principal_for
from bot.core.review import may_review, reviewer_seats

ASKED = circumstances(ALL_MEMBERS, FITTING_ASKS)
NOW = MOMENTS[1]


def decision(policy, one):
    return evaluate(
        policy, one.ask, one.person, one.membership, one.now, team_id=TEAM, usage=one.usage
    )


@given(raw_policies(), circumstances(ALL_MEMBERS))
@settings(max_examples=25)
def test_what_no_rule_lets_somebody_ask_for_is_refused(raw, one):
    """As the file reads, rule by rule, without any of the code that decides."""
    policy = built(raw)
    groups = {group for group, members in one.membership.items() if one.person.id in members}

    def lets_in(rule, namespace):
        people = rule.get("requesters")
        cluster = {"prod": {}, "lab": {"env": "lab"}}.get(one.ask.cluster)
        selects = any(
            selector["labels"].items() <= cluster.items()
            if isinstance(selector, dict)
            else selector in ("*", one.ask.cluster) or (selector == "pr*" and cluster == {})
            for selector in rule["clusters"]
            if cluster is not None
        )
        covered = "scope" in rule or (
            namespace is not None
            and any(
                pattern == namespace
                or (pattern == "*" and namespace != "kube-system")
                or (pattern == "n?" and namespace in ("n1", "n2"))
                or (pattern == "dev-*" and namespace == "dev-a")
                for pattern in rule["namespaces"]
            )
        )
        asks = people is None or bool(
            groups & {*people.get("groups", ())} or one.person.id in people.get("users", ())
        )
        return selects and covered and asks and one.ask.level in rule["levels"]

    open_to_all = all(
        any(lets_in(rule, namespace) for rule in raw["rules"])
        for namespace in one.ask.namespaces or (None,)
    )
    if not open_to_all:
        assert not decision(policy, one).allowed


@given(raw_policies(), st.data(), ASKED, st.sets(st.sampled_from(USERS), max_size=3))
@settings(max_examples=25)
def test_adding_an_owner_takes_no_right_away(raw, data, one, approvers):
    more = copy.deepcopy(raw)
    asked = [rule["approval"] for rule in more["rules"] if "owners" in rule["approval"]]
    for approval in asked:
        owners = data.draw(
            st.sampled_from(
                [
                    approval["owners"],
                    *(part["owners"] for part in approval["also"]),
                    *([approval["escalate"]["owners"]] if "escalate" in approval else []),
                ]
            )
        )
        owners["users"] = [*owners.get("users", ()), data.draw(st.sampled_from(USERS))]
    before, after = (decision(built(some), one) for some in (raw, more))
    if not before.allowed:
        return
    assert after.allowed
    request = stored(built(raw), one.ask, one.person, before)

    def enough(some, parts):
        policy = built(some)
        return not unmet(
            parts, seats_of(policy, request, approvers, parts, membership=one.membership, now=NOW)
        )

    if enough(raw, before.requirements):
        assert enough(more, after.requirements)


def stored(policy, ask, person, decided):
    cluster = policy.clusters_by_name[ask.cluster]
    return AccessRequest(
        id="7K3-QMX",
        requester=person.id,
        requester_name=person.name,
        cluster=cluster,
        level=ask.level,
        namespaces=ask.namespaces,
        duration=decided.duration,
        reason=ask.reason,
        ticket=ask.ticket,
        start_at=None,
        principal=Principal(principal_for(policy, person, cluster).arn),
        access=decided.access,
        rules=decided.rules,
        requirements=decided.requirements,
        created_at=NOW,
        lapses_at=NOW + timedelta(hours=1),
    )


def seats_of(policy, request, approvers, parts, *, membership, now, delegations=()):
    return {
        user: reviewer_seats(
            policy, request, user, parts, membership=membership, delegations=delegations, now=now
        )
        for user in approvers
    }


PRINCIPALS = {
    "users": {
        user: f"arn:aws:iam::{{account}}:role/jit/{'both' if user in ('U1C', 'U1D') else user}"
        for user in USERS
    },
    "shared": ["arn:aws:iam::{account}:role/jit/both"],
}
DELEGATIONS = st.lists(
    st.builds(
        Delegation,
        id=st.just(0),
        owner=st.sampled_from(USERS),
        deputy=st.sampled_from(USERS),
        since=st.just(NOW - timedelta(days=1)),
        until=st.sampled_from([NOW + timedelta(days=1)] * 3 + [NOW + timedelta(days=9)]),
    ).filter(lambda one: one.owner != one.deputy),
    min_size=1,
    max_size=4,
)
CLICKS = st.lists(
    st.tuples(st.sampled_from(USERS), st.sampled_from([timedelta(), timedelta(minutes=25)])),
    min_size=2,
    max_size=6,
)
FEW = st.lists(st.sampled_from(USERS), min_size=2, max_size=3, unique=True).map(
    lambda users: {"users": users}
)
ASKED_OF_OWNERS = st.builds(
    lambda owners, required, security, escalate: {
        "clusters": ["*"],
        "levels": ["view"],
        "scope": "cluster",
        "max_duration": "1h",
        "approval": {
            "channel": "C1X",
            "owners": owners,
            "required": required,
            "also": [{"name": "security", "owners": security}] if security else [],
            "delegation": {"longest": "7d"},
            **({"escalate": escalate} if escalate else {}),
        },
    },
    FEW | st.just({"groups": ["S1A"], "users": ["U1A"]}),
    st.integers(1, 2),
    st.none() | FEW,
    st.none() | FEW.map(lambda owners: {"after": "20m", "channel": "C1Y", "owners": owners}),
)


def places(user, part, request, *, membership, delegations, waited):
    """In whose place somebody may approve one part, read off the rule by hand."""
    if user == request.requester or {user, request.requester} == {"U1C", "U1D"}:
        return set()
    owners = part.owners_after(waited)
    if belongs(user, owners, membership):
        return {user}
    limits = part.delegation
    found = set()
    for one in delegations:
        own = one.owner == request.requester or {one.owner, request.requester} == {"U1C", "U1D"}
        if (
            limits is not None
            and one.deputy == user
            and not own
            and one.until - one.since <= limits.longest
            and belongs(one.owner, owners, membership)
            and (limits.among is None or belongs(user, limits.among, membership))
        ):
            found.add(one.owner)
    return found


def really_enough(clicked, request, parts, **facts):
    """Whether each part has its number of people, nobody twice and no owner's place twice."""
    slots = [part for part in parts for _ in range(part.required)]

    def fill(index, people, taken):
        if index == len(slots):
            return True
        return any(
            fill(index + 1, people - {user}, taken | {place})
            for user in people
            for place in places(user, slots[index], request, **facts)
            if place not in taken
        )

    return fill(0, frozenset(clicked), frozenset())


@given(ASKED_OF_OWNERS, ALL_MEMBERS, DELEGATIONS, CLICKS, st.sampled_from(USERS))
@settings(max_examples=60)
def test_no_sequence_of_clicks_approves_without_the_people_required(
    rule, membership, delegations, clicks, requester
):
    policy = built(raw_policy([rule], principals=PRINCIPALS))
    ask = Ask(
        "prod",
        "view",
        duration=timedelta(minutes=15),
        reason="a stuck job",
        whole_cluster=True,
    )
    person = Person(requester, TEAM, "Somebody")
    decided = evaluate(policy, ask, person, membership, NOW, team_id=TEAM)
    if not decided.allowed:
        return
    request = stored(policy, ask, person, decided)
    waited, approved = timedelta(), {}
    facts = {"membership": membership, "delegations": delegations}
    for user, later in clicks:
        waited += later
        now = NOW + waited
        principal = principal_for(policy, Person(user, TEAM, user), request.cluster).arn
        review = may_review(
            policy,
            request,
            Person(user, TEAM, user),
            principal,
            membership,
            now,
            team_id=TEAM,
            delegations=delegations,
        )
        mine = {
            part.key: places(user, part, request, waited=waited, **facts)
            for part in decided.requirements
        }
        assert review.allowed <= any(mine.values())
        if not review.allowed or user in approved:
            continue
        approved[user] = None
        parts = review.requirements
        given_ = seats_of(
            policy,
            request,
            approved,
            parts,
            membership=membership,
            now=now,
            delegations=delegations,
        )
        if unmet(parts, given_):
            continue
        for name in {part.rule for part in parts}:
            own = [part for part in parts if part.rule == name]
            assert really_enough(approved, request, own, waited=waited, **facts)
        assert requester not in approved
        break
