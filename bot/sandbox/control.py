"""The control API: what a page, or a headless story, needs to be people in the local workspace.

All routes live under `/sandbox/`, speak JSON, and answer 403 `{"error": "…"}` unless the client is
on loopback, the `Host` header names loopback (`localhost`, `127.0.0.1`, `[::1]`, any port) and an
`Origin` header, if there is one, is this very server. A POST needs
`Content-Type: application/json`. This keeps other web sites out (DNS rebinding, cross-site
request forgery).

GET /sandbox/state
    The whole workspace at one moment. Nothing is paginated.

    {"seq": 41,                             rises by one at each change
     "now": "2026-01-05T09:00:00+00:00",    the workspace's clock
     "team": {"id": "T01ACME", "name": "Acme", "domain": "acme"},
     "app": {"id": "A01EKS", "name": "eks-access", "user_id": "U0BOT", "bot_id": "B0BOT",
             "commands": [{"command": "/eks-access", "description": "…", "usage_hint": "…"}],
             "delivery": "socket_mode" | "http",
             "connections": 1},             open Socket Mode connections; 0: the bot is not there
     "people": [{"id": "U01ALICE", "name": "alice", "real_name": "Alice Ng",
                 "display_name": "alice", "title": "Engineer", "email": "alice@example.com",
                 "kind": "member" | "admin" | "guest" | "single_channel_guest" | "outsider"
                         | "deactivated" | "bot",
                 "team_id": "T01ACME", "tz": "Europe/Madrid",
                 "playable": true,          a person one can be: neither a bot nor deactivated
                 "dm": "D01…" | null}],     their direct messages with the bot, once opened
     "groups": [{"id": "S02PAYLEADS", "handle": "pay-leads", "name": "Payments leads",
                 "users": ["U02BOB"], "disabled": false}],
     "channels": [{"id": "C01PAY", "name": "payments", "kind": "public" | "private",
                   "is_archived": false, "is_ext_shared": false, "members": ["U01ALICE", "U0BOT"],
                   "topic": "…"}],
     "dms": [{"id": "D01…", "user": "U01ALICE"}],
     "messages": {"C01PAY": [MESSAGE, …], "D01…": […]},   per channel and dm, oldest first;
                                            replies are in the list too: look at "thread_ts"
     "homes": {"U01ALICE": VIEW},           Home tabs the bot has published
     "modals": {"U01ALICE": [VIEW, …]},     open modals, the top one last; absent when none
     "notifications": [{"id": 1, "person": "U02BOB", "channel": "C01PAY", "ts": "…",
                        "text": "…", "at": "2026-…"}]}    the newest 100; an edit notifies nobody

    MESSAGE is {"ts": "1767603600.000100", "channel": "C01PAY", "user": "U0BOT",
     "username": "eks-access", "is_bot": true, "text": "…", "blocks": [Block Kit blocks],
     "attachments": [], "files": [{"id", "name", "title", "size"}],
     "thread_ts": null | "…",               set on replies; equal to "ts" on a thread's parent
     "reply_broadcast": false, "reply_count": 0, "edited": false,
     "ephemeral_to": null | "U01ALICE"}     show it to that person only

    VIEW is Slack's own view object: {"id", "type": "modal" | "home", "title", "submit", "close",
     "blocks", "state": {"values": {BLOCK_ID: {ACTION_ID: {"type", …}}}}, "callback_id", "hash",
     "notify_on_close", "clear_on_close", …}. Every block has a "block_id" and every interactive
     element an "action_id", given by the workspace where the app gave none. "state" holds what
     was last sent; whoever shows the view keeps what is typed and sends it with the next act.

GET /sandbox/events
    Server-Sent Events, one for each change: its id is the seq, its data
    {"seq": 41, "kind": "message"}.
    Kinds: person, group, channel, message, modal, home, notification, connection, delivery, reset.
    A reconnecting EventSource sends `Last-Event-ID` and gets what it missed; if that is too long
    ago it gets one event of kind "reset". A new one starts with the present seq, kind "reset".
    Refetch the state at any event; several may be taken together. A comment line comes every 15 s.

POST /sandbox/people/{id}/…  acts as that person. Every answer has
    {"acknowledged": bool,         the bot answered within 3 s (true too if nothing was to be sent)
     "latency_ms": 12.3 | null,    from sending to its acknowledgement
     "error": null | "…"}          what the person would see: operation_timeout, dispatch_failed,
                                   unknown_command, not_in_channel, is_archived, not_configured,
                                   invalid_command_response, invalid_view_response,
                                   invalid_options
    and what is said below. A body of the wrong form, or one that names what does not exist, is
    400 or 404 with {"error": "a sentence"}.

    command      {"line": "/eks-access request …", "channel": "C01PAY"}   channel: default their
                 direct messages with the bot. The answer also has "text" and "blocks" of the
                 acknowledgement, which appear in the channel as well (null: it had none).
    message      {"channel": "C01PAY", "text": "…", "thread_ts": null}
                 The answer also has "ts".
    click        {"channel": "C01PAY", "ts": "…", "action_id": "approve", "block_id": null,
                  "value": null, "state": {}}
                 An interactive element in a message. "block_id" only where the action id alone
                 is not enough. "value": see below; leave it out for a button. "state": what other
                 inputs in the message hold.
    view-action  {"view_id": "V…", "action_id": "…", "block_id": null, "value": …, "state": {}}
                 An interactive element in a modal or in Home: a button, a select outside an input
                 block, or inside one that has "dispatch_action": true.
    suggest      {"view_id": "V…", "action_id": "…", "block_id": null, "query": "pro", "state": {}}
                 What an external select offers; or with "channel" and "ts" for one in a message.
                 The answer also has "options": [{"text", "value"}] or, if the bot answers groups,
                 "option_groups": [{"label", "options"}].
    submit       {"view_id": "V…", "state": {BLOCK_ID: {ACTION_ID: VALUE}}}
                 The answer also has "errors": {BLOCK_ID: "…"} (empty when none): what the bot
                 found wrong, or what Slack's own client asks for before sending (required, too
                 short, too long), and then nothing was sent.
    close        {"view_id": "V…", "clear": false}      "clear" closes the whole stack.
    home         {}  opens the Home tab. The answer also has "view": VIEW | null; a bot that
                 publishes in answer to the event does so later: wait for the "home" event.
    dm           {}  opens the direct messages with the bot. The answer also has "channel".

    A VALUE, by the element's type:
      plain_text_input, number_input, email_text_input, url_text_input    "text", or null
      static_select, external_select, radio_buttons, overflow             the option's "value"
      checkboxes, multi_static_select, multi_external_select              ["value", …]
      users_select, conversations_select, channels_select                 "U…", "C…"
      multi_users_select, multi_conversations_select, multi_channels_select   ["U…", …]
      datepicker "2026-01-31" · timepicker "13:45" · datetimepicker 1767603600
      button                                                              left out, or null
    A value that the element does not offer is 400. An option of an external select must have come
    from "suggest", or be the initial one.

POST /sandbox/workspace/people/{id}   {"deleted": true, …}: change a person; keys as in `Person`.
POST /sandbox/workspace/groups/{id}   {"users": ["U02BOB"], "disabled": false}: change a group.
POST /sandbox/workspace/channels/{id} {"is_archived": true, "members": ["U01ALICE"]}
    Change a channel. Each answers {} and emits Slack's events for it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route

from bot.sandbox import snapshot
from bot.sandbox.delivery import Courier
from bot.sandbox.foreign import LoopbackOnly
from bot.sandbox.interactions import Interactions, Outcome
from bot.sandbox.observed import Change
from bot.sandbox.slack_admin import ManagedWorkspace
from bot.sandbox.slack_model import Json
from bot.sandbox.slack_shown import Message, View
from bot.sandbox.socket_mode import SocketMode

KEEP_ALIVE = 15.0
QUIET = frozenset({"call"})
"""Kinds of change that no page needs to hear of."""


def _problem(sentence: str, status: int) -> JSONResponse:
    return JSONResponse({"error": sentence}, status_code=status)


class _Body:
    """A request's JSON object; what is missing or of the wrong type raises `ValueError`."""

    def __init__(self, values: Json) -> None:
        self.values = values

    def text(self, name: str) -> str:
        value = self.values.get(name)
        if not isinstance(value, str):
            raise ValueError(f"{name} must be a text")  # noqa: TRY004 (answered as a wrong value)
        return value

    def maybe(self, name: str) -> str | None:
        return None if self.values.get(name) is None else self.text(name)

    def state(self) -> dict[str, dict[str, object]]:
        state = self.values.get("state") or {}
        if not isinstance(state, dict) or not all(isinstance(v, dict) for v in state.values()):
            raise ValueError("state must be {BLOCK_ID: {ACTION_ID: VALUE}}")
        return state


