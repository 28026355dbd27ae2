"""Answers that only the person who asked sees: help, lists, one request's history, errors."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from bot.core import operators
from bot.core.errors import DomainError
from bot.core.lifecycle import OPERATOR
from bot.core.model import (
    AccessRequest,
    AuditEvent,
    Cluster,
    EndReason,
    Grant,
    GrantState,
    Review,
)
from bot.core.planner import ObservedEntry
from bot.core.policy import Tickets
from bot.core.rights import EVERY_RIGHT, Right
from bot.core.roster import Roster
from bot.slack import blocks, phrases
from bot.slack.blocks import Block, Message
from bot.slack.cards import granted, problem, reason
from bot.slack.commands import FORMS
from bot.slack.connect import how_to_extend
from bot.slack.progress import further_owners, requirement_lines
from bot.slack.text import code, count, date, listed, safe

OFFERS_SHOWN = 5
"""On how many clusters help says what the person can ask for."""

NEEDED_RIGHTS = {
    "pending": Right.DECIDE,
    "break-glass": Right.BREAK_GLASS,
    "approve": Right.DECIDE,
    "deny": Right.DECIDE,
    "lockdown": Right.LOCKDOWN,
    "suspend": Right.LOCKDOWN,
    "unsuspend": Right.LOCKDOWN,
    "revoke": Right.REVOKE,
    "review": Right.REVIEW,
    "delegate": Right.DELEGATE,
}
"""The commands that are not for everybody. Who types one of the others is told what is so."""

_OWN_SHOWN = 15
_EVENTS_SHOWN = 18
_PLAIN_HELP = {
    "request": "asks for access",
    "break-glass": "gives it at once if you are on call; somebody else reviews it afterwards",
    "mine": "lists your access and open requests",
    "pending": "lists what waits for your decision or your review",
    "who": "shows who has access to a cluster now",
    "status": "shows one request and its history",
    "extend": "asks for more time before your access ends",
    "return": "gives your access back early",
    "approve": "approves a request, if you are one of its owners",
    "deny": "denies it; the requester reads the reason",
    "cancel": "takes back your own request while it is pending",
    "lockdown": "stops all granting, or lets it begin again; alone it says whether it is on",
    "suspend": "ends what somebody has and gives them nothing new; alone it lists who is suspended",
    "unsuspend": "lets them ask for access again",
    "revoke": "takes somebody's access away, if you own the place or are security",
    "review": "says what a break-glass was used for, if you review it",
    "delegate": "lets somebody decide in your place while you are away, if you own a rule",
    "delegations": "lists who decides in whose place",
    "clusters": "lists the clusters and levels there are",
    "help": "shows this",
}
_EXAMPLES = {
    "request": "request prod-eu edit --namespace payments --for 2h Clearing a stuck job, PAY-1423",
    "break-glass": "break-glass prod-eu cluster-admin --for 30m The API server is down",
    "who": "who prod-eu",
    "status": "status 7K3-QMX",
    "extend": "extend 7K3-QMX 1h The job still runs",
    "return": "return 7K3-QMX",
    "approve": "approve 7K3-QMX",
    "deny": "deny 7K3-QMX View is enough for that",
    "cancel": "cancel 7K3-QMX",
    "lockdown": "lockdown on --revoke Stolen laptop, INC-77",
    "suspend": "suspend U01ANA Stolen laptop, INC-77",
    "unsuspend": "unsuspend U01ANA",
    "delegate": "delegate U02BOB until 2026-01-31",
    "revoke": "revoke 7K3-QMX The incident is over",
    "review": "review 7K3-QMX justified Restarted the API server, see INC-7",
}
_EVENTS = {
    "request.submitted": "asked",
    "request.approved": "approved: nothing more is needed",
    "request.asked": "asked the requester a question",
    "request.answered": "answered it",
    "request.denied": "denied",
    "request.cancelled": "took the request back",
    "request.reminded": "reminded the owners",
    "request.escalated": "asked further owners, because nobody had decided",
    "request.lapsed": "let it lapse: nobody decided in time",
    "grant.started": "began what was approved for this time",
    "break_glass.begun": "broke glass: somebody else reviews it",
    "break_glass.reviewed": "reviewed what was done",
    "break_glass.review_reminded": "reminded those who review it",
    "break_glass.review_overdue": "called the review overdue",
    "break_glass.review_escalated": "asked others to review it as well",
    "grant.confirmed": "read at EKS that the access is there",
    "grant.revoking": "began the removal",
    "grant.revoked_late": "revoked it when it was over already",
    "grant.ended": "read at EKS that the access is gone",
    "grant.set_right": "set the times of its removal right after the clock had been ahead",
    "grant.shortened": "set the end right after the clock had been ahead",
}

_REMOVALS = {
    EndReason.RETURNED.value: "gave the access back",
    EndReason.REVOKED.value: "revoked the access",
}


def note(sentence: str) -> Message:
    """One sentence, which may quote what somebody typed; backticks in it make code."""
    return Message(safe(sentence, 1000) or "-", [blocks.sentence("note", sentence)])


def error_reply(error: DomainError, more: str = "") -> Message:
    """The error's sentence: what is so, and what to do; with `more` of the latter."""
    return note(f"{error.sentence} {more}".strip())


