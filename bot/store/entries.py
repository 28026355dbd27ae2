"""Access entries: what the bot put at each (cluster, principal), and when to look there next."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from bot.core.gone import Unknown
from bot.core.lifecycle import CLOCK_TOLERANCE
from bot.core.model import AccessScope, BackstopTerms, Cluster, GrantState
from bot.core.planner import (
    Action,
    Associate,
    AssociationRecord,
    CreateEntry,
    EntryRecord,
    ObservedEntry,
    Owner,
    SetGroups,
)
from bot.store import backstops, stores
from bot.store.due import LONGEST_PAUSE, due_after
from bot.store.tables import associations, drift_findings, entries, grants, store

PROPAGATION = timedelta(seconds=30)
"""How long a write that was not read back may still take effect. EKS says "several seconds"."""

LONGEST_CALL = timedelta(seconds=60)
"""How long a call can go on with its tries: see the configuration in bot.aws.clients."""

_cluster = TypeAdapter(Cluster)

# Built once: to build a statement takes longer than to carry it out, and these are the most used.
_ONE = select(entries).where(entries.c.id == bindparam("entry"))
_WITH_STORE = _ONE.add_columns(store.c.identity, store.c.adopted).outerjoin_from(
    entries, store, store.c.id == 1
)
_ATTEMPTS = select(entries.c.attempts).where(entries.c.id == bindparam("entry"))
_PLACED = select(associations).where(associations.c.entry_id == bindparam("entry"))
_CHANGE = update(entries).where(entries.c.id == bindparam("entry"))
_REST = _CHANGE.values(
    due_at=due_after(entries.c.due_at, entries.c.generation == bindparam("known"))
)
_LET_GO = _CHANGE.values(generation=entries.c.generation + 1)
_FORGET = delete(associations).where(associations.c.entry_id == bindparam("entry"))
_TO_DO = (entries.c.attempts > 0) | entries.c.id.in_(
    select(grants.c.entry_id).where(
        grants.c.state.in_([GrantState.PROVISIONING.value, GrantState.REVOKING.value])
    )
)
_AHEAD = entries.c.id.in_(
    select(grants.c.entry_id).where(
        grants.c.state == GrantState.ACTIVE.value, grants.c.confirmed_at > bindparam("latest")
    )
)
_DUE = (
    select(entries.c.id)
    .where(
        (entries.c.due_at <= bindparam("now"))
        | (_TO_DO & (entries.c.due_at > bindparam("put_off")))
        | _AHEAD
    )
    # What failed before waits for what is new, which must not wait for an EKS that is away.
    .order_by(entries.c.attempts > 0, entries.c.due_at)
    .limit(bindparam("most", type_=Integer))
)
_PUT_OFF = select(entries.c.id).where(entries.c.attempts > 0, entries.c.due_at > bindparam("now"))


@dataclass(frozen=True, slots=True)
class Entry:
    """One (cluster, principal) that the bot gives or gave access to.

    `from_ahead`: the time of a write is stored that only a clock that was ahead can have told.
    `unknown`: since when AWS has known no such cluster.
    """

    id: int
    cluster: Cluster
    principal_arn: str
    owner: Owner
    record: EntryRecord
    generation: int
    attempts: int
    problem: str | None
    looked_at: datetime | None = None
    from_ahead: bool = False
    unknown: Unknown | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """An entry at one cluster that the bot made or gives access by, or where something differed."""

    id: int
    principal_arn: str


def wish(
    tx: Connection, cluster: Cluster, principal_arn: str, *, deployment: str, now: datetime
) -> int:
    """Ask that the entry be reconciled now; make its row if there is none. Returns its id.

    An entry that exists at EKS keeps the deployment under which it was made and tagged.
    """
    key = (
        entries.c.account == cluster.account,
        entries.c.region == cluster.region,
        entries.c.cluster == cluster.name,
        entries.c.principal_arn == principal_arn,
    )
    # How to reach a cluster may change: the newest grant knows best.
    document = {"cluster": _cluster.dump_python(cluster, mode="json")}
    wished = update(entries).where(*key).values(_due(now) | {"document": document})
    if tx.execute(wished).rowcount == 0:
        row = insert(entries).values(
            account=cluster.account,
            region=cluster.region,
            cluster=cluster.name,
            principal_arn=principal_arn,
            deployment=deployment,
            document=document,
            kubernetes_groups=[],
            earlier_groups={},
            due_at=now,
        )
        try:
            with tx.begin_nested():
                tx.execute(row)
        except IntegrityError:
            tx.execute(wished)  # another grant of the same entry was faster
    tx.execute(
        update(entries).where(*key, entries.c.created.is_(False)).values(deployment=deployment)
    )
    entry_id = int(tx.scalars(select(entries.c.id).where(*key)).one())
    backstops.want(tx, entry_id, now, new=cluster.backstop is not None)
    return entry_id


def wake(tx: Connection, entry_id: int, now: datetime) -> None:
    """Ask that a known entry be reconciled now."""
    tx.execute(update(entries).where(entries.c.id == entry_id).values(_due(now)))


def due(tx: Connection, now: datetime, limit: int) -> list[int]:
    """Ids of entries to be looked at, the longest due first.

    Also those that were put off, asked for or given access while the clock was ahead: what is to be
    done is never put off for longer than LONGEST_PAUSE, and nothing is confirmed in the future.
    """
    put_off, latest = now + LONGEST_PAUSE, now + CLOCK_TOLERANCE
    values = {"now": now, "put_off": put_off, "latest": latest, "most": limit}
    return list(tx.scalars(_DUE, values))


def try_now(tx: Connection, now: datetime) -> None:
    """Have what is put off until the next try tried now. The pause after that is no shorter.

    What somebody else is changing right now is left as it is, and not waited for.
    """
    put_off = tx.scalars(_PUT_OFF.with_for_update(skip_locked=True), {"now": now}).all()
    tx.execute(update(entries).where(entries.c.id.in_(put_off)).values(due_at=now))


def get(tx: Connection, entry_id: int, now: datetime) -> Entry:
    """The entry with the record of what the bot put there, as of `now`."""
    row = tx.execute(_WITH_STORE, {"entry": entry_id}).one()
    placed = tx.execute(_PLACED, {"entry": entry_id}).all()
    latest = now + LONGEST_CALL
    record = EntryRecord(
        created=row.created,
        arn=row.arn,
        associations={
            one.policy_arn: AssociationRecord(
                scope=AccessScope.of(one.namespaces),
                confirmed=one.confirmed,
                in_flight=_in_flight(one.written_at, now),
                removing=one.removing,
                earlier={
                    AccessScope.of(namespaces): _in_flight(_time(written_at), now)
                    for namespaces, written_at in one.earlier
                },
            )
            for one in placed
        },
        kubernetes_groups=frozenset(row.kubernetes_groups),
        in_flight=_in_flight(row.written_at, now),
        deleting=row.deleting,
        earlier_groups={
            group: _in_flight(_time(written_at), now)
            for group, written_at in row.earlier_groups.items()
        },
    )
    return Entry(
        id=row.id,
        cluster=_cluster.validate_python(row.document["cluster"]),
        principal_arn=row.principal_arn,
        owner=stores.as_owner(row.deployment, row.identity, row.adopted or []),
        record=record,
        generation=row.generation,
        attempts=row.attempts,
        problem=row.problem,
        looked_at=row.looked_at,
        from_ahead=any(time > latest for time in _written(row, placed)),
        unknown=_unknown(row),
    )


def set_clock_right(tx: Connection, entry_id: int, now: datetime) -> None:
    """Take writes from a time that is yet to come for ones that begin now.

    They may still be under way, but not until a clock that was wrong says that they are over.
    """
    latest = now + LONGEST_CALL
    row = tx.execute(_ONE, {"entry": entry_id}).one()
    earlier_groups = {one: _at_most(at, latest) for one, at in row.earlier_groups.items()}
    written_at = min(row.written_at, latest) if row.written_at is not None else None
    _change(tx, entry_id, written_at=written_at, earlier_groups=earlier_groups)
    for one in tx.execute(_PLACED, {"entry": entry_id}).all():
        earlier = [[namespaces, _at_most(at, latest)] for namespaces, at in one.earlier]
        written_at = min(one.written_at, latest) if one.written_at is not None else None
        values = {"written_at": written_at, "earlier": earlier}
        tx.execute(update(associations).where(*_at(entry_id, one.policy_arn)).values(values))


def known_at(tx: Connection, cluster: Cluster) -> tuple[Known, ...]:
    """The entries of a cluster that are in use.

    Those are the ones that the bot made and has not removed, those of live grants, and those where
    something differs.
    """
    query = select(entries.c.id, entries.c.principal_arn).where(
        entries.c.account == cluster.account,
        entries.c.region == cluster.region,
        entries.c.cluster == cluster.name,
        _in_use(),
    )
    return tuple(Known(row.id, row.principal_arn) for row in tx.execute(query.order_by("id")))


def any_at(tx: Connection, cluster: str) -> bool:
    """Whether the bot ever gave access, or was to give it, on a cluster of this name."""
    query = select(entries.c.id).where(entries.c.cluster == cluster).limit(1)
    return tx.scalars(query).first() is not None


def clusters_in_use(tx: Connection) -> tuple[Cluster, ...]:
    """The clusters with such entries, each as its newest entry says how to reach it."""
    newest = (
        select(func.max(entries.c.id))
        .where(_in_use())
        .group_by(entries.c.account, entries.c.region, entries.c.cluster)
    )
    query = select(entries.c.document).where(entries.c.id.in_(newest))
    return tuple(_cluster.validate_python(one["cluster"]) for one in tx.scalars(query))


def look(tx: Connection, entry_id: int, now: datetime) -> None:
    """Ask that a known entry be looked at, unless it is being tried again anyway."""
    tx.execute(
        update(entries)
        .where(
            entries.c.id == entry_id,
            entries.c.attempts == 0,
            entries.c.due_at.is_(None) | (entries.c.due_at > now),
        )
        .values(due_at=now, generation=entries.c.generation + 1)
    )


def wake_in_use(tx: Connection, now: datetime) -> None:
    """Ask that every entry in use be reconciled now."""
    tx.execute(update(entries).where(_in_use()).values(_due(now)))


def set_backstop(
    tx: Connection, entry_id: int, backstop: BackstopTerms | None, now: datetime
) -> None:
    """Let a backstop hold for an entry, or none, whatever held when access was approved."""
    document = tx.scalars(select(entries.c.document).where(entries.c.id == entry_id)).one()
    before = _cluster.validate_python(document["cluster"])
    if before.backstop != backstop:
        after = _cluster.dump_python(replace(before, backstop=backstop), mode="json")
        _change(tx, entry_id, document=document | {"cluster": after})
        backstops.want(tx, entry_id, now, new=backstop is not None)


def reach_by(tx: Connection, entry_id: int, role: str | None) -> None:
    """Let a role reach an entry's cluster, or the bot's own credentials, whatever did before."""
    document = tx.scalars(select(entries.c.document).where(entries.c.id == entry_id)).one()
    before = _cluster.validate_python(document["cluster"])
    after = _cluster.dump_python(replace(before, assume_role=role), mode="json")
    _change(tx, entry_id, document=document | {"cluster": after})


def placed_on(tx: Connection, cluster: Cluster, now: datetime) -> list[Entry]:
    """The entries of a cluster that the bot made, or put something on, and has not cleared."""
    query = select(entries.c.id).where(
        entries.c.account == cluster.account,
        entries.c.region == cluster.region,
        entries.c.cluster == cluster.name,
        entries.c.created.is_(True) | entries.c.id.in_(select(associations.c.entry_id)),
    )
    return [get(tx, entry_id, now) for entry_id in tx.scalars(query)]


def attempts(tx: Connection, entry_id: int) -> int:
    """How often in a row the entry could not be made what it should be."""
    return int(tx.scalars(_ATTEMPTS, {"entry": entry_id}).one())


def rest(
    tx: Connection,
    entry: Entry,
    due_at: datetime | None,
    *,
    attempts: int,
    problem: str | None,
    looked_at: datetime | None = None,
) -> None:
    """Say when to look again, unless somebody asked for it since `entry` was read.

    `looked_at` is when EKS was seen there; None where it could not be.
    """
    which = {"entry": entry.id, "known": entry.generation, "next": due_at}
    seen = {}
    if looked_at is not None:
        seen = {"looked_at": looked_at, "unknown_since": None, "unknown_at": None}
    tx.execute(_REST, which | {"attempts": attempts, "problem": problem} | seen)


def reset(tx: Connection, entry_id: int) -> None:
    """Forget everything that was put there: it is gone."""
    tx.execute(_FORGET, {"entry": entry_id})
    _change(
        tx,
        entry_id,
        created=False,
        deleting=False,
        arn=None,
        kubernetes_groups=[],
        earlier_groups={},
        written_at=None,
    )


def let_go(tx: Connection, entry_id: int, due_at: datetime | None) -> None:
    """As `reset`, and look at it no more before `due_at`: there is nothing to look at."""
    reset(tx, entry_id)
    nothing = {"attempts": 0, "problem": None, "unknown_since": None, "unknown_at": None}
    tx.execute(_LET_GO, {"entry": entry_id, "due_at": due_at, **nothing})


def unknown(tx: Connection, entry_id: int, looks: Unknown) -> None:
    """Store since when AWS has known no cluster where the entry is."""
    _change(tx, entry_id, unknown_since=looks.since, unknown_at=looks.at)


def unknown_to_aws(tx: Connection) -> dict[str, datetime]:
    """The grants that are live on clusters that AWS does not know, with since when it does not."""
    query = (
        select(grants.c.id, entries.c.unknown_since)
        .join_from(entries, grants)
        .where(entries.c.unknown_since.is_not(None), grants.c.state != GrantState.ENDED.value)
    )
    return {row.id: row.unknown_since for row in tx.execute(query)}


def sent(tx: Connection, entry_id: int, action: Action, now: datetime) -> None:
    """Record that the call of an action that gives has ended, with an answer or without.

    Of one that takes away nothing is recorded: what is not shown any more is gone.
    """
    match action:
        case CreateEntry() | SetGroups():
            _change(tx, entry_id, written_at=now)
        case Associate(policy_arn):
            at = _at(entry_id, policy_arn)
            tx.execute(update(associations).where(*at).values(written_at=now))


def intend_creation(tx: Connection, entry_id: int, groups: frozenset[str], now: datetime) -> None:
    """Record that the bot is about to create the entry."""
    _change(tx, entry_id, created=True, deleting=False, arn=None)
    _write_groups(tx, entry_id, groups, now)


def intend_groups(tx: Connection, entry_id: int, groups: frozenset[str], now: datetime) -> None:
    """Record which Kubernetes groups of the entry are the bot's, before it sets them."""
    _write_groups(tx, entry_id, groups, now)


