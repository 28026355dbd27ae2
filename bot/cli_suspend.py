"""`eks-access suspend` and its end, without Slack or a policy."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from bot.access import suspension as use_case
from bot.cli_common import BEING_REMOVED, AsName, asked_why, current_database, environment
from bot.cli_exit import FINDING, GOOD, Json, fail
from bot.core.errors import PolicyUnavailable
from bot.core.lifecycle import OPERATOR
from bot.core.policy import Policy
from bot.policy_file import load_policy
from bot.settings import Settings
from bot.slack.options import PERSON
from bot.slack.suspensions import announce_begun, announce_ended, begun_line
from bot.store import suspensions
from bot.wiring import utc_now

Person = Annotated[str, typer.Argument(help="The Slack user id, such as U01ANA.")]


def suspend(
    person: Person,
    reason: Annotated[str, typer.Option(help="Why; for security and the audit trail.")],
    as_name: AsName = None,
) -> None:
    """Give one person nothing new, and end what they have. The running bot tells security."""
    user = _person(person)
    settings = environment()
    with (
        current_database(settings, as_name=as_name) as database,
        database.transaction() as tx,
    ):
        done = use_case.begin(tx, user, by=OPERATOR, reason=reason, now=utc_now())
        announce_begun(tx, _policy(settings), done)
    typer.echo(f"{user} is suspended. {begun_line(done)}")
    for grant in done.revoked:
        typer.echo(f"{grant.id}: {BEING_REMOVED}")
    typer.echo(f"`eks-access unsuspend {user}` ends it.")


def unsuspend(
    person: Person,
    reason: Annotated[str, typer.Option(help="Why; it goes into the audit trail.")] = "",
    as_name: AsName = None,
) -> None:
    """Let a suspended person ask for access and decide again. Nothing comes back by itself."""
    user, why = _person(person), asked_why(reason)
    settings = environment()
    with (
        current_database(settings, as_name=as_name) as database,
        database.transaction() as tx,
    ):
        over = use_case.end(tx, user, by=OPERATOR, now=utc_now(), why=why)
        announce_ended(tx, _policy(settings), over)
    typer.echo(f"{user} is no longer suspended. What was removed does not come back.")


def list_suspensions(as_json: Json = False) -> None:
    """List who is suspended. Exits 1 while somebody is."""
    with current_database() as database, database.reading() as tx:
        held = suspensions.every(tx)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in held], default=str, indent=2))
    elif not held:
        typer.echo("Nobody is suspended.")
    else:
        for one in held:
            by = "an operator" if one.began_by == OPERATOR else one.began_by
            typer.echo(
                f"{one.person} since {one.began_at:%Y-%m-%d %H:%M} UTC, by {by}: {one.reason}"
            )
    raise typer.Exit(FINDING if held else GOOD)


def _person(typed: str) -> str:
    match = PERSON.match(typed)
    if match is None:
        fail(
            f"`{typed}` is not a Slack user id. In Slack it is under the person's profile: "
            "⋮, Copy member ID."
        )
    return match[1]


def _policy(settings: Settings) -> Policy | None:
    """Whom to tell. Without a valid policy the person alone is told, and nobody is kept from it."""
    try:
        return load_policy(settings.config).policy
    except PolicyUnavailable:
        return None
