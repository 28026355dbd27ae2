"""`response_url`: five answers in thirty minutes to one command or click.

Source: Slack, "Handling user interaction", "Message responses". The status codes and the text of
a refusal are [?] beyond `used_url` and `expired_url` with 404.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bot.sandbox import slack_limits
from bot.sandbox.slack_admin import ManagedWorkspace
from bot.sandbox.slack_api import strike
from bot.sandbox.slack_model import Json, SlackError
from bot.sandbox.slack_shown import Message

USES = 5
LIFE = timedelta(minutes=30)


@dataclass(eq=False)
class ResponseUrl:
    """One address. `original` is the message clicked, or the last one this address brought."""

    person: str
    channel: str
    original: Message | None
    expires: datetime
    uses: int = 0


class ResponseUrls:
    """The addresses handed out, and where answers to them come in."""

    def __init__(self, workspace: ManagedWorkspace) -> None:
        self._workspace = workspace
        self._urls: dict[str, ResponseUrl] = {}

    def new(self, person: str, channel: str, original: Message | None) -> tuple[str, ResponseUrl]:
        key = secrets.token_hex(16)
        url = ResponseUrl(person, channel, original, self._workspace.clock() + LIFE)
        with self._workspace.lock:
            self._urls[key] = url
        team = self._workspace.team.id
        return f"{self._workspace.url}/response/{team}/{key}", url

    def routes(self) -> list[Route]:
        return [Route("/response/{team}/{key}", self._receive, methods=["POST"])]

    async def _receive(self, request: Request) -> Response:
        fault = self._workspace.faults.take("response_url")
        if fault is not None and not fault.after:
            instead = await strike(fault, request)
            if instead is not None:
                return instead
        response = self._respond(request.path_params["key"], await request.body())
        if fault is not None and fault.after:
            return await strike(fault, request) or response
        return response

    def _respond(self, key: str, body: bytes) -> Response:
        with self._workspace.lock:
            try:
                given = json.loads(body or b"{}")
            except ValueError:
                return _refusal("invalid_payload", 400)
            url = self._urls.get(key)
            if url is None or self._workspace.clock() >= url.expires:
                return _refusal("expired_url", 404)
            if url.uses >= USES:
                return _refusal("used_url", 404)
            try:
                self.apply(url, given)
            except SlackError as error:
                self._workspace.reject("response_url", error.error, error.messages, given)
                return _refusal(error.error, 400)
            url.uses += 1
            return PlainTextResponse("ok")

    def apply(self, url: ResponseUrl, given: Json) -> Message | None:
        """Do what an answer says, and give the message it brought or changed.

        `given`: {text, blocks, response_type, replace_original, delete_original, thread_ts}.
        Raises `SlackError`.
        """
        original = url.original if url.original is not None and not url.original.deleted else None
        if given.get("delete_original"):
            if original is not None:
                self._workspace.delete(original)
            return None
        blocks = check_answer(given)
        if given.get("replace_original") and original is not None:
            self._workspace.edit(
                original, text=given.get("text") or "", blocks=blocks, attachments=[]
            )
            return original
        message = self._workspace.say(
            self._workspace.app.user_id,
            url.channel,
            given.get("text") or "",
            blocks=blocks,
            thread_ts=given.get("thread_ts"),
            ephemeral_to=None if given.get("response_type") == "in_channel" else url.person,
        )
        if url.original is None:
            url.original = message
        return message


def check_answer(given: Json) -> list[Json]:
    """The blocks of an answer. Raises `SlackError` for what Slack refuses in it."""
    blocks = given.get("blocks") or []
    if not given.get("text") and not blocks:
        raise SlackError("no_text")
    if len(given.get("text") or "") > slack_limits.MESSAGE_TEXT:
        raise SlackError("msg_too_long")
    problems = slack_limits.blocks_problems(blocks)
    if problems:
        raise SlackError("invalid_blocks", problems)
    return list(blocks)


def _refusal(error: str, status: int) -> Response:
    return JSONResponse({"ok": False, "error": error}, status_code=status)
