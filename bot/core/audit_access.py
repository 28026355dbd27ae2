"""Who had access at a moment, and who approved it: told from the audit events of each request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from bot.core.lifecycle import BOT
from bot.core.model import AuditEvent, Grant


class HeldState(StrEnum):
    """How far access was. Only ACTIVE was confirmed by EKS and not yet being taken away."""

    GIVING = "being given"
    ACTIVE = "active"
    REMOVING = "being removed"


@dataclass(frozen=True, slots=True)
class Held:
    """What one grant gave at a moment. `namespaces` empty is the whole cluster.

    `approvers` empty: a rule made it automatic, or it was break-glass. `since` is when EKS showed
    it, `ends_at` its end as it stood at that moment. None is what the events do not tell.
    """

    request_id: str
    requester: str
    cluster: str
    state: HeldState = HeldState.GIVING
    account: str | None = None
    principal: str | None = None
    level: str | None = None
    policy_arn: str | None = None
    namespaces: Sequence[str] = ()
    kubernetes_groups: Sequence[str] = ()
    since: str | None = None
    ends_at: str | None = None
    approved_by: str | None = None
    approvers: Sequence[str] = ()
    rules: Sequence[str] = ()
    break_glass: bool = False
    reason: str | None = None
    ticket: str | None = None

    @property
    def approval(self) -> str:
        """Who approved, for people."""
        if self.approvers:
            return ", ".join(self.approvers)
        if self.break_glass:
            return "break-glass"
        if self.approved_by == BOT:
            return f"automatic ({', '.join(self.rules)})"
        return self.approved_by or "?"


@dataclass(slots=True)
class _Story:
    held: Held
    approved: bool = False
    starts_at: str | None = None
    started: bool = True
    ended: bool = False


def held_at(events: Iterable[AuditEvent], at: datetime) -> Held | None:
    """What a request gave at `at`, from its events, oldest first; None where it gave nothing."""
    story: _Story | None = None
    for event in events:
        if event.at > at or event.request_id is None:
            continue
        if story is None:
            story = _Story(Held(event.request_id, event.actor, event.cluster or ""))
        _take(story, event)
    if story is None or not story.approved or story.ended or not story.started:
        return None
    return story.held


def _take(story: _Story, event: AuditEvent) -> None:
    details = event.details
    match event.action:
        case "request.submitted":
            story.held = replace(
                story.held,
                requester=event.actor,
                level=details.get("level"),
                namespaces=tuple(details.get("namespaces") or ()),
                principal=details.get("principal"),
                reason=details.get("reason"),
                ticket=details.get("ticket"),
                break_glass=bool(details.get("break_glass")),
            )
        case "request.approved":
            story.approved = True
            story.held = replace(
                story.held,
                approved_by=event.actor,
                approvers=tuple(details.get("approvers") or ()),
                rules=tuple(details.get("rules") or ()),
                **_given(details.get("gives") or {}),
            )
            story.started = not (details.get("gives") or {}).get("starts_at")
        case "grant.started":
            story.started = True
            rules = details.get("rules")  # an event from before it was told has none
            if rules is not None:
                story.held = replace(story.held, rules=tuple(rules))
        case "grant.confirmed":
            story.started = True
            story.held = replace(
                story.held,
                state=HeldState.ACTIVE,
                since=event.at.isoformat(),
                ends_at=details.get("ends_at"),
            )
        case "grant.shortened":
            story.held = replace(story.held, ends_at=details.get("ends_at"))
        case "grant.revoking":
            story.held = replace(story.held, state=HeldState.REMOVING)
        case "grant.ended":
            story.ended = True


def _given(gives: dict[str, Any]) -> dict[str, Any]:
    """The fields of Held that the event of an approval holds, since it holds them."""
    names = ("requester", "account", "principal", "policy_arn", "ends_at")
    found: dict[str, Any] = {name: gives[name] for name in names if name in gives}
    for name in ("namespaces", "kubernetes_groups"):
        if name in gives:
            found[name] = tuple(gives[name])
    return found


def differences(held: Sequence[Held], grants: Sequence[Grant], at: datetime) -> list[str]:
    """Where the trail and the table of grants do not say the same of a moment, as sentences.

    `grants` are those that the table says had been made and had not ended by then.
    """
    by_id = {one.request_id: one for one in held}
    found = []
    for grant in grants:
        one = by_id.pop(grant.id, None)
        confirmed = grant.confirmed_at is not None and grant.confirmed_at <= at
        if one is None:
            if confirmed or grant.starts_at is None or grant.starts_at <= at:
                found.append(f"{grant.id} is in the table of grants, and the trail has it not.")
            continue
        told: dict[str, tuple[object, object]] = {
            "requester": (one.requester, grant.requester),
            "cluster": (one.cluster, grant.cluster.name),
            "principal": (one.principal, grant.principal_arn),
            "namespaces": (sorted(one.namespaces), sorted(grant.access.scope.namespaces)),
        }
        if one.account is not None:
            told |= {
                "account": (one.account, grant.cluster.account),
                "policy_arn": (one.policy_arn, grant.access.policy_arn),
                "kubernetes_groups": (
                    sorted(one.kubernetes_groups),
                    sorted(grant.access.kubernetes_groups),
                ),
            }
        found += [
            f"{grant.id} has {name} {trail!r} in the trail and {table!r} in the table of grants."
            for name, (trail, table) in told.items()
            if trail != table
        ]
    found += [
        f"{one} is in the trail, and the table of grants has it not." for one in sorted(by_id)
    ]
    return found
