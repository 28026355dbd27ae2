"""What the policy says of a request: refused, automatic, or whose approval it needs.

Pure functions of the policy, the ask, the person and the time. A decision is a value with its
reasons; bad input gives a refusal, never an exception. The one exception is DirectoryUnavailable:
where a decision hangs on a user group that Slack did not answer for, there is none.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from bot.core.durations import format_duration
from bot.core.errors import InvalidInput
from bot.core.model import Ask, Cluster, Decision, Person, Reason, Requirement
from bot.core.names import SYSTEM_NAMESPACES, check_namespace, listed, nearest, quoted
from bot.core.offers import DEFAULT_DURATION, near_miss, paste, requester_groups
from bot.core.people import Membership, belongs, enough_others, not_full_member
from bot.core.policy import Approval, Level, Policy, Rule
from bot.core.principals import mapped_with

MOST_REASON_LETTERS = 3000
"""What one section of a Slack message holds. Source: Slack, "Reference: section block"."""

MOST_TICKET_LETTERS = 100
MOST_NAMESPACES = 20
START_WITHIN = timedelta(days=30)
"""How far ahead access may be asked for; beyond it nobody knows what the policy will say."""

_WHOLE_CLUSTER = (None,)


def groups_needed(policy: Policy, ask: Ask) -> frozenset[str]:
    """The user groups whose members must be known to decide `ask`, or a review of it.

    Where no rule fits the ask, they are those that tell what could be asked for instead.
    """
    targets = ask.namespaces or _WHOLE_CLUSTER
    rules = [
        rule
        for rule in policy.rules_on(ask.cluster)
        if ask.level in rule.levels and any(rule.covers_namespace(target) for target in targets)
    ]
    if not rules:
        return requester_groups(policy, ask.cluster)
    groups: set[str] = set()
    for rule in rules:
        if rule.requesters is not None:
            groups.update(rule.requesters.groups)
        if isinstance(rule.approval, Approval):
            groups.update(rule.approval.owners.groups)
    return frozenset(groups)


def evaluate(
    policy: Policy,
    ask: Ask,
    requester: Person,
    membership: Membership,
    now: datetime,
    *,
    team_id: str,
) -> Decision:
    """What the policy says of `ask`. `team_id` is the workspace the bot is installed in.

    `membership` must answer for `groups_needed(policy, ask)`; raises DirectoryUnavailable where a
    group is missing and the decision hangs on it. The requester's IAM principal is another
    question: `principals.principal_for`.
    """
    outsider = not_full_member(requester, team_id)
    if outsider is not None:
        return Decision(allowed=False, reasons=(outsider,))
    return decide_for(policy, ask, requester.id, membership, now)


def decide_for(
    policy: Policy, ask: Ask, user: str, membership: Membership, now: datetime
) -> Decision:
    """As `evaluate`, for somebody of whom only the Slack user id is known, taken as a member."""
    cluster = policy.clusters_by_name.get(ask.cluster)
    if cluster is None:
        return _refused(_unknown_cluster(policy, ask))
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
    found = {
        target: next(
            (
                rule
                for rule in candidates
                if rule.covers_namespace(target) and _admits(rule, user, membership)
            ),
            None,
        )
        for target in (namespaces or _WHOLE_CLUSTER)
    }
    missing = [target for target, rule in found.items() if rule is None]
    if missing:
        return _refused(_no_rule(policy, ask, missing, user, membership))
    matched = {rule.name for rule in found.values() if rule is not None}
    rules = tuple(rule for rule in candidates if rule.name in matched)
    problems = (
        *_length_problems(policy, ask, rules),
        *_ticket_problems(ask, rules),
        *_reason_problems(ask),
        *_start_problems(ask, now),
        *_owner_problems(policy, user, cluster, rules, membership),
    )
    if problems:
        return _refused(*problems, rules=rules)
    longest = min(rule.max_duration for rule in rules)
    asked = [(rule, rule.approval) for rule in rules if isinstance(rule.approval, Approval)]
    return Decision(
        allowed=True,
        reasons=tuple(_why_allowed(rule) for rule in rules),
        rules=tuple(rule.name for rule in rules),
        requirements=tuple(
            Requirement(rule.name, approval.channel, approval.owners.owners, approval.required)
            for rule, approval in asked
        ),
        access=level.access(cluster, namespaces),
        duration=min(DEFAULT_DURATION, longest) if ask.duration is None else ask.duration,
        max_duration=longest,
        lapse_after=min((approval.lapse_after for _, approval in asked), default=timedelta()),
    )


def _refused(*reasons: Reason, rules: tuple[Rule, ...] = ()) -> Decision:
    return Decision(allowed=False, reasons=reasons, rules=tuple(rule.name for rule in rules))


def _admits(rule: Rule, user: str, membership: Membership) -> bool:
    return rule.requesters is None or belongs(user, rule.requesters.owners, membership)


def _why_allowed(rule: Rule) -> Reason:
    if not isinstance(rule.approval, Approval):
        return Reason("automatic", f"Rule {rule.name} gives this without a review.", rule.name)
    needed = rule.approval.required
    people = "one of its owners" if needed == 1 else f"{needed} of its owners"
    return Reason("needs_review", f"Rule {rule.name} needs {people} to approve.", rule.name)


def _unknown_cluster(policy: Policy, ask: Ask) -> Reason:
    near = nearest(ask.cluster, policy.clusters_by_name)
    guess = f"Did you mean `{near}`? " if near else ""
    return Reason(
        "unknown_cluster",
        f"{quoted(ask.cluster)} is no cluster here. {guess}`/eks-access clusters` lists those you "
        "can ask for.",
    )


def _namespace_problem(
    policy: Policy, ask: Ask, level: Level, user: str, membership: Membership
) -> Reason | None:
    if level.only_cluster and ask.namespaces:
        return Reason(
            "only_cluster",
            f"{ask.level} is only given for the whole of {ask.cluster}. Leave the namespaces out, "
            "or ask for less. " + near_miss(policy, replace(ask, namespaces=()), user, membership),
        )
    if len(ask.namespaces) > MOST_NAMESPACES:
        return Reason(
            "too_many_namespaces",
            f"You asked for {len(ask.namespaces)} namespaces, and {MOST_NAMESPACES} is the most in "
            "one request. Make several requests.",
        )
    for name in ask.namespaces:
        try:
            check_namespace(name)
        except InvalidInput as error:
            return Reason(error.code, error.sentence)
    return None


def _no_rule(
    policy: Policy, ask: Ask, missing: list[str | None], user: str, membership: Membership
) -> Reason:
    instead = near_miss(policy, ask, user, membership)
    names = [f"`{name}`" for name in missing if name is not None]
    if names:
        system = "A system namespace has to be named by a rule; no glob covers it. "
        why = system if SYSTEM_NAMESPACES.intersection(missing) else ""
        where = f"{ask.cluster} in {listed(names)}"
        return Reason("no_rule", f"No rule lets you ask for {ask.level} on {where}. {why}{instead}")
    if policy.levels[ask.level].only_cluster:
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
    if ask.duration <= timedelta():
        yield Reason("bad_duration", "Access for no time at all cannot be given. Write `--for 1h`.")
    strictest = min(rules, key=lambda rule: rule.max_duration)
    if ask.duration > strictest.max_duration:
        yield Reason(
            "too_long",
            f"You asked for {format_duration(ask.duration)}, and rule {strictest.name} gives at "
            f"most {format_duration(strictest.max_duration)}: "
            + paste(policy, ask, ask.level, rules[0], longest=strictest.max_duration),
            strictest.name,
        )


def _ticket_problems(ask: Ask, rules: tuple[Rule, ...]) -> Iterable[Reason]:
    ticket = ask.ticket or ""
    if len(ticket) > MOST_TICKET_LETTERS or not ticket.isprintable():
        yield Reason(
            "bad_ticket",
            f"A ticket is at most {MOST_TICKET_LETTERS} letters on one line: `--ticket PAY-1423`.",
        )
        return
    for rule in rules:
        # The whole ticket must match: `$` alone would let a line break and more follow.
        if rule.ticket_pattern is None or (ticket and rule.ticket_pattern.fullmatch(ticket)):
            continue
        so = f"{quoted(ticket)} is no ticket for" if ticket else "There is no ticket, required by"
        yield Reason(
            "bad_ticket" if ticket else "ticket_missing",
            f"{so} rule {rule.name}. Add `--ticket` with one that matches "
            f"{quoted(rule.ticket_pattern.pattern, 80)}.",
            rule.name,
        )


def _reason_problems(ask: Ask) -> Iterable[Reason]:
    if len(ask.reason) > MOST_REASON_LETTERS:
        yield Reason(
            "reason_too_long",
            f"Your reason has {len(ask.reason)} letters, and {MOST_REASON_LETTERS} is the most. "
            "Say what you need the access for, and link to the rest.",
        )
    elif not any(unicodedata.category(letter)[0] in "LNPS" for letter in ask.reason):
        yield Reason(
            "reason_missing",
            "There is no reason, and whoever approves or audits this needs one. Say at the end "
            "what you need the access for: `… Clearing a stuck settlement job`.",
        )


def _start_problems(ask: Ask, now: datetime) -> Iterable[Reason]:
    if ask.start_at is None:
        return
    if ask.start_at.tzinfo is None:
        yield Reason("bad_start", "The start has no time zone. Write for example `--at 14:30`.")
    elif ask.start_at < now:
        yield Reason(
            "bad_start", "The start has passed. Leave `--at` out to start when access is confirmed."
        )
    elif ask.start_at > now + START_WITHIN:
        yield Reason(
            "bad_start",
            f"The start is more than {format_duration(START_WITHIN)} ahead. Ask nearer to it.",
        )


def _owner_problems(
    policy: Policy, user: str, cluster: Cluster, rules: tuple[Rule, ...], membership: Membership
) -> Iterable[Reason]:
    """Rules that nobody could approve for this requester, so that no request hangs in vain."""
    excluded = mapped_with(policy, user, cluster)
    for rule in rules:
        if not isinstance(rule.approval, Approval):
            continue
        needed = rule.approval.required
        enough, others = enough_others(rule.approval.owners.owners, excluded, needed, membership)
        if not enough:
            left = "nobody but you could" if not others else f"besides you only {others} could"
            yield Reason(
                "nobody_to_approve",
                f"Rule {rule.name} needs {needed} of its owners to approve, and {left}: nobody "
                "approves their own request, nor one for their own IAM principal. Ask whoever "
                f"keeps the policy file to name more owners of rule {rule.name}.",
                rule.name,
            )
