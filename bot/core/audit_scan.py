"""Going along the chain: each event against its seal, each seal against the one before it.

What does not fit is noted with what `audit_findings` needs to say what happened. A long chain can
be scanned in parts, each from the seals before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from bot.core.audit_chain import FIRST, StoredEvent, digest_of, link

WINDOW = 64
"""How many seals before one that does not fit are looked at for the one that it follows."""

MOST = 200
"""How many of each kind of trouble are kept to be explained; more are counted."""

LATE = timedelta(hours=1)
"""Sealed so long after its time, an event is pointed out: the bot seals within a second."""


class SealedEvent(NamedTuple):
    """A seal as it lies in its row, and the row of its event, if that is there."""

    position: int
    event_id: int
    sealed_at: str
    digest: str
    hash: str
    event: StoredEvent | None


class Place(NamedTuple):
    """Where a seal stands, and whose it is."""

    position: int
    event_id: int | None
    request_id: str | None
    digest: str
    hash: str


START = Place(0, None, None, "", FIRST)


class Gap(NamedTuple):
    """Positions that no seal has, between two that have one.

    `joined`: nothing is missing there, for the seal behind follows the one before.
    """

    before: Place
    behind: Place
    joined: bool


class Unfit(NamedTuple):
    """An event that is not as its digest says. `restored`: with its own digest, the hash fits."""

    place: Place
    event: StoredEvent
    sealed_at: str
    restored: bool


class Unlinked(NamedTuple):
    """A seal that does not follow the one before it; `earlier` are those before, oldest first."""

    place: Place
    earlier: Sequence[Place]


@dataclass(slots=True)
class Scan:
    """What was found along one part of the chain, or among events outside of it.

    `loose` events have no seal and wait for none, `strange` ones wait and can never have one: each
    with its id and its request's.
    """

    last: Place = START
    count: int = 0
    gone: list[Place] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    doubled: list[Place] = field(default_factory=list)
    unfit: list[Unfit] = field(default_factory=list)
    unlinked: list[Unlinked] = field(default_factory=list)
    loose: list[tuple[int, str | None]] = field(default_factory=list)
    strange: list[tuple[int, str | None]] = field(default_factory=list)
    waiting: int = 0
    left_out: int = 0
    late: int = 0
    first_late: Place | None = None
    seen: dict[int, Place] = field(default_factory=dict)


class Scanner:
    """Scans one part. `earlier` are the seals before it, oldest first; none: the chain's beginning.

    The places at the positions of `wanted` are kept, for what was anchored there.
    """

    def __init__(self, earlier: Sequence[Place], wanted: Collection[int]) -> None:
        self._recent = deque([START, *earlier], WINDOW)
        self._wanted = wanted
        self.scan = Scan(last=self._recent[-1])

    def feed(self, rows: Iterable[SealedEvent]) -> None:
        """Look at the rows that come next by position."""
        scan, recent, wanted = self.scan, self._recent, self._wanted
        last = scan.last
        for row in rows:
            event = row.event
            place = Place(
                row.position,
                row.event_id,
                event.request_id if event is not None else None,
                row.digest,
                row.hash,
            )
            scan.count += 1
            follows = link(last.hash, row.digest) == row.hash
            if row.position <= last.position:
                self._keep(scan.doubled, place)
                continue
            if event is None:
                self._keep(scan.gone, place)
            else:
                digest = digest_of(event, row.sealed_at)
                if digest != row.digest:
                    restored = digest is not None and link(last.hash, digest) == row.hash
                    follows = follows or restored
                    self._keep(scan.unfit, Unfit(place, event, row.sealed_at, restored))
                elif row.sealed_at[:13] != event.at[:13]:
                    self._late(place, event.at, row.sealed_at)
            if row.position != last.position + 1:
                self._keep(scan.gaps, Gap(last, place, joined=follows))
            elif not follows:
                self._keep(scan.unlinked, Unlinked(place, tuple(recent)))
            if row.position in wanted:
                scan.seen[row.position] = place
            recent.append(place)
            last = place
        scan.last = last

    def _keep(self, kept: list[Any], one: object) -> None:
        if len(kept) < MOST:
            kept.append(one)
        else:
            self.scan.left_out += 1

    def _late(self, place: Place, at: str, sealed_at: str) -> None:
        try:
            late = datetime.fromisoformat(sealed_at) - datetime.fromisoformat(at) > LATE
        except ValueError:
            return  # it was sealed so
        if late:
            self.scan.late += 1
            self.scan.first_late = self.scan.first_late or place


def joined(parts: Sequence[Scan]) -> Scan:
    """The scans of consecutive parts, as one."""
    whole = Scan(last=max((part.last for part in parts), key=lambda last: last.position))
    for part in parts:
        whole.count += part.count
        whole.gone += part.gone
        whole.gaps += part.gaps
        whole.doubled += part.doubled
        whole.unfit += part.unfit
        whole.unlinked += part.unlinked
        whole.loose += part.loose
        whole.strange += part.strange
        whole.waiting += part.waiting
        whole.left_out += part.left_out
        whole.late += part.late
        whole.first_late = whole.first_late or part.first_late
        whole.seen |= part.seen
    return whole
