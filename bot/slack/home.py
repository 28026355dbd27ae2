"""The App Home of one person: what waits for them, what they have, what they asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from bot.core.lockdown import Lockdown, granting_stopped
from bot.core.model import AccessRequest, Grant, GrantState, Review
from bot.core.people import SUSPENDED
from bot.core.policy import Tickets
from bot.core.post_review import PostReview
from bot.slack import blocks, phrases
from bot.slack.blocks import Block, Message, View
from bot.slack.cards import decide_buttons, reason, shared_warning
from bot.slack.glass_card import review_owed
from bot.slack.progress import requirement_lines
from bot.slack.text import count, date, safe
from bot.store.health import Health

# A waiting request is three blocks, live access two. With everything around them that makes 98 of
# the 100 blocks a view may have.
_WAITING_SHOWN = 10
_LIVE_SHOWN = 11
_REVIEWS_SHOWN = 5
_GLASS_SHOWN = 3
_PENDING_SHOWN = 10
HISTORY_SHOWN = 10

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class HomeGlass:
    """What Home shows of break-glass.

    `offered`: the person may break glass now; `may_become` are ids of their waiting requests that
    can be made one. `to_review` waits for their review; `owed` are the reviews that their own
    break-glass owes, by request id.
    """

    offered: bool = False
    may_become: frozenset[str] = frozenset()
    to_review: Sequence[tuple[AccessRequest, PostReview]] = ()
    owed: Mapping[str, PostReview] = field(default_factory=dict)


def home_view(
    live: Sequence[tuple[AccessRequest, Grant]],
    pending: Sequence[AccessRequest],
    waiting: Sequence[tuple[AccessRequest, Sequence[Review]]],
    history: Sequence[tuple[AccessRequest, Grant | None]] = (),
    *,
    complete: bool = True,
    names: Mapping[str, str],
    now: datetime,
    health: Health | None = None,
    lockdown: Lockdown | None = None,
    suspended: bool = False,
    glass: HomeGlass = HomeGlass(),
    tickets: Tickets | None = None,
) -> View:
    """Home for the person whose live grants, pending and past requests these are, as of `now`.

    `waiting` are the requests of others that wait for this person's decision, with the reviews they
    have; not `complete` where
    Slack did not say who is in some group. `health` is for operators, and `tickets` says where
    tickets are. What does not fit is counted, never left out in silence; of `history` there are the
    newest alone.
    """
    shown = [
        blocks.header("title", "EKS access"),
        blocks.actions("begin", *_begin(glass)),
        blocks.context("how", "`/eks-access help` has what can be typed."),
    ]
    if suspended:
        shown.append(blocks.sentence("suspended", SUSPENDED))
    elif lockdown is not None:
        shown.append(blocks.sentence("lockdown", granting_stopped(lockdown)))
    if health is not None:
        shown.append(blocks.context("health", _health(health)))
    shown += _decisions(waiting, glass.to_review, complete, names, now, tickets)
    shown += _part(
        "live",
        "Your access",
        live,
        lambda pair: _live(*pair, now),
        most=_LIVE_SHOWN,
        rest="`/eks-access mine` lists more.",
    )
    if live:
        shown.append(blocks.context("as-of", f"Time left as of {date(now, 'time')}."))
    offered = [one.id for one in pending if one.id in glass.may_become][:_GLASS_SHOWN]
    shown += _part(
        "pending",
        "Your open requests",
        pending,
        lambda request: _pending(request, offered),
        most=_PENDING_SHOWN,
        rest="`/eks-access mine` lists more.",
    )
    if not (live or pending or waiting or glass.to_review):
        shown.append(
            blocks.section(
                "nothing",
                "You have no access, no open request, and nothing waits for your decision.",
            )
        )
    if history:
        shown.append(blocks.header("history", "Recently over"))
        shown += [_past(*pair, glass.owed, now) for pair in history[:HISTORY_SHOWN]]
    return {"type": "home", "callback_id": "home", "blocks": shown}


def pending_reply(
    waiting: Sequence[tuple[AccessRequest, Sequence[Review]]],
    to_review: Sequence[tuple[AccessRequest, PostReview]],
    *,
    complete: bool,
    names: Mapping[str, str],
    now: datetime,
    tickets: Tickets | None = None,
) -> Message:
    """What waits for this person, as on their Home."""
    shown = _decisions(waiting, to_review, complete, names, now, tickets)
    if not (waiting or to_review):
        shown.append(blocks.section("nothing", "Nothing waits for your decision or your review."))
    number = len(waiting) + len(to_review)
    return Message(f"Waiting for your decision or review: {number:,}", shown)


def _decisions(  # noqa: PLR0917 - what both show, in the order in which they show it
    waiting: Sequence[tuple[AccessRequest, Sequence[Review]]],
    to_review: Sequence[tuple[AccessRequest, PostReview]],
    complete: bool,
    names: Mapping[str, str],
    now: datetime,
    tickets: Tickets | None,
) -> list[Block]:
    shown: list[Block] = []
    if not complete:
        shown.append(
            blocks.context(
                "incomplete",
                "Slack did not say who is in every user group, so more may wait for your decision. "
                "Look again in a minute; the cards in the channels work.",
            )
        )
    shown += _part(
        "waiting",
        "Waiting for your decision",
        waiting,
        lambda pair: _waiting(*pair, names, tickets),
        most=_WAITING_SHOWN,
        rest="They are in their owners' channels.",
    )
    shown += _part(
        "reviews",
        "Waiting for your review",
        to_review,
        lambda pair: [_review(*pair, names, now)],
        most=_REVIEWS_SHOWN,
        rest="Their cards are in the security channel.",
    )
    return shown


def _part(
    block_id: str,
    title: str,
    items: Sequence[_T],
    render: Callable[[_T], list[Block]],
    *,
    most: int,
    rest: str,
) -> list[Block]:
    if not items:
        return []
    shown = [blocks.header(block_id, f"{title} ({len(items):,})")]
    for item in items[:most]:
        shown += render(item)
    if len(items) > most:
        more = len(items) - most
        shown.append(blocks.context(f"{block_id}:more", f"… and {more:,} more. {rest}"))
    return shown


def _waiting(
    request: AccessRequest,
    reviews: Sequence[Review],
    names: Mapping[str, str],
    tickets: Tickets | None,
) -> list[Block]:
    lapses = f", lapses {date(request.lapses_at)}" if request.lapses_at else ""
    so_far = phrases.approved_by(reviews, names)
    lines = [
        f"{phrases.person(request.requester, names)} asks {phrases.wish(request)}{lapses} · "
        f"req {request.id}",
        *phrases.allows(request.access),
        f"Principal {phrases.principal(request.principal.arn)}",
        *shared_warning(request.principal, names),
        *requirement_lines(request, reviews),
        f"Approved so far by {so_far}" if so_far else "",
    ]
    return [
        blocks.section(f"waiting:{request.id}", *lines),
        reason(request, tickets, f"reason:{request.id}"),
        blocks.actions(f"decide:{request.id}", *decide_buttons(request, names)),
    ]


def _live(request: AccessRequest, grant: Grant, now: datetime) -> list[Block]:
    left = ""
    running = phrases.is_running(grant, now)
    if running:
        left = f" · {phrases.time_left(grant, now)}"
    elif grant.state is GrantState.ACTIVE:
        left = " · being removed"
    standing = phrases.standing(request, grant)
    line = f"{phrases.subject(request)} · {standing}{left} · req {request.id}"
    section = blocks.section(f"live:{request.id}", line)
    give_back = blocks.give_back(request.id, "Return")
    if running:
        buttons = [blocks.button("connect", "Connect…", request.id)]
        if not request.break_glass:  # which cannot be extended
            buttons.append(blocks.button("extend", "Extend…", request.id))
        return [section, blocks.actions(f"use:{request.id}", *buttons, give_back)]
    begun = grant.gives_access and grant.state is not GrantState.ACTIVE
    if begun or grant.state is GrantState.SCHEDULED:
        section["accessory"] = give_back
    return [section]


def _past(
    request: AccessRequest, grant: Grant | None, owed: Mapping[str, PostReview], now: datetime
) -> Block:
    line = f"{phrases.subject(request)} · {phrases.standing(request, grant)} · req {request.id}"
    review = review_owed(owed[request.id], now) if request.id in owed else ""
    section = blocks.section(f"past:{request.id}", line, review)
    if phrases.can_be_asked_again(request, grant):
        section["accessory"] = blocks.ask_again(request.id)
    return section


def _health(health: Health) -> str:
    numbers = [count(health.pending, "pending request"), count(health.live, "live grant")]
    if health.suspended:
        numbers.append(f"{count(health.suspended, 'person', 'people')} suspended")
    troubles = {
        "late removal": health.late,
        "access entry with trouble at EKS": health.eks_problems,
        "request with messages that Slack does not take": health.slack_problems,
        "announcement that Slack does not take": health.unposted,
        "drift finding": health.drift,
    }
    several = {
        "access entry with trouble at EKS": "access entries with trouble at EKS",
        "request with messages that Slack does not take": (
            "requests with messages that Slack does not take"
        ),
    }
    found = [count(number, one, several.get(one)) for one, number in troubles.items() if number]
    trouble = f":warning: {', '.join(found)}" if found else "no late removal, no trouble"
    return f"The bot: {' · '.join([*numbers, trouble])}"


def _begin(glass: HomeGlass) -> list[Block]:
    buttons = [blocks.button("request", "Ask for access", None, style="primary")]
    if glass.offered:
        buttons.append(blocks.button("break_glass", "Break-glass…", None, style="danger"))
    return buttons


def _review(
    request: AccessRequest, owed: PostReview, names: Mapping[str, str], now: datetime
) -> Block:
    who = phrases.person(request.requester, names)
    due = review_owed(owed, now)
    section = blocks.section(
        f"review:{request.id}",
        f"{who} had {phrases.subject(request)} by break-glass · req {request.id}",
        due[:1].upper() + due[1:],
    )
    section["accessory"] = blocks.button("review", "Review…", request.id, style="primary")
    return section


def _pending(request: AccessRequest, offered: Sequence[str]) -> list[Block]:
    line = f"{phrases.subject(request)} · {phrases.standing(request, None)} · req {request.id}"
    section = blocks.section(f"pending:{request.id}", line, *map(safe, request.notes[:1]))
    cancel = blocks.button("cancel", "Cancel", request.id)
    if request.id in offered:
        glass = blocks.button("break_glass", "Make this break-glass…", request.id)
        return [section, blocks.actions(f"change:{request.id}", cancel, glass)]
    section["accessory"] = cancel
    return [section]