def fault_reply(reference: str) -> Message:
    """The bot itself failed. `reference` finds the log line; no detail goes to Slack."""
    return note(
        "That failed because of a fault in the bot. `/eks-access mine` shows what is so now. "
        f"Whoever runs the bot finds more in its log under `{reference}`."
    )


def not_done_reply(reference: str, more: str = "") -> Message:
    """As `fault_reply`, of what was taken up and undone; `more` is another way to do it."""
    return note(
        "That failed because of a fault in the bot, and nothing was changed. Do it once more; if "
        f"it fails again, give `{reference}` to whoever runs the bot, who finds why in its log. "
        f"{more}".strip()
    )


def waiting_reply(after: timedelta) -> Message:
    """What somebody reads whose command waits until Slack may be asked about them again."""
    return note(
        "Slack limits how often I may ask it who is in a group, and many people are asking just "
        f"now. Yours is not lost: I'll do it in about {max(1, round(after.total_seconds()))} s and "
        "answer here. Don't send it again."
    )


def help_reply(
    topic: str | None = None,
    *,
    rights: Collection[Right] = EVERY_RIGHT,
    offers: Sequence[tuple[str, Sequence[str]]] | None = None,
    more: int = 0,
) -> Message:
    """The commands there are, or one of them with an example.

    Of all commands only those are listed that the person's `rights` allow. `offers` says on which
    clusters they can ask for which levels, with `more` clusters that are not named; None: that is
    not known.
    """
    if topic in FORMS:
        lines = [f"{code(f'/eks-access {FORMS[topic]}')} {_PLAIN_HELP[topic]}."]
        if topic in _EXAMPLES:
            lines.append(f"For example: {code(f'/eks-access {_EXAMPLES[topic]}')}")
        return Message(f"Help on {topic}", [blocks.section("help", *lines)])
    lines = ["`/eks-access` opens the request form."]
    names = commands_with(rights)
    lines += [f"{code(f'/eks-access {FORMS[name]}')} {_PLAIN_HELP[name]}." for name in names]
    shown = [blocks.section("help", *lines)]
    if offers is not None:
        shown.append(blocks.section("offers", _offers(offers, more)))
    return Message("What /eks-access can do", shown)


def commands_with(rights: Collection[Right]) -> list[str]:
    """The commands that whoever has these rights can use."""
    return [name for name in FORMS if NEEDED_RIGHTS.get(name) in {None, *rights}]


def _offers(offers: Sequence[tuple[str, Sequence[str]]], more: int) -> str:
    if not offers:
        return "No rule lets you ask for access. Ask whoever keeps the policy file to add one."
    said = [
        f"{listed([code(level, 60) for level in levels], 5)} on {code(cluster, 110)}"
        for cluster, levels in offers
    ]
    rest = f"; {count(more, 'more cluster')}: `/eks-access clusters`" if more else ""
    return f"You can ask for {'; '.join(said)}{rest}."


def mine_reply(
    items: Sequence[tuple[AccessRequest, Grant | None]],
    reviews: Mapping[str, str] | None = None,
    *,
    now: datetime,
) -> Message:
    """The person's requests, newest first as given, with what can be done to each.

    `reviews` says, by request id, what review is still owed for it.
    """
    owed = reviews or {}
    if not items:
        return note("You have no access and no open request. `/eks-access` opens the request form.")
    title = f"*Your access and requests ({len(items):,})*"
    shown = [
        blocks.section("title", title),
        *(_own(*item, owed, now) for item in items[:_OWN_SHOWN]),
    ]
    if len(items) > _OWN_SHOWN:
        shown.append(blocks.context("more", f"… and {len(items) - _OWN_SHOWN:,} older ones."))
    return Message(f"Your access and requests: {len(items):,}", shown)


