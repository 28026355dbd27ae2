"""The words of the domain: people, clusters, access, requests, reviews, grants.

Everything here is an immutable value. Times are timezone-aware UTC `datetime`s, lengths of time
are `timedelta`s, and nothing reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any


class RequestState(StrEnum):
    """PENDING until decided; every other state is final."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    DENIED = "DENIED"
    CANCELLED = "CANCELLED"
    LAPSED = "LAPSED"


class GrantState(StrEnum):
    """(SCHEDULED →) PROVISIONING → ACTIVE → REVOKING → ENDED. Revoking has no failed state."""

    SCHEDULED = "SCHEDULED"
    PROVISIONING = "PROVISIONING"
    ACTIVE = "ACTIVE"
    REVOKING = "REVOKING"
    ENDED = "ENDED"


GIVES_ACCESS = frozenset({GrantState.PROVISIONING, GrantState.ACTIVE})
"""States in which a grant is part of the desired state of its access entry."""


class EndReason(StrEnum):
    """Why a grant ended, or is being revoked."""

    EXPIRED = "expired"
    RETURNED = "returned"
    REVOKED = "revoked"
    SUPERSEDED = "superseded"
    FAILED = "failed"


class Verdict(StrEnum):
    """What a reviewer said."""

    APPROVE = "approve"
    DENY = "deny"


class Standing(StrEnum):
    """What to do where the principal already has an access entry that the bot did not make."""

    REFUSE = "refuse"
    AUGMENT = "augment"


@dataclass(frozen=True, slots=True)
class Person:
    """A Slack user as `users.info` describes them at one moment.

    `id` is the Slack user id and the only identity that decides anything.
    """

    id: str
    team_id: str
    name: str
    email: str | None = None
    email_confirmed: bool = False
    time_zone: str = "UTC"
    deleted: bool = False
    is_bot: bool = False
    is_guest: bool = False
    is_stranger: bool = False


@dataclass(frozen=True, slots=True)
class Cluster:
    """An EKS cluster, with all that is needed to reach it.

    `assume_role` is the ARN of the role to assume, or None to use the bot's own credentials.
    """

    name: str
    region: str
    account: str
    assume_role: str | None = None
    standing: Standing = Standing.REFUSE
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Principal:
    """The IAM role or user an access entry is for.

    `shared_with` holds the Slack user ids of the other people it elevates, where the policy
    declares it shared; `shared` may be true with nobody else known.
    """

    arn: str
    shared: bool = False
    shared_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessScope:
    """Where an access policy holds: the whole cluster, or some namespaces.

    `namespaces` empty means the whole cluster. EKS accepts wildcards (`dev-*`) in namespaces.
    Source: EKS User Guide, "Associate access policies with access entries".
    """

    namespaces: frozenset[str] = frozenset()

    @classmethod
    def cluster(cls) -> AccessScope:
        return cls()

    @classmethod
    def of(cls, namespaces: Iterable[str]) -> AccessScope:
        return cls(frozenset(namespaces))

    @property
    def is_cluster(self) -> bool:
        return not self.namespaces

    def union(self, other: AccessScope) -> AccessScope:
        """The narrowest scope that covers both. The cluster covers every namespace."""
        if self.is_cluster or other.is_cluster:
            return AccessScope.cluster()
        return AccessScope(self.namespaces | other.namespaces)

    def covers(self, other: AccessScope) -> bool:
        """Whether everything `other` names is named here. Wildcards are compared as text."""
        if self.is_cluster:
            return True
        return not other.is_cluster and other.namespaces <= self.namespaces

    def __str__(self) -> str:
        return "cluster" if self.is_cluster else ", ".join(sorted(self.namespaces))


