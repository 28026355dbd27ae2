"""No row is live and never due: the database refuses it, or the sweep finds it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, text, update
from sqlalchemy.exc import IntegrityError
from store_examples import HOUR, LAB, MINUTE, NOW, ROLE, add_grant, approval, grant, request

from bot.core.model import BackstopTerms, Owners
from bot.core.post_review import PostReview
from bot.store import (
    announcements,
    backstops,
    entries,
    grants,
    inbox,
    never_due,
    post_reviews,
    requests,
    tables,
)
from bot.store.database import Database
from bot.store.inbox import Kind
from bot.store.never_due import Found

BACKED = replace(
    LAB,
    backstop=BackstopTerms(
        role="arn:aws:iam::111122223333:role/stop", group="eks-access", after=MINUTE
    ),
)


def rows_of_each(tx: Connection) -> int:
    """A row of each table that a loop works on, due as it should be. Returns the entry's id."""
    entry_id = entries.wish(tx, BACKED, ROLE, deployment="acme-test", now=NOW)
    requests.add(tx, request())
    requests.decide(tx, approval())
    grants.add(tx, grant(), entry_id)
    requests.add(tx, request(id="01A-001"))
    inbox.add(tx, Kind.CANCEL, actor="U1", team_id=None, document={}, response_url=None, now=NOW)
    announcements.announce(tx, key="k", channel="C1", text="Said", blocks=[], now=NOW)
    post_reviews.add(tx, PostReview("01A-000", Owners(), NOW, NOW + HOUR, NOW + 2 * HOUR), "U01ANA")
    return entry_id


def test_what_the_bot_stores_is_due(database: Database) -> None:
    with database.transaction() as tx:
        rows_of_each(tx)
        assert never_due.find(tx) == ()


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("entries", {"due_at": None, "attempts": 1}),
        ("backstops", {"due_at": None, "attempts": 1}),
        ("requests", {"messages_due_at": None, "messages_attempts": 1}),
        ("inbox", {"due_at": None}),
        ("announcements", {"due_at": None}),
    ],
)
def test_the_database_refuses_what_one_row_alone_tells(
    database: Database, table: str, change: dict[str, object]
) -> None:
    with database.transaction() as tx:
        rows_of_each(tx)
    with pytest.raises(IntegrityError), database.transaction() as tx:
        tx.execute(update(tables.metadata.tables[table]).values(change))


@pytest.mark.parametrize(
    ("spoil", "table", "key"),
    [
        ("UPDATE entries SET due_at = NULL", "entries", "entry"),
        (
            "UPDATE backstops SET due_at = NULL, name = 'x', group_name = 'x', role_arn = 'x', "
            "alone = true, shown = false; UPDATE grants SET state = 'ENDED'",
            "backstops",
            "entry",
        ),
        (
            "UPDATE requests SET lapses_at = NULL WHERE state = 'PENDING'",
            "requests",
            "01A-001",
        ),
        ("UPDATE post_reviews SET step_due_at = NULL", "post_reviews", "01A-000"),
    ],
)
def test_a_row_that_others_make_live_is_found_and_made_due(
    database: Database, spoil: str, table: str, key: str
) -> None:
    with database.transaction() as tx:
        entry_id = rows_of_each(tx)
        for statement in spoil.split(";"):
            tx.execute(text(statement))
        wanted = str(entry_id) if key == "entry" else key
        assert never_due.find(tx) == (Found(table, wanted),)
        never_due.make_due(tx, NOW)
        assert never_due.find(tx) == ()


def test_a_policy_that_is_to_go_keeps_its_entry_due(database: Database) -> None:
    with database.transaction() as tx:
        entry_id = entries.wish(tx, LAB, ROLE, deployment="acme-test", now=NOW)
        tx.execute(
            text(
                "INSERT INTO associations (entry_id, policy_arn, namespaces, confirmed, removing, "
                "earlier) VALUES (:entry, 'arn', '[]', true, true, '[]')"
            ),
            {"entry": entry_id},
        )
        tx.execute(text("UPDATE entries SET due_at = NULL"))
        assert never_due.find(tx) == (Found("entries", str(entry_id)),)


