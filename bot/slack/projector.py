"""The messages of a request, with the names that people read in them and what the policy says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime

from bot.core.model import AccessRequest, AuditEvent, Grant, RequestState, Review
from bot.core.policy import Policy
from bot.core.post_review import PostReview
from bot.reconcile.messages import Projection
from bot.slack.glass_desk import GlassDesk
from bot.slack.people import Directory
from bot.slack.projection import project


class Projector:
    """A `Project`. `policy` is the one in force, None where there is none."""

    def __init__(
        self, directory: Directory, glass: GlassDesk, policy: Callable[[], Policy | None]
    ) -> None:
        self._directory = directory
        self._glass = glass
        self._policy = policy

    def __call__(
        self,
        request: AccessRequest,
        reviews: Sequence[Review],
        grant: Grant | None,
        *,
        unreachable: Mapping[str, str],
        standing: Collection[tuple[str, str]],
        questions: Sequence[AuditEvent],
        owed: PostReview | None,
        now: datetime,
    ) -> Projection:
        policy = self._policy()
        ids = {*_mentioned(request, reviews, grant, questions, owed)}
        return project(
            request,
            reviews,
            grant,
            names=self._directory.names({one for one in ids if one.startswith(("U", "W"))}),
            audit_channel=policy.audit_channel if policy else None,
            tickets=policy.tickets if policy else None,
            profile=policy.profile_on(request.cluster) if policy else None,
            unreachable=unreachable,
            standing=standing,
            questions=questions,
            owed=owed,
            offers_break_glass=(
                request.state is RequestState.PENDING and self._glass.offered_for(request)
            ),
            now=now,
        )


def _mentioned(
    request: AccessRequest,
    reviews: Sequence[Review],
    grant: Grant | None,
    questions: Sequence[AuditEvent],
    owed: PostReview | None,
) -> Iterator[str]:
    """Whoever may be named in the messages, among others who are no people, as `bot`."""
    yield request.requester
    yield request.decided_by or ""
    yield from request.principal.shared_with
    for requirement in request.requirements:
        yield from requirement.everybody.users
    for review in reviews:
        yield review.reviewer
        yield from review.deputy_of
    for question in questions:
        yield question.actor
    if grant is not None:
        yield grant.ended_by or ""
    if owed is not None:
        yield owed.reviewer or ""
