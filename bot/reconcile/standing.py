"""Standing access at a cluster: what a scan remembers of others' entries, and its summary."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.aws.access_entries import Described
from bot.core.model import AccessScope
from bot.core.planner import STANDARD
from bot.core.standing_width import Width, is_machine, place_of, policies_widest_first, width_of
from bot.store.drift import Standing, StandingEntry

REMEMBERED_FOR = timedelta(hours=24)
"""How long, on average, an entry of others is taken to be as it was when it was last read."""

MOST_STORED = 200
"""How many of a cluster's principals the summary names; it counts all of them."""


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
    """Who has standing access, the widest first; machines are counted apart."""
    every = list(foreign)
    people = [one for one in every if not _is_machine(one)]
    giving = [one for one in people if one.policies or one.described.kubernetes_groups]
    giving.sort(key=_order)
    return Standing(
        people=len(giving),
        machines=len(every) - len(people),
        empty=len(people) - len(giving),
        entries=tuple(_entry(one) for one in giving[:MOST_STORED]),
        by_width=tuple(Counter(str(_width(one)) for one in giving).items()),
    )


def _is_machine(one: Foreign) -> bool:
    groups = one.described.kubernetes_groups
    return one.described.type != STANDARD or is_machine(_names(one), groups)


def _names(one: Foreign) -> list[str]:
    return [_name(arn) for arn in one.policies or {}]


def _width(one: Foreign) -> Width:
    return width_of(_names(one), one.described.kubernetes_groups)


def _order(one: Foreign) -> tuple[int, bool, str]:
    narrow = not any(scope.is_cluster for scope in (one.policies or {}).values())
    return place_of(_width(one)), narrow, one.principal_arn


def _entry(one: Foreign) -> StandingEntry:
    scopes = {_name(arn): str(scope) for arn, scope in (one.policies or {}).items()}
    return StandingEntry(
        principal_arn=one.principal_arn,
        policies={name: scopes[name] for name in policies_widest_first(scopes)},
        kubernetes_groups=tuple(sorted(one.described.kubernetes_groups)),
        created_at=one.described.created_at,
    )


def _name(policy_arn: str) -> str:
    return policy_arn.rpartition("/")[2]
