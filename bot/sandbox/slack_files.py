"""Uploading files in three steps. Source: Slack, "Working with files", "Uploading files"."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bot.sandbox.slack_admin import ManagedWorkspace
from bot.sandbox.slack_api import Arguments, Method, strike
from bot.sandbox.slack_chat import writable
from bot.sandbox.slack_model import Json, SlackError


@dataclass
class Upload:
    """A file on its way: announced, then sent, then completed into a channel."""

    id: str
    name: str
    length: int
    content: bytes | None = None


class Files:
    """What was uploaded; `content` of a completed file is here for tests to read."""

    def __init__(self, workspace: ManagedWorkspace) -> None:
        self._workspace = workspace
        self.uploads: dict[str, Upload] = {}

    def methods(self) -> dict[str, Method]:
        return {
            "files.getUploadURLExternal": Method(self._announce, ("files:write",)),
            "files.completeUploadExternal": Method(self._complete, ("files:write",)),
        }

    def routes(self) -> list[Route]:
        return [Route("/upload/v1/{file_id}", self._receive, methods=["POST"])]

    def _announce(self, arguments: Arguments) -> Json:
        length = arguments.need("length")
        if not length.isdigit() or int(length) == 0:
            raise SlackError("invalid_arguments", ["[ERROR] length must be a positive number"])
        upload = Upload(self._workspace.new_id("F"), arguments.need("filename"), int(length))
        self.uploads[upload.id] = upload
        url = f"{self._workspace.url}/upload/v1/{upload.id}"
        return {"upload_url": url, "file_id": upload.id}

    async def _receive(self, request: Request) -> Response:
        fault = self._workspace.faults.take("upload")
        if fault is not None:
            instead = await strike(fault, request)
            if instead is not None:
                return instead
        upload = self.uploads.get(request.path_params["file_id"])
        content = await request.body()
        if upload is None or len(content) < upload.length:
            return PlainTextResponse("not found", status_code=404 if upload is None else 400)
        upload.content = content
        return PlainTextResponse(f"OK - {len(content)}")

    def _complete(self, arguments: Arguments) -> Json:
        given = arguments.parsed("files", "invalid_arguments") or []
        shared = []
        for entry in given:
            upload = self.uploads.get(entry.get("id", ""))
            if upload is None or upload.content is None:
                raise SlackError("file_not_found")
            title = entry.get("title") or upload.name
            shared.append(
                {"id": upload.id, "name": upload.name, "title": title, "size": upload.length}
            )
        if not shared:
            raise SlackError("invalid_arguments", ["[ERROR] missing required field: files"])
        if arguments.text("channel_id"):
            channel = self._workspace.channel(arguments.text("channel_id"))
            writable(arguments, channel, public=False)
            self._workspace.say(
                self._workspace.app.user_id,
                channel.id,
                arguments.text("initial_comment"),
                files=shared,
                thread_ts=arguments.text("thread_ts") or None,
            )
        return {"files": [{"id": file["id"], "title": file["title"]} for file in shared]}
