"""Whether an IAM policy allows a request, as IAM's own rules of evaluation have it.

Only allowing statements, and the operators that the shipped policies use; anything else is an
error here rather than a guess. Source: IAM User Guide, "JSON policy elements: Condition operators"
and "Set operators for multivalued context keys".
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

Values = Collection[str]


@dataclass(frozen=True)
class Request:
    """An action on a resource. `context` holds each key's values; a missing key is absent."""

    action: str
    resource: str
    context: Mapping[str, Values] = field(default_factory=dict)


def allows(policy: Mapping[str, Any], request: Request) -> bool:
    """Whether a statement of the policy allows the request."""
    return any(_applies(statement, request) for statement in policy["Statement"])


def trusts(policy: Mapping[str, Any], caller: Mapping[str, Values]) -> bool:
    """Whether the trust policy of a role lets a caller of its own account assume it.

    `caller` holds the condition keys. The account's root stands for everybody whom the account
    lets do it.
    """
    [statement] = policy["Statement"]
    assert statement["Action"] == "sts:AssumeRole"
    assert statement["Principal"]["AWS"].endswith(":root")
    plain = {key: one for key, one in statement.items() if key != "Principal"}
    return _applies({**plain, "Resource": "*"}, Request("sts:AssumeRole", "a:b", caller))


def _applies(statement: Mapping[str, Any], request: Request) -> bool:
    assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
    assert statement["Effect"] == "Allow"
    return (
        request.action in _listed(statement["Action"])
        and _like(request.resource, _listed(statement["Resource"]))
        and all(
            _OPERATORS[operator](request.context.get(key), _listed(wanted))
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _like(value: str, patterns: Values) -> bool:
    """A `*` matches what it likes within one of an ARN's six parts, which are matched each."""
    parts = value.split(":", 5)
    return any(
        pattern == "*"
        or (
            len(parts) == len(pattern.split(":", 5))
            and all(map(fnmatch.fnmatchcase, parts, pattern.split(":", 5)))
        )
        for pattern in patterns
    )


def _one(found: Values | None, wanted: Values, fits: Callable[[str, Values], bool]) -> bool:
    return found is not None and len(found) == 1 and fits(next(iter(found)), wanted)


def _equal(value: str, wanted: Values) -> bool:
    return value in wanted


def _alike(value: str, patterns: Values) -> bool:
    return any(fnmatch.fnmatchcase(value, pattern) for pattern in patterns)


_OPERATORS: Mapping[str, Callable[[Values | None, Values], bool]] = {
    "StringEquals": lambda found, wanted: _one(found, wanted, _equal),
    # IAM takes the two for the same: both match `*` and `?`.
    "ArnEquals": lambda found, wanted: _one(found, wanted, _like),
    "ArnLike": lambda found, wanted: _one(found, wanted, _like),
    "StringLike": lambda found, wanted: _one(found, wanted, _alike),
    "ArnLikeIfExists": lambda found, wanted: found is None or _one(found, wanted, _like),
    "Null": lambda found, wanted: str(found is None).lower() in wanted,
    "ForAllValues:StringEquals": lambda found, wanted: set(found or ()) <= set(wanted),
}
