"""The comparison of two policies against what they really decide, for policies made at random."""

from __future__ import annotations

import copy

from hypothesis import given, settings
from hypothesis import strategies as st
from policy_worlds import (
    ALL_MEMBERS,
    FITTING_ASKS,
    TEAM,
    USERS,
    WINDOWS,
    built,
    circumstances,
    entries,
    raw_policies,
    raw_policy,
    rules,
)

from bot.core.approvals import seats, unmet
from bot.core.break_glass import evaluate_break_glass
from bot.core.decide import evaluate
from bot.core.policy_diff import policy_diff

ASKED = circumstances(ALL_MEMBERS, FITTING_ASKS)


@st.composite
def edited(draw):
    """A policy, and the same one with one entry replaced, added, taken out or moved."""
    old = draw(raw_policies())
    new = copy.deepcopy(old)
    key = draw(st.sampled_from(["rules", "rules", "break_glass"]))
    listed = new[key]
    fresh = draw(rules() if key == "rules" else entries())
    place = draw(st.integers(0, max(0, len(listed) - 1)))
    match draw(st.sampled_from(["tweak", "tweak", "replace", "add", "remove", "move", "level"])):
        case "tweak" if listed:
            # One thing alone is another: what hangs on it alone has to be seen.
            one = draw(
                st.sampled_from(
                    sorted({*listed[place], *fresh} - {"namespaces", "scope", "levels"})
                )
            )
            listed[place] = {**listed[place], one: fresh.get(one)}
            listed[place] = {k: v for k, v in listed[place].items() if v is not None}
        case "replace" if listed:
            listed[place] = fresh
        case "add":
            listed.insert(place, fresh)
        case "remove" if listed:
            del listed[place]
        case "move" if listed:
            listed.append(listed.pop(place))
        case "level":
            new["levels"]["view"] = {"policy": "AmazonEKSAdminViewPolicy"}
    changes = {"levels": new["levels"]}
    # The names stay where the place does, as limits are kept by them.
    return old, raw_policy(new["rules"], new["break_glass"], **changes)


def decision(policy, one):
    return evaluate(
        policy, one.ask, one.person, one.membership, one.now, team_id=TEAM, usage=one.usage
    )


def taken(policy, one):
    on_call = one.on_call
    return evaluate_break_glass(policy, one.ask, one.person, one.membership, on_call, team_id=TEAM)


def suffices(decision, approvers, one):
    """Whether the approval of these people is enough, each in their own place."""
    given_ = {
        user: {
            part.key: seats(
                user,
                part,
                part.everybody,
                membership=one.membership,
                delegations=(),
                excluded={one.person.id},
                now=one.now,
            )
            for part in decision.requirements
        }
        for user in approvers
    }
    return decision.allowed and not unmet(decision.requirements, given_)


def more(old, new, approvers, one):
    """Whether the new decision lets the person have what the old one did not."""
    if not new.allowed:
        return False
    if not old.allowed or (new.access != old.access and "View" in str(old.access)):
        return True
    return suffices(new, approvers, one) and not suffices(old, approvers, one)


def told(changes, one, *, break_glass):
    """Whether a gain is told that is this person's, at this cluster and level."""
    groups = {group for group, members in one.membership.items() if one.person.id in members}
    for change in changes:
        names = set(change.who.replace(",", " ").split())
        if (
            change.is_gain
            and change.break_glass is break_glass
            and one.ask.cluster in change.clusters
            and change.level == one.ask.level
            and (names & (groups | {one.person.id, "anybody"}) or "call" in names)
        ):
            return True
    return False


@given(edited(), st.lists(ASKED, min_size=8, max_size=8), st.sets(st.sampled_from(USERS)))
@settings(max_examples=25)
def test_whatever_a_change_lets_somebody_have_is_told_as_a_gain(pair, asked, approvers):
    old, new = map(built, pair)
    changes = policy_diff(old, new)
    for one in asked:
        if more(decision(old, one), decision(new, one), approvers, one):
            assert told(changes, one, break_glass=False)
        if more(taken(old, one)[0], taken(new, one)[0], (), one):
            assert told(changes, one, break_glass=True)


