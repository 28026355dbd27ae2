"""Anchors: the chain's head, written down where whoever owns the database cannot change it.

Every anchor is one line with the words `audit head`, a position and a hash, whether it is a line of
the log, a message in Slack or an object in S3, so that all are read alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from bot.core.audit_chain import Head
from bot.core.audit_findings import Anchor

EVENT = "audit head"

_SAID = re.compile(r"audit head", re.IGNORECASE)
_POSITION = re.compile(r"\bposition\b\W{1,12}?(\d{1,18})\b")
_HASH = re.compile(r"\b[0-9a-f]{64}\b")
_DEPLOYMENT = re.compile(r"\bdeployment\b\W{1,12}?([\w.-]+)")
_TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def line(head: Head, deployment: str) -> str:
    """The head as people read it."""
    return f"Audit head of deployment {deployment}: position {head.position}, hash {head.hash}"


def anchors_in(lines: Iterable[str], source: str) -> Iterator[Anchor]:
    """The anchors among lines of any text, such as a whole log. `source` names it in findings."""
    for number, text in enumerate(lines, 1):
        if not _SAID.search(text):
            continue
        plain = _COLOURS.sub("", text)
        position, hash_ = _POSITION.search(plain), _HASH.search(plain)
        if position is None or hash_ is None:
            continue
        deployment = _DEPLOYMENT.search(plain)
        yield Anchor(
            int(position[1]),
            hash_[0],
            f"{source}, line {number}",
            deployment[1] if deployment is not None else None,
            at=_time_in(plain),
        )


def _time_in(text: str) -> datetime | None:
    """The time that a line of a log begins with or holds: ISO 8601 with its zone, as UTC."""
    found = _TIME.search(text)
    if found is None:
        return None
    try:
        return datetime.fromisoformat(found[0]).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
