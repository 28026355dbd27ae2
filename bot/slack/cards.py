"""The request card: one message in the owners' channel that follows the request to its end.

`request_card` is a pure function of the state, so a refresh is always safe. Everything on the card
is the store's own data, except what stands in the quote: that is the requester's. Buttons hold the
request id and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.core.ask_checks import MOST_TICKET_LETTERS
from bot.core.lifecycle import given_by
from bot.core.model import (
    AccessRequest,
    EndReason,
    Grant,
    GrantState,
    Principal,
    RequestState,
    Review,
)
from bot.core.policy import Tickets
from bot.core.removal import LATE_AFTER, late
from bot.slack import blocks, phrases
from bot.slack.blocks import Block, Message
from bot.slack.progress import further_owners, notes, requirement_lines
from bot.slack.text import date, plain, safe


def request_card(
    request: AccessRequest,
    reviews: Sequence[Review],
    grant: Grant | None,
    *,
    names: Mapping[str, str],
    now: datetime,
    tickets: Tickets | None = None,
) -> Message:
    """The card as it is true at `now`; `names` maps Slack user ids to names.

    `now` matters only where something is overdue, so the card changes with the state and not with
    the clock. `tickets` says where tickets are; without it the ticket is only text.
    """
    shown: list[Block] = [
        blocks.section("request", *_headline(request, names)),
        *_state(request, reviews, grant, names, now),
        reason(request, tickets),
    ]
    namespaces = phrases.namespaces_rest(request.access.scope)
    if namespaces:
        lines = [f"All {len(namespaces):,} namespaces:", *namespaces]
        shown += blocks.sections("namespaces", lines, most=1, rest="namespace")
    shown.append(blocks.context("facts", *_facts(request, grant, names)))
    if phrases.is_open(request):
        shown += blocks.sections("rules", requirement_lines(request, reviews), most=1, rest="rule")
        shown += notes(request)
        later = further_owners(request)
        if later:
            shown.append(blocks.context("later", *later))
        if not past_deciding(request, now):
            shown.append(_buttons(request, names))
    shown.append(blocks.context("id", f"req {request.id}"))
    return Message(text=_fallback(request, grant, names), blocks=shown)


def _headline(request: AccessRequest, names: Mapping[str, str]) -> list[str]:
    starts = ", starting when access is confirmed" if phrases.is_open(request) else ""
    if request.start_at is not None and request.start_missed:
        starts = f", starting at the approval; asked for from {date(request.start_at)}"
    elif request.start_at is not None:
        starts = f", starting {date(request.start_at)}"
    who = phrases.person(request.requester, names)
    asks = "asks" if phrases.is_open(request) else "asked"
    if request.extends is not None:
        return [
            f"{who} {asks} to extend {phrases.subject(request)}",
            f"{phrases.length(request)}; it goes on from {request.extends}",
        ]
    return [
        f"{who} {asks} for {phrases.subject(request)}",
        f"{phrases.length(request)}{starts}",
    ]


def reason(request: AccessRequest, tickets: Tickets | None, block_id: str = "reason") -> Block:
    """The requester's words, and the ticket as a link where it is known where tickets are.

    The ticket stands in the quote too, because the requester typed it.
    """
    ticket = plain(request.ticket or "", MOST_TICKET_LETTERS)
    if not ticket:
        return blocks.quote(block_id, request.reason)
    shown: Block = {"type": "text", "text": ticket}
    if tickets is not None and request.ticket and len(request.ticket) <= MOST_TICKET_LETTERS:
        shown = {"type": "link", "url": tickets.link(request.ticket), "text": ticket}
    return blocks.quote(
        block_id, request.reason, after=[{"type": "text", "text": "Ticket: "}, shown]
    )


def _facts(request: AccessRequest, grant: Grant | None, names: Mapping[str, str]) -> list[str]:
    may_matter = phrases.is_open(request) or (grant and grant.state is not GrantState.ENDED)
    lines = phrases.allows(request.access) if may_matter else []
    lines.append(f"Principal {phrases.principal(request.principal.arn)}")
    lines += shared_warning(request.principal, names)
    return lines


def shared_warning(principal: Principal, names: Mapping[str, str]) -> list[str]:
    """A line on who else an approval elevates, where the principal is shared."""
    if not principal.shared:
        return []
    if not principal.shared_with:
        return [
            ":warning: *Shared principal:* everybody who can use it gets this access too. "
            "Who that is, is not known here."
        ]
    others = phrases.people(principal.shared_with, names)
    return [f":warning: *Shared principal:* this gives the same access to {others}."]


def _state(
    request: AccessRequest,
    reviews: Sequence[Review],
    grant: Grant | None,
    names: Mapping[str, str],
    now: datetime,
) -> list[Block]:
    """Where the request stands, and what somebody else said about it as a quote of its own."""
    match request.state:
        case RequestState.PENDING:
            so_far = phrases.approved_by(reviews, names)
            by = f"Approved so far by {so_far}" if so_far else ""
            return [blocks.section("state", *_pending(request, now), by)]
        case RequestState.DENIED:
            said = f"*DENIED* by {phrases.denied_by(request, reviews, names)}{_when(request)}"
            why = [blocks.quote("decision", request.decision_reason or "")]
            return [blocks.section("state", said), *(why if request.decision_reason else [])]
        case RequestState.CANCELLED:
            return [blocks.section("state", f"*CANCELLED* by the requester{_when(request)}")]
        case RequestState.LAPSED:
            return [blocks.section("state", f"*LAPSED*{_when(request)} · nobody decided in time")]
        case RequestState.APPROVED:
            by = f"Approved by {phrases.approvers(request, reviews, names)}{_when(request)}"
            if grant is None:
                return [blocks.section("state", "*APPROVED*", by)]
            return [blocks.section("state", *granted(grant, names, now), by), *problem(grant)]


def granted(grant: Grant, names: Mapping[str, str], now: datetime) -> list[str]:
    """Where a grant stands. "Active" and "ended" are said only once EKS was read back."""
    why = phrases.why_ending(grant, names)
    match grant.state:
        case GrantState.SCHEDULED:
            lines = [
                "*SCHEDULED*" + (f" · starts {date(grant.starts_at)}" if grant.starts_at else "")
            ]
        case GrantState.PROVISIONING:
            lines = [f"*GRANTING…* · given up if not confirmed by {date(given_by(grant))}"]
        case GrantState.ACTIVE if now - grant.ends_at >= LATE_AFTER:
            lines = _late(f"its end was {date(grant.ends_at)}")
        case GrantState.ACTIVE if now >= grant.ends_at:
            lines = [f"*REMOVING…* · its end was {date(grant.ends_at, 'second')}"]
        case GrantState.ACTIVE:
            lines = [f"*ACTIVE* until {date(grant.ends_at)}"]
        case GrantState.REVOKING if late(grant, now) and grant.revoking_since:
            lines = _late(f"{why}, {date(grant.revoking_since)}")
        case GrantState.REVOKING:
            lines = [f"*REMOVING…* · {why}"]
        case GrantState.ENDED:
            lines = _ended(grant, why)
    return lines


def _ended(grant: Grant, why: str) -> list[str]:
    if grant.end_reason is EndReason.FAILED:
        return [f"*FAILED* {phrases.removal(grant)}", "Nothing of this grant is left at EKS."]
    if phrases.never_began(grant):
        ended = f" · {date(grant.ended_at)}" if grant.ended_at else ""
        return [f"*NOT BEGUN*{ended} · {why}", "Nothing was given."]
    if grant.end_reason is EndReason.SUPERSEDED:
        return [f"*EXTENDED* {phrases.removal(grant)}", "The access goes on under the extension."]
    return [f"*ENDED* {phrases.removal(grant)}", _capital(why)]


def problem(grant: Grant) -> list[Block]:
    """What AWS said and what happens next, while it matters."""
    if not grant.problem:
        return []
    next_step = {
        GrantState.PROVISIONING: "The bot tries again by itself.",
        GrantState.REVOKING: "The bot tries again until EKS confirms the removal.",
    }.get(grant.state, "")
    return [blocks.sentence("problem", f"{grant.problem} {next_step}")]


def _late(why: str) -> list[str]:
    return [
        f":rotating_light: *REMOVAL IS LATE* · {why}",
        "EKS has not confirmed it: the access may still work. The bot keeps trying.",
    ]


def _pending(request: AccessRequest, now: datetime) -> list[str]:
    since = f"waiting since {date(request.created_at)}"
    if request.lapses_at is None:
        return [f"*PENDING* · {since}"]
    if past_deciding(request, now):
        return [f"*PENDING* · the time to decide was over {date(request.lapses_at)}"]
    return [f"*PENDING* · lapses {date(request.lapses_at)} · {since}"]


def past_deciding(request: AccessRequest, now: datetime) -> bool:
    """Whether the time to decide is over, though nothing has marked the request as lapsed yet."""
    return request.lapses_at is not None and now >= request.lapses_at


def _when(request: AccessRequest) -> str:
    return f" · {date(request.decided_at)}" if request.decided_at else ""


def _buttons(request: AccessRequest, names: Mapping[str, str]) -> Block:
    return blocks.actions("decide", *decide_buttons(request, names))


def decide_buttons(request: AccessRequest, names: Mapping[str, str]) -> tuple[Block, ...]:
    """Approve, which asks again with the essentials; Deny and Ask, which open a form."""
    shared = "It elevates other people too." if request.principal.shared else ""
    extends = request.extends is not None
    lasts = f"{'Longer ' if extends else ''}{phrases.length(request)}"
    confirm = blocks.confirmation(
        "Approve more time?" if extends else "Approve this access?",
        phrases.subject_plain(request),
        f"{_capital(lasts)}. {shared}",
        f"Requester: {phrases.plain_name(request, names)}",
        yes="Approve",
        no="Back",
    )
    return (
        blocks.button("approve", "Approve", request.id, style="primary", confirm=confirm),
        blocks.button("deny", "Deny…", request.id, style="danger"),
        blocks.button("ask", "Ask…", request.id),
    )


def _fallback(request: AccessRequest, grant: Grant | None, names: Mapping[str, str]) -> str:
    who = safe(phrases.plain_name(request, names), phrases.NAME_LIMIT)
    what = safe(phrases.subject_plain(request))
    asks = "asks" if phrases.is_open(request) else "asked"
    wish = f"{'to extend' if request.extends else 'for'} {what} {phrases.length(request)}"
    return f"{who} {asks} {wish}: {phrases.state(request, grant)} ({request.id})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
