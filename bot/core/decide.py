"""What the policy says of a request: refused, automatic, or whose approval it needs.

Pure functions of the policy, the ask, the person and the time. A decision is a value with its
reasons; bad input gives a refusal, never an exception. The one exception is DirectoryUnavailable:
where a decision hangs on a user group that Slack did not answer for, there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

from bot.core.approvals import enough_owners
from bot.core.ask_checks import (
    length_problem,
    namespace_problem,
    reason_problems,
    says_no_place,
    start_problems,
    ticket_form_problem,
    two_places_problem,
)
from bot.core.durations import format_duration
from bot.core.model import (
    Ask,
    Cluster,
    Decision,
    DelegationLimits,
    EscalationStep,
    Person,
    Reason,
    Requirement,
)
from bot.core.names import SYSTEM_NAMESPACES, listed, quoted
from bot.core.offers import near_miss, paste, requester_groups, rules_admitting
from bot.core.people import Membership, enough_others, gone_words, not_full_member
from bot.core.policy import Level, Policy, Rule
from bot.core.policy_approval import Approval, Automatic
from bot.core.principals import mapped_with
from bot.core.rule_choice import Usage, duration_under, first_rule, passed_over_words
from bot.core.tickets import looks, named_in

NOTHING_USED: Usage = MappingProxyType({})

_WHOLE_CLUSTER = (None,)


def groups_needed(policy: Policy, ask: Ask) -> frozenset[str]:
    """The groups and channels whose members must be known to decide `ask`, or a review of it.

    Where no rule fits the ask, they are those that tell what could be asked for instead.
    """
    rules = rules_about(policy, ask)
    if not rules:
        return requester_groups(policy, ask.cluster)
    groups: set[str] = set()
    for rule in rules:
        if rule.requesters is not None:
            groups.update(rule.requesters.groups)
        if isinstance(rule.approval, Approval):
            groups.update(rule.approval.groups)
    return frozenset(groups)


def rules_about(policy: Policy, ask: Ask) -> tuple[Rule, ...]:
    """The rules that cover the cluster, the level and some namespace asked for, in order.

    Where no place is named, those of any place: they tell which could be.
    """
    targets = ask.namespaces or _WHOLE_CLUSTER
    return tuple(
        rule
        for rule in policy.rules_on(ask.cluster)
        if ask.level in rule.levels
        and (says_no_place(ask) or any(rule.covers_namespace(target) for target in targets))
    )


def evaluate(
    policy: Policy,
    ask: Ask,
    requester: Person,
    membership: Membership,
    now: datetime,
    *,
    team_id: str,
    usage: Usage = NOTHING_USED,
) -> Decision:
    """What the policy says of `ask`. `team_id` is the workspace the bot is installed in.

    `membership` must answer for `groups_needed(policy, ask)`; raises DirectoryUnavailable where a
    group is missing and the decision hangs on it. `usage` is what automatic rules have given the
    person lately. The requester's IAM principal is another question: `principals.principal_for`.
    """
    outsider = not_full_member(requester, team_id)
    if outsider is not None:
        return Decision(allowed=False, reasons=(outsider,))
    return decide_for(policy, ask, requester.id, membership, now, usage=usage)


def decide_for(
    policy: Policy,
    ask: Ask,
    user: str,
    membership: Membership,
    now: datetime,
    *,
    usage: Usage = NOTHING_USED,
) -> Decision:
    """As `evaluate`, for somebody of whom only the Slack user id is known, taken as a member."""
    cluster = policy.clusters_by_name.get(ask.cluster)
    if cluster is None:
        return _refused(unknown_cluster(policy, ask))
    candidates = tuple(rule for rule in policy.rules_on(cluster.name) if ask.level in rule.levels)
    level = policy.levels.get(ask.level)
    if level is None or not candidates:
        return _refused(
            Reason(
                "unknown_level",
                f"{quoted(ask.level)} is no level on {cluster.name}. "
                + near_miss(policy, ask, user, membership),
            )
        )
    malformed = _namespace_problem(policy, ask, level, user, membership)
    if malformed is not None:
        return _refused(malformed)
    namespaces = tuple(dict.fromkeys(ask.namespaces))
    found, passed = routed(candidates, ask, user, membership, now, usage=usage)
    missing = [target for target, rule in found.items() if rule is None]
    if missing:
        return _refused(_no_rule(policy, ask, missing, passed, user=user, membership=membership))
    matched = {rule.name for rule in found.values() if rule is not None}
    rules = tuple(rule for rule in candidates if rule.name in matched)
    problems = (
        *_length_problems(policy, ask, rules),
        *_ticket_problems(ask, rules),
        *reason_problems(ask),
        *start_problems(ask, now),
        *_owner_problems(policy, user, cluster, rules, membership),
    )
    if problems:
        return _refused(*problems, rules=rules)
    asked = [(rule, rule.approval) for rule in rules if isinstance(rule.approval, Approval)]
    skipped = tuple(reason for target in found for reason in passed[target])
    return Decision(
        allowed=True,
        reasons=(*dict.fromkeys(skipped), *(_why_allowed(rule) for rule in rules)),
        rules=tuple(rule.name for rule in rules),
        requirements=tuple(
            one for rule, approval in asked for one in requirements_of(rule.name, approval)
        ),
        access=level.access(cluster, namespaces),
        duration=duration_under(rules, ask.duration),
        max_duration=min(rule.max_duration for rule in rules),
        lapse_after=min((approval.lapse_after for _, approval in asked), default=timedelta()),
        shown_in=_shown_in(rules),
        ends_with_ticket=any(rule.ends_with_ticket for rule in rules),
    )


def routed(
    candidates: Iterable[Rule],
    ask: Ask,
    user: str,
    membership: Membership,
    now: datetime,
    *,
    usage: Usage,
) -> tuple[dict[str | None, Rule | None], dict[str | None, tuple[Reason, ...]]]:
    """By namespace (None: the whole cluster), the rule that decides and what was passed over.

    Raises DirectoryUnavailable where it hangs on a group that nobody answered for.
    """
    rules = tuple(candidates)
    moment = begins_at(ask, now)
    found: dict[str | None, Rule | None] = {}
    passed: dict[str | None, tuple[Reason, ...]] = {}
    for target in tuple(dict.fromkeys(ask.namespaces)) or _WHOLE_CLUSTER:
        found[target], passed[target] = first_rule(
            rules, target, ask, user, membership=membership, moment=moment, usage=usage
        )
    return found, passed


def begins_at(ask: Ask, now: datetime) -> datetime:
    """The moment whose rules decide: when access is to begin, and never before now."""
    return now if ask.start_at is None or ask.start_at.tzinfo is None else max(now, ask.start_at)


def requirements_of(rule: str, approval: Approval) -> tuple[Requirement, ...]:
    """What a rule's approval requires: its owners, and the further ones it names."""
    limits = None
    if approval.delegation is not None:
        among = approval.delegation.to.owners if approval.delegation.to is not None else None
        limits = DelegationLimits(approval.delegation.longest, among)
    step = None
    if approval.escalate is not None:
        later = approval.escalate
        step = EscalationStep(later.after, later.channel, later.owners.owners)
    first = Requirement(
        rule=rule,
        channel=approval.channel,
        owners=approval.owners.owners,
        required=approval.required,
        remind_after=approval.remind_after,
        escalation=step,
        delegation=limits,
    )
    return (
        first,
        *(
            Requirement(
                rule=rule,
                channel=part.channel or approval.channel,
                owners=part.owners.owners,
                required=part.required,
                part=part.name,
                remind_after=approval.remind_after,
                delegation=limits,
            )
            for part in approval.also
        ),
    )


