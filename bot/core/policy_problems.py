"""What a check of the policy finds, and the ways through a policy that the checks share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from bot.core.policy import ClusterChoice, Policy, Rule, form_key
from bot.core.policy_approval import Approval

Location = tuple[str | int, ...]
"""The way to an entry: `("rules", 0, "levels", 2)`."""


class Severity(StrEnum):
    """ERROR: not in force. WARNING: a mistake with no effect. NOTE: worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at `at`, and what to do; `other` is the entry it collides with, if any."""

    severity: Severity
    at: Location
    message: str
    remedy: str
    other: Location | None = None


def error(at: Location, message: str, remedy: str, other: Location | None = None) -> Problem:
    return Problem(Severity.ERROR, at, message, remedy, other)


def warning(at: Location, message: str, remedy: str, other: Location | None = None) -> Problem:
    return Problem(Severity.WARNING, at, message, remedy, other)


def choices(policy: Policy) -> Iterator[tuple[Location, ClusterChoice]]:
    """The rules and the entries of break-glass."""
    for index, rule in enumerate(policy.rules):
        yield ("rules", index), rule
    for index, entry in enumerate(policy.break_glass):
        yield ("break_glass", index), entry


def approval_rules(policy: Policy) -> Iterator[tuple[Location, Rule, Approval]]:
    """The approvals by owners, each with its rule."""
    for index, rule in enumerate(policy.rules):
        if isinstance(rule.approval, Approval):
            yield ("rules", index, "approval"), rule, rule.approval


def same_person(policy: Policy, user: str) -> frozenset[str]:
    """`user`, and who is mapped to the same principal in these very words."""
    arn = policy.principals.users.get(user)
    same = policy.principals.users_by_key[form_key(arn)] if arn is not None else ()
    return frozenset({user, *same})
