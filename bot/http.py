"""The bot's own HTTP: health, readiness, metrics, and Slack's payloads where there is no socket."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from anyio import CapacityLimiter, to_thread
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from slack_bolt import App
from slack_bolt.adapter.starlette.handler import to_bolt_request, to_starlette_response
from slack_sdk.signature import SignatureVerifier
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
_SIGNED_WITHIN_SECONDS = 300
"""Source: Slack, "Verifying requests from Slack"."""

_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}", re.ASCII)
_refusals = ThrottledWarning(
    log, "refused a payload: its signature does not match SLACK_SIGNING_SECRET, or it is old"
)
# What is raised on a body that is no payload of Slack's, though it has Slack's signature.
_MALFORMED = (ValueError, TypeError, AttributeError, LookupError, RecursionError)


@dataclass(frozen=True, slots=True)
class Readiness:
    """What the bot needs in order to work: a name, and why it is not there, or None.

    Why is a sentence, so that no part is red without one.
    """

    problems: Mapping[str, str | None]

    @property
    def ready(self) -> bool:
        return all(problem is None for problem in self.problems.values())

    @property
    def content(self) -> dict[str, Any]:
        """What `/readyz` answers: whether each part is there, and `reasons` where one is not."""
        checks = {name: problem is None for name, problem in self.problems.items()}
        reasons = {name: problem for name, problem in self.problems.items() if problem is not None}
        return {**checks, **({"reasons": reasons} if reasons else {})}


@dataclass(frozen=True, slots=True)
class SignedApp:
    """The Bolt app, and what tells Slack's payloads from those of strangers."""

    app: App
    verifier: SignatureVerifier


def build_http(
    readiness: Callable[[], Readiness], registry: CollectorRegistry, slack: SignedApp | None
) -> Starlette:
    """The application. `slack` is what payloads are for in HTTP mode, None in Socket Mode."""
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
        if slack is None or _is_too_long(request):
            return PlainTextResponse("too large\n", status_code=413)
        if not _may_be_signed(request, slack.verifier.clock.now()):
            return _refused()
        try:
            body = await _body(request)
        except ClientDisconnect:
            return Response(status_code=400)  # which nobody reads
        if body is None:
            return PlainTextResponse("too large\n", status_code=413)
        # Not on the event loop: one slow payload would hold up all others, and every probe.
        return await run_in_threadpool(_answer, slack, request, body)

    routes = [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
    ]
    if slack is not None:
        routes.append(Route("/slack/events", slack_events, methods=["POST"]))
    return Starlette(routes=routes)


def _answer(slack: SignedApp, request: Request, body: bytes) -> Response:
    """What Bolt says to the payload. Nothing of it is parsed before its signature was compared."""
    timestamp, signature = _signature_of(request)
    try:
        if not slack.verifier.is_valid(body, timestamp, signature):
            return _refused()
        payload = to_bolt_request(request, body)
    except _MALFORMED:
        return PlainTextResponse("malformed\n", status_code=400)
    answer = slack.app.dispatch(payload)
    return _refused() if answer.status == _UNAUTHORIZED else to_starlette_response(answer)


def _signature_of(request: Request) -> tuple[str, str]:
    headers = request.headers
    return headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")


def _may_be_signed(request: Request, now: float) -> bool:
    """Whether the headers are of a signature of these minutes: what has none is not read at all."""
    timestamp, signature = _signature_of(request)
    with contextlib.suppress(ValueError):
        fresh = abs(now - int(timestamp)) <= _SIGNED_WITHIN_SECONDS
        return fresh and _SIGNATURE.fullmatch(signature) is not None
    return False


def _refused() -> Response:
    _refusals.warn()
    return JSONResponse({"error": "invalid request"}, status_code=_UNAUTHORIZED)


def _is_too_long(request: Request) -> bool:
    return int(request.headers.get("content-length", 0)) > MAX_BODY_BYTES


async def _body(request: Request) -> bytes | None:
    """The body, or None where it is longer than any that Slack sends."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BODY_BYTES:
            return None
    return bytes(received)