def who_reply(
    cluster: str,
    live: Sequence[tuple[AccessRequest, Grant]],
    roster: Roster,
    *,
    names: Mapping[str, str],
    principals: bool = True,
) -> Message:
    """Who has access to the cluster through the bot, and what others put there, marked as such.

    Without `principals`, what others put there is counted and not named.
    """
    name = safe(cluster, 110)
    shown = [blocks.section("title", f"*Access to {name} through this bot ({len(live):,})*")]
    lines = [
        f"{phrases.person(grant.requester, names)}: {phrases.subject(request)} · "
        f"{phrases.standing(request, grant)} · req {request.id}"
        for request, grant in live
    ]
    # Slack takes some 13,200 letters in all: three full sections, with what stands around them.
    shown += blocks.sections("live", lines or ["Nobody."], most=1, rest="grant")
    if not principals:
        shown.append(blocks.section("others", *_counted(roster)))
    elif roster.by_hand:
        title = f"*Added by hand to this bot's entries ({len(roster.by_hand):,})*"
        shown.append(blocks.section("by-hand", title, "The bot did not put this there:"))
        lines = [_entry(arn, entry) for arn, entry in roster.by_hand]
        shown += blocks.sections("additions", lines, most=1, rest="entry")
    number = len(roster.others) + roster.others_unread
    if principals and (number or not roster.problem):
        shown.append(blocks.section("others", f"*Managed by others, not this bot ({number:,})*"))
        lines = [_entry(arn, entry) for arn, entry in roster.others]
        if roster.others_unread:
            lines.append(f"… and {roster.others_unread:,} more that were not read.")
        most = 1 if roster.by_hand else 2
        shown += blocks.sections("entries", lines or ["None."], most=most, rest="entry")
    if roster.own_unread:
        unread = f"{roster.own_unread:,} of this bot's own entries"
        shown.append(blocks.context("unread", f"What others added to {unread} was not read."))
    if roster.problem:
        shown.append(blocks.sentence("problem", f"Not all was read. {roster.problem}"))
    return Message(f"Access to {name}: {count(len(live), 'grant')}", shown)


def _counted(roster: Roster) -> list[str]:
    """How many entries others manage, for those who are not told whose they are."""
    lines = []
    if roster.by_hand:
        lines.append(f"*Added by hand to this bot's entries ({len(roster.by_hand):,})*")
    number = len(roster.others) + roster.others_unread
    if number or not roster.problem:
        lines.append(f"*Managed by others, not this bot ({number:,})*")
    lines.append(
        "Only people who can ask for access here, its owners and security see who that is."
    )
    return lines


def status_reply(
    request: AccessRequest,
    reviews: Sequence[Review],
    grant: Grant | None,
    events: Sequence[AuditEvent],
    *,
    names: Mapping[str, str],
    now: datetime,
    tickets: Tickets | None = None,
    connect: Sequence[Block] = (),
) -> Message:
    """One request: what was asked, where it stands, and its history from the audit trail.

    `connect` are the commands that use the access, for the person whose it is.
    """
    who = phrases.person(request.requester, names)
    asks = "asks" if phrases.is_open(request) else "asked"
    lines = [f"{who} {asks} {phrases.wish(request)}"]
    lines += granted(grant, names, now) if grant else [phrases.standing(request, None)]
    if phrases.is_open(request):
        so_far = phrases.approved_by(reviews, names)
        lines += [f"Approved so far by {so_far}"] if so_far else []
        lines += [*requirement_lines(request, reviews), *further_owners(request)]
    if grant is not None and phrases.is_running(grant, now):
        lines.append(phrases.time_left(grant, now))
    if grant is not None:
        lines.append(f"Approved by {phrases.approvers(request, reviews, names)}")
    lines += phrases.proof(grant) if grant else []
    lines.append(f"Principal {phrases.principal(request.principal.arn)}")
    shown: list[Block] = [
        blocks.section("request", *lines),
        reason(request, tickets),
        *(problem(grant) if grant else []),
    ]
    if request.decision_reason:
        shown.append(blocks.context("decided", "The reason for the decision:"))
        shown.append(blocks.quote("decision", request.decision_reason))
    if why := _why_revoked(grant, events):
        shown.append(blocks.context("taken", "The reason for the revocation:"))
        shown.append(blocks.quote("revocation", why))
    every = phrases.namespaces_rest(request.access.scope)
    if every:
        shown += blocks.sections("namespaces", every, most=1, rest="namespace")
    shown += connect
    history = [_event(event, names) for event in events[-_EVENTS_SHOWN:]]
    if len(events) > _EVENTS_SHOWN:
        history.insert(0, f"… {count(len(events) - _EVENTS_SHOWN, 'earlier event')}")
    shown += blocks.sections("history", history, most=1, rest="event")
    shown.append(blocks.context("id", f"req {request.id}"))
    return Message(f"{request.id}: {phrases.state(request, grant)}", shown)


