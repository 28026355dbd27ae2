"""The `eks-access` command. Exit codes: 0 good, 1 a finding, 2 bad use or a broken set-up."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Annotated

import structlog
import typer
from sqlalchemy import Connection, select

import bot
from bot import (
    cli_adopt,
    cli_audit,
    cli_drift,
    cli_forget,
    cli_lockdown,
    cli_policy,
    cli_suspend,
    console,
)
from bot.access import end
from bot.cli_common import (
    BEING_REMOVED,
    AsName,
    asked_why,
    current_database,
    environment,
    existing,
    explained,
    known_grant,
    opened,
    read_time,
)
from bot.cli_exit import FINDING, GOOD, Json, fail
from bot.core.durations import format_duration, parse_duration
from bot.core.errors import Conflict, InvalidInput, StoreUnavailable
from bot.core.lifecycle import OPERATOR
from bot.core.model import EndReason, GrantState
from bot.doctor import examine
from bot.doctor_result import Status
from bot.http_server import raise_file_limit
from bot.logs import configure_logs
from bot.policy_file import PolicyError, load_policy
from bot.settings import Settings
from bot.store import entries, grants, migrate
from bot.store.database import Database
from bot.store.instance import only_instance
from bot.store.pooler import ensure_own_sessions
from bot.wiring import Bot, utc_now

_REVOKE_TRIES = 10
_BROKEN_OFF_TRIES = 3
_SIGNAL_SECONDS = 0.5
_STOP_SECONDS = 10.0
"""How long a stop waits for calls that hang: well within the 30 seconds that Kubernetes gives."""

log = structlog.get_logger(__name__)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Just-in-time access to Amazon EKS clusters from Slack, taken away on time.",
)
db = typer.Typer(no_args_is_help=True, help="The database: bring it up to date, or check it.")
app.add_typer(db, name="db")
app.add_typer(cli_audit.app, name="audit")
app.add_typer(cli_policy.app, name="policy")
app.add_typer(cli_lockdown.app, name="lockdown")


def main() -> None:
    """The console command's entry."""
    app()


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"eks-access {bot.__version__}")
        raise typer.Exit(GOOD)


@app.command()
def run() -> None:
    """Run the bot, until it is told to stop. SIGHUP has it read the policy file again."""
    configure_logs()
    raise_file_limit()
    settings = environment()
    with explained(), opened(settings) as database:
        settings.ensure_slack()
        settings.ensure_services()
        with only_instance(database):
            if database.is_sqlite:
                migrate.upgrade(database)
            else:
                ensure_own_sessions(database)
                migrate.ensure_current(database)
            _serve(settings, database)


@app.command()
def sandbox(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where the page is; 0 takes a free port.")
    ] = 8080,
    headless: Annotated[
        bool, typer.Option("--headless", help="Play the story without a page and exit.")
    ] = False,
) -> None:
    """Try the bot on this machine: a local Slack workspace, a local EKS, and a page to see both."""
    missing = [name for name in ("moto", "websockets") if find_spec(name) is None]
    if missing:
        fail(
            f"The sandbox needs {' and '.join(missing)}, which this installation does not have. "
            "Install the extra, in a checkout: pip install -c constraints.txt '.[sandbox]'."
        )
    from bot.sandbox.play import play  # noqa: PLC0415 - needs the extra

    raise typer.Exit(play(port=port, headless=headless))


@db.command("upgrade")
def db_upgrade() -> None:
    """Bring the database to the shape that this version needs."""
    with explained(), opened(environment()) as database:
        before, after = migrate.upgrade(database)
    if before == after:
        typer.echo(f"The database is up to date, at {after}.")
    else:
        typer.echo(f"Upgraded the database from {before or 'nothing'} to {after}.")


