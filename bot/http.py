"""The bot's own HTTP: health, readiness, metrics, and Slack's payloads where there is no socket."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from slack_bolt import App
from slack_bolt.adapter.starlette.handler import to_bolt_request, to_starlette_response
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bot.settings import SettingsError

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 1_000_000
"""Slack's largest payloads, a view of 250 KB in JSON inside a form, stay far below this."""

STOP_WITHIN_SECONDS = 3
"""How long a stop waits for requests under way: Slack waits no longer for an answer either."""

_UNAUTHORIZED = 401
# What Bolt raises on a body that is no payload of Slack's. It reads ids out of the body before it
# looks at the signature, so anybody can send it such a one.
_MALFORMED = (ValueError, TypeError, AttributeError, LookupError, RecursionError)


@dataclass(frozen=True, slots=True)
class Readiness:
    """What the bot needs in order to work: a name and whether it is there."""

    checks: Mapping[str, bool]

    @property
    def ready(self) -> bool:
        return all(self.checks.values())


def build_http(
    readiness: Callable[[], Readiness], registry: CollectorRegistry, slack: App | None
) -> Starlette:
    """The application. `slack` is the Bolt app in HTTP mode, None in Socket Mode."""

    async def healthz(request: Request) -> Response:
        del request
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        del request
        state = await run_in_threadpool(readiness)
        return JSONResponse(dict(state.checks), status_code=200 if state.ready else 503)

    async def metrics(request: Request) -> Response:
        del request
        content = await run_in_threadpool(generate_latest, registry)
        return Response(content, media_type=CONTENT_TYPE_LATEST)

    async def slack_events(request: Request) -> Response:
        body = await _body(request)
        if slack is None or body is None:
            return PlainTextResponse("too large\n", status_code=413)
        if not _may_be_signed(request):
            return _refused()
        try:
            payload = to_bolt_request(request, body)
        except _MALFORMED:
            return PlainTextResponse("malformed\n", status_code=400)
        # Bolt is synchronous: on the event loop one slow payload would hold up all others.
        answer = await run_in_threadpool(slack.dispatch, payload)
        return _refused() if answer.status == _UNAUTHORIZED else to_starlette_response(answer)

    routes = [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
    ]
    if slack is not None:
        routes.append(Route("/slack/events", slack_events, methods=["POST"]))
    return Starlette(routes=routes)


class HttpServer:
    """Uvicorn in a thread. `port` 0 takes a free one; `port` then tells which.

    Raises SettingsError where the port cannot be taken.
    """

    def __init__(self, app: Starlette, host: str, port: int) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=STOP_WITHIN_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._socket = _listening(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="http", daemon=True
        )

    def start(self) -> None:
        """Serve. The socket listens already, so nobody is turned away until the thread runs."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is under way and stop."""
        self._server.should_exit = True
        if self._thread.ident is None:
            self._socket.close()  # it was never started
            return
        self._thread.join(timeout=2 * STOP_WITHIN_SECONDS)


def _listening(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"Port {port} cannot be used ({error.strerror}). Stop what uses it, or set "
            "EKS_ACCESS_HTTP_PORT to another."
        ) from error
    return listener


def _may_be_signed(request: Request) -> bool:
    """Whether Bolt can compare the signature's headers, where there are any, with what is right."""
    timestamp = request.headers.get("x-slack-request-timestamp", "0")
    signature = request.headers.get("x-slack-signature", "")
    with contextlib.suppress(ValueError):
        return int(timestamp) >= 0 and signature.isascii()
    return False


def _refused() -> Response:
    log.warning(
        "a payload whose signature does not fit SLACK_SIGNING_SECRET, or is old, is refused"
    )
    return JSONResponse({"error": "invalid request"}, status_code=_UNAUTHORIZED)


async def _body(request: Request) -> bytes | None:
    """The body, or None where it is longer than any that Slack sends."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BODY_BYTES:
            return None
    return bytes(received)
