"""Short messages beside the card: an edited message notifies nobody, so what matters is said anew.

They go into the thread of the card. The requester is not mentioned: they read it in a message of
their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from bot.core.durations import format_duration
from bot.core.model import (
    AccessRequest,
    EndReason,
    Grant,
    GrantState,
    Owners,
    RequestState,
    Review,
    Step,
    StepKind,
)
from bot.core.removal import late
from bot.slack import blocks, phrases
from bot.slack.blocks import Message
from bot.slack.cards import problem
from bot.slack.text import TOLD_LETTERS, date, safe


def decision_notice(
    request: AccessRequest,
    reviews: Sequence[Review],
    grant: Grant | None,
    *,
    names: Mapping[str, str],
    now: datetime,
) -> Message | None:
    """What to say in the card's thread now that the state is this one; None: nothing to say.

    Decisions, failures, revocations and late removals are said. The end of access is not: the card
    shows it, and the requester has a direct message. The same news has the same text, so whoever
    posts it can tell that it was said already.
    """
    what = phrases.what(request)
    who = phrases.person(request.requester, names)
    match request.state:
        case RequestState.PENDING:
            return None
        case RequestState.DENIED:
            by = phrases.denied_by(request, reviews, names)
            return _notice(f"{who}: {what} is denied by {by}.", request.decision_reason)
        case RequestState.CANCELLED:
            return _notice(f"{who} no longer asks for {what}. There is nothing to decide.")
        case RequestState.LAPSED:
            return _notice(
                f"{who}: nobody decided in time about {what}. "
                "Nothing was granted; the request can be made again."
            )
        case RequestState.APPROVED:
            return _granted(request, reviews, grant, names, now)


def step_notice(
    request: AccessRequest, step: Step, reviews: Sequence[Review], names: Mapping[str, str]
) -> Message:
    """What to say to owners because a request has waited; who has approved is left alone."""
    one = next(one for one in request.requirements if one.key == step.requirement)
    answered = frozenset(review.reviewer for review in reviews)
    asked = request.asked_of(one)
    owners = phrases.owners(Owners(asked.users - answered, asked.groups), request.requester)
    what = phrases.what(request)
    waited = _waited(step.at - request.created_at)
    who = phrases.person(request.requester, names)
    lapses = f" It lapses {date(request.lapses_at)}." if request.lapses_at else ""
    if step.kind is StepKind.REMINDED:
        return _notice(
            f"{owners}: {who} has waited {waited} for {what}, and it needs your decision.{lapses}"
        )
    return _notice(
        f"{owners}: nobody has decided for {waited} about {what} for {who}. "
        f"All of you can decide it now.{lapses}"
    )


def _granted(
    request: AccessRequest,
    reviews: Sequence[Review],
    grant: Grant | None,
    names: Mapping[str, str],
    now: datetime,
) -> Message | None:
    who = phrases.person(request.requester, names)
    what = phrases.subject(request)
    if grant is not None and late(grant, now):
        said = _notice(
            f":rotating_light: {phrases.all_owners(request)}: the removal of {what} from "
            f"{phrases.person(request.requester, names)} is late. The access may still work. "
            "The bot keeps trying."
        )
        return Message(said.text, said.blocks + problem(grant))
    if grant is not None and grant.end_reason is not None:
        return _over(request, grant, grant.end_reason, names)
    by = phrases.approvers(request, reviews, names)
    later = grant is not None and grant.state is GrantState.SCHEDULED and grant.starts_at
    starts = f" It starts {date(later)}." if later else ""
    return _notice(
        f"{who}: {phrases.what(request)} {phrases.length(request)} is approved by {by}.{starts}"
    )


def _over(
    request: AccessRequest, grant: Grant, reason: EndReason, names: Mapping[str, str]
) -> Message | None:
    """What owners are told of the end; not of the usual one, which the card shows."""
    what = phrases.subject(request)
    line = {
        EndReason.FAILED: f"{what} could not be given.",
        EndReason.NOT_BEGUN: f"{what} does not begin: {phrases.why_ending(grant, names)}.",
        EndReason.REVOKED: f"{what} was revoked by {phrases.person(grant.ended_by, names)}.",
        EndReason.CLUSTER_GONE: (
            f"{what} has ended: {phrases.why_ending(grant, names)}. Nobody can have it there."
        ),
        EndReason.REMOVED: (
            f"somebody else took {what} away at EKS, so it has ended. It can be asked for again."
        ),
    }.get(reason)
    if line is None:
        return None
    said = _notice(f"{phrases.person(request.requester, names)}: {line}")
    with_problem = reason in {EndReason.FAILED, EndReason.NOT_BEGUN}
    return Message(said.text, said.blocks + (problem(grant) if with_problem else []))


def _waited(length: timedelta) -> str:
    minute = timedelta(minutes=1)
    return format_duration(length // minute * minute if length > minute else length)


def _notice(line: str, quoted: str | None = None) -> Message:
    shown = [blocks.section("notice", line)]
    if not quoted:
        return Message(line, shown)
    told = f"{line} {safe(quoted, TOLD_LETTERS)}"
    return Message(told, [*shown, blocks.quote("decision", quoted)])
