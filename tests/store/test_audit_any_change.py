"""Any single change of what is stored of the trail is found, wherever it is."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from audit_trail import anchor_of, tamper, written_and_sealed
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bot.core.audit_findings import Anchor, Kind
from bot.store.audit_verify import verify
from bot.store.database import Database

COUNT = 20
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)
times = st.datetimes().map(lambda at: f"{at:%Y-%m-%d %H:%M:%S.%f}")
details = st.dictionaries(words, st.integers() | words | st.none(), max_size=3).map(json.dumps)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
ids = st.integers(1, COUNT)
values = {
    "audit_events": {
        "id": st.integers(-5, 2 * COUNT),
        "at": times,
        "actor": words,
        "action": words,
        "request_id": words | st.none(),
        "cluster": words | st.none(),
        "details": details,
    },
    "audit_seals": {
        "position": st.integers(-5, 2 * COUNT),
        "event_id": ids,
        "sealed_at": times,
        "digest": hashes,
        "hash": hashes,
    },
}
KEYS = {"audit_events": "id", "audit_seals": "position"}
changes = st.sampled_from(
    [(table, column) for table, columns in values.items() for column in columns]
).flatmap(lambda one: st.tuples(st.just(one), ids, values[one[0]][one[1]]))


@pytest.fixture(scope="module")
def sealed(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Anchor]:
    """A sealed trail to be copied, without its triggers, and the anchor of its head."""
    file = tmp_path_factory.mktemp("trail") / "sealed.db"
    shutil.copy(migrated_sqlite, file)
    with closing(Database(f"sqlite:///{file}")) as database:
        written_and_sealed(database, COUNT)
        tamper(database)
        return file, anchor_of(database)


def kinds_after(sealed: tuple[Path, Anchor], *statements: tuple[str, tuple[Any, ...]]) -> set[Kind]:
    """What is found once the statements have changed a copy of the trail."""
    file, anchor = sealed
    copy = file.with_name("changed.db")
    shutil.copy(file, copy)
    with closing(sqlite3.connect(copy)) as connection:
        # The only ways to keep rows from being told apart: no constraint, no index.
        connection.execute("DROP INDEX uq_audit_seals_event_id")
        for statement, values in statements:
            connection.execute(statement, values)
        connection.commit()
    with closing(Database(f"sqlite:///{copy}")) as database:
        found = {one.kind for one in verify(database, [anchor]).findings}
    for suffix in ("", "-wal", "-shm"):
        Path(f"{copy}{suffix}").unlink(missing_ok=True)
    return found - {Kind.UNGUARDED}


def value_of(sealed: tuple[Path, Anchor], table: str, column: str, key: int) -> Any:
    with closing(sqlite3.connect(sealed[0])) as connection:
        query = f"SELECT {column} FROM {table} WHERE {KEYS[table]} = ?"  # noqa: S608 - of this file
        return connection.execute(query, (key,)).fetchone()[0]


def taken(table: str, column: str, value: Any) -> bool:
    """Whether the database itself refuses the value, because another row has it."""
    return column == KEYS[table] and value in range(1, COUNT + 1)


def test_what_is_not_changed_is_good(sealed: tuple[Path, Anchor]) -> None:
    assert kinds_after(sealed) == set()


examples = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@examples
@given(change=changes)
@example(change=(("audit_seals", "position"), 1, COUNT + 1))  # just behind the last one
def test_any_value_that_is_changed_is_found(
    sealed: tuple[Path, Anchor], change: tuple[tuple[str, str], int, Any]
) -> None:
    (table, column), key, value = change
    if value == value_of(sealed, table, column, key) or taken(table, column, value):
        return
    statement = f"UPDATE {table} SET {column} = ? WHERE {KEYS[table]} = ?"  # noqa: S608 - of this file
    assert kinds_after(sealed, (statement, (value, key)))


@examples
@given(tables=st.sets(st.sampled_from(sorted(KEYS)), min_size=1), rows=st.sets(ids, min_size=1))
def test_any_rows_that_are_removed_are_found(
    sealed: tuple[Path, Anchor], tables: set[str], rows: set[int]
) -> None:
    gone = [
        (f"DELETE FROM {table} WHERE {KEYS[table]} = ?", (key,))  # noqa: S608 - of this file
        for table in tables
        for key in rows
    ]
    assert kinds_after(sealed, *gone)


@examples
@given(pair=st.lists(ids, min_size=2, max_size=2, unique=True), table=st.sampled_from(sorted(KEYS)))
def test_any_two_rows_that_change_places_are_found(
    sealed: tuple[Path, Anchor], pair: list[int], table: str
) -> None:
    move = f"UPDATE {table} SET {KEYS[table]} = ? WHERE {KEYS[table]} = ?"  # noqa: S608 - of this file
    one, two = pair
    moves = [(move, (new, old)) for new, old in ((99, one), (one, two), (two, 99))]
    # Where the last one moves, the anchored hash is elsewhere too.
    assert kinds_after(sealed, *moves) - {Kind.REWRITTEN} == {Kind.REORDERED}


@examples
@given(place=ids, seal=st.tuples(hashes, hashes), number=st.integers(COUNT + 1, 99))
def test_any_event_that_is_put_in_with_a_seal_is_found(
    sealed: tuple[Path, Anchor], place: int, seal: tuple[str, str], number: int
) -> None:
    move = "UPDATE audit_seals SET position = ? WHERE position = ?"
    assert kinds_after(
        sealed,
        *((move, (one + 1, one)) for one in range(COUNT, place - 1, -1)),
        (
            "INSERT INTO audit_events (id, at, actor, action, details) SELECT ?, at, actor, "
            "action, details FROM audit_events WHERE id = 1",
            (number,),
        ),
        (
            "INSERT INTO audit_seals (position, event_id, sealed_at, digest, hash) "
            "SELECT ?, ?, sealed_at, ?, ? FROM audit_seals LIMIT 1",
            (place, number, *seal),
        ),
    )
