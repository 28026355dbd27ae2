"""Homes are published in the background, the latest state last, and only so many are followed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from slack_sdk import WebClient

from bot.sandbox.hand_clock import HandClock
from bot.sandbox.slack_server import SlackWorkspace
from bot.sandbox.stage import Stage
from bot.slack import blocks
from bot.slack.homes import LOOKED_AT_WITHIN, MOST_FOLLOWED, Homes


@pytest.fixture
def slack() -> Iterator[SlackWorkspace]:
    with Stage() as stage:
        for number in range(MOST_FOLLOWED + 1):
            stage.slack.add_person(f"U0{number:04}", f"person.{number}")
        yield stage.slack


class State:
    """What Homes show in these tests: one number."""

    def __init__(self) -> None:
        self.number = 0

    def view(self, user_id: str) -> blocks.View:
        line = f"{user_id} sees {self.number}"
        return {"type": "home", "callback_id": "home", "blocks": [blocks.section("a", line)]}


def says(slack: SlackWorkspace, user_id: str) -> str:
    view = slack.human(user_id).home_view
    return "" if view is None else str(view.all_blocks()[0]["text"]["text"])


def test_only_so_many_homes_and_only_those_opened_lately_follow(slack: SlackWorkspace) -> None:
    clock, state = HandClock(), State()
    homes = Homes(WebClient(slack.bot_token, base_url=slack.api_url), state.view, clock=clock)
    everybody = [f"U0{number:04}" for number in range(MOST_FOLLOWED + 1)]
    for user_id in everybody:
        homes.opened(user_id)
    slack.wait(lambda: all(says(slack, one).endswith("sees 0") for one in everybody), 20)

    state.number = 1
    homes.changed("U00007")
    slack.wait(lambda: all(says(slack, one).endswith("sees 1") for one in everybody[1:]), 20)
    assert says(slack, everybody[0]).endswith("sees 0")  # it was opened first

    clock.advance(LOOKED_AT_WITHIN)
    state.number = 2
    homes.changed("U00007")
    slack.wait(lambda: says(slack, "U00007").endswith("sees 2"), 20)
    homes.close()
    assert says(slack, "U00008").endswith("sees 1")

    state.number = 3
    homes.changed("U00007")  # as the message loop does, which is stopped last
    assert says(slack, "U00007").endswith("sees 2")


def test_many_changes_at_once_end_with_the_latest(slack: SlackWorkspace) -> None:
    state = State()
    homes = Homes(WebClient(slack.bot_token, base_url=slack.api_url), state.view, clock=HandClock())
    for number in range(1, 101):
        state.number = number
        homes.changed("U00001")
    slack.wait(lambda: says(slack, "U00001").endswith("sees 100"), 20)
    homes.close()
    assert says(slack, "U00001").endswith("sees 100")
