"""What is done because a request waits: owners are reminded, then further owners are asked.

Both count from when the request was made, requirement by requirement. Who may decide does not hang
on them: further owners may from the moment on at which their escalation is due.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from bot.core.approvals import as_reviewed, unmet
from bot.core.lifecycle import BOT
from bot.core.model import AccessRequest, AuditEvent, Review, Step, StepKind


def due_steps(request: AccessRequest, reviews: Iterable[Review], now: datetime) -> tuple[Step, ...]:
    """The steps to take at `now`, for what still lacks approvals.

    Where an escalation is due, a reminder would only say the same once more.
    """
    lacking = {one.key for one in unmet(request.requirements, as_reviewed(reviews))}
    done = {(step.kind, step.requirement) for step in request.steps}
    due = [
        Step(kind, key, now)
        for at, kind, key in _planned(request)
        if at <= now and key in lacking and (kind, key) not in done
    ]
    escalated = {key for kind, key in done if kind is StepKind.ESCALATED}
    escalated |= {step.requirement for step in due if step.kind is StepKind.ESCALATED}
    return tuple(
        step for step in due if step.kind is StepKind.ESCALATED or step.requirement not in escalated
    )


def next_step_at(request: AccessRequest, now: datetime) -> datetime | None:
    """When to look for steps next, or None where time brings no more of them."""
    return min((at for at, _, _ in _planned(request) if at > now), default=None)


def stepped(request: AccessRequest, step: Step) -> AuditEvent:
    """The event of one step."""
    one = next(one for one in request.requirements if one.key == step.requirement)
    channel = one.channel
    if step.kind is StepKind.ESCALATED and one.escalation is not None:
        channel = one.escalation.channel
    return AuditEvent(
        at=step.at,
        actor=BOT,
        action=f"request.{step.kind.value}",
        request_id=request.id,
        cluster=request.cluster.name,
        details={"requirement": step.requirement, "channel": channel},
    )


def _planned(request: AccessRequest) -> list[tuple[datetime, StepKind, str]]:
    """Every step of the request, if nobody decides; none at or after its time to be decided."""
    steps = []
    for one in request.requirements:
        if one.remind_after is not None:
            steps.append((request.created_at + one.remind_after, StepKind.REMINDED, one.key))
        if one.escalation is not None:
            at = request.created_at + one.escalation.after
            steps.append((at, StepKind.ESCALATED, one.key))
    return [step for step in steps if request.lapses_at is None or step[0] < request.lapses_at]
