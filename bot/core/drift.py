"""Where EKS differs from what the bot left there: somebody's hand, or a store from a backup.

Pure, like the planner. The planner says what to do; this says what to tell, and which grants have
lost their access to somebody else. Access that was taken away is not given back on the strength of
an old approval: whoever took it had a reason, or it was this bot under a later state of its store.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.core.model import AccessScope, Grant, GrantState
from bot.core.planner import (
    DEPLOYMENT_TAG,
    DesiredEntry,
    EntryRecord,
    ObservedEntry,
    Owner,
    bears_our_tags,
    of_another_store,
    store_of,
    union,
)


class Kind(StrEnum):
    """What is not as the bot left it."""

    GONE = "gone"
    REPLACED = "replaced"
    MISSING = "missing"
    NARROWED = "narrowed"
    WIDENED = "widened"
    ORPHAN = "orphan"
    ANOTHER_STORE = "another_store"
    UNTAGGED = "untagged"
    FOREIGN_POLICY = "foreign_policy"
    FOREIGN_GROUPS = "foreign_groups"


class Outcome(StrEnum):
    """What the bot does about it."""

    ENDED = "ended"
    REPAIRED = "repaired"
    REMOVED = "removed"
    LEFT = "left"


_REPAIRABLE = frozenset({Kind.GONE, Kind.MISSING, Kind.NARROWED})
_OUTCOMES = {
    Kind.REPLACED: Outcome.ENDED,
    Kind.WIDENED: Outcome.REPAIRED,
    Kind.ORPHAN: Outcome.REMOVED,
    Kind.ANOTHER_STORE: Outcome.LEFT,
    Kind.UNTAGGED: Outcome.LEFT,
    Kind.FOREIGN_POLICY: Outcome.LEFT,
    Kind.FOREIGN_GROUPS: Outcome.LEFT,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference at one access entry.

    `subject` is the ARN of the policy, or the Kubernetes groups, or "" for the entry as a whole; of
    an entry of another store's it is that store's identity, "" where it has none.
    `detail` says what EKS shows where something else should be. `grants` are the ids of the live
    grants that lost access by it.
    """

    kind: Kind
    subject: str = ""
    detail: str = ""
    grants: tuple[str, ...] = ()


def outcome(kind: Kind, *, repair: bool) -> Outcome:
    """What becomes of a finding. `repair` says whether access taken away is made anew."""
    if kind in _REPAIRABLE:
        return Outcome.REPAIRED if repair else Outcome.ENDED
    return _OUTCOMES[kind]


def lost(findings: Iterable[Finding], *, repair: bool) -> frozenset[str]:
    """The ids of the grants that end because their access was taken away."""
    return frozenset(
        grant
        for finding in findings
        if not (repair and finding.kind in _REPAIRABLE)
        for grant in finding.grants
    )


def whole(lost: Collection[str], live: Sequence[Grant]) -> tuple[Grant, ...]:
    """The grants that lost their access, with what extends them or what they extend.

    That is one access: it would come back with an extension that has not reached EKS yet. `live`
    are all grants of the entry that have not ended; those that are being removed stay out.
    """
    extends = {grant.id: grant.extends for grant in live}

    def first(grant_id: str) -> str:
        while (before := extends.get(grant_id)) is not None:
            grant_id = before
        return grant_id

    taken = {first(grant_id) for grant_id in lost}
    return tuple(
        grant
        for grant in live
        if first(grant.id) in taken and grant.state is not GrantState.REVOKING
    )