@db.command("check")
def db_check() -> None:
    """Say whether this version can work on the database. Exits 1 if not."""
    with explained(), existing(environment()) as database:
        try:
            ensure_own_sessions(database)
            problems = migrate.check(database)
        except StoreUnavailable as error:
            if error.code not in {"database_newer", "database_pooled"}:
                raise
            problems = [error.sentence]
    for problem in problems:
        typer.echo(problem)
    if problems:
        raise typer.Exit(FINDING)
    typer.echo(f"The database is up to date, at {migrate.head()}.")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check the whole set-up against Slack, AWS and the database. Exits 1 on a finding."""
    configure_logs("CRITICAL")
    began = console.progress(sys.stderr)
    with explained():
        results = list(examine(environment(), began))
    began("")
    if as_json:
        typer.echo(json.dumps([asdict(result) for result in results], indent=2))
    else:
        typer.echo(console.result_table(results))
    bad = any(result.status is Status.FINDING for result in results)
    raise typer.Exit(FINDING if bad else GOOD)


@app.command("grants")
def list_grants(
    cluster: Annotated[str | None, typer.Option(help="Only this cluster's.")] = None,
    ended: Annotated[
        str | None, typer.Option(help="Also what ended within this time, such as 7d or 400d.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="What ended from this time on.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="With --from: what ended before this time.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Access that is live now, from the store; and when what ended was seen to be gone.

    With --from, what ended in a span of time alone.
    """
    if since is not None or until is not None:
        _list_ended(cluster, since, until, ended, as_json=as_json)
        return
    within = _length(ended) if ended is not None else None
    with current_database() as database, database.reading() as tx:
        where, unknown = _on(tx, cluster)
        live = grants.live(tx, cluster=cluster)
        if within is not None:
            live = (*grants.ended_since(tx, _ago(within), cluster=cluster), *live)
    if as_json:
        typer.echo(json.dumps([console.grant_json(grant) for grant in live], indent=2))
        return
    if not live:
        lately = f", or had it in the last {format_duration(within)}" if within else ""
        typer.echo(f"Nobody has access through the bot{where} now{lately}.{unknown}")
        return
    typer.echo(console.grant_table(live, utc_now()))


def _list_ended(
    cluster: str | None, since: str | None, until: str | None, ended: str | None, *, as_json: bool
) -> None:
    if since is None or ended is not None:
        fail("Write --from TIME, or --from TIME --until TIME, and no --ended beside it.")
    first = read_time(since)
    last = read_time(until) if until is not None else None
    if last is not None and last <= first:
        fail(f"--until {until} is not after --from {since}, so nothing can have ended between.")
    with current_database() as database, database.reading() as tx:
        where, unknown = _on(tx, cluster)
        found = grants.ended_since(tx, first, cluster=cluster, before=last)
    if as_json:
        typer.echo(json.dumps([console.grant_json(grant) for grant in found], indent=2))
    elif found:
        typer.echo(console.grant_table(found, utc_now()))
    else:
        typer.echo(f"No access through the bot{where} ended then.{unknown}")


def _ago(length: timedelta) -> datetime:
    """The moment so long ago; the first that there is, where it is longer ago than that."""
    try:
        return utc_now() - length
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def _on(tx: Connection, cluster: str | None) -> tuple[str, str]:
    """How a sentence about a cluster goes on, and what to say where the store knows none such."""
    if cluster is None:
        return "", ""
    known = entries.any_at(tx, cluster)
    unknown = f" It never gave any on a cluster named {cluster}: is that its name?"
    return f" on {cluster}", "" if known else unknown


def _length(text: str) -> timedelta:
    try:
        return parse_duration(text, longest=None)
    except InvalidInput as error:
        fail(error.sentence)


app.command()(cli_suspend.suspend)
app.command()(cli_suspend.unsuspend)
app.command("suspensions")(cli_suspend.list_suspensions)
app.command("drift")(cli_drift.list_differences)
app.command("forget")(cli_forget.forget)
app.command("adopt")(cli_adopt.adopt)


@app.command()
def revoke(
    grant: Annotated[str | None, typer.Argument(help="The grant's id, such as 7K3-QMX.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every live grant.")] = False,
    cluster: Annotated[str | None, typer.Option(help="With --all: only this cluster's.")] = None,
    reason: Annotated[str, typer.Option(help="Why; it goes into the audit trail.")] = "",
    as_name: AsName = None,
) -> None:
    """End access now. The running bot removes it, and reads back that it is gone."""
    if (grant is None) != everything or (cluster is not None and not everything):
        fail("Name one grant, or --all, or --all --cluster CLUSTER.")
    reason = asked_why(reason)
    with current_database(as_name=as_name) as database:
        with database.reading() as tx:
            where, unknown = _on(tx, cluster)
        chosen = (
            [known_grant(database, grant)] if grant is not None else _to_revoke(database, cluster)
        )
        if everything:
            left = _revoke_each(database, chosen, reason)
            if left:
                fail(f"Not revoked: {', '.join(left)}. Run the command again.")
        else:
            typer.echo(_revoke(database, chosen[0], reason, skip_ended=False))
    if not chosen:
        lists = "`eks-access grants` lists what is live."
        typer.echo(f"There is nothing to revoke{where}.{unknown} {lists}")


