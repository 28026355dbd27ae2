"""More rows than a batch that nobody can read: every loop of the bot goes past them.

The loops are those that the wiring makes, over a real store. Slack and AWS are away.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from desk import ANA, BEN, HOUR, Desk
from sqlalchemy import Table, func, insert, select

from bot.sandbox.stage import sandbox_policy
from bot.settings import Settings
from bot.store import inbox, tables
from bot.store.database import Database
from bot.store.inbox import ItemState, Kind
from bot.wiring import Bot, Given

MORE_THAN_A_BATCH = 210
PATIENCE = 30
UNREADABLE: dict[str, Any] = {"document": []}


@dataclass(frozen=True)
class Case:
    """`good` makes the one row that can be read, and returns its key in `table`.

    The others are copies of it with what is in `unreadable`, due a minute before. `done` says of
    the row whether the loop was at it.
    """

    loop: str
    good: Callable[[Desk], Any]
    table: Table
    due: str
    done: Callable[[Any], bool]
    unreadable: dict[str, Any] = field(default_factory=lambda: UNREADABLE)
    beneath: tuple[Table, ...] = ()


def _item(kind: Kind) -> Callable[[Desk], int]:
    def put_in(desk: Desk) -> int:
        with desk.database.transaction() as tx:
            return inbox.add(
                tx,
                kind,
                actor=ANA,
                team_id=None,
                document={"request_id": "7K3-QMX"},
                response_url="http://127.0.0.1:1/",
                now=desk.clock(),
            )

    return put_in


def _asked(desk: Desk) -> str:
    return desk.ask().id


def _lapsing(desk: Desk) -> str:
    request = desk.ask()
    desk.clock.advance(2 * HOUR)
    return request.id


def _approved(desk: Desk) -> str:
    request = desk.ask()
    desk.approve(request.id, BEN)
    return request.id


def _owed(desk: Desk) -> str:
    desk.document["break_glass"] = [
        {
            "clusters": ["*"],
            "levels": ["edit"],
            "responders": {"groups": ["S04RESPOND"]},
            "max_duration": "1h",
            "review": {"owners": {"groups": ["S05SECURITY"]}, "within": "24h"},
        }
    ]
    desk.document["security_channel"] = "C0SECURITY"
    request = desk.break_glass(duration=HOUR)
    desk.clock.advance(23 * HOUR + HOUR / 2)
    return request.id


def _entry_of(desk: Desk) -> int:
    request_id = _approved(desk)
    with desk.database.reading() as tx:
        query = select(tables.grants.c.entry_id).where(tables.grants.c.id == request_id)
        return int(tx.scalars(query).one())


def _backstop_of(desk: Desk) -> int:
    entry_id = _entry_of(desk)
    with desk.database.transaction() as tx:
        tx.execute(insert(tables.backstops).values(entry_id=entry_id, due_at=desk.clock()))
    return entry_id


CASES = [
    Case(
        "inbox",
        _item(Kind.ASK),
        tables.inbox,
        "due_at",
        lambda row: row.state != ItemState.NEW.value,
        {"state": "odd"},
    ),
    Case(
        "giving back",
        _item(Kind.RETURN),
        tables.inbox,
        "due_at",
        lambda row: row.state != ItemState.NEW.value,
        {"state": "odd"},
    ),
    Case(
        "messages",
        _asked,
        tables.requests,
        "messages_due_at",
        lambda row: row.messages_attempts > 0,
    ),
    Case("waiting", _lapsing, tables.requests, "lapses_at", lambda row: row.state == "LAPSED"),
    Case(
        "reviews",
        _owed,
        tables.post_reviews,
        "step_due_at",
        lambda row: bool(row.steps),
        beneath=(tables.requests,),
    ),
    Case("access", _entry_of, tables.entries, "due_at", lambda row: row.attempts > 0),
    Case(
        "backstops",
        _backstop_of,
        tables.backstops,
        "due_at",
        lambda row: row.due_at is None or row.attempts > 0,
        {},
        beneath=(tables.entries,),
    ),
]


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


@pytest.fixture
def bot(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bot]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "unused")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    policy = tmp_path / "policy.yaml"
    policy.write_text(sandbox_policy())
    values: dict[str, Any] = {
        "SLACK_BOT_TOKEN": "xoxb-1",
        "SLACK_APP_TOKEN": None,
        "SLACK_SIGNING_SECRET": "unused",
        "SLACK_API_URL": "http://127.0.0.1:1/",
        "EKS_ACCESS_CONFIG": policy,
        "EKS_ACCESS_HTTP_HOST": "127.0.0.1",
        "EKS_ACCESS_HTTP_PORT": 0,
    }
    given = Given(database=desk.database)
    made = Bot(Settings(**values), clock=desk.clock, given=given)
    yield made
    for loop in made.loops:
        loop.close()
    made.abandon()


def _key(table: Table) -> Any:
    return next(iter(table.primary_key.columns))


def _copies(desk: Desk, case: Case, key: Any) -> None:
    """Copies of a row, and of those that it needs, that nobody can read."""
    with desk.database.transaction() as tx:
        last = tx.scalar(select(func.max(tables.entries.c.id))) or 0
        for table in (*case.beneath, case.table):
            row = dict(tx.execute(select(table).where(_key(table) == key)).one()._mapping)
            if row.get(case.due) is not None:
                row[case.due] -= timedelta(minutes=1)
            change = case.unreadable if table is case.table else UNREADABLE
            tx.execute(
                insert(table),
                [
                    row | change | _apart(table, number, last=last)
                    for number in range(1, MORE_THAN_A_BATCH + 1)
                ],
            )


def _apart(table: Table, number: int, *, last: int) -> dict[str, Any]:
    """What tells a copy from the others."""
    if table is tables.requests:
        return {"id": f"000-{number:03}", "namespaces": str(number)}
    if table is tables.post_reviews:
        return {"request_id": f"000-{number:03}"}
    if table is tables.entries:
        return {"id": last + number, "principal_arn": f"arn:aws:iam::1:role/{number}"}
    if table is tables.backstops:
        return {"entry_id": last + number}
    return {"id": -number, "trigger_id": None}  # older, as these go by their ids


@pytest.mark.parametrize(
    ("database_kind", "case"),
    [("sqlite", case) for case in CASES]
    + [("postgresql", case) for case in CASES if case.loop in {"giving back", "access"}],
    ids=lambda value: value if isinstance(value, str) else value.loop,
)
def test_rows_that_nobody_can_read_keep_no_other_from_being_looked_at(
    desk: Desk, bot: Bot, case: Case
) -> None:
    key = case.good(desk)
    _copies(desk, case, key)
    (loop,) = (one for one in bot.loops if one.name == case.loop)
    worked = threading.Event()
    deadline = time.monotonic() + PATIENCE
    with structlog.testing.capture_logs():
        loop.wake = worked.set
        while time.monotonic() < deadline:
            loop.tick()
            with desk.database.reading() as tx:
                row = tx.execute(select(case.table).where(_key(case.table) == key)).one()
            if case.done(row):
                return
            worked.wait(0.1)
            worked.clear()
    raise AssertionError(row)
