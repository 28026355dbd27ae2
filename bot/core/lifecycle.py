"""Transitions: a state, a command and a time give a new state and its audit events.

Pure. A transition that the state does not allow raises Conflict with a sentence for the person;
the store repeats the guard in SQL, so that of two racing transitions only one is committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from bot.core.errors import Conflict
from bot.core.model import (
    AccessRequest,
    AuditEvent,
    EndReason,
    Grant,
    GrantState,
    Owners,
    RequestState,
    Review,
    Verdict,
)

BOT = "bot"
OPERATOR = "operator"
"""Who acts from the command line. Which person that is stands in the event's details."""

PROVISION_WITHIN = timedelta(minutes=15)
"""How long EKS may take to show the access before the grant is given up."""

CLOCK_TOLERANCE = timedelta(minutes=1)
"""How far the clocks of replicas may differ. Beyond that a time ahead of now is a wrong one."""

_NOBODY = Owners()
_DECIDED = {
    RequestState.APPROVED: "approved",
    RequestState.DENIED: "denied",
    RequestState.CANCELLED: "cancelled by the requester",
    RequestState.LAPSED: "lapsed, because nobody decided in time",
}


def submitted(request: AccessRequest) -> tuple[AuditEvent, ...]:
    """The events of a new request."""
    return (
        AuditEvent(
            at=request.created_at,
            actor=request.requester,
            action="request.submitted",
            request_id=request.id,
            cluster=request.cluster.name,
            details={
                "level": request.level,
                "namespaces": list(request.namespaces),
                "duration_seconds": int(request.duration.total_seconds()),
                "reason": request.reason,
                "ticket": request.ticket,
                **({"start_at": request.start_at.isoformat()} if request.start_at else {}),
                **({"break_glass": True} if request.break_glass else {}),
                **({"replaces": request.replaces} if request.replaces else {}),
                "principal": request.principal.arn,
                "rules": list(request.rules),
                **({"extends": request.extends} if request.extends else {}),
            },
        ),
    )


def ensure_open(request: AccessRequest, now: datetime) -> None:
    """Raise Conflict unless the request can still be decided at `now`."""
    if request.state is not RequestState.PENDING:
        raise Conflict(
            "already_decided",
            f"Request {request.id} is already {_DECIDED[request.state]}. Nothing was changed.",
        )
    if request.lapses_at is not None and now >= request.lapses_at:
        raise Conflict(
            "lapsed",
            f"Request {request.id} has lapsed, because nobody decided in time. "
            "The requester can ask again.",
        )


def reviewed(request: AccessRequest, review: Review) -> AuditEvent:
    """The event of one person's verdict, which may or may not decide the request."""
    return AuditEvent(
        at=review.at,
        actor=review.reviewer,
        action="request.reviewed",
        request_id=request.id,
        cluster=request.cluster.name,
        details={
            "verdict": review.verdict.value,
            "reason": review.reason,
            "rules": list(review.rules),
            **({"deputy_of": list(review.deputy_of)} if review.deputy_of else {}),
        },
    )


def approve(
    request: AccessRequest,
    now: datetime,
    *,
    by: str,
    approvers: tuple[str, ...],
    digest: str,
    extended: Grant | None = None,
    revokers: Owners = _NOBODY,
) -> tuple[AccessRequest, Grant, tuple[AuditEvent, ...]]:
    """PENDING → APPROVED, with the grant. `by` is the person, or `bot` where a rule is automatic.

    The grant's end is fixed here, before anything is written to AWS: it can only come nearer.
    `extended` is the live grant that the request prolongs; the new one takes over from it. A
    request for later makes a SCHEDULED grant, which is decided again when it starts. `revokers` are
    those who may revoke it, for a time in which no policy says so.
    """
    ensure_open(request, now)
    decided = replace(request, state=RequestState.APPROVED, decided_at=now, decided_by=by)
    later = request.start_at if request.start_at is not None and request.start_at > now else None
    provision_by = (later or now) + PROVISION_WITHIN
    duration, latest_end = request.duration, provision_by + request.duration
    if extended is not None:
        latest_end = extended.ends_at + request.duration
        duration = latest_end - now
    grant = Grant(
        id=request.id,
        requester=request.requester,
        cluster=request.cluster,
        principal_arn=request.principal.arn,
        access=request.access,
        duration=duration,
        created_at=now,
        provision_by=provision_by,
        ends_at=latest_end,
        state=GrantState.SCHEDULED if later else GrantState.PROVISIONING,
        starts_at=later,
        extends=request.extends,
        began_at=extended.began if extended else None,
        revokers=revokers,
    )
    event = AuditEvent(
        at=now,
        actor=by,
        action="request.approved",
        request_id=request.id,
        cluster=request.cluster.name,
        details={
            "approvers": list(approvers),
            "rules": list(request.rules),
            "policy_digest": digest,
            "gives": _given(grant),
        },
    )
    return decided, grant, (event,)


