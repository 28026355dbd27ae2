"""Changing who and what is in the workspace, before and during a test, with Slack's events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bot.sandbox.slack_modals import WorkspaceWithViews
from bot.sandbox.slack_model import Channel, Group, Json, Kind, Person

OUTSIDE_TEAM = "T0OUTSIDE"

_KIND_FIELDS: dict[Kind, Json] = {
    Kind.MEMBER: {},
    Kind.ADMIN: {"is_admin": True},
    Kind.GUEST: {"is_restricted": True},
    Kind.SINGLE_CHANNEL_GUEST: {"is_restricted": True, "is_ultra_restricted": True},
    Kind.OUTSIDER: {"is_stranger": True, "team_id": OUTSIDE_TEAM},
    Kind.DEACTIVATED: {"deleted": True},
    Kind.BOT: {"is_bot": True},
}
_EVERYWHERE = (Kind.MEMBER, Kind.ADMIN)


class ManagedWorkspace(WorkspaceWithViews):
    """A workspace with an administrator: whoever holds it in a test, or the page's operator."""

    def add_person(
        self, person_id: str, name: str, *, kind: Kind | str = Kind.MEMBER, **fields: Any
    ) -> Person:
        """Add somebody. `fields` are those of `Person`; the email defaults to NAME@example.com."""
        with self.lock:
            given = {
                "team_id": self.team.id,
                "real_name": name.replace(".", " ").title(),
                "email": f"{name}@example.com",
                **_KIND_FIELDS[Kind(kind)],
                **fields,
            }
            person = Person(person_id, name, **given)
            person.updated = self.epoch()
            self.people[person_id] = person
            self.changed("person")
            return person

    def change_person(self, person_id: str, **fields: Any) -> Person:
        """Change fields of `Person`; emits `user_change`."""
        with self.lock:
            person = self.people[person_id]
            for name, value in fields.items():
                if name not in vars(person):
                    raise ValueError(f"a person has no {name}; they have {', '.join(vars(person))}")
                setattr(person, name, value)
            person.updated = self.epoch()
            self.changed("person")
            with_email = "users:read.email" in self.app.scopes
            self.emit(
                {
                    "type": "user_change",
                    "user": person.to_slack(self.clock(), with_email=with_email),
                    "cache_ts": self.epoch(),
                }
            )
            return person

    def deactivate(self, person_id: str) -> None:
        """Deactivate an account. Its ids stay in groups and channels; [?] for groups in Slack."""
        with self.lock:
            self.modals.pop(person_id, None)
            self.change_person(person_id, deleted=True)

    def reactivate(self, person_id: str) -> None:
        self.change_person(person_id, deleted=False)

    # Groups

    def add_group(
        self, group_id: str, handle: str, users: Iterable[str] = (), *, name: str = ""
    ) -> Group:
        with self.lock:
            group = Group(
                group_id,
                handle,
                name or handle,
                self.team.id,
                list(users),
                created=self.epoch(),
                updated=self.epoch(),
            )
            self.groups[group_id] = group
            self.changed("group")
            return group

    def set_group(self, group_id: str, users: Iterable[str]) -> None:
        """Replace a group's members; emits `subteam_members_changed` and `subteam_updated`."""
        with self.lock:
            group = self.groups[group_id]
            before, group.users = group.users, list(users)
            previous, group.updated = group.updated, self.epoch()
            added = [user for user in group.users if user not in before]
            removed = [user for user in before if user not in group.users]
            self.changed("group")
            self.emit(
                {
                    "type": "subteam_members_changed",
                    "subteam_id": group.id,
                    "team_id": self.team.id,
                    "date_previous_update": previous,
                    "date_update": group.updated,
                    "added_users": added,
                    "added_users_count": len(added),
                    "removed_users": removed,
                    "removed_users_count": len(removed),
                }
            )
            self._emit_group(group)

    def add_to_group(self, group_id: str, person_id: str) -> None:
        with self.lock:
            self.set_group(group_id, [*self.groups[group_id].users, person_id])

    def remove_from_group(self, group_id: str, person_id: str) -> None:
        with self.lock:
            users = [user for user in self.groups[group_id].users if user != person_id]
            self.set_group(group_id, users)

    def disable_group(self, group_id: str, *, disabled: bool = True) -> None:
        with self.lock:
            group = self.groups[group_id]
            group.disabled, group.updated = disabled, self.epoch()
            self.changed("group")
            self._emit_group(group)

    def delete_group(self, group_id: str) -> None:
        """Take a group away for good; Slack tells it as it tells of a disabled one [?]."""
        with self.lock:
            self.disable_group(group_id)
            del self.groups[group_id]
            self.changed("group")

    def _emit_group(self, group: Group) -> None:
        self.emit({"type": "subteam_updated", "subteam": group.to_slack(include_users=True)})

    # Channels

    def add_channel(
        self,
        channel_id: str,
        name: str,
        members: Iterable[str] | None = None,
        *,
        private: bool = False,
        shared: bool = False,
        archived: bool = False,
        bot: bool = True,
    ) -> Channel:
        """Add a channel. `members` defaults to every full member; `bot`: whether the app is in."""
        with self.lock:
            if members is None:
                members = [p.id for p in self.people.values() if p.kind in _EVERYWHERE]
            channel = Channel(
                channel_id,
                name,
                self.team.id,
                is_private=private,
                is_ext_shared=shared,
                is_archived=archived,
                members=[*members, *([self.app.user_id] if bot else [])],
                created=self.epoch(),
            )
            self.channels[channel_id] = channel
            self.messages.setdefault(channel_id, [])
            self.changed("channel")
            return channel

    def archive(self, channel_id: str, by: str = "U0ADMIN") -> None:
        self._set_archived(channel_id, by, archived=True)

    def unarchive(self, channel_id: str, by: str = "U0ADMIN") -> None:
        self._set_archived(channel_id, by, archived=False)

    def _set_archived(self, channel_id: str, by: str, *, archived: bool) -> None:
        with self.lock:
            channel = self.channels[channel_id]
            channel.is_archived = archived
            self.changed("channel")
            if self.is_in(self.app.user_id, channel):
                kind = "group" if channel.is_private else "channel"
                verb = "archive" if archived else "unarchive"
                self.emit(
                    {
                        "type": f"{kind}_{verb}",
                        "channel": channel_id,
                        "user": by,
                        "is_moved": 0,
                    }
                )

    def share(self, channel_id: str, *, shared: bool = True) -> None:
        """Share a channel with another organisation over Slack Connect, or stop doing so."""
        with self.lock:
            self.channels[channel_id].is_ext_shared = shared
            self.changed("channel")

    def join(self, channel_id: str, person_id: str) -> None:
        """Add a member; emits `member_joined_channel` where the bot is in the channel."""
        with self.lock:
            channel = self.channels[channel_id]
            if person_id not in channel.members:
                channel.members.append(person_id)
                self.changed("channel")
                self._emit_membership("member_joined_channel", channel, person_id)

    def leave(self, channel_id: str, person_id: str) -> None:
        """Remove a member; emits `member_left_channel`.

        For the bot itself that is `channel_left` or `group_left`.
        """
        with self.lock:
            channel = self.channels[channel_id]
            if person_id not in channel.members:
                return
            if person_id == self.app.user_id:
                kind = "group_left" if channel.is_private else "channel_left"
                self.emit({"type": kind, "channel": channel_id, "actor_id": "U0ADMIN"})
            channel.members.remove(person_id)
            self.changed("channel")
            self._emit_membership("member_left_channel", channel, person_id)

    def invite_bot(self, channel_id: str) -> None:
        self.join(channel_id, self.app.user_id)

    def remove_bot(self, channel_id: str) -> None:
        self.leave(channel_id, self.app.user_id)

    def set_members(self, channel_id: str, members: Iterable[str]) -> None:
        with self.lock:
            wanted = list(members)
            for person_id in list(self.channels[channel_id].members):
                if person_id not in wanted:
                    self.leave(channel_id, person_id)
            for person_id in wanted:
                self.join(channel_id, person_id)

    def _emit_membership(self, kind: str, channel: Channel, person_id: str) -> None:
        if self.app.user_id in channel.members:
            self.emit(
                {
                    "type": kind,
                    "user": person_id,
                    "channel": channel.id,
                    "channel_type": "G" if channel.is_private else "C",
                    "team": self.people[person_id].team_id,
                }
            )
