"""The Socket Mode connection over a real WebSocket, whatever Slack does with it."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta

import pytest
from slack_bolt import Ack, App
from slack_sdk import WebClient

from bot.sandbox.hand_clock import HandClock
from bot.sandbox.slack_server import SlackWorkspace
from bot.slack.connection import (
    DEAF_SECONDS,
    IDLE_SECONDS,
    OPEN_WITHIN_SECONDS,
    OTHERS_PAYLOADS,
    SETTLED_SECONDS,
    SILENT_AFTER_SECONDS,
    SocketModeConnection,
)

PATIENCE_SECONDS = 30
MINUTE = 60


class Seconds:
    """Time that passes only when it is told to; never back."""

    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return self.passed


class Commands:
    """The app's command: whether somebody typed it, and whether it may be acknowledged."""

    def __init__(self) -> None:
        self.reached, self.held = threading.Event(), threading.Event()
        self.held.set()


@pytest.fixture
def commands() -> Commands:
    return Commands()


@pytest.fixture
def slack() -> Iterator[SlackWorkspace]:
    with SlackWorkspace() as workspace:
        workspace.add_person("U01ANA", "ana")
        workspace.add_channel("C01", "general")
        yield workspace


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def clock() -> HandClock:
    """The time of day, which is not for measuring."""
    return HandClock()


@pytest.fixture
def others() -> list[int]:
    """How many payloads other replicas had, as its only item."""
    return [0]


@pytest.fixture
def connection(
    slack: SlackWorkspace,
    seconds: Seconds,
    clock: HandClock,
    others: list[int],
    commands: Commands,
) -> Iterator[SocketModeConnection]:
    """Not connected yet: its first look does that. Slack lets go of everything before it closes."""
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    app = App(client=client, signing_secret="unused", token_verification_enabled=False)

    @app.command("/eks-access")
    def taken(ack: Ack) -> None:
        commands.reached.set()
        commands.held.wait(PATIENCE_SECONDS)
        ack()

    opened = SocketModeConnection(
        app,
        slack.app_token,
        slack.api_url,
        others=lambda _: others[0],
        clock=clock,
        now=seconds,
        spread=lambda pause: pause,
    )
    with ExitStack() as stack:
        stack.callback(opened.close)
        stack.callback(slack.faults.clear)
        yield opened


@pytest.fixture
def beside() -> Iterator[Callable[[Callable[[], None]], Future[None]]]:
    """Calls something in a thread of its own."""
    with ThreadPoolExecutor(1) as threads:
        yield threads.submit