def unknown_cluster(policy: Policy, ask: Ask) -> Reason:
    near = policy.near_clusters.nearest(ask.cluster)
    guess = f"Did you mean `{near}`? " if near else ""
    return Reason(
        "unknown_cluster",
        f"{quoted(ask.cluster)} is no cluster here. {guess}`/eks-access clusters` lists those you "
        "can ask for.",
    )


def _refused(*reasons: Reason, rules: tuple[Rule, ...] = ()) -> Decision:
    return Decision(allowed=False, reasons=reasons, rules=tuple(rule.name for rule in rules))


def _shown_in(rules: Iterable[Rule]) -> tuple[str, ...]:
    channels = (rule.approval.channel for rule in rules if isinstance(rule.approval, Automatic))
    return tuple(dict.fromkeys(channel for channel in channels if channel is not None))


def _why_allowed(rule: Rule) -> Reason:
    if not isinstance(rule.approval, Approval):
        return Reason("automatic", f"Rule {rule.name} gives this without a review.", rule.name)
    parts = [(rule.approval.required, "its owners")]
    parts += [(part.required, f"its owners for {part.name}") for part in rule.approval.also]
    people = listed(
        (f"one of {who}" if needed == 1 else f"{needed} of {who}" for needed, who in parts), "and"
    )
    return Reason("needs_review", f"Rule {rule.name} needs {people} to approve.", rule.name)


