"""`eks-access audit`: verify the trail, export it, ask who had access at a moment."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TextIO

import typer

from bot import console_audit
from bot.cli_common import current_database, environment, read_time
from bot.cli_exit import FINDING, GOOD, Json, fail
from bot.core.audit_access import differences
from bot.core.audit_anchors import anchors_in
from bot.core.audit_findings import Anchor
from bot.core.errors import AwsProblem, InvalidInput
from bot.core.ids import parse_id
from bot.policy_file import PolicyError, load_policy
from bot.store import audit_read, grants
from bot.store.audit_verify import verify
from bot.store.database import Database
from bot.wiring import audit_bucket, utc_now

PARALLEL_FROM = 200_000
"""From so many events on it pays to start further processes."""

app = typer.Typer(
    no_args_is_help=True, help="The audit trail: verify it, export it, ask it who had access."
)


class Format(StrEnum):
    """How events are exported."""

    JSONL = "jsonl"
    CSV = "csv"


@app.command("verify")
def audit_verify(
    anchor: Annotated[
        list[str] | None,
        typer.Option(help="A file with anchors, such as a log of the bot; - is standard input."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Find every event that was changed, removed, moved, put in or cut off. Exits 1 if any was."""
    anchors = [*_anchors(anchor or []), *_anchors_in_bucket()]
    with current_database() as database:
        workers = (os.cpu_count() or 1) if _many(database) else 1
        progress = console_audit.slow_progress(sys.stderr)
        report = verify(database, anchors, workers=workers, progress=progress)
    if as_json:
        typer.echo(json.dumps(console_audit.report_json(report), indent=2))
    else:
        typer.echo(_printable(console_audit.report_text(report)))
    raise typer.Exit(FINDING if report.findings else GOOD)


@app.command("export")
def audit_export(
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Events from this time on.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Events before this time.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="JSON Lines, or CSV.")] = Format.JSONL,
    cluster: Annotated[str | None, typer.Option(help="Only this cluster's.")] = None,
    request: Annotated[str | None, typer.Option(help="Only this request's.")] = None,
) -> None:
    """Print the events of a time span, oldest first."""
    first = read_time(since) if since is not None else None
    last = read_time(until) if until is not None else None
    if first is not None and last is not None and last <= first:
        fail(f"--until {until} is not after --from {since}, so there can be no events between.")
    request_id = _request(request) if request is not None else None
    with (
        current_database() as database,
        database.reading(unhurried=True) as tx,
        _output() as stream,
    ):
        events = audit_read.span(
            tx, since=first, until=last, cluster=cluster, request_id=request_id
        )
        write = console_audit.write_csv if form is Format.CSV else console_audit.write_json_lines
        write(events, stream)


@app.command("at")
def audit_at(
    moment: Annotated[
        str,
        typer.Argument(metavar="TIME", help="Such as 2026-11-26T14:30+01:00, or without zone UTC."),
    ],
    cluster: Annotated[str | None, typer.Option(help="Only this cluster's.")] = None,
    as_json: Json = False,
) -> None:
    """Who had access to what at a moment, and who approved it. Exits 1 if the store disagrees."""
    at = read_time(moment)
    if at > utc_now():
        fail(f"{moment} has not been yet. `eks-access grants` shows who has access now.")
    with current_database() as database, database.reading(unhurried=True) as tx:
        held = audit_read.access_at(tx, at, cluster)
        differ = differences(held, grants.unended_at(tx, at, cluster), at)
    if as_json:
        found = {
            "at": at.isoformat(),
            "access": [console_audit.held_json(one) for one in held],
            "differences": differ,
        }
        typer.echo(json.dumps(found, indent=2))
    else:
        where = f" on {cluster}" if cluster is not None else ""
        nobody = f"Nobody had access through the bot{where} at {at:%Y-%m-%d %H:%M:%S} UTC."
        typer.echo(console_audit.held_table(held) if held else nobody)
        for sentence in differ:
            typer.echo(f"The trail and the store differ: {sentence}")
        if differ:
            typer.echo("`eks-access audit verify` tells whether the trail was changed.")
    raise typer.Exit(FINDING if differ else GOOD)


def _many(database: Database) -> bool:
    with database.reading(unhurried=True) as tx:
        return audit_read.highest_id(tx) >= PARALLEL_FROM


def _anchors(sources: Sequence[str]) -> list[Anchor]:
    found: list[Anchor] = []
    for source in sources:
        found += _read_anchors(source)
    deployments = {one.deployment for one in found if one.deployment is not None}
    if len(deployments) > 1:
        names = ", ".join(sorted(deployments))
        fail(f"These anchors are of several deployments ({names}). Give those of one.")
    return found


def _anchors_in_bucket() -> list[Anchor]:
    settings = environment()
    bucket = audit_bucket(settings)
    if bucket is None:
        return []
    try:
        deployment = load_policy(settings.config).policy.deployment
    except PolicyError as problem:
        fail(
            f"{problem.report}\nEKS_ACCESS_AUDIT_BUCKET is set, and the policy file says which "
            "deployment's anchors to read there. Correct it, or unset the variable."
        )
    try:
        return list(bucket.anchors(deployment))
    except AwsProblem as problem:
        fail(problem.sentence)


def _read_anchors(source: str) -> list[Anchor]:
    name = "standard input" if source == "-" else source
    try:
        if source == "-":
            found = list(anchors_in(sys.stdin, name))
        else:
            with Path(source).open(encoding="utf-8", errors="replace") as lines:
                found = list(anchors_in(lines, name))
    except OSError as error:
        fail(f"{name} cannot be read: {error.strerror}. Name a file with anchors, or - for a pipe.")
    if not found:
        fail(
            f"There is no anchor in {name}. An anchor is a line with the words `audit head`, a "
            "position and a hash: from the bot's log, or the message in the audit channel."
        )
    return found


def _request(text: str) -> str:
    try:
        return parse_id(text)
    except InvalidInput:
        fail(f"`{text}` is no request's id, such as 7K3-QMX.")


@contextmanager
def _output() -> Iterator[TextIO]:
    """Standard output for what a script reads: UTF-8, with the line ends that are written."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        yield sys.stdout
        return
    stream = io.TextIOWrapper(buffer, encoding="utf-8", newline="", write_through=False)
    try:
        yield stream
    finally:
        stream.flush()
        stream.detach()


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
