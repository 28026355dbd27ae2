"""What people asked for: stored before it is acknowledged, carried out once, answered."""

from __future__ import annotations

import pytest
from race import race
from sqlalchemy import Connection
from store_examples import ANA, HOUR, MINUTE, NOW, SECOND

from bot.core.errors import Conflict
from bot.store import inbox
from bot.store.database import Database
from bot.store.inbox import ItemState, Kind

DOCUMENT = {"cluster": "lab", "namespaces": ["a", "b"], "reason": "Zwölf Boxkämpfer 🥊", "n": None}
ANSWER = {"text": "Done.", "blocks": [{"type": "section"}]}


def add(tx: Connection, kind: Kind = Kind.REQUEST, **more: object) -> int:
    values: dict[str, object] = {
        "actor": ANA,
        "team_id": "T01",
        "document": DOCUMENT,
        "response_url": "https://hooks.slack.test/1",
        "now": NOW,
    }
    return inbox.add(tx, kind, **(values | more))  # type: ignore[arg-type] # as above


@pytest.mark.parametrize("kind", Kind)
def test_an_item_reads_back_as_it_was_stored(database: Database, kind: Kind) -> None:
    with database.transaction() as tx:
        item_id = add(tx, kind)
        item = inbox.get(tx, item_id)
    assert (item.id, item.kind, item.actor, item.team_id) == (item_id, kind, ANA, "T01")
    assert (item.received_at, item.document) == (NOW, DOCUMENT)
    assert item.response_url == "https://hooks.slack.test/1"
    assert (item.state, item.answer, item.attempts) == (ItemState.NEW, None, 0)


def test_what_slack_leaves_out_stays_out(database: Database) -> None:
    with database.transaction() as tx:
        item = inbox.get(tx, add(tx, team_id=None, response_url=None))
    assert (item.team_id, item.response_url) == (None, None)


def test_items_are_worked_on_in_the_order_in_which_they_came(database: Database) -> None:
    with database.transaction() as tx:
        first, second, third = add(tx), add(tx, now=NOW - MINUTE), add(tx, now=NOW + MINUTE)
        assert first < second < third
        assert inbox.due(tx, NOW, 10, never_limited=False) == [first, second]
        assert inbox.due(tx, NOW + MINUTE, 10, never_limited=False) == [first, second, third]
        assert inbox.due(tx, NOW + MINUTE, 2, never_limited=False) == [first, second]


def test_what_came_in_while_the_clock_was_ahead_does_not_wait_until_then(
    database: Database,
) -> None:
    with database.transaction() as tx:
        ahead = add(tx, now=NOW + 5 * HOUR)
        assert inbox.due(tx, NOW, 10, never_limited=False) == [ahead]
        item = inbox.get(tx, ahead)
        inbox.carried_out(tx, item, ANSWER, NOW + 5 * HOUR)
        assert inbox.due(tx, NOW, 10, never_limited=False) == [ahead]


def test_an_item_is_carried_out_answered_and_done(database: Database) -> None:
    with database.transaction() as tx:
        item = inbox.get(tx, add(tx))
        inbox.later(tx, item, NOW + SECOND)
        inbox.carried_out(tx, item, ANSWER, NOW + MINUTE)
        answering = inbox.get(tx, item.id)
        assert (answering.state, answering.answer) == (ItemState.ANSWERING, ANSWER)
        assert answering.attempts == 0, "answering is tried anew"
        assert inbox.due(tx, NOW + MINUTE, 10, never_limited=False) == [item.id]
        inbox.answered(tx, item.id)
        assert inbox.get(tx, item.id).state is ItemState.DONE
        assert inbox.due(tx, NOW + 1000 * HOUR, 10, never_limited=False) == []


@pytest.mark.parametrize("answered", [False, True])
def test_an_item_is_carried_out_once(database: Database, answered: bool) -> None:
    with database.transaction() as tx:
        item = inbox.get(tx, add(tx))
        inbox.carried_out(tx, item, ANSWER, NOW)
        if answered:
            inbox.answered(tx, item.id)
        with pytest.raises(Conflict) as refused:
            inbox.carried_out(tx, item, {"text": "Done again."}, NOW)
        assert refused.value.code == "already_carried_out"
        assert inbox.get(tx, item.id).answer == ANSWER


def test_of_two_workers_at_once_one_carries_out(database: Database) -> None:
    with database.transaction() as tx:
        item = inbox.get(tx, add(tx))
    results = race(
        database,
        lambda tx: inbox.carried_out(tx, item, {"text": "one"}, NOW),
        lambda tx: inbox.carried_out(tx, item, {"text": "other"}, NOW),
    )
    (loser,) = [result for result in results if result is not None]
    assert isinstance(loser, Conflict)


def test_what_fails_is_tried_again_later_and_counted(database: Database) -> None:
    with database.transaction() as tx:
        item_id = add(tx)
        for attempt in (1, 2):
            inbox.later(tx, inbox.get(tx, item_id), NOW + attempt * MINUTE)
            assert inbox.get(tx, item_id).attempts == attempt
            assert inbox.due(tx, NOW + attempt * MINUTE - SECOND, 10, never_limited=False) == []
            assert inbox.due(tx, NOW + attempt * MINUTE, 10, never_limited=False) == [item_id]
        assert inbox.get(tx, item_id).state is ItemState.NEW
