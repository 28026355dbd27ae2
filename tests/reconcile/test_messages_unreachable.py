"""A message or a channel is gone: people are told, and all is well once it is back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from desk import ANA, BEN, DAN, HOUR
from message_world import BILL, PAY, MessageWorld

from bot.access import question
from bot.sandbox.slack_shown import Message
from bot.store import audit

MINUTE = timedelta(minutes=1)


def delete(messages: MessageWorld, message: Message) -> None:
    """An admin deletes a message by hand."""
    messages.slack.delete(message)


def refusals(messages: MessageWorld, request_id: str) -> list[object]:
    with messages.desk.database.reading() as tx:
        events = audit.of_request(tx, request_id)
    return [one.details for one in events if one.action == "message.refused"]


# A message deleted by hand


def test_a_card_deleted_by_hand_is_posted_anew_while_the_request_waits(
    messages: MessageWorld,
) -> None:
    request = messages.desk.ask("vault")
    messages.settle()
    delete(messages, messages.card())
    messages.desk.approve(request.id, BEN)
    messages.settle()
    card = messages.card()
    assert "Approved so far by" in card.plain
    assert {button["value"] for button in card.buttons} == {request.id}
    messages.desk.approve(request.id, DAN)
    messages.settle()
    assert messages.card() is card
    assert "GRANTING" in card.plain


def test_a_card_deleted_by_hand_is_posted_anew_with_the_decision(messages: MessageWorld) -> None:
    request = messages.desk.ask()
    messages.settle()
    delete(messages, messages.card())
    messages.desk.deny(request.id)
    messages.settle()
    assert "DENIED" in messages.card().plain
    assert messages.replies() == [], "the new card says it"


def test_a_question_about_a_request_whose_card_was_deleted_reaches_the_owners_on_a_new_one(
    messages: MessageWorld,
) -> None:
    """The card itself has not changed, so nothing but the reply meets the gap."""
    request = messages.desk.ask()
    messages.settle()
    delete(messages, messages.card())
    with messages.desk.database.transaction() as tx:
        question.ask(tx, messages.desk.facts(), request.id, BEN, "Which ticket?")
    messages.settle()
    card = messages.card()
    assert card.has("approve")
    assert [one.thread_ts for one in messages.replies()] == [card.ts]
    assert "Which ticket?" in messages.replies()[0].plain


# A channel that cannot be posted to


def archived(messages: MessageWorld) -> Callable[[], None]:
    messages.slack.archive(PAY)
    return lambda: messages.slack.unarchive(PAY)


def private_without_the_bot(messages: MessageWorld) -> Callable[[], None]:
    messages.slack.channels[PAY].is_private = True
    messages.slack.remove_bot(PAY)
    return lambda: messages.slack.invite_bot(PAY)


def public_without_the_bot(messages: MessageWorld) -> Callable[[], None]:
    messages.slack.app.scopes = tuple(
        scope for scope in messages.slack.app.scopes if scope != "chat:write.public"
    )
    messages.slack.remove_bot(PAY)
    return lambda: messages.slack.invite_bot(PAY)


def deleted(messages: MessageWorld) -> Callable[[], None]:
    channel = messages.slack.channels.pop(PAY)
    return lambda: messages.slack.channels.update({PAY: channel})


GONE = pytest.mark.parametrize(
    ("gone", "said"),
    [
        (archived, "is_archived"),
        (private_without_the_bot, "channel_not_found"),
        (public_without_the_bot, "not_in_channel"),
        (deleted, "channel_not_found"),
    ],
    ids=lambda one: getattr(one, "__name__", one),
)


@GONE
def test_the_requester_is_told_that_the_owners_were_not_asked_and_it_heals(
    messages: MessageWorld, gone: Callable[[MessageWorld], Callable[[], None]], said: str
) -> None:
    back = gone(messages)
    request = messages.desk.ask()
    for _ in range(3):
        messages.round()
        messages.clock.advance(MINUTE)
    [told] = messages.news()
    assert said in told.plain
    assert PAY in told.plain
    assert f"/eks-access approve {request.id}" in told.plain
    assert refusals(messages, request.id) == [{"recipient": PAY, "error": said}]
    assert "Nothing is granted yet" in messages.direct()[0].plain

    back()
    messages.settle()
    card = messages.card()
    assert card.has("approve")
    assert len(messages.news()) == 1
    messages.desk.approve(request.id)
    messages.settle()
    assert "GRANTING" in card.plain


@GONE
def test_it_is_tried_again_every_minute_at_most_and_told_once(
    messages: MessageWorld, gone: Callable[[MessageWorld], Callable[[], None]], said: str
) -> None:
    gone(messages)
    request = messages.desk.ask()
    for _ in range(15):
        messages.round()
        due = messages.next_look(request.id)
        assert due is not None
        assert due - messages.clock() <= MINUTE
        messages.clock.advance(due - messages.clock())
    assert len(messages.news()) == 1
    assert len(refusals(messages, request.id)) == 1, said
    posts = len(messages.calls("chat.postMessage"))
    for _ in range(3):
        messages.round()
        messages.clock.advance(MINUTE)
    assert len(messages.calls("chat.postMessage")) == posts + 3


def test_a_request_that_is_decided_elsewhere_meanwhile_is_shown_when_the_channel_is_back(
    messages: MessageWorld,
) -> None:
    back = archived(messages)
    request = messages.desk.ask()
    messages.round()
    messages.desk.deny(request.id)
    for _ in range(3):
        messages.round()
        messages.clock.advance(MINUTE)
    assert "denied" in messages.direct()[0].plain
    back()
    messages.settle()
    assert "DENIED" in messages.card().plain


def test_a_channel_archived_after_the_card_was_posted_holds_nothing_up_and_is_told(
    messages: MessageWorld,
) -> None:
    request = messages.desk.ask("vault")
    messages.settle()
    back = archived(messages)
    messages.desk.approve(request.id, BEN)
    for _ in range(3):
        messages.round()
        messages.clock.advance(MINUTE)
    [told] = messages.news()
    assert "is_archived" in told.plain
    assert refusals(messages, request.id) == [{"recipient": PAY, "error": "is_archived"}]
    back()
    messages.settle()
    card = messages.cards()[-1]
    assert "Approved so far by" in card.plain
    assert card.has("approve")


def test_one_channel_that_is_gone_holds_no_other_up(messages: MessageWorld) -> None:
    archived(messages)
    messages.desk.ask("payments", "billing")
    messages.round()
    assert len(messages.cards(BILL)) == 1
    assert len(messages.direct()) == 1


def test_a_request_that_is_over_is_not_told_to_be_unreachable(messages: MessageWorld) -> None:
    archived(messages)
    request = messages.desk.ask()
    messages.desk.cancel(request.id)
    for _ in range(3):
        messages.round()
        messages.clock.advance(MINUTE)
    assert messages.news() == []


# A requester whom no message reaches


def test_a_requester_who_cannot_be_reached_keeps_no_owner_from_deciding(
    messages: MessageWorld,
) -> None:
    request = messages.desk.ask()
    messages.slack.deactivate(ANA)
    messages.round()
    assert messages.card().has("approve")
    assert refusals(messages, request.id) == [{"recipient": ANA, "error": "channel_not_found"}]
    messages.desk.deny(request.id)
    messages.clock.advance(MINUTE)
    messages.round()
    assert "DENIED" in messages.card().plain
    messages.slack.reactivate(ANA)
    messages.clock.advance(HOUR)
    messages.settle()
    [direct] = messages.direct()
    assert "denied" in direct.plain
    assert messages.news() == [], "nothing in it says that a channel could not be reached"