def _namespace_problem(
    policy: Policy, ask: Ask, level: Level, user: str, membership: Membership
) -> Reason | None:
    if level.only_cluster and ask.namespaces:
        return Reason(
            "only_cluster",
            f"{ask.level} is only given for the whole of {ask.cluster}. Leave the namespaces out, "
            "or ask for less. " + near_miss(policy, replace(ask, namespaces=()), user, membership),
        )
    if not level.only_cluster and says_no_place(ask):
        return _no_place(policy, ask, user, membership)
    return two_places_problem(ask) or namespace_problem(ask)


def _no_place(policy: Policy, ask: Ask, user: str, membership: Membership) -> Reason:
    """Why nothing is given where neither a namespace nor the whole cluster was named."""
    instead = near_miss(policy, ask, user, membership)
    there = rules_admitting(policy, ask.cluster, user, membership)
    giving = [rule for rule in there if ask.level in rule.levels]
    if not giving:
        return Reason(
            "no_rule", f"No rule lets you ask for {ask.level} on {ask.cluster}. {instead}"
        )
    whole = any(rule.covers_namespace(None) for rule in giving)
    also = " For the whole cluster, write `--whole-cluster` instead." if whole else ""
    return Reason(
        "needs_namespaces",
        f"You named no namespace for {ask.level} on {ask.cluster}. {instead}{also}",
    )


def _no_rule(
    policy: Policy,
    ask: Ask,
    missing: list[str | None],
    passed: Mapping[str | None, tuple[Reason, ...]],
    *,
    user: str,
    membership: Membership,
) -> Reason:
    skipped = passed_over_words(reason for target in missing for reason in passed[target])
    instead = skipped + near_miss(policy, ask, user, membership)
    names = [f"`{name}`" for name in missing if name is not None]
    if names:
        system = "A system namespace has to be named by a rule; no glob covers it. "
        why = system if SYSTEM_NAMESPACES.intersection(missing) else ""
        where = f"{ask.cluster} in {listed(names)}"
        return Reason("no_rule", f"No rule lets you ask for {ask.level} on {where}. {why}{instead}")
    if policy.levels[ask.level].only_cluster or skipped:
        return Reason(
            "no_rule", f"No rule lets you ask for {ask.level} on {ask.cluster}. {instead}"
        )
    return Reason(
        "needs_namespaces",
        f"No rule lets you ask for {ask.level} on the whole of {ask.cluster}. {instead}",
    )