def alone(raw, place):
    """Whether no later rule could decide instead of this one."""
    mine = set(raw["rules"][place]["levels"])
    return not any(mine & set(later["levels"]) for later in raw["rules"][place + 1 :])


def first_of(people):
    """The users alone, or else what else there is first."""
    key = next(iter(people))
    return {key: people[key]}


def limited(approval):
    if approval == "automatic":
        return {"automatic": {"per_day": 1}}
    if "automatic" in approval:
        return {"automatic": {**approval["automatic"], "per_day": 1}}
    return approval


def without(mapping, key):
    return {known: value for known, value in mapping.items() if known != key}


LEGAL = {"name": "legal", "owners": {"users": ["U1D"]}}
OF_ANY = {
    "a shorter length": lambda rule: rule | {"max_duration": "15m"},
    "a ticket": lambda rule: {"ticket": "T-[0-9]+"} | rule,
}
OF_APPROVALS = {
    "more approvals": lambda approval: approval | {"required": 3},
    "another part": lambda approval: approval | {"also": [*approval["also"], LEGAL]},
    "no deputies": lambda approval: without(approval, "delegation"),
    "no escalation": lambda approval: without(approval, "escalate"),
    "fewer owners": lambda approval: approval | {"owners": first_of(approval["owners"])},
}
OF_LONE_RULES = {
    "no clusters": lambda rule: rule | {"clusters": [{"labels": {"env": "gone"}}]},
    "fewer levels": lambda rule: rule | {"levels": rule["levels"][:1]},
    "fewer namespaces": lambda rule: (
        rule | {"namespaces": rule["namespaces"][:1]} if "namespaces" in rule else rule
    ),
    "fewer requesters": lambda rule: (
        rule | {"requesters": first_of(rule.get("requesters", {"users": ["U1A"]}))}
    ),
    "a window": lambda rule: {"when": WINDOWS[2]} | rule,
    "limits": lambda rule: rule | {"approval": limited(rule["approval"])},
}


@st.composite
def narrowed(draw):
    """A policy, and one that surely gives nobody more.

    What only tightens a rule may be done to any. What lets a rule decide less often may be done
    only where no later rule, which may be laxer, then decides in its place. A rule without limits
    may ask owners instead; one with limits would then decide more often than before.
    """
    old = draw(raw_policies().filter(lambda raw: raw["rules"]))
    new = copy.deepcopy(old)
    place = draw(st.integers(0, len(new["rules"]) - 1))
    rule = new["rules"][place]
    ways = dict(OF_ANY)
    if "owners" in rule["approval"]:
        for name, tighten in OF_APPROVALS.items():
            ways[name] = lambda rule, tighten=tighten: (
                rule | {"approval": tighten(rule["approval"])}
            )
    if rule["approval"] == "automatic":
        asked = {"channel": "C1X", "owners": {"users": ["U1D"]}}
        ways["owners"] = lambda rule: rule | {"approval": asked}
    if alone(old, place):
        ways |= OF_LONE_RULES
    new["rules"][place] = ways[draw(st.sampled_from(sorted(ways)))](rule)
    if new["break_glass"] and draw(st.booleans()):
        new["break_glass"][0]["max_duration"] = "10m"
        del new["break_glass"][1:]
    return old, new


@given(narrowed())
@settings(max_examples=25)
def test_narrowing_a_policy_gains_nobody_anything(pair):
    old, new = map(built, pair)
    assert [change for change in policy_diff(old, new) if change.is_gain] == []


@given(edited())
@settings(max_examples=25)
def test_what_is_gained_one_way_is_lost_the_other_way(pair):
    old, new = map(built, pair)
    there, back = policy_diff(old, new), policy_diff(new, old)
    gained = {(one.clusters, one.level, one.before, one.after) for one in there if one.gained}
    lost = {(one.clusters, one.level, one.after, one.before) for one in back if one.lost}
    assert gained == lost
    assert policy_diff(old, old) == ()
