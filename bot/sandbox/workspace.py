"""The local Slack workspace's state, and every change to it.

All state is guarded by one re-entrant lock. Each change raises `seq` by one, is kept in a short
log for the page, wakes whoever waits, and, where Slack has an event for it, emits that event to
the app. Nothing here speaks HTTP.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.sandbox import slack_elements
from bot.sandbox.observed import Observed
from bot.sandbox.slack_faults import Faults, RateLimits
from bot.sandbox.slack_model import (
    AppSettings,
    Channel,
    Group,
    Json,
    Person,
    SlackError,
    Team,
)
from bot.sandbox.slack_shown import Message, View

Clock = Callable[[], datetime]

NOTIFICATIONS_KEPT = 1000
_MENTION = re.compile(r"<(@|!subteam\^|!)([A-Za-z0-9]+)[^>]*>")


@dataclass
class Notification:
    """What would make a person's client ring: a direct message, a mention, a thread's reply."""

    id: int
    person: str
    channel: str
    ts: str
    text: str
    at: datetime


def utc_now() -> datetime:
    """The real clock, for whoever gives the workspace no other."""
    return datetime.now(UTC)


class Workspace(Observed):
    """One team with one installed app. `clock` gives aware UTC times; nothing else tells time.

    `url` is where it is served, without a slash at the end. Enterprise Grid and direct messages
    of several people are not modelled.
    """

    def __init__(
        self,
        *,
        team: Team | None = None,
        app: AppSettings | None = None,
        clock: Clock = utc_now,
    ) -> None:
        super().__init__()
        self.clock = clock
        self.url = ""
        self.team = team or Team()
        self.app = app or AppSettings()
        self.on_event: Callable[[Json], object] = lambda _event: None
        self.people: dict[str, Person] = {}
        self.groups: dict[str, Group] = {}
        self.channels: dict[str, Channel] = {}
        self.messages: dict[str, list[Message]] = {}
        self.homes: dict[str, View] = {}
        self.modals: dict[str, list[View]] = {}
        self.notifications: deque[Notification] = deque(maxlen=NOTIFICATIONS_KEPT)
        self.faults = Faults()
        self.limits = RateLimits(clock)
        self.rate_limits = False
        self._ids = itertools.count(1)
        self._last_ts = 0
        self.people[self.app.user_id] = Person(
            self.app.user_id,
            self.app.name,
            self.team.id,
            real_name=self.app.name,
            is_bot=True,
        )

    # What happened

    def dump(self) -> str:
        """The workspace in lines a person can read, for a failed test."""
        with self.lock:
            lines = []
            for channel in self.channels.values():
                lines.append(f"{channel.id} #{channel.name}")
                for message in self.messages.get(channel.id, ()):
                    mark = f" (only {message.ephemeral_to})" if message.ephemeral_to else ""
                    ids = [element["action_id"] for element in message.elements]
                    lines.append(f"  {message.user}{mark}: {message.plain!r} {ids or ''}")
            for person, stack in self.modals.items():
                lines += [f"modal of {person}: {view.title!r} {view.all_text!r}" for view in stack]
            lines += [f"home of {person}: {view.all_text!r}" for person, view in self.homes.items()]
            lines += [f"rejected: {rejection}" for rejection in self.rejections[-5:]]
            lines += [f"call: {call.method} {call.error or 'ok'}" for call in self.calls[-12:]]
            return "\n".join(lines)

    def emit(self, event: Json) -> None:
        """Send an event to the app, if it subscribes to this type."""
        if event["type"] in self.app.events:
            self.on_event({**event, "event_ts": event.get("event_ts") or self.new_ts()})

    # Ids

    def new_id(self, prefix: str) -> str:
        return f"{prefix}0{next(self._ids):08d}"

    def new_ts(self) -> str:
        """A message's `ts`: the clock in microseconds, later than every one before."""
        with self.lock:
            now = self.clock()
            self._last_ts = max(self._last_ts + 1, int(now.timestamp() * 1_000_000))
            return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def new_block_id(self) -> str:
        return secrets.token_hex(3)

    def epoch(self) -> int:
        return int(self.clock().timestamp())

    # Looking

    def person(self, person_id: str) -> Person:
        person = self.people.get(person_id)
        if person is None:
            raise SlackError("user_not_found")
        return person

    def channel(self, channel_id: str) -> Channel:
        """The channel as the app sees it: a private one it is not in does not exist for it."""
        channel = self.channels.get(channel_id)
        if channel is None or (
            channel.is_private and not channel.is_im and self.app.user_id not in channel.members
        ):
            raise SlackError("channel_not_found")
        return channel

    def is_in(self, person_id: str, channel: Channel) -> bool:
        return person_id in channel.members

    def may_see(self, person: Person, channel: Channel) -> bool:
        """Whether a person can read a channel: guests and outsiders only where they are members."""
        if person.id in channel.members:
            return True
        outside = person.is_restricted or person.is_ultra_restricted or person.is_stranger
        return not channel.is_private and not channel.is_im and not outside

    def message(self, channel_id: str, ts: str) -> Message | None:
        with self.lock:
            for message in self.messages.get(channel_id, ()):
                if message.ts == ts:
                    return message
        return None

    def view(self, view_id: str) -> View | None:
        """An open modal or a published Home tab."""
        with self.lock:
            for view in self.all_views():
                if view.id == view_id:
                    return view
        return None

    def all_views(self) -> Iterable[View]:
        yield from self.homes.values()
        for stack in self.modals.values():
            yield from stack

    def dm(self, person_id: str) -> Channel | None:
        """The direct messages between this person and the bot, if they were ever opened."""
        for channel in self.channels.values():
            if channel.user == person_id:
                return channel
        return None

    def open_dm(self, person_id: str) -> Channel:
        with self.lock:
            found = self.dm(person_id)
            if found is not None:
                return found
            channel = Channel(
                self.new_id("D"),
                "directmessage",
                self.team.id,
                is_private=True,
                user=person_id,
                members=[person_id, self.app.user_id],
                created=self.epoch(),
            )
            self.channels[channel.id] = channel
            self.changed("channel")
            return channel

    # Messages

    def post(self, message: Message) -> Message:
        """Put a message into its channel and ring those it concerns."""
        with self.lock:
            message.blocks = slack_elements.with_ids(message.blocks, self.new_block_id)
            for attachment in message.attachments:
                if "blocks" in attachment:
                    attachment["blocks"] = slack_elements.with_ids(
                        attachment["blocks"], self.new_block_id
                    )
            message.values = slack_elements.initial_values(message.all_blocks())
            message.team_id = self.team.id
            self.messages.setdefault(message.channel, []).append(message)
            parent = None
            if message.thread_ts is not None and message.ephemeral_to is None:
                parent = self.message(message.channel, message.thread_ts)
                if parent is not None:
                    parent.thread_ts = parent.ts
                    parent.reply_count += 1
            self._notify(message, parent)
            self.changed("message")
            return message

    def say(self, user: str, channel: str, text: str, **fields: Any) -> Message:
        """Post as `user`; as the app's bot it carries the app's ids."""
        if user == self.app.user_id:
            fields |= {"bot_id": self.app.bot_id, "app_id": self.app.id}
        return self.post(Message(channel, self.new_ts(), user, text, **fields))

    def edit(
        self,
        message: Message,
        *,
        text: str,
        blocks: list[Json],
        attachments: list[Json] | None = None,
        metadata: Json | None = None,
    ) -> None:
        """Change a message in place. What people typed into it stays where ids stay."""
        with self.lock:
            message.versions.append(message.to_slack())
            message.text = text
            message.blocks = slack_elements.with_ids(blocks, self.new_block_id)
            if attachments is not None:
                message.attachments = attachments
            if metadata is not None:
                message.metadata = metadata
            message.edited = {"user": message.user, "ts": self.new_ts()}
            message.values = kept(
                slack_elements.initial_values(message.all_blocks()), message.values
            )
            self.changed("message")

    def delete(self, message: Message) -> None:
        with self.lock:
            self.messages[message.channel].remove(message)
            message.deleted = True
            parent = self.message(message.channel, message.thread_ts or "")
            if parent is not None and message.ephemeral_to is None:
                parent.reply_count -= 1
            self.changed("message")

    def _notify(self, message: Message, parent: Message | None) -> None:
        if message.ephemeral_to is not None:
            return
        channel = self.channels[message.channel]
        called = {channel.user} if channel.user is not None else set()
        for sign, name in _MENTION.findall(f"{message.text}\n{message.all_text}"):
            if sign == "@":
                called.add(name)
            elif sign == "!" and name in {"channel", "here", "everyone"}:
                called |= set(channel.members)
            elif name in self.groups:
                called |= set(self.groups[name].users)
        if parent is not None:
            called |= {
                earlier.user
                for earlier in self.messages[message.channel]
                if earlier.thread_ts == parent.ts
            }
        rung = False
        for person_id in sorted(called & set(channel.members) - {message.user}):
            if not self.people[person_id].is_bot and not self.people[person_id].deleted:
                rung = True
                self.notifications.append(
                    Notification(
                        next(self._ids),
                        person_id,
                        message.channel,
                        message.ts,
                        message.text,
                        self.clock(),
                    )
                )
        if rung:
            self.changed("notification")


def kept(
    fresh: dict[str, dict[str, Json]], old: dict[str, dict[str, Json]]
) -> dict[str, dict[str, Json]]:
    """Fresh values, with the old ones where block id, action id and type are the same."""
    return {
        block_id: {
            action_id: old[block_id][action_id]
            if old.get(block_id, {}).get(action_id, {}).get("type") == value["type"]
            else value
            for action_id, value in actions.items()
        }
        for block_id, actions in fresh.items()
    }