@dataclass(frozen=True, slots=True)
class Access:
    """What a level gives on a cluster: an access policy in a scope, or Kubernetes groups, or both.

    `policy_arn` is `arn:aws:eks::aws:cluster-access-policy/NAME`, or None for groups alone.
    """

    policy_arn: str | None
    scope: AccessScope
    kubernetes_groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Ask:
    """What a person asks for, before anything is decided.

    No `namespaces` asks for the whole cluster. No `duration` asks for the rule's default.
    """

    cluster: str
    level: str
    namespaces: tuple[str, ...] = ()
    duration: timedelta | None = None
    start_at: datetime | None = None
    ticket: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Owners:
    """Who may review: Slack user ids and Slack user group ids."""

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Requirement:
    """One rule's approval: `required` distinct people of `owners`, asked in `channel`."""

    rule: str
    channel: str
    owners: Owners
    required: int = 1


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a decision is as it is: a stable code, a sentence, and the rule it comes from."""

    code: str
    sentence: str
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy says of a request.

    Allowed with no `requirements` is automatic. `access`, `duration`, `max_duration` and
    `lapse_after` hold only where `allowed`.
    """

    allowed: bool
    reasons: tuple[Reason, ...]
    rules: tuple[str, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    access: Access | None = None
    duration: timedelta = timedelta()
    max_duration: timedelta = timedelta()
    lapse_after: timedelta = timedelta()

    @property
    def automatic(self) -> bool:
        return self.allowed and not self.requirements


@dataclass(frozen=True, slots=True)
class ReviewDecision:
    """Whether a person may review a request now; `rules` are those their approval counts for."""

    allowed: bool
    reasons: tuple[Reason, ...]
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """One request for access, from submission to decision. `id` is also the grant's id.

    `extends` is the grant that this request would prolong by `duration`; `already` is how long that
    access lasts without it, which counts towards a rule's maximum.
    """

    id: str
    requester: str
    requester_name: str
    cluster: Cluster
    level: str
    namespaces: tuple[str, ...]
    duration: timedelta
    reason: str
    ticket: str | None
    start_at: datetime | None
    principal: Principal
    access: Access
    rules: tuple[str, ...]
    requirements: tuple[Requirement, ...]
    created_at: datetime
    lapses_at: datetime | None
    state: RequestState = RequestState.PENDING
    decided_at: datetime | None = None
    decided_by: str | None = None
    decision_reason: str | None = None
    extends: str | None = None
    already: timedelta = timedelta()

    @property
    def ask(self) -> Ask:
        """The request as it was asked, to be decided again; an extension counts in total."""
        return Ask(
            cluster=self.cluster.name,
            level=self.level,
            namespaces=self.namespaces,
            duration=self.already + self.duration,
            start_at=self.start_at,
            ticket=self.ticket,
            reason=self.reason,
        )


@dataclass(frozen=True, slots=True)
class Review:
    """One person's verdict on one request. A person reviews a request at most once.

    `rules` are those for which the person was an owner when they said so.
    """

    request_id: str
    reviewer: str
    verdict: Verdict
    at: datetime
    reason: str | None = None
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """Access given under an approved request. It holds all that revoking needs.

    `ends_at` is committed before the first AWS write. Until access is confirmed it is the latest
    end there can be; on confirmation it becomes `confirmed_at + duration`.
    `provision_by` is when an unconfirmed grant is given up. `extends` is the grant that this one
    takes over from, and `began_at` when the first of such a row was confirmed.
    """

    id: str
    requester: str
    cluster: Cluster
    principal_arn: str
    access: Access
    duration: timedelta
    created_at: datetime
    provision_by: datetime
    ends_at: datetime
    state: GrantState = GrantState.PROVISIONING
    starts_at: datetime | None = None
    confirmed_at: datetime | None = None
    revoking_since: datetime | None = None
    ended_at: datetime | None = None
    end_reason: EndReason | None = None
    ended_by: str | None = None
    problem: str | None = None
    extends: str | None = None
    began_at: datetime | None = None

    @property
    def gives_access(self) -> bool:
        return self.state in GIVES_ACCESS


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Who did what, when, why and under which rule. Written in the transition's transaction.

    `actor` is a Slack user id, or `bot` for what time and the loops do, or `operator` for the
    command line. `details` is JSON-ready and holds no secret.
    """

    at: datetime
    actor: str
    action: str
    request_id: str | None = None
    cluster: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
