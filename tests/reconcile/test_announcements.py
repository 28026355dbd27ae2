"""Messages that belong to no request reach their channel, in order, whatever Slack does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from slack_sdk import WebClient
from sqlalchemy import select

from bot.core.errors import StoreUnavailable
from bot.reconcile.announcements import GIVEN_UP_AFTER, Announcer
from bot.sandbox.hand_clock import HandClock
from bot.sandbox.slack_server import SlackWorkspace
from bot.slack.people import Directory
from bot.store import announcements, audit, tables
from bot.store.claims import Claims
from bot.store.database import Database
from tests.store_locks import takes_no_writes

AUDIT, SECURITY = "C0AUDIT", "C0SECURITY"
MINUTE = timedelta(minutes=1)


class Outbox:
    """A store, a local Slack workspace and the loop between them."""

    def __init__(self, database: Database, slack: SlackWorkspace, clock: HandClock) -> None:
        self.database = database
        self.slack = slack
        self.clock = clock
        self.claims = Claims(database)
        client = WebClient(slack.bot_token, base_url=slack.api_url, timeout=5, retry_handlers=[])
        self.client = client
        self.start_again()

    def start_again(self) -> None:
        """As after a restart, which keeps nothing of what Slack said of channels."""
        unfit = Directory(self.client).unfit
        self.loop = Announcer(
            self.database, self.client, self.claims, unfit=unfit, clock=self.clock
        )

    def say(self, *texts: str, channel: str = AUDIT, **more: Any) -> None:
        for text in texts:
            block = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
            message = {"key": text, "text": text, "blocks": [block], **more}
            with self.database.transaction() as tx:
                announcements.announce(tx, channel=channel, now=self.clock(), **message)

    def round(self) -> None:
        for channel in self.loop.due():
            self.loop.post(channel)

    def settle(self, most: int = 40) -> None:
        for _ in range(most):
            self.round()
            with self.database.reading() as tx:
                due = tx.scalars(
                    select(tables.announcements.c.due_at).where(
                        tables.announcements.c.due_at.is_not(None)
                    )
                ).all()
            if not due:
                return
            self.clock.advance(max((min(due) - self.clock()).total_seconds(), 0))
        raise AssertionError("announcements still wait")

    def said(self, channel: str = AUDIT) -> list[str]:
        with self.slack.lock:
            return [one.text for one in self.slack.messages.get(channel, ())]

    def refusals(self) -> list[Any]:
        with self.database.reading() as tx:
            events = audit.latest(tx, 100)
        return [dict(one.details) for one in events if one.action == "message.refused"]

    def posts(self) -> int:
        with self.slack.lock:
            return sum(one.method == "chat.postMessage" for one in self.slack.calls)


@pytest.fixture
def outbox(database: Database) -> Iterator[Outbox]:
    clock = HandClock()
    with SlackWorkspace(clock=clock) as slack:
        for channel in (AUDIT, SECURITY):
            slack.add_channel(channel, channel.lower())
        yield Outbox(database, slack, clock)


@pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
def test_what_slack_took_is_not_posted_again_while_the_store_takes_no_writes(
    outbox: Outbox, database_url: str
) -> None:
    outbox.say("one", "two")
    with closing(Database(database_url, patience=timedelta(seconds=0.1))) as hasty:
        outbox.database = hasty
        outbox.start_again()
        with takes_no_writes(database_url):
            for _ in range(3):
                with pytest.raises(StoreUnavailable):
                    outbox.round()
        assert outbox.said() == ["one"]
        outbox.settle()
    assert outbox.said() == ["one", "two"]


@pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
def test_what_is_announced_is_posted_once_and_in_order(outbox: Outbox) -> None:
    outbox.say("one", "two", "three")
    outbox.say("elsewhere", channel=SECURITY)
    outbox.settle()
    outbox.say("one")
    outbox.settle()
    assert outbox.said() == ["one", "two", "three"]
    assert outbox.said(SECURITY) == ["elsewhere"]


@pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
def test_while_one_worker_is_at_a_channel_another_leaves_it_alone(outbox: Outbox) -> None:
    outbox.say("one")
    # On SQLite there is one process with one set of claims, on PostgreSQL another replica's.
    claims = outbox.claims if outbox.database.is_sqlite else Claims(outbox.database)
    with claims.claim(f"announcements:{AUDIT}") as held:
        assert held is not None
        outbox.round()
        assert outbox.said() == []
    outbox.round()
    assert outbox.said() == ["one"]


@pytest.mark.parametrize(
    "fault",
    [
        {"ratelimited": 3},
        {"status": 503},
        {"drop": True},
        {"error": "fatal_error"},
        {"error": "something_new"},
    ],
    ids=str,
)
def test_what_slack_does_not_take_now_comes_later_and_once(
    outbox: Outbox, fault: dict[str, Any]
) -> None:
    outbox.slack.faults.add("chat.postMessage", times=3, **fault)
    outbox.say("one", "two")
    outbox.settle()
    assert sorted(outbox.said()) == ["one", "two"]
    assert outbox.refusals() == []


@pytest.mark.parametrize("seconds", [1, 30, 300, 601, 3600])
def test_the_whole_channel_waits_as_long_as_slack_asks_for(outbox: Outbox, seconds: int) -> None:
    outbox.slack.faults.add("chat.postMessage", ratelimited=seconds)
    outbox.say("one", "two")
    outbox.round()
    outbox.say("three")
    assert outbox.loop.due() == []
    outbox.clock.advance(seconds - 0.001)
    assert outbox.loop.due() == []
    assert outbox.posts() == 1
    outbox.clock.advance(0.001)
    outbox.round()
    assert outbox.said() == ["one", "two", "three"]


def test_one_message_that_slack_cannot_read_holds_no_other_up(outbox: Outbox) -> None:
    outbox.say("broken", blocks=[{"type": "section"}])
    outbox.say("good")
    outbox.round()
    assert outbox.said() == ["good"]


def test_a_channel_that_refuses_is_logged_and_audited_once_and_heals(outbox: Outbox) -> None:
    outbox.slack.archive(AUDIT)
    outbox.say("one", "two")
    outbox.say("elsewhere", channel=SECURITY)
    for _ in range(15):
        outbox.round()
        outbox.clock.advance(MINUTE)
    assert outbox.refusals() == [{"recipient": AUDIT, "error": "is_archived", "key": "one"}]
    assert outbox.said(SECURITY) == ["elsewhere"]
    outbox.slack.unarchive(AUDIT)
    outbox.settle()
    assert outbox.said() == ["one", "two"]


@pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
def test_nothing_is_posted_where_people_of_another_organisation_read_it(outbox: Outbox) -> None:
    outbox.slack.share(SECURITY)
    outbox.say("elsewhere")
    outbox.say("one", "two", channel=SECURITY)
    for _ in range(10):
        outbox.round()
        outbox.clock.advance(MINUTE)
    assert (outbox.said(), outbox.said(SECURITY)) == (["elsewhere"], [])
    assert outbox.refusals() == [
        {"recipient": SECURITY, "error": "shared_with_others", "key": "one"}
    ]
    outbox.slack.share(SECURITY, shared=False)
    outbox.start_again()
    outbox.settle()
    assert outbox.said(SECURITY) == ["one", "two"]


def test_while_it_is_not_known_who_reads_a_channel_what_is_announced_there_waits(
    outbox: Outbox,
) -> None:
    outbox.slack.faults.add("conversations.info", times=3, error="internal_error")
    outbox.say("one", "two")
    outbox.round()
    assert outbox.posts() == 0
    outbox.settle()
    assert outbox.said() == ["one", "two"]
    assert outbox.refusals() == []


def test_without_the_scope_to_know_it_nothing_is_posted(outbox: Outbox) -> None:
    outbox.slack.faults.add("conversations.info", times=1, error="missing_scope")
    outbox.say("one")
    outbox.round()
    assert outbox.posts() == 0
    assert outbox.refusals() == [{"recipient": AUDIT, "error": "missing_scope", "key": "one"}]


def test_it_is_given_up_after_a_day_and_the_log_says_so(
    outbox: Outbox, capsys: pytest.CaptureFixture[str]
) -> None:
    outbox.slack.archive(AUDIT)
    outbox.say("one")
    outbox.round()
    outbox.clock.advance(GIVEN_UP_AFTER - MINUTE)
    outbox.round()
    assert "given up" not in capsys.readouterr().out
    outbox.clock.advance(MINUTE)
    outbox.round()
    printed = capsys.readouterr().out
    assert "an announcement is given up" in printed
    assert AUDIT in printed
    outbox.clock.advance(1000 * MINUTE)
    assert outbox.loop.due() == []
    outbox.slack.unarchive(AUDIT)
    outbox.say("two")
    outbox.settle()
    assert outbox.said() == ["two"]


def test_what_slack_wants_later_is_not_given_up(outbox: Outbox) -> None:
    outbox.slack.faults.add("chat.postMessage", times=30, ratelimited=86_400)
    outbox.say("one")
    outbox.settle()
    assert outbox.said() == ["one"]
    assert outbox.posts() == 31, "asked once an hour"


def test_what_was_put_off_while_the_clock_was_ahead_is_posted_at_once(outbox: Outbox) -> None:
    outbox.clock.advance(3 * GIVEN_UP_AFTER)
    outbox.slack.faults.add("chat.postMessage", ratelimited=60)
    outbox.say("one")
    outbox.round()
    outbox.clock.advance(-3 * GIVEN_UP_AFTER)
    outbox.say("two")
    outbox.round()
    assert outbox.said() == ["one", "two"]


def test_one_that_waited_while_the_bot_was_down_for_days_is_still_tried(outbox: Outbox) -> None:
    outbox.say("one")
    outbox.clock.advance(3 * GIVEN_UP_AFTER)
    outbox.round()
    assert outbox.said() == ["one"]


def test_an_answer_that_is_lost_may_make_it_come_twice_and_never_not(outbox: Outbox) -> None:
    outbox.slack.faults.add("chat.postMessage", after=True, drop=True)
    outbox.say("one")
    outbox.settle()
    assert outbox.said() == ["one", "one"]


class OddClient(WebClient):
    """An SDK that has a fault of its own with one text."""

    def chat_postMessage(self, **message: Any) -> Any:  # type: ignore[override]  # noqa: N802
        if message["text"] == "odd":
            raise ValueError("odd")
        return super().chat_postMessage(**message)


def test_one_that_meets_a_fault_nobody_foresaw_holds_no_other_up_and_is_given_up_in_the_end(
    outbox: Outbox,
) -> None:
    slack = outbox.slack
    outbox.client = OddClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[])
    outbox.start_again()
    outbox.say("one", "odd", "two", "three")
    outbox.round()
    assert outbox.said() == ["one", "two", "three"]
    assert outbox.loop.due() == [], "it waits for its next try"
    outbox.clock.advance(GIVEN_UP_AFTER + MINUTE)
    outbox.round()
    outbox.clock.advance(1000 * MINUTE)
    assert outbox.loop.due() == []
