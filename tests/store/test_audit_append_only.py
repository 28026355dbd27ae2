"""The database itself refuses to change or remove what the audit trail holds."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError
from store_examples import ANA, NOW

from bot.core.errors import StoreUnavailable
from bot.core.model import AuditEvent
from bot.store import audit, migrate
from bot.store.database import Database

SEAL = "INSERT INTO audit_seals (position, event_id, sealed_at, digest, hash) VALUES "
CHANGES = [
    "UPDATE audit_events SET actor = 'U99'",
    "UPDATE audit_events SET actor = actor WHERE id = 1",
    "DELETE FROM audit_events",
    "DELETE FROM audit_events WHERE id = 2",
    "UPDATE audit_seals SET hash = 'x'",
    "DELETE FROM audit_seals",
]
OF_SQLITE = [
    "REPLACE INTO audit_events (id, at, actor, action, details) "
    "VALUES (1, '2026-01-01', 'U99', 'forged', '{}')",
    "INSERT OR REPLACE INTO audit_events (id, at, actor, action, details) "
    "VALUES (2, '2026-01-01', 'U99', 'forged', '{}')",
    "INSERT INTO audit_events (id, at, actor, action, details) "
    "VALUES (1, '2026-01-01', 'U99', 'forged', '{}') "
    "ON CONFLICT (id) DO UPDATE SET actor = 'U99'",
    "UPDATE OR REPLACE audit_events SET id = 2 WHERE id = 1",
    f"REPLACE {SEAL.removeprefix('INSERT ')} (1, 2, '2026-01-01', 'x', 'x')",
    f"REPLACE {SEAL.removeprefix('INSERT ')} (2, 1, '2026-01-01', 'x', 'x')",
]
OF_POSTGRESQL = [
    "TRUNCATE audit_events, audit_seals",
    "TRUNCATE audit_seals",
    "TRUNCATE audit_events CASCADE",
    "INSERT INTO audit_events (id, at, actor, action, details) "
    "VALUES (1, '2026-01-01', 'U99', 'forged', '{}') "
    "ON CONFLICT (id) DO UPDATE SET actor = 'U99'",
    "MERGE INTO audit_events USING (SELECT 1 AS one) AS source ON id = one "
    "WHEN MATCHED THEN UPDATE SET actor = 'U99'",
    "WITH gone AS (DELETE FROM audit_events RETURNING id) SELECT count(*) FROM gone",
]


@pytest.fixture
def written(database: Database) -> Database:
    """A database with two events, the first of them sealed."""
    with database.transaction() as tx:
        audit.record(tx, [AuditEvent(NOW, ANA, "first"), AuditEvent(NOW, ANA, "second")])
        tx.execute(text(f"{SEAL} (1, 1, '2026-03-01 12:00:00.000000', 'abc', 'abc')"))
    return database


def held(tx: Connection) -> list[tuple[object, ...]]:
    queries = (
        "SELECT id, actor, action FROM audit_events ORDER BY id",
        "SELECT position, event_id, hash FROM audit_seals ORDER BY position",
    )
    return [tuple(row) for query in queries for row in tx.execute(text(query))]


def execute(database: Database, *statements: str) -> None:
    """Run the statements in one transaction."""
    with database.transaction() as tx:
        for statement in statements:
            tx.execute(text(statement))


def refused(database: Database, statement: str) -> None:
    with database.reading() as tx:
        before = held(tx)
    with pytest.raises(IntegrityError, match="append-only"):
        execute(database, statement)
    with database.reading() as tx:
        assert held(tx) == before


@pytest.mark.parametrize("statement", CHANGES)
def test_what_is_written_is_neither_changed_nor_removed(written: Database, statement: str) -> None:
    refused(written, statement)


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("statement", OF_SQLITE)
def test_sqlite_refuses_its_own_ways_to_replace_a_row(written: Database, statement: str) -> None:
    refused(written, statement)


@pytest.mark.parametrize("database_kind", ["postgresql"])
@pytest.mark.parametrize("statement", OF_POSTGRESQL)
def test_postgresql_refuses_its_own_ways_to_change_many(written: Database, statement: str) -> None:
    refused(written, statement)


@pytest.mark.parametrize("database_kind", ["postgresql"])
@pytest.mark.parametrize("statement", CHANGES)
def test_postgresql_refuses_where_a_session_turns_its_triggers_off(
    written: Database, statement: str
) -> None:
    with pytest.raises(IntegrityError, match="append-only"):
        execute(written, "SET LOCAL session_replication_role = replica", statement)


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_a_role_that_owns_nothing_can_neither_take_the_triggers_away_nor_change(
    written: Database,
) -> None:
    execute(
        written,
        "CREATE ROLE eks_access_bot",
        "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON audit_events TO eks_access_bot",
    )
    for statement, error in [
        ("ALTER TABLE audit_events DISABLE TRIGGER ALL", StoreUnavailable),
        ("DROP TRIGGER audit_events_no_change ON audit_events", StoreUnavailable),
        ("SET session_replication_role = replica", StoreUnavailable),
        ("DROP TABLE audit_events CASCADE", StoreUnavailable),
        ("UPDATE audit_events SET actor = 'U99'", IntegrityError),
    ]:
        with pytest.raises(error):
            execute(written, "SET LOCAL ROLE eks_access_bot", statement)
    execute(written, "DROP OWNED BY eks_access_bot", "DROP ROLE eks_access_bot")


def test_what_was_recorded_before_there_were_seals_waits_for_one(database: Database) -> None:
    migrate.downgrade(database, "0001")
    with database.transaction() as tx:
        audit.record(tx, [AuditEvent(NOW, ANA, "old"), AuditEvent(NOW, ANA, "older")])
    migrate.upgrade(database)
    with database.transaction() as tx:
        audit.record(tx, [AuditEvent(NOW, ANA, "new")])
        assert list(tx.scalars(text("SELECT event_id FROM audit_unsealed ORDER BY 1"))) == [1, 2, 3]
