"""Access is past its end and the store takes no writes: Slack is told directly, and not again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from entry_world import DOCUMENT, HOUR, MINUTE, World
from slack_sdk import WebClient

from bot.core.errors import PolicyUnavailable
from bot.core.policy import Policy
from bot.reconcile.late_unstored import LateUnstored
from bot.sandbox.slack_server import SlackWorkspace
from bot.slack.late_views import unstored_alarm
from bot.slack.people import Directory
from bot.store.database import Database
from bot.store.watch import StoreWatch
from tests.store_locks import file_locked

AUDIT, SECURITY = "C0AUDIT", "C0SECURITY"
CLEO, DAN = "U03CLEO", "U04DAN"
SECOND = timedelta(seconds=1)


class Telling:
    """What tells, around the world of access entries."""

    def __init__(self, world: World, slack: SlackWorkspace) -> None:
        self.world = world
        self.slack = slack
        self.policy: Policy | None = Policy.model_validate(
            {**DOCUMENT, "security_channel": SECURITY, "audit_channel": AUDIT}
        )
        url = world.database.engine.url.render_as_string(hide_password=False)
        self.impatient = Database(url, patience=timedelta(milliseconds=50))
        self.watch = StoreWatch(self.impatient, pause=lambda _: None)  # no time passes by itself
        client = WebClient(slack.bot_token, base_url=slack.api_url, timeout=5, retry_handlers=[])
        self.unstored = LateUnstored(
            self.watch,
            client,
            self.in_force,
            people=lambda: (CLEO, DAN),
            unfit=Directory(client).unfit,
            message=unstored_alarm,
            clock=world.clock,
        )

    def in_force(self) -> Policy:
        if self.policy is None:
            raise PolicyUnavailable("policy_broken", "The policy file has errors.")
        return self.policy

    @contextmanager
    def no_writes(self) -> Iterator[None]:
        """Somebody holds the write lock, and the bot has noticed for long enough."""
        with file_locked(str(self.impatient.engine.url)):
            self.unstored.look()
            yield

    def pass_time(self, by: timedelta) -> None:
        self.world.clock.advance(by)
        self.unstored.look()

    def said(self, channel: str = SECURITY) -> list[str]:
        with self.slack.lock:
            return [f"{one.text} {one.blocks}" for one in self.slack.messages.get(channel, ())]

    def direct(self, user: str) -> int:
        return len(self.slack.human(user).dm)

    def close(self) -> None:
        self.watch.close()
        self.impatient.close()


@pytest.fixture
def telling(world: World) -> Iterator[Telling]:
    with SlackWorkspace(clock=world.clock) as slack:
        for channel in (AUDIT, SECURITY):
            slack.add_channel(channel, channel.lower())
        for user, name in ((CLEO, "cleo"), (DAN, "dan")):
            slack.add_person(user, name)
        made = Telling(world, slack)
        yield made
        made.close()
        assert slack.rejections == [], "Slack would reject what was sent"


def test_it_is_told_once_at_each_time_of_alarm_with_who_and_how_to_end_it_by_hand(
    world: World, telling: Telling
) -> None:
    grant_id = world.active("view", "a")
    with telling.no_writes():
        telling.pass_time(HOUR)
        assert telling.said() == [], "it is not late yet"
        telling.pass_time(2 * MINUTE)
        (alarm,) = telling.said()
        for part in (grant_id, "<@UANA>", "lab", "taken no writes", "disassociate-access-policy"):
            assert part in alarm
        for _ in range(7):
            telling.pass_time(MINUTE)
        assert len(telling.said()) == 1
        telling.pass_time(MINUTE)
        assert len(telling.said()) == 2


def test_what_becomes_late_meanwhile_is_told_with_the_next(world: World, telling: Telling) -> None:
    first = world.active("view", "a")
    second = world.active("edit", "b", length=HOUR + MINUTE)
    with telling.no_writes():
        telling.pass_time(HOUR + 2 * MINUTE)
        telling.pass_time(MINUTE)
        assert len(telling.said()) == 1
        telling.pass_time(MINUTE)
        assert [(first in one, second in one) for one in telling.said()] == [
            (True, False),
            (True, True),
        ]


def test_a_store_that_takes_writes_again_after_a_moment_is_no_alarm(
    world: World, telling: Telling
) -> None:
    world.active("view", "a")
    world.clock.advance(2 * HOUR)
    with telling.no_writes():
        pass
    telling.pass_time(MINUTE)
    with telling.no_writes():
        telling.pass_time(29 * SECOND)
        assert telling.said() == []


def test_while_everything_ends_in_time_nothing_is_told(world: World, telling: Telling) -> None:
    world.active("view", "a")
    with telling.no_writes():
        telling.pass_time(30 * MINUTE)
    assert telling.said() == []


def test_where_no_channel_takes_it_people_are_told(world: World, telling: Telling) -> None:
    world.active("view", "a")
    telling.slack.archive(SECURITY)
    with telling.no_writes():
        telling.pass_time(HOUR + 2 * MINUTE)
    assert (telling.direct(CLEO), telling.direct(DAN)) == (1, 1)


def test_a_slack_that_is_away_is_asked_again_ever_more_seldom(
    world: World, telling: Telling
) -> None:
    world.active("view", "a")
    telling.slack.faults.add("chat.postMessage", times=None, error="internal_error")
    with telling.no_writes():
        telling.pass_time(HOUR + 2 * MINUTE)
        tries = telling.slack.faults.hit["chat.postMessage"]
        for _ in range(6 * 60):
            telling.pass_time(5 * SECOND)
        assert telling.slack.faults.hit["chat.postMessage"] - tries <= 3 * 7
        telling.slack.faults.clear()
        telling.pass_time(8 * MINUTE)
        assert len(telling.said()) == 1


def test_without_a_policy_it_is_told_once_there_is_one(world: World, telling: Telling) -> None:
    world.active("view", "a")
    policy, telling.policy = telling.policy, None
    with telling.no_writes():
        telling.pass_time(HOUR + 2 * MINUTE)
        assert telling.said() == []
        telling.policy = policy
        telling.pass_time(MINUTE)
        assert len(telling.said()) == 1
