"""What to do at EKS so that one access entry is what it should be.

Pure: gather → decide → apply. `desired` is the union of live grants for one cluster and principal,
`observed` is what EKS says, `record` is what the store knows the bot to have put there. The
planner never touches what the record does not hold and never takes what another live grant still
gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from bot.core.ids import is_id
from bot.core.model import Access, AccessScope, Standing

DEPLOYMENT_TAG = "eks-access:deployment"
GRANT_TAG = "eks-access:grant"
STORE_TAG = "eks-access:store"
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
class Owner:
    """By which tags the bot tells its own entries from those of others.

    `store` is the identity of its store, None before it has one. Two stores under one deployment
    name tell each other apart by it. `adopted` are identities of stores whose entries an operator
    let this one take over; "" stands for entries from before there were identities.
    """

    deployment: str
    store: str | None = None
    adopted: frozenset[str] = frozenset()

    @property
    def stores(self) -> frozenset[str]:
        """The identities under which an entry that the store does not know is its own."""
        return self.adopted | {self.store} if self.store else self.adopted

    def made(self, observed: ObservedEntry, record: EntryRecord) -> bool:
        """Whether an entry that the bot made, or was about to make, bears its tags still.

        Of the very entry that was read back the deployment's tag is enough: that the bot made it is
        known. Where none was read back yet, another store may have been faster.
        """
        tagged = observed.tags.get(DEPLOYMENT_TAG) == self.deployment
        return tagged and (record.arn == observed.arn or store_of(observed) in self.stores)


@dataclass(frozen=True, slots=True)
class AssociationRecord:
    """A policy association the bot made, or was about to make.

    `confirmed` is true once it was ever read back. An unconfirmed one counts as the bot's only if
    EKS shows exactly the scope the bot intended: somebody else may have been faster.
    `in_flight` says that the last write to it was not read back yet and may still take effect;
    `removing` that the bot was about to take it away. `earlier` are the scopes from before that
    write, as far as EKS may still show them; true where such a write, too, may still take effect.
    """

    scope: AccessScope
    confirmed: bool = False
    in_flight: bool = False
    removing: bool = False
    earlier: Mapping[AccessScope, bool] = field(default_factory=dict)

    def coming(self, shown: AccessScope | None) -> frozenset[AccessScope]:
        """The scopes that EKS may still come to show, where it shows `shown` now."""
        if shown == self.scope and shown not in self.earlier:
            # The last write is to be seen, and it was not so before: the others came earlier.
            return frozenset()
        flying = {scope for scope, in_flight in self.earlier.items() if in_flight}
        return frozenset(flying | {self.scope} if self.in_flight else flying)


@dataclass(frozen=True, slots=True)
class EntryRecord:
    """What the store knows the bot to have put at one cluster and principal.

    `created` is true once the bot was about to create the entry. `arn` is the entry's ARN as read
    back; EKS puts a new UUID into it each time an entry is made, so another ARN is another entry.
    `in_flight`, `deleting` and `earlier_groups` are for the entry what `in_flight`, `removing` and
    `earlier` are for an association.
    """

    created: bool = False
    arn: str | None = None
    associations: Mapping[str, AssociationRecord] = field(default_factory=dict)
    kubernetes_groups: frozenset[str] = frozenset()
    in_flight: bool = False
    deleting: bool = False
    earlier_groups: Mapping[str, bool] = field(default_factory=dict)

    def coming_groups(self) -> frozenset[str]:
        """The groups of the bot's that EKS may still come to show."""
        flying = frozenset(group for group, in_flight in self.earlier_groups.items() if in_flight)
        return flying | self.kubernetes_groups if self.in_flight else flying

    def foreign_groups(self, observed: ObservedEntry) -> frozenset[str]:
        """The groups of the entry that the bot never put there."""
        return observed.kubernetes_groups - self.kubernetes_groups - self.earlier_groups.keys()

    def foreign_policies(self, observed: ObservedEntry) -> frozenset[str]:
        """The policies of the entry whose associations the bot never made."""
        return frozenset(
            arn for arn, scope in observed.policies.items() if not _ours(arn, scope, self)
        )


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
    ANOTHER_STORE = "another_store"
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

    `removals` empty means that EKS shows nothing of the bot's beyond what is desired; `unsettled`
    says that something beyond it may still come to be seen, so that nothing can be called gone.
    An association whose scope both loses and gains namespaces is a removal.
    `forget` are policies whose record is void, because EKS shows that nothing of ours is there;
    `reset_record` says that the whole record is void: the entry it described is gone.
    """

    removals: tuple[Action, ...] = ()
    additions: tuple[Action, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    forget: frozenset[str] = frozenset()
    reset_record: bool = False
    unsettled: bool = False

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
    owner: Owner,
    standing: Standing,
) -> Plan:
    """The actions that make `observed` what `desired` says, touching nothing but our own.

    EKS shows a change only after some seconds, so what it does not show yet may still come. What is
    not to be seen is waited for and never taken away blindly: it may be somebody else's.
    """
    if observed is None:
        return _plan_absent(desired, record)
    tagged = owner.made(observed, record)
    replaced = record.arn is not None and record.arn != observed.arn
    if bears_our_tags(observed, owner) and not record.created:
        # Tagged as ours, unknown to the store: the database was restored or lost. What hangs on it
        # was granted by nobody we know of, so it goes whole, and once it is gone it is made anew.
        return Plan(removals=(DeleteEntry(),), reset_record=True)
    overtaken = record.created and not tagged and record.arn is None and not record.associations
    if replaced or overtaken:
        # Another entry stands where ours was, or where ours was to be: nothing on it is ours.
        fresh = plan(desired, observed, EntryRecord(), owner=owner, standing=standing)
        return replace(fresh, reset_record=True)
    if record.created and tagged:
        return _plan_own(desired, observed, record)
    obstacle = None
    if observed.type != STANDARD:
        obstacle = Blocked(Obstacle.WRONG_TYPE, detail=observed.type)
    elif of_another_store(observed, owner):
        obstacle = Blocked(Obstacle.ANOTHER_STORE)
    elif standing is not Standing.AUGMENT:
        obstacle = Blocked(Obstacle.FOREIGN_ENTRY)
    return _plan_foreign(desired, observed, record, obstacle)


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


def bears_our_tags(observed: ObservedEntry, owner: Owner) -> bool:
    """Whether a bot made the entry for this deployment, from this store or one that it adopted."""
    return _is_of(observed, owner.deployment) and store_of(observed) in owner.stores


def of_another_store(observed: ObservedEntry, owner: Owner) -> bool:
    """Whether a bot made the entry for this deployment, from a store that this one knows not.

    That bot may be running, so the entry is not this one's to take away.
    """
    return _is_of(observed, owner.deployment) and store_of(observed) not in owner.stores


def store_of(observed: ObservedEntry) -> str:
    """The identity of the store that the entry was made from; "": made before there were any."""
    return observed.tags.get(STORE_TAG, "")


def _is_of(observed: ObservedEntry, deployment: str) -> bool:
    """Whether the entry is of a kind that the bot makes, and tagged by one for the deployment.

    The deployment's tag alone does not do: others write it too, by a copied template or a rule that
    tags whatever it finds. An id of a grant in the bot's own form is written by nobody else.
    """
    return (
        observed.tags.get(DEPLOYMENT_TAG) == deployment
        and is_id(observed.tags.get(GRANT_TAG, ""))
        and observed.type == STANDARD
    )


def _plan_absent(desired: DesiredEntry, record: EntryRecord) -> Plan:
    if desired.empty:
        return Plan(unsettled=record.in_flight, reset_record=not record.in_flight)
    additions: list[Action] = [CreateEntry(desired.kubernetes_groups)]
    additions += [Associate(arn, scope) for arn, scope in sorted(desired.policies.items())]
    return Plan(
        additions=tuple(additions),
        reset_record=not record.in_flight,
        unsettled=record.in_flight and _more_may_come(desired, record),
    )


def _more_may_come(desired: DesiredEntry, record: EntryRecord) -> bool:
    """Whether an entry that is not shown yet may come with more than is desired."""
    for arn, known in record.associations.items():
        scope = desired.policies.get(arn)
        if any(scope is None or not scope.covers(one) for one in known.coming(None)):
            return True
    return not record.coming_groups() <= desired.kubernetes_groups


def _plan_own(desired: DesiredEntry, observed: ObservedEntry, record: EntryRecord) -> Plan:
    foreign = record.foreign_policies(observed)
    alone = not foreign and not record.foreign_groups(observed)
    if alone and (desired.empty or record.deleting):
        # Once it was to be deleted it may go at any moment, so nothing can be built upon it.
        return Plan(removals=(DeleteEntry(),))
    return _plan_beside(desired, observed, record, foreign)


def _plan_foreign(
    desired: DesiredEntry, observed: ObservedEntry, record: EntryRecord, obstacle: Blocked | None
) -> Plan:
    """`obstacle` is what keeps the bot from adding anything."""
    foreign = record.foreign_policies(observed)
    if obstacle is not None:
        left = _plan_beside(DesiredEntry(), observed, record, foreign)
        return replace(left, blocked=() if desired.empty else (obstacle,))
    if not desired.kubernetes_groups:
        return _plan_beside(desired, observed, record, foreign)
    # The group list is replaced as a whole, and its owner replaces it too: no way to share.
    rest = _plan_beside(DesiredEntry(desired.policies), observed, record, foreign)
    return replace(rest, blocked=(Blocked(Obstacle.FOREIGN_GROUPS), *rest.blocked))


def _plan_beside(
    desired: DesiredEntry, observed: ObservedEntry, record: EntryRecord, foreign: frozenset[str]
) -> Plan:
    """Change what is ours on an existing entry and leave the rest as it is."""
    removals: list[Action] = []
    forget: set[str] = set()
    unsettled = False
    for arn, known in sorted(record.associations.items()):
        if arn in desired.policies and arn not in foreign:
            continue
        shown = observed.policies.get(arn)
        if shown is not None and arn not in foreign:
            removals.append(Disassociate(arn))
        elif shown is None and known.coming(None):
            unsettled = True
        else:
            forget.add(arn)
    additions: list[Action] = []
    blocked: list[Blocked] = []
    for arn, scope in sorted(desired.policies.items()):
        shown = observed.policies.get(arn)
        if shown is not None and arn in foreign:
            blocked.append(Blocked(Obstacle.FOREIGN_ASSOCIATION, arn, str(shown)))
        elif _to_write(scope, shown, record.associations.get(arn)):
            narrowing = _narrowing(scope, shown, record.associations.get(arn))
            (removals if narrowing else additions).append(Associate(arn, scope))
    change = _group_change(desired, observed, record)
    if change is not None:
        own_before = record.kubernetes_groups | record.earlier_groups.keys()
        (additions if own_before <= desired.kubernetes_groups else removals).append(change)
    return Plan(
        tuple(removals),
        tuple(additions),
        tuple(blocked),
        frozenset(forget),
        unsettled=unsettled,
    )


def _to_write(
    scope: AccessScope, shown: AccessScope | None, known: AssociationRecord | None
) -> bool:
    if shown != scope or known is None:
        return shown != scope
    # It looks right, but an earlier write or removal of ours may still change it.
    return known.removing or not known.coming(shown) <= {scope}


def _narrowing(
    scope: AccessScope, shown: AccessScope | None, known: AssociationRecord | None
) -> bool:
    coming = known.coming(shown) if known is not None else ()
    return any(before is not None and not scope.covers(before) for before in (shown, *coming))


def _group_change(
    desired: DesiredEntry, observed: ObservedEntry, record: EntryRecord
) -> SetGroups | None:
    foreign = record.foreign_groups(observed)
    wanted = foreign | desired.kubernetes_groups
    own = desired.kubernetes_groups - foreign
    settled = not record.in_flight or record.kubernetes_groups == own
    if wanted == observed.kubernetes_groups and settled and record.coming_groups() <= wanted:
        return None
    return SetGroups(wanted, own)


def _ours(policy_arn: str, scope: AccessScope, record: EntryRecord) -> bool:
    known = record.associations.get(policy_arn)
    if known is None:
        return False
    return known.confirmed or scope == known.scope or scope in known.earlier
