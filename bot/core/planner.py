"""What to do at EKS so that one access entry is what it should be.

Pure: gather → decide → apply. `desired` is the union of live grants for one cluster and principal,
`observed` is what EKS says, `record` is what the store knows the bot to have put there. The
planner never touches what the record does not hold (design, invariant 3) and never takes what
another live grant still gives (invariant 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bot.core.model import Access, AccessScope, Standing

DEPLOYMENT_TAG = "eks-access:deployment"
GRANT_TAG = "eks-access:grant"
STANDARD = "STANDARD"


@dataclass(frozen=True, slots=True)
class DesiredEntry:
    """The union of live grants: policy ARN → scope, and Kubernetes groups."""

    policies: Mapping[str, AccessScope] = field(default_factory=dict)
    kubernetes_groups: frozenset[str] = frozenset()

    @property
    def empty(self) -> bool:
        return not self.policies and not self.kubernetes_groups


@dataclass(frozen=True, slots=True)
class ObservedEntry:
    """One access entry as EKS describes it, with its policy associations (ARN → scope)."""

    arn: str
    type: str
    tags: Mapping[str, str]
    policies: Mapping[str, AccessScope] = field(default_factory=dict)
    kubernetes_groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AssociationRecord:
    """A policy association the bot made or was about to make.

    `confirmed` becomes true once it was read back. An unconfirmed one counts as the bot's only if
    EKS shows exactly the scope the bot intended: somebody else may have been faster.
    """

    scope: AccessScope
    confirmed: bool


@dataclass(frozen=True, slots=True)
class EntryRecord:
    """What the store knows the bot to have put at one cluster and principal.

    `created` is true once the bot was about to create the entry. `arn` is the entry's ARN as read
    back; EKS puts a new UUID into it each time an entry is made, so another ARN is another entry.
    """

    created: bool = False
    arn: str | None = None
    associations: Mapping[str, AssociationRecord] = field(default_factory=dict)
    kubernetes_groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CreateEntry:
    kubernetes_groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class SetGroups:
    """Replace the entry's group list by `kubernetes_groups`; EKS knows no other way.

    `own` are those of them that the bot puts there.
    """

    kubernetes_groups: frozenset[str]
    own: frozenset[str]


@dataclass(frozen=True, slots=True)
class Associate:
    """Associate the policy, replacing the scope of an association the bot made earlier."""

    policy_arn: str
    scope: AccessScope


@dataclass(frozen=True, slots=True)
class Disassociate:
    policy_arn: str


@dataclass(frozen=True, slots=True)
class DeleteEntry:
    pass


Action = CreateEntry | SetGroups | Associate | Disassociate | DeleteEntry


class Obstacle(StrEnum):
    """Why access cannot be given beside what others put there."""

    FOREIGN_ENTRY = "foreign_entry"
    FOREIGN_ASSOCIATION = "foreign_association"
    FOREIGN_GROUPS = "foreign_groups"
    WRONG_TYPE = "wrong_type"


@dataclass(frozen=True, slots=True)
class Blocked:
    """A part of the desired state that cannot be given. `policy_arn` None: all of it."""

    obstacle: Obstacle
    policy_arn: str | None = None
    detail: str = ""

    def blocks(self, access: Access) -> bool:
        """Whether a grant of `access` cannot be given because of this."""
        if self.obstacle is Obstacle.FOREIGN_GROUPS:
            return bool(access.kubernetes_groups)
        return self.policy_arn is None or self.policy_arn == access.policy_arn


@dataclass(frozen=True, slots=True)
class Plan:
    """Actions in the order in which to apply them: what is taken away goes first.

    `forget` are policies whose record is void, because EKS shows that nothing of ours is there.
    `reset_record` says that the whole record is void: the entry it described is gone.
    """

    actions: tuple[Action, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    forget: frozenset[str] = frozenset()
    reset_record: bool = False

    @property
    def converged(self) -> bool:
        return not self.actions


def union(accesses: Iterable[Access]) -> DesiredEntry:
    """The desired state for several live grants of one cluster and principal."""
    policies: dict[str, AccessScope] = {}
    groups: frozenset[str] = frozenset()
    for access in accesses:
        groups |= access.kubernetes_groups
        if access.policy_arn is not None:
            present = policies.get(access.policy_arn)
            policies[access.policy_arn] = present.union(access.scope) if present else access.scope
    return DesiredEntry(policies, groups)


def plan(
    desired: DesiredEntry,
    observed: ObservedEntry | None,
    record: EntryRecord,
    *,
    deployment: str,
    standing: Standing,
) -> Plan:
    """The actions that make `observed` what `desired` says, touching nothing but our own."""
    if observed is None:
        return _plan_absent(desired, record)
    tagged = observed.tags.get(DEPLOYMENT_TAG) == deployment
    if tagged and not record.created:
        return _plan_orphan(desired)
    replaced = record.arn is not None and record.arn != observed.arn
    overtaken = record.created and not tagged and record.arn is None and not record.associations
    if replaced or overtaken:
        # Another entry stands where ours was, or where ours was to be: nothing on it is ours.
        fresh = plan(desired, observed, EntryRecord(), deployment=deployment, standing=standing)
        return Plan(fresh.actions, fresh.blocked, reset_record=True)
    if record.created and tagged:
        return _plan_own(desired, observed, record)
    return _plan_foreign(desired, observed, record, standing)


def satisfied(access: Access, observed: ObservedEntry | None) -> bool:
    """Whether EKS shows everything that `access` gives."""
    if observed is None:
        return False
    if not access.kubernetes_groups <= observed.kubernetes_groups:
        return False
    if access.policy_arn is None:
        return True
    scope = observed.policies.get(access.policy_arn)
    return scope is not None and scope.covers(access.scope)


def _plan_absent(desired: DesiredEntry, record: EntryRecord) -> Plan:
    stale = bool(record.arn or record.associations or record.kubernetes_groups)
    if desired.empty:
        return Plan(reset_record=record.created or stale)
    actions: list[Action] = [CreateEntry(desired.kubernetes_groups)]
    actions += [Associate(arn, scope) for arn, scope in sorted(desired.policies.items())]
    return Plan(tuple(actions), reset_record=stale)


def _plan_orphan(desired: DesiredEntry) -> Plan:
    # Tagged as ours, unknown to the store: the database was restored or lost. What hangs on it
    # was granted by nobody we know of, so it goes whole, and the entry is made anew.
    rest = _plan_absent(desired, EntryRecord())
    return Plan((DeleteEntry(), *rest.actions), reset_record=True)


def _plan_own(desired: DesiredEntry, observed: ObservedEntry, record: EntryRecord) -> Plan:
    foreign = {arn for arn, scope in observed.policies.items() if not _ours(arn, scope, record)}
    foreign_groups = observed.kubernetes_groups - record.kubernetes_groups
    if desired.empty and not foreign and not foreign_groups:
        return Plan((DeleteEntry(),))
    return _plan_beside(desired, observed, record, foreign, foreign_groups)


def _plan_foreign(
    desired: DesiredEntry, observed: ObservedEntry, record: EntryRecord, standing: Standing
) -> Plan:
    mine = {arn for arn, scope in observed.policies.items() if _ours(arn, scope, record)}
    foreign = set(observed.policies) - mine
    foreign_groups = observed.kubernetes_groups - record.kubernetes_groups
    obstacle = None
    if observed.type != STANDARD:
        obstacle = Blocked(Obstacle.WRONG_TYPE, detail=observed.type)
    elif standing is not Standing.AUGMENT:
        obstacle = Blocked(Obstacle.FOREIGN_ENTRY)
    groups_blocked: tuple[Blocked, ...] = ()
    if obstacle is None and desired.kubernetes_groups:
        # The group list is replaced as a whole, and its owner replaces it too: no way to share.
        groups_blocked = (Blocked(Obstacle.FOREIGN_GROUPS),)
        desired = DesiredEntry(desired.policies)
    if obstacle is not None:
        left = _plan_beside(DesiredEntry(), observed, record, foreign, foreign_groups)
        return Plan(left.actions, () if desired.empty else (obstacle,), left.forget)
    result = _plan_beside(desired, observed, record, foreign, foreign_groups)
    return Plan(result.actions, groups_blocked + result.blocked, result.forget)


def _plan_beside(
    desired: DesiredEntry,
    observed: ObservedEntry,
    record: EntryRecord,
    foreign: set[str],
    foreign_groups: frozenset[str],
) -> Plan:
    """Change what is ours on an existing entry and leave the rest as it is."""
    removals: list[Action] = [
        Disassociate(arn)
        for arn in sorted(observed.policies)
        if arn not in foreign and arn not in desired.policies
    ]
    additions: list[Action] = []
    blocked: list[Blocked] = []
    for arn, scope in sorted(desired.policies.items()):
        present = observed.policies.get(arn)
        if arn in foreign and present is not None:
            blocked.append(Blocked(Obstacle.FOREIGN_ASSOCIATION, arn, str(present)))
        elif present != scope:
            narrowing = present is not None and not scope.covers(present)
            (removals if narrowing else additions).append(Associate(arn, scope))
    wanted_groups = foreign_groups | desired.kubernetes_groups
    if wanted_groups != observed.kubernetes_groups:
        change = SetGroups(wanted_groups, desired.kubernetes_groups - foreign_groups)
        (additions if desired.kubernetes_groups else removals).append(change)
    forget = frozenset(
        arn
        for arn in record.associations
        if arn in foreign or (arn not in observed.policies and arn not in desired.policies)
    )
    return Plan(tuple(removals + additions), tuple(blocked), forget)


def _ours(policy_arn: str, scope: AccessScope, record: EntryRecord) -> bool:
    known = record.associations.get(policy_arn)
    return known is not None and (known.confirmed or known.scope == scope)