def test_a_look_that_ends_after_another_answered_leaves_no_entry_that_nobody_looks_at(
    database: Database,
) -> None:
    with database.transaction() as tx:
        entry_id = entries.wish(tx, LAB, ROLE, deployment="acme-test", now=NOW)
        slow = entries.get(tx, entry_id, NOW)
        entries.wake(tx, entry_id, NOW)
        entries.rest(tx, entries.get(tx, entry_id, NOW), None, attempts=0, problem=None)
        # So too where the store went back to before `slow` was read.
        entries.rest(tx, slow, NOW + MINUTE, attempts=1, problem="away")
        assert entries.due(tx, NOW, 10) == [entry_id]


def test_a_look_that_ends_after_another_answered_leaves_no_backstop_that_nobody_looks_at(
    database: Database,
) -> None:
    with database.transaction() as tx:
        entry_id = entries.wish(tx, BACKED, ROLE, deployment="acme-test", now=NOW)
        slow = backstops.find(tx, entry_id)
        assert slow is not None
        backstops.wake(tx, entry_id, NOW)
        quick = backstops.find(tx, entry_id)
        assert quick is not None
        backstops.rest(tx, quick, None, attempts=0, problem=None, hopeless=False)
        backstops.rest(tx, slow, NOW + MINUTE, attempts=1, problem="away", hopeless=False)
        assert backstops.due(tx, NOW, 10) == [entry_id]


# What a look costs: there is one a minute, and history only grows

OVER = (
    "UPDATE grants SET state = 'ENDED', ended_at = created_at",
    "UPDATE entries SET due_at = NULL",
    "UPDATE backstops SET due_at = NULL",
    "UPDATE requests SET messages_due_at = NULL",
    "UPDATE inbox SET state = 'DONE', due_at = NULL",
    "UPDATE announcements SET due_at = NULL, posted_ts = '1.0'",
    "UPDATE post_reviews SET step_due_at = NULL, reviewed_at = begun_at",
)


def add_history(tx: Connection, numbers: range) -> None:
    """Rows of each table that are over, as the years leave them."""
    for number in numbers:
        key = f"9AA-{number:03}"
        add_grant(tx, id=key, cluster=BACKED, principal_arn=f"{ROLE}-{number}")
        post_reviews.add(
            tx, PostReview(key, Owners(), NOW, NOW + HOUR, NOW + 2 * HOUR), f"U{number}"
        )
        inbox.add(tx, Kind.CANCEL, actor=key, team_id=None, document={}, response_url=None, now=NOW)
        announcements.announce(tx, key=key, channel="C1", text="Said", blocks=[], now=NOW)
    for statement in OVER:
        tx.execute(text(statement))


def effort(tx: Connection) -> int:
    """What it takes to find nothing: SQLite's steps, or the rows that PostgreSQL touches."""
    if tx.dialect.name == "sqlite":
        steps: list[None] = []
        driver: Any = tx.connection.driver_connection
        driver.set_progress_handler(lambda: steps.append(None), 1)
        assert never_due.find(tx) == ()
        driver.set_progress_handler(None, 1)
        return len(steps)
    tx.execute(text("ANALYZE"))
    tx.execute(text("SET LOCAL enable_seqscan = off"))  # it would read small tables whole
    explain = "EXPLAIN (ANALYZE, FORMAT JSON)"
    plans = [tx.scalar(text(f"{explain} {check.query}")) for check in never_due.CHECKS]
    return sum(touched(plan[0]["Plan"]) for plan in plans)


def touched(node: dict[str, Any]) -> int:
    """The rows that this node of a plan, and those below, gave or threw away."""
    counts = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    own = sum(int(node.get(one, 0)) for one in counts)
    return own + sum(touched(one) for one in node.get("Plans", ()))


def test_to_look_costs_no_more_with_a_long_history(database: Database) -> None:
    with database.transaction() as tx:
        add_history(tx, range(10))
        little = effort(tx)
        add_history(tx, range(10, 210))
        assert effort(tx) <= little
