"""Access entries: what the bot put at each (cluster, principal), and when to look there next."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, delete, func, insert, select, update

from bot.core.model import AccessScope, Cluster
from bot.core.planner import AssociationRecord, EntryRecord
from bot.store.tables import associations, entries

_cluster = TypeAdapter(Cluster)


@dataclass(frozen=True, slots=True)
class Entry:
    """One (cluster, principal) that the bot gives or gave access to."""

    id: int
    cluster: Cluster
    principal_arn: str
    record: EntryRecord
    generation: int
    attempts: int
    problem: str | None


def wish(tx: Connection, cluster: Cluster, principal_arn: str, now: datetime) -> int:
    """Ask that the entry be reconciled now; make its row if there is none. Returns its id."""
    key = (
        entries.c.account == cluster.account,
        entries.c.region == cluster.region,
        entries.c.cluster == cluster.name,
        entries.c.principal_arn == principal_arn,
    )
    # How to reach a cluster may change: the newest grant knows best.
    document = {"cluster": _cluster.dump_python(cluster, mode="json")}
    changed = tx.execute(update(entries).where(*key).values(_due(now) | {"document": document}))
    if changed.rowcount == 0:
        tx.execute(
            insert(entries).values(
                account=cluster.account,
                region=cluster.region,
                cluster=cluster.name,
                principal_arn=principal_arn,
                document=document,
                kubernetes_groups=[],
                due_at=now,
            )
        )
    return int(tx.scalars(select(entries.c.id).where(*key)).one())


def wake(tx: Connection, entry_id: int, now: datetime) -> None:
    """Ask that a known entry be reconciled now."""
    tx.execute(update(entries).where(entries.c.id == entry_id).values(_due(now)))


def due(tx: Connection, now: datetime, limit: int) -> list[int]:
    """Ids of entries to be looked at, the longest due first."""
    query = select(entries.c.id).where(entries.c.due_at <= now).order_by(entries.c.due_at)
    return list(tx.scalars(query.limit(limit)))


def next_due(tx: Connection) -> datetime | None:
    """When the next entry is to be looked at."""
    found: datetime | None = tx.scalar(select(func.min(entries.c.due_at)))
    return found


def get(tx: Connection, entry_id: int) -> Entry:
    """The entry with the record of what the bot put there."""
    row = tx.execute(select(entries).where(entries.c.id == entry_id)).one()
    placed = tx.execute(select(associations).where(associations.c.entry_id == entry_id))
    record = EntryRecord(
        created=row.created,
        arn=row.arn,
        associations={
            one.policy_arn: AssociationRecord(AccessScope.of(one.namespaces), one.confirmed)
            for one in placed
        },
        kubernetes_groups=frozenset(row.kubernetes_groups),
    )
    return Entry(
        id=row.id,
        cluster=_cluster.validate_python(row.document["cluster"]),
        principal_arn=row.principal_arn,
        record=record,
        generation=row.generation,
        attempts=row.attempts,
        problem=row.problem,
    )


def rest(
    tx: Connection, entry: Entry, due_at: datetime | None, *, attempts: int, problem: str | None
) -> None:
    """Say when to look again, unless somebody asked for it since `entry` was read."""
    tx.execute(
        update(entries)
        .where(entries.c.id == entry.id, entries.c.generation == entry.generation)
        .values(due_at=due_at)
    )
    tx.execute(
        update(entries).where(entries.c.id == entry.id).values(attempts=attempts, problem=problem)
    )


def reset(tx: Connection, entry_id: int) -> None:
    """Forget everything that was put there: it is gone."""
    tx.execute(delete(associations).where(associations.c.entry_id == entry_id))
    tx.execute(
        update(entries)
        .where(entries.c.id == entry_id)
        .values(created=False, arn=None, kubernetes_groups=[])
    )


def intend_creation(tx: Connection, entry_id: int, groups: frozenset[str]) -> None:
    """Record that the bot is about to create the entry."""
    tx.execute(
        update(entries)
        .where(entries.c.id == entry_id)
        .values(created=True, arn=None, kubernetes_groups=sorted(groups))
    )


def intend_groups(tx: Connection, entry_id: int, groups: frozenset[str]) -> None:
    """Record which Kubernetes groups of the entry are the bot's, before it sets them."""
    tx.execute(
        update(entries).where(entries.c.id == entry_id).values(kubernetes_groups=sorted(groups))
    )


def intend_association(tx: Connection, entry_id: int, policy_arn: str, scope: AccessScope) -> None:
    """Record that the bot is about to associate the policy. One that was confirmed stays so."""
    namespaces = sorted(scope.namespaces)
    changed = tx.execute(
        update(associations)
        .where(associations.c.entry_id == entry_id, associations.c.policy_arn == policy_arn)
        .values(namespaces=namespaces)
    )
    if changed.rowcount == 0:
        tx.execute(
            insert(associations).values(
                entry_id=entry_id, policy_arn=policy_arn, namespaces=namespaces, confirmed=False
            )
        )


def forget_associations(tx: Connection, entry_id: int, policy_arns: Collection[str]) -> None:
    """Drop the record of associations that are gone or never came to be."""
    if policy_arns:
        tx.execute(
            delete(associations).where(
                associations.c.entry_id == entry_id,
                associations.c.policy_arn.in_(sorted(policy_arns)),
            )
        )


def observed(tx: Connection, entry_id: int, arn: str, policy_arns: Collection[str]) -> None:
    """Record the entry's ARN and those of the bot's associations as read back from EKS."""
    tx.execute(update(entries).where(entries.c.id == entry_id).values(arn=arn))
    if policy_arns:
        tx.execute(
            update(associations)
            .where(
                associations.c.entry_id == entry_id,
                associations.c.policy_arn.in_(sorted(policy_arns)),
            )
            .values(confirmed=True)
        )


def _due(now: datetime) -> dict[str, Any]:
    return {"due_at": now, "generation": entries.c.generation + 1, "attempts": 0}
