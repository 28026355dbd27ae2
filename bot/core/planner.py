"""What to do at EKS so that one access entry is what it should be.

Pure: gather → decide → apply. `desired` is the union of live grants for one cluster and principal,
`observed` is what EKS says, `record` is what the store knows the bot to have put there. The
planner never touches what the record does not hold (design, invariant 3) and never takes what
another live grant still gives (invariant 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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
    """A policy association the bot made, or was about to make.

    `confirmed` is true once it was ever read back. An unconfirmed one counts as the bot's only if
    EKS shows exactly the scope the bot intended: somebody else may have been faster.
    `in_flight` says that the last write to it was not read back yet and may still take effect;
    `removing` that the bot was about to take it away.
    """

    scope: AccessScope
    confirmed: bool = False
    in_flight: bool = False
    removing: bool = False


@dataclass(frozen=True, slots=True)
class EntryRecord:
    """What the store knows the bot to have put at one cluster and principal.

    `created` is true once the bot was about to create the entry. `arn` is the entry's ARN as read
    back; EKS puts a new UUID into it each time an entry is made, so another ARN is another entry.
    `in_flight` and `deleting` are for the entry what they are for an association.
    """

    created: bool = False
    arn: str | None = None
    associations: Mapping[str, AssociationRecord] = field(default_factory=dict)
    kubernetes_groups: frozenset[str] = frozenset()
    in_flight: bool = False
    deleting: bool = False


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
    """What to do, in order: what is taken away goes first.

    `removals` empty means that EKS shows nothing of the bot's beyond what is desired. An
    association whose scope both loses and gains namespaces is a removal.
    `forget` are policies whose record is void, because EKS shows that nothing of ours is there;
    `reset_record` says that the whole record is void: the entry it described is gone.
    """

    removals: tuple[Action, ...] = ()
    additions: tuple[Action, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    forget: frozenset[str] = frozenset()
    reset_record: bool = False

    @property
    def actions(self) -> tuple[Action, ...]:
        return self.removals + self.additions

    def blocks(self, access: Access) -> Blocked | None:
        """What keeps `access` from being given, if anything does."""
        return next((one for one in self.blocked if one.blocks(access)), None)

    def changes(self, access: Access) -> bool:
        """Whether an action is still needed before `access` can be relied upon."""
        return any(
            isinstance(action, CreateEntry | DeleteEntry)
            or (isinstance(action, SetGroups) and bool(access.kubernetes_groups))
            or (isinstance(action, Associate) and action.policy_arn == access.policy_arn)
            for action in self.actions
        )


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
    """The actions that make `observed` what `desired` says, touching nothing but our own.

    EKS shows a change only after some seconds, so what it does not show yet may still come: a
    write in flight is taken back also where nothing of it is to be seen.
    """
    if observed is None:
        return _plan_absent(desired, record)
    tagged = observed.tags.get(DEPLOYMENT_TAG) == deployment
    replaced = record.arn is not None and record.arn != observed.arn
    if record.deleting and tagged and not replaced:
        # What EKS still shows is about to go, so nothing can be built upon it.
        return Plan(removals=(DeleteEntry(),))
    if tagged and not record.created:
        return _plan_orphan(desired)
    overtaken = record.created and not tagged and record.arn is None and not record.associations
    if replaced or overtaken:
        # Another entry stands where ours was, or where ours was to be: nothing on it is ours.
        fresh = plan(desired, observed, EntryRecord(), deployment=deployment, standing=standing)
        return replace(fresh, reset_record=True)
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
    if desired.empty:
        if record.in_flight:
            return Plan(removals=(DeleteEntry(),))
        return Plan(reset_record=True)
    additions: list[Action] = [CreateEntry(desired.kubernetes_groups)]
    additions += [Associate(arn, scope) for arn, scope in sorted(desired.policies.items())]
    return Plan(additions=tuple(additions), reset_record=not record.in_flight)


def _plan_orphan(desired: DesiredEntry) -> Plan:
    # Tagged as ours, unknown to the store: the database was restored or lost. What hangs on it
    # was granted by nobody we know of, so it goes whole, and the entry is made anew.
    rest = _plan_absent(desired, EntryRecord())
    return replace(rest, removals=(DeleteEntry(),), reset_record=True)


def _plan_own(desired: DesiredEntry, observed: ObservedEntry, record: EntryRecord) -> Plan:
    foreign = {arn for arn, scope in observed.policies.items() if not _ours(arn, scope, record)}
    foreign_groups = observed.kubernetes_groups - record.kubernetes_groups
    if desired.empty and not foreign and not foreign_groups:
        return Plan(removals=(DeleteEntry(),))
    return _plan_beside(desired, observed, record, foreign)


def _plan_foreign(
    desired: DesiredEntry, observed: ObservedEntry, record: EntryRecord, standing: Standing
) -> Plan:
    mine = {arn for arn, scope in observed.policies.items() if _ours(arn, scope, record)}
    foreign = set(observed.policies) - mine
    obstacle = None
    if observed.type != STANDARD:
        obstacle = Blocked(Obstacle.WRONG_TYPE, detail=observed.type)
    elif standing is not Standing.AUGMENT:
        obstacle = Blocked(Obstacle.FOREIGN_ENTRY)
    if obstacle is not None:
        left = _plan_beside(DesiredEntry(), observed, record, foreign)
        return replace(left, blocked=() if desired.empty else (obstacle,))
    if not desired.kubernetes_groups:
        return _plan_beside(desired, observed, record, foreign)
    # The group list is replaced as a whole, and its owner replaces it too: no way to share.
    rest = _plan_beside(DesiredEntry(desired.policies), observed, record, foreign)
    return replace(rest, blocked=(Blocked(Obstacle.FOREIGN_GROUPS), *rest.blocked))


def _plan_beside(
    desired: DesiredEntry, observed: ObservedEntry, record: EntryRecord, foreign: set[str]
) -> Plan:
    """Change what is ours on an existing entry and leave the rest as it is."""
    removals: list[Action] = []
    forget: set[str] = set()
    for arn, known in sorted(record.associations.items()):
        if arn in desired.policies and arn not in foreign:
            continue
        shown = arn in observed.policies
        if (shown and arn not in foreign) or (known.in_flight and not shown):
            removals.append(Disassociate(arn))
        else:
            forget.add(arn)
    additions: list[Action] = []
    blocked: list[Blocked] = []
    for arn, scope in sorted(desired.policies.items()):
        if arn in foreign:
            blocked.append(Blocked(Obstacle.FOREIGN_ASSOCIATION, arn, str(observed.policies[arn])))
        elif _to_write(scope, observed.policies.get(arn), record.associations.get(arn)):
            narrowing = _narrowing(scope, observed.policies.get(arn), record.associations.get(arn))
            (removals if narrowing else additions).append(Associate(arn, scope))
    change = _group_change(desired, observed, record)
    if change is not None:
        taken = record.kubernetes_groups - desired.kubernetes_groups
        (removals if taken else additions).append(change)
    return Plan(tuple(removals), tuple(additions), tuple(blocked), frozenset(forget))


def _to_write(
    scope: AccessScope, present: AccessScope | None, known: AssociationRecord | None
) -> bool:
    if present != scope:
        return True
    # It looks right, but an earlier write or removal of ours may still change it.
    return known is not None and (known.removing or (known.in_flight and known.scope != scope))


def _narrowing(
    scope: AccessScope, present: AccessScope | None, known: AssociationRecord | None
) -> bool:
    coming = known.scope if known is not None and known.in_flight else None
    return any(before is not None and not scope.covers(before) for before in (present, coming))


def _group_change(
    desired: DesiredEntry, observed: ObservedEntry, record: EntryRecord
) -> SetGroups | None:
    foreign = observed.kubernetes_groups - record.kubernetes_groups
    wanted = foreign | desired.kubernetes_groups
    own = desired.kubernetes_groups - foreign
    coming = record.in_flight and record.kubernetes_groups != own
    if wanted == observed.kubernetes_groups and not coming:
        return None
    return SetGroups(wanted, own)


def _ours(policy_arn: str, scope: AccessScope, record: EntryRecord) -> bool:
    known = record.associations.get(policy_arn)
    return known is not None and (known.confirmed or known.scope == scope)
