"""What people asked for: stored before it is acknowledged, carried out once, answered."""

from __future__ import annotations

from datetime import timedelta

import pytest
from race import race
from sqlalchemy import Connection
from store_examples import ANA, HOUR, MINUTE, NOW, SECOND

from bot.core.errors import Conflict
from bot.store import inbox
from bot.store.database import Database
from bot.store.inbox import GIVING_BACK, ORDINARY, REVOKING, ItemState, Kind

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
        assert inbox.due(tx, NOW, 10, ORDINARY) == [first, second]
        assert inbox.due(tx, NOW + MINUTE, 10, ORDINARY) == [first, second, third]
        assert inbox.due(tx, NOW + MINUTE, 2, ORDINARY) == [first, second]


def test_what_came_in_while_the_clock_was_ahead_does_not_wait_until_then(
    database: Database,
) -> None:
    with database.transaction() as tx:
        ahead = add(tx, now=NOW + 5 * HOUR)
        assert inbox.due(tx, NOW, 10, ORDINARY) == [ahead]
        item = inbox.get(tx, ahead)
        inbox.carried_out(tx, item, ANSWER, NOW + 5 * HOUR)
        assert inbox.due(tx, NOW, 10, ORDINARY) == [ahead]


@pytest.mark.parametrize("pause", [SECOND, HOUR], ids=["of its own", "asked for"])
def test_what_was_put_off_while_the_clock_was_ahead_is_due_at_once(
    database: Database, pause: timedelta
) -> None:
    with database.transaction() as tx:
        item_id = add(tx)
        inbox.later(tx, inbox.get(tx, item_id), NOW + HOUR + pause, NOW + HOUR)
        assert inbox.due(tx, NOW, 10, ORDINARY) == [item_id]
        inbox.later(tx, inbox.get(tx, item_id), NOW + HOUR, NOW)
        assert inbox.due(tx, NOW + HOUR - SECOND, 10, ORDINARY) == [], "Slack asked for that"


def test_an_item_is_carried_out_answered_and_done(database: Database) -> None:
    with database.transaction() as tx:
        item = inbox.get(tx, add(tx))
        inbox.later(tx, item, NOW + SECOND, NOW)
        inbox.carried_out(tx, item, ANSWER, NOW + MINUTE)
        answering = inbox.get(tx, item.id)
        assert (answering.state, answering.answer) == (ItemState.ANSWERING, ANSWER)
        assert answering.attempts == 0, "answering is tried anew"
        assert inbox.due(tx, NOW + MINUTE, 10, ORDINARY) == [item.id]
        inbox.answered(tx, item.id)
        assert inbox.get(tx, item.id).state is ItemState.DONE
        assert inbox.due(tx, NOW + 1000 * HOUR, 10, ORDINARY) == []


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
            inbox.later(tx, inbox.get(tx, item_id), NOW + attempt * MINUTE, NOW)
            assert inbox.get(tx, item_id).attempts == attempt
            assert inbox.due(tx, NOW + attempt * MINUTE - SECOND, 10, ORDINARY) == []
            assert inbox.due(tx, NOW + attempt * MINUTE, 10, ORDINARY) == [item_id]
        assert inbox.get(tx, item_id).state is ItemState.NEW


def test_people_take_turns_however_much_one_of_them_asks_for(database: Database) -> None:
    with database.transaction() as tx:
        flood = [add(tx, document={"request_id": f"7K3-{number:03}"}) for number in range(9)]
        tried = add(tx, actor="U02BEN")
        inbox.later(tx, inbox.get(tx, tried), NOW, NOW)
        ben, cleo = add(tx, actor="U02BEN"), add(tx, actor="U03CLEO")
        assert inbox.due(tx, NOW, 4, ORDINARY) == [flood[0], ben, cleo, flood[1]]
        assert inbox.due(tx, NOW, 100, ORDINARY) == [flood[0], ben, cleo, *flood[1:], tried]


def test_what_ends_access_stands_in_queues_of_its_own(database: Database) -> None:
    with database.transaction() as tx:
        items = {kind: add(tx, kind, document={"request_id": "7K3-QMX"}) for kind in Kind}
        assert inbox.due(tx, NOW, 100, GIVING_BACK) == [items[Kind.CANCEL], items[Kind.RETURN]]
        revoking = [items[kind] for kind in (Kind.LOCKDOWN, Kind.SUSPEND, Kind.REVOKE)]
        assert inbox.due(tx, NOW, 100, REVOKING) == revoking
        assert len(inbox.due(tx, NOW, 100, ORDINARY)) == len(Kind) - 5


def test_to_suspend_is_carried_out_however_late_and_to_end_it_is_not() -> None:
    """As with a lockdown: by its end somebody gets access again."""
    assert inbox.takes_away(Kind.SUSPEND, {"person": "U01ANA"})
    assert not inbox.takes_away(Kind.UNSUSPEND, {"person": "U01ANA"})


def test_of_each_person_one_suspension_waits(database: Database) -> None:
    with database.transaction() as tx:
        add(tx, Kind.SUSPEND, document={"person": "U01ANA"})
        with pytest.raises(Conflict):
            add(tx, Kind.SUSPEND, document={"person": "U01ANA"})
        add(tx, Kind.SUSPEND, document={"person": "U02BEN"})


@pytest.mark.parametrize("kind", [Kind.REVOKE, Kind.RETURN, Kind.CANCEL])
def test_of_each_person_kind_and_request_one_waits(database: Database, kind: Kind) -> None:
    document = {"request_id": "7K3-QMX"}
    with database.transaction() as tx:
        first = add(tx, kind, document=document, trigger_id="1")
        with pytest.raises(Conflict) as refused:
            add(tx, kind, document=document, trigger_id="2")
        assert refused.value.code == "on_its_way"
        assert add(tx, kind, document=document, trigger_id="1") == first, "Slack sent it again"
        add(tx, kind, document=document, actor="U02BEN")
        add(tx, kind, document={"request_id": "7K3-QMY"})
        inbox.carried_out(tx, inbox.get(tx, first), ANSWER, NOW)
        add(tx, kind, document=document, trigger_id="3")


def test_lockdown_on_and_off_and_revoking_wait_beside_each_other(database: Database) -> None:
    turns = [{"on": True}, {"on": True, "revoking": True}, {"on": False}]
    with database.transaction() as tx:
        for turn in turns:
            add(tx, Kind.LOCKDOWN, document=turn)
            with pytest.raises(Conflict):
                add(tx, Kind.LOCKDOWN, document=turn)


def test_requests_and_questions_wait_as_often_as_they_are_asked(database: Database) -> None:
    with database.transaction() as tx:
        for kind in ORDINARY:
            assert add(tx, kind, document={"request_id": "7K3-QMX"}) != add(
                tx, kind, document={"request_id": "7K3-QMX"}
            )
