"""The Slack messages of a request: where they stand, and whether they are up to date."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy import Connection, update
from sqlalchemy.exc import IntegrityError
from store_examples import BEN, HOUR, MINUTE, NOW, ROLE, SECOND, add_grant, request

from bot.core.model import GrantState
from bot.store import grants, messages, requests, tables
from bot.store.database import Database
from bot.store.messages import Backlog, Posted

ID = request().id
CARD = Posted(key="card", recipient="C01LAB", channel="C01LAB", ts="1.000100", digest="abc")


@pytest.fixture
def asked(database: Database) -> None:
    with database.transaction() as tx:
        requests.add(tx, request())


@pytest.mark.usefixtures("asked")
def test_a_new_request_owes_its_messages_at_once(database: Database) -> None:
    with database.transaction() as tx:
        assert messages.due(tx, NOW - 1000 * HOUR, 10) == [ID], "whatever the clock says"
        assert messages.due(tx, NOW, 10) == [ID]
        assert messages.backlog(tx, ID) == Backlog(ID, version=1, attempts=0)
        assert messages.of_request(tx, ID) == ()


@pytest.mark.usefixtures("asked")
def test_messages_up_to_date_rest_and_failed_ones_are_tried_again(database: Database) -> None:
    with database.transaction() as tx:
        messages.rest(tx, messages.backlog(tx, ID), NOW + MINUTE, attempts=1, now=NOW)
        assert messages.due(tx, NOW + MINUTE - SECOND, 10) == []
        assert messages.due(tx, NOW + MINUTE, 10) == [ID]
        assert messages.backlog(tx, ID).attempts == 1
        messages.rest(tx, messages.backlog(tx, ID), None, attempts=0, now=NOW)
        assert messages.due(tx, NOW + 1000 * HOUR, 10) == []


@pytest.mark.usefixtures("asked")
def test_a_change_during_a_round_is_not_lost(database: Database) -> None:
    with database.reading() as tx:
        round_of = messages.backlog(tx, ID)
    with database.transaction() as tx:
        requests.touch(tx, ID)
    with database.transaction() as tx:
        messages.rest(tx, round_of, None, attempts=0, now=NOW)
        assert messages.due(tx, NOW + SECOND, 10) == [ID]
        assert messages.backlog(tx, ID).version == round_of.version + 1


def test_requests_are_looked_at_the_longest_due_first(database: Database) -> None:
    with database.transaction() as tx:
        for number in range(4):
            requests.add(tx, request(id=f"01A-00{number}", level=f"level-{number}"))
        for number, minutes in ((0, 3), (1, 1)):
            put_off = messages.backlog(tx, f"01A-00{number}")
            messages.rest(tx, put_off, NOW + minutes * MINUTE, attempts=1, now=NOW)
        changed = ["01A-002", "01A-003"]
        assert messages.due(tx, NOW + 3 * MINUTE, 10) == [*changed, "01A-001", "01A-000"]
        assert messages.due(tx, NOW + 3 * MINUTE, 1) == ["01A-002"]
        assert messages.due(tx, NOW + 2 * MINUTE, 10) == [*changed, "01A-001"]


@pytest.mark.usefixtures("asked")
def test_messages_put_off_while_the_clock_was_ahead_are_tried_again_at_once(
    database: Database,
) -> None:
    with database.transaction() as tx:
        ahead = NOW + HOUR
        for pause in (MINUTE, HOUR):  # a pause of the bot's own, and one that Slack asked for
            messages.rest(tx, messages.backlog(tx, ID), ahead + pause, attempts=1, now=ahead)
            assert messages.due(tx, NOW, 10) == [ID]
        messages.rest(tx, messages.backlog(tx, ID), NOW + HOUR, attempts=1, now=NOW)
        assert messages.due(tx, NOW + HOUR - SECOND, 10) == [], "right for what Slack asked"
        messages.rest(tx, messages.backlog(tx, ID), NOW + 2 * HOUR, attempts=0, now=NOW)
        assert messages.due(tx, NOW, 10) == [], "right for what time alone changes"


@pytest.mark.usefixtures("asked")
def test_what_changed_while_the_clock_was_ahead_is_shown_at_once(database: Database) -> None:
    with database.transaction() as tx:
        messages.rest(tx, messages.backlog(tx, ID), None, attempts=0, now=NOW)
        requests.touch(tx, ID)
        assert messages.due(tx, NOW - 24 * HOUR, 10) == [ID]


@pytest.mark.usefixtures("asked")
def test_a_message_is_remembered_where_it_stands_and_by_what_it_shows(database: Database) -> None:
    edited = replace(CARD, digest="def")
    refused = Posted("direct", BEN, None, None, "abc", problem="channel_not_found")
    with database.transaction() as tx:
        messages.put(tx, ID, CARD)
        messages.put(tx, ID, refused)
        assert set(messages.of_request(tx, ID)) == {CARD, refused}
        messages.put(tx, ID, edited)
        assert set(messages.of_request(tx, ID)) == {edited, refused}


@pytest.mark.usefixtures("asked")
def test_one_kind_of_message_goes_to_several_places(database: Database) -> None:
    elsewhere = replace(CARD, recipient="C02PAY", channel="C02PAY", ts="2.000100")
    with database.transaction() as tx:
        messages.put(tx, ID, CARD)
        messages.put(tx, ID, elsewhere)
        messages.forget(tx, ID, CARD)
        assert messages.of_request(tx, ID) == (elsewhere,)


def test_a_message_belongs_to_a_request(database: Database) -> None:
    with pytest.raises(IntegrityError), database.transaction() as tx:
        messages.put(tx, "7K3-QMX", CARD)


def test_in_a_rush_of_removals_their_messages_wait_and_no_others(database: Database) -> None:
    rush = [f"01A-{number:03}" for number in range(messages.RUSH + 1)]
    with database.transaction() as tx:
        for number, grant_id in enumerate(rush):
            principal = f"{ROLE}-{number}"
            past = {"created_at": NOW - HOUR, "ends_at": NOW - MINUTE}
            add_grant(tx, id=grant_id, principal_arn=principal, **past)
            revoked = NOW if grant_id == rush[0] else None
            state = GrantState.REVOKING if revoked else GrantState.ACTIVE
            changed = update(tables.grants).where(tables.grants.c.id == grant_id)
            tx.execute(changed.values(state=state.value, revoking_since=revoked))
        requests.add(tx, request(id="01A-999"))

        def waiting(now: datetime) -> set[str]:
            return {rush[0], "01A-999"} - {*messages.due(tx, now, 100)}

        assert waiting(NOW) == {rush[0]}
        assert waiting(NOW + messages.REMOVALS_FIRST - SECOND) == {rush[0]}
        assert waiting(NOW + messages.REMOVALS_FIRST) == set(), "they do not wait for ever"
        assert waiting(NOW - SECOND) == set(), "nor for a clock that was ahead"

        _try_again(tx, rush[1])
        assert waiting(NOW) == {rush[0]}
        _try_again(tx, rush[2])
        assert waiting(NOW) == set(), "what AWS refuses is no rush"


def _try_again(tx: Connection, grant_id: str) -> None:
    changed = update(tables.entries).where(tables.entries.c.id == grants.entry_of(tx, grant_id))
    tx.execute(changed.values(attempts=1))
