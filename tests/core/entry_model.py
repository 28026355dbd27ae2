"""A small model of one access entry at EKS, and of the loop that keeps it right.

Independent of the code under test: EKS is what `facts` of the EKS API Reference say (associating
replaces the scope, deleting cascades, changes are seen some seconds later), and every call checks
for itself that it touches nothing but what the bot may touch.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Protocol

from bot.core.model import Access, AccessScope, Standing
from bot.core.planner import (
    DEPLOYMENT_TAG,
    GRANT_TAG,
    STANDARD,
    STORE_TAG,
    Action,
    Associate,
    AssociationRecord,
    CreateEntry,
    DeleteEntry,
    Disassociate,
    EntryRecord,
    ObservedEntry,
    Owner,
    Plan,
    SetGroups,
    plan,
    satisfied,
    union,
)

DEPLOYMENT = "acme-test"
OWNER = Owner(DEPLOYMENT, "0a1b")
TAGS = {DEPLOYMENT_TAG: DEPLOYMENT, GRANT_TAG: "7K3-QMX", STORE_TAG: "0a1b"}
PROPAGATION = timedelta(seconds=30)
LONGEST_CALL = timedelta(seconds=60)
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Fault(Enum):
    """What becomes of one call to EKS."""

    NONE = "none"
    REFUSED = "the call fails and does nothing"
    LOST = "the call takes effect and its answer is lost"
    CRASH_BEFORE = "the bot dies before the call"
    CRASH_AFTER = "the bot dies after the call took effect"


class CallFailed(Exception):
    pass


class Crash(Exception):
    pass


@dataclass(frozen=True)
class Association:
    scope: AccessScope
    foreign: bool


@dataclass(frozen=True)
class Entry:
    arn: str
    foreign: bool
    type: str = STANDARD
    groups: frozenset[str] = frozenset()
    policies: Mapping[str, Association] = field(default_factory=dict)

    def observed(self) -> ObservedEntry:
        return ObservedEntry(
            arn=self.arn,
            type=self.type,
            tags={} if self.foreign else TAGS,
            policies={arn: one.scope for arn, one in self.policies.items()},
            kubernetes_groups=self.groups,
        )


def is_foreign_group(group: str) -> bool:
    return group.startswith("theirs-")


class Eks:
    """One (cluster, principal) at EKS. What it shows is `lag` behind what is so."""

    def __init__(self, lag: timedelta) -> None:
        self._lag = lag
        self._arns = itertools.count(1)
        self._shown: Entry | None = None
        self._coming: list[tuple[datetime, Entry | None]] = []
        self.truth: Entry | None = None

    def new_arn(self) -> str:
        return f"arn:aws:eks:eu-west-1:111122223333:access-entry/lab/{next(self._arns)}"

    def observe(self, now: datetime) -> ObservedEntry | None:
        while self._coming and self._coming[0][0] <= now:
            self._shown = self._coming.pop(0)[1]
        return self._shown.observed() if self._shown else None

    def by_hand(self, entry: Entry | None) -> None:
        """Somebody else makes it so, and it is seen at once."""
        self.truth = self._shown = entry
        self._coming.clear()

    def call(self, action: Action, now: datetime) -> None:
        """Make the change as EKS would. Raises CallFailed where EKS refuses it."""
        self.truth = self._changed(action)
        self._coming.append((now + self._lag, self.truth))

    def _changed(self, action: Action) -> Entry | None:
        entry = self.truth
        match action:
            case CreateEntry(groups):
                if entry is not None:
                    raise CallFailed("ResourceInUseException")
                return Entry(self.new_arn(), foreign=False, groups=groups)
            case DeleteEntry():
                assert not list(foreign_parts(entry)), "what is foreign is deleted"
                return None
            case Disassociate() if entry is None:
                return None
        if entry is None:
            raise CallFailed("ResourceNotFoundException")
        if entry.type != STANDARD:
            raise CallFailed("InvalidParameterException")
        changed = _changed_entry(entry, action)
        before, after = list(foreign_parts(entry)), list(foreign_parts(changed))
        assert before == after, "what is foreign is changed"
        return changed


def _changed_entry(entry: Entry, action: Action) -> Entry:
    match action:
        case SetGroups(groups):
            return replace(entry, groups=groups)
        case Associate(arn, scope):
            return replace(entry, policies={**entry.policies, arn: Association(scope, False)})
        case Disassociate(arn):
            rest = {other: one for other, one in entry.policies.items() if other != arn}
            return replace(entry, policies=rest)
    raise AssertionError(action)


class Keeper(Protocol):
    """What the store remembers of the entry; the functions are those of `bot.store.entries`."""

    def record(self, now: datetime) -> EntryRecord: ...
    def reset(self) -> None: ...
    def forget(self, policy_arns: Collection[str]) -> None: ...
    def intend(self, action: Action, now: datetime) -> None: ...
    def sent(self, action: Action, now: datetime) -> None: ...
    def read_back(self, seen: ObservedEntry, now: datetime) -> None: ...


@dataclass
class _Row:
    scope: AccessScope
    confirmed: bool = False
    removing: bool = False
    written_at: datetime | None = None
    earlier: dict[AccessScope, datetime | None] = field(default_factory=dict)


class MemoryKeeper:
    """A record keeper without a database."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._created = self._deleting = False
        self._arn: str | None = None
        self._groups: frozenset[str] = frozenset()
        self._written_at: datetime | None = None
        self._earlier_groups: dict[str, datetime | None] = {}
        self._rows: dict[str, _Row] = {}

    def record(self, now: datetime) -> EntryRecord:
        return EntryRecord(
            created=self._created,
            arn=self._arn,
            associations={
                arn: AssociationRecord(
                    scope=row.scope,
                    confirmed=row.confirmed,
                    in_flight=_in_flight(row.written_at, now),
                    removing=row.removing,
                    earlier={scope: _in_flight(at, now) for scope, at in row.earlier.items()},
                )
                for arn, row in self._rows.items()
            },
            kubernetes_groups=self._groups,
            in_flight=_in_flight(self._written_at, now),
            deleting=self._deleting,
            earlier_groups={
                group: _in_flight(at, now) for group, at in self._earlier_groups.items()
            },
        )

    def forget(self, policy_arns: Collection[str]) -> None:
        for arn in policy_arns:
            self._rows.pop(arn, None)

    def intend(self, action: Action, now: datetime) -> None:
        match action:
            case CreateEntry(groups):
                self._created, self._deleting, self._arn = True, False, None
                self._write_groups(groups, now)
            case SetGroups(_, own):
                self._write_groups(own, now)
            case Associate(arn, scope):
                row = self._rows.setdefault(arn, _Row(scope))
                if row.scope != scope:
                    row.earlier[row.scope] = row.written_at
                row.scope, row.removing, row.written_at = scope, False, now + LONGEST_CALL
            case Disassociate(arn):
                if arn in self._rows:
                    self._rows[arn].removing = True
            case DeleteEntry():
                self._deleting = True

    def sent(self, action: Action, now: datetime) -> None:
        match action:
            case CreateEntry() | SetGroups():
                self._written_at = now
            case Associate(arn):
                self._rows[arn].written_at = now

    def _write_groups(self, groups: frozenset[str], now: datetime) -> None:
        for group in self._groups - groups:
            self._earlier_groups[group] = self._written_at
        for group in groups:
            self._earlier_groups.pop(group, None)
        self._groups, self._written_at = groups, now + LONGEST_CALL

    def read_back(self, seen: ObservedEntry, now: datetime) -> None:
        self._arn = seen.arn
        earlier_shown = seen.kubernetes_groups & self._earlier_groups.keys()
        if self._groups <= seen.kubernetes_groups and not earlier_shown:
            self._written_at = None
        self._earlier_groups = {
            group: at
            for group, at in self._earlier_groups.items()
            if _in_flight(at, now) or group in seen.kubernetes_groups
        }
        for arn, row in self._rows.items():
            if row.removing or seen.policies.get(arn) != row.scope:
                continue
            row.confirmed = True
            if row.scope not in row.earlier or not any(
                _in_flight(at, now) for at in row.earlier.values()
            ):
                row.written_at, row.earlier = None, {}


