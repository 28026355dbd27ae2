"""Direct messages to the requester: what became of the request, and what to do next.

`direct_message` is a pure function of the state, like the card. Something was granted, or removed,
only where EKS was read back and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.core.durations import format_duration
from bot.core.model import (
    AccessRequest,
    EndReason,
    Grant,
    GrantState,
    RequestState,
    Review,
)
from bot.core.policy import Tickets
from bot.core.removal import late
from bot.slack import blocks, phrases
from bot.slack.blocks import Block, Message
from bot.slack.cards import past_deciding, problem, reason
from bot.slack.commands import written
from bot.slack.connect import connect_blocks, how_to_extend
from bot.slack.progress import notes, requirement_lines
from bot.slack.text import TOLD_LETTERS, clean, code, date, safe, size

TOKENS_OUTLIVE = "Tokens already issued may still work for some minutes."
"""What the removal of an access entry cannot cut at once (EKS publishes no figure)."""

_PASTE_LIMIT = 1500

_END_STAYS = "The access you have ends when it would have ended."


def direct_message(
    request: AccessRequest,
    reviews: Sequence[Review],
    grant: Grant | None,
    *,
    names: Mapping[str, str],
    now: datetime,
    tickets: Tickets | None = None,
    profile: str | None = None,
) -> Message:
    """The message to the requester that is true at `now`; `tickets` says where tickets are.

    `profile` is the AWS profile with which the person uses the access, where the policy names one.
    """
    match request.state:
        case RequestState.PENDING:
            return submitted(request, reviews, now, tickets)
        case RequestState.DENIED:
            return denied(request, reviews, names)
        case RequestState.CANCELLED:
            return cancelled(request)
        case RequestState.LAPSED:
            return lapsed(request)
        case RequestState.APPROVED:
            return _granted(request, reviews, grant, names, now=now, profile=profile)


def submitted(
    request: AccessRequest,
    reviews: Sequence[Review],
    now: datetime,
    tickets: Tickets | None = None,
) -> Message:
    """The request waits for its owners: how far it has come. It can be taken back."""
    meanwhile = "Nothing is granted yet." if request.extends is None else _END_STAYS
    first = f"You asked {phrases.wish(request)}. {meanwhile}"
    if past_deciding(request, now):
        return _message(request, first, "The time to decide is over.")
    when = [f"Asked{phrases.in_channels(request)}."]
    when += [f"It lapses {date(request.lapses_at)}."] if request.lapses_at else []
    when += [f"It starts {date(request.start_at)}, if approved."] if request.start_at else []
    cancel = blocks.button("cancel", "Cancel the request", request.id, style="danger")
    return _message(
        request,
        first,
        *requirement_lines(request, reviews),
        " ".join(when),
        extra=[*notes(request), reason(request, tickets), blocks.actions("cancel", cancel)],
    )


def denied(request: AccessRequest, reviews: Sequence[Review], names: Mapping[str, str]) -> Message:
    """Who said no, and why in their own words."""
    by = phrases.denied_by(request, reviews, names)
    what = f"{by} denied {phrases.what(request)}"
    reason = clean(request.decision_reason or "")
    if not reason:
        return _message(request, f"{what}.", extra=[_again(request)])
    quoted = blocks.quote("decision", request.decision_reason or "")
    told = _message(request, f"{what}:", extra=[quoted, _again(request)])
    return Message(f"{what}: {safe(reason, TOLD_LETTERS)}", told.blocks)


def cancelled(request: AccessRequest) -> Message:
    return _message(
        request,
        f"You took back your request for {phrases.what(request)}. {_nothing(request)}",
    )


def lapsed(request: AccessRequest) -> Message:
    """Nobody decided. How to ask again, and whom to talk to."""
    by = f" by {date(request.lapses_at)}" if request.lapses_at else " in time"
    first = f"Nobody decided{by} about {phrases.what(request)}. {_nothing(request)}"
    whom = f"The owners are {phrases.all_owners(request)}{phrases.in_channels(request)}."
    again = written(request.ask)
    if request.extends is not None or size(again) > _PASTE_LIMIT:
        return _message(request, first, whom, extra=[_again(request)])
    shown = [blocks.preformatted("command", again), _again(request)]
    return _message(request, first, f"{whom} To ask again:", extra=shown)


def active(request: AccessRequest, grant: Grant, profile: str | None = None) -> Message:
    """The end, the two commands that use the access, and a way to give it back."""
    is_what = "is active until" if request.extends is None else "is extended until"
    return _message(
        request,
        f"{phrases.subject(request)} {is_what} {date(grant.ends_at)}.",
        extra=[*connect_blocks(grant, profile), _extend_or_return(request)],
    )


def ends_soon(
    request: AccessRequest, grant: Grant, *, names: Mapping[str, str], now: datetime
) -> Message:
    """Some minutes before the end: what can be done. Afterwards what became of it, alone."""
    what = phrases.subject(request)
    if grant.end_reason is EndReason.SUPERSEDED:
        return _message(request, f"{what} was extended before it ended.")
    if grant.state is GrantState.ENDED:
        return _message(request, f"{what} has ended: {phrases.why_ending(grant, names)}.")
    if grant.state is GrantState.REVOKING or now >= grant.ends_at:
        return _message(request, f"{what} is being removed: {phrases.why_ending(grant, names)}.")
    return _message(
        request,
        f"{what} ends {date(grant.ends_at)}.",
        how_to_extend(request),
        extra=[_extend_or_return(request)],
    )


def failed(request: AccessRequest, grant: Grant) -> Message:
    """What AWS said, that nothing was left behind, and whom to ask."""
    how = "given" if request.extends is None else "extended"
    first = f"{phrases.subject(request)} could not be {how}."
    if grant.state is not GrantState.ENDED:
        begun = "What was begun is being removed."
        return _message(request, first, extra=[*problem(grant), blocks.section("next", begun)])
    lines = ["Nothing of it is left at EKS." if request.extends is None else _END_STAYS]
    if request.requirements:
        lines.append(f"Ask {phrases.all_owners(request)}{phrases.in_channels(request)} about it.")
    return _message(request, first, extra=[*problem(grant), blocks.section("next", *lines)])


def ended(request: AccessRequest, grant: Grant, names: Mapping[str, str]) -> Message:
    """Why it ended, that the removal was read back, and what that cannot cut."""
    again = phrases.can_be_asked_again(request, grant)
    if phrases.never_began(grant):
        return _message(
            request,
            f"{phrases.subject(request)} does not begin: {phrases.why_ending(grant, names)}.",
            "Nothing was given.",
            extra=[*problem(grant), *([_again(request)] if again else [])],
        )
    if grant.end_reason is EndReason.SUPERSEDED:
        return _message(request, f"{phrases.subject(request)} goes on: it was extended.")
    return _message(
        request,
        f"{phrases.subject(request)} has ended: {phrases.why_ending(grant, names)}.",
        f"Ended {phrases.removal(grant)}.",
        TOKENS_OUTLIVE,
        extra=[_again(request)] if again else [],
    )


def _granted(
    request: AccessRequest,
    reviews: Sequence[Review],
    grant: Grant | None,
    names: Mapping[str, str],
    *,
    now: datetime,
    profile: str | None,
) -> Message:
    if grant is None or grant.state in {GrantState.SCHEDULED, GrantState.PROVISIONING}:
        by = phrases.approvers(request, reviews, names)
        what = phrases.what(request)
        first = f"{what[:1].upper()}{what[1:]} is approved by {by}."
        if request.break_glass and not reviews:
            first = f"You broke glass: {phrases.subject(request)}."
        if grant is not None and grant.state is GrantState.SCHEDULED and grant.starts_at:
            return _message(
                request,
                first,
                f"It starts {date(grant.starts_at)}, for {format_duration(request.duration)}, if "
                "the rules still allow it then.",
                extra=[blocks.actions("use-or-end", blocks.give_back(request.id, "Take back"))],
            )
        more = problem(grant) if grant else []
        next_step = "It is being set up; the commands come once EKS confirms."
        if request.extends is not None:
            next_step = "The end moves once EKS confirms it."
        return _message(request, first, next_step, extra=more)
    if grant.end_reason is EndReason.FAILED:
        return failed(request, grant)
    if grant.state is GrantState.ENDED:
        return ended(request, grant, names)
    if grant.state is GrantState.ACTIVE and now < grant.ends_at:
        return active(request, grant, profile)
    why = phrases.why_ending(grant, names)
    late_line = "EKS has not confirmed the removal yet; I keep trying."
    return _message(
        request,
        f"{phrases.subject(request)} is being removed: {why}.",
        late_line if late(grant, now) else "",
        extra=problem(grant),
    )


def _extend_or_return(request: AccessRequest) -> Block:
    give_back = blocks.give_back(request.id, "Return the access")
    if request.break_glass:  # it cannot be extended
        return blocks.actions("use-or-end", give_back)
    extend = blocks.button("extend", "Extend…", request.id)
    return blocks.actions("use-or-end", extend, give_back)


def _nothing(request: AccessRequest) -> str:
    return "Nothing was granted." if request.extends is None else _END_STAYS


def _again(request: AccessRequest) -> Block:
    return blocks.actions("again", blocks.ask_again(request.id))


def _message(request: AccessRequest, *lines: str, extra: Sequence[Block] = ()) -> Message:
    shown = [blocks.section("news", *lines), *extra]
    shown.append(
        blocks.context("id", f"req {request.id} · {code(f'/eks-access status {request.id}')}")
    )
    return Message(" ".join(filter(None, lines[:1])), shown)