def deny(request: AccessRequest, review: Review) -> tuple[AccessRequest, tuple[AuditEvent, ...]]:
    """PENDING → DENIED by one owner's verdict."""
    if review.verdict is not Verdict.DENY:
        raise ValueError("a denial needs a review that denies")
    ensure_open(request, review.at)
    decided = replace(
        request,
        state=RequestState.DENIED,
        decided_at=review.at,
        decided_by=review.reviewer,
        decision_reason=review.reason,
    )
    return decided, (_decision(decided, review.reviewer, "request.denied"),)


def close(
    request: AccessRequest, now: datetime, *, by: str, reason: str
) -> tuple[AccessRequest, tuple[AuditEvent, ...]]:
    """PENDING → DENIED by security or an operator, whom no rule need name as an owner."""
    if request.state is not RequestState.PENDING:
        raise Conflict("already_decided", f"Request {request.id} is already decided.")
    decided = replace(
        request,
        state=RequestState.DENIED,
        decided_at=now,
        decided_by=by,
        decision_reason=reason,
    )
    return decided, (_decision(decided, by, "request.denied"),)


def ensure_extensible(grant: Grant, by: str, now: datetime) -> None:
    """Raise Conflict unless `by` may ask to prolong the grant at `now`."""
    if by != grant.requester:
        raise Conflict("not_yours", f"{grant.id} is somebody else's access; only they extend it.")
    if grant.state is not GrantState.ACTIVE or now >= grant.ends_at:
        raise Conflict(
            "not_active",
            f"{grant.id} is not active, so there is nothing to extend. "
            "`/eks-access request …` asks for new access.",
        )
    if after_clock_jump(grant, now) is not None:
        raise Conflict(
            "clock_was_ahead",
            f"The clock was ahead when {grant.id} was confirmed, and its end is being set right. "
            "Nothing was changed; the same works in a minute.",
        )


def ensure_usable(grant: Grant, by: str, now: datetime) -> None:
    """Raise Conflict unless the grant is access that `by` has at `now`."""
    if by != grant.requester:
        raise Conflict(
            "not_yours",
            f"{grant.id} is somebody else's access. `/eks-access` opens a form to ask for yours.",
        )
    if grant.state is not GrantState.ACTIVE or now >= grant.ends_at:
        raise Conflict(
            "not_active",
            f"{grant.id} is not active, so there is nothing to connect to. "
            f"`/eks-access status {grant.id}` shows why.",
        )


def cancel(
    request: AccessRequest, now: datetime, *, by: str
) -> tuple[AccessRequest, tuple[AuditEvent, ...]]:
    """PENDING → CANCELLED, by the requester alone."""
    if by != request.requester:
        raise Conflict("not_yours", f"Only the person who made request {request.id} can cancel it.")
    if request.state is RequestState.APPROVED:
        raise Conflict(
            "already_decided",
            f"Request {request.id} is already approved. "
            f"To give the access back: `/eks-access return {request.id}`.",
        )
    ensure_open(request, now)
    decided = replace(request, state=RequestState.CANCELLED, decided_at=now, decided_by=by)
    return decided, (_decision(decided, by, "request.cancelled"),)


def lapse(request: AccessRequest, now: datetime) -> tuple[AccessRequest, tuple[AuditEvent, ...]]:
    """PENDING → LAPSED, once its time to be decided is over."""
    if request.state is not RequestState.PENDING:
        raise Conflict("already_decided", f"Request {request.id} is already decided.")
    if request.lapses_at is None or now < request.lapses_at:
        raise Conflict("not_due", f"Request {request.id} can still be decided.")
    decided = replace(request, state=RequestState.LAPSED, decided_at=now, decided_by=BOT)
    return decided, (_decision(decided, BOT, "request.lapsed"),)