def intend_deletion(tx: Connection, entry_id: int) -> None:
    """Record that the bot is about to delete the entry."""
    _change(tx, entry_id, deleting=True)


def intend_association(
    tx: Connection, entry_id: int, policy_arn: str, scope: AccessScope, now: datetime
) -> None:
    """Record that the bot is about to associate the policy. One that was confirmed stays so.

    The scope from before is kept: until this write is read back, EKS may show either.
    """
    namespaces = sorted(scope.namespaces)
    values = {"namespaces": namespaces, "removing": False, "written_at": now + LONGEST_CALL}
    before = tx.execute(select(associations).where(*_at(entry_id, policy_arn))).one_or_none()
    if before is None:
        row = {"entry_id": entry_id, "policy_arn": policy_arn, "confirmed": False, "earlier": []}
        tx.execute(insert(associations).values(row | values))
        return
    earlier = before.earlier
    if before.namespaces != namespaces:
        others = [one for one in earlier if one[0] != before.namespaces]
        earlier = [*others, [before.namespaces, _text(before.written_at)]]
    changed = values | {"earlier": earlier}
    tx.execute(update(associations).where(*_at(entry_id, policy_arn)).values(changed))


def intend_disassociation(tx: Connection, entry_id: int, policy_arn: str) -> None:
    """Record that the bot is about to take the policy away. The row goes once it is gone."""
    tx.execute(update(associations).where(*_at(entry_id, policy_arn)).values(removing=True))


