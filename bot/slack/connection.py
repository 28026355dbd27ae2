"""The Socket Mode connection, kept alive whatever Slack does.

The library opens sessions and reads them; when to open one is decided here alone, by a recurring
look. The library would ask a Slack that refuses several times a second, for ever, and calls a
connection open that is dead; `is_connected()` of it is not asked. What counts is what Slack does:
a session is there once Slack has said `hello` on it, and for as long as it answers pings.

Source: Slack, "Using Socket Mode": `hello`, and the reasons of `disconnect`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from slack_bolt import App
from slack_bolt.adapter.socket_mode.internals import run_bolt_app, send_response
from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.websocket_client import SocketModeClient
from websocket import WebSocketApp, WebSocketException, setdefaulttimeout

from bot.core.errors import StoreUnavailable
from bot.receipt import ReceivingPool
from bot.reconcile.backoff import pause, worth_telling
from bot.reconcile.slack_errors import NO_ANSWER, Delayed, delayed_by, problem_of

log = structlog.get_logger(__name__)

PING_SECONDS = 2.0
SILENT_AFTER_SECONDS = 10.0
"""Pings are answered at once; a connection without an answer for so long is taken to be dead."""

OPEN_WITHIN_SECONDS = 5.0
"""How long Slack has to say `hello` before another connection is tried."""

SETTLED_SECONDS = 10.0
"""How long a session has to last so that its end is no failure: another is opened at once."""

DEAF_SECONDS = 600.0
"""After how long without a payload a connection is suspected, where other replicas had some."""

OTHERS_PAYLOADS = 20
"""As many payloads that all went to other replicas are no chance."""

IDLE_SECONDS = 3600.0
"""After how long without a payload another connection is opened, though nobody may have typed."""

_BETWEEN_COUNTS_SECONDS = 60.0
_HANDSHAKE_SECONDS = 10.0
"""How long one step of opening a session may take, from a host's answer to its first packet on."""

_CONCURRENT_PAYLOADS = 32

_CLOSE_WITHIN_SECONDS = 5.0
"""How long to wait for a reader that cannot be woken, as while it waits for a host's answer to its
first packet. It is a daemon, and ends with the process."""

_BETWEEN_TELLING_SECONDS = 0.05


class NotSent(Exception):
    """The connection ended before something could be sent over it."""


class _Client(SocketModeClient):
    """The library's client, which opens no session by itself."""

    def connect_to_new_endpoint(self, force: bool = False) -> None:
        """Nothing: the library calls it for a `disconnect`, of which the look hears as well."""

    def send_message(self, message: str) -> None:
        """Send it over the session that there is. Raises NotSent where that has ended."""
        session = self.current_session
        try:
            if session is None:
                raise NotSent
            session.send(message)
        except (WebSocketException, OSError) as error:
            raise NotSent from error

    def new_address(self) -> str:
        """A WebSocket address for one session. Raises one of NO_ANSWER, and never waits."""
        answer = self.web_client.apps_connections_open(app_token=self.app_token)
        address = answer.get("url")
        if not isinstance(address, str):
            raise SlackClientError("Slack named no address")
        return address


@dataclass(eq=False, slots=True)
class _Session:
    """One session. `heard_at` is when it was opened or greeted, or brought its last payload.

    `over` says why it is at its end.
    """

    app: WebSocketApp
    heard_at: float
    greeted_at: float | None = None
    counted_at: float = float("-inf")
    over: str | None = None


