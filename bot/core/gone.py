"""When a cluster counts as deleted: AWS has known none of its name for a day, look after look.

Pure. A look counts only if it was made in the cluster's own account, as STS has proven, and region.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.lifecycle import CLOCK_TOLERANCE

GONE_AFTER = timedelta(hours=24)

LONGEST_GAP = timedelta(hours=2)
"""Looks further apart prove nothing of the time between, as where the clock was moved."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The first and the last of an unbroken row of looks that found no such cluster."""

    since: datetime
    at: datetime

    @property
    def gone(self) -> bool:
        """Whether that is proof enough."""
        return self.at - self.since >= GONE_AFTER


def looked(before: Unknown | None, now: datetime) -> Unknown:
    """After one more look that found none."""
    if before is None or not -CLOCK_TOLERANCE <= now - before.at <= LONGEST_GAP:
        return Unknown(now, now)
    return Unknown(min(before.since, now), now)