def compare(
    live: Sequence[Grant],
    observed: ObservedEntry | None,
    record: EntryRecord,
    *,
    owner: Owner,
    confirmed_before: datetime,
    at_once: bool = False,
) -> tuple[Finding, ...] | None:
    """What differs at one access entry; None while a write of the bot's may still take effect.

    `live` are all grants of the entry that have not ended. Only those confirmed before
    `confirmed_before` are expected to be seen: EKS shows a change after some seconds. `at_once`
    waits for no write of the bot's: rather end what would be seen later than give what is gone.
    """
    if not at_once and not _settled(record):
        return None
    active = [
        grant
        for grant in live
        if grant.state is GrantState.ACTIVE
        and grant.confirmed_at is not None
        and grant.confirmed_at <= confirmed_before
    ]
    everyone = tuple(grant.id for grant in active)
    if observed is None:
        return (Finding(Kind.GONE, grants=everyone),) if active else ()
    another = record.arn is not None and record.arn != observed.arn
    if bears_our_tags(observed, owner) and (another or not record.created):
        return (Finding(Kind.ORPHAN, detail=contents(observed), grants=everyone),)
    found: list[Finding] = []
    if of_another_store(observed, owner) and (another or not record.created):
        found.append(Finding(Kind.ANOTHER_STORE, store_of(observed)))
    if another:
        return (*found, Finding(Kind.REPLACED, grants=everyone)) if active else tuple(found)
    most = union(grant.access for grant in live)
    found += [*_taken_away(active, observed), *_left_over(most, observed, record)]
    if record.created and observed.tags.get(DEPLOYMENT_TAG) != owner.deployment:
        if live or record.associations:
            found.append(Finding(Kind.UNTAGGED))
    elif record.created:
        found += _added(observed, record)
        if not live and not found:
            found.append(Finding(Kind.ORPHAN, detail=contents(observed)))
    return tuple(found)


def contents(observed: ObservedEntry) -> str:
    """What an entry gives, in one line: "AmazonEKSViewPolicy (payments), deployers"."""
    given = [
        f"{arn.rpartition('/')[2]} ({scope})" for arn, scope in sorted(observed.policies.items())
    ]
    return ", ".join([*given, *sorted(observed.kubernetes_groups)])


def _settled(record: EntryRecord) -> bool:
    return not (
        record.in_flight
        or any(record.earlier_groups.values())
        or any(one.in_flight or any(one.earlier.values()) for one in record.associations.values())
    )


def _taken_away(active: Sequence[Grant], observed: ObservedEntry) -> Iterator[Finding]:
    """What grants give that EKS no longer shows in full."""
    given = union(grant.access for grant in active)
    for arn, scope in sorted(given.policies.items()):
        shown = observed.policies.get(arn)
        without = tuple(
            grant.id
            for grant in active
            if grant.access.policy_arn == arn
            and (shown is None or not shown.covers(grant.access.scope))
        )
        if shown is None:
            yield Finding(Kind.MISSING, arn, str(scope), without)
        elif without:
            yield Finding(Kind.NARROWED, arn, _instead(shown, scope), without)
    absent = given.kubernetes_groups - observed.kubernetes_groups
    if absent:
        without = tuple(one.id for one in active if one.access.kubernetes_groups & absent)
        yield Finding(Kind.MISSING, ", ".join(sorted(absent)), "", without)


def _left_over(
    most: DesiredEntry, observed: ObservedEntry, record: EntryRecord
) -> Iterator[Finding]:
    """What is the bot's and goes beyond every live grant."""
    foreign = record.foreign_policies(observed)
    for arn, shown in sorted(observed.policies.items()):
        if arn in foreign:
            continue
        scope = most.policies.get(arn)
        if scope is None:
            yield Finding(Kind.ORPHAN, arn, str(shown))
        elif not scope.covers(shown) and shown.covers(scope):
            yield Finding(Kind.WIDENED, arn, _instead(shown, scope))


def _added(observed: ObservedEntry, record: EntryRecord) -> Iterator[Finding]:
    """What others put on the bot's own entry."""
    for arn in sorted(record.foreign_policies(observed)):
        yield Finding(Kind.FOREIGN_POLICY, arn, str(observed.policies[arn]))
    groups = record.foreign_groups(observed)
    if groups:
        yield Finding(Kind.FOREIGN_GROUPS, ", ".join(sorted(groups)))


def _instead(shown: AccessScope, scope: AccessScope) -> str:
    return f"{shown} instead of {scope}"
