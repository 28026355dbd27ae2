"""The decision on a request and how it comes about, rule by rule: for whoever writes the policy.

The decision is that of `decide.evaluate` or `break_glass.evaluate_break_glass`; nothing is decided
here. Where it hangs on groups that nobody answered for, there is none, and they are named.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from bot.core.break_glass import entries_for, evaluate_break_glass, groups_for_break_glass, lets_in
from bot.core.decide import NOTHING_USED, begins_at, evaluate, groups_needed, rules_about
from bot.core.errors import DirectoryUnavailable
from bot.core.model import Ask, Decision, Person
from bot.core.names import listed
from bot.core.oncall import OnCallFacts
from bot.core.people import Membership
from bot.core.policy import Policy, Rule
from bot.core.policy_approval import MOST_APPROVERS, MOST_PARTS
from bot.core.principals import mapped_with
from bot.core.rule_choice import Usage, admits, passed_over

_ENOUGH = MOST_APPROVERS * (MOST_PARTS + 1)


class Outcome(StrEnum):
    """What becomes of one rule for one namespace. Only one that DECIDES holds."""

    DECIDES = "decides"
    LATER = "comes later"
    OTHER_LEVEL = "other level"
    OTHER_NAMESPACE = "other namespace"
    OTHER_PEOPLE = "other people"
    UNKNOWN_GROUP = "unknown group"
    CLOSED = "closed"
    USED_UP = "used up"
    REVOKED = "after a revocation"


_PASSED_OVER = {
    "closed": Outcome.CLOSED,
    "used_up": Outcome.USED_UP,
    "revoked": Outcome.REVOKED,
}


@dataclass(frozen=True, slots=True)
class Step:
    """A rule, or an entry of break-glass, and a namespace (None: the whole cluster)."""

    rule: str
    namespace: str | None
    outcome: Outcome
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with the rules on its cluster, in the file's order.

    `decision` is None where it hangs on the groups `hangs_on`, of which nobody said who is in them.
    `elsewhere` is how many rules do not cover the cluster; `excluded` are those who may never
    approve: the requester, and whom the policy maps to the same principal.
    """

    decision: Decision | None
    steps: tuple[Step, ...]
    elsewhere: int
    excluded: frozenset[str]
    hangs_on: frozenset[str] = frozenset()


def explain(
    policy: Policy,
    ask: Ask,
    requester: Person,
    membership: Membership,
    now: datetime,
    *,
    team_id: str,
    usage: Usage = NOTHING_USED,
) -> Explanation:
    """How `decide.evaluate` comes to its decision, with the same arguments."""

    def decide() -> Decision:
        return evaluate(policy, ask, requester, membership, now, team_id=team_id, usage=usage)

    steps = tuple(
        _rule_steps(
            policy,
            ask,
            requester.id,
            membership=membership,
            moment=begins_at(ask, now),
            usage=usage,
        )
    )
    elsewhere = len(policy.rules) - len(policy.rules_on(ask.cluster))
    needed = groups_needed(policy, ask)
    unknown = needed - membership.keys()
    return _explained(
        policy, ask, requester, decide, steps=steps, elsewhere=elsewhere, unknown=unknown
    )


def explain_break_glass(
    policy: Policy,
    ask: Ask,
    requester: Person,
    membership: Membership,
    on_call: OnCallFacts,
    *,
    team_id: str,
    overdue: Collection[str] = (),
) -> Explanation:
    """How `break_glass.evaluate_break_glass` comes to its decision, with the same arguments."""

    def decide() -> Decision:
        return evaluate_break_glass(
            policy, ask, requester, membership, on_call, team_id=team_id, overdue=overdue
        )[0]

    steps = tuple(_entry_steps(policy, ask, requester, membership, on_call))
    elsewhere = len(policy.break_glass) - len(steps)
    needed = groups_for_break_glass(policy, ask)
    unknown = needed - membership.keys()
    return _explained(
        policy, ask, requester, decide, steps=steps, elsewhere=elsewhere, unknown=unknown
    )


def _explained(
    policy: Policy,
    ask: Ask,
    requester: Person,
    decide: Callable[[], Decision],
    *,
    steps: tuple[Step, ...],
    elsewhere: int,
    unknown: frozenset[str],
) -> Explanation:
    cluster = policy.clusters_by_name.get(ask.cluster)
    excluded = mapped_with(policy, requester.id, cluster) if cluster else frozenset({requester.id})
    try:
        return Explanation(decide(), steps, elsewhere, excluded)
    except DirectoryUnavailable:
        return Explanation(None, steps, elsewhere, excluded, unknown)


