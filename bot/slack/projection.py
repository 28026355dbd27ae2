"""Which Slack messages a request should have, as a pure function of what the store says.

One card in each owners' channel with its notices in the card's thread, and one direct message to
the requester with the news in its thread: an edited message notifies nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from bot.core.model import (
    AccessRequest,
    AuditEvent,
    EndReason,
    Grant,
    GrantState,
    RequestState,
    Review,
    Step,
    StepKind,
)
from bot.core.policy import Tickets
from bot.core.post_review import PostReview
from bot.core.removal import LATE_AFTER, lag, late, late_at
from bot.reconcile.messages import Projection, Wanted
from bot.reconcile.slack_errors import SHARED, problem_of
from bot.slack import blocks, phrases
from bot.slack.blocks import Message
from bot.slack.cards import request_card
from bot.slack.direct import direct_message, ends_soon
from bot.slack.glass_card import glass_card, left_changes_at
from bot.slack.glass_messages import escalated_to, glass_direct, glass_news
from bot.slack.notices import decision_notice, step_notice
from bot.slack.questions import answer_notice, question_news, question_notice
from bot.slack.text import mention_channel
from bot.store.audit import ANSWERED

WARN_BEFORE = timedelta(minutes=10)
"""How long before its end the holder is told that access ends."""

WARN_NOT_WITHIN = timedelta(minutes=5)
"""How long access must have lasted before such a warning, so that short access has none."""

CARD = "card"
DIRECT = "direct"
WARNING = "news:ends-soon"


def project(
    request: AccessRequest,
    reviews: Sequence[Review],
    grant: Grant | None,
    *,
    names: Mapping[str, str],
    audit_channel: str | None,
    tickets: Tickets | None = None,
    profile: str | None = None,
    unreachable: Mapping[str, str],
    standing: Collection[tuple[str, str]] = (),
    questions: Sequence[AuditEvent] = (),
    owed: PostReview | None = None,
    offers_break_glass: bool = False,
    now: datetime,
) -> Projection:
    """The messages that are right at `now`, and when time alone will change them.

    An automatic request has no owners to ask; its card goes to the channels where it is to be
    shown, or else to the audit channel, where there is one. `tickets` says where tickets are, and
    `profile` with which AWS profile the person uses the access.
    `unreachable` maps channels that Slack refuses to the reason it gives. `standing` are the
    messages that are there already, as (key, recipient): without a policy nobody knows the audit
    channel, and a card that stands there must not go on saying what is over. `questions` are the
    events of what was asked and answered about the request, oldest first. `owed` is the review that
    a break-glass owes; `offers_break_glass`: the requester may make a waiting request one.
    """
    carded = sorted(recipient for key, recipient in standing if key == CARD)
    channels = _channels(request, owed, [audit_channel] if audit_channel is not None else carded)
    card = request_card(request, reviews, grant, names=names, now=now, tickets=tickets)
    wanted = []
    for channel in channels:
        shown = card
        if request.break_glass:
            shown = glass_card(
                card,
                request,
                reviews,
                grant,
                owed,
                names=names,
                now=now,
                tickets=tickets,
                channel=channel,
            )
        wanted.append(Wanted(CARD, channel, shown.text, shown.blocks))
    for stage, notice in _notices(request, reviews, grant, names, now):
        wanted += [
            Wanted(f"notice:{stage}", channel, notice.text, notice.blocks, thread=CARD, once=True)
            for channel in channels
        ]
    if request.state is RequestState.PENDING:
        for step in request.steps:
            wanted += _stepped(request, step, reviews, names)
    wanted += _questions(request, questions, channels, names)
    direct = glass_direct(
        direct_message(
            request, reviews, grant, names=names, now=now, tickets=tickets, profile=profile
        ),
        request,
        grant,
        owed,
        offers=offers_break_glass,
        names=names,
        now=now,
    )
    wanted.append(Wanted(DIRECT, request.requester, direct.text, direct.blocks))
    warned = (WARNING, request.requester) in standing
    news_stage = _news_stage(request, grant, now, warned=warned)
    if news_stage is not None:
        news = blocks.section("news", direct.text)
        wanted.append(
            Wanted(
                f"news:{news_stage}",
                request.requester,
                direct.text,
                [news],
                thread=DIRECT,
                once=True,
            )
        )
    wanted += _warning(request, grant, names, now)
    wanted += glass_news(request, owed, channels, names=names, now=now, card=CARD, direct=DIRECT)
    if request.state is RequestState.PENDING:
        for channel, problem in sorted(unreachable.items()):
            told = _unreachable(request, channel, problem)
            wanted.append(
                Wanted(
                    f"news:unreachable:{channel}",
                    request.requester,
                    told.text,
                    told.blocks,
                    thread=DIRECT,
                    once=True,
                )
            )
    times = (_changes_at(grant, now), left_changes_at(request, grant, now))
    return Projection(tuple(wanted), min(filter(None, times), default=None))


def _channels(
    request: AccessRequest, owed: PostReview | None, otherwise: Iterable[str]
) -> tuple[str, ...]:
    """Where the card stands: wherever owners were asked, and where it is shown all the same."""
    asked = [channel for channel, _ in phrases.asked_in(request) if channel]
    channels = tuple(dict.fromkeys([*asked, *request.shown_in, *escalated_to(owed)]))
    return channels or tuple(otherwise)


def _stepped(
    request: AccessRequest, step: Step, reviews: Sequence[Review], names: Mapping[str, str]
) -> list[Wanted]:
    """A reminder or an escalation: in the threads of those whom it is for, and to the requester.

    A card that is new there says the same, and notifies everybody it mentions.
    """
    number, one = next(
        (number, one)
        for number, one in enumerate(request.requirements)
        if one.key == step.requirement
    )
    escalated = step.kind is StepKind.ESCALATED and one.escalation is not None
    channels = [one.channel]
    if escalated and one.escalation:
        channels.append(one.escalation.channel)
    said = step_notice(request, step, reviews, names)
    key = f"{step.kind.value}:{number}"
    wanted = [
        Wanted(f"notice:{key}", channel, said.text, said.blocks, thread=CARD, once=True)
        for channel in dict.fromkeys(channels)
    ]
    if escalated:
        text = f"Nobody has decided yet. {phrases.all_owners(request)} can approve it now"
        news = f"{text}{phrases.in_channels(request)}."
        shown = [blocks.section("news", news)]
        wanted.append(
            Wanted(f"news:{key}", request.requester, news, shown, thread=DIRECT, once=True)
        )
    return wanted


def _notices(
    request: AccessRequest,
    reviews: Sequence[Review],
    grant: Grant | None,
    names: Mapping[str, str],
    now: datetime,
) -> list[tuple[str, Message]]:
    """What is said in the card's thread: the decision, and then what becomes of the grant."""
    notices = []
    decision = decision_notice(request, reviews, None, names=names, now=now)
    if decision is not None:
        notices.append(("decision", decision))
    if grant is not None and grant.end_reason is not None:
        stage = "late" if late(grant, now) else grant.end_reason.value
        later = decision_notice(request, reviews, grant, names=names, now=now)
        if later is not None:
            notices.append((stage, later))
    return notices