def forget_associations(tx: Connection, entry_id: int, policy_arns: Collection[str]) -> None:
    """Drop the record of associations that are gone or never came to be."""
    for policy_arn in sorted(policy_arns):
        tx.execute(delete(associations).where(*_at(entry_id, policy_arn)))


def read_back(tx: Connection, entry: Entry, seen: ObservedEntry) -> None:
    """Record what of the bot's EKS shows: from here on it is confirmed and no more in flight."""
    record = entry.record
    groups_shown = (
        record.kubernetes_groups <= seen.kubernetes_groups
        and seen.kubernetes_groups.isdisjoint(record.earlier_groups)
    )
    _change(tx, entry.id, arn=seen.arn, **({"written_at": None} if groups_shown else {}))
    _forget_groups(
        tx,
        entry.id,
        {
            group
            for group, in_flight in record.earlier_groups.items()
            if not in_flight and group not in seen.kubernetes_groups
        },
    )
    for policy_arn, known in record.associations.items():
        shown = seen.policies.get(policy_arn)
        if known.removing or shown != known.scope:
            continue
        settled = not any(known.earlier.values()) or shown not in known.earlier
        values: dict[str, Any] = {"confirmed": True}
        if settled:
            values |= {"written_at": None, "earlier": []}
        tx.execute(update(associations).where(*_at(entry.id, policy_arn)).values(values))


