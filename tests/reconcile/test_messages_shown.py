"""Slack shows what the store says: each message posted once, and changed where it stands."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from functools import partial

import pytest
from desk import ANA, BEN, DAN, HOUR
from message_world import AUDIT, BILL, PAY, MessageWorld, projected
from points import Killed, die
from sqlalchemy import event

from bot.core.model import EndReason
from bot.core.removal import LATE_AFTER
from bot.sandbox.slack_shown import Message
from bot.slack.projection import WARN_BEFORE
from bot.store.database import Database

BOTH = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
POSTGRESQL = pytest.mark.parametrize("database_kind", ["postgresql"])


@BOTH
def test_a_request_is_shown_to_its_owners_and_its_requester_once(messages: MessageWorld) -> None:
    request = messages.desk.ask()
    messages.settle()
    card = messages.card()
    assert "PENDING" in card.plain
    assert {button["action_id"] for button in card.buttons} >= {"approve", "deny"}
    assert {button["value"] for button in card.buttons} == {request.id}
    [direct] = messages.direct()
    assert "Nothing is granted yet" in direct.plain
    posts = [call for call in messages.calls() if call.startswith("chat.")]
    assert posts == ["chat.postMessage"] * 2
    assert messages.shown == [request.id]
    assert messages.loop.due() == []


def test_what_did_not_change_is_not_sent_again(messages: MessageWorld) -> None:
    request = messages.desk.ask()
    messages.settle()
    sent = len(messages.calls())
    messages.look_again(request.id)
    assert len(messages.calls()) == sent
    assert messages.shown == [request.id] * 2


@BOTH
def test_the_card_follows_the_request_where_it_stands_and_the_news_is_said_in_threads(
    messages: MessageWorld,
) -> None:
    request = messages.desk.ask()
    messages.settle()
    card, [direct] = messages.card(), messages.direct()
    messages.desk.approve(request.id)
    messages.settle()
    assert messages.card() is card
    assert "GRANTING" in card.plain
    assert not card.buttons
    assert [one.thread_ts for one in messages.replies()] == [card.ts]
    assert "approved by" in messages.replies()[0].plain
    assert "being set up" in direct.plain
    assert messages.news() == []

    messages.confirm(request.id)
    messages.settle()
    assert "ACTIVE" in card.plain
    assert "aws eks update-kubeconfig" in direct.plain
    assert [one.thread_ts for one in messages.news()] == [direct.ts]

    messages.revoke(request.id, EndReason.EXPIRED)
    messages.settle()
    assert "REMOVING" in card.plain
    messages.end(request.id)
    messages.settle()
    assert "ENDED" in card.plain
    assert len(messages.replies()) == 1, "an end as expected is no news for the owners"
    assert len(messages.news()) == 2
    assert len(messages.direct()) == 1


def test_a_denial_reaches_the_requester_with_its_reason(messages: MessageWorld) -> None:
    request = messages.desk.ask()
    messages.settle()
    messages.desk.deny(request.id, BEN, "Not during the freeze")
    messages.settle()
    assert "DENIED" in messages.card().plain
    assert "Not during the freeze" in messages.direct()[0].plain
    [news] = messages.news()
    assert "denied" in news.plain


def test_news_is_said_once_also_where_the_card_changes_on(messages: MessageWorld) -> None:
    request = messages.desk.ask()
    messages.settle()
    messages.desk.approve(request.id)
    messages.settle()
    [said] = messages.replies()
    before = said.plain
    for step in (messages.confirm, lambda one: messages.revoke(one, EndReason.RETURNED)):
        step(request.id)
        messages.settle()
        assert [one.plain for one in messages.replies()] == [before]
        assert said.edited is None


def test_what_was_decided_before_anybody_saw_it_is_shown_as_it_is_now(
    messages: MessageWorld,
) -> None:
    """As after an outage of Slack: the card says all there is, so no news repeats it."""
    request = messages.desk.ask()
    messages.desk.deny(request.id)
    messages.settle()
    assert "DENIED" in messages.card().plain
    assert not messages.card().buttons
    assert messages.replies() == []
    assert messages.news() == []
    messages.look_again(request.id)
    assert messages.replies() == []


def test_every_owners_channel_has_a_card_and_one_that_owns_two_rules_has_one(
    messages: MessageWorld,
) -> None:
    messages.desk.ask("payments", "billing", "vault")
    messages.settle()
    assert len(messages.cards(PAY)) == 1
    assert len(messages.cards(BILL)) == 1
    assert len(messages.direct()) == 1


def test_what_a_rule_gives_at_once_is_shown_in_the_audit_channel(messages: MessageWorld) -> None:
    messages.desk.ask("a", cluster="lab", level="view")
    messages.settle()
    assert len(messages.cards(AUDIT)) == 1
    assert messages.cards(PAY) == []
    assert not messages.card(AUDIT).buttons


def test_without_a_policy_a_card_in_the_audit_channel_still_shows_what_is_so(
    messages: MessageWorld,
) -> None:
    """Nobody knows the audit channel then, but where the card stands is stored."""
    request = messages.desk.ask("a", cluster="lab", level="view")
    messages.confirm(request.id)
    messages.settle()
    messages.loop = messages.fresh_loop(partial(projected, audit_channel=None))
    messages.revoke(request.id, EndReason.EXPIRED)
    messages.end(request.id)
    messages.settle()
    assert "ENDED" in messages.card(AUDIT).plain


def test_what_was_changed_in_slack_is_not_changed_again(messages: MessageWorld) -> None:
    request = messages.desk.ask()
    messages.settle()
    messages.desk.deny(request.id)
    messages.settle()
    assert "DENIED" in messages.card().plain
    before = len(messages.calls("chat.update"))
    messages.look_again(request.id)
    assert len(messages.calls("chat.update")) == before


def test_requests_do_not_share_messages(messages: MessageWorld) -> None:
    first = messages.desk.ask("payments")
    messages.desk.ask("payments", who=DAN)
    messages.settle()
    assert len(messages.cards()) == 2
    messages.desk.deny(first.id)
    messages.settle()
    assert ["DENIED" in one.plain for one in messages.cards()] == [True, False]
    assert "Nothing is granted yet" in messages.direct(DAN)[0].plain


# What time alone changes


def test_a_removal_that_takes_too_long_is_called_late_when_it_is(messages: MessageWorld) -> None:
    request = messages.desk.ask()
    messages.desk.approve(request.id)
    messages.confirm(request.id)
    messages.settle()
    messages.revoke(request.id, EndReason.EXPIRED, "AWS does not let the bot do this.")
    messages.settle()
    since = messages.clock()
    assert messages.next_look(request.id) == since + LATE_AFTER
    messages.clock.advance(LATE_AFTER - timedelta(seconds=1))
    assert messages.loop.due() == []
    messages.clock.advance(1)
    messages.settle()
    assert "REMOVAL IS LATE" in messages.card().plain
    assert any("is late" in one.plain for one in messages.replies())
    assert any("keep trying" in one.plain for one in messages.direct())
    said = len(messages.replies())
    messages.clock.advance(HOUR)
    messages.look_again(request.id)
    assert len(messages.replies()) == said
    messages.end(request.id)
    messages.settle()
    assert "ENDED" in messages.card().plain


# The warning before the end


def warned(messages: MessageWorld) -> tuple[str, Message]:
    """A request whose access ends in ten minutes, and the warning of it."""
    request = messages.desk.ask()
    messages.settle()
    messages.desk.approve(request.id)
    messages.confirm(request.id)
    messages.settle()
    messages.clock.advance(2 * HOUR - WARN_BEFORE)
    messages.settle()
    [_, warning] = messages.news()
    return request.id, warning


def actions(message: Message) -> list[str]:
    return [str(button["action_id"]) for button in message.buttons]


@BOTH
def test_the_warning_before_the_end_has_its_own_buttons_as_long_as_they_work(
    messages: MessageWorld,
) -> None:
    request, warning = warned(messages)
    assert actions(warning) == ["extend", "return"]
    assert "ends" in warning.plain
    messages.revoke(request, EndReason.RETURNED)
    messages.settle()
    assert actions(warning) == []
    assert "is being removed: returned by" in warning.plain
    messages.end(request)
    messages.settle()
    assert "has ended: returned by" in warning.plain
    assert [one.plain for one in messages.news()].count(warning.plain) == 1


def test_the_warning_loses_its_buttons_where_the_access_was_extended(
    messages: MessageWorld,
) -> None:
    request, warning = warned(messages)
    messages.revoke(request, EndReason.SUPERSEDED)
    messages.end(request)
    messages.settle()
    assert actions(warning) == []
    assert "was extended before it ended" in warning.plain


def test_a_warning_that_somebody_deleted_is_not_posted_anew(messages: MessageWorld) -> None:
    request, warning = warned(messages)
    messages.slack.delete(warning)
    before = messages.news()
    messages.revoke(request, EndReason.EXPIRED)
    messages.settle()
    assert messages.news() == before


def test_who_returned_early_is_not_warned_afterwards(messages: MessageWorld) -> None:
    request = messages.desk.ask()
    messages.settle()
    messages.desk.approve(request.id)
    messages.confirm(request.id)
    messages.settle()
    messages.revoke(request.id, EndReason.RETURNED)
    messages.end(request.id)
    messages.settle()
    messages.clock.advance(HOUR)
    messages.look_again(request.id)
    assert [("active until" in one.plain, "has ended" in one.plain) for one in messages.news()] == [
        (True, False),
        (False, True),
    ]


# At the same moment


def test_a_change_while_the_messages_are_being_sent_is_not_forgotten(
    messages: MessageWorld,
) -> None:
    request = messages.desk.ask()
    held = messages.slack.faults.add("chat.postMessage", hold=True)
    sending = threading.Thread(target=messages.round)
    sending.start()
    assert held.reached.wait(5)
    messages.desk.approve(request.id)
    held.release()
    sending.join(5)
    assert messages.loop.due() == [request.id]
    messages.settle()
    assert "GRANTING" in messages.card().plain
    assert not messages.card().buttons


@pytest.fixture
def replica(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url)) as database:
        yield database


@POSTGRESQL
def test_one_replica_posts_and_the_other_leaves_it(
    messages: MessageWorld, replica: Database
) -> None:
    request = messages.desk.ask()
    held = messages.slack.faults.add("chat.postMessage", hold=True)
    sending = threading.Thread(target=messages.round)
    sending.start()
    assert held.reached.wait(5)
    messages.fresh_loop(database=replica).reconcile(request.id)
    assert messages.cards() == []
    held.release()
    sending.join(5)
    messages.settle()
    assert len(messages.cards()) == 1
    assert len(messages.direct()) == 1


# The process dies


def test_a_crash_anywhere_loses_nothing_and_repeats_at_most_once(messages: MessageWorld) -> None:
    """Between a post and its record nobody can know, so a message may come twice, never none."""
    engine = messages.desk.database.engine
    for number in range(40):
        channel = f"C1{number:03}"
        messages.slack.add_channel(channel, channel.lower())
        messages.desk.rules["payments"]["approval"]["channel"] = channel
        request = messages.desk.ask(who=DAN)
        transactions = iter(range(100))

        def begins(*_: object, at: int = number, counted: Iterator[int] = transactions) -> None:
            if next(counted) == at:
                die()

        loop = messages.fresh_loop()
        event.listen(engine, "checkout", begins)
        try:
            loop.reconcile(request.id)
        except Killed:
            died = True
        else:
            died = False
        event.remove(engine, "checkout", begins)
        messages.settle()
        cards = messages.cards(channel)
        assert 1 <= len(cards) <= 2
        messages.desk.deny(request.id)
        messages.settle()
        assert "DENIED" in messages.cards(channel)[-1].plain
        assert len(messages.cards(channel)) == len(cards)
        if not died:
            assert number >= 4
            return
    raise AssertionError("a round has not so many transactions")


def test_an_old_copy_of_a_card_names_the_same_request(messages: MessageWorld) -> None:
    """So its buttons work: a click is decided from the store."""
    request = messages.desk.ask()
    messages.slack.faults.add("chat.postMessage", drop=True, after=True)
    messages.settle()
    cards = messages.cards()
    assert len(cards) == 2
    assert {button["value"] for card in cards for button in card.buttons} == {request.id}
    assert ANA in request.requester
