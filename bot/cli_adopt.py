"""`eks-access adopt`: take over the access entries that were made from a database that is lost."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from bot import console
from bot.access import adopt as use_case
from bot.aws.clients import EksClients
from bot.cli_common import AsName, asked_why, current_database, environment
from bot.cli_drift import Difference, clusters_to_read, differences
from bot.cli_exit import FINDING, GOOD, Json, fail
from bot.core.drift import Kind
from bot.core.lifecycle import OPERATOR
from bot.core.policy import Policy
from bot.logs import configure_logs
from bot.policy_file import PolicyError, load_policy
from bot.settings import Settings
from bot.slack.policy_watch import channels
from bot.slack.store_views import adopted
from bot.store import announcements
from bot.store.announcements import ADOPTION
from bot.store.database import Database
from bot.wiring import utc_now


def adopt(
    yes: Annotated[bool, typer.Option("--yes", help="Take them over. Without it: only list.")] = (
        False
    ),
    reason: Annotated[
        str, typer.Option(help="With --yes: how you know; it goes into the audit trail.")
    ] = "",
    as_name: AsName = None,
    as_json: Json = False,
) -> None:
    """Take over access entries that were made from another database, when that one is lost.

    The running bot then removes those that its own database does not know. Without --yes it lists
    them, changes nothing, and exits 1 where there are any. Exits 1 where a cluster cannot be read.
    """
    configure_logs("CRITICAL")
    settings = environment()
    policy = _policy(settings)
    why = asked_why(reason) if yes else ""
    with current_database(settings, as_name=as_name) as database:
        found = _read(database, policy)
        theirs = [one for one in found if one.finding is not None]
        if yes and theirs:
            _adopt(database, policy, theirs, why)
        if as_json:
            typer.echo(json.dumps([_as_json(one) for one in found], indent=2))
        else:
            _print(database, found, theirs, yes=yes)
    unread = len(theirs) < len(found)
    raise typer.Exit(FINDING if unread or (theirs and not yes) else GOOD)


def _policy(settings: Settings) -> Policy:
    try:
        return load_policy(settings.config).policy
    except PolicyError as problem:
        fail(
            f"{problem.report}\nThe policy file has errors, so neither the deployment nor its "
            "clusters are known. Nothing was changed."
        )


def _read(database: Database, policy: Policy) -> list[Difference]:
    """The entries that were made from another database, and the clusters that cannot be read."""
    began = console.progress(sys.stderr, "Reading")
    clusters = clusters_to_read(database, policy, None)
    reading = differences(
        database, EksClients(), clusters, policy.deployment, clock=utc_now, began=began
    )
    found = [
        one for one in reading if one.finding is None or one.finding.kind is Kind.ANOTHER_STORE
    ]
    began("")
    return found


def _adopt(database: Database, policy: Policy, theirs: Sequence[Difference], why: str) -> None:
    identities = {one.finding.subject for one in theirs if one.finding is not None}
    said, now = adopted(len(theirs)), utc_now()
    with database.transaction() as tx:
        use_case.adopt(
            tx, policy.deployment, identities, len(theirs), by=OPERATOR, now=now, why=why
        )
        for channel in channels(policy):
            announcements.announce(
                tx,
                key=f"{ADOPTION}over:{now.isoformat()}",
                channel=channel,
                text=said.text,
                blocks=said.blocks,
                now=now,
            )


def _print(
    database: Database, found: Sequence[Difference], theirs: Sequence[Difference], *, yes: bool
) -> None:
    if found:
        typer.echo(_table(found))
    here = f"This database, {database.place},"
    if not theirs:
        typer.echo(f"{here} has nothing to take over.")
    elif yes:
        typer.echo(
            f"{here} has taken over {len(theirs)}. The running bot removes what it does not "
            "know, or the next one to start."
        )
    else:
        typer.echo(
            f"{here} did not make these. If another bot runs for this deployment, set DATABASE_URL "
            "to its database, or give one of the two its own `deployment`. If their database is "
            "lost, `eks-access adopt --yes` takes them over: the bot then removes them. "
            "Nothing was changed."
        )


def _table(found: Sequence[Difference]) -> str:
    rows = [("CLUSTER", "PRINCIPAL", "DATABASE")]
    for one in found:
        database = (one.finding.subject or "not named") if one.finding is not None else one.problem
        rows.append((one.cluster.name, one.principal_arn or "unreadable", database))
    return console.table(rows)


def _as_json(one: Difference) -> dict[str, str | None]:
    """Stable for scripts. `store` is null where a cluster could not be read, for `problem`."""
    return {
        "cluster": one.cluster.name,
        "region": one.cluster.region,
        "account": one.cluster.account,
        "principal_arn": one.principal_arn,
        "store": one.finding.subject if one.finding is not None else None,
        "problem": one.problem,
    }
