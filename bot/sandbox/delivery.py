"""Getting payloads to the app and its answers back: Socket Mode or signed HTTP, with redelivery.

An app has three seconds to acknowledge. Commands and interactions are sent once; events that were
not acknowledged come again at once, after one minute and after five, by the workspace's clock.
Source: Slack, "Using Socket Mode" and "Events API", "Retries".
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import uuid
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bot.sandbox.http_delivery import Answer, HttpDelivery, Sent
from bot.sandbox.slack_admin import ManagedWorkspace
from bot.sandbox.slack_model import Json
from bot.sandbox.socket_mode import NotConnectedError, SocketMode

ACK_SECONDS = 3.0
RETRY_AFTER = (timedelta(0), timedelta(minutes=1), timedelta(minutes=5))
HTTP_OK = 200
ANSWERED = frozenset({"view_submission", "block_suggestion"})
"""Interactions whose acknowledgement may carry a payload; commands' may too."""


@dataclass(frozen=True)
class Ack:
    """How an attempt ended: `error` None is acknowledged. `latency` is in seconds.

    Errors are `operation_timeout` and `dispatch_failed`; `reason` is the retry reason Slack gives.
    `status` is the HTTP status, over HTTP.
    """

    error: str | None = None
    latency: float | None = None
    payload: Any = None
    status: int | None = None
    reason: str | None = None
    no_retry: bool = False


@dataclass(eq=False)
class Delivery:
    """A payload and its attempts. `kind`: slash_commands, interactive or events_api."""

    kind: str
    payload: Json
    at: datetime
    attempts: list[Ack] = field(default_factory=list)
    sent: Sent | None = None

    @property
    def acknowledged(self) -> bool:
        return any(ack.error is None for ack in self.attempts)

    @property
    def latency(self) -> float | None:
        """Seconds from sending to acknowledgement; None without one."""
        return next((ack.latency for ack in self.attempts if ack.error is None), None)

    @property
    def type(self) -> str:
        """The event's, interaction's or command's own type."""
        if self.kind == "events_api":
            return str(self.payload["event"]["type"])
        return str(self.payload.get("type") or self.payload.get("command"))


