"""The review that a break-glass owes: who may give it, and who is told when it is not given.

Pure. It is decided at the click, by the policy in force then, as every other review is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from bot.core.break_glass import entries_for
from bot.core.model import AccessRequest, EscalationStep, Owners, Person, Reason
from bot.core.names import principal_key
from bot.core.people import Membership, belongs, gone_words, not_full_member
from bot.core.policy import BreakGlass, Policy
from bot.core.principals import people_on


class ReviewStep(StrEnum):
    """What time makes of a review that nobody gives, in its order."""

    REMINDED = "reminded"
    OVERDUE = "overdue"
    ESCALATED = "escalated"


@dataclass(frozen=True, slots=True)
class PostReview:
    """The review that a break-glass owes: what was done, and whether it was justified.

    `due_at`, `remind_at` and `escalation` count from the beginning of the break-glass. It is open
    until `reviewed_at`. `steps` are what time has already made of it.
    """

    request_id: str
    owners: Owners
    begun_at: datetime
    remind_at: datetime
    due_at: datetime
    escalation: EscalationStep | None = None
    reviewer: str | None = None
    reviewed_at: datetime | None = None
    justified: bool | None = None
    findings: str | None = None
    steps: tuple[ReviewStep, ...] = ()

    @property
    def open(self) -> bool:
        return self.reviewed_at is None

    def overdue(self, now: datetime) -> bool:
        return self.open and now >= self.due_at

    def escalated(self, now: datetime) -> bool:
        return self.escalation is not None and now >= self.begun_at + self.escalation.after

    def owners_at(self, now: datetime) -> Owners:
        """Who may review: the owners, and after a while those of the escalation too."""
        if self.escalation is not None and self.escalated(now):
            return self.owners.union(self.escalation.owners)
        return self.owners


def post_review_of(entry: BreakGlass, request_id: str, now: datetime) -> PostReview:
    """The review that a break-glass owes which begins at `now` under this entry."""
    review = entry.review
    step = None
    if review.escalate is not None:
        later = review.escalate
        step = EscalationStep(later.after, later.channel, later.owners.owners)
    return PostReview(
        request_id=request_id,
        owners=review.owners.owners,
        begun_at=now,
        remind_at=now + review.reminds_after,
        due_at=now + review.within,
        escalation=step,
    )


def may_post_review(
    policy: Policy,
    request: AccessRequest,
    owed: PostReview,
    clicker: Person,
    clicker_arns: Collection[str],
    *,
    membership: Membership,
    now: datetime,
    team_id: str,
) -> Reason | None:
    """Why this person may not review the break-glass, or None where they may.

    `clicker_arns` are the principals that may be theirs on the request's cluster.
    """
    outsider = not_full_member(clicker, team_id)
    if outsider is not None:
        return outsider
    if clicker.id == request.requester:
        return Reason(
            "own_request",
            "This break-glass is your own, and somebody else reviews it. Tell them what you did.",
        )
    asked_for = principal_key(request.principal.arn)
    same = any(principal_key(arn) == asked_for for arn in clicker_arns)
    if same or clicker.id in people_on(policy, request.principal.arn, request.cluster):
        return Reason(
            "same_principal",
            "This break-glass was for your own IAM principal, so somebody else has to review it.",
        )
    owners = reviewers_now(policy, request, owed, now)
    if not belongs(clicker.id, owners, membership):
        return Reason(
            "not_owner",
            f"You are none of those who review break-glass {request.id}, so nothing was changed."
            + gone_words(owners, membership, "the review of break_glass"),
        )
    return None


def reviewers_now(
    policy: Policy, request: AccessRequest, owed: PostReview, now: datetime
) -> Owners:
    """Who may review it under the policy in force; where that has no entry for it, as was owed."""
    entries = entries_for(policy, request.ask)
    if not entries:
        return owed.owners_at(now)
    # Another entry for the same place has reviewers of its own: they are not this one's.
    same = [entry for entry in entries if entry.review.owners.owners == owed.owners]
    owners = Owners()
    for review in (entry.review for entry in same or entries):
        owners = owners.union(review.owners.owners)
        if review.escalate is not None and now >= owed.begun_at + review.escalate.after:
            owners = owners.union(review.escalate.owners.owners)
    return owners


def next_step(owed: PostReview) -> tuple[ReviewStep, datetime] | None:
    """The step that comes next and when, or None where there is none to come.

    Nobody is reminded of what is overdue already, as after a time in which the bot did not run.
    """
    if not owed.open:
        return None
    times = {ReviewStep.REMINDED: owed.remind_at, ReviewStep.OVERDUE: owed.due_at}
    if owed.escalation is not None:
        times[ReviewStep.ESCALATED] = owed.begun_at + owed.escalation.after
    if ReviewStep.OVERDUE in owed.steps:
        times.pop(ReviewStep.REMINDED)
    left = [(at, step) for step, at in times.items() if step not in owed.steps]
    if not left:
        return None
    at, step = min(left, key=lambda one: one[0])
    return step, at


def steps_due(owed: PostReview, now: datetime) -> tuple[ReviewStep, ...]:
    """The steps to take at `now`, in their order; a reminder only while it can still help."""
    due = []
    while (coming := next_step(owed)) is not None and coming[1] <= now:
        due.append(coming[0])
        owed = replace(owed, steps=(*owed.steps, coming[0]))
    return tuple(step for step in due if step is not ReviewStep.REMINDED or now < owed.due_at)
