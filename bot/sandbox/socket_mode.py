"""Socket Mode's server side: tickets, connections, envelopes and their acknowledgements.

`apps.connections.open` gives a WebSocket address that works once. Each envelope goes to one of up
to ten connections, in turn. Everything here runs on the server's event loop, except the methods
that say otherwise. Source: Slack, "Using Socket Mode".
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from dataclasses import dataclass
from typing import Any, cast

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from bot.sandbox.slack_admin import ManagedWorkspace
from bot.sandbox.slack_api import Arguments, Method
from bot.sandbox.slack_faults import Fault
from bot.sandbox.slack_model import Json

MAX_CONNECTIONS = 10
GRACE = 10.0
"""Seconds between a `disconnect` message and the end of its connection."""


class NotConnectedError(Exception):
    """No connection is there to take an envelope."""


@dataclass(eq=False)
class Connection:
    """One WebSocket of the app.

    `draining`: it was told to go, and gets no more envelopes. `deaf`: it gets none either, though
    its pings are answered.
    """

    number: int
    socket: WebSocket
    draining: bool = False
    deaf: bool = False
    sent: int = 0

    def abort(self) -> None:
        """Cut the connection at once, without a closing handshake."""
        cast(asyncio.Transport, self.socket.scope["state"]["transport"]).abort()


@dataclass
class Receipt:
    """An acknowledgement: the app's payload, if any, and the seconds since the envelope went."""

    payload: Any
    latency: float


@dataclass
class _Waiting:
    future: asyncio.Future[Receipt]
    sent_at: float


class SocketMode:
    """The connections of the app. `connections` are the open ones, oldest first."""

    def __init__(self, workspace: ManagedWorkspace) -> None:
        self._workspace = workspace
        self._tickets: set[str] = set()
        self._waiting: dict[str, _Waiting] = {}
        self._turn = 0
        self._numbers = 0
        self.loop: asyncio.AbstractEventLoop | None = None
        self.connections: list[Connection] = []
        self.unknown_acks: list[str] = []

    def methods(self) -> dict[str, Method]:
        scopes = ("connections:write",)
        return {"apps.connections.open": Method(self._open, scopes, app_token=True)}

    def routes(self) -> list[WebSocketRoute]:
        return [WebSocketRoute("/link/", self._link)]

    def _open(self, _arguments: Arguments) -> Json:
        ticket = secrets.token_hex(16)
        self._tickets.add(ticket)
        address = self._workspace.url.replace("http", "ws", 1)
        return {"url": f"{address}/link/?ticket={ticket}&app_id={self._workspace.app.id}"}

    async def _link(self, socket: WebSocket) -> None:
        fault = self._workspace.faults.take("link")
        ticket = socket.query_params.get("ticket", "")
        if fault is not None:
            fault.reached.set()
            await asyncio.sleep(fault.delay)
            if fault.hold:
                await asyncio.wrap_future(fault.released)
        if fault is not None and fault.drop:
            Connection(0, socket).abort()
            return
        if ticket not in self._tickets or (fault is not None and fault.status):
            await socket.close()
            return
        self._tickets.discard(ticket)
        await socket.accept()
        if len(self.connections) >= MAX_CONNECTIONS:
            await socket.send_text(self._farewell("too_many_websockets"))
            await socket.close()
            return
        greeting = self._workspace.faults.take("hello")
        if greeting is not None and greeting.error is not None:
            await socket.send_text(self._farewell(greeting.error))
            await socket.close()
            return
        self._numbers += 1
        connection = Connection(self._numbers, socket)
        greeted = asyncio.create_task(self._greet(connection, greeting))
        try:
            while True:
                self._receive(await socket.receive_text())
        except WebSocketDisconnect:
            pass
        finally:
            greeted.cancel()
            self._set_connections([one for one in self.connections if one is not connection])

    async def _greet(self, connection: Connection, fault: Fault | None) -> None:
        """Say hello, from when on it gets envelopes; pings are answered before."""
        if fault is not None:
            fault.reached.set()
            await asyncio.sleep(fault.delay)
            if fault.hold:
                await asyncio.wrap_future(fault.released)
        self._set_connections([*self.connections, connection])
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it went meanwhile
            await connection.socket.send_text(self._hello())

    def _set_connections(self, connections: list[Connection]) -> None:
        with self._workspace.lock:
            self.connections = connections
            self._workspace.changed("connection")

    def _debug(self) -> Json:
        return {"host": "applink-local", "build_number": 1, "approximate_connection_time": 18060}

    def _hello(self) -> str:
        return json.dumps(
            {
                "type": "hello",
                "num_connections": len(self.connections),
                "debug_info": self._debug(),
                "connection_info": {"app_id": self._workspace.app.id},
            }
        )

    def _farewell(self, reason: str) -> str:
        return json.dumps({"type": "disconnect", "reason": reason, "debug_info": self._debug()})

    def _receive(self, text: str) -> None:
        try:
            message = json.loads(text)
            envelope_id = str(message["envelope_id"])
        except (ValueError, KeyError, TypeError):
            self.unknown_acks.append(text)
            return
        waiting = self._waiting.pop(envelope_id, None)
        if waiting is None or waiting.future.done():
            self.unknown_acks.append(envelope_id)
            return
        latency = asyncio.get_running_loop().time() - waiting.sent_at
        waiting.future.set_result(Receipt(message.get("payload"), latency))

    async def send(self, envelope: Json, timeout: float) -> Receipt:  # noqa: ASYNC109 (Slack's limit, given by the caller)
        """Send an envelope to the next connection and wait for its acknowledgement.

        Any connection may bring it. Raises `NotConnectedError` and `TimeoutError`.
        """
        connection = self._next()
        loop = asyncio.get_running_loop()
        waiting = _Waiting(loop.create_future(), loop.time())
        self._waiting[envelope["envelope_id"]] = waiting
        connection.sent += 1
        try:
            try:
                await connection.socket.send_text(json.dumps(envelope))
            except (WebSocketDisconnect, RuntimeError) as error:
                raise NotConnectedError from error
            return await asyncio.wait_for(waiting.future, timeout)
        finally:
            self._waiting.pop(envelope["envelope_id"], None)

    def _next(self) -> Connection:
        hearing = [one for one in self.connections if not one.deaf]
        open_ones = [one for one in hearing if not one.draining] or hearing
        if not open_ones:
            raise NotConnectedError
        self._turn += 1
        return open_ones[self._turn % len(open_ones)]

    def disconnect(self, reason: str = "refresh_requested", *, grace: float = GRACE) -> int:
        """Tell every connection to go (`warning`, `refresh_requested`, `link_disabled`).

        Each is closed `grace` seconds later. To be called from any other thread; gives how many
        were told, when they were.
        """
        return self._run(self._disconnect(reason, grace))

    async def _disconnect(self, reason: str, grace: float) -> int:
        told = list(self.connections)
        for connection in told:
            connection.draining = True
            await connection.socket.send_text(self._farewell(reason))
            asyncio.get_running_loop().call_later(grace, connection.abort)
        return len(told)

    def drop(self) -> int:
        """Cut every connection hard, as a failing network does; gives how many there were.

        To be called from any other thread.
        """
        return self._run(self._drop())

    async def _drop(self) -> int:
        cut = list(self.connections)
        for connection in cut:
            connection.abort()
        return len(cut)

    def _run(self, work: Any) -> int:
        if self.loop is None:
            raise RuntimeError("the workspace is not being served")
        return int(asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=10))
