"""Which person an event of the command line is by, as far as the machine knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KEY = "operator"
"""Where it stands in an event's details: `{"name": …, "user": …, "sudo_user": …, "host": …}`.

`name` is what they called themselves by `--as`; `user` is the account of the operating system,
`sudo_user` the one from which it was reached. What is not known is left out.
"""

MOST_NAME_CHARACTERS = 100


def called(details: Mapping[str, Any]) -> str:
    """By which name alone, for those who need not know the machine: `Ana Ruiz`, or `ana`."""
    found = details.get(KEY)
    if not isinstance(found, Mapping):
        return ""
    return next((str(found[key]) for key in ("name", "sudo_user", "user") if found.get(key)), "")


def in_words(details: Mapping[str, Any]) -> str:
    """`Ana Ruiz, root (from ana) on bastion-1`; empty where nothing is known."""
    found = details.get(KEY)
    if not isinstance(found, Mapping):
        return ""
    name, user, host = (str(found.get(key) or "") for key in ("name", "user", "host"))
    if user and found.get("sudo_user"):
        user = f"{user} (from {found['sudo_user']})"
    place = " on ".join(part for part in (user, host) if part)
    return ", ".join(part for part in (name, place) if part)
