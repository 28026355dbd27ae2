"""Standing access at a cluster: what a scan remembers of others' entries, and its summary."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.aws.access_entries import Described
from bot.core.model import AccessScope
from bot.core.planner import STANDARD
from bot.store.drift import Standing, StandingEntry

REMEMBERED_FOR = timedelta(hours=24)
"""How long, on average, an entry of others is taken to be as it was when it was last read."""

MOST_STORED = 200
"""How many of a cluster's principals the summary names; it counts all of them."""

_WIDEST = ("ClusterAdmin", "Admin", "AdminView", "SecretReader", "Edit", "View")
_BY_WIDTH = {f"AmazonEKS{name}Policy": place for place, name in enumerate(_WIDEST)}


@dataclass(frozen=True, slots=True)
class Foreign:
    """An entry that is not the bot's, as it was at `seen_at`. No `policies`: not read yet."""

    principal_arn: str
    described: Described
    policies: dict[str, AccessScope] | None
    seen_at: datetime

    def stale(self, now: datetime) -> bool:
        """Whether to read it again. Each entry has an age of its own, so that reads spread out."""
        share = zlib.crc32(self.principal_arn.encode()) / 2**32
        return abs(now - self.seen_at) >= REMEMBERED_FOR * (0.5 + share)


def summary(foreign: Iterable[Foreign]) -> Standing:
    """Who has standing access, the widest first."""
    every = list(foreign)
    people = [one for one in every if one.described.type == STANDARD]
    giving = [one for one in people if one.policies or one.described.kubernetes_groups]
    giving.sort(key=_order)
    return Standing(
        people=len(giving),
        machines=len(every) - len(people),
        empty=len(people) - len(giving),
        entries=tuple(_entry(one) for one in giving[:MOST_STORED]),
    )


def _order(one: Foreign) -> tuple[bool, int, bool, str]:
    """Groups first, since the bot cannot tell what they allow; then by policy and scope."""
    policies = one.policies or {}
    widest = min((_BY_WIDTH.get(_name(arn), -1) for arn in policies), default=len(_BY_WIDTH))
    narrow = not any(scope.is_cluster for scope in policies.values())
    return not one.described.kubernetes_groups, widest, narrow, one.principal_arn


def _entry(one: Foreign) -> StandingEntry:
    return StandingEntry(
        principal_arn=one.principal_arn,
        policies={_name(arn): str(scope) for arn, scope in sorted((one.policies or {}).items())},
        kubernetes_groups=tuple(sorted(one.described.kubernetes_groups)),
        created_at=one.described.created_at,
    )


def _name(policy_arn: str) -> str:
    return policy_arn.rpartition("/")[2]
