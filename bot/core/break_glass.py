"""Break-glass: access at once for those on call, which somebody else reviews afterwards.

Pure, as `decide`. Being on call stands in the place of an approval, and nothing else does: whoever
is neither named nor on call is refused, and so is everybody where that cannot be told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from bot.core.ask_checks import (
    length_problem,
    namespace_problem,
    reason_problems,
    says_no_place,
    ticket_form_problem,
    two_places_problem,
)
from bot.core.decide import unknown_cluster
from bot.core.durations import format_duration
from bot.core.errors import DirectoryUnavailable
from bot.core.model import (
    Ask,
    Cluster,
    Decision,
    Owners,
    Person,
    Reason,
    Requirement,
)
from bot.core.names import listed, quoted
from bot.core.oncall import OnCall, OnCallFacts, Schedules
from bot.core.people import Membership, belongs, gone_words, not_full_member
from bot.core.policy import BreakGlass, Level, Policy
from bot.core.policy_approval import LAPSE_AFTER, Approval
from bot.core.policy_break_glass import OnCallSchedules, Responders
from bot.core.principals import mapped_with
from bot.core.rule_choice import DEFAULT_DURATION

BREAK_GLASS = "break-glass"
"""The name under which a break-glass stands where a rule's would."""

NEEDS_APPROVAL = "break_glass_needs_approval"

_SERVICES = {"pagerduty": "PagerDuty", "opsgenie": "Opsgenie"}


def groups_for_break_glass(policy: Policy, ask: Ask) -> frozenset[str]:
    """The groups and channels whose members must be known to decide a break-glass."""
    groups: frozenset[str] = frozenset()
    for entry in entries_for(policy, ask):
        groups |= entry.responders.groups_needed | entry.review.groups
    if policy.lockdown is not None and policy.lockdown.break_glass is not None:
        groups |= policy.lockdown.break_glass.owners.groups
    return groups


def schedules_for(policy: Policy, ask: Ask) -> frozenset[Schedules]:
    """The schedules that on-call services must be asked about to decide a break-glass."""
    return frozenset(
        (name, service.schedules)
        for entry in entries_for(policy, ask)
        for name, service in entry.responders.services.items()
    )


def entries_for(policy: Policy, ask: Ask) -> tuple[BreakGlass, ...]:
    """The entries that cover the cluster and the level, in order."""
    cluster = policy.clusters_by_name.get(ask.cluster)
    if cluster is None or ask.level not in policy.levels:
        return ()
    return tuple(
        entry for entry in policy.break_glass if ask.level in entry.levels and entry.covers(cluster)
    )


def may_ask(
    policy: Policy, user: Person, membership: Membership, on_call: OnCallFacts
) -> tuple[BreakGlass, ...]:
    """The entries that this person may use, as far as is known: for what is offered."""
    found = []
    for entry in policy.break_glass:
        known = {group: membership.get(group, ()) for group in entry.responders.groups_needed}
        if lets_in(policy, entry.responders, user, known, on_call)[0]:
            found.append(entry)
    return tuple(found)


def evaluate_break_glass(
    policy: Policy,
    ask: Ask,
    requester: Person,
    membership: Membership,
    on_call: OnCallFacts,
    *,
    team_id: str,
    overdue: Collection[str] = (),
    revoked: Collection[str] = (),
    live: Collection[str] = (),
    asks_first: bool = False,
) -> tuple[Decision, BreakGlass | None]:
    """What the policy says of a break-glass, and the entry that allows it, where one does.

    `overdue` are the requester's reviews that are overdue, and `revoked` their break-glass requests
    that somebody revoked and nobody has reviewed: with one of those the decision has a requirement,
    an owner of the review approves first. So it is where `live`, the break-glasses that they have
    now, are as many as may be. `asks_first` requires that too: a request
    that waits for an approval needs it also where the reviews were done meanwhile. Raises
    DirectoryUnavailable where it hangs on a group nobody answered for.
    """
    outsider = not_full_member(requester, team_id)
    if outsider is not None:
        return _refused(outsider), None
    cluster = policy.clusters_by_name.get(ask.cluster)
    if cluster is None:
        return _refused(unknown_cluster(policy, ask)), None
    entries = entries_for(policy, ask)
    if not entries:
        return _refused(_not_covered(policy, ask, cluster)), None
    admitted, why = _first_admitting(policy, entries, requester, membership, on_call)
    if admitted is None:
        return _refused(_not_on_call(ask, why, _responders_gone(entries, membership))), None
    problems = _problems(
        policy, ask, admitted, requester=requester, cluster=cluster, membership=membership
    )
    if problems:
        return _refused(*problems), None
    waits = _waits_because(overdue, revoked, live, admitted)
    said = waits or (
        f"A review by somebody else is due within {format_duration(admitted.review.within)}."
    )
    decision = Decision(
        allowed=True,
        reasons=(*why, Reason(NEEDS_APPROVAL if waits else "break_glass", said, BREAK_GLASS)),
        rules=(BREAK_GLASS,),
        requirements=_owed_first(policy, ask, admitted) if waits or asks_first else (),
        access=policy.levels[ask.level].access(cluster, tuple(dict.fromkeys(ask.namespaces))),
        duration=ask.duration or min(DEFAULT_DURATION, admitted.max_duration),
        max_duration=admitted.max_duration,
        lapse_after=LAPSE_AFTER,
        shown_in=alarm_channels(policy, ask),
    )
    return decision, admitted


