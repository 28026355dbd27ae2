"""Events get their seal soon after they are committed, each once, whoever seals or dies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from audit_trail import found, head_of, sealer, tamper, write, written_and_sealed
from sqlalchemy import text
from store_examples import ANA, NOW

from bot.core.audit_chain import EMPTY, fields, link
from bot.core.errors import StoreUnavailable
from bot.core.model import AuditEvent
from bot.reconcile import audit as reconcile_audit
from bot.reconcile.audit import AuditSealer
from bot.store import audit, audit_seals, migrate
from bot.store.audit_verify import verify
from bot.store.claims import Claims
from bot.store.database import Database

only_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"])
EVENT = AuditEvent(NOW, ANA, "request.submitted", "01A-000", "prod-eu", {"b": 1, "a": ["é", 0.5]})


@pytest.fixture
def replica(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url)) as opened:
        yield opened


def sealed_ids(database: Database) -> list[int]:
    with database.reading() as tx:
        query = text("SELECT event_id FROM audit_seals ORDER BY position")
        return list(tx.execute(query).scalars())


def waiting(database: Database) -> int:
    with database.reading() as tx:
        return audit_seals.waiting(tx)


def test_what_is_hashed_is_the_event_the_same_on_both_databases(database: Database) -> None:
    with database.transaction() as tx:
        audit.record(tx, [EVENT])
    sealer(database).seal()
    with database.reading() as tx:
        (row,) = audit_seals.chain(tx, after=None, until=1, limit=1)
    assert row.event is not None
    assert fields(row.event, row.sealed_at) == {
        "action": "request.submitted",
        "actor": ANA,
        "at": "2026-03-01T12:00:00.000000Z",
        "cluster": "prod-eu",
        "details": {"a": ["é", 0.5], "b": 1},
        "id": 1,
        "request_id": "01A-000",
        "sealed_at": "2026-03-01T12:00:00.000000Z",
    }
    # Computed once by hand, with sha256sum: neither an upgrade nor the database changes it.
    assert row.digest == "c06994a48a7008035285a66ac48dc7204050662ead69043956bb3d5c5e7e8533"
    assert row.hash == link(EMPTY.hash, row.digest) == head_of(database).hash


def test_events_are_sealed_in_order_and_only_once(database: Database) -> None:
    written_and_sealed(database, 3)
    write(database, 2, first=4)
    assert waiting(database) == 2
    for _ in range(2):
        sealer(database).seal()
    assert sealed_ids(database) == [1, 2, 3, 4, 5]
    assert waiting(database) == 0
    assert sealer(database).due() == []
    assert found(database) == []


def test_work_is_due_while_an_event_waits(database: Database) -> None:
    assert sealer(database).due() == []
    write(database, 1)
    (item,) = sealer(database).due()
    sealer(database).seal(item)
    assert sealer(database).due() == []


def test_more_than_a_batch_is_sealed_at_once(database: Database) -> None:
    count = 2 * reconcile_audit.BATCH + 1
    with database.transaction() as tx:
        audit.record(tx, [EVENT] * count)
    sealer(database).seal()
    assert sealed_ids(database) == list(range(1, count + 1))
    assert found(database) == []


@only_postgresql
def test_an_event_that_is_committed_late_with_a_lower_id_is_sealed_too(
    database: Database, replica: Database
) -> None:
    with replica.transaction() as slow:
        audit.record(slow, [EVENT])
        write(database, 2)
        sealer(database).seal()
        assert sealed_ids(database) == [2, 3], "nobody waited for the slow one"
    assert waiting(database) == 1
    sealer(database).seal()
    assert sealed_ids(database) == [2, 3, 1]
    assert found(database) == []


def test_a_transition_does_not_wait_for_the_sealing_of_others(
    database: Database, replica: Database
) -> None:
    # The sealer is between reading and writing: its claim is held, and no lock on any table is.
    write(database, 1)
    with Claims(replica).claim("audit:seal") as held, replica.reading() as tx:
        assert held
        assert audit_seals.to_seal(tx, after=0, limit=10)
        write(database, 1, first=2)


def test_sealing_is_left_to_the_one_who_is_at_it(database: Database) -> None:
    write(database, 1)
    claims = Claims(database)
    mine = AuditSealer(database, claims, clock=lambda: NOW)
    with claims.claim("audit:seal"):
        mine.seal()
        assert sealed_ids(database) == []
    mine.seal()
    assert sealed_ids(database) == [1]


def test_many_sealers_on_several_replicas_make_one_chain(
    database: Database, replica: Database, database_kind: str
) -> None:
    replicas = [database] if database_kind == "sqlite" else [database, replica]
    sealers = [sealer(one) for one in replicas]

    def work(number: int) -> None:
        one = replicas[number % len(replicas)]
        write(one, 5, first=number * 5)
        sealers[number % len(sealers)].seal()

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(12)))
    sealers[0].seal()
    assert sorted(sealed_ids(database)) == list(range(1, 61))
    assert verify(database).findings == []


def test_two_who_seal_the_same_at_once_make_one_seal(database: Database) -> None:
    # Without claims, as where one was lost: the database keeps the second from committing.
    write(database, 2)
    lost = [AuditSealer(database, Claims(database), clock=lambda: NOW) for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda one: one.seal(), lost))
    lost[0].seal()
    assert sealed_ids(database) == [1, 2]
    assert found(database) == []


def test_a_sealer_that_dies_before_its_commit_leaves_the_events_waiting(
    database: Database,
) -> None:
    write(database, 2)

    class DiesError(Exception):
        pass

    def die() -> None:
        with database.transaction() as tx:
            events = audit_seals.to_seal(tx, after=0, limit=10)
            audit_seals.append(tx, reconcile_audit.seal(audit_seals.head(tx), events, NOW))
            raise DiesError

    with pytest.raises(DiesError):
        die()
    assert (sealed_ids(database), waiting(database)) == ([], 2)
    sealer(database).seal()
    assert (sealed_ids(database), waiting(database)) == ([1, 2], 0)


def test_what_was_recorded_before_there_were_seals_is_sealed_first_of_all(
    database: Database,
) -> None:
    migrate.downgrade(database, "0001")
    write(database, 3)
    migrate.upgrade(database)
    write(database, 1, first=4)
    sealer(database, NOW + timedelta(days=2)).seal()
    report = verify(database)
    assert (report.findings, report.events, report.late) == ([], 4, 4)
    assert report.first_late is not None
    assert report.first_late.event_id == 1


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_row_that_the_bot_cannot_have_written_keeps_nothing_else_from_its_seal(
    database: Database,
) -> None:
    with database.transaction() as tx:
        tx.exec_driver_sql(
            "INSERT INTO audit_events (id, at, actor, action, request_id, details) VALUES "
            "(1, '2026-03-01 12:00:00.000000', 'U1', 'forged', '01A-000', '{\"a\": 1, \"a\": 2}')"
        )
    write(database, 2, first=2)
    sealer(database).seal()
    assert sealed_ids(database) == [2, 3]
    (finding,) = found(database)
    assert (finding.kind, finding.event_id) == ("inserted", 1)
    assert "gets none" in finding.sentence


def test_waiting_events_are_counted_and_no_finding(database: Database) -> None:
    written_and_sealed(database, 2)
    write(database, 3, first=3)
    report = verify(database)
    assert (report.findings, report.waiting, report.events) == ([], 3, 2)


def test_an_event_taken_off_the_waiting_list_is_found(database: Database) -> None:
    write(database, 2)
    tamper(database, "DELETE FROM audit_unsealed WHERE event_id = 1")
    sealer(database).seal()
    (finding,) = found(database)
    assert (finding.kind, finding.event_id) == ("inserted", 1)


@only_postgresql
def test_the_role_of_the_documentation_can_record_and_seal_and_change_nothing(
    database: Database, database_url: str
) -> None:
    role = f"bot_of_{database.engine.url.database}"
    document = Path(__file__).parents[2] / "docs" / "audit.md"
    (grants,) = re.findall(r"```sql\n(.*?)```", document.read_text(), re.DOTALL)
    with database.transaction() as tx:
        tx.exec_driver_sql(f"CREATE ROLE {role}")
        tx.exec_driver_sql(grants.replace("eks_access_bot", role))
    with closing(Database(f"{database_url}&options=-c%20role%3D{role}")) as limited:
        written_and_sealed(limited, 2)
        assert sealed_ids(limited) == [1, 2]
        for statement in ("UPDATE audit_events SET actor = 'U9'", "DELETE FROM audit_seals"):
            with (
                pytest.raises(StoreUnavailable, match="permissions"),
                limited.transaction() as tx,
            ):
                tx.exec_driver_sql(statement)
        assert verify(limited).findings == []
    with database.transaction() as tx:
        tx.exec_driver_sql(f"DROP OWNED BY {role}")
        tx.exec_driver_sql(f"DROP ROLE {role}")
