"""The Web API's methods about people, groups, channels and the team.

Source: Slack, "Methods", users.*, usergroups.*, conversations.*, team.info, auth.test.
"""

from __future__ import annotations

from bot.sandbox.slack_api import Arguments, Method, missing_scope, need_scope
from bot.sandbox.slack_model import Channel, Json, Person, SlackError

TYPES = {"public_channel": "channels:read", "private_channel": "groups:read", "im": "im:read"}


def auth_test(arguments: Arguments) -> Json:
    workspace = arguments.workspace
    return {
        "url": f"https://{workspace.team.domain}.slack.com/",
        "team": workspace.team.name,
        "user": workspace.app.name,
        "team_id": workspace.team.id,
        "user_id": workspace.app.user_id,
        "bot_id": workspace.app.bot_id,
        "is_enterprise_install": False,
    }


def api_test(arguments: Arguments) -> Json:
    if arguments.has("error"):
        raise SlackError(arguments.text("error"), args=arguments.values)
    return {"args": arguments.values}


def team_info(arguments: Arguments) -> Json:
    team = arguments.workspace.team
    return {"team": {"id": team.id, "name": team.name, "domain": team.domain}}


# People


def _shown(arguments: Arguments, person: Person) -> Json:
    with_email = "users:read.email" in arguments.workspace.app.scopes
    return person.to_slack(arguments.workspace.clock(), with_email=with_email)


def users_info(arguments: Arguments) -> Json:
    return {"user": _shown(arguments, arguments.workspace.person(arguments.need("user")))}


def users_list(arguments: Arguments) -> Json:
    """People of this team, deactivated ones too; those met over Slack Connect are left out [?]."""
    people = [p for p in arguments.workspace.people.values() if not p.is_stranger]
    some, metadata = arguments.page(people, default=1000)
    return {"members": [_shown(arguments, person) for person in some], **metadata}


def users_lookup_by_email(arguments: Arguments) -> Json:
    email = arguments.need("email").casefold()
    for person in arguments.workspace.people.values():
        same = person.email is not None and person.email.casefold() == email
        if same and not person.deleted and not person.is_stranger:
            return {"user": _shown(arguments, person)}
    raise SlackError("users_not_found")


# Groups


def usergroups_list(arguments: Arguments) -> Json:
    disabled = arguments.flag("include_disabled")
    return {
        "usergroups": [
            group.to_slack(
                include_users=arguments.flag("include_users"),
                include_count=arguments.flag("include_count"),
            )
            for group in arguments.workspace.groups.values()
            if disabled or not group.disabled
        ]
    }


def usergroups_users_list(arguments: Arguments) -> Json:
    group = arguments.workspace.groups.get(arguments.need("usergroup"))
    if group is None or (group.disabled and not arguments.flag("include_disabled")):
        raise SlackError("no_such_subteam")
    return {"users": list(group.users)}


# Channels


def _readable(arguments: Arguments, kind: str = "read") -> Channel:
    channel = arguments.workspace.channel(arguments.need("channel"))
    need_scope(arguments, channel.read_scope.replace("read", kind))
    return channel


def conversations_open(arguments: Arguments) -> Json:
    """Open the direct messages with one person; several people are not modelled."""
    workspace = arguments.workspace
    if arguments.text("channel"):
        channel = workspace.channel(arguments.text("channel"))
        if not channel.is_im:
            raise SlackError("channel_not_found")
        return {"no_op": True, "already_open": True, "channel": {"id": channel.id}}
    users = [user for user in arguments.need("users").split(",") if user]
    if len(users) > 1:
        raise missing_scope("mpim:write", workspace.app.scopes)
    person = workspace.person(users[0])
    if person.is_stranger:
        raise SlackError("user_not_visible")
    if person.deleted:
        raise SlackError("user_disabled")
    if person.is_bot:
        raise SlackError("cannot_dm_bot")
    already = workspace.dm(person.id) is not None
    channel = workspace.open_dm(person.id)
    full = channel.to_slack(bot=workspace.app.user_id)
    answer: Json = {"channel": full if arguments.flag("return_im") else {"id": channel.id}}
    return answer | ({"no_op": True, "already_open": True} if already else {})


