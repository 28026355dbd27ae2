"""Reads who else has access to a cluster: its access entries at EKS, beside what the store knows.

Entries are read one by one, because EKS has no call for several. So at most `MOST_READ` of each
kind are read, some at a time, and what was left out is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from bot.aws import access_entries
from bot.aws.clients import EksClients
from bot.core.errors import AwsProblem
from bot.core.model import Cluster
from bot.core.planner import ObservedEntry
from bot.core.roster import Known, Roster, sorted_out
from bot.store import entries
from bot.store.database import Database

if TYPE_CHECKING:
    from mypy_boto3_eks.client import EKSClient

MOST_READ = 50
"""How many entries that others manage are read for one answer, and how many of the bot's own."""

_AT_ONCE = 8


def read_roster(database: Database, clients: EksClients, cluster: Cluster, now: datetime) -> Roster:
    """The entries of a cluster as EKS shows them now. Raises StoreUnavailable, nothing of AWS's."""
    before = _known(database, cluster, now)
    try:
        client = clients.for_cluster(cluster)
        principals = access_entries.principals(client, cluster)
    except AwsProblem as problem:
        return Roster(problem=problem.sentence)
    own = [arn for arn in principals if arn in before and before[arn].record.created]
    others = [arn for arn in principals if arn not in set(own)]
    wanted = [*own[:MOST_READ], *others[:MOST_READ]]
    seen, problem_met = _observed(client, cluster, wanted)
    roster = sorted_out(
        {arn: entry for arn, entry in seen.items() if entry is not None},
        before,
        _known(database, cluster, now),
    )
    return replace(
        roster,
        others_unread=sum(arn not in seen for arn in others),
        own_unread=sum(arn not in seen for arn in own),
        problem=problem_met,
    )


def _known(database: Database, cluster: Cluster, now: datetime) -> dict[str, Known]:
    with database.reading() as tx:
        ours = entries.placed_on(tx, cluster, now)
    return {one.principal_arn: Known(one.record, one.owner.deployment) for one in ours}


def _observed(
    client: EKSClient, cluster: Cluster, principals: Sequence[str]
) -> tuple[dict[str, ObservedEntry | None], str | None]:
    """What EKS shows for each principal (None: it is gone by now), as far as it could be read.

    Where one cannot be read the others that have not begun are left: AWS is in trouble, or does not
    let the bot, and each would take its time.
    """
    seen: dict[str, ObservedEntry | None] = {}
    problem: str | None = None
    with ThreadPoolExecutor(_AT_ONCE, "roster") as pool:
        reading = {
            arn: pool.submit(access_entries.observe, client, cluster, arn) for arn in principals
        }
        for arn, entry in reading.items():
            try:
                seen[arn] = entry.result()
            except AwsProblem as met:
                problem = met.sentence
                pool.shutdown(wait=False, cancel_futures=True)
            except CancelledError:
                continue
    return seen, problem
