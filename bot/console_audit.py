"""What the audit commands print: reports for people, JSON Lines and CSV for scripts."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any, TextIO

from bot.console import table
from bot.core.audit_access import Held
from bot.core.audit_chain import iso, time_text
from bot.store.audit_read import Recorded
from bot.store.audit_verify import Report

FIELDS = (
    "position",
    "id",
    "at",
    "actor",
    "action",
    "request_id",
    "cluster",
    "details",
    "sealed_at",
    "digest",
    "hash",
)
"""The fields of an exported event, in the order of CSV's columns. They do not change."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_PATIENCE = 2.0
_PAUSE = 10.0


def event_json(recorded: Recorded) -> dict[str, Any]:
    """An event as it is exported. Without `position`, `digest` and `hash` it is what is hashed."""
    event, sealed_at = recorded.event, recorded.sealed_at
    return {
        "position": recorded.position,
        "id": recorded.id,
        "at": iso(time_text(event.at)),
        "actor": event.actor,
        "action": event.action,
        "request_id": event.request_id,
        "cluster": event.cluster,
        "details": event.details,
        "sealed_at": iso(time_text(sealed_at)) if sealed_at is not None else None,
        "digest": recorded.digest,
        "hash": recorded.hash,
    }


def write_json_lines(events: Iterable[Recorded], stream: TextIO) -> None:
    """One JSON object a line."""
    stream.writelines(json.dumps(event_json(one), separators=(",", ":")) + "\n" for one in events)


def write_csv(events: Iterable[Recorded], stream: TextIO) -> None:
    """A line of names, then one line an event; `details` is JSON. Lines end as RFC 4180 has it.

    A cell that a spreadsheet would take for a formula gets a `'` in front.
    """
    writer = csv.writer(stream)
    writer.writerow(FIELDS)
    for one in events:
        values = event_json(one)
        values["details"] = json.dumps(values["details"], ensure_ascii=False)
        writer.writerow([_cell(values[name]) for name in FIELDS])


def report_json(report: Report) -> dict[str, Any]:
    """A report of `audit verify`."""
    return {
        "good": not report.findings,
        "events": report.events,
        "waiting": report.waiting,
        "head": report.head._asdict(),
        "anchors": report.anchors,
        "findings": [asdict(one) for one in report.findings],
        "left_out": report.left_out,
        "late": report.late,
    }


def report_text(report: Report) -> str:
    """A report of `audit verify`, for people: findings first, then what was looked at."""
    lines = [f"{one.kind}: {one.sentence}" for one in report.findings]
    if report.left_out:
        lines.append(f"And {report.left_out} more of the same.")
    if report.late and report.first_late is not None:
        lines.append(
            f"Note: {_events(report.late)} sealed more than an hour after their time, first event "
            f"{report.first_late.event_id} (position {report.first_late.position}). That is so of "
            "what was recorded before there were seals or while no bot ran; else somebody put them "
            "in with an earlier time."
        )
    if report.waiting:
        lines.append(
            f"Note: {_events(report.waiting)} without a seal. A running bot seals within a second."
        )
    against = f", and {_count(report.anchors, 'anchor')}" if report.anchors else ""
    findings = _count(len(report.findings) + report.left_out, "finding")
    lines.append(f"Looked at {_events(report.events)}{against}: {findings}.")
    if report.events:
        lines.append(f"Audit head: position {report.head.position}, hash {report.head.hash}")
    if not report.anchors:
        lines.append(
            "Without an anchor nobody can tell whether the end was cut off, or the whole was "
            "written anew. Give one with --anchor: a log of the bot, or the message in Slack."
        )
    return "\n".join(lines)


def held_json(held: Held) -> dict[str, Any]:
    """What somebody had at a moment. `namespaces` empty is the whole cluster."""
    return asdict(held)


def held_table(held: Iterable[Held]) -> str:
    """One line a grant, columns aligned."""
    rows = [("GRANT", "STATE", "WHO", "CLUSTER", "LEVEL", "SCOPE", "SINCE", "UNTIL", "APPROVED BY")]
    rows += [
        (
            one.request_id,
            str(one.state),
            one.requester,
            one.cluster,
            one.level or "",
            ", ".join(one.namespaces) or "cluster",
            _minute(one.since),
            _minute(one.ends_at),
            one.approval,
        )
        for one in held
    ]
    return table(rows)


def slow_progress(
    stream: TextIO, clock: Callable[[], float] = time.monotonic
) -> Callable[..., None]:
    """Says how far a long work is, once it takes more than two seconds.

    On a terminal in one line that changes, elsewhere in a line every ten seconds.
    """
    begun = clock()
    last = begun - _PAUSE

    def tell(done: int, of: int) -> None:
        nonlocal last
        now = clock()
        if now - begun < _PATIENCE:
            return
        if stream.isatty():
            stream.write(f"\r\x1b[K{'' if done == of else f'Verifying … {100 * done // of} %'}")
        elif now - last >= _PAUSE and done < of:
            last = now
            stream.write(f"Verifying: {100 * done // of} % after {now - begun:.0f} s\n")
        stream.flush()

    return tell


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _events(count: int) -> str:
    return _count(count, "event")


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}" if count else f"no {what}s"


def _minute(text: str | None) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M}" if text else ""
