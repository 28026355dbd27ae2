"""What Slack may do to a call: nothing is lost, and nothing is hammered."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from desk import BEN, DAN, HOUR
from message_world import PAY, MessageWorld, projected

from bot.core.errors import StoreUnavailable
from bot.core.model import EndReason
from bot.reconcile.backoff import pause
from bot.reconcile.messages import Projection, Wanted
from bot.reconcile.slack_errors import STALE
from bot.store.database import Database
from tests.store_locks import takes_no_writes

FAULTS: dict[str, dict[str, Any]] = {
    "is rate limited": {"ratelimited": 3},
    "meets a 500": {"status": 500},
    "meets a 503": {"status": 503},
    "is cut off": {"drop": True},
    "meets an error of Slack's own": {"error": "fatal_error"},
    "meets an error nobody foresaw": {"error": "something_new"},
}
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_post_that_fails_comes_later_and_once(messages: MessageWorld, fault: str) -> None:
    request = messages.desk.ask()
    messages.slack.faults.add("chat.postMessage", times=3, **FAULTS[fault])
    messages.round()
    assert messages.shown == []
    messages.settle()
    assert len(messages.cards()) == 1
    assert len(messages.direct()) == 1
    assert messages.shown == [request.id]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_change_that_fails_comes_later_and_in_place(messages: MessageWorld, fault: str) -> None:
    request = messages.desk.ask()
    messages.settle()
    card = messages.card()
    messages.desk.deny(request.id)
    messages.slack.faults.add("chat.update", times=3, **FAULTS[fault])
    messages.settle()
    assert messages.card() is card
    assert "DENIED" in card.plain
    assert not card.buttons
    assert "denied" in messages.direct()[0].plain


@pytest.mark.parametrize("code", sorted(STALE))
def test_a_message_that_cannot_be_changed_any_more_is_posted_anew(
    messages: MessageWorld, code: str
) -> None:
    request = messages.desk.ask()
    messages.settle()
    messages.slack.faults.add("chat.update", times=None, error=code)
    messages.desk.deny(request.id)
    messages.round()
    messages.round()
    assert "DENIED" in messages.cards()[-1].plain
    assert messages.waiting() == []


@pytest.mark.parametrize(
    "fault",
    [{"drop": True}, {"status": 500}, {"ratelimited": 1}],
    ids=lambda fault: next(iter(fault)),
)
def test_a_post_whose_answer_is_lost_may_come_twice_and_the_newest_is_kept_right(
    messages: MessageWorld, fault: dict[str, Any]
) -> None:
    request = messages.desk.ask()
    messages.slack.faults.add("chat.postMessage", after=True, **fault)
    messages.settle()
    assert len(messages.cards()) == 2
    assert len(messages.direct()) == 1
    messages.desk.deny(request.id)
    messages.settle()
    assert "DENIED" in messages.cards()[-1].plain
    assert len(messages.cards()) == 2


def test_a_change_whose_answer_is_lost_is_made_again_and_makes_no_second_card(
    messages: MessageWorld,
) -> None:
    request = messages.desk.ask()
    messages.settle()
    messages.desk.deny(request.id)
    messages.slack.faults.add("chat.update", drop=True, after=True)
    messages.settle()
    assert "DENIED" in messages.card().plain


def test_an_answer_that_does_not_come_in_time_holds_nothing_up_for_ever(
    messages: MessageWorld,
) -> None:
    messages.desk.ask()
    messages.loop = messages.fresh_loop(timeout=0.1)
    messages.slack.faults.add("chat.postMessage", hold=True, times=2)
    messages.round()
    assert messages.shown == []
    messages.slack.faults.clear()
    messages.loop = messages.fresh_loop()
    messages.settle()
    assert messages.cards()
    assert messages.direct()


# How soon again


@pytest.mark.parametrize("seconds", [1, 30, 300, 600, 601, 3600])
def test_it_waits_as_long_as_slack_asks_for(messages: MessageWorld, seconds: int) -> None:
    request = messages.desk.ask()
    messages.slack.faults.add("chat.postMessage", ratelimited=seconds)
    messages.round()
    assert messages.next_look(request.id) == messages.clock() + timedelta(seconds=seconds)
    assert messages.loop.due() == []
    messages.clock.advance(seconds - 0.001)
    assert messages.loop.due() == []
    messages.clock.advance(0.001)
    messages.round()
    assert len(messages.cards()) == 1


@pytest.mark.parametrize(
    ("text", "seconds"), [("1.5", 1.5), ("86400", 3600), ("soon", 0.25), ("-5", 0.25)]
)
def test_whatever_slack_says_of_the_wait_loses_nothing(
    messages: MessageWorld, text: str, seconds: float
) -> None:
    request = messages.desk.ask()
    messages.slack.faults.add("chat.postMessage", ratelimited=text)
    messages.round()
    assert messages.next_look(request.id) == messages.clock() + timedelta(seconds=seconds)
    messages.settle()
    assert len(messages.cards()) == 1


def test_a_date_until_which_slack_wants_to_be_left_alone_is_kept(messages: MessageWorld) -> None:
    request = messages.desk.ask()
    until = format_datetime(datetime.now(UTC) + timedelta(minutes=20), usegmt=True)
    messages.slack.faults.add("chat.postMessage", ratelimited=until)
    messages.round()
    due = messages.next_look(request.id)
    assert due is not None
    # Less what the call took: the server's own date says when it was sent, to the second, and a
    # server that makes its date anew once a second may say the one before.
    assert timedelta(minutes=15) < due - messages.clock() <= timedelta(minutes=20, seconds=1)


def test_it_does_not_wait_less_than_the_pause_where_slack_asks_for_less(
    messages: MessageWorld,
) -> None:
    request = messages.desk.ask()
    messages.slack.faults.add("chat.postMessage", ratelimited=1, times=None)
    for attempt in range(1, 8):
        messages.round()
        due = messages.next_look(request.id)
        assert due is not None
        assert due - messages.clock() == max(pause(attempt), SECOND)
        messages.clock.advance(due - messages.clock())


def test_the_pauses_grow_to_a_minute_and_begin_anew_with_the_next_change(
    messages: MessageWorld,
) -> None:
    request = messages.desk.ask()
    messages.slack.faults.add("chat.postMessage", status=500, times=None)
    for attempt in range(1, 12):
        messages.round()
        due = messages.next_look(request.id)
        assert due is not None
        assert due - messages.clock() == pause(attempt) <= timedelta(minutes=1)
        messages.clock.advance(due - messages.clock())
    messages.desk.deny(request.id)
    assert messages.loop.due() == [request.id]


def test_one_channel_that_fails_holds_no_other_message_up(messages: MessageWorld) -> None:
    messages.desk.ask()
    messages.slack.faults.add("chat.postMessage", status=500)
    messages.round()
    assert messages.cards() == []
    assert len(messages.direct()) == 1


def test_one_request_that_fails_holds_no_other_up(messages: MessageWorld) -> None:
    first = messages.desk.ask()
    messages.slack.faults.add("chat.postMessage", ratelimited=60, times=2)
    messages.round()
    second = messages.desk.ask(who=DAN)
    messages.round()
    assert messages.shown == [second.id]
    messages.settle()
    assert messages.shown == [second.id, first.id]


def test_slacks_own_limit_of_a_post_a_second_is_kept_to(messages: MessageWorld) -> None:
    messages.slack.rate_limits = True
    people = [
        messages.desk.ask("payments", who=who, level=level)
        for who in (BEN, DAN)
        for level in ("view", "edit")
    ]
    messages.settle()
    assert len(messages.cards()) == len(people)
    for request in people:
        messages.desk.cancel(request.id, request.requester)
    messages.settle()
    assert len(messages.cards()) == len(people)
    assert all("CANCELLED" in card.plain for card in messages.cards())
    assert len(messages.replies()) == len(people)


# Slack is away


def test_what_happened_while_slack_was_away_is_shown_when_it_is_back(
    messages: MessageWorld,
) -> None:
    request = messages.desk.ask()
    messages.settle()
    messages.slack.kill()
    messages.desk.approve(request.id)
    messages.confirm(request.id)
    messages.round()
    messages.clock.advance(HOUR)
    messages.revoke(request.id, EndReason.RETURNED)
    messages.round()
    messages.slack.revive()
    messages.settle()
    assert "REMOVING" in messages.card().plain
    assert len(messages.direct()) == 1


def test_a_token_that_slack_refuses_loses_nothing(messages: MessageWorld) -> None:
    messages.desk.ask()
    messages.slack.app.token_error = "token_revoked"
    messages.round()
    messages.slack.app.token_error = None
    messages.settle()
    assert len(messages.cards()) == 1


# The view itself


def test_a_view_that_cannot_be_made_is_tried_again(messages: MessageWorld) -> None:
    request = messages.desk.ask()
    broken = [True, True]

    def view(*state: Any, **more: Any) -> Projection:
        if broken:
            broken.pop()
            raise ZeroDivisionError
        return projected(*state, **more)

    messages.loop = messages.fresh_loop(view)
    messages.round()
    assert messages.shown == []
    messages.settle()
    assert messages.shown == [request.id]
    assert len(messages.cards()) == 1


def reply_under(parent: Callable[[], bool]) -> Callable[..., Projection]:
    """A view with a reply, and at times the message it replies to."""

    def view(*_: Any, **__: Any) -> Projection:
        card = Wanted("card", PAY, "card", [])
        reply = Wanted("notice", PAY, "reply", [], thread="card", once=True)
        return Projection((card, reply) if parent() else (reply,), None)

    return view


def test_a_reply_is_never_posted_without_what_it_replies_to(messages: MessageWorld) -> None:
    messages.desk.ask()
    there = False
    messages.loop = messages.fresh_loop(reply_under(lambda: there))
    messages.settle()
    assert messages.all(PAY) == []
    messages.slack.faults.add("chat.postMessage", status=500)
    there = True
    messages.look_again(messages.shown[0])
    [card] = messages.all(PAY)
    assert card.text == "card", "and the reply that it says itself is not posted"


def test_a_message_that_cannot_be_made_holds_none_of_the_others_up(messages: MessageWorld) -> None:
    def view(request: Any, *state: Any, **more: Any) -> Projection:
        shown = projected(request, *state, **more)
        odd = Wanted("odd", PAY, "odd", [{"type": object()}])
        return Projection((odd, *shown.wanted), shown.changes_at)

    request = messages.desk.ask()
    messages.loop = messages.fresh_loop(view)
    messages.round()
    assert len(messages.cards()) == 1
    assert len(messages.direct()) == 1
    assert messages.waiting() == [messages.next_look(request.id)], "and it is tried again"
    assert messages.loop.due() == []


@pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
def test_what_slack_took_is_not_sent_again_while_the_store_takes_no_writes(
    messages: MessageWorld, database_url: str
) -> None:
    request = messages.desk.ask()
    with closing(Database(database_url, patience=SECOND / 10)) as hasty:
        messages.loop = messages.fresh_loop(database=hasty)
        with takes_no_writes(database_url):
            for _ in range(3):
                with pytest.raises(StoreUnavailable):
                    messages.loop.reconcile(request.id)
        assert len(messages.cards()) + len(messages.direct()) == 1
        messages.settle()
    assert len(messages.cards()) == 1
    assert len(messages.direct()) == 1