def _in_flight(written_at: datetime | None, now: datetime) -> bool:
    return written_at is not None and now - written_at < PROPAGATION


class World:
    """EKS, the record, the live grants and the loop; the checks of every single call."""

    def __init__(self, keeper: Keeper, *, standing: Standing, lag: timedelta) -> None:
        self.keeper = keeper
        self.standing = standing
        self.eks = Eks(lag)
        self.now = START
        self.live: list[Access] = []
        self._given: list[Access] = []

    def grant(self, access: Access) -> None:
        self.live.append(access)

    def end(self, index: int) -> None:
        if self.live:
            ended = self.live.pop(index % len(self.live))
            if ended in self._given:
                self._given.remove(ended)

    def wait(self, time: timedelta) -> None:
        self.now += time

    def lose_the_record(self) -> None:
        """An old backup of the database is restored."""
        self.keeper.reset()
        self._given.clear()

    def plan(self, observed: ObservedEntry | None) -> Plan:
        return plan(
            union(self.live),
            observed,
            self.keeper.record(self.now),
            owner=OWNER,
            standing=self.standing,
        )

    def round(self, faults: Iterable[Fault] = ()) -> Plan | None:
        """Observe, plan, apply, observe again, as the loop does. None after a crash."""
        left = iter(faults)
        observed = self.eks.observe(self.now)
        before = self.plan(observed)
        self._void(before)
        try:
            for action in before.actions:
                self.keeper.intend(action, self.now)
                try:
                    self._call(action, next(left, Fault.NONE))
                except CallFailed:
                    self.keeper.sent(action, self.now)
                    break
                self.keeper.sent(action, self.now)
        except Crash:
            return None
        if before.actions:
            observed = self.eks.observe(self.now)
        after = self.plan(observed)
        if observed is not None and not after.reset_record:
            self.keeper.read_back(observed, self.now)
            after = self.plan(observed)
        if not self.live or observed is not None:
            self._void(after)
        self._given = [
            access
            for access in self.live
            if satisfied(access, observed)
            and not after.changes(access)
            and not after.blocks(access)
        ]
        for access in self._given:
            assert holds(self.eks.truth, access), "access is called active that is not there"
        if not after.removals and not after.unsettled:
            self.check_nothing_beyond(self.live)
        return after

    def _void(self, what: Plan) -> None:
        if what.reset_record:
            self.keeper.reset()
        self.keeper.forget(what.forget)

    def _call(self, action: Action, fault: Fault) -> None:
        if fault is Fault.REFUSED:
            raise CallFailed
        if fault is Fault.CRASH_BEFORE:
            raise Crash
        held = [access for access in self._given if holds(self.eks.truth, access)]
        self.eks.call(action, self.now)
        for access in held:
            assert holds(self.eks.truth, access), "a live grant lost what it gives"
        if fault is Fault.LOST:
            raise CallFailed
        if fault is Fault.CRASH_AFTER:
            raise Crash

    def check_nothing_beyond(self, live: Iterable[Access]) -> None:
        """Whoever is told that access has ended relies on it."""
        entry = self.eks.truth
        if entry is None:
            return
        policies, groups = wanted(live)
        for arn, one in entry.policies.items():
            if not one.foreign:
                assert arn in policies, "an association is left that no grant gives"
                assert covers(policies[arn], one.scope), "a scope is left that no grant gives"
        assert {group for group in entry.groups if not is_foreign_group(group)} <= groups

    def expected(self) -> Entry | None:
        """What EKS should hold in the end, worked out without the planner."""
        policies, groups = wanted(self.live)
        entry = self.eks.truth
        theirs = {arn: one for arn, one in entry.policies.items() if one.foreign} if entry else {}
        their_groups = frozenset(filter(is_foreign_group, entry.groups)) if entry else frozenset()
        mine = {
            arn: Association(scope, foreign=False)
            for arn, scope in policies.items()
            if arn not in theirs
        }
        if entry is not None and entry.foreign:
            takes_more = entry.type == STANDARD and self.standing is Standing.AUGMENT
            return replace(
                entry, groups=their_groups, policies=theirs | (mine if takes_more else {})
            )
        if not policies and not groups and not theirs and not their_groups:
            return None
        arn = entry.arn if entry else ""
        return Entry(arn, False, groups=their_groups | groups, policies=theirs | mine)


