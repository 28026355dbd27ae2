"""Who is on call, as an on-call service said it at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Schedules = tuple[str, tuple[str, ...]]
"""A service's name and the ids of the schedules asked of it: `("pagerduty", ("PABC123",))`."""


@dataclass(frozen=True, slots=True)
class OnCall:
    """People on call at the first level: their email addresses in lower case, the service's ids.

    Not `available` where the service did not answer; `problem` then says so in plain words.
    """

    emails: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    available: bool = True
    problem: str | None = None


OnCallFacts = Mapping[Schedules, OnCall]
