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
from slack_sdk.errors import SlackApiError, SlackClientError
from websocket import WebSocketApp

log = structlog.get_logger(__name__)

PING_SECONDS = 2.0
SILENT_AFTER_SECONDS = 10.0
"""Pings are answered at once; a connection without an answer for so long is taken to be dead."""

LOOKS_TO_OPEN = 2
"""How many looks, one a second, a new connection has before another is tried."""

_CONCURRENT_PAYLOADS = 32


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
                self._unopened_looks = 0
                self._opened_at = time.monotonic()  # give the new one its time
                client.connect_to_new_endpoint(force=True)
        except (SlackApiError, SlackClientError, OSError) as error:
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
        client.current_session_runner.event.set()
        client.disconnect()
        client.current_session_runner.shutdown()  # type: ignore[no-untyped-call]  # as above
        client.close()

    def _opened(self, session: WebSocketApp) -> None:
        # The library closes sessions, old ones after a refresh too, from a thread that does not
        # read them; the reader then stays in its select for ten seconds, and the next session
        # does not begin before that.
        session.close = lambda **_: _end(session)  # type: ignore[method-assign]  # see above
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
        return min(since_open, time.time() - answered) if answered else since_open


def _end(session: WebSocketApp) -> None:
    """Wake the thread that reads the session, which then closes it and reports to nobody."""
    session.keep_running = False
    session.on_close = None
    session.on_error = None
    if session.sock is not None and session.sock.sock is not None:
        with contextlib.suppress(OSError):
            session.sock.sock.shutdown(socket.SHUT_RDWR)