def _problems(
    policy: Policy,
    ask: Ask,
    admitted: BreakGlass,
    *,
    requester: Person,
    cluster: Cluster,
    membership: Membership,
) -> list[Reason]:
    found = (
        place_problem(policy.levels[ask.level], ask),
        length_problem(ask),
        _too_long(ask, admitted),
        ticket_form_problem(ask),
        _starts_now(ask),
        *reason_problems(ask),
        _nobody_reviews(
            policy, admitted, requester=requester, cluster=cluster, membership=membership
        ),
    )
    return [problem for problem in found if problem is not None]


def alarm_channels(policy: Policy, ask: Ask) -> tuple[str, ...]:
    """Where a break-glass is announced: the security channel, and those of the place's owners.

    The audit channel too: where somebody archives the others first, one still has the alarm.
    """
    owners = [approval.channel for approval in approvals_near(policy, ask)]
    channels = [policy.security_channel, *owners, policy.audit_channel]
    return tuple(dict.fromkeys(channel for channel in channels if channel is not None))


def owners_alarmed(policy: Policy, ask: Ask, but: Owners) -> tuple[tuple[str, Owners], ...]:
    """Whom the alarm mentions in each channel of the place's owners: nobody twice, and not `but`.

    Somebody who is named and in a group as well cannot be told here.
    """
    told = but
    found: dict[str, Owners] = {}
    for approval in approvals_near(policy, ask):
        owners = approval.owners.owners
        for part in approval.also:
            owners = owners.union(part.owners.owners)
        new = Owners(owners.users - told.users, owners.groups - told.groups)
        told = told.union(new)
        if new.users or new.groups:
            found[approval.channel] = found.get(approval.channel, Owners()).union(new)
    return tuple(found.items())


def approvals_near(policy: Policy, ask: Ask) -> tuple[Approval, ...]:
    """The approvals of the rules that cover the place, or of all on its cluster where none does."""
    targets = ask.namespaces or (None,)
    asking = [
        (rule, rule.approval)
        for rule in policy.rules_on(ask.cluster)
        if isinstance(rule.approval, Approval)
    ]
    near = [pair for pair in asking if any(pair[0].covers_namespace(name) for name in targets)]
    return tuple(approval for _, approval in near or asking)


def _refused(*reasons: Reason) -> Decision:
    return Decision(allowed=False, reasons=reasons, rules=(BREAK_GLASS,))


def _first_admitting(
    policy: Policy,
    entries: Iterable[BreakGlass],
    requester: Person,
    membership: Membership,
    on_call: OnCallFacts,
) -> tuple[BreakGlass | None, tuple[Reason, ...]]:
    silent: list[Reason] = []
    untold: DirectoryUnavailable | None = None
    for entry in entries:
        try:
            admitted, why = lets_in(policy, entry.responders, requester, membership, on_call)
        except DirectoryUnavailable as error:
            untold = error  # another entry may let them in without that group
            continue
        if admitted:
            return entry, why
        silent += why
    if untold is not None:
        raise untold
    return None, tuple(dict.fromkeys(silent))


def lets_in(
    policy: Policy,
    responders: Responders,
    person: Person,
    membership: Membership,
    on_call: OnCallFacts,
) -> tuple[bool, tuple[Reason, ...]]:
    """Whether the person is among those who may, with what has to be said about it.

    User groups come last: at night Slack may be the one that does not answer.
    """
    if person.id in responders.users:
        return True, ()
    silent: list[Reason] = []
    for name, service in responders.services.items():
        answer = on_call.get((name, service.schedules), OnCall(available=False))
        if not answer.available:
            words = answer.problem or f"{_SERVICES[name]} did not say who is on call."
            silent.append(Reason("on_call_unavailable", words))
        elif _is_on_call(policy, service, answer, person):
            return True, ()
    if responders.groups and belongs(person.id, responders.owners, membership):
        return True, tuple(silent)
    fallback = responders.fallback
    if silent and fallback is not None and belongs(person.id, fallback.owners, membership):
        said = Reason("on_call_fallback", "So whoever is in the fallback group may break glass.")
        return True, (*silent, said)
    return False, tuple(silent)