def conversations_info(arguments: Arguments) -> Json:
    channel = _readable(arguments)
    shown = channel.to_slack(bot=arguments.workspace.app.user_id)
    if arguments.flag("include_num_members"):
        shown["num_members"] = len(channel.members)
    return {"channel": shown}


def conversations_members(arguments: Arguments) -> Json:
    channel = _readable(arguments)
    some, metadata = arguments.page(channel.members, default=100)
    return {"members": some, **metadata}


def conversations_list(arguments: Arguments) -> Json:
    workspace = arguments.workspace
    types = (arguments.text("types") or "public_channel").replace(" ", "").split(",")
    for name in types:
        if name not in TYPES:
            raise SlackError("invalid_types")
        need_scope(arguments, TYPES[name])
    bot = workspace.app.user_id
    found = []
    for channel in workspace.channels.values():
        kind = "private_channel" if channel.is_private else "public_channel"
        kind = "im" if channel.is_im else kind
        visible = kind == "public_channel" or bot in channel.members
        hidden = arguments.flag("exclude_archived") and channel.is_archived
        if kind in types and visible and not hidden:
            found.append(channel.to_slack(bot=bot))
    some, metadata = arguments.page(found, default=100)
    return {"channels": some, **metadata}


def conversations_history(arguments: Arguments) -> Json:
    """Newest first, without replies that were not broadcast and without ephemeral messages."""
    channel = _member_of(arguments)
    messages = [
        message
        for message in reversed(arguments.workspace.messages.get(channel.id, []))
        if message.ephemeral_to is None
        and (message.thread_ts in (None, message.ts) or message.reply_broadcast)
        and _within(arguments, message.ts)
    ]
    some, metadata = arguments.page(messages, default=100)
    more = bool(metadata["response_metadata"]["next_cursor"])
    return {"messages": [message.to_slack() for message in some], "has_more": more, **metadata}


def conversations_replies(arguments: Arguments) -> Json:
    """A thread, its parent first."""
    channel = _member_of(arguments)
    parent = arguments.workspace.message(channel.id, arguments.need("ts"))
    if parent is None or parent.ephemeral_to is not None:
        raise SlackError("thread_not_found")
    root = parent.thread_ts or parent.ts
    messages = [
        message
        for message in arguments.workspace.messages[channel.id]
        if message.ephemeral_to is None
        and (message.ts == root or (message.thread_ts == root and _within(arguments, message.ts)))
    ]
    some, metadata = arguments.page(messages, default=1000)
    more = bool(metadata["response_metadata"]["next_cursor"])
    return {"messages": [message.to_slack() for message in some], "has_more": more, **metadata}


def _member_of(arguments: Arguments) -> Channel:
    channel = _readable(arguments, "history")
    if arguments.workspace.app.user_id not in channel.members:
        raise SlackError("not_in_channel")
    return channel


def _within(arguments: Arguments, ts: str) -> bool:
    moment = _ts(ts)
    oldest = _ts(arguments.text("oldest") or "0")
    latest = _ts(arguments.text("latest") or "9999999999")
    if arguments.flag("inclusive"):
        return oldest <= moment <= latest
    return oldest < moment < latest


def _ts(value: str) -> tuple[int, int]:
    seconds, _, micros = value.partition(".")
    try:
        return int(seconds), int((micros or "0").ljust(6, "0"))
    except ValueError:
        raise SlackError("invalid_ts_latest") from None


_READ = ("channels:read", "groups:read", "im:read")
_HISTORY = ("channels:history", "groups:history", "im:history")
METHODS = {
    "api.test": Method(api_test),
    "auth.test": Method(auth_test),
    "team.info": Method(team_info, ("team:read",)),
    "users.info": Method(users_info, ("users:read",)),
    "users.list": Method(users_list, ("users:read",)),
    "users.lookupByEmail": Method(users_lookup_by_email, ("users:read.email",)),
    "usergroups.list": Method(usergroups_list, ("usergroups:read",)),
    "usergroups.users.list": Method(usergroups_users_list, ("usergroups:read",)),
    "conversations.open": Method(conversations_open, ("im:write",)),
    "conversations.info": Method(conversations_info, _READ),
    "conversations.members": Method(conversations_members, _READ),
    "conversations.list": Method(conversations_list, _READ),
    "conversations.history": Method(conversations_history, _HISTORY),
    "conversations.replies": Method(conversations_replies, _HISTORY),
}
