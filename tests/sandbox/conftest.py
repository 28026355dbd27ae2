"""A local Slack workspace with a few people, and the smallest app that can stand behind it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import websocket
from slack_sdk import WebClient

from bot.sandbox.hand_clock import HandClock
from bot.sandbox.slack_server import SlackWorkspace

NO_ACK = object()


class SocketApp:
    """Speaks Socket Mode by hand: keeps envelopes, acknowledges each with what `answer` gives."""

    def __init__(self, ws: SlackWorkspace, answer: Callable[[dict[str, Any]], Any]) -> None:
        self.messages: list[dict[str, Any]] = []
        self.arrived = threading.Condition()
        self.ended = threading.Event()
        self.end_error: Exception | None = None
        self._answer = answer
        opened = WebClient(ws.app_token, base_url=ws.api_url).apps_connections_open(
            app_token=ws.app_token
        )
        self.url = opened["url"]
        self.socket = websocket.create_connection(self.url, timeout=10)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        self.wait(lambda: self.messages)

    def _read(self) -> None:
        try:
            while text := self.socket.recv():
                message = json.loads(text)
                with self.arrived:
                    self.messages.append(message)
                    self.arrived.notify_all()
                if "envelope_id" in message:
                    self.acknowledge(message)
        except (OSError, websocket.WebSocketException) as error:
            self.end_error = error
        finally:
            self.ended.set()

    def acknowledge(self, envelope: dict[str, Any]) -> None:
        payload = self._answer(envelope)
        if payload is not NO_ACK:
            self.reply(envelope, payload)

    def reply(self, envelope: dict[str, Any], payload: Any = None) -> None:
        reply = {"envelope_id": envelope["envelope_id"]}
        if payload is not None:
            reply["payload"] = payload
        self.socket.send(json.dumps(reply))

    def wait(self, predicate: Callable[[], Any], timeout: float = 5) -> None:
        with self.arrived:
            assert self.arrived.wait_for(predicate, timeout), self.messages

    @property
    def envelopes(self) -> list[dict[str, Any]]:
        return [message for message in self.messages if "envelope_id" in message]

    @property
    def payloads(self) -> list[dict[str, Any]]:
        return [envelope["payload"] for envelope in self.envelopes]

    def close(self) -> None:
        self.socket.close()
        self._thread.join()
        self.socket.shutdown()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def ws(clock: HandClock) -> Iterator[SlackWorkspace]:
    with SlackWorkspace(clock=clock) as workspace:
        workspace.add_person("U01ALICE", "alice", real_name="Alice Ng")
        workspace.add_person("U02BOB", "bob")
        workspace.add_channel("C01PAY", "payments")
        workspace.add_group("S01PAY", "pay-leads", ["U02BOB"])
        yield workspace


@pytest.fixture
def api(ws: SlackWorkspace) -> WebClient:
    return WebClient(ws.bot_token, base_url=ws.api_url, retry_handlers=[])


@pytest.fixture
def app(ws: SlackWorkspace) -> Iterator[Callable[..., SocketApp]]:
    """Connect an app by hand: `app()` acknowledges everything, `app(answer)` as it says."""
    apps: list[SocketApp] = []

    def connect(answer: Callable[[dict[str, Any]], Any] = lambda _envelope: None) -> SocketApp:
        apps.append(SocketApp(ws, answer))
        ws.wait(lambda: len(ws.sockets.connections) >= 1)
        return apps[-1]

    yield connect
    for one in apps:
        one.close()


@pytest.fixture
def no_ack(ws: SlackWorkspace) -> object:
    """What an app answers so as not to acknowledge; the workspace then waits less than 3 s."""
    ws.courier.ack_seconds = 0.3
    return NO_ACK