def _write_groups(tx: Connection, entry_id: int, groups: frozenset[str], now: datetime) -> None:
    row = tx.execute(_ONE, {"entry": entry_id}).one()
    earlier = row.earlier_groups | dict.fromkeys(row.kubernetes_groups, _text(row.written_at))
    _change(
        tx,
        entry_id,
        kubernetes_groups=sorted(groups),
        earlier_groups={group: at for group, at in earlier.items() if group not in groups},
        written_at=now + LONGEST_CALL,
    )


def _forget_groups(tx: Connection, entry_id: int, gone: set[str]) -> None:
    if gone:
        earlier = tx.scalars(select(entries.c.earlier_groups).where(entries.c.id == entry_id)).one()
        left = {group: at for group, at in earlier.items() if group not in gone}
        _change(tx, entry_id, earlier_groups=left)


def _change(tx: Connection, entry_id: int, **values: Any) -> None:
    tx.execute(_CHANGE, values | {"entry": entry_id})


def _in_use() -> ColumnElement[bool]:
    live = [state.value for state in GrantState if state is not GrantState.ENDED]
    return (
        entries.c.created.is_(True)
        | entries.c.id.in_(select(grants.c.entry_id).where(grants.c.state.in_(live)))
        | entries.c.id.in_(
            select(drift_findings.c.entry_id).where(drift_findings.c.over_at.is_(None))
        )
    )


def _at(entry_id: int, policy_arn: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return associations.c.entry_id == entry_id, associations.c.policy_arn == policy_arn


def _written(row: Row[Any], placed: Sequence[Row[Any]]) -> Iterator[datetime]:
    """The times of all writes that were not read back."""
    earlier = [*row.earlier_groups.values(), *(at for one in placed for _, at in one.earlier)]
    times = [row.written_at, *(one.written_at for one in placed), *map(_time, earlier)]
    return (time for time in times if time is not None)


def _unknown(row: Row[Any]) -> Unknown | None:
    if row.unknown_since is None or row.unknown_at is None:
        return None
    return Unknown(row.unknown_since, row.unknown_at)


def _at_most(written_at: str | None, latest: datetime) -> str | None:
    time = _time(written_at)
    return _text(min(time, latest)) if time is not None else None


def _in_flight(written_at: datetime | None, now: datetime) -> bool:
    return written_at is not None and now - written_at < PROPAGATION


def _text(time: datetime | None) -> str | None:
    return time.isoformat() if time is not None else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None


def _due(now: datetime) -> dict[str, Any]:
    return {"due_at": now, "generation": entries.c.generation + 1, "attempts": 0}
