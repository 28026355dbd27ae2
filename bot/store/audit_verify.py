"""Verifying the audit trail: every event against its seal, every seal against the one before it.

It streams: a part of the chain at a time, and what is kept does not grow with the chain. A long
chain is shared out among processes, for hashing is what takes the time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import NamedTuple

from bot.core.audit_chain import Head, digest_of
from bot.core.audit_findings import Anchor, Finding, against_anchors, findings, unguarded
from bot.core.audit_scan import MOST, WINDOW, Place, Scan, Scanner, joined
from bot.store import audit_seals
from bot.store.database import Database

PART = 50_000
_AT_ONCE = 5_000

Progress = Callable[[int, int], None]
"""Told how many of how many parts are done."""


@dataclass(frozen=True, slots=True)
class Report:
    """What verifying found. `left_out` findings are more than are told one by one.

    `late` events were sealed more than an hour after their time, `first_late` first.
    """

    head: Head
    events: int
    waiting: int
    anchors: int
    findings: Sequence[Finding]
    left_out: int
    late: int
    first_late: Place | None


def verify(
    database: Database,
    anchors: Sequence[Anchor] = (),
    *,
    workers: int = 1,
    part: int = PART,
    progress: Progress = lambda *_: None,
) -> Report:
    """Look at everything that is sealed now. More than one worker: as many processes."""
    with database.reading(unhurried=True) as tx:
        head = audit_seals.head(tx)
        chain = audit_seals.parts_of_chain(tx, head.position, part) if head.position else []
        events = audit_seals.parts_of_events(tx, part)
        guards = audit_seals.missing_guards(tx)
    wanted = frozenset(anchor.position for anchor in anchors)
    tasks: list[_Task] = [_Chain(after, until, wanted) for after, until in chain]
    tasks += [_Events(after, until) for after, until in events]
    scans = [Scan(), *_carried_out(database, tasks, workers, progress), _waiting(database)]
    scan = joined(scans)
    found = [*(unguarded(name) for name in guards), *findings(scan)]
    return Report(
        head=head,
        events=scan.count,
        waiting=scan.waiting,
        anchors=len(anchors),
        findings=[*found, *against_anchors(scan, anchors)],
        left_out=scan.left_out,
        late=scan.late,
        first_late=scan.first_late,
    )


class _Chain(NamedTuple):
    """The task to scan a part of the chain."""

    after: int | None
    until: int
    wanted: Collection[int]

    def do(self, database: Database) -> Scan:
        with database.reading(unhurried=True) as tx:
            after = self.after
            earlier = [] if after is None else audit_seals.before(tx, after, WINDOW)
            scanner = Scanner(earlier, self.wanted)
            while rows := audit_seals.chain(tx, after=after, until=self.until, limit=_AT_ONCE):
                scanner.feed(rows)
                after = rows[-1].position
            return scanner.scan


class _Events(NamedTuple):
    """The task to look for events that have no seal and wait for none."""

    after: int | None
    until: int

    def do(self, database: Database) -> Scan:
        with database.reading(unhurried=True) as tx:
            found = audit_seals.without_seal(tx, after=self.after, until=self.until)
        return Scan(loose=found[:MOST], left_out=len(found[MOST:]))


_Task = _Chain | _Events


def _waiting(database: Database) -> Scan:
    """What waits for its seal, and which of that never gets one."""
    scan = Scan()
    after: int | None = 0
    with database.reading(unhurried=True) as tx:
        while after is not None:
            events = audit_seals.to_seal(tx, after=after, limit=_AT_ONCE)
            scan.waiting += len(events)
            strange = [one for one in events if digest_of(one, "") is None]
            scan.strange += [(one.id, one.request_id) for one in strange[:MOST]]
            after = events[-1].id if events else None
    return scan


def _carried_out(
    database: Database, tasks: Sequence[_Task], workers: int, progress: Progress
) -> Iterator[Scan]:
    workers = min(workers, len(tasks))
    if workers < 2:  # noqa: PLR2004 - one worker is this process
        for done, task in enumerate(tasks, 1):
            yield task.do(database)
            progress(done, len(tasks))
        return
    url = database.engine.url.render_as_string(hide_password=False)
    with ProcessPoolExecutor(workers, get_context("spawn"), _open, (url,)) as pool:
        for done, scan in enumerate(pool.map(_do, tasks), 1):
            yield scan
            progress(done, len(tasks))


_opened: list[Database] = []
"""The database of a process that helps to verify."""


def _open(url: str) -> None:
    _opened.append(Database(url))


def _do(task: _Task) -> Scan:
    return task.do(_opened[0])
