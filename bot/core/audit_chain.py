"""The hash chain over the audit trail: what is hashed, and how one seal follows from another.

    digest = SHA-256(canonical JSON of the event and the time of its sealing)
    hash   = SHA-256(hash of the seal before it + digest)

Hashes are 64 small hexadecimal letters, joined as such; before the first there is `FIRST`. The
digest tells whether an event is as it was sealed, the hash whether it stands where it stood.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

FIRST = "0" * 64


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name stands twice in the JSON of an event's details")
    return value


# Made once: json.loads and json.dumps with options make theirs anew at each call.
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
_decode = json.JSONDecoder(object_pairs_hook=_unique).decode


class StoredEvent(NamedTuple):
    """An audit event as it lies in its row. `at` is `YYYY-MM-DD HH:MM:SS.ffffff` in UTC.

    `details` is the JSON's text: its value counts, because PostgreSQL keeps no spelling of it.
    """

    id: int
    at: str
    actor: str
    action: str
    request_id: str | None
    cluster: str | None
    details: str


@dataclass(frozen=True, slots=True)
class Seal:
    """The seal of one event. Positions count from 1 without a gap."""

    position: int
    event_id: int
    sealed_at: datetime
    digest: str
    hash: str


class Head(NamedTuple):
    """The last seal. Its hash stands for all events up to it, its position is their count."""

    position: int
    hash: str


EMPTY = Head(0, FIRST)


def seal(head: Head, events: Iterable[StoredEvent], now: datetime) -> list[Seal]:
    """The seals of events that have none yet, in the order given, after `head`.

    A row that the bot cannot have written has none: it keeps nothing else from being sealed.
    """
    seals = []
    text = time_text(now)
    for event in events:
        digest = digest_of(event, text)
        if digest is not None:
            head = Head(head.position + 1, link(head.hash, digest))
            seals.append(Seal(head.position, event.id, now, digest, head.hash))
    return seals


def link(previous: str, digest: str) -> str:
    """The hash of a seal."""
    return sha256(f"{previous}{digest}".encode()).hexdigest()


def digest_of(event: StoredEvent, sealed_at: str) -> str | None:
    """The digest of an event; None where its row is none that the bot can have written."""
    try:
        return sha256(_encode(fields(event, sealed_at)).encode()).hexdigest()
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def fields(event: StoredEvent, sealed_at: str | None) -> dict[str, Any]:
    """What is hashed of an event, by the names under which it is exported."""
    return {
        "action": event.action,
        "actor": event.actor,
        "at": iso(event.at),
        "cluster": event.cluster,
        "details": read_details(event.details),
        "id": event.id,
        "request_id": event.request_id,
        "sealed_at": iso(sealed_at) if sealed_at is not None else None,
    }


def read_details(text: str) -> Any:
    """The value of an event's details.

    Raises ValueError for JSON with a name twice, of which some readers take the first and others
    the last.
    """
    return _decode(text)


def time_text(time: datetime) -> str:
    """A UTC time as the row of an event has it."""
    return f"{time:%Y-%m-%d %H:%M:%S.%f}"


def iso(time: str) -> str:
    """The time of a row, as ISO 8601."""
    return f"{time.replace(' ', 'T')}Z"