def start(
    grant: Grant, now: datetime, *, rules: tuple[str, ...], digest: str
) -> tuple[Grant, tuple[AuditEvent, ...]]:
    """SCHEDULED → PROVISIONING, once its time has come and before it is over.

    `rules` are those that it was decided by again, of the policy of this `digest`.
    """
    ensure_starting(grant, now)
    started = replace(grant, state=GrantState.PROVISIONING)
    details = {"rules": list(rules), "policy_digest": digest}
    return started, (_grant_event(started, now, BOT, "grant.started", details),)


def ensure_starting(grant: Grant, now: datetime) -> None:
    """Raise Conflict unless the grant waits for its start and may start at `now`."""
    if grant.state is not GrantState.SCHEDULED or grant.starts_at is None:
        raise Conflict("not_scheduled", f"Grant {grant.id} is not waiting for its start.")
    if not grant.starts_at <= now < grant.provision_by:
        raise Conflict("not_due", f"Grant {grant.id} cannot start now.")


def confirm(grant: Grant, now: datetime) -> tuple[Grant, tuple[AuditEvent, ...]]:
    """PROVISIONING → ACTIVE, once EKS was read back. The clock of the grant starts here."""
    if grant.state is not GrantState.PROVISIONING or now >= given_by(grant):
        raise Conflict("not_provisioning", f"Grant {grant.id} is not waiting for confirmation.")
    active = replace(
        grant,
        state=GrantState.ACTIVE,
        confirmed_at=now,
        ends_at=min(grant.ends_at, now + grant.duration),
        problem=None,
    )
    lag = (now - (grant.starts_at or grant.created_at)).total_seconds()
    details = {"ends_at": active.ends_at.isoformat(), "lag_seconds": round(lag, 3)}
    return active, (_grant_event(active, now, BOT, "grant.confirmed", details),)


def revoke(
    grant: Grant,
    now: datetime,
    reason: EndReason,
    *,
    by: str,
    problem: str | None = None,
    why: str = "",
) -> tuple[Grant, tuple[AuditEvent, ...]]:
    """Any state with access → REVOKING; a grant that has not started ends at once.

    From here on the access is no longer desired, and it is removed until EKS confirms. `why` are
    words of the person who revokes.
    """
    if grant.state is GrantState.ENDED:
        raise Conflict("already_ended", f"Grant {grant.id} has already ended.")
    if grant.state is GrantState.REVOKING:
        raise Conflict("already_revoking", f"Grant {grant.id} is already being removed.")
    revoking = replace(
        grant,
        state=GrantState.REVOKING,
        revoking_since=now,
        end_reason=reason,
        ended_by=by,
        problem=problem,
    )
    details = {"reason": reason.value} | ({"problem": problem} if problem else {})
    if why:
        details["why"] = why
    events = (_grant_event(revoking, now, by, "grant.revoking", details),)
    if grant.state is GrantState.SCHEDULED:
        ended, more = end(revoking, now)
        return ended, events + more
    return revoking, events


def revoked_late(grant: Grant, now: datetime, *, by: str, why: str) -> AuditEvent:
    """The event of somebody revoking a grant that had just ended otherwise: it changes no state."""
    details = {"ended": grant.end_reason.value if grant.end_reason else None}
    if why:
        details["why"] = why
    return _grant_event(grant, now, by, "grant.revoked_late", details)


def end(grant: Grant, now: datetime) -> tuple[Grant, tuple[AuditEvent, ...]]:
    """REVOKING → ENDED, once EKS was read back and shows that nothing of the grant is left."""
    if grant.state is not GrantState.REVOKING or grant.revoking_since is None:
        raise Conflict("not_revoking", f"Grant {grant.id} is not being removed.")
    ended = replace(grant, state=GrantState.ENDED, ended_at=now)
    lag = (now - grant.revoking_since).total_seconds()
    details = {
        "reason": grant.end_reason.value if grant.end_reason else None,
        "lag_seconds": round(lag, 3),
    }
    return ended, (_grant_event(ended, now, BOT, "grant.ended", details),)


