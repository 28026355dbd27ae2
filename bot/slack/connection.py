"""The Socket Mode connection, kept alive whatever Slack does.

The library reconnects after an orderly end. What it does not notice is a connection that is dead
but open, and it gives up where Slack is down at start; both are tended here, by a recurring job.
`is_connected()` of the library says yes in both cases and is not asked.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time

import structlog
from slack_bolt import App
from slack_bolt.adapter.socket_mode.websocket_client import SocketModeHandler
from slack_sdk import WebClient
from websocket import WebSocketApp

from bot.reconcile.slack_errors import NO_ANSWER

log = structlog.get_logger(__name__)

PING_SECONDS = 2.0
SILENT_AFTER_SECONDS = 10.0
"""Pings are answered at once; a connection without an answer for so long is taken to be dead."""

LOOKS_TO_OPEN = 5
"""How many looks, one a second, a new connection has before another is tried."""

_CONCURRENT_PAYLOADS = 32

_CLOSE_WITHIN_SECONDS = 5.0
"""How long to wait for a reader that cannot be woken, as while it waits for a host's answer to its
first packet. It is a daemon, and ends with the process."""

_BETWEEN_TELLING_SECONDS = 0.05


class SocketModeConnection:
    """One connection of an app to Slack. Any replica may get any payload."""

    def __init__(self, app: App, app_token: str, api_url: str) -> None:
        # A logger of its own, so that it can fall silent when this connection is closed.
        logger = logging.Logger("slack_sdk.socket_mode")  # noqa: LOG001 - one for each instance
        logger.parent = logging.getLogger()
        self._handler = SocketModeHandler(
            app,
            app_token,
            logger=logger,
            # The library asks for the connection's address with a client of its own.
            web_client=WebClient(app_token, base_url=api_url, timeout=10),
            ping_interval=PING_SECONDS,
            concurrency=_CONCURRENT_PAYLOADS,
        )
        # The library's own monitor looks before the first socket is open, takes it for dead and
        # connects a second time; and then either of the two sessions may be the one that runs.
        self._handler.client.current_app_monitor_started = True
        self._opened_at: float | None = None
        self._unopened_looks = 0
        self._closing = False
        self._lock = threading.Lock()
        self._handler.client.on_open_listeners.append(self._opened)

    def tend(self) -> None:
        """Connect where there is no connection, and end one that is dead. Called every second."""
        if self._closing or not self._lock.acquire(blocking=False):
            return  # there is no more need, or the last call still waits for Slack
        try:
            client = self._handler.client
            session = client.current_session
            if session is None:
                client.connect()
            elif self._opening(session) and self._unopened_looks < LOOKS_TO_OPEN:
                self._unopened_looks += 1
            elif session.sock is None or self._silence() > SILENT_AFTER_SECONDS:
                log.warning("Socket Mode is down; connecting anew")
                _let_end(session)  # it may be one that Slack never answered
                self._unopened_looks = 0
                self._opened_at = time.monotonic()  # give the new one its time
                client.connect_to_new_endpoint(force=True)
        except NO_ANSWER as error:
            log.warning("Slack cannot be reached for Socket Mode", cause=str(error))
        finally:
            self._lock.release()

    def alive(self) -> bool:
        """Whether Slack has answered a ping lately."""
        return self._silence() <= SILENT_AFTER_SECONDS

    def close(self) -> None:
        """Take no more payloads, let those that are being handled be acknowledged, then close."""
        self._closing = True
        client = self._handler.client
        client.logger.setLevel(logging.CRITICAL)  # that the connection ends is no error now
        client.auto_reconnect_enabled = False
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
        client = self._handler.client
        reader = client.current_session_runner
        reader.event.set()
        deadline = time.monotonic() + _CLOSE_WITHIN_SECONDS
        while reader.is_alive() and time.monotonic() < deadline:
            if client.current_session is not None:
                _end(client.current_session)
            reader.thread.join(_BETWEEN_TELLING_SECONDS)

    def _opened(self, session: WebSocketApp) -> None:
        _let_end(session)
        self._unopened_looks = 0
        self._opened_at = time.monotonic()
        log.info("connected to Slack over Socket Mode")

    def _opening(self, session: WebSocketApp) -> bool:
        """Whether the session has no socket yet, or the first one has not been greeted."""
        return session.sock is None or self._opened_at is None

    def _silence(self) -> float:
        """Seconds since the connection was opened, or since Slack last answered a ping."""
        session = self._handler.client.current_session
        if session is None or self._opened_at is None:
            return float("inf") if self._opened_at is None else 0.0
        since_open = time.monotonic() - self._opened_at
        answered: float = session.last_pong_tm
        # The library notes it by the wall clock. A time in the future is from before that was set
        # back, and tells nothing.
        return min(since_open, abs(time.time() - answered)) if answered else since_open


def _let_end(session: WebSocketApp) -> None:
    """Have the library end this session as `_end` does, whenever it closes it.

    It closes sessions, old ones after a refresh too, from a thread that does not read them. The
    reader of an open one then stays in its select for ten seconds, and that of one that is being
    opened in its handshake, maybe for ever; the next session does not begin before that. One that
    is opened all the same has lost its socket, which nobody closes then.
    """
    session.close = lambda **_: _end(session)  # type: ignore[method-assign]  # see above


def _end(session: WebSocketApp) -> None:
    """Wake the thread that reads the session, which then closes it and reports to nobody."""
    session.keep_running = False
    session.on_close = None
    session.on_error = None
    opened = session.sock  # which its reader may take away meanwhile
    held = opened.sock if opened is not None else None
    if held is not None:
        with contextlib.suppress(OSError):
            held.shutdown(socket.SHUT_RDWR)
