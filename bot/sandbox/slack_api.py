"""The Web API's front door: tokens, scopes, rate limits, faults, and Slack's way of saying no.

`POST /api/{method}` with a form or JSON, or `GET` with a query. Answers are `{"ok": true, …}`, or
`{"ok": false, "error": "…"}` with HTTP 200, as Slack does; 429 and faults have their own status.
Source: Slack, "Using the Slack Web API".
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bot.sandbox.observed import Call
from bot.sandbox.slack_admin import ManagedWorkspace
from bot.sandbox.slack_faults import Fault
from bot.sandbox.slack_model import Json, SlackError

T = TypeVar("T")

FAULTY = frozenset(
    {
        "invalid_arguments",
        "invalid_blocks",
        "invalid_blocks_format",
        "invalid_metadata_format",
        "metadata_too_large",
        "missing_scope",
        "msg_blocks_too_long",
        "msg_too_long",
        "no_text",
        "not_allowed_token_type",
        "unknown_method",
        "view_too_large",
    }
)
"""Errors that are the app's own fault under all circumstances; each is a rejection."""


class Arguments:
    """A call's arguments, whether they came as a form's strings or as JSON."""

    def __init__(self, workspace: ManagedWorkspace, method: str, values: Json) -> None:
        self.workspace = workspace
        self.method = method
        self.values = values

    def has(self, name: str) -> bool:
        return self.values.get(name) is not None

    def text(self, name: str) -> str:
        """A string, empty where the argument was left out."""
        value = self.values.get(name)
        return "" if value is None else str(value)

    def need(self, name: str) -> str:
        if not self.text(name):
            raise SlackError("invalid_arguments", [f"[ERROR] missing required field: {name}"])
        return self.text(name)

    def flag(self, name: str, *, default: bool = False) -> bool:
        if not self.has(name):
            return default
        return self.values[name] in (True, 1, "1", "true", "True")

    def parsed(self, name: str, error: str) -> Any:
        """A list or object, given as JSON or as JSON in a string."""
        value = self.values.get(name)
        if isinstance(value, str):
            try:
                return json.loads(value)
            except ValueError:
                raise SlackError(error) from None
        return value

    def page(self, items: Sequence[T], *, default: int) -> tuple[list[T], Json]:
        """One page of items and its `response_metadata`."""
        start = 0
        if self.text("cursor"):
            try:
                start = int(base64.b64decode(self.text("cursor"), validate=True))
            except (ValueError, binascii.Error):
                raise SlackError("invalid_cursor") from None
        try:
            size = int(self.text("limit") or default) or default
        except ValueError:
            raise SlackError("invalid_limit") from None
        if not 1 <= size <= 1000:  # noqa: PLR2004 (Slack's bound, named in each method's page)
            raise SlackError("invalid_limit")
        end = start + size
        cursor = base64.b64encode(str(end).encode()).decode() if end < len(items) else ""
        return list(items[start:end]), {"response_metadata": {"next_cursor": cursor}}


Handler = Callable[[Arguments], Json]


@dataclass(frozen=True)
class Method:
    """A Web API method. It needs the bot's token and, if there are `scopes`, one of them."""

    handle: Handler
    scopes: tuple[str, ...] = ()
    app_token: bool = False


class _Abortable(Protocol):
    def abort(self) -> None: ...


def abort_connection(request: Request) -> None:
    """Cut the connection this request came on, without an answer."""
    cast(_Abortable, request.scope["state"]["transport"]).abort()


async def read_arguments(request: Request) -> Json:
    """The arguments of a request. Raises `SlackError` where its body is not what it says."""
    values: Json = dict(request.query_params)
    body = (await request.body()).decode("utf-8", "replace")
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            given = json.loads(body or "{}")
        except ValueError:
            raise SlackError("invalid_json") from None
        if not isinstance(given, dict):
            raise SlackError("json_not_object")
        return values | given
    return values | dict(parse_qsl(body, keep_blank_values=True))


