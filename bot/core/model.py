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
    """Why a grant ended, or is being revoked.

    `removed`: somebody else took it away at EKS. `cluster gone`: it went with its cluster.
    """

    EXPIRED = "expired"
    RETURNED = "returned"
    REVOKED = "revoked"
    SUPERSEDED = "superseded"
    TICKET_CLOSED = "ticket closed"
    REMOVED = "removed"
    CLUSTER_GONE = "cluster gone"
    NOT_BEGUN = "not begun"
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

    `id` is the Slack user id and the only identity that decides anything. `teams` are workspaces
    of an Enterprise Grid that they are in; `team_id` may then be another of these, or "".
    `suspended` is not Slack's: the store says it; see bot.core.suspension.
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
    teams: frozenset[str] = frozenset()
    suspended: bool = False

    def is_in(self, team_id: str) -> bool:
        """Whether they are of this workspace, and not only met over Slack Connect."""
        return not self.is_stranger and team_id in {self.team_id, *self.teams}


@dataclass(frozen=True, slots=True)
class BackstopTerms:
    """How access ends where the bot never comes back; see bot.core.backstop.

    `role` is the ARN of the role that EventBridge Scheduler assumes in the cluster's account,
    `group` the schedule group there, `after` how long after the last end the entry is deleted.
    """

    role: str
    group: str
    after: timedelta


@dataclass(frozen=True, slots=True)
class Cluster:
    """An EKS cluster, with all that is needed to reach it.

    `assume_role` is the ARN of the role to assume, or None to use the bot's own credentials.
    `backstop` None: nothing but the bot ends access there.
    """

    name: str
    region: str
    account: str
    assume_role: str | None = None
    standing: Standing = Standing.REFUSE
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    backstop: BackstopTerms | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """Account, region and name, which no other cluster has."""
        return self.account, self.region, self.name


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

    The whole cluster is asked for by `whole_cluster` alone: nothing is assumed where neither it
    nor `namespaces` is said. No `duration` asks for the rule's default.
    """

    cluster: str
    level: str
    namespaces: tuple[str, ...] = ()
    duration: timedelta | None = None
    start_at: datetime | None = None
    ticket: str | None = None
    reason: str = ""
    whole_cluster: bool = False


@dataclass(frozen=True, slots=True)
class Owners:
    """Who may review: Slack user ids, and ids of user groups and channels whose members may."""

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    def union(self, other: Owners) -> Owners:
        return Owners(self.users | other.users, self.groups | other.groups)


@dataclass(frozen=True, slots=True)
class EscalationStep:
    """Owners who come in, asked in `channel`, once a request has waited for `after`."""

    after: timedelta
    channel: str
    owners: Owners


@dataclass(frozen=True, slots=True)
class DelegationLimits:
    """How long an owner may name a deputy for, and among whom; None: any full member."""

    longest: timedelta
    among: Owners | None = None


@dataclass(frozen=True, slots=True)
class Delegation:
    """An owner who is away lets a deputy decide in their place, from `since` until `until`.

    `ended_at` is when the owner took it back before that.
    """

    id: int
    owner: str
    deputy: str
    since: datetime
    until: datetime
    ended_at: datetime | None = None

    def holds_at(self, now: datetime) -> bool:
        return self.since <= now < (self.ended_at or self.until)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One rule's approval, or one part of it: `required` distinct `owners`, asked in `channel`.

    `part` names further owners of the same rule, such as `security`; nobody counts for two parts of
    one rule. `remind_after` and `escalation` count from when the request was made.
    """

    rule: str
    channel: str
    owners: Owners
    required: int = 1
    part: str = ""
    remind_after: timedelta | None = None
    escalation: EscalationStep | None = None
    delegation: DelegationLimits | None = None

    @property
    def key(self) -> str:
        """What tells this requirement from the others of a request."""
        return f"{self.rule} / {self.part}" if self.part else self.rule

    @property
    def everybody(self) -> Owners:
        """The owners, with those who come in by escalation."""
        return self.owners.union(self.escalation.owners) if self.escalation else self.owners

    def owners_after(self, waited: timedelta) -> Owners:
        """Who may review a request that has waited this long."""
        escalated = self.escalation is not None and waited >= self.escalation.after
        return self.everybody if escalated else self.owners


class StepKind(StrEnum):
    """What the bot did because a request waited."""

    REMINDED = "reminded"
    ESCALATED = "escalated"