def _to_revoke(database: Database, cluster: str | None) -> list[str]:
    with database.reading() as tx:
        live = grants.live(tx, cluster=cluster)
    return [one.id for one in live if one.state is not GrantState.REVOKING]


def _revoke_each(database: Database, chosen: list[str], why: str) -> list[str]:
    """Revoke each, whatever keeps another. Returns those that could not be revoked."""
    left: list[str] = []
    for number, one in enumerate(chosen):
        try:
            typer.echo(_revoke(database, one, why, skip_ended=True))
        except (Conflict, StoreUnavailable) as error:
            typer.echo(f"{one}: {error.sentence}", err=True)
            left.append(one)
            if isinstance(error, StoreUnavailable) and not _answers(database):
                return left + chosen[number + 1 :]
    return left


def _answers(database: Database) -> bool:
    with suppress(StoreUnavailable), database.reading() as tx:
        return bool(tx.scalar(select(1)))
    return False


def _revoke(database: Database, grant_id: str, why: str, *, skip_ended: bool) -> str:
    """Revoke one grant, also while the running bot is changing it. Returns what to say.

    Raises StoreUnavailable where the database broke it off again and again: PostgreSQL does so once
    with one of two that wait for each other.
    """
    broken_off = 0
    for _ in range(_REVOKE_TRIES):
        try:
            with database.transaction() as tx:
                now = utc_now()
                if skip_ended:
                    end.revoke_whole(tx, grant_id, EndReason.REVOKED, OPERATOR, now, why=why)
                else:
                    grant = end.revoke_or_note(tx, grant_id, OPERATOR, now, why=why)
                    if grant.end_reason is not EndReason.REVOKED:
                        return end.noted(grant)
        except Conflict as error:
            if error.code == "grant_moved_on":
                continue
            if not skip_ended:
                raise
            return f"{grant_id}: {error.sentence}"
        except StoreUnavailable:
            broken_off += 1
            if broken_off == _BROKEN_OFF_TRIES:
                raise
            continue
        return f"{grant_id}: {BEING_REMOVED}"
    raise Conflict("grant_moved_on", f"Grant {grant_id} kept changing. Run the command again.")


def _serve(settings: Settings, database: Database) -> None:
    _ensure_policy(settings.config, database)
    running = Bot(settings)
    # Its `put` may interrupt its `get`; an Event or a lock could be held by what is interrupted.
    told: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda which, _: told.put(which))
    running.start()
    log.info(
        "started",
        version=bot.__version__,
        database=database.place,
        http_host=settings.http_address,
        http_port=running.http.port,
    )
    while _next(told) == signal.SIGHUP:
        log.info("told to read the policy file again")
        running.read_policy_again()
    log.info("stopping")
    hurry = threading.Timer(_STOP_SECONDS, _leave)
    hurry.daemon = True
    hurry.start()
    running.stop()
    hurry.cancel()


def _leave() -> None:
    """End now: what is under way was committed before it began; the next bot goes on with it."""
    log.warning("stopped while calls were under way; the bot goes on with them when it next starts")
    logging.shutdown()
    os._exit(GOOD)


def _next(told: SimpleQueue[int]) -> int:
    """The next signal that was told.

    A signal may come to a thread other than this one, which alone runs what handles it; so this one
    never sleeps for long.
    """
    while True:
        with suppress(Empty):
            return told.get(timeout=_SIGNAL_SECONDS)


def _ensure_policy(file: Path, database: Database) -> None:
    """Without a policy nothing is granted; what was granted before is still taken away on time."""
    try:
        load_policy(file)
    except PolicyError as problem:
        with database.reading() as tx:
            live = grants.live(tx)
        if not live:
            fail(
                f"{problem.report}\n"
                "The policy file has errors, and without it nothing can be granted."
            )
        log.error(  # noqa: TRY400 - the findings say it all, a traceback would hide them
            "the policy file has errors; nothing is granted, and live grants end as they should",
            findings=problem.report,
            live_grants=len(live),
        )
