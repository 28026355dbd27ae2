"""The card of a break-glass: an alarm that stays true until somebody else has reviewed it.

Pure, as `cards`. One that has to be approved first is an ordinary request with a line above it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from bot.core.durations import format_duration
from bot.core.model import AccessRequest, Grant, GrantState, RequestState, Review
from bot.core.policy import Tickets
from bot.core.post_review import PostReview
from bot.slack import blocks, phrases
from bot.slack.blocks import Block, Message
from bot.slack.cards import granted, problem, reason, shared_warning
from bot.slack.text import date, safe

_MINUTE = timedelta(minutes=1)
_STEPS = ((timedelta(minutes=15), _MINUTE), (timedelta(hours=2), 5 * _MINUTE))
_LONG_STEP = timedelta(minutes=30)


def glass_card(
    waiting: Message,
    request: AccessRequest,
    reviews: Sequence[Review],
    grant: Grant | None,
    owed: PostReview | None,
    *,
    names: Mapping[str, str],
    now: datetime,
    tickets: Tickets | None = None,
    channel: str | None = None,
) -> Message:
    """The card as it is true at `now`; `owed` is the review that the break-glass owes.

    `waiting` is its card as that of a request like others, which it is until it is given. In each
    `channel` those are mentioned whom it is for, so that nobody has the same alarm twice: owners of
    the review in the first, owners of the place in their own.
    """
    if request.state is not RequestState.APPROVED or grant is None:
        return Message(
            f"Break-glass: {waiting.text}", [_waits(request), *_notes(request), *waiting.blocks]
        )
    gone = grant.state is GrantState.ENDED
    shown: list[Block] = [
        blocks.section("request", *_headline(request, reviews, names, gone=gone)),
        blocks.section("state", *_state(grant, names, now)),
        *problem(grant),
        reason(request, tickets),
        *_notes(request),
    ]
    namespaces = phrases.namespaces_rest(request.access.scope)
    if namespaces:
        lines = [f"All {len(namespaces):,} namespaces:", *namespaces]
        shown += blocks.sections("namespaces", lines, most=1, rest="namespace")
    facts = [] if gone else phrases.allows(request.access)
    facts.append(f"Principal {phrases.principal(request.principal.arn)}")
    shown.append(blocks.context("facts", *facts, *shared_warning(request.principal, names)))
    if owed is not None:
        asked = channel in {None, *request.shown_in[:1]}
        shown += review_state(request, owed, names, now, over=gone, mentions=asked)
    owners = dict(request.alarmed).get(channel or "")
    if owners is not None and not gone:
        who = phrases.owners(owners, request.requester)
        shown.append(blocks.section("owners", f"{who}: you own this place and can revoke it."))
    shown += _buttons(request, grant, owed)
    shown.append(blocks.context("id", _small_print(request)))
    has = "had" if gone else "has"
    text = (
        f"Break-glass: {safe(phrases.plain_name(request, names), phrases.NAME_LIMIT)} {has} "
        f"{safe(phrases.subject_plain(request))} for {format_duration(request.duration)}: "
        f"{phrases.state(request, grant)} ({request.id})"
    )
    return Message(text, shown)


def review_state(
    request: AccessRequest,
    owed: PostReview,
    names: Mapping[str, str],
    now: datetime,
    *,
    over: bool,
    mentions: bool = True,
) -> list[Block]:
    """What is owed, or what the reviewer found, in their own words. `over`: the access is gone.

    `mentions`: whoever reviews it is mentioned.
    """
    if not owed.open:
        by = phrases.person(owed.reviewer, names)
        at = f" · {date(owed.reviewed_at)}" if owed.reviewed_at else ""
        return [
            blocks.section("review", f"*REVIEWED* by {by}: *{verdict(owed)}*{at}"),
            blocks.quote("findings", owed.findings or ""),
        ]
    who = f" · {phrases.owners(owed.owners_at(now), request.requester)}" if mentions else ""
    if owed.overdue(now):
        lines = [f":rotating_light: *REVIEW IS OVERDUE* since {date(owed.due_at)}{who}"]
    else:
        lines = [f"*Review due by {date(owed.due_at)}*{who}"]
    then = (
        "What was done, and was it justified?" if over else "It is given once the access is over."
    )
    return [blocks.section("review", *lines, then)]


def review_owed(owed: PostReview, now: datetime) -> str:
    """What is owed for a break-glass, for lists."""
    if owed.overdue(now):
        return f":rotating_light: its review is overdue since {date(owed.due_at)}"
    return f"its review is due by {date(owed.due_at)}"


def verdict(owed: PostReview) -> str:
    return "justified" if owed.justified else "not justified"


def left_changes_at(request: AccessRequest, grant: Grant | None, now: datetime) -> datetime | None:
    """When the time left on the card of a break-glass has to be said anew."""
    if not request.break_glass:
        return None
    if grant is None or grant.state is not GrantState.ACTIVE or now >= grant.ends_at:
        return None
    return grant.ends_at - _shown_left(grant.ends_at - now) + _step(grant.ends_at - now)


def _shown_left(left: timedelta) -> timedelta:
    """The time left, rounded up: the card is brought up to date now and then, not all the time."""
    step = _step(left)
    return -(-left // step) * step


def _step(left: timedelta) -> timedelta:
    return next((step for limit, step in _STEPS if left <= limit), _LONG_STEP)


def _waits(request: AccessRequest) -> Block:
    if not phrases.is_open(request):
        return blocks.section("break-glass", ":rotating_light: *Break-glass*")
    return blocks.section(
        "break-glass",
        ":rotating_light: *Break-glass, not given yet:* an owner of the review decides first.",
    )


def _headline(
    request: AccessRequest, reviews: Sequence[Review], names: Mapping[str, str], *, gone: bool
) -> list[str]:
    approved = [one for one in reviews if one.reviewer != request.requester]
    how = "without an approval"
    if approved:
        how = f"approved by {phrases.approvers(request, reviews, names)}"
    has = "had" if gone else "has"
    return [
        f":rotating_light: *Break-glass:* {phrases.person(request.requester, names)} {has} "
        f"{phrases.subject(request)}",
        f"for {format_duration(request.duration)}, {how}",
    ]


def _state(grant: Grant, names: Mapping[str, str], now: datetime) -> list[str]:
    if grant.state is not GrantState.ACTIVE or now >= grant.ends_at:
        return granted(grant, names, now)
    left = _shown_left(grant.ends_at - now)
    about = "" if left <= _MINUTE else "about "
    shown = "less than a minute" if left <= _MINUTE else format_duration(left)
    return [f"*ACTIVE* until {date(grant.ends_at)} · {about}{shown} left"]


def _notes(request: AccessRequest) -> list[Block]:
    if not request.notes:
        return []
    return [
        blocks.context("notes", f":warning: {' '.join(safe(one, 500) for one in request.notes)}")
    ]


def _buttons(request: AccessRequest, grant: Grant, owed: PostReview | None) -> list[Block]:
    if grant.state in {GrantState.PROVISIONING, GrantState.ACTIVE, GrantState.SCHEDULED}:
        revoke = blocks.button("revoke", "Revoke…", request.id, style="danger")
        return [blocks.actions("revoke", revoke)]
    if grant.state is GrantState.ENDED and owed is not None and owed.open:
        button = blocks.button("review", "Review…", request.id, style="primary")
        return [blocks.actions("review-it", button)]
    return []


def _small_print(request: AccessRequest) -> str:
    replaced = f" · in place of {request.replaces}" if request.replaces else ""
    return f"req {request.id}{replaced}"