@dataclass(frozen=True, slots=True)
class Step:
    """A reminder or an escalation that was done. `requirement` is the key of the one it is for."""

    kind: StepKind
    requirement: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a decision is as it is: a stable code, a sentence, and the rule it comes from."""

    code: str
    sentence: str
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy says of a request.

    Allowed with no `requirements` is automatic, and shown in the channels `shown_in`. `access`,
    `duration`, `max_duration` and `lapse_after` hold only where `allowed`. `ends_with_ticket`: what
    is given ends when its ticket closes.
    """

    allowed: bool
    reasons: tuple[Reason, ...]
    rules: tuple[str, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    access: Access | None = None
    duration: timedelta = timedelta()
    max_duration: timedelta = timedelta()
    lapse_after: timedelta = timedelta()
    shown_in: tuple[str, ...] = ()
    ends_with_ticket: bool = False

    @property
    def automatic(self) -> bool:
        return self.allowed and not self.requirements


@dataclass(frozen=True, slots=True)
class ReviewDecision:
    """Whether a person may review a request now.

    `requirements` are what the policy wants of the request now; `rules` are the keys of those of
    them that the person's approval may count for.
    """

    allowed: bool
    reasons: tuple[Reason, ...]
    rules: tuple[str, ...] = ()
    requirements: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """One request for access, from submission to decision. `id` is also the grant's id.

    `extends` is the grant that this request would prolong by `duration`; `already` is how long that
    access lasts without it, which counts towards a rule's maximum. `shown_in` are the channels of
    a request that asks no owner there. `replaces` is the request that this break-glass came from.
    `steps` are the reminders and escalations that were done while it waited.
    `notes` are sentences about how it was decided that everybody who is told has to know.
    `alarmed` are, of a break-glass, the owners who are mentioned in each channel of theirs.
    `ticket_service` is the service that was asked whether the ticket is open, where access ends
    with it.
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
    shown_in: tuple[str, ...] = ()
    break_glass: bool = False
    ends_with_ticket: bool = False
    replaces: str | None = None
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    ticket_service: str | None = None
    alarmed: tuple[tuple[str, Owners], ...] = ()

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
            whole_cluster=not self.namespaces,
        )

    @property
    def start_missed(self) -> bool:
        """Whether it was approved only after the start it asked for: its time then begins later."""
        approved_at = self.decided_at if self.state is RequestState.APPROVED else None
        return bool(self.start_at and approved_at and self.start_at < approved_at)

    def escalated(self, one: Requirement) -> bool:
        """Whether further owners were asked to decide this requirement."""
        return any(
            step.kind is StepKind.ESCALATED and step.requirement == one.key for step in self.steps
        )

    def asked_of(self, one: Requirement) -> Owners:
        """The owners of a requirement who were asked so far: to show, not to decide."""
        return one.everybody if self.escalated(one) else one.owners


@dataclass(frozen=True, slots=True)
class Review:
    """One person's verdict on one request. A person reviews a request at most once.

    `rules` are the keys of the requirements for which the person was an owner, or a deputy, when
    they said so. `deputy_of` are the owners whose deputy they were. `seats` say by requirement in
    whose place, their own among them; reviews from before that was recorded have none.
    """

    request_id: str
    reviewer: str
    verdict: Verdict
    at: datetime
    reason: str | None = None
    rules: tuple[str, ...] = ()
    deputy_of: tuple[str, ...] = ()
    seats: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Grant:
    """Access given under an approved request. It holds all that revoking needs.

    `ends_at` is committed before the first AWS write. Until access is confirmed it is the latest
    end there can be; on confirmation it becomes `confirmed_at + duration`.
    `provision_by` is when an unconfirmed grant is given up. `extends` is the grant that this one
    takes over from, and `began_at` when the first of such a row was confirmed. `revokers` are those
    who might revoke it by the policy under which it was given.
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
    revokers: Owners = Owners()

    @property
    def gives_access(self) -> bool:
        return self.state in GIVES_ACCESS

    @property
    def lasts(self) -> timedelta:
        """How long the access lasts, what it was before an extension included."""
        return self.ends_at - (self.began or self.created_at)

    @property
    def began(self) -> datetime | None:
        """When the access was first confirmed, also where an extension has taken over since.

        Where the clock was ahead when it was extended, `began_at` is by that clock, while what is
        confirmed is set right. How long the access had lasted by then counts back from there.
        """
        if self.began_at is None or self.confirmed_at is None:
            return self.began_at or self.confirmed_at
        had_lasted = max(self.created_at - self.began_at, timedelta())
        return min(self.began_at, self.confirmed_at - had_lasted)


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
