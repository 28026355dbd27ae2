"""The workspace at one moment as JSON, for the page: see `bot.sandbox.control`."""

from __future__ import annotations

from bot.sandbox.slack_admin import ManagedWorkspace
from bot.sandbox.slack_model import Channel, Json, Person
from bot.sandbox.slack_shown import Message

SHOWN_NOTIFICATIONS = 100


def person(workspace: ManagedWorkspace, one: Person) -> Json:
    dm = workspace.dm(one.id)
    return {
        "id": one.id,
        "name": one.name,
        "real_name": one.real_name,
        "display_name": one.display_name,
        "title": one.title,
        "email": one.email,
        "kind": one.kind,
        "team_id": one.team_id,
        "tz": one.tz,
        "playable": not one.is_bot and not one.deleted,
        "dm": dm.id if dm is not None else None,
    }


def channel(one: Channel) -> Json:
    return {
        "id": one.id,
        "name": one.name,
        "kind": "private" if one.is_private else "public",
        "is_archived": one.is_archived,
        "is_ext_shared": one.is_ext_shared,
        "members": list(one.members),
        "topic": one.topic,
    }


def message(workspace: ManagedWorkspace, one: Message) -> Json:
    author = workspace.people.get(one.user)
    return {
        "ts": one.ts,
        "channel": one.channel,
        "user": one.user,
        "username": author.name if author is not None else one.user,
        "is_bot": one.bot_id is not None,
        "text": one.text,
        "blocks": one.blocks,
        "attachments": one.attachments,
        "files": one.files,
        "thread_ts": one.thread_ts,
        "reply_broadcast": one.reply_broadcast,
        "reply_count": one.reply_count,
        "edited": one.edited is not None,
        "ephemeral_to": one.ephemeral_to,
    }


def take(workspace: ManagedWorkspace, *, delivery: str, connections: int) -> Json:
    """The whole workspace. The caller holds the lock, and serialises before letting go of it."""
    app = workspace.app
    return {
        "seq": workspace.seq,
        "now": workspace.clock().isoformat(),
        "team": {
            "id": workspace.team.id,
            "name": workspace.team.name,
            "domain": workspace.team.domain,
        },
        "app": {
            "id": app.id,
            "name": app.name,
            "user_id": app.user_id,
            "bot_id": app.bot_id,
            "commands": list(app.commands),
            "delivery": delivery,
            "connections": connections,
        },
        "people": [person(workspace, one) for one in workspace.people.values()],
        "groups": [
            {
                "id": group.id,
                "handle": group.handle,
                "name": group.name,
                "users": list(group.users),
                "disabled": group.disabled,
            }
            for group in workspace.groups.values()
        ],
        "channels": [channel(one) for one in workspace.channels.values() if not one.is_im],
        "dms": [
            {"id": one.id, "user": one.user} for one in workspace.channels.values() if one.is_im
        ],
        "messages": {
            channel_id: [message(workspace, one) for one in workspace.messages.get(channel_id, ())]
            for channel_id in workspace.channels
        },
        "homes": {user: view.to_slack() for user, view in workspace.homes.items()},
        "modals": {
            user: [view.to_slack() for view in stack] for user, stack in workspace.modals.items()
        },
        "notifications": [
            {
                "id": one.id,
                "person": one.person,
                "channel": one.channel,
                "ts": one.ts,
                "text": one.text,
                "at": one.at.isoformat(),
            }
            for one in list(workspace.notifications)[-SHOWN_NOTIFICATIONS:]
        ],
    }