class SocketModeConnection:
    """One connection of an app to Slack. Any replica may get any payload.

    `others` counts what was taken in since a moment, by all replicas; it raises StoreUnavailable.
    `now` is in seconds and never goes back; `spread` makes of a pause the one that is kept.
    """

    def __init__(
        self,
        app: App,
        app_token: str,
        api_url: str,
        *,
        others: Callable[[datetime], int],
        clock: Callable[[], datetime],
        now: Callable[[], float] = time.monotonic,
        spread: Callable[[float], float] = lambda seconds: random.uniform(seconds / 2, seconds),  # noqa: S311 - replicas apart
    ) -> None:
        # A logger of its own, so that it can fall silent when this connection is closed.
        logger = logging.Logger("slack_sdk.socket_mode")  # noqa: LOG001 - one for each instance
        logger.parent = logging.getLogger()
        logger.addFilter(lambda record: not record.getMessage().startswith("on_error invoked"))
        self._app = app
        self._client = _Client(
            app_token,
            logger=logger,
            # The library asks for the connection's address with a client of its own.
            # It asks once: the pauses between tries are kept here.
            web_client=WebClient(app_token, base_url=api_url, timeout=10, retry_handlers=[]),
            auto_reconnect_enabled=False,
            ping_interval=PING_SECONDS,
            concurrency=_CONCURRENT_PAYLOADS,
        )
        setdefaulttimeout(_HANDSHAKE_SECONDS)  # the only way that leads to the socket
        # The library's own monitor would connect a second time.
        self._client.current_app_monitor_started = True
        self._client.message_workers = ReceivingPool(_CONCURRENT_PAYLOADS)
        self._client.socket_mode_request_listeners.append(self._dispatch)
        self._client.on_message_listeners.append(self._heard)
        self._client.on_error_listeners.append(self._erred)
        self._client.on_close_listeners.append(lambda app: self._ended(app, "closed"))
        self._others = others
        self._clock = clock
        self._now = now
        self._spread = spread
        self._session: _Session | None = None
        self._proven_at: float | None = None
        self._failures = 0
        self._problem = "not_connected"
        self._try_at = float("-inf")
        self._payload_at: dict[str, datetime] = {}
        self._heard_since = clock()
        self._deaf = 0
        self._closing = False
        self._look = threading.Lock()
        self._lock = threading.Lock()

    def tend(self) -> None:
        """Connect where there is no connection, and end one that is dead. Called every second."""
        if self._closing or not self._look.acquire(blocking=False):
            return  # there is no more need, or the last call still waits for Slack
        try:
            session = self._session
            if session is not None:
                over = self._over(session)
                if over is None:
                    return
                self._leave(session, over)
            if self._now() >= self._try_at:
                self._open()
        finally:
            self._look.release()

    def alive(self) -> bool:
        """Whether Slack has said `hello`, or answered a ping after it, within the last seconds.

        A refresh takes less. What is tried changes nothing here.
        """
        proven = self._proven_at
        return proven is not None and self._now() - proven <= SILENT_AFTER_SECONDS

    @property
    def problem(self) -> str | None:
        """Why it is not alive, as a code of Slack's or of the connection; None where it is."""
        return None if self.alive() else self._problem

    @property
    def last_payloads(self) -> Mapping[str, datetime]:
        """When the last payload came, by its kind (`slash_commands`, `interactive`, …)."""
        return dict(self._payload_at)

    def close(self) -> None:
        """Take no more payloads, let those that are being handled be acknowledged, then close."""
        self._closing = True
        client = self._client
        client.logger.setLevel(logging.CRITICAL)  # that the connection ends is no error now
        client.closed = True
        client.message_queue.put("")  # wakes the processor, which then sees that it is closed
        client.message_processor.shutdown()  # type: ignore[no-untyped-call]  # the SDK has no hint
        client.message_workers.shutdown(wait=True)
        self._end_sessions()

    def _end_sessions(self) -> None:
        """Let the reader begin no session any more, and wait until it has left the last one.

        That one may be at any point of its opening, where it forgets what it was told, or has no
        socket yet by which it could be woken; so it is told again until the reader has gone.
        """
        reader = self._client.current_session_runner
        reader.event.set()
        deadline = time.monotonic() + _CLOSE_WITHIN_SECONDS
        while reader.is_alive() and time.monotonic() < deadline:
            if self._client.current_session is not None:
                _end(self._client.current_session)
            reader.thread.join(_BETWEEN_TELLING_SECONDS)

    # When to open another

    def _over(self, session: _Session) -> str | None:
        """Why the session is at its end, or None."""
        if session.over is not None:
            return session.over
        quiet = self._now() - session.heard_at
        if session.greeted_at is None:
            # A Slack that takes long gets longer, so that it is not given up for ever.
            patience = OPEN_WITHIN_SECONDS * (1 << min(self._failures, 3))
            return "no_hello" if quiet > patience else None
        if not self.alive():
            return "silent"
        if quiet > IDLE_SECONDS:
            return "idle"
        return "no_payloads" if quiet > DEAF_SECONDS and self._is_deaf(session) else None

    def _is_deaf(self, session: _Session) -> bool:
        """Whether other replicas have had what this one should have had a part of."""
        if self._now() - session.counted_at < _BETWEEN_COUNTS_SECONDS:
            return False
        session.counted_at = self._now()
        try:
            others = self._others(self._heard_since)
        except StoreUnavailable:
            return False  # then nobody takes anything in
        if others < OTHERS_PAYLOADS:
            return False
        self._deaf += 1
        if worth_telling(self._deaf):
            log.warning(
                "Slack answers pings and sends nothing, while other replicas get payloads; "
                "connecting anew",
                others=others,
                minutes=round((self._now() - session.heard_at) / 60),
                times=self._deaf,
            )
        return True

    def _leave(self, session: _Session, over: str) -> None:
        """Give the session up. Another follows at once where this one did what it should.

        That is so for `refresh_requested` and `warning`, and for a network that breaks off. The one
        that Slack lets go works until the next one is opened. One that came to nothing, and one
        that Slack ends until somebody acts (`link_disabled`, `too_many_websockets`), is a failure.
        """
        greeted = session.greeted_at
        settled = greeted is not None and self._now() - greeted >= SETTLED_SECONDS
        if settled and not problem_of(over).stays:
            log.info("the Socket Mode session is over; connecting anew", reason=over)
            self._problem = over
            return
        self._session = None
        _end(session.app)
        self._failed(Delayed(over))

    def _failed(self, delayed: Delayed) -> None:
        """Try again after a pause, which grows to a minute, and say why: at first, then rarely."""
        code = str(delayed)
        first = code != self._problem
        self._problem = code
        self._failures += 1
        wait = self._spread(pause(self._failures + 1).total_seconds())
        asked = delayed.after or timedelta()
        self._try_at = self._now() + max(wait, asked.total_seconds())
        if first or worth_telling(self._failures):
            known = problem_of(code)
            tell = log.error if known.stays else log.warning
            tell(
                "Socket Mode is down",
                reason=code,
                said=known.sentence,
                tries=self._failures,
                next_try_seconds=round(self._try_at - self._now(), 1),
            )

    def _open(self) -> None:
        client = self._client
        try:
            address = client.new_address()
        except NO_ANSWER as error:
            self._session = None
            self._failed(delayed_by(error))
            return
        with self._lock:  # what is heard on it waits until it is known
            client.wss_uri = address
            client.connect()  # ends the one before
            app = client.current_session
            assert app is not None  # noqa: S101 - it has just been made
            app.close = lambda **_: _end(app)  # type: ignore[method-assign]  # see _end
            app.on_pong = lambda app, _: self._answered(app)
            self._session = _Session(app, self._now())

    # What is heard, in the reader's thread

    def _of(self, app: WebSocketApp) -> _Session | None:
        with self._lock:
            session = self._session
        return session if session is not None and session.app is app else None

    def _heard(self, app: WebSocketApp, text: str) -> None:
        session = self._of(app)
        message = _parsed(text)
        kind = str(message.get("type"))
        if "envelope_id" in message:
            self._payload_at[kind] = self._heard_since = self._clock()
            self._deaf = 0
            if session is not None:
                session.heard_at = self._now()
        elif kind == "hello" and session is not None:
            self._heard_since = self._clock()
            self._proven_at = session.greeted_at = session.heard_at = self._now()
            log.info("connected to Slack over Socket Mode")
        elif kind == "disconnect" and session is not None:
            session.over = str(message.get("reason") or "disconnect")

    def _answered(self, app: WebSocketApp) -> None:
        session = self._of(app)
        if session is None or session.greeted_at is None:
            return
        self._proven_at = self._now()
        if self._now() - session.greeted_at >= SETTLED_SECONDS:
            self._failures = 0

    def _erred(self, app: WebSocketApp, error: Exception) -> None:
        _release(app)
        self._ended(app, type(error).__name__)

    def _ended(self, app: WebSocketApp, why: str) -> None:
        _spend(app)
        session = self._of(app)
        if session is not None and session.over is None:
            session.over = why

    def _dispatch(self, client: BaseSocketModeClient, request: SocketModeRequest) -> None:
        answer = run_bolt_app(self._app, request)
        try:
            send_response(client, request, answer, time.time())
        except NotSent:
            # Slack tells the person that it failed, or sends the payload once more. What was stored
            # is carried out once, and the person reads what came of it.
            log.warning("an acknowledgement was lost with its connection", kind=request.type)


def _parsed(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _spend(app: WebSocketApp) -> None:
    """Give the reader nothing to run any more: it would begin again at once, and in vain.

    The address of a session works once.
    """
    app.run_forever = lambda *_, **__: False  # type: ignore[method-assign]


def _release(app: WebSocketApp) -> None:
    """Close its socket, in the thread that reads it.

    The library leaves it open where the server closed the session in good order.
    """
    opened = app.sock
    if opened is not None:
        opened.shutdown()  # type: ignore[no-untyped-call]  # the library has no hint


def _end(app: WebSocketApp) -> None:
    """Wake the thread that reads the session, which then closes it and reports to nobody.

    The library closes sessions, old ones after a refresh too, from a thread that does not read
    them. The reader of an open one then stays in its select for ten seconds, and that of one that
    is being opened in its handshake, maybe for ever; the next session does not begin before that.
    One that is opened all the same has lost its socket, which nobody closes then.
    """
    _spend(app)
    app.keep_running = False
    app.on_close = None
    app.on_error = lambda app, _: _release(app)
    opened = app.sock  # which its reader may take away meanwhile
    held = opened.sock if opened is not None else None
    if held is not None:
        with contextlib.suppress(OSError):
            held.shutdown(socket.SHUT_RDWR)
