"""Somebody else reviews what a break-glass was used for; what follows where nobody does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from bot.access.facts import Facts
from bot.access.known import as_stored
from bot.core.errors import Conflict, InvalidInput, Refused
from bot.core.lifecycle import BOT
from bot.core.model import AuditEvent, Grant, GrantState
from bot.core.post_review import PostReview, ReviewStep, may_post_review, steps_due
from bot.core.principals import possible_principals
from bot.store import audit, grants, post_reviews, requests
from bot.store.database import Database

LONGEST = 3000
"""The most letters that findings may have."""

_BATCH = 100
_ACTIONS = {
    ReviewStep.REMINDED: "break_glass.review_reminded",
    ReviewStep.OVERDUE: "break_glass.review_overdue",
    ReviewStep.ESCALATED: "break_glass.review_escalated",
}


def review(
    tx: Connection,
    facts: Facts,
    request_id: str,
    reviewer_id: str,
    *,
    justified: bool,
    findings: str,
) -> PostReview:
    """Record what was done under a break-glass, and whether it was justified. Once, and for good.

    Raises InvalidInput for findings that are empty or too long, Refused for whoever may not review
    it, and Conflict where it is not over, or has been reviewed.
    """
    found = findings.strip()
    if not found or len(found) > LONGEST:
        raise InvalidInput(
            "bad_findings",
            f"What was done has 1 to {LONGEST:,} letters; this has {len(found):,}.",
            field="findings",
        )
    request = requests.get_locked(tx, request_id)
    owed = post_reviews.find_locked(tx, request_id)
    if owed is None:
        raise Conflict(
            "no_review_owed",
            f"Request {request_id} is no break-glass that began, so it owes no review.",
        )
    reviewer = as_stored(tx, facts).person(reviewer_id)
    refusal = may_post_review(
        facts.policy,
        request,
        owed,
        reviewer,
        possible_principals(facts.policy, reviewer, request.cluster),
        membership=facts.membership,
        now=facts.now,
        team_id=facts.team_id,
    )
    if refusal is not None:
        raise Refused(refusal.code, refusal.sentence)
    ensure_reviewable(owed, grants.get(tx, request_id))
    reviewed = replace(
        owed,
        reviewer=reviewer_id,
        reviewed_at=facts.now,
        justified=justified,
        findings=found,
    )
    post_reviews.close(tx, reviewed)
    event = AuditEvent(
        at=facts.now,
        actor=reviewer_id,
        action="break_glass.reviewed",
        request_id=request_id,
        cluster=request.cluster.name,
        details={
            "justified": justified,
            "findings": found,
            "late": owed.overdue(facts.now),
            "policy_digest": facts.digest,
        },
    )
    audit.record(tx, [event])
    requests.touch(tx, request_id)
    return reviewed


def ensure_reviewable(owed: PostReview, grant: Grant) -> None:
    """Raise Conflict where it was reviewed already, or is not over."""
    if not owed.open:
        raise Conflict(
            "already_reviewed",
            f"Break-glass {grant.id} was reviewed already. `/eks-access status {grant.id}` shows "
            "by whom.",
        )
    if grant.state is not GrantState.ENDED:
        raise Conflict(
            "not_over",
            f"Break-glass {grant.id} is not over: EKS still has the access, so what was done "
            "cannot be told yet. Review it once its card says that it has ended.",
        )


class OwedReviews:
    """The loop that reminds, calls overdue and escalates. `changed` is called after each commit."""

    def __init__(
        self,
        database: Database,
        *,
        changed: Callable[[], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._changed = changed
        self._clock = clock

    def due(self, beside: int = 0) -> list[str]:
        """Ids of break-glasses whose review has a step to take: `beside` more than a batch."""
        with self._database.reading() as tx:
            return post_reviews.due(tx, self._clock(), _BATCH + beside)

    def work(self, request_id: str) -> None:
        """Take the steps that are due for one of them."""
        with self._database.transaction() as tx:
            taken = take_steps(tx, request_id, self._clock())
        if taken:
            self._changed()


def take_steps(tx: Connection, request_id: str, now: datetime) -> tuple[ReviewStep, ...]:
    """Remind, call overdue, escalate: what is due at `now`, once. Returns what was done.

    The messages follow from the steps that are stored. Two replicas may come here at once; the
    row's lock lets one of them find the step done.
    """
    request = requests.get_locked(tx, request_id)
    owed = post_reviews.find_locked(tx, request_id)
    due = steps_due(owed, now) if owed is not None else ()
    if owed is None or not due:
        return ()
    if not post_reviews.take_steps(tx, replace(owed, steps=(*owed.steps, *due))):
        return ()
    audit.record(
        tx,
        [
            AuditEvent(
                at=now,
                actor=BOT,
                action=_ACTIONS[step],
                request_id=request_id,
                cluster=request.cluster.name,
                details={"due_at": owed.due_at.isoformat()},
            )
            for step in due
        ],
    )
    requests.touch(tx, request_id)
    return due
