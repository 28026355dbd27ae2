"""What is said of a break-glass beside its card: to its reviewers, and to whoever broke it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.core.durations import format_duration
from bot.core.model import AccessRequest, Grant, RequestState
from bot.core.post_review import PostReview, ReviewStep
from bot.reconcile.messages import Wanted
from bot.slack import blocks, phrases
from bot.slack.blocks import Block, Message
from bot.slack.glass_card import review_state, verdict
from bot.slack.text import date, listed, mention_channel, safe


def begun(request: AccessRequest, owed: PostReview | None) -> Message:
    """What whoever broke glass reads at once: that it is coming, who is told, what is owed."""
    what = f"{phrases.subject(request)} for {format_duration(request.duration)}"
    if request.state is not RequestState.APPROVED or owed is None:
        lines = [
            f"You asked to break glass: {what}. Nothing is given yet.",
            f"One of {phrases.all_owners(request)} has to approve first{_asked_in(request)}.",
        ]
    else:
        lines = [
            f"You broke glass: {what}. Access is being set up; a direct message brings the "
            "commands once EKS confirms it.",
            _told(request),
            _owes(owed),
        ]
    lines += [safe(sentence, 500) for sentence in request.notes]
    id_line = f"req {request.id}"
    shown = [blocks.section("begun", *lines), blocks.context("id", id_line)]
    return Message(f"{lines[0]} ({request.id})", shown)


def escalated_to(owed: PostReview | None) -> tuple[str, ...]:
    """Where else the card stands, once others were asked to review it."""
    if owed is None or owed.escalation is None or ReviewStep.ESCALATED not in owed.steps:
        return ()
    return (owed.escalation.channel,)


def glass_direct(
    direct: Message,
    request: AccessRequest,
    grant: Grant | None,
    owed: PostReview | None,
    *,
    offers: bool,
    names: Mapping[str, str],
    now: datetime,
) -> Message:
    """The requester's message, with who was told of a break-glass and what is owed.

    `offers`: a request that waits can be made a break-glass.
    """
    if not request.break_glass:
        return _offering(direct, request.id) if offers and phrases.is_open(request) else direct
    shown: list[Block] = []
    if phrases.is_open(request):
        line = "This break-glass needs an approval by an owner of its review."
        shown = [blocks.section("owed", line, *(safe(one, 500) for one in request.notes))]
    elif owed is not None and owed.open:
        shown = [
            blocks.section("owed", _told(request), _owes(owed), _tell_them(request, owed, now))
        ]
    elif owed is not None and grant is not None:
        shown = review_state(request, owed, names, now, over=True)
    *before, last = direct.blocks
    return Message(direct.text, [*before, *shown, last])


def glass_news(
    request: AccessRequest,
    owed: PostReview | None,
    channels: Sequence[str],
    *,
    names: Mapping[str, str],
    now: datetime,
    card: str,
    direct: str,
) -> list[Wanted]:
    """What is said anew in the threads of the card and of the requester's message.

    `card` and `direct` are the keys of those: a message that is edited notifies nobody.
    """
    if owed is None:
        return []
    if not owed.open:
        return _reviewed(request, owed, channels, names=names, card=card, direct=direct)
    wanted = _steps(request, owed, channels, names=names, now=now, card=card)
    if ReviewStep.OVERDUE in owed.steps:
        line = (
            f"Nobody has reviewed your break-glass of {phrases.subject(request)}, and it was due "
            f"{date(owed.due_at)}. Until somebody does, your next break-glass needs an approval."
        )
        wanted.append(_said("news:review-overdue", request.requester, direct, line))
    return wanted


def _reviewed(
    request: AccessRequest,
    owed: PostReview,
    channels: Sequence[str],
    *,
    names: Mapping[str, str],
    card: str,
    direct: str,
) -> list[Wanted]:
    by, what = phrases.person(owed.reviewer, names), phrases.subject(request)
    line = f"{by} reviewed the break-glass of {what}: {verdict(owed)}."
    wanted = [_said("notice:reviewed", channel, card, line) for channel in channels]
    line = f"{by} reviewed your break-glass of {what}: {verdict(owed)}."
    findings = blocks.quote("findings", owed.findings or "")
    return [*wanted, _said("news:reviewed", request.requester, direct, line, findings)]


def _steps(
    request: AccessRequest,
    owed: PostReview,
    channels: Sequence[str],
    *,
    names: Mapping[str, str],
    now: datetime,
    card: str,
) -> list[Wanted]:
    """The review's owners are asked in the first channel, that of security; others where theirs is.

    The cards elsewhere show the same.
    """
    who = phrases.owners(owed.owners_at(now), request.requester)
    holder = phrases.person(request.requester, names)
    what = f"the review of {phrases.subject(request)}, which {holder} had by break-glass,"
    lines = {
        ReviewStep.REMINDED: f"{who}: {what} is due by {date(owed.due_at)}.",
        ReviewStep.OVERDUE: f":rotating_light: {who}: {what} is overdue. Until it is given, their "
        "next break-glass needs an approval.",
        ReviewStep.ESCALATED: f":rotating_light: {who}: nobody has given {what} so you may too.",
    }
    wanted = []
    for step in owed.steps:
        places = list(channels[:1])
        if step is ReviewStep.ESCALATED and owed.escalation is not None:
            places.append(owed.escalation.channel)
        wanted += [
            _said(f"notice:review-{step.value}", channel, card, lines[step])
            for channel in dict.fromkeys(places)
        ]
    return wanted


def _told(request: AccessRequest) -> str:
    """Who is told of a break-glass, now."""
    if not request.shown_in:
        return "Nobody is told by a message: the policy names no channel for it."
    places = listed([mention_channel(channel) for channel in request.shown_in], 5)
    return f"Told now: {places}."


def _owes(owed: PostReview) -> str:
    """What is owed for it."""
    return f"A review by somebody else is due by {date(owed.due_at)}."


def _asked_in(request: AccessRequest) -> str:
    channels = [one.channel for one in request.requirements if one.channel]
    places = listed([mention_channel(channel) for channel in channels], 5)
    return f" in {places}" if places else ""


def _tell_them(request: AccessRequest, owed: PostReview, now: datetime) -> str:
    who = phrases.owners(owed.owners_at(now), request.requester)
    return f"Tell {who} what you did: they say whether it was justified."


def _said(key: str, to: str, thread: str, line: str, *more: Block) -> Wanted:
    shown = [blocks.section("said", line), *more]
    return Wanted(key, to, line, shown, thread=thread, once=True, unsaid=True)


def _offering(direct: Message, request_id: str) -> Message:
    """The message about a waiting request, with a way to make it a break-glass."""
    button = blocks.button("break_glass", "Make this break-glass…", request_id)
    shown = [
        {**block, "elements": [*block["elements"], button]}
        if block.get("block_id") == "cancel"
        else block
        for block in direct.blocks
    ]
    return Message(direct.text, shown)
