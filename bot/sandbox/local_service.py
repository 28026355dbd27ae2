"""What the local PagerDuty, Opsgenie and Jira have in common: calls, faults, and the key first."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

_DRIP_SECONDS = 0.05


@dataclass(slots=True)
class Call:
    """One request that came in. `status` is what it was answered, None where it was not (yet)."""

    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    status: int | None = None


@dataclass(eq=False)
class Fault:
    """One thing to go wrong, for the next `times` requests (None: until `mend`).

    `status` answers with it; `body` is answered in place of JSON, byte by byte where it `drips`
    (and then begins anew, for ever); `drop` cuts the connection; `hold` waits until `release()`,
    after which the request is answered as if nothing had been.
    """

    times: int | None = None
    status: int = 200
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    drips: bool = False
    hold: bool = False
    reached: threading.Event = field(default_factory=threading.Event)
    released: Future[None] = field(default_factory=Future)

    def release(self) -> None:
        """Let those go on whom a `hold` keeps."""
        if not self.released.done():
            self.released.set_result(None)


class LocalService(ABC):
    """An API under a path of its own. `key` is the one that it takes.

    State is set and read by whoever holds it; `calls` are those that came in, oldest first.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.calls: list[Call] = []
        self.url = ""
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def fail(
        self,
        *,
        times: int | None = None,
        status: int = 200,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        drop: bool = False,
        drips: bool = False,
        hold: bool = False,
    ) -> Fault:
        """Let something go wrong from now on: see `Fault`."""
        fault = Fault(times, status, body, headers or {}, drop, drips, hold)
        with self._lock:
            self._faults.append(fault)
        return fault

    def mend(self) -> None:
        """Let nothing go wrong any more."""
        with self._lock:
            faults, self._faults = self._faults, []
        for fault in faults:
            fault.release()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as an ASGI application."""
        request = Request(scope, receive)
        path = request.url.path.removeprefix(scope.get("root_path", ""))
        query = tuple(request.query_params.multi_items())
        call = Call(path, query, dict(request.headers))
        self.calls.append(call)
        fault = self._take()
        if fault is not None:
            fault.reached.set()
            if fault.drop:
                request.state.transport.abort()
                return
            if fault.drips:
                await _drip(fault, send)
                return
            if fault.hold:
                await asyncio.wrap_future(fault.released)
                fault = None
        if fault is not None:
            body = fault.body if fault.body is not None else b"{}"
            headers = {"Content-Type": "application/json", **fault.headers}
            response = Response(body, fault.status, headers)
        else:
            response = self.refuse(request, path) or self.answer(request, path)
        call.status = response.status_code
        await response(scope, receive, send)

    @abstractmethod
    def refuse(self, request: Request, path: str) -> Response | None:
        """What is answered to a request without the right key; None where it has it."""

    @abstractmethod
    def answer(self, request: Request, path: str) -> Response:
        """What is answered to a request with the right key."""

    def _take(self) -> Fault | None:
        with self._lock:
            if not self._faults:
                return None
            fault = self._faults[0]
            if fault.times is not None:
                fault.times -= 1
                if fault.times == 0:
                    self._faults.remove(fault)
            return fault


def answered(body: Any, status: int = 200, **headers: str) -> Response:
    """A JSON answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse(body, status, named)


async def _drip(fault: Fault, send: Send) -> None:
    await send({"type": "http.response.start", "status": fault.status, "headers": []})
    while True:
        for byte in fault.body or b" ":
            part = {"type": "http.response.body", "body": bytes([byte]), "more_body": True}
            await send(part)
            await asyncio.sleep(_DRIP_SECONDS)
