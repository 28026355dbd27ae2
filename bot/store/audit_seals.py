"""The seals of the audit trail: which events wait for one, the chain's head, and the chain itself.

Rows are read as the texts that are hashed, the same from SQLite and PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    type_coerce,
)
from sqlalchemy.exc import OperationalError

from bot.core.audit_chain import EMPTY, Head, Seal, StoredEvent
from bot.core.audit_scan import Place, SealedEvent
from bot.store.tables import audit_events, audit_seals, audit_unsealed

_IN_UTC = "YYYY-MM-DD HH24:MI:SS.US"


def waiting(tx: Connection) -> int:
    """How many events wait for their seal."""
    return int(tx.scalars(select(func.count()).select_from(audit_unsealed)).one())


def any_waiting(tx: Connection) -> bool:
    """Whether an event waits for its seal."""
    return tx.scalar(select(audit_unsealed.c.event_id).limit(1)) is not None


def to_seal(tx: Connection, *, after: int, limit: int) -> list[StoredEvent]:
    """Events that wait for their seal, by id, with ids behind `after`."""
    query = (
        select(*_event_texts(tx))
        .join(audit_unsealed, audit_unsealed.c.event_id == audit_events.c.id)
        .where(audit_unsealed.c.event_id > after)
        .order_by(audit_unsealed.c.event_id)
        .limit(limit)
    )
    return [StoredEvent(*row) for row in _rows(tx, query)]


def head(tx: Connection) -> Head:
    """The last seal."""
    query = select(audit_seals.c.position, audit_seals.c.hash)
    row = tx.execute(query.order_by(audit_seals.c.position.desc()).limit(1)).one_or_none()
    return Head(*row) if row is not None else EMPTY


def first_sealed_at(tx: Connection) -> datetime | None:
    """When the first event was sealed."""
    return tx.scalar(select(audit_seals.c.sealed_at).order_by(audit_seals.c.position).limit(1))


def append(tx: Connection, seals: Sequence[Seal]) -> None:
    """Store seals of events that had none.

    Raises SQLAlchemy's IntegrityError where another has sealed at the same positions: each position
    is there once, so of two that seal at once only one is committed.
    """
    if not seals:
        return
    rows = [
        {
            "position": one.position,
            "event_id": one.event_id,
            "sealed_at": one.sealed_at,
            "digest": one.digest,
            "hash": one.hash,
        }
        for one in seals
    ]
    tx.execute(insert(audit_seals), rows)
    ids = [one.event_id for one in seals]
    tx.execute(delete(audit_unsealed).where(audit_unsealed.c.event_id.in_(ids)))


def chain(tx: Connection, *, after: int | None, until: int, limit: int) -> list[SealedEvent]:
    """Up to `limit` seals with their events, by position, from behind `after` (None: the first)."""
    seals = audit_seals.c
    columns = (seals.position, seals.event_id, _time(tx, seals.sealed_at), seals.digest, seals.hash)
    query = (
        select(*columns, *_event_texts(tx))
        .select_from(audit_seals.outerjoin(audit_events, audit_events.c.id == seals.event_id))
        .where(seals.position <= until)
        .order_by(seals.position)
        .limit(limit)
    )
    if after is not None:
        query = query.where(seals.position > after)
    return [
        SealedEvent(
            position, event_id, time, digest, hash_, StoredEvent(*event) if event[0] else None
        )
        for position, event_id, time, digest, hash_, *event in _rows(tx, query)
    ]


def before(tx: Connection, position: int, count: int) -> list[Place]:
    """The last `count` seals up to a position, oldest first."""
    seals = audit_seals.c
    query = (
        select(seals.position, seals.event_id, audit_events.c.request_id, seals.digest, seals.hash)
        .select_from(audit_seals.outerjoin(audit_events, audit_events.c.id == seals.event_id))
        .where(seals.position <= position)
        .order_by(seals.position.desc())
        .limit(count)
    )
    return [Place(*row) for row in _rows(tx, query)][::-1]


def without_seal(tx: Connection, *, after: int | None, until: int) -> list[tuple[int, str | None]]:
    """Events that have no seal and wait for none: id and request. `after` as for the chain."""
    query = (
        select(audit_events.c.id, audit_events.c.request_id, audit_unsealed.c.event_id.is_not(None))
        .select_from(
            audit_events.outerjoin(
                audit_seals, audit_seals.c.event_id == audit_events.c.id
            ).outerjoin(audit_unsealed, audit_unsealed.c.event_id == audit_events.c.id)
        )
        .where(
            audit_seals.c.position.is_(None),
            audit_unsealed.c.event_id.is_(None),
            audit_events.c.id <= until,
        )
        .order_by(audit_events.c.id)
    )
    if after is not None:
        query = query.where(audit_events.c.id > after)
    return [(row[0], row[1]) for row in _rows(tx, query)]


def parts_of_chain(tx: Connection, until: int, size: int) -> list[tuple[int | None, int]]:
    """The chain up to a position in parts of `size` seals: behind which position, up to which."""
    return _parts(tx, audit_seals.c.position, until, size)


def parts_of_events(tx: Connection, size: int) -> list[tuple[int | None, int]]:
    """All events in parts of `size`: behind which id, up to which."""
    last = tx.scalar(select(func.max(audit_events.c.id)))
    return _parts(tx, audit_events.c.id, last, size) if last is not None else []


def _parts(
    tx: Connection, column: ColumnElement[int], until: int, size: int
) -> list[tuple[int | None, int]]:
    parts: list[tuple[int | None, int]] = []
    after: int | None = None
    while after is None or after < until:
        query = select(column).where(column <= until).order_by(column).offset(size - 1).limit(1)
        end = tx.scalar(query if after is None else query.where(column > after))
        parts.append((after, until if end is None else end))
        after = parts[-1][1]
    return parts


def missing_guards(tx: Connection) -> list[str]:
    """The triggers that keep the trail append-only and are not there, or are turned off."""
    if tx.dialect.name == "sqlite":
        names = set(
            tx.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars()
        )
        wanted = [
            f"{table}_no_{what}"
            for table in ("audit_events", "audit_seals")
            for what in ("update", "delete", "replace")
        ]
    else:
        found = tx.exec_driver_sql(
            "SELECT tgname FROM pg_trigger WHERE tgenabled = 'A' AND tgrelid IN "
            "('audit_events'::regclass, 'audit_seals'::regclass)"
        )
        names = set(found.scalars())
        wanted = ["audit_events_no_change", "audit_seals_no_change"]
    return [name for name in (*wanted, "audit_events_to_seal") if name not in names]


def _rows(tx: Connection, query: Select[Any]) -> Sequence[Any]:
    """All rows of a query; on SQLite also those whose text is no UTF-8."""
    try:
        return tx.execute(query).all()
    except OperationalError as error:
        if "UTF-8" not in str(error.orig):
            raise
    driver: Any = tx.connection.driver_connection
    driver.text_factory = _any_text
    try:
        return tx.execute(query).all()
    finally:
        driver.text_factory = str


def _any_text(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _event_texts(tx: Connection) -> Iterator[ColumnElement[Any]]:
    """The columns of StoredEvent."""
    columns = audit_events.c
    yield columns.id
    yield _time(tx, columns.at)
    yield from (columns.actor, columns.action, columns.request_id, columns.cluster)
    if tx.dialect.name == "sqlite":
        yield type_coerce(columns.details, Text)
    else:
        yield cast(columns.details, Text)


def _time(tx: Connection, column: ColumnElement[Any]) -> ColumnElement[Any]:
    if tx.dialect.name == "sqlite":
        return type_coerce(column, Text)
    return func.to_char(func.timezone(literal("UTC"), column), literal(_IN_UTC))