def wanted(live: Iterable[Access]) -> tuple[dict[str, AccessScope], frozenset[str]]:
    """The union of the grants, by counting namespaces one by one."""
    policies: dict[str, set[str] | None] = {}
    groups: set[str] = set()
    for access in live:
        groups.update(access.kubernetes_groups)
        arn = access.policy_arn
        if arn is None:
            continue
        so_far = policies.get(arn, set())
        if so_far is None or not access.scope.namespaces:
            policies[arn] = None
        else:
            policies[arn] = so_far | access.scope.namespaces
    return (
        {arn: AccessScope(frozenset(names or ())) for arn, names in policies.items()},
        frozenset(groups),
    )


def covers(wide: AccessScope, narrow: AccessScope) -> bool:
    if not wide.namespaces:
        return True
    return bool(narrow.namespaces) and narrow.namespaces.issubset(wide.namespaces)


def holds(entry: Entry | None, access: Access) -> bool:
    """Whether the entry gives all of `access`."""
    if entry is None or not access.kubernetes_groups <= entry.groups:
        return False
    if access.policy_arn is None:
        return True
    present = entry.policies.get(access.policy_arn)
    return present is not None and covers(present.scope, access.scope)


def foreign_parts(entry: Entry | None) -> Iterator[object]:
    """All of the entry that others put there, to be compared before and after."""
    if entry is None:
        return
    if entry.foreign:
        yield ("entry", entry.arn, entry.type, entry.groups)
    for arn, one in sorted(entry.policies.items()):
        if one.foreign:
            yield (arn, one.scope)
    yield from sorted(filter(is_foreign_group, entry.groups))