def clusters_reply(
    clusters: Sequence[Cluster], levels: Mapping[str, Sequence[str]] | None = None
) -> Message:
    """The clusters of the policy, with the levels that some rule names for each."""
    if not clusters:
        return note("The policy names no cluster yet.")
    lines = []
    for cluster in clusters:
        named = [code(level, 60) for level in (levels or {}).get(cluster.name, ())]
        what = f" · {listed(named)}" if named else ""
        place = f"{safe(cluster.region, 40)}, account {safe(cluster.account, 20)}"
        lines.append(f"{code(cluster.name, 110)} · {place}{what}")
    shown = [blocks.section("title", f"*Clusters ({len(clusters):,})*")]
    shown += blocks.sections("clusters", lines, most=3, rest="cluster")
    return Message(count(len(clusters), "cluster"), shown)


def _own(
    request: AccessRequest, grant: Grant | None, reviews: Mapping[str, str], now: datetime
) -> Block:
    longer = ""
    line = f"{phrases.subject(request)} · {phrases.standing(request, grant)} · req {request.id}"
    if grant is not None and phrases.is_running(grant, now):
        line += f" · {phrases.time_left(grant, now)}"
        longer = how_to_extend(request)
    section = blocks.section(f"own:{request.id}", line, longer, reviews.get(request.id, ""))
    if phrases.is_open(request):
        section["accessory"] = blocks.button("cancel", "Cancel", request.id)
    elif grant is not None and (grant.gives_access or grant.state is GrantState.SCHEDULED):
        section["accessory"] = blocks.give_back(request.id, "Return")
    return section


def _entry(principal_arn: str, entry: ObservedEntry) -> str:
    given = [
        f"{code(arn.rpartition('/')[2], 60)} ({phrases.namespaces_short(scope)})"
        for arn, scope in sorted(entry.policies.items())
    ]
    given += [f"group {code(group, 70)}" for group in sorted(entry.kubernetes_groups)]
    return f"{phrases.principal(principal_arn)}: {listed(given, 5) or 'no policy and no group'}"


def _why_revoked(grant: Grant | None, events: Sequence[AuditEvent]) -> str:
    """What was said by whoever revoked the access; nothing where they said nothing."""
    if grant is None or grant.end_reason is not EndReason.REVOKED:
        return ""
    said = [event.details.get("why") for event in events if event.action == "grant.revoking"]
    return str(said[-1] or "") if said else ""


def _event(event: AuditEvent, names: Mapping[str, str]) -> str:
    words = _EVENTS.get(event.action)
    if event.action == "request.reviewed":
        words = "denied" if event.details.get("verdict") == "deny" else "approved"
    if event.action == "grant.revoking":
        words = _REMOVALS.get(str(event.details.get("reason")), words)
    if event.action == "grant.ended" and event.details.get("reason") == EndReason.CLUSTER_GONE:
        words = "ended it with its cluster, which is gone"
    if words is None:
        words = code(event.action, 60)
    lag = event.details.get("lag_seconds")
    after = f", {lag:,.1f} s later" if isinstance(lag, int | float) else ""
    operator = operators.called(event.details) if event.actor == OPERATOR else ""
    who = phrases.person(event.actor, names)
    who += f" ({safe(operator, phrases.OPERATOR_LIMIT)})" if operator else ""
    return f"{date(event.at, 'second')} · {who} {words}{after}"
