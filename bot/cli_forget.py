"""`eks-access forget`: end a grant whose cluster is gone, where nothing can be read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer
from sqlalchemy import Connection

from bot.access import end
from bot.aws import access_entries
from bot.aws.clients import EksClients
from bot.aws.errors import NO_CLUSTER, NO_ENTRIES
from bot.cli_common import AsName, current_database, environment, known_grant
from bot.cli_exit import FINDING, Json, fail
from bot.core.errors import AwsProblem, Conflict
from bot.core.model import Grant
from bot.core.policy import Policy
from bot.policy_file import PolicyError, load_policy
from bot.settings import Settings
from bot.slack.late_views import late_over
from bot.store import announcements, entries, grants, requests
from bot.store.announcements import LATE
from bot.store.database import Database
from bot.wiring import utc_now

_TRIES = 10
_SHOWN, _NOT_SHOWN = "shown", "not_shown"
_GONE = frozenset({_NOT_SHOWN, NO_CLUSTER, NO_ENTRIES})
"""What EKS itself says where nothing is there. Anything else says only that nobody can ask it here:
the role may trust the bot alone, and the network may end before EKS."""


def forget(
    grant: Annotated[str, typer.Argument(help="The grant's id, such as 7K3-QMX.")],
    reason: Annotated[str, typer.Option(help="How you know; it goes into the audit trail.")],
    even_if_there: Annotated[
        bool,
        typer.Option(
            "--even-if-there",
            help="Also where EKS still shows the access, or cannot be asked from here. "
            "It then stays until somebody deletes it by hand.",
        ),
    ] = False,
    as_name: AsName = None,
    as_json: Json = False,
) -> None:
    """End access as gone with its cluster, without reading it back. Exits 1 where that is refused.

    For a cluster, an account or a role that is gone for good, once the policy file has no such
    cluster any more. Where access can still be removed, use `eks-access revoke`.
    """
    if not reason.strip():
        fail("Say with --reason how you know that it is gone. Nothing was changed.")
    settings = environment()
    policy = _policy(settings)
    with current_database(settings, as_name=as_name) as database:
        grant_id = known_grant(database, grant)
        found = _find(database, grant_id)
        answer = _ask_eks(database, found)
        refusal = _refusal(found, policy, answer, even_if_there=even_if_there)
        ended: tuple[Grant, ...] = ()
        if refusal is None:
            ended = _forget(database, grant_id, policy.alarm_channel, reason.strip())
    if as_json:
        shown = {"grant": grant_id, "eks": answer.code, "refused": refusal}
        forgotten = [one.id for one in ended]
        typer.echo(json.dumps({**shown, "forgotten": forgotten}, indent=2))
    elif refusal is None:
        for one in ended:
            typer.echo(f"{one.id}: ended as gone with {one.cluster.name}. {answer.sentence}")
    else:
        typer.echo(f"{grant_id}: {refusal} Nothing was changed.", err=True)
    if refusal is not None:
        raise typer.Exit(FINDING)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What EKS says of the access: `shown`, `not_shown`, or the code of a problem with AWS."""

    code: str
    sentence: str


def _policy(settings: Settings) -> Policy:
    try:
        return load_policy(settings.config).policy
    except PolicyError as problem:
        fail(
            f"{problem.report}\nThe policy file has errors, so it does not say which clusters are "
            "gone. Nothing was changed."
        )


def _find(database: Database, grant_id: str) -> Grant:
    with database.reading() as tx:
        return grants.get(tx, grant_id)


def _ask_eks(database: Database, grant: Grant) -> _Answer:
    with database.reading() as tx:
        entry_id = grants.entry_of(tx, grant.id)
        cluster = grant.cluster
        if entry_id is not None:
            cluster = entries.get(tx, entry_id, utc_now()).cluster
    try:
        client = EksClients().for_cluster(cluster)
        shown = access_entries.observe(client, cluster, grant.principal_arn)
    except AwsProblem as problem:
        return _Answer(problem.code, f"EKS could not show it: {problem.sentence}")
    access = grant.access
    if shown is not None and (
        access.policy_arn in shown.policies or access.kubernetes_groups & shown.kubernetes_groups
    ):
        return _Answer(_SHOWN, "EKS still shows it: delete it by hand.")
    return _Answer(_NOT_SHOWN, "EKS no longer shows it.")


def _refusal(grant: Grant, policy: Policy, answer: _Answer, *, even_if_there: bool) -> str | None:
    """Why it is not forgotten, or None."""
    cluster = grant.cluster
    if any(one.key == cluster.key for one in policy.clusters_by_name.values()):
        return (
            f"The policy file still has {cluster.name} in {cluster.region} of account "
            f"{cluster.account}. Take it out first if it is gone, or end the access with "
            f"`eks-access revoke {grant.id}`."
        )
    if even_if_there:
        return None
    if answer.code == _SHOWN:
        return (
            f"EKS still shows the access on {cluster.name}. `eks-access revoke {grant.id}` removes "
            "it. With --even-if-there it stays until somebody deletes it by hand."
        )
    if answer.code not in _GONE:
        return (
            f"{answer.sentence} Run this where the bot runs, with its credentials. If the account "
            "or the role is gone for good, add --even-if-there: what EKS may hold then stays "
            "until somebody deletes it by hand."
        )
    return None


def _forget(
    database: Database, grant_id: str, channel: str | None, reason: str
) -> tuple[Grant, ...]:
    """End it, also while the running bot changes it, and tell the channel of alarms."""
    for _ in range(_TRIES):
        try:
            with database.transaction() as tx:
                now = utc_now()
                ended = end.forget(tx, grant_id, now, why=reason)
                if channel is not None:
                    _announce(tx, channel, ended, now)
                return ended
        except Conflict as error:
            if error.code != "grant_moved_on":
                raise
    raise Conflict("grant_moved_on", f"Grant {grant_id} kept changing. Run the command again.")


def _announce(tx: Connection, channel: str, ended: tuple[Grant, ...], now: datetime) -> None:
    for grant in ended:
        said = late_over(requests.get(tx, grant.id), grant)
        announcements.announce(
            tx,
            key=f"{LATE}{grant.id}:over",
            channel=channel,
            text=said.text,
            blocks=said.blocks,
            now=now,
        )
