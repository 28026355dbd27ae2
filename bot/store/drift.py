"""What was found to differ at EKS, and when each cluster was last read whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, bindparam, func, insert, select, update

from bot.core.drift import Finding, Kind, Outcome
from bot.core.model import Cluster
from bot.store.tables import drift_findings, drift_scans, entries


@dataclass(frozen=True, slots=True)
class Found:
    """A finding as it is stored; `cluster` and `principal_arn` are those of its entry."""

    id: int
    cluster: str
    account: str
    region: str
    principal_arn: str
    finding: Finding
    outcome: Outcome
    found_at: datetime


@dataclass(frozen=True, slots=True)
class StandingEntry:
    """Somebody's access that the bot did not give.

    `policies`: name → scope in words, the widest first.
    """

    principal_arn: str
    policies: dict[str, str]
    kubernetes_groups: tuple[str, ...]
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """The entries of a cluster that are not the bot's, as of one scan.

    `entries` are those that give people access, the widest first, cut to a number of which
    `people` is the whole; `machines` counts entries of types for nodes and with policies for
    machines, `empty` those that give nothing. `by_width` counts all of the people by the widest
    that they have, the widest first; it is empty in a summary of an older version.
    """

    people: int
    machines: int
    empty: int
    entries: tuple[StandingEntry, ...]
    by_width: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Scan:
    """When a cluster is read next, and what came of it. `problem` is why it could not be."""

    cluster: str
    account: str
    region: str
    due_at: datetime
    attempts: int
    scanned_at: datetime | None
    problem: str | None
    standing: Standing | None


_standing = TypeAdapter(Standing)

# Built once: to build a statement takes longer than to carry it out, and these are the most used.
_OPEN_AT = (
    select(drift_findings)
    .where(drift_findings.c.entry_id == bindparam("entry"), drift_findings.c.over_at.is_(None))
    .order_by(drift_findings.c.id)
)
_OPEN_BY_KIND = (
    select(drift_findings.c.kind, func.count())
    .where(drift_findings.c.over_at.is_(None))
    .group_by(drift_findings.c.kind)
)
_BY_CLUSTER = (entries.c.account, entries.c.region, entries.c.cluster)
_TOLD_LATELY = (
    select(*_BY_CLUSTER)
    .join_from(drift_findings, entries)
    .where(drift_findings.c.told_at > bindparam("told_before"))
    .distinct()
)
_UNTOLD = (
    select(drift_findings, *_BY_CLUSTER, entries.c.principal_arn)
    .join_from(drift_findings, entries)
    .where(drift_findings.c.told_at.is_(None))
    .order_by(*_BY_CLUSTER, drift_findings.c.id)
)
_SCANS = select(drift_scans).order_by(drift_scans.c.cluster, drift_scans.c.account)


def note(
    tx: Connection,
    entry_id: int,
    findings: Iterable[Finding],
    outcomes: dict[Finding, Outcome],
    now: datetime,
) -> tuple[Finding, ...]:
    """Store what differs at an entry now. Returns what is new; what no longer differs is over."""
    open_rows = tx.execute(
        select(drift_findings).where(
            drift_findings.c.entry_id == entry_id, drift_findings.c.over_at.is_(None)
        )
    ).all()
    before = {_finding(row): row.id for row in open_rows}
    findings = tuple(findings)
    over = [number for finding, number in before.items() if finding not in findings]
    if over:
        tx.execute(update(drift_findings).where(drift_findings.c.id.in_(over)).values(over_at=now))
    new = tuple(finding for finding in findings if finding not in before)
    for finding in new:
        tx.execute(
            insert(drift_findings).values(
                entry_id=entry_id,
                kind=finding.kind.value,
                subject=finding.subject,
                detail=finding.detail,
                grants=list(finding.grants),
                outcome=outcomes[finding].value,
                found_at=now,
            )
        )
    return new


def open_at(tx: Connection, entry_id: int) -> tuple[Finding, ...]:
    """What was last found to differ at an entry."""
    return tuple(_finding(row) for row in tx.execute(_OPEN_AT, {"entry": entry_id}))


def open_by_kind(tx: Connection) -> dict[Kind, int]:
    """How many differences there are now, by kind; those without any are left out."""
    return {Kind(kind): number for kind, number in tx.execute(_OPEN_BY_KIND)}


def untold(tx: Connection, told_before: datetime) -> tuple[Found, ...]:
    """What nobody was told yet, by cluster, where that cluster's last message is old enough."""
    lately = {tuple(row) for row in tx.execute(_TOLD_LATELY, {"told_before": told_before})}
    return tuple(
        Found(
            id=row.id,
            cluster=row.cluster,
            account=row.account,
            region=row.region,
            principal_arn=row.principal_arn,
            finding=_finding(row),
            outcome=Outcome(row.outcome),
            found_at=row.found_at,
        )
        for row in tx.execute(_UNTOLD)
        if (row.account, row.region, row.cluster) not in lately
    )


def told(tx: Connection, ids: Collection[int], now: datetime) -> None:
    """Note that people are told of these."""
    tx.execute(update(drift_findings).where(drift_findings.c.id.in_(ids)).values(told_at=now))


def scans(tx: Connection) -> tuple[Scan, ...]:
    """All clusters that were ever looked at, by name."""
    return tuple(_scan(row) for row in tx.execute(_SCANS))


def scan_of(tx: Connection, cluster: Cluster) -> Scan | None:
    """What is known of the scans of a cluster."""
    row = tx.execute(select(drift_scans).where(*_at(cluster))).one_or_none()
    return _scan(row) if row is not None else None


def scanned(
    tx: Connection, cluster: Cluster, standing: Standing, *, now: datetime, due_at: datetime
) -> None:
    """Store that a cluster was read whole."""
    _put(
        tx,
        cluster,
        due_at=due_at,
        attempts=0,
        scanned_at=now,
        problem=None,
        document=_standing.dump_python(standing, mode="json"),
    )


def not_scanned(
    tx: Connection, cluster: Cluster, problem: str, *, attempts: int, due_at: datetime
) -> None:
    """Store why a cluster could not be read whole, and when to try again."""
    _put(tx, cluster, due_at=due_at, attempts=attempts, problem=problem)


def scan_now(tx: Connection, now: datetime) -> None:
    """Have every cluster read now that was ever looked at."""
    tx.execute(update(drift_scans).values(due_at=now))


def _put(tx: Connection, cluster: Cluster, **values: Any) -> None:
    changed = tx.execute(update(drift_scans).where(*_at(cluster)).values(values))
    if changed.rowcount == 0:
        key = {"account": cluster.account, "region": cluster.region, "cluster": cluster.name}
        tx.execute(insert(drift_scans).values(key | values))


def _at(cluster: Cluster) -> tuple[ColumnElement[bool], ...]:
    return (
        drift_scans.c.account == cluster.account,
        drift_scans.c.region == cluster.region,
        drift_scans.c.cluster == cluster.name,
    )


def _finding(row: Any) -> Finding:
    return Finding(Kind(row.kind), row.subject, row.detail, tuple(row.grants))


def _scan(row: Any) -> Scan:
    return Scan(
        cluster=row.cluster,
        account=row.account,
        region=row.region,
        due_at=row.due_at,
        attempts=row.attempts,
        scanned_at=row.scanned_at,
        problem=row.problem,
        standing=_standing.validate_python(row.document) if row.document else None,
    )