def _warning(
    request: AccessRequest, grant: Grant | None, names: Mapping[str, str], now: datetime
) -> list[Wanted]:
    """The message before the end, while it is time for it; then it must not keep its buttons."""
    if grant is None or grant.confirmed_at is None:
        return []
    running = grant.state is GrantState.ACTIVE and now < grant.ends_at
    warn_at = _warn_at(grant)
    if running and (warn_at is None or now < warn_at):
        return []
    soon = ends_soon(request, grant, names=names, now=now)
    return [
        Wanted(
            WARNING,
            request.requester,
            soon.text,
            soon.blocks,
            thread=DIRECT,
            once=running,
            never_new=not running,
        )
    ]


def _questions(
    request: AccessRequest,
    said: Sequence[AuditEvent],
    channels: Sequence[str],
    names: Mapping[str, str],
) -> list[Wanted]:
    """Questions and answers in the thread of each card, and each question to the requester."""
    places: list[tuple[str, str, Message, str]] = []
    asker = request.requester
    for number, one in enumerate(said, 1):
        if one.action == ANSWERED:
            notice = answer_notice(request, one, asker, names)
        else:
            asker, notice = one.actor, question_notice(request, one, names)
        places += [(f"notice:question:{number}", channel, notice, CARD) for channel in channels]
        if one.action != ANSWERED:
            news = question_news(request, one, names)
            places.append((f"news:question:{number}", request.requester, news, DIRECT))
    return [
        Wanted(key, to, said.text, said.blocks, thread=thread, once=True, unsaid=True)
        for key, to, said, thread in places
    ]


def _news_stage(
    request: AccessRequest, grant: Grant | None, now: datetime, *, warned: bool
) -> str | None:
    """What the requester must be told anew; None where the first message says all there is."""
    if request.state in (RequestState.DENIED, RequestState.LAPSED):
        return request.state.value.lower()
    if grant is None or grant.end_reason is EndReason.SUPERSEDED:
        return None  # of two grants, the one that takes over says what there is to say
    if grant.end_reason is EndReason.FAILED:
        return "failed"
    if grant.state is GrantState.REVOKING and late(grant, now):
        return "late"
    on_time = (lag(grant) or timedelta()) < LATE_AFTER
    if grant.end_reason is EndReason.EXPIRED and on_time and warned:
        return None  # they were told when it would end, and it did
    said = {GrantState.SCHEDULED, GrantState.ACTIVE, GrantState.ENDED}
    return grant.state.value.lower() if grant.state in said else None


def _warn_at(grant: Grant) -> datetime | None:
    """When to say that access ends soon; None for access too short to be warned about."""
    if grant.state is not GrantState.ACTIVE or grant.confirmed_at is None:
        return None
    warn_at = grant.ends_at - WARN_BEFORE
    return warn_at if warn_at - grant.confirmed_at >= WARN_NOT_WITHIN else None


def _changes_at(grant: Grant | None, now: datetime) -> datetime | None:
    if grant is None:
        return None
    warn_at = _warn_at(grant)
    if warn_at is not None and warn_at > now:
        return warn_at
    late_from = late_at(grant) if grant.state is GrantState.REVOKING else None
    return late_from if late_from is not None and late_from > now else None


def _unreachable(request: AccessRequest, channel: str, problem: str) -> Message:
    if problem == SHARED:
        line = (
            f"{mention_channel(channel)} is shared with another organisation, so I post nothing "
            "there and its owners were not asked. Tell one of them: "
            f"`/eks-access approve {request.id}` works anywhere. Whoever keeps the policy file "
            "names another channel."
        )
        return Message(line, [blocks.section("news", line)])
    line = (
        f"I cannot post in {mention_channel(channel)} (Slack answers `{problem}`), so its owners "
        f"were not asked. Tell one of them: `/eks-access approve {request.id}` works anywhere. "
        f"I keep trying. {problem_of(problem).sentence}"
    )
    return Message(line, [blocks.section("news", line)])
