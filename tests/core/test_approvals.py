"""How approvals add up: distinct people, distinct seats, one part each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seat_worlds import Deputy, Part, World, approvers, requirements, world, wrong

from bot.core.approvals import counted, enough_owners, seats, unmet
from bot.core.errors import DirectoryUnavailable
from bot.core.model import Delegation, DelegationLimits, EscalationStep, Owners, Requirement
from bot.core.seating import placed

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
PAY = Requirement("pay", "C1", Owners(frozenset({"U1", "U2", "U3"})), 2)
BILL = Requirement("bill", "C2", Owners(frozenset({"U3"}), frozenset({"S1"})))
SECURITY = Requirement("pay", "C3", Owners(frozenset({"U3", "U9"})), part="security")
DEPUTIES = Requirement(
    "pay", "C1", Owners(frozenset({"U1", "U2"})), 2, delegation=DelegationLimits(WEEK)
)


def seats_of(user, *requirements, members=None, delegations=(), excluded=()):
    return {
        one.key: seats(
            user,
            one,
            one.owners,
            membership={"S1": {"U4"}} if members is None else members,
            delegations=delegations,
            excluded=excluded,
            now=NOW,
        )
        for one in requirements
    }


def left(requirements, users, **known):
    approvers = {user: seats_of(user, *requirements, **known) for user in users}
    return [one.key for one in unmet(requirements, approvers)]


def away(owner="U1", deputy="U7", since=timedelta(), until=WEEK, **changes):
    return Delegation(1, owner, deputy, NOW + since, NOW + since + until, **changes)


@pytest.mark.parametrize(
    ("approvers", "expected"),
    [
        ([], ["pay", "bill"]),
        (["U1"], ["pay", "bill"]),
        (["U1", "U1"], ["pay", "bill"]),
        (["U1", "U2"], ["bill"]),
        (["U3"], ["pay"]),
        (["U4"], ["pay"]),
        (["U1", "U3"], []),
        (["U1", "U9"], ["pay", "bill"]),
    ],
)
def test_each_rule_needs_its_number_of_distinct_owners(approvers, expected):
    assert left([PAY, BILL], approvers) == expected


def test_an_approval_counts_only_while_its_giver_is_an_owner():
    assert left([BILL], ["U4"]) == []
    assert left([BILL], ["U4"], members={"S1": set()}) == ["bill"]


def test_approvals_of_an_unknown_group_do_not_count():
    with pytest.raises(DirectoryUnavailable):
        left([BILL], ["U4"], members={})


@pytest.mark.parametrize(
    ("approvers", "expected"),
    [
        (["U1", "U2"], ["pay / security"]),
        (["U1", "U3"], ["pay / security"]),  # U3 fills a place of the first part, or security's
        (["U1", "U9"], ["pay"]),
        (["U1", "U2", "U3"], []),
        (["U3", "U1", "U9"], []),  # U3 moves to the first part, because U9 can only be security
        (["U9", "U3"], ["pay"]),
    ],
)
def test_nobody_counts_for_two_parts_of_one_rule(approvers, expected):
    assert left([PAY, SECURITY], approvers) == expected


def test_one_person_who_owns_two_rules_counts_for_both():
    approvers = {"U3": seats_of("U3", PAY, BILL)}
    assert counted([PAY, BILL], approvers) == {"pay": ("U3",), "bill": ("U3",)}


def test_no_more_are_counted_than_are_needed():
    approvers = {user: seats_of(user, BILL) for user in ("U4", "U3")}
    assert len(counted([BILL], approvers)["bill"]) == 1


def test_a_deputy_sits_in_the_owners_seat():
    assert seats_of("U7", DEPUTIES, delegations=[away()]) == {"pay": {"U1"}}
    assert left([DEPUTIES], ["U7", "U2"], delegations=[away()]) == []


def test_an_owner_and_their_own_deputy_are_one_word():
    assert left([DEPUTIES], ["U7", "U1"], delegations=[away()]) == ["pay"]
    assert left([DEPUTIES], ["U1", "U7"], delegations=[away()]) == ["pay"]


def test_two_deputies_of_one_owner_are_one_word():
    both = [away(), away(deputy="U8")]
    assert left([DEPUTIES], ["U7", "U8"], delegations=both) == ["pay"]
    assert left([DEPUTIES], ["U7", "U8"], delegations=[*both, away("U2", "U8")]) == []


@pytest.mark.parametrize(
    "delegation",
    [
        away(since=timedelta(seconds=1)),
        away(since=-WEEK),
        away(since=-timedelta(days=1), ended_at=NOW),
        away(until=WEEK + timedelta(seconds=1)),
        away(owner="U9"),
        away(deputy="U8"),
    ],
)
def test_a_deputy_counts_only_within_the_time_and_only_for_an_owner(delegation):
    assert seats_of("U7", DEPUTIES, delegations=[delegation]) == {"pay": frozenset()}


def test_a_rule_that_says_nothing_of_deputies_has_none():
    assert seats_of("U7", PAY, delegations=[away()]) == {"pay": frozenset()}


def test_a_deputy_is_among_those_whom_the_rule_admits():
    among = Owners(groups=frozenset({"S1"}))
    rule = Requirement(
        "pay", "C1", Owners(frozenset({"U1"})), delegation=DelegationLimits(WEEK, among)
    )
    assert seats_of("U7", rule, delegations=[away()]) == {"pay": frozenset()}
    assert seats_of("U4", rule, delegations=[away(deputy="U4")]) == {"pay": {"U1"}}


def test_nobody_decides_in_the_place_of_the_requester():
    assert seats_of("U7", DEPUTIES, delegations=[away()], excluded={"U1"}) == {"pay": frozenset()}
    assert seats_of("U1", DEPUTIES, excluded={"U1"}) == {"pay": frozenset()}


def test_who_comes_in_by_escalation_is_no_owner_before():
    step = EscalationStep(timedelta(minutes=30), "C9", Owners(frozenset({"U9"})))
    rule = Requirement("pay", "C1", Owners(frozenset({"U1"})), escalation=step)
    assert "U9" not in rule.owners_after(timedelta(minutes=29)).users
    assert "U9" in rule.owners_after(timedelta(minutes=30)).users


def test_enough_owners_need_a_person_for_each_part():
    one = Requirement("pay", "C1", Owners(frozenset({"U1"})))
    other = Requirement("pay", "C1", Owners(frozenset({"U1", "U2"})), part="security")
    assert enough_owners([one, other], (), {})
    assert not enough_owners([one, other], {"U2"}, {})
    assert not enough_owners([one, other], {"U1"}, {})


PEOPLE = st.sampled_from([f"U{number}" for number in range(6)])


@given(
    st.lists(
        st.tuples(st.frozensets(PEOPLE, min_size=1), st.integers(1, 3)), min_size=1, max_size=3
    ),
    st.lists(PEOPLE, unique=True),
    st.lists(st.tuples(PEOPLE, PEOPLE), max_size=4),
)
@settings(max_examples=60)
def test_whatever_is_met_has_the_required_distinct_people_and_seats(parts, approvers, pairs):
    requirements = [
        Requirement(
            "rule",
            "C1",
            Owners(users),
            required,
            part=f"part {number}",
            delegation=DelegationLimits(WEEK),
        )
        for number, (users, required) in enumerate(parts)
    ]
    delegations = [away(owner, deputy) for owner, deputy in pairs]
    held = {user: seats_of(user, *requirements, delegations=delegations) for user in approvers}
    have = counted(requirements, held)
    people = [user for users in have.values() for user in users]
    assert len(people) == len(set(people))
    for one in requirements:
        assert all(held[user][one.key] for user in have[one.key])
        assert len(have[one.key]) <= one.required
    met = [one for one in requirements if one not in unmet(requirements, held)]
    assert sum(one.required for one in met) <= len(set(approvers))
    own = {seat for user in people for one in requirements for seat in held[user][one.key]}
    assert len(people) <= len(own), "as many owners stand behind it as people counted"


TEAM = Requirement("pay", "C1", Owners(frozenset({"U1", "U2"})), delegation=DelegationLimits(WEEK))
CHECK = Requirement(
    "pay", "C3", Owners(frozenset({"U9"})), part="security", delegation=DelegationLimits(WEEK)
)
LAW = Requirement(
    "pay", "C4", Owners(frozenset({"U8"})), part="law", delegation=DelegationLimits(WEEK)
)


@pytest.mark.parametrize(
    ("approvers", "delegations", "expected"),
    [
        # U1 owns the first part and stands in for U9, who is security.
        (["U1"], [away("U9", "U1")], ["pay / security"]),
        (["U2", "U1"], [away("U9", "U1")], []),
        (["U1", "U2"], [away("U9", "U1")], []),
        (["U1", "U9"], [away("U9", "U1")], []),
        # U7 stands in for both.
        (["U7"], [away("U1", "U7"), away("U9", "U7")], ["pay / security"]),
        (["U7", "U2"], [away("U1", "U7"), away("U9", "U7")], []),
        (["U7", "U9"], [away("U1", "U7"), away("U9", "U7")], []),
        # U1 approved: U7, who stands in for U1, is no second word, wherever U1 counts.
        (["U1", "U7"], [away("U9", "U1"), away("U1", "U7")], ["pay / security"]),
        (["U7", "U1"], [away("U9", "U1"), away("U1", "U7")], ["pay / security"]),
        # Two deputies of U9 are one word, also where one of them owns another part.
        (["U1", "U7"], [away("U9", "U1"), away("U9", "U7")], []),
        (["U7", "U5"], [away("U9", "U7"), away("U9", "U5")], ["pay"]),
    ],
)
def test_an_owner_of_one_part_counts_as_a_deputy_for_another_where_that_is_needed(
    approvers, delegations, expected
):
    assert left([TEAM, CHECK], approvers, delegations=delegations) == expected


def test_whoever_counts_moves_on_when_somebody_comes_who_can_be_only_there():
    held = [away("U9", "U1"), away("U8", "U1"), away("U8", "U2")]
    assert left([TEAM, CHECK, LAW], ["U1"], delegations=held) == ["pay / security", "pay / law"]
    assert left([TEAM, CHECK, LAW], ["U1", "U2"], delegations=held) != []
    assert left([TEAM, CHECK, LAW], ["U1", "U2", "U9"], delegations=held) == []


@given(
    st.lists(
        st.tuples(st.frozensets(PEOPLE, min_size=1), st.integers(1, 2)), min_size=1, max_size=3
    ),
    st.lists(PEOPLE, unique=True, max_size=4),
    st.lists(st.tuples(PEOPLE, PEOPLE), max_size=5),
)
@settings(max_examples=150)
def test_as_many_count_as_could_by_any_way_to_seat_them(parts, approvers, pairs):
    requirements = [
        Requirement(
            "rule",
            "C1",
            Owners(users),
            required,
            part=f"part {number}",
            delegation=DelegationLimits(WEEK),
        )
        for number, (users, required) in enumerate(parts)
    ]
    delegations = [away(owner, deputy) for owner, deputy in pairs]
    held = {user: seats_of(user, *requirements, delegations=delegations) for user in approvers}
    have = counted(requirements, held)
    own = {user for user in approvers if any(user in places for places in held[user].values())}
    room = {one.key: one.required for one in requirements}
    assert sum(map(len, have.values())) == best(approvers, held, own, room, frozenset())
    if approvers:
        *earlier, _ = held.items()
        before = counted(requirements, dict(earlier))
        assert sum(map(len, before.values())) <= sum(map(len, have.values()))


def best(users, held, own, room, taken):
    """The most that can count, by trying everything."""
    if not users:
        return 0
    user, *rest = users
    most = best(rest, held, own, room, taken)
    for key, places in held[user].items():
        for seat in places - taken - (own - {user}):
            if room[key]:
                fuller = {**room, key: room[key] - 1}
                most = max(most, 1 + best(rest, held, own, fuller, taken | {seat}))
    return most


ONE_WORD = World(
    (
        Part("pay", 2, "uw", further="S"),
        Part("security", 1, "St"),
        Part("law", 1, "v"),
    ),
    (Deputy("u", "D"), Deputy("u", "A"), Deputy("S", "A"), Deputy("S", "B"), Deputy("v", "B")),
    (("t", 5), ("D", 10), ("A", 15), ("B", 40)),
)
"""D and A are both in u's place for pay: A had not come into S's by the escalation."""

NOT_IN_THE_WAY = World(
    (Part("pay", 1, "T", further="S"), Part("security", 1, "SC")),
    (Deputy("S", "A"), Deputy("S", "B")),
    (("C", 3), ("A", 5), ("B", 40)),
)
"""A is too much for security, and was too early for pay in the place where B is."""


def at_minute(approval):
    return approval[1]


def lacking(of):
    return [one.part for one in unmet(requirements(of), approvers(of))]


def test_one_owner_with_two_deputies_is_one_word_also_where_an_escalation_comes_later():
    assert len(lacking(ONE_WORD)) == 1
    assert wrong(ONE_WORD) == []


@pytest.mark.parametrize("more", [("A", 5), ("S", 5), ("A", 1)])
def test_an_approval_that_is_not_needed_takes_nobodys_place(more):
    without = replace(NOT_IN_THE_WAY, approvals=(("C", 3), ("B", 40)))
    crowded = replace(without, approvals=tuple(sorted([*without.approvals, more], key=at_minute)))
    assert lacking(without) == []
    assert lacking(crowded) == []


def test_an_owner_who_counts_as_a_deputy_has_no_deputy_beside_them():
    parts = (Part("pay", 1, "T", further="S"), Part("security", 1, "C"))
    deputies = (Deputy("C", "S"), Deputy("S", "B"))
    assert len(lacking(World(parts, deputies, (("S", 5), ("B", 40))))) == 1


def test_approvals_count_as_in_small_worlds_where_every_way_is_tried():
    found = {seed: said for seed in range(500) if (said := wrong(world(seed)))}
    assert found == {}


def test_a_crowd_that_one_part_does_not_need_keeps_nobody_from_another():
    crowd = {f"U{number}": {"pay": {f"U{number}"}, "law": set()} for number in range(500)}
    needed = {"pay": 2, "law": 1}
    assert placed(crowd, needed) == {"U0": "pay", "U1": "pay"}
    assert placed(crowd | {"V": {"law": {"V"}}}, needed) == {"U0": "pay", "U1": "pay", "V": "law"}


def test_past_its_bound_the_search_still_counts_nobody_in_a_place_that_is_not_theirs():
    keys = [f"part {number}" for number in range(6)]
    people = {
        f"D{one}": {
            key: {f"U{(one * step + at) % 15}" for step in (1, 2, 4)} for at, key in enumerate(keys)
        }
        for one in range(20)
    }
    people["Z"] = {keys[0]: set(), keys[1]: {"U1"}}
    where = placed(people, dict.fromkeys(keys, 3))
    assert len(where) == 15, "as many as there are owners"
    assert where.get("Z") in {None, keys[1]}
