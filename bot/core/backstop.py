"""Which schedule ends the access at one entry if the bot never comes back.

Pure, like the planner. A one-time schedule of EventBridge Scheduler deletes the access entry some
time after the last end of its grants. It names one cluster and one principal, and the role that it
runs under may delete only entries with this deployment's tag: what somebody else makes there in the
meantime is out of its reach. An entry that others have put something on has no schedule, because
deleting it would take theirs too.

Source: EventBridge Scheduler User Guide, "Schedule types" and "Using universal targets".
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.model import Cluster, Grant, GrantState
from bot.core.planner import EntryRecord, ObservedEntry, Owner
from bot.core.removal import late

DELETE_ENTRY = "aws-sdk:eks:deleteAccessEntry"
"""The universal target, behind `arn:PARTITION:scheduler:::`."""

EVENT_AGE = timedelta(hours=1)
"""How long EventBridge Scheduler goes on trying a deletion that AWS did not take."""

PRECISION = timedelta(minutes=1)
"""How long after its time a schedule fires at the latest."""

CHECK_EVERY = timedelta(minutes=10)
"""How long what was read of a schedule is believed."""

_LETTERS = re.compile(r"[^0-9a-zA-Z._-]")
_CLUSTER_LETTERS, _CLUSTER_DIGITS = 16, 8
_ROLE_LETTERS, _ENTRY_DIGITS = 20, 16


@dataclass(frozen=True, slots=True)
class Schedule:
    """A one-time schedule that deletes the entry of one principal on one cluster, at `at` (UTC)."""

    name: str
    group: str
    at: datetime
    role: str
    cluster: str
    principal_arn: str


@dataclass(frozen=True, slots=True)
class Known:
    """A schedule that the bot made, or was about to make or take away.

    `confirmed` is true once it was read back as it stands here, last at `checked_at`.
    """

    schedule: Schedule
    confirmed: bool = False
    checked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Create:
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Update:
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Remove:
    schedule: Schedule


Step = Create | Update | Remove


def prefix(deployment: str, cluster: str) -> str:
    """How the names of all schedules of one deployment for one cluster begin."""
    return f"{_word(cluster, _CLUSTER_LETTERS)}-{_digest(deployment, cluster)[:_CLUSTER_DIGITS]}-"


def name_of(deployment: str, cluster: str, principal_arn: str, store: str) -> str:
    """The name of an entry's schedule: one for each entry, so making it anew replaces it.

    Two stores under one deployment name have different ones; `store` is the identity, "" in names
    from before there were identities. At most 64 letters. Source: EventBridge Scheduler API
    Reference, "CreateSchedule".
    """
    role = _word(principal_arn.rpartition("/")[2], _ROLE_LETTERS)
    digest = _digest(deployment, cluster, principal_arn, *filter(None, [store]))[:_ENTRY_DIGITS]
    return f"{prefix(deployment, cluster)}{role}-{digest}"


def is_named(name: str, owner: Owner, cluster: str, principal_arn: str) -> bool:
    """Whether a schedule of this name is the owner's, for that entry."""
    return any(
        name == name_of(owner.deployment, cluster, principal_arn, store) for store in owner.stores
    )


def alone(observed: ObservedEntry | None, record: EntryRecord, owner: Owner) -> bool:
    """Whether the entry, or the one that is to be made, is the bot's and nobody else's in part."""
    if observed is None:
        return True
    ours = record.created and owner.made(observed, record)
    replaced = record.arn is not None and record.arn != observed.arn
    return (
        ours
        and not replaced
        and not record.foreign_policies(observed)
        and not record.foreign_groups(observed)
    )


def fires_at(grant: Grant, after: timedelta) -> datetime:
    """When the entry may go on account of this grant: full seconds, never before its end."""
    end = grant.ends_at
    if grant.state is GrantState.REVOKING and grant.revoking_since is not None:
        end = min(end, grant.revoking_since)
    at = end + after
    return at if at.microsecond == 0 else at.replace(microsecond=0) + timedelta(seconds=1)