def until(so: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    pause = threading.Event()
    for _ in range(PATIENCE_SECONDS * 100):
        if so():
            return
        pause.wait(0.01)
    raise AssertionError("it never came")


def opened(slack: SlackWorkspace) -> int:
    """How often an address for a session was asked for."""
    asked = [one for one in slack.calls if one.method == "apps.connections.open"]
    return len(asked)


def connect(connection: SocketModeConnection) -> None:
    connection.tend()
    until(connection.alive)


def settle(connection: SocketModeConnection, seconds: Seconds) -> None:
    """Let it be connected for long enough, and a ping answered since."""
    connect(connection)
    pass_time(connection, seconds, SETTLED_SECONDS + 1)


def pass_time(connection: SocketModeConnection, seconds: Seconds, by: float) -> None:
    """Let time pass in which pings are answered."""
    seconds.passed += by
    until(connection.alive)


def look(connection: SocketModeConnection, seconds: Seconds) -> None:
    connection.tend()
    seconds.passed += 1


def refuse(slack: SlackWorkspace, way: str) -> None:
    """From now on Slack takes no connection, in one of the ways in which it does not."""
    match way:
        case "gone":
            slack.kill()
        case "no hello":
            slack.faults.add("hello", times=None, hold=True)
        case "silent":
            slack.faults.add("link", times=None, hold=True)
        case "too_many_websockets" | "link_disabled":
            slack.faults.add("hello", times=None, error=way)
        case _:
            slack.faults.add("apps.connections.open", times=None, error=way)
    if way != "gone":
        slack.sockets.drop()


WAYS = ("gone", "no hello", "silent", "too_many_websockets", "account_inactive", "token_revoked")


@pytest.mark.parametrize("way", WAYS)
def test_nothing_that_is_tried_makes_it_ready(
    slack: SlackWorkspace, connection: SocketModeConnection, seconds: Seconds, way: str
) -> None:
    settle(connection, seconds)
    refuse(slack, way)
    down = 0
    for _ in range(600):
        look(connection, seconds)
        down = 0 if connection.alive() else down + 1  # a ping may have been answered on the way
        if down == 300:
            break
    assert down == 300
    assert connection.problem is not None


@pytest.mark.parametrize("code", ["account_inactive", "invalid_auth", "too_many_websockets"])
def test_a_slack_that_refuses_is_asked_with_pauses_that_grow_to_a_minute(
    slack: SlackWorkspace,
    connection: SocketModeConnection,
    seconds: Seconds,
    code: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    refuse(slack, code)
    for _ in range(10 * MINUTE):
        look(connection, seconds)
    assert 8 <= opened(slack) <= 20
    told = [one for one in capsys.readouterr().out.splitlines() if "Socket Mode is down" in one]
    assert 3 <= len(told) <= 8
    if code != "too_many_websockets":  # looks are faster here than what Slack says
        assert connection.problem == code
        assert all(code in one and "Whoever runs the bot" in one for one in told)
    slack.faults.clear()
    before = opened(slack)
    for _ in range(2 * MINUTE if code == "too_many_websockets" else MINUTE + 1):
        if connection.alive() or opened(slack) > before:
            break
        look(connection, seconds)
    until(connection.alive)
    assert connection.problem is None


def test_why_slack_ends_a_connection_is_told_and_who_has_to_act(
    slack: SlackWorkspace, connection: SocketModeConnection, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(slack, "too_many_websockets")
    until(lambda: _looked(connection, lambda: connection.problem == "too_many_websockets"))
    connection.tend()
    assert opened(slack) == 1, "not before a pause"
    assert "Whoever runs the bot stops replicas" in capsys.readouterr().out


def test_slack_is_left_alone_for_as_long_as_it_asks(
    slack: SlackWorkspace, connection: SocketModeConnection, seconds: Seconds
) -> None:
    slack.faults.add("apps.connections.open", ratelimited="90.5")
    for _ in range(90):
        look(connection, seconds)
    assert opened(slack) == 1
    for _ in range(2):
        look(connection, seconds)
    until(connection.alive)
    assert opened(slack) == 2


def test_it_is_connected_when_slack_says_hello_and_not_before(
    slack: SlackWorkspace, connection: SocketModeConnection, capsys: pytest.CaptureFixture[str]
) -> None:
    greeting = slack.faults.add("hello", hold=True)
    connection.tend()
    assert greeting.reached.wait(PATIENCE_SECONDS)
    first = _answered(connection)
    until(lambda: _answered(connection) > first)
    first = _answered(connection)
    until(lambda: _answered(connection) > first)  # so the one before was noted
    assert not connection.alive()
    assert "connected to Slack" not in capsys.readouterr().out
    greeting.release()
    until(connection.alive)
    assert "connected to Slack" in capsys.readouterr().out


def test_one_that_slack_does_not_greet_is_given_up_for_another(
    slack: SlackWorkspace, connection: SocketModeConnection, seconds: Seconds
) -> None:
    greeting = slack.faults.add("hello", hold=True)
    connection.tend()
    assert greeting.reached.wait(PATIENCE_SECONDS)
    for _ in range(int(OPEN_WITHIN_SECONDS) + 3):
        look(connection, seconds)
    until(connection.alive)


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
    slack: SlackWorkspace, connection: SocketModeConnection, seconds: Seconds
) -> None:
    shaking = slack.faults.add("link", hold=True)
    connection.tend()
    assert shaking.reached.wait(PATIENCE_SECONDS)
    for _ in range(int(OPEN_WITHIN_SECONDS) + 3):
        look(connection, seconds)
    try:
        slack.wait_connected(timeout=PATIENCE_SECONDS)
    finally:
        shaking.release()
    until(connection.alive)


def test_one_that_no_longer_answers_is_not_ready_and_given_up(
    slack: SlackWorkspace, connection: SocketModeConnection, seconds: Seconds
) -> None:
    settle(connection, seconds)
    mute = threading.Event()
    assert slack.sockets.loop is not None
    slack.sockets.loop.call_soon_threadsafe(mute.wait)  # the server does nothing any more
    until(lambda: _silent(connection, seconds))
    mute.set()
    connection.tend()
    until(connection.alive)
    assert opened(slack) == 2


def test_a_clock_that_was_set_back_makes_no_dead_connection_alive(
    slack: SlackWorkspace, connection: SocketModeConnection, seconds: Seconds, clock: HandClock
) -> None:
    settle(connection, seconds)
    mute = threading.Event()
    assert slack.sockets.loop is not None
    slack.sockets.loop.call_soon_threadsafe(mute.wait)
    clock.advance(-timedelta(days=60 * 365))
    try:
        until(lambda: _silent(connection, seconds))
    finally:
        mute.set()


def _silent(connection: SocketModeConnection, seconds: Seconds) -> bool:
    """Whether no answer to a ping is on its way any more."""
    seconds.passed += SILENT_AFTER_SECONDS + 1
    threading.Event().wait(0.1)
    return not connection.alive()


@pytest.mark.parametrize("reason", ["refresh_requested", "warning"])
def test_a_refresh_is_followed_at_once(
    slack: SlackWorkspace, connection: SocketModeConnection, seconds: Seconds, reason: str
) -> None:
    settle(connection, seconds)
    slack.disconnect(reason)
    until(lambda: _looked(connection, lambda: opened(slack) == 2))
    until(lambda: [one.draining for one in slack.sockets.connections] == [False])
    assert connection.alive()


def test_a_connection_that_breaks_off_is_followed_at_once(
    slack: SlackWorkspace, connection: SocketModeConnection, seconds: Seconds
) -> None:
    settle(connection, seconds)
    slack.sockets.drop()
    until(lambda: _looked(connection, lambda: opened(slack) == 2))
    slack.wait_connected(timeout=PATIENCE_SECONDS)


def test_socket_mode_that_is_turned_off_is_told_and_tried_after_a_pause(
    slack: SlackWorkspace,
    connection: SocketModeConnection,
    seconds: Seconds,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settle(connection, seconds)
    slack.disconnect("link_disabled")
    told = ""

    def heard() -> bool:
        nonlocal told
        told += capsys.readouterr().out
        return "Socket Mode is turned off in the app" in told

    until(lambda: _looked(connection, heard))
    connection.tend()
    assert opened(slack) == 1
    for _ in range(2):
        look(connection, seconds)
    until(connection.alive)
    assert opened(slack) == 2


def _answered(connection: SocketModeConnection) -> float:
    """When a ping was last answered, of which nobody tells."""
    session = connection._client.current_session
    return session.last_pong_tm if session is not None else 0.0


def _looked(connection: SocketModeConnection, so: Callable[[], bool]) -> bool:
    connection.tend()
    return so()


def test_an_acknowledgement_that_is_lost_with_its_connection_is_told_as_such(
    slack: SlackWorkspace,
    connection: SocketModeConnection,
    beside: Callable[[Callable[[], object]], Future[object]],
    capsys: pytest.CaptureFixture[str],
    commands: Commands,
) -> None:
    connect(connection)
    commands.held.clear()
    typed = beside(lambda: slack.human("U01ANA").command("/eks-access", "C01"))
    assert commands.reached.wait(PATIENCE_SECONDS)
    slack.sockets.drop()
    until(lambda: not slack.sockets.connections)
    commands.held.set()
    said: list[str] = []
    until(lambda: bool(said.append(capsys.readouterr().out) or "lost with its" in "".join(said)))
    assert "Traceback" not in "".join(said)
    typed.result()


# Connected, pings answered, no payloads


def test_the_last_payload_of_each_kind_is_known(
    slack: SlackWorkspace, connection: SocketModeConnection
) -> None:
    connect(connection)
    assert connection.last_payloads == {}
    assert slack.human("U01ANA").command("/eks-access", "C01").acknowledged
    until(lambda: list(connection.last_payloads) == ["slash_commands"])


def test_one_that_gets_nothing_while_others_do_is_told_and_given_up_for_another(
    slack: SlackWorkspace,
    connection: SocketModeConnection,
    seconds: Seconds,
    others: list[int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    settle(connection, seconds)
    [first] = slack.sockets.connections
    first.deaf = True
    others[0] = OTHERS_PAYLOADS
    pass_time(connection, seconds, DEAF_SECONDS - 60)
    connection.tend()
    assert opened(slack) == 1, "it may be chance for a while"
    pass_time(connection, seconds, 60)
    connection.tend()
    assert opened(slack) == 2
    assert "while other replicas get payloads" in capsys.readouterr().out
    until(lambda: [one.deaf for one in slack.sockets.connections] == [False])
    assert slack.human("U01ANA").command("/eks-access", "C01").acknowledged


def test_where_others_get_as_little_nobody_has_typed_and_nothing_is_told(
    slack: SlackWorkspace,
    connection: SocketModeConnection,
    seconds: Seconds,
    others: list[int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    settle(connection, seconds)
    others[0] = OTHERS_PAYLOADS - 1
    pass_time(connection, seconds, DEAF_SECONDS)
    connection.tend()
    assert opened(slack) == 1
    pass_time(connection, seconds, IDLE_SECONDS)
    connection.tend()
    assert opened(slack) == 2, "once an hour a new one is tried all the same"
    assert "other replicas" not in capsys.readouterr().out


def test_a_payload_proves_that_the_connection_hears(
    slack: SlackWorkspace, connection: SocketModeConnection, seconds: Seconds, others: list[int]
) -> None:
    settle(connection, seconds)
    others[0] = OTHERS_PAYLOADS
    pass_time(connection, seconds, DEAF_SECONDS)
    assert slack.human("U01ANA").command("/eks-access", "C01").acknowledged
    until(lambda: bool(connection.last_payloads))
    connection.tend()
    assert opened(slack) == 1