def _length_problems(policy: Policy, ask: Ask, rules: tuple[Rule, ...]) -> Iterable[Reason]:
    if ask.duration is None:
        return
    none_at_all = length_problem(ask)
    if none_at_all is not None:
        yield none_at_all
    strictest = min(rules, key=lambda rule: rule.max_duration)
    if ask.duration > strictest.max_duration:
        yield Reason(
            "too_long",
            f"You asked for {format_duration(ask.duration)}, and rule {strictest.name} gives at "
            f"most {format_duration(strictest.max_duration)}: "
            + paste(policy, ask, ask.level, rules[0], longest=strictest.max_duration),
            strictest.name,
        )


def with_ticket(policy: Policy, ask: Ask) -> Ask:
    """What is asked for with the one ticket that its reason names, where none was entered.

    The ticket takes the form that a rule for the level there wants. Where the reason names several,
    the person has to say which.
    """
    if ask.ticket:
        return ask
    forms = (rule.ticket_pattern for rule in rules_about(policy, ask))
    named = named_in(ask.reason, filter(None, forms))
    return replace(ask, ticket=named[0]) if len(named) == 1 else ask


def _ticket_problems(ask: Ask, rules: tuple[Rule, ...]) -> Iterable[Reason]:
    malformed = ticket_form_problem(ask)
    if malformed is not None:
        yield malformed
        return
    ticket = ask.ticket or ""
    for rule in rules:
        # The whole ticket must match: `$` alone would let a line break and more follow.
        if rule.ticket_pattern is None or (ticket and rule.ticket_pattern.fullmatch(ticket)):
            continue
        so = f"{quoted(ticket)} is no ticket for" if ticket else "There is no ticket, required by"
        named = named_in(ask.reason, (rule.ticket_pattern,))
        remedy = f"with one; it has to {looks(rule.ticket_pattern, quoted)}"
        if len(named) == 1:
            remedy = f"with {quoted(named[0])}, which your reason names"
        yield Reason(
            "bad_ticket" if ticket else "ticket_missing",
            f"{so} rule {rule.name}. Add `--ticket` {remedy}.",
            rule.name,
        )


def _owner_problems(
    policy: Policy, user: str, cluster: Cluster, rules: tuple[Rule, ...], membership: Membership
) -> Iterable[Reason]:
    """Rules that nobody could approve for this requester, so that no request hangs in vain."""
    excluded = mapped_with(policy, user, cluster)
    for rule in rules:
        if not isinstance(rule.approval, Approval):
            continue
        parts = requirements_of(rule.name, rule.approval)
        problem = next(filter(None, (_too_few(part, excluded, membership) for part in parts)), None)
        if problem is not None:
            yield problem
        elif len(parts) > 1 and not enough_owners(parts, excluded, membership):
            yield Reason(
                "nobody_to_approve",
                f"Rule {rule.name} needs {sum(part.required for part in parts)} people to approve, "
                "each for one part of it, and without you there are not so many. Ask whoever keeps "
                f"the policy file to name more owners of rule {rule.name}."
                + "".join(_gone(part, membership) for part in parts),
                rule.name,
            )


def _too_few(part: Requirement, excluded: frozenset[str], membership: Membership) -> Reason | None:
    enough, others = enough_others(part.everybody, excluded, part.required, membership)
    if enough:
        return None
    left = "nobody but you could" if not others else f"besides you only {others} could"
    who = f"its owners for {part.part}" if part.part else "its owners"
    return Reason(
        "nobody_to_approve",
        f"Rule {part.rule} needs {part.required} of {who} to approve, and {left}: nobody "
        "approves their own request, nor one for their own IAM principal. Ask whoever "
        f"keeps the policy file to name more owners of rule {part.rule}.{_gone(part, membership)}",
        part.rule,
    )


def _gone(part: Requirement, membership: Membership) -> str:
    return gone_words(part.everybody, membership, f"rule {part.key}")