def _rule_steps(
    policy: Policy,
    ask: Ask,
    user: str,
    *,
    membership: Membership,
    moment: datetime,
    usage: Usage,
) -> Iterator[Step]:
    decided: dict[str | None, str] = {}
    unclear: dict[str | None, str] = {}
    for rule in policy.rules_on(ask.cluster):
        for target in tuple(dict.fromkeys(ask.namespaces)) or (None,):
            elsewhere = _elsewhere(rule, target, ask)
            if elsewhere is not None:
                yield elsewhere
                continue
            if target in decided:
                first = decided[target]
                yield Step(rule.name, target, Outcome.LATER, f"Rule {first} comes first.")
                continue
            step = _outcome(
                rule, target, ask, user, membership=membership, moment=moment, usage=usage
            )
            if step.outcome is Outcome.UNKNOWN_GROUP:
                unclear.setdefault(target, rule.name)
            elif step.outcome is Outcome.DECIDES:
                decided[target] = rule.name
                if target in unclear:
                    words = f"It holds where rule {unclear[target]} does not."
                    step = replace(step, outcome=Outcome.LATER, why=words)
            yield step


def _elsewhere(rule: Rule, target: str | None, ask: Ask) -> Step | None:
    """That the rule is about other levels or namespaces, if it is."""
    if ask.level not in rule.levels:
        levels = listed(rule.levels, "and")
        return Step(rule.name, target, Outcome.OTHER_LEVEL, f"It gives {levels}.")
    if not rule.covers_namespace(target):
        where = listed(rule.namespaces or (), "and")
        return Step(rule.name, target, Outcome.OTHER_NAMESPACE, f"It covers {where}.")
    return None


def _outcome(
    rule: Rule,
    target: str | None,
    ask: Ask,
    user: str,
    *,
    membership: Membership,
    moment: datetime,
    usage: Usage,
) -> Step:
    """As `rule_choice.first_rule` looks at one rule; it is held against it by a test."""
    try:
        asks = admits(rule, user, membership)
    except DirectoryUnavailable:
        people = _people(rule)
        return Step(rule.name, target, Outcome.UNKNOWN_GROUP, f"It hangs on who is in {people}.")
    if not asks:
        return Step(rule.name, target, Outcome.OTHER_PEOPLE, f"It lets {_people(rule)} ask.")
    why = passed_over(rule, ask.duration, moment, usage)
    if why is None:
        return Step(rule.name, target, Outcome.DECIDES, "It is the first that holds.")
    return Step(rule.name, target, _PASSED_OVER[why.code], why.sentence)


def _people(rule: Rule) -> str:
    requesters = rule.requesters
    return listed((*requesters.users, *requesters.groups), "and") if requesters else "everybody"


def _entry_steps(
    policy: Policy, ask: Ask, requester: Person, membership: Membership, on_call: OnCallFacts
) -> Iterator[Step]:
    cluster = policy.clusters_by_name.get(ask.cluster)
    decided = None
    for index, entry in enumerate(policy.break_glass):
        name = f"break_glass[{index}]"
        if cluster is None or not entry.covers(cluster):
            continue
        if ask.level not in entry.levels or ask.level not in policy.levels:
            levels = listed(entry.levels, "and")
            yield Step(name, None, Outcome.OTHER_LEVEL, f"It gives {levels}.")
        elif decided is not None:
            yield Step(name, None, Outcome.LATER, f"{decided} comes first.")
        else:
            try:
                may, why = lets_in(policy, entry.responders, requester, membership, on_call)
            except DirectoryUnavailable:
                groups = listed(sorted(entry.responders.groups_needed), "and")
                yield Step(name, None, Outcome.UNKNOWN_GROUP, f"It hangs on who is in {groups}.")
                continue
            said = " ".join(reason.sentence for reason in why)
            if may:
                decided = name
                words = said or "It lets them break glass."
                yield Step(name, None, Outcome.DECIDES, words)
            else:
                words = said or "They are not among those who may break glass."
                yield Step(name, None, Outcome.OTHER_PEOPLE, words)


def assumed_membership(
    needed: Collection[str],
    user: str,
    *,
    asked: Collection[str],
    member_of: Collection[str] | None,
    known: Membership,
) -> tuple[Membership, frozenset[str]]:
    """Who is in the groups, where Slack is not asked; and the groups of which that is assumed.

    `asked` are the groups on which it hangs whether `user` may ask, `known` those whose members are
    told. The others are taken to have enough members to approve anything, `user` among them where
    `member_of` says so; where it is None, nothing is assumed of those that are `asked`.
    """
    membership: dict[str, Collection[str]] = {}
    assumed = set()
    for group in needed:
        mine = {user} if member_of is not None and group in member_of else set()
        if group in known:
            membership[group] = {*known[group], *mine}
        elif member_of is not None or group not in asked:
            others = (f"{group} member {number}" for number in range(_ENOUGH))
            membership[group] = {*others, *mine}
            if group not in asked:
                assumed.add(group)
    return membership, frozenset(assumed)


def groups_of_requesters(policy: Policy, ask: Ask, *, break_glass: bool = False) -> frozenset[str]:
    """The groups on which it hangs whether somebody may ask."""
    if break_glass:
        entries = entries_for(policy, ask)
        return frozenset().union(*(entry.responders.groups_needed for entry in entries))
    rules = rules_about(policy, ask)
    return frozenset().union(*(rule.requesters.groups for rule in rules if rule.requesters))