class Courier:
    """Delivers; `deliveries` lists everything that went out, oldest first."""

    def __init__(
        self, workspace: ManagedWorkspace, sockets: SocketMode, ack_seconds: float = ACK_SECONDS
    ) -> None:
        self._workspace = workspace
        self._sockets = sockets
        self.ack_seconds = ack_seconds
        self.http: HttpDelivery | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.deliveries: list[Delivery] = []
        self._due: list[tuple[datetime, int, Delivery]] = []
        self._order = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._posting = ThreadPoolExecutor(16, "slack-post")

    def deliver(self, kind: str, payload: Json) -> Delivery:
        """Send once and wait for the acknowledgement. Not to be called on the server's loop."""
        delivery = self._new(kind, payload)
        if self.loop is None:
            self._record(delivery, Ack("dispatch_failed"))
        else:
            asyncio.run_coroutine_threadsafe(self._attempt(delivery), self.loop).result()
        return delivery

    def emit(self, event: Json) -> Delivery:
        """Send an event and come again until it is acknowledged. Gives back at once."""
        workspace = self._workspace
        channel_id = event.get("channel")
        channel = workspace.channels.get(channel_id) if isinstance(channel_id, str) else None
        event_id = workspace.new_id("Ev")
        body = {
            "token": workspace.app.verification_token,
            "team_id": workspace.team.id,
            "context_team_id": workspace.team.id,
            "context_enterprise_id": None,
            "api_app_id": workspace.app.id,
            "event": event,
            "type": "event_callback",
            "event_id": event_id,
            "event_time": workspace.epoch(),
            "authorizations": [
                {
                    "enterprise_id": None,
                    "team_id": workspace.team.id,
                    "user_id": workspace.app.user_id,
                    "is_bot": True,
                    "is_enterprise_install": False,
                }
            ],
            "is_ext_shared_channel": channel is not None and channel.is_ext_shared,
            "event_context": f"4-{event_id}",
        }
        delivery = self._new("events_api", body)
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self._start, self._try_event(delivery))
        return delivery

    def replay(self, delivery: Delivery) -> Ack:
        """Post the very same bytes and signature again, as somebody who recorded them would."""
        if self.http is None or self.loop is None or delivery.sent is None:
            raise RuntimeError("only what went over HTTP can be replayed")
        work = self._post(delivery.sent)
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def verify_url(self, challenge: str) -> bool:
        """Do Slack's url_verification handshake: whether the app answered the challenge."""
        if self.http is None or self.loop is None:
            raise RuntimeError("there is no Request URL")
        token = self._workspace.app.verification_token
        body = {"token": token, "challenge": challenge, "type": "url_verification"}
        sent = self.http.sign(*self.http.encode("events_api", body), {})
        ack = asyncio.run_coroutine_threadsafe(self._post(sent), self.loop).result()
        answered = ack.payload.get("challenge") if isinstance(ack.payload, dict) else ack.payload
        return ack.error is None and answered == challenge

    def tick(self) -> None:
        """Look at the clock: send again what is due. Call it after moving a clock by hand."""
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self._send_due)

    def close(self) -> None:
        self._posting.shutdown(wait=False, cancel_futures=True)

    async def stop(self) -> None:
        """End what is under way. On the loop."""
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _new(self, kind: str, payload: Json) -> Delivery:
        delivery = Delivery(kind, payload, self._workspace.clock())
        with self._workspace.lock:
            self.deliveries.append(delivery)
        return delivery

    def _record(self, delivery: Delivery, ack: Ack) -> None:
        with self._workspace.lock:
            delivery.attempts.append(ack)
            self._workspace.changed("delivery")

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _try_event(self, delivery: Delivery) -> None:
        """One attempt, and the next at once or in the queue for later."""
        while True:
            ack = await self._attempt(delivery)
            retry = len(delivery.attempts) - 1
            if ack.error is None or ack.no_retry or retry >= len(RETRY_AFTER):
                return
            if RETRY_AFTER[retry]:
                due = self._workspace.clock() + RETRY_AFTER[retry]
                heapq.heappush(self._due, (due, next(self._order), delivery))
                self._send_due()
                return

    def _send_due(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._workspace.clock()
        while self._due and self._due[0][0] <= now:
            self._start(self._try_event(heapq.heappop(self._due)[2]))
        if self._due:
            seconds = (self._due[0][0] - now).total_seconds()
            self._timer = asyncio.get_running_loop().call_later(seconds, self._send_due)

    async def _attempt(self, delivery: Delivery) -> Ack:
        reason = delivery.attempts[-1].reason if delivery.attempts else None
        if self.http is None:
            ack = await self._attempt_socket(delivery, reason)
        else:
            extra = {}
            if reason is not None:
                extra["X-Slack-Retry-Num"] = str(len(delivery.attempts))
                extra["X-Slack-Retry-Reason"] = reason
            body, content_type = self.http.encode(delivery.kind, delivery.payload)
            delivery.sent = self.http.sign(body, content_type, extra)
            ack = await self._post(delivery.sent)
        self._record(delivery, ack)
        return ack

    async def _attempt_socket(self, delivery: Delivery, reason: str | None) -> Ack:
        answered = delivery.kind == "slash_commands" or delivery.payload.get("type") in ANSWERED
        envelope: Json = {
            "envelope_id": str(uuid.uuid4()),
            "type": delivery.kind,
            "accepts_response_payload": answered,
            "payload": delivery.payload,
        }
        if delivery.kind == "events_api":
            envelope["retry_attempt"] = len(delivery.attempts)
            envelope["retry_reason"] = reason or ""
        try:
            receipt = await self._sockets.send(envelope, self.ack_seconds)
        except NotConnectedError:
            return Ack("dispatch_failed", reason="connection_failed")
        except TimeoutError:
            return Ack("operation_timeout", reason="timeout")
        return Ack(None, receipt.latency, receipt.payload if answered else None)

    async def _post(self, sent: Sent) -> Ack:
        assert self.http is not None  # noqa: S101 (both callers looked)
        loop = asyncio.get_running_loop()
        start = loop.time()
        post = loop.run_in_executor(self._posting, self.http.post, sent, self.ack_seconds)
        try:
            answer: Answer = await asyncio.wait_for(post, self.ack_seconds)
        except TimeoutError:
            return Ack("operation_timeout", reason="http_timeout")
        except OSError:
            return Ack("dispatch_failed", reason="connection_failed")
        except ValueError:
            return Ack("dispatch_failed", reason="http_error", status=HTTP_OK)
        no_retry = answer.headers.get("x-slack-no-retry") == "1"
        if answer.status != HTTP_OK:
            error = "dispatch_failed"
            return Ack(error, None, None, answer.status, "http_error", no_retry=no_retry)
        return Ack(None, loop.time() - start, answer.payload, answer.status)