def end_with_cluster(
    grant: Grant, now: datetime, *, by: str, why: str
) -> tuple[Grant, tuple[AuditEvent, ...]]:
    """Any live state → ENDED: there is no cluster any more that could be read back.

    `why` says how that is known, in the words of the operator or of the bot.
    """
    events: tuple[AuditEvent, ...] = ()
    if grant.state is not GrantState.REVOKING:
        grant, events = revoke(grant, now, EndReason.CLUSTER_GONE, by=by, why=why)
        if grant.state is GrantState.ENDED:
            return grant, events
    gone = replace(grant, end_reason=EndReason.CLUSTER_GONE, ended_by=by, problem=None)
    ended, _ = end(gone, now)
    details = {"reason": EndReason.CLUSTER_GONE.value, "why": why}
    return ended, (*events, _grant_event(ended, now, by, "grant.ended", details))


def after_clock_jump(grant: Grant, now: datetime) -> tuple[Grant, tuple[AuditEvent, ...]] | None:
    """A grant whose times only a clock that was ahead can have told, set right; else None.

    One that was confirmed has its end counted from `now`. The removal of one that is being removed
    counts as begun now, so that it is late in time.
    """
    latest = now + CLOCK_TOLERANCE
    since = grant.revoking_since
    if grant.state is GrantState.REVOKING and since is not None and since > latest:
        details = {"revoking_since": now.isoformat(), "was": since.isoformat()}
        set_right = replace(grant, revoking_since=now)
        return set_right, (_grant_event(set_right, now, BOT, "grant.set_right", details),)
    confirmed_at = grant.confirmed_at
    if grant.state is not GrantState.ACTIVE or confirmed_at is None or confirmed_at <= latest:
        return None
    ends_at = min(grant.ends_at, now + grant.duration)
    shortened = replace(grant, confirmed_at=now, ends_at=ends_at)
    details = {"ends_at": ends_at.isoformat(), "was": grant.ends_at.isoformat()}
    return shortened, (_grant_event(shortened, now, BOT, "grant.shortened", details),)


def overdue(grant: Grant, now: datetime) -> EndReason | None:
    """Why the grant must be revoked at `now`, or None while it may live."""
    if grant.state is GrantState.ACTIVE and now >= grant.ends_at:
        return EndReason.EXPIRED
    waiting = grant.state in {GrantState.SCHEDULED, GrantState.PROVISIONING}
    if waiting and now >= given_by(grant):
        return EndReason.FAILED
    return None


def given_by(grant: Grant) -> datetime:
    """When a grant that waits is given up.

    The end of an extension is fixed before it begins, and may come first.
    """
    return min(grant.provision_by, grant.ends_at)


def due_at(grant: Grant) -> datetime | None:
    """When time next changes the grant, or None where only an event can."""
    if grant.state is GrantState.ACTIVE:
        return grant.ends_at
    if grant.state in {GrantState.SCHEDULED, GrantState.PROVISIONING}:
        return given_by(grant)
    return None


def _decision(request: AccessRequest, actor: str, action: str) -> AuditEvent:
    if request.decided_at is None:
        raise ValueError("a decided request has the time of its decision")
    return AuditEvent(
        at=request.decided_at,
        actor=actor,
        action=action,
        request_id=request.id,
        cluster=request.cluster.name,
        details={"reason": request.decision_reason} if request.decision_reason else {},
    )


def _given(grant: Grant) -> dict[str, object]:
    """What a grant gives, to whom and until when at the latest, as the audit trail keeps it."""
    return {
        "requester": grant.requester,
        "principal": grant.principal_arn,
        "account": grant.cluster.account,
        "region": grant.cluster.region,
        "policy_arn": grant.access.policy_arn,
        "namespaces": sorted(grant.access.scope.namespaces),
        "kubernetes_groups": sorted(grant.access.kubernetes_groups),
        "starts_at": grant.starts_at.isoformat() if grant.starts_at else None,
        "ends_at": grant.ends_at.isoformat(),
    }


def _grant_event(
    grant: Grant, now: datetime, actor: str, action: str, details: Mapping[str, object]
) -> AuditEvent:
    return AuditEvent(
        at=now,
        actor=actor,
        action=action,
        request_id=grant.id,
        cluster=grant.cluster.name,
        details={**details, "principal": grant.principal_arn},
    )
