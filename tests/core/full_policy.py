"""A policy file in which every key that may hold an id holds one, and no id stands twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

ACCOUNT = "111122223333"
_NAME = re.compile(r"[USC]0[A-Z]+|arn:aws:iam::\S+")

FULL: dict[str, Any] = {
    "deployment": "acme",
    "audit_channel": "C0TRAIL",
    "security_channel": "C0ALARMS",
    "clusters": [
        {
            "name": "prod-eu",
            "region": "eu-west-1",
            "account": ACCOUNT,
            "assume_role": f"arn:aws:iam::{ACCOUNT}:role/reaches-it",
        }
    ],
    "levels": {"view": {"policy": "AmazonEKSViewPolicy"}},
    "principals": {
        "users": {"U0MAPPED": f"arn:aws:iam::{ACCOUNT}:role/eks-jit/mapped"},
        "template": "arn:aws:iam::{account}:role/eks-jit/{email_name}",
        "email_domains": ["example.com"],
        "shared": [f"arn:aws:iam::{ACCOUNT}:role/eks-jit/shared"],
    },
    "rules": [
        {
            "name": "by owners",
            "clusters": ["*"],
            "levels": ["view"],
            "namespaces": ["payments"],
            "max_duration": "1h",
            "requesters": {"users": ["U0ASKS"], "groups": ["S0ASKS"]},
            "approval": {
                "channel": "C0OWNERS",
                "owners": {"users": ["U0OWNS"], "groups": ["S0OWNS"], "channels": ["C0OWN"]},
                "also": [
                    {
                        "name": "law",
                        "owners": {"users": ["U0LAW"], "groups": ["S0LAW"], "channels": ["C0LAW"]},
                        "channel": "C0LAWYERS",
                    }
                ],
                "escalate": {
                    "after": "5m",
                    "channel": "C0LATER",
                    "owners": {"users": ["U0LATE"], "groups": ["S0LATE"], "channels": ["C0LATE"]},
                },
                "delegation": {
                    "longest": "7d",
                    "to": {"users": ["U0DEPUTY"], "groups": ["S0DEPUTY"]},
                },
            },
        },
        {
            "name": "at once",
            "clusters": ["*"],
            "levels": ["view"],
            "namespaces": ["batch"],
            "max_duration": "1h",
            "approval": {"automatic": {"per_day": 1}, "channel": "C0SHOWN"},
        },
    ],
    "break_glass": [
        {
            "clusters": ["*"],
            "levels": ["view"],
            "max_duration": "1h",
            "responders": {
                "users": ["U0GLASS"],
                "groups": ["S0GLASS"],
                "pagerduty": {"schedules": ["PA"], "users": {"PB": "U0PAGER"}},
                "opsgenie": {"schedules": ["OA"], "users": {"OB": "U0GENIE"}},
                "fallback": {"users": ["U0FALL"], "groups": ["S0FALL"]},
            },
            "review": {
                "within": "24h",
                "owners": {"users": ["U0LOOKS"], "groups": ["S0LOOKS"], "channels": ["C0LOOK"]},
                "escalate": {
                    "after": "24h",
                    "channel": "C0LOOKS",
                    "owners": {"users": ["U0SEES"], "groups": ["S0SEES"], "channels": ["C0SEE"]},
                },
            },
        }
    ],
    "lockdown": {
        "owners": {"users": ["U0LOCKS"], "groups": ["S0LOCKS"], "channels": ["C0LOCK"]},
        "break_glass": {"users": ["U0SPARED"], "groups": ["S0SPARED"]},
    },
    "backstop": {"role": f"arn:aws:iam::{ACCOUNT}:role/backstop", "group": "eks-access"},
}


def names_in(value: object, keys: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each id and ARN of a file as it is written, with the keys above it.

    What is filled in for each person is none; the keys of a mapping by ids are not told.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            if _NAME.fullmatch(key):
                yield key, keys
            yield from names_in(inner, (*keys, key))
    elif isinstance(value, list):
        for inner in value:
            yield from names_in(inner, keys)
    elif isinstance(value, str) and _NAME.fullmatch(value) and "{email_name}" not in value:
        yield value, keys