Act = Callable[[str, _Body], Json]


class Control:
    """The routes of this module's docstring."""

    def __init__(
        self,
        workspace: ManagedWorkspace,
        interactions: Interactions,
        sockets: SocketMode,
        courier: Courier,
    ) -> None:
        self._workspace = workspace
        self._interactions = interactions
        self._sockets = sockets
        self._courier = courier
        self._streams: set[asyncio.Event] = set()
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._acts: dict[str, Act] = {
            "command": self._command,
            "message": self._message,
            "click": self._click,
            "view-action": self._view_action,
            "suggest": self._suggest,
            "submit": self._submit,
            "close": self._close,
            "home": self._home,
            "dm": self._dm,
        }
        self._changes: dict[str, Act] = {
            "people": self._change_person,
            "groups": self._change_group,
            "channels": self._change_channel,
        }
        workspace.on_change.append(self._on_change)

    def routes(self) -> list[BaseRoute]:
        inner = [
            Route("/state", self._state),
            Route("/events", self._events),
            Route("/people/{id}/{act}", self._person_act, methods=["POST"]),
            Route("/workspace/{act}/{id}", self._workspace_change, methods=["POST"]),
        ]
        return [Mount("/sandbox", app=LoopbackOnly(Mount("", routes=inner)))]

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to serve streams on this loop."""
        self._loop, self._closing = loop, False

    def end_streams(self) -> None:
        """Let every open event stream end. On the loop."""
        self._closing = True
        for woken in self._streams:
            woken.set()

    # Looking

    async def _state(self, _request: Request) -> Response:
        with self._workspace.lock:
            state = snapshot.take(
                self._workspace,
                delivery="socket_mode" if self._courier.http is None else "http",
                connections=len(self._sockets.connections),
            )
            return JSONResponse(state)

    async def _events(self, request: Request) -> Response:
        last = request.headers.get("last-event-id", "")
        since = int(last) if last.isdigit() else None
        headers = {"Cache-Control": "no-store"}
        stream = self._stream(since)
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    def _on_change(self, _change: Change) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for woken in self._streams:
            woken.set()

    async def _stream(self, since: int | None) -> AsyncIterator[str]:
        woken = asyncio.Event()
        self._streams.add(woken)
        try:
            while not self._closing:
                woken.clear()
                changes = self._since(since)
                for change in changes:
                    since = change.seq
                    if change.kind not in QUIET:
                        data = json.dumps({"seq": change.seq, "kind": change.kind})
                        yield f"id: {change.seq}\ndata: {data}\n\n"
                if not changes:
                    try:
                        await asyncio.wait_for(woken.wait(), KEEP_ALIVE)
                    except TimeoutError:
                        yield ": still here\n\n"
        finally:
            self._streams.discard(woken)

    def _since(self, since: int | None) -> list[Change]:
        with self._workspace.lock:
            log, seq = self._workspace.log, self._workspace.seq
            oldest = log[0].seq if log else seq + 1
            if since is None or since < oldest - 1 or since > seq:
                return [Change(seq, "reset")]
            return [change for change in log if change.seq > since]

    # Acting

    async def _person_act(self, request: Request) -> Response:
        person_id = request.path_params["id"]
        if person_id not in self._workspace.people:
            return _problem(f"there is no person {person_id}", 404)
        return await self._perform(self._acts, person_id, request)

    async def _workspace_change(self, request: Request) -> Response:
        return await self._perform(self._changes, request.path_params["id"], request)

    async def _perform(self, acts: dict[str, Act], subject: str, request: Request) -> Response:
        act = acts.get(request.path_params["act"])
        if act is None:
            return _problem(f"there is no such act; there are: {', '.join(acts)}", 404)
        try:
            values = json.loads(await request.body() or b"{}")
            if not isinstance(values, dict):
                raise ValueError("the body must be an object")  # noqa: TRY004, TRY301 (answered below)
            return JSONResponse(await run_in_threadpool(act, subject, _Body(values)))
        except LookupError as error:
            return _problem(str(error.args[0] if error.args else error), 404)
        except (ValueError, TypeError) as error:
            return _problem(str(error), 400)

    def _command(self, person_id: str, body: _Body) -> Json:
        line, channel = body.text("line"), body.maybe("channel")
        outcome = self._interactions.command(person_id, line, channel)
        return _answer(outcome, text=outcome.text, blocks=outcome.blocks)

    def _message(self, person_id: str, body: _Body) -> Json:
        channel, text, thread = body.text("channel"), body.text("text"), body.maybe("thread_ts")
        outcome = self._interactions.say(person_id, channel, text, thread)
        return _answer(outcome, ts=outcome.message.ts if outcome.message else None)

    def _click(self, person_id: str, body: _Body) -> Json:
        outcome = self._interactions.click(
            person_id,
            self._message_of(body),
            body.text("action_id"),
            value=body.values.get("value"),
            block_id=body.maybe("block_id"),
            state=body.state(),
        )
        return _answer(outcome)

    def _view_action(self, person_id: str, body: _Body) -> Json:
        outcome = self._interactions.view_action(
            person_id,
            self._view_of(person_id, body),
            body.text("action_id"),
            value=body.values.get("value"),
            block_id=body.maybe("block_id"),
            state=body.state(),
        )
        return _answer(outcome)

    def _suggest(self, person_id: str, body: _Body) -> Json:
        place: View | Message
        if body.maybe("view_id") is None:
            place = self._message_of(body)
        else:
            place = self._view_of(person_id, body)
            self._interactions.fill(place, body.state())
        outcome = self._interactions.suggest(
            person_id,
            place,
            body.text("action_id"),
            body.text("query"),
            block_id=body.maybe("block_id"),
        )
        if outcome.option_groups is not None:
            return _answer(outcome, options=[], option_groups=outcome.option_groups)
        return _answer(outcome, options=outcome.options)

    def _submit(self, person_id: str, body: _Body) -> Json:
        view = self._view_of(person_id, body)
        outcome = self._interactions.submit(person_id, view, body.state())
        return _answer(outcome, errors=outcome.errors)

    def _close(self, person_id: str, body: _Body) -> Json:
        clear = body.values.get("clear") is True
        view = self._view_of(person_id, body)
        return _answer(self._interactions.close(person_id, view, clear=clear))

    def _home(self, person_id: str, _body: _Body) -> Json:
        outcome = self._interactions.open_home(person_id)
        return _answer(outcome, view=outcome.view.to_slack() if outcome.view else None)

    def _dm(self, person_id: str, _body: _Body) -> Json:
        outcome = self._interactions.open_home(person_id, "messages")
        return _answer(outcome, channel=self._workspace.open_dm(person_id).id)

    def _message_of(self, body: _Body) -> Message:
        channel, ts = body.text("channel"), body.text("ts")
        message = self._workspace.message(channel, ts)
        if message is None:
            raise LookupError(f"there is no message {ts} in {channel}")
        return message

    def _view_of(self, person_id: str, body: _Body) -> View:
        view = self._workspace.view(body.text("view_id"))
        if view is None or view.user != person_id:
            raise LookupError(f"{person_id} has no view {body.text('view_id')}")
        return view

    # Changing the workspace

    def _change_person(self, person_id: str, body: _Body) -> Json:
        self._known(person_id, self._workspace.people)
        self._workspace.change_person(person_id, **body.values)
        return {}

    def _change_group(self, group_id: str, body: _Body) -> Json:
        self._known(group_id, self._workspace.groups)
        if "users" in body.values:
            self._workspace.set_group(group_id, _ids(body, "users"))
        if "disabled" in body.values:
            self._workspace.disable_group(group_id, disabled=body.values["disabled"] is True)
        return {}

    def _change_channel(self, channel_id: str, body: _Body) -> Json:
        self._known(channel_id, self._workspace.channels)
        if "members" in body.values:
            self._workspace.set_members(channel_id, _ids(body, "members"))
        if "is_archived" in body.values:
            change = self._workspace.unarchive
            if body.values["is_archived"] is True:
                change = self._workspace.archive
            change(channel_id)
        return {}

    def _known(self, name: str, there: dict[str, Any]) -> None:
        if name not in there:
            raise LookupError(f"there is no {name}")


def _ids(body: _Body, name: str) -> list[str]:
    ids = body.values[name]
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise ValueError(f"{name} must be a list of ids")
    return ids


def _answer(outcome: Outcome, **more: object) -> Json:
    latency = None if outcome.latency is None else round(outcome.latency * 1000, 1)
    return {
        "acknowledged": outcome.acknowledged,
        "latency_ms": latency,
        "error": outcome.error,
        **more,
    }
