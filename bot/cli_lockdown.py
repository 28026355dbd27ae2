"""`eks-access lockdown`: stop all granting from the command line, without Slack or a policy."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from bot.access import lockdown as use_case
from bot.cli_common import BEING_REMOVED, AsName, asked_why, current_database, environment
from bot.cli_exit import FINDING, GOOD, Json
from bot.core.errors import PolicyUnavailable
from bot.core.lifecycle import OPERATOR
from bot.core.policy import Policy
from bot.policy_file import load_policy
from bot.settings import Settings
from bot.slack.lockdowns import announce_begun, announce_ended
from bot.store import lockdowns
from bot.wiring import utc_now

app = typer.Typer(
    no_args_is_help=True, help="Lockdown: while it is on, nothing new is granted to anybody."
)


@app.command("on")
def turn_on(
    reason: Annotated[str, typer.Option(help="Why; everybody who asks for access reads it.")],
    revoke: Annotated[bool, typer.Option("--revoke", help="Revoke what is live, too.")] = False,
    as_name: AsName = None,
) -> None:
    """Grant nothing new until it is turned off. The running bot tells the security channel."""
    settings = environment()
    with (
        current_database(settings, as_name=as_name) as database,
        database.transaction() as tx,
    ):
        lockdown, revoked = use_case.begin(
            tx, by=OPERATOR, reason=reason, revoking=revoke, now=utc_now()
        )
        announce_begun(tx, _policy(settings), lockdown, len(revoked))
    typer.echo("Lockdown is on: nothing new is granted. `eks-access lockdown off` ends it.")
    for grant in revoked:
        typer.echo(f"{grant.id}: {BEING_REMOVED}")


@app.command("off")
def turn_off(
    reason: Annotated[str, typer.Option(help="Why; it goes into the audit trail.")] = "",
    as_name: AsName = None,
) -> None:
    """Let access be granted again, as the policy says."""
    why = asked_why(reason)
    settings = environment()
    with (
        current_database(settings, as_name=as_name) as database,
        database.transaction() as tx,
    ):
        over = use_case.end(tx, by=OPERATOR, now=utc_now(), why=why)
        announce_ended(tx, _policy(settings), over)
    typer.echo("Lockdown is over: access is granted as the policy says.")


@app.command("status")
def status(as_json: Json = False) -> None:
    """Say whether lockdown is on. Exits 1 while it is."""
    with current_database() as database, database.reading() as tx:
        current = lockdowns.current(tx)
    if as_json:
        typer.echo(json.dumps(asdict(current) if current else None, default=str, indent=2))
    elif current is None:
        typer.echo("Lockdown is not on.")
    else:
        by = "an operator" if current.began_by == OPERATOR else current.began_by
        typer.echo(
            f"Lockdown since {current.began_at:%Y-%m-%d %H:%M} UTC, by {by}: {current.reason}"
        )
    raise typer.Exit(GOOD if current is None else FINDING)


def _policy(settings: Settings) -> Policy | None:
    """Whom to tell. Without a valid policy nobody is told, and that keeps nobody from locking."""
    try:
        return load_policy(settings.config).policy
    except PolicyUnavailable:
        return None