def wanted(
    cluster: Cluster,
    principal_arn: str,
    owner: Owner,
    grants: Sequence[Grant],
    known: Known | None,
    *,
    alone: bool | None,
    there: bool,
    now: datetime,
) -> Schedule | None:
    """The schedule that is right for an entry now; None: none at all.

    `grants` are those of the entry that have not ended. `alone` is as of the last look at EKS, None
    before the first; `there` says that the bot's entry was still to be seen then. While access is
    being removed its schedule stays as it is, and comes nearer once the removal is late.
    """
    terms = cluster.backstop
    kept = known.schedule if known is not None else None
    if terms is None or alone is False:
        return None
    if alone is None:
        return kept
    gives = [grant for grant in grants if grant.gives_access]
    going = [grant for grant in grants if grant.state is GrantState.REVOKING]
    if not gives and not going:
        return kept if there else None
    if not gives and not any(late(grant, now) for grant in going):
        return kept
    at = max(fires_at(grant, terms.after) for grant in (*gives, *going))
    if not gives:
        soonest = _full_second(now) + PRECISION
        at = max(at, soonest)
        if kept is not None and kept.at <= at:
            at = kept.at  # it comes as soon, or has come
    return Schedule(
        name=kept.name if kept else _new_name(owner, cluster, principal_arn),
        group=kept.group if kept else terms.group,
        at=at,
        role=terms.role,
        cluster=cluster.name,
        principal_arn=principal_arn,
    )


def step(wanted: Schedule | None, observed: Schedule | None) -> Step | None:
    """What makes the schedule that EventBridge Scheduler shows the one that is wanted."""
    if wanted is None:
        return Remove(observed) if observed is not None else None
    if observed is None:
        return Create(wanted)
    return Update(wanted) if observed != wanted else None


def believed(wanted: Schedule | None, known: Known | None, now: datetime) -> bool:
    """Whether all is known to be as it should, so that nobody need be asked."""
    if wanted is None or known is None:
        return wanted is None and known is None
    if wanted != known.schedule:
        return False
    if may_have_fired(known.schedule, now):
        return True  # it is over, and deletes itself
    fresh = known.checked_at is not None and now - known.checked_at < CHECK_EVERY
    return known.confirmed and fresh


def covers(known: Known | None, grant: Grant, cluster: Cluster) -> bool:
    """Whether the grant's access may be given: a schedule will end it, and not before its end."""
    if cluster.backstop is None:
        return True
    if known is None or not known.confirmed:
        return False
    return known.schedule.at >= fires_at(grant, cluster.backstop.after)


def may_have_fired(schedule: Schedule, now: datetime) -> bool:
    """Whether the schedule's time has come, or is so near that it cannot be called back."""
    return schedule.at <= now + PRECISION


def strikes_until(schedule: Schedule) -> datetime:
    """Until when a schedule whose time has come may still delete the entry of its name."""
    return schedule.at + PRECISION + EVENT_AGE


def expression(at: datetime) -> str:
    """The schedule expression, in UTC."""
    return f"at({at:%Y-%m-%dT%H:%M:%S})"


def input_of(schedule: Schedule) -> str:
    """What DeleteAccessEntry is called with: one cluster, one principal.

    A universal target takes the names of the SDK's members in PascalCase; with those of the API
    Reference, `clusterName`, EventBridge Scheduler was seen to refuse the schedule.
    """
    return json.dumps(
        {"ClusterName": schedule.cluster, "PrincipalArn": schedule.principal_arn}, sort_keys=True
    )


def _new_name(owner: Owner, cluster: Cluster, principal_arn: str) -> str:
    return name_of(owner.deployment, cluster.name, principal_arn, owner.store or "")


def _full_second(time: datetime) -> datetime:
    return time if time.microsecond == 0 else time.replace(microsecond=0) + timedelta(seconds=1)


def _word(text: str, most: int) -> str:
    return _LETTERS.sub("_", text)[:most]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
