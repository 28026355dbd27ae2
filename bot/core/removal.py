"""Whether access ended when it was to end: how late its absence was confirmed, and when to say so.

Pure. What counts is what was read back at EKS: `confirmed_at` is when the access was first seen,
`ended_at` when nothing of it was seen any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.lifecycle import due_at, given_by
from bot.core.model import EndReason, Grant, GrantState

LATE_AFTER = timedelta(minutes=2)
"""How long a removal may take before the bot calls itself late."""

TRYING = timedelta(seconds=30)
"""How long the bot has tried before it calls a removal late that began late, as after an outage."""


FIRST_DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class AlarmTimes:
    """When a removal that is late is told: so long `after` its time, and then `every` so often.

    After the first day once a day is often enough: whoever can act knows by then.
    """

    after: tuple[timedelta, ...] = (LATE_AFTER, timedelta(minutes=10), timedelta(minutes=30))
    every: timedelta = timedelta(hours=1)

    def number(self, late_by: timedelta) -> int:
        """How many alarms there have been by then; 0: it is not late."""
        passed = sum(late_by >= one for one in self.after)
        if passed < len(self.after):
            return passed
        since = late_by - self.after[-1]
        often = max(FIRST_DAY - self.after[-1], timedelta())
        seldom = max(since - often, timedelta()) // max(self.every, FIRST_DAY)
        return passed + min(since, often) // self.every + seldom

    def late(self, late_by: timedelta) -> bool:
        return late_by >= self.after[0]


def due(grant: Grant) -> datetime | None:
    """When the access was to end: its end, or the moment somebody or something ended it before.

    Of a grant that is being given, when it is given up: EKS may honour it by then. None for one
    that waits for its start, that never gave any, or whose access goes on under an extension.
    """
    if never_given(grant) or grant.end_reason is EndReason.SUPERSEDED:
        return None
    if grant.state is GrantState.ACTIVE:
        return grant.ends_at
    if grant.state is GrantState.PROVISIONING:
        return given_by(grant)
    if grant.state in {GrantState.REVOKING, GrantState.ENDED} and grant.revoking_since is not None:
        return min(grant.ends_at, grant.revoking_since)
    return None


def lag(grant: Grant) -> timedelta | None:
    """How long after that its absence was confirmed; None while it is not, or none was given."""
    to_end = due(grant)
    if grant.state is not GrantState.ENDED or grant.ended_at is None or to_end is None:
        return None
    return max(grant.ended_at - to_end, timedelta())


def late_at(grant: Grant) -> datetime | None:
    """When the end of a grant becomes late, in whatever state it is; None once it has ended.

    It follows from the times of the row: where nothing can be stored, no loop moves the state on. A
    removal that began late has a moment to be done.
    """
    if grant.state is GrantState.REVOKING and grant.revoking_since is not None:
        to_end = min(grant.ends_at, grant.revoking_since)
        return max(to_end + LATE_AFTER, grant.revoking_since + TRYING)
    to_change = due_at(grant)
    return to_change + LATE_AFTER if to_change is not None else None


def late(grant: Grant, now: datetime) -> bool:
    """Whether the end is so late that people must be told."""
    at = late_at(grant)
    return at is not None and now >= at


def late_by(grant: Grant, now: datetime, *, since: datetime) -> timedelta:
    """How late the removal is by now; nothing where the bot has only just begun to try.

    `since` is when this bot was started: what ended while it was away it removes first.
    """
    to_end = due(grant)
    began = grant.revoking_since if grant.state is GrantState.REVOKING else since
    if grant.state is GrantState.ENDED or to_end is None or began is None:
        return timedelta()
    if now - began < TRYING:
        return timedelta()
    return max(now - to_end, timedelta())


def never_given(grant: Grant) -> bool:
    """Whether nothing was given: it still waits for its start, or ended before it."""
    before = grant.starts_at and grant.ended_at and grant.ended_at < grant.starts_at
    waiting = grant.state is GrantState.SCHEDULED
    return waiting or bool(before) or grant.end_reason is EndReason.NOT_BEGUN


def by_hand(grant: Grant, others: Sequence[Grant], *, alone: bool) -> tuple[tuple[str, ...], ...]:
    """The AWS CLI's commands that take the access away, word by word, for somebody who may.

    `others` are the other grants that give access by the same entry. The whole entry goes only
    where it is the bot's `alone` and nobody else needs it; before anything goes, it is looked at.
    """
    entry = (
        *("--region", grant.cluster.region),
        *("--cluster-name", grant.cluster.name),
        *("--principal-arn", grant.principal_arn),
    )
    look = ("aws", "eks", "describe-access-entry", *entry)
    if alone and not others:
        return look, ("aws", "eks", "delete-access-entry", *entry)
    policy = grant.access.policy_arn
    if policy is None or policy in {one.access.policy_arn for one in others}:
        return look, ("aws", "eks", "list-associated-access-policies", *entry)
    return look, ("aws", "eks", "disassociate-access-policy", *entry, "--policy-arn", policy)
