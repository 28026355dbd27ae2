"""The bot's own HTTP: health, readiness, metrics, and Slack's payloads where there is no socket."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from anyio import CapacityLimiter, to_thread
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from slack_bolt import App
from slack_bolt.adapter.starlette.handler import to_bolt_request, to_starlette_response
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bot import receipt
from bot.logs import ThrottledWarning

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 1_000_000
"""Slack's largest payloads, a view of 250 KB in JSON inside a form, stay far below this."""

_LOOKS_AT_ONCE = 2
"""How many probes and readers of metrics the store is asked for at the same time: each takes one of
its connections, which removals need."""

_UNAUTHORIZED = 401
_refusals = ThrottledWarning(
    log, "refused a payload: its signature does not match SLACK_SIGNING_SECRET, or it is old"
)
# What Bolt raises on a body that is no payload of Slack's. It reads ids out of the body before it
# looks at the signature, so anybody can send it such a one.
_MALFORMED = (ValueError, TypeError, AttributeError, LookupError, RecursionError)


@dataclass(frozen=True, slots=True)
class Readiness:
    """What the bot needs in order to work: a name and whether it is there.

    `reasons` say of some that are not why, as a sentence.
    """

    checks: Mapping[str, bool]
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        return all(self.checks.values())

    @property
    def content(self) -> dict[str, Any]:
        """What `/readyz` answers: the checks, and `reasons` where there are some."""
        return {**self.checks, **({"reasons": dict(self.reasons)} if self.reasons else {})}


def build_http(
    readiness: Callable[[], Readiness], registry: CollectorRegistry, slack: App | None
) -> Starlette:
    """The application. `slack` is the Bolt app in HTTP mode, None in Socket Mode."""
    looks = CapacityLimiter(_LOOKS_AT_ONCE)

    async def healthz(request: Request) -> Response:
        del request
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        del request
        state = await to_thread.run_sync(readiness, limiter=looks)
        return JSONResponse(state.content, status_code=200 if state.ready else 503)

    async def metrics(request: Request) -> Response:
        del request
        content = await to_thread.run_sync(generate_latest, registry, limiter=looks)
        return Response(content, media_type=CONTENT_TYPE_LATEST)

    async def slack_events(request: Request) -> Response:
        receipt.receive()
        try:
            body = await _body(request)
        except ClientDisconnect:
            return Response(status_code=400)  # which nobody reads
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


def _may_be_signed(request: Request) -> bool:
    """Whether Bolt can compare the signature's headers, where there are any, with what is right."""
    timestamp = request.headers.get("x-slack-request-timestamp", "0")
    signature = request.headers.get("x-slack-signature", "")
    with contextlib.suppress(ValueError):
        return int(timestamp) >= 0 and signature.isascii()
    return False


def _refused() -> Response:
    _refusals.warn()
    return JSONResponse({"error": "invalid request"}, status_code=_UNAUTHORIZED)


async def _body(request: Request) -> bytes | None:
    """The body, or None where it is longer than any that Slack sends."""
    if int(request.headers.get("content-length", 0)) > MAX_BODY_BYTES:
        return None
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BODY_BYTES:
            return None
    return bytes(received)
