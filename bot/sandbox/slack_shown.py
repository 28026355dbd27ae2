"""What people look at: messages and views, their JSON, and how to find a button in them.

Instances are live: the workspace changes them in place under its lock, so a message found once
shows later edits too.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

from bot.sandbox import slack_elements
from bot.sandbox.slack_model import Json

Values = dict[str, dict[str, Json]]


class Shown:
    """What a message and a view have in common for whoever looks: text and elements."""

    def all_blocks(self) -> list[Json]:
        raise NotImplementedError

    @property
    def all_text(self) -> str:
        """Every word of the blocks in reading order, one line each."""
        return "\n".join(slack_elements.texts(self.all_blocks()))

    @property
    def elements(self) -> list[Json]:
        """The interactive elements, each with the `block_id` it stands in."""
        return [
            {**element, "block_id": block["block_id"]}
            for block, element in slack_elements.interactive(self.all_blocks())
        ]

    @property
    def buttons(self) -> list[Json]:
        return [element for element in self.elements if element["type"] == "button"]

    def has(self, action_id: str) -> bool:
        return any(element["action_id"] == action_id for element in self.elements)

    def element(self, action_id: str, block_id: str | None = None) -> Json:
        """The element with this action id. Raises `LookupError` naming those there are."""
        block, element = slack_elements.find(self.all_blocks(), action_id, block_id)
        return {**element, "block_id": block["block_id"]}

    button = element


@dataclass(eq=False)
class Message(Shown):
    """A message, or with `ephemeral_to` one that only this person sees."""

    channel: str
    ts: str
    user: str
    text: str = ""
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    files: list[Json] = field(default_factory=list)
    thread_ts: str | None = None
    reply_broadcast: bool = False
    ephemeral_to: str | None = None
    bot_id: str | None = None
    app_id: str | None = None
    team_id: str = ""
    metadata: Json | None = None
    edited: Json | None = None
    reply_count: int = 0
    deleted: bool = False
    values: Values = field(default_factory=dict)
    versions: list[Json] = field(default_factory=list)

    @property
    def plain(self) -> str:
        """What a person reads: the blocks, or where there are none the text."""
        return self.all_text or self.text

    def all_blocks(self) -> list[Json]:
        return [*self.blocks, *self._attached()]

    def _attached(self) -> Iterator[Json]:
        for attachment in self.attachments:
            yield from attachment.get("blocks", ())

    def copy_as_seen(self) -> Message:
        """This message as it looks now; a click on it later is a click on an old copy."""
        return copy.deepcopy(self)

    def to_slack(self) -> Json:
        message: Json = {"type": "message", "user": self.user, "text": self.text, "ts": self.ts}
        message["team"] = self.team_id
        for key in ("bot_id", "app_id", "metadata", "edited", "thread_ts"):
            if getattr(self, key) is not None:
                message[key] = getattr(self, key)
        for key in ("blocks", "attachments", "files"):
            if getattr(self, key):
                message[key] = copy.deepcopy(getattr(self, key))
        if self.reply_count:
            message["reply_count"] = self.reply_count
        if self.reply_broadcast:
            message["subtype"] = "thread_broadcast"
        return message


@dataclass(eq=False)
class View(Shown):
    """A modal or a Home tab. `source` is what the app sent, with ids filled in."""

    id: str
    user: str
    source: Json
    hash: str
    root_view_id: str
    previous_view_id: str | None
    team_id: str
    app_id: str
    bot_id: str
    values: Values = field(default_factory=dict)
    suggested: dict[tuple[str, str], list[Json]] = field(default_factory=dict)

    def all_blocks(self) -> list[Json]:
        blocks: list[Json] = self.source["blocks"]
        return blocks

    @property
    def type(self) -> str:
        return str(self.source["type"])

    @property
    def callback_id(self) -> str:
        return str(self.source.get("callback_id", ""))

    @property
    def external_id(self) -> str:
        return str(self.source.get("external_id", ""))

    @property
    def title(self) -> str:
        return str(self.source.get("title", {}).get("text", ""))

    @property
    def private_metadata(self) -> str:
        return str(self.source.get("private_metadata", ""))

    def to_slack(self) -> Json:
        source = copy.deepcopy(self.source)
        return {
            "id": self.id,
            "team_id": self.team_id,
            "type": self.type,
            "blocks": source["blocks"],
            "private_metadata": self.private_metadata,
            "callback_id": self.callback_id,
            "state": {"values": copy.deepcopy(self.values)},
            "hash": self.hash,
            "title": source.get("title"),
            "clear_on_close": source.get("clear_on_close", False),
            "notify_on_close": source.get("notify_on_close", False),
            "close": source.get("close"),
            "submit": source.get("submit"),
            "previous_view_id": self.previous_view_id,
            "root_view_id": self.root_view_id,
            "app_id": self.app_id,
            "external_id": self.external_id,
            "app_installed_team_id": self.team_id,
            "bot_id": self.bot_id,
        }