def _is_on_call(policy: Policy, service: OnCallSchedules, answer: OnCall, person: Person) -> bool:
    mapped = {user for known, user in service.users.items() if known in answer.ids}
    if person.id in mapped:
        return True
    email = person.email or ""
    domain = email.rpartition("@")[2].lower()
    trusted = (
        person.email_confirmed
        and email.isascii()
        and domain in policy.principals.email_domains
        and person.id not in service.users.values()
    )
    return trusted and email.lower() in answer.emails


def _not_covered(policy: Policy, ask: Ask, cluster: Cluster) -> Reason:
    levels = listed(
        dict.fromkeys(
            f"`{level}`"
            for entry in policy.break_glass
            if entry.covers(cluster)
            for level in entry.levels
        )
    )
    there = f"There it can give {levels}." if levels else "It covers no level there."
    return Reason(
        "no_break_glass",
        f"Break-glass does not give {quoted(ask.level)} on {ask.cluster}. {there} "
        f"Owners can approve a request at any hour: `/eks-access request {ask.cluster} …`.",
    )


def _responders_gone(entries: Iterable[BreakGlass], membership: Membership) -> str:
    every = Owners(groups=frozenset().union(*(one.responders.groups_needed for one in entries)))
    return gone_words(every, membership, "break_glass")


def _not_on_call(ask: Ask, why: tuple[Reason, ...], gone: str) -> Reason:
    silent = " ".join(reason.sentence for reason in why)
    return Reason(
        "not_on_call",
        f"You are not among those who may break glass on {ask.cluster}. "
        + (f"{silent} " if silent else "")
        + "Whoever is on call can, and owners can approve a request at any hour: "
        f"`/eks-access request {ask.cluster} {ask.level} …`.{gone}",
    )


def place_problem(level: Level, ask: Ask) -> Reason | None:
    """What is wrong with where break-glass is to give the level, if anything is."""
    if level.only_cluster and ask.namespaces:
        return Reason(
            "only_cluster",
            f"{ask.level} is only given for the whole of {ask.cluster}. Leave the namespaces out.",
        )
    if not level.only_cluster and says_no_place(ask):
        return Reason(
            "needs_namespaces",
            f"You named no namespace for {ask.level} on {ask.cluster}. Name it: `/eks-access "
            f"break-glass {ask.cluster} {ask.level} --namespace NAMESPACE …`. For the whole "
            "cluster, write `--whole-cluster` instead.",
        )
    return two_places_problem(ask) or namespace_problem(ask)


def _too_long(ask: Ask, entry: BreakGlass) -> Reason | None:
    if ask.duration is None or ask.duration <= entry.max_duration:
        return None
    return Reason(
        "too_long",
        f"You asked for {format_duration(ask.duration)}, and break-glass gives at most "
        f"{format_duration(entry.max_duration)}.",
        BREAK_GLASS,
    )


def _starts_now(ask: Ask) -> Reason | None:
    if ask.start_at is None:
        return None
    return Reason("bad_start", "Break-glass begins at once. Leave `--at` out.")


def _nobody_reviews(
    policy: Policy,
    entry: BreakGlass,
    *,
    requester: Person,
    cluster: Cluster,
    membership: Membership,
) -> Reason | None:
    """A review that only the requester could do would never close."""
    groups = entry.review.groups
    owners = entry.review.owners.owners
    if entry.review.escalate is not None:
        owners = owners.union(entry.review.escalate.owners.owners)
    if groups - membership.keys():
        return None  # not known now, and at night that must not stop anybody
    everybody = set(owners.users).union(*(membership[group] for group in groups))
    if everybody - mapped_with(policy, requester.id, cluster):
        return None
    return Reason(
        "nobody_to_review",
        f"Nobody but you could review a break-glass on {cluster.name} afterwards. Ask whoever "
        "keeps the policy file to name more owners of its review."
        + gone_words(owners, membership, "the review of break_glass"),
        BREAK_GLASS,
    )


def _owed_first(policy: Policy, ask: Ask, entry: BreakGlass) -> tuple[Requirement, ...]:
    """Asked in the security channel; without one where the alarm goes; "" where that is nowhere."""
    channel = next(iter(alarm_channels(policy, ask)), "")
    return (Requirement(BREAK_GLASS, channel, entry.review.owners.owners),)


def _waits_because(
    overdue: Collection[str], revoked: Collection[str], live: Collection[str], entry: BreakGlass
) -> str:
    """Why this one needs an approval, for everybody who reads of it; "" where it needs none."""
    if overdue:
        why = f"The review of {listed(sorted(overdue), 'and')} is overdue"
    elif revoked:
        why = f"{listed(sorted(revoked), 'and')} was revoked and is not reviewed yet"
    elif len(live) >= entry.max_live:
        why = f"{listed(sorted(live), 'and')} {'is' if len(live) == 1 else 'are'} live already"
    else:
        return ""
    return f"{why}, so this break-glass needs an approval."
