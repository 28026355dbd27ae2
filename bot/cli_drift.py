"""`eks-access drift`: what differs at EKS now. It reads, prints, and changes nothing."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import typer

from bot import console
from bot.aws import access_entries
from bot.aws.clients import EksClients
from bot.cli_common import current_database, environment
from bot.cli_exit import FINDING, GOOD, Json, fail
from bot.core import drift
from bot.core.drift import Finding, Kind
from bot.core.errors import AwsProblem
from bot.core.model import Cluster
from bot.core.planner import ObservedEntry, Owner, bears_our_tags, of_another_store, store_of
from bot.core.policy import Policy
from bot.logs import configure_logs
from bot.policy_file import PolicyError, load_policy
from bot.reconcile.drift_scan import CALLS_PER_SECOND
from bot.reconcile.pace import Pace
from bot.store import entries, grants, stores
from bot.store.database import Database
from bot.store.entries import Known
from bot.wiring import utc_now


@dataclass(frozen=True, slots=True)
class Difference:
    """One line of what is printed. `problem` is why a cluster could not be read."""

    cluster: Cluster
    principal_arn: str = ""
    finding: Finding | None = None
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        """Stable for scripts; `kind` is `unreadable` where there is a `problem`."""
        found = self.finding
        return {
            "cluster": self.cluster.name,
            "region": self.cluster.region,
            "account": self.cluster.account,
            "kind": found.kind.value if found else "unreadable",
            "principal_arn": self.principal_arn,
            "subject": found.subject if found else "",
            "detail": found.detail if found else "",
            "grants": list(found.grants) if found else [],
            "problem": self.problem,
        }


def list_differences(
    cluster: Annotated[str | None, typer.Option(help="Only this cluster.")] = None,
    as_json: Json = False,
) -> None:
    """What others changed at EKS, read now. Changes nothing. Exits 1 where something differs."""
    configure_logs("CRITICAL")
    settings = environment()
    began = console.progress(sys.stderr, "Reading")
    try:
        policy = load_policy(settings.config).policy
    except PolicyError as problem:
        fail(f"{problem.report}\nWithout a policy the clusters are not known.")
    with current_database(settings) as database:
        clusters = clusters_to_read(database, policy, cluster)
        if not clusters:
            fail(f"Neither the policy nor a live grant names a cluster {cluster}.")
        reading = differences(
            database, EksClients(), clusters, policy.deployment, clock=utc_now, began=began
        )
        found = list(reading)
    began("")
    if as_json:
        typer.echo(json.dumps([one.as_json() for one in found], indent=2))
    elif found:
        typer.echo(difference_table(found))
    else:
        typer.echo("Every access entry is as the bot left it.")
    raise typer.Exit(FINDING if found else GOOD)


def clusters_to_read(database: Database, policy: Policy, name: str | None) -> list[Cluster]:
    """Those of the policy and those that live grants are on; `name`: only these."""
    with database.reading() as tx:
        used = entries.clusters_in_use(tx)
    named = policy.clusters_by_name.values()
    every = {one.key: one for one in (*used, *named)}
    return [one for one in every.values() if name in (None, one.name)]


def differences(
    database: Database,
    clients: EksClients,
    clusters: Sequence[Cluster],
    deployment: str,
    *,
    clock: Callable[[], datetime],
    began: Callable[[str], None],
    calls_per_second: float = CALLS_PER_SECOND,
) -> Iterator[Difference]:
    """What differs at these clusters. `began` is told what is being read."""
    for cluster in clusters:
        pace = Pace(calls_per_second, threading.Event())
        try:
            yield from _at(database, clients, cluster, deployment, clock, began, pace)
        except AwsProblem as problem:
            yield Difference(cluster, problem=problem.sentence)


def _at(  # noqa: PLR0917 - one call, from above
    database: Database,
    clients: EksClients,
    cluster: Cluster,
    deployment: str,
    clock: Callable[[], datetime],
    began: Callable[[str], None],
    pace: Pace,
) -> Iterator[Difference]:
    client = clients.for_cluster(cluster)
    began(cluster.name)
    there = access_entries.principals(client, cluster)
    with database.reading() as tx:
        known = {one.principal_arn: one for one in entries.known_at(tx, cluster)}
        owner = stores.owner(tx, deployment)
    every = sorted({*there, *known})
    for number, arn in enumerate(every, 1):
        began(f"{cluster.name}, entry {number:,} of {len(every):,}")
        if arn in known:
            pace.take(2)
            observed = access_entries.observe(client, cluster, arn)
            found = _compared(database, known[arn], observed, clock())
        else:
            pace.take()
            described = access_entries.describe(client, cluster, arn)
            found = _unknown(described.with_policies({}), owner) if described is not None else ()
        for one in found:
            yield Difference(cluster, arn, one)


def _unknown(seen: ObservedEntry, owner: Owner) -> tuple[Finding, ...]:
    """What an entry is that the store does not know: nothing to tell where it is others'."""
    if bears_our_tags(seen, owner):
        return (Finding(Kind.ORPHAN),)
    if of_another_store(seen, owner):
        return (Finding(Kind.ANOTHER_STORE, store_of(seen)),)
    return ()


def _compared(
    database: Database, known: Known, observed: ObservedEntry | None, now: datetime
) -> tuple[Finding, ...]:
    """Nothing where the bot is just writing there: it looks at the entry itself."""
    with database.reading() as tx:
        entry = entries.get(tx, known.id, now)
        live = grants.live_of_entry(tx, known.id)
    found = drift.compare(
        live,
        observed,
        entry.record,
        owner=entry.owner,
        confirmed_before=now - entries.PROPAGATION,
    )
    return found or ()


def difference_table(found: Sequence[Difference]) -> str:
    """One line a difference, columns aligned."""
    rows = [("CLUSTER", "KIND", "PRINCIPAL", "WHAT", "GRANTS")]
    for one in found:
        if one.finding is None:
            rows.append((one.cluster.name, "unreadable", "", one.problem, ""))
            continue
        what = f"{one.finding.subject.rpartition('/')[2]} {one.finding.detail}".strip()
        ids = ", ".join(one.finding.grants)
        rows.append((one.cluster.name, one.finding.kind.value, one.principal_arn, what, ids))
    return console.table(rows)