async def strike(fault: Fault, request: Request) -> Response | None:
    """Do what a fault says; the answer it puts in place, or None where it only waits."""
    if fault.hold:
        fault.reached.set()
        await asyncio.wrap_future(fault.released)
    fault.reached.set()
    if fault.delay:
        await asyncio.sleep(fault.delay)
    if fault.drop:
        abort_connection(request)
        return Response(status_code=500)
    if fault.ratelimited is not None:
        return too_many(fault.ratelimited)
    if fault.error is not None:
        return JSONResponse({"ok": False, "error": fault.error})
    if fault.status is not None:
        return PlainTextResponse("", status_code=fault.status)
    return None


def too_many(retry_after: int | str) -> Response:
    return JSONResponse(
        {"ok": False, "error": "ratelimited"},
        status_code=429,
        headers={"Retry-After": str(retry_after)},
    )


class WebApi:
    """The methods, served. `methods` maps Slack's method name to what does it."""

    def __init__(self, workspace: ManagedWorkspace, methods: Mapping[str, Method]) -> None:
        self._workspace = workspace
        self._methods = methods

    def routes(self) -> list[Route]:
        return [Route("/api/{method}", self.serve, methods=["GET", "POST"])]

    async def serve(self, request: Request) -> Response:
        method = request.path_params["method"]
        fault = self._workspace.faults.take(method)
        if fault is not None and not fault.after:
            instead = await strike(fault, request)
            if instead is not None:
                self._note(method, {}, "fault", instead.status_code)
                return instead
        response = await self._answer(method, request)
        if fault is not None and fault.after:
            return await strike(fault, request) or response
        return response

    async def _answer(self, method: str, request: Request) -> Response:
        values: Json = {}
        try:
            values = await read_arguments(request)
            token = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
            token = token or str(values.pop("token", ""))
            values.pop("token", None)
            wait = self._admit(method, token, values)
            if wait is not None:
                self._note(method, values, "ratelimited", 429)
                return too_many(wait)
            arguments = Arguments(self._workspace, method, values)
            with self._workspace.lock:
                body = {"ok": True, **self._methods[method].handle(arguments)}
        except SlackError as error:
            body = {"ok": False, "error": error.error, **error.extra}
            if error.messages:
                body["response_metadata"] = {"messages": error.messages}
            if error.error in FAULTY:
                self._workspace.reject(method, error.error, error.messages, values)
            self._note(method, values, error.error, 200)
        else:
            self._note(method, values, None, 200)
        scopes = ",".join(self._workspace.app.scopes)
        return JSONResponse(body, headers={"X-OAuth-Scopes": scopes})

    def _admit(self, method: str, token: str, values: Json) -> int | None:
        """Check method, token, scope and rate; seconds to wait, if any. Raises `SlackError`."""
        app = self._workspace.app
        known = self._methods.get(method)
        if known is None:
            raise SlackError("unknown_method", req_method=method)
        if method == "api.test":
            return None
        if not token:
            raise SlackError("not_authed")
        if token not in (app.bot_token, app.app_token):
            raise SlackError("invalid_auth")
        if app.token_error is not None:
            raise SlackError(app.token_error)
        if (token == app.app_token) != known.app_token:
            raise SlackError("not_allowed_token_type")
        granted = app.app_scopes if known.app_token else app.scopes
        if known.scopes and not set(known.scopes) & set(granted):
            raise missing_scope(known.scopes[0], granted)
        if self._workspace.rate_limits:
            channel = values.get("channel")
            return self._workspace.limits.retry_after(method, str(channel) if channel else None)
        return None

    def _note(self, method: str, values: Json, error: str | None, status: int) -> None:
        with self._workspace.lock:
            self._workspace.calls.append(Call(method, values, error, status))
            self._workspace.changed("call")


def missing_scope(needed: str, granted: Sequence[str]) -> SlackError:
    return SlackError("missing_scope", needed=needed, provided=",".join(granted))


def need_scope(arguments: Arguments, scope: str) -> None:
    """Raise `missing_scope` unless the app has this scope."""
    granted = arguments.workspace.app.scopes
    if scope not in granted:
        raise missing_scope(scope, granted)
