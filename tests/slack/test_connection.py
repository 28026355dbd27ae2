"""The Socket Mode connection over a real WebSocket, at moments at which Slack takes its time."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from slack_bolt import App

from bot.sandbox.slack_server import SlackWorkspace
from bot.slack.connection import LOOKS_TO_OPEN, SocketModeConnection

PATIENCE_SECONDS = 30


@pytest.fixture
def slack() -> Iterator[SlackWorkspace]:
    with SlackWorkspace() as workspace:
        yield workspace


@pytest.fixture
def connection(slack: SlackWorkspace) -> Iterator[SocketModeConnection]:
    """Not connected yet: its first look does that. Slack lets go of everything before it closes."""
    app = App(token=slack.bot_token, signing_secret="unused", token_verification_enabled=False)
    opened = SocketModeConnection(app, slack.app_token, slack.api_url)
    with ExitStack() as stack:
        stack.callback(opened.close)
        stack.callback(slack.faults.clear)
        yield opened


@pytest.fixture
def beside() -> Iterator[Callable[[Callable[[], None]], Future[None]]]:
    """Calls something in a thread of its own."""
    with ThreadPoolExecutor(1) as threads:
        yield threads.submit


def test_one_that_is_closed_while_it_opens_waits_for_no_answer_and_leaves_nothing_open(
    slack: SlackWorkspace,
    connection: SocketModeConnection,
    beside: Callable[[Callable[[], None]], Future[None]],
) -> None:
    shaking = slack.faults.add("link", hold=True)
    connection.tend()
    assert shaking.reached.wait(PATIENCE_SECONDS)
    closing = beside(connection.close)
    try:
        closing.result(PATIENCE_SECONDS)
    finally:
        shaking.release()
    gc.collect()  # Python tells then of a socket that nobody closed
    assert slack.sockets.connections == []


def test_one_that_slack_never_answered_is_given_up_for_another(
    slack: SlackWorkspace, connection: SocketModeConnection
) -> None:
    shaking = slack.faults.add("link", hold=True)
    connection.tend()
    assert shaking.reached.wait(PATIENCE_SECONDS)
    for _ in range(LOOKS_TO_OPEN + 1):
        connection.tend()
    try:
        slack.wait_connected(timeout=PATIENCE_SECONDS)
    finally:
        shaking.release()
    assert connection.alive()


class SetBack:
    """The clocks a minute later, of which somebody set the wall clock back by an hour."""

    def time(self) -> float:
        return time.time() - 3600

    def monotonic(self) -> float:
        return time.monotonic() + 60


def test_a_clock_that_was_set_back_makes_no_dead_connection_alive(
    connection: SocketModeConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.tend()
    session = connection._handler.client.current_session
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not session.last_pong_tm:  # of which nobody tells
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert connection.alive()
    monkeypatch.setattr("bot.slack.connection.time", SetBack())
    assert not connection.alive(), "what Slack answered before tells nothing"
