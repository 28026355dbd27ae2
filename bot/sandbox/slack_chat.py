"""The Web API's chat methods. Source: Slack, "Methods", chat.*."""

from __future__ import annotations

from bot.sandbox import slack_limits
from bot.sandbox.slack_api import Arguments, Method
from bot.sandbox.slack_model import Channel, Json, SlackError
from bot.sandbox.slack_shown import Message

ESCAPED = {"&": 5, "<": 4, ">": 4}


def target(arguments: Arguments) -> Channel:
    """The channel to post to: an id, a `#name`, or a person's id for their direct messages."""
    workspace = arguments.workspace
    name = arguments.need("channel")
    if name in workspace.people:
        person = workspace.people[name]
        if person.deleted or person.is_stranger or person.is_bot:
            raise SlackError("channel_not_found")
        return workspace.open_dm(name)
    if name.startswith("#"):
        ids = [c.id for c in workspace.channels.values() if c.name == name[1:] and not c.is_im]
        name = ids[0] if ids else name
    return workspace.channel(name)


def writable(arguments: Arguments, channel: Channel, *, public: bool = True) -> None:
    """Raise unless the bot may post here. [?] for direct messages with a deactivated person."""
    workspace = arguments.workspace
    if channel.is_im:
        if not workspace.app.messages_tab:
            raise SlackError("messages_tab_disabled")
        if channel.user is not None and workspace.people[channel.user].deleted:
            raise SlackError("channel_not_found")
        return
    if channel.is_archived:
        raise SlackError("is_archived")
    if workspace.app.user_id not in channel.members and not (
        public and "chat:write.public" in workspace.app.scopes
    ):
        raise SlackError("not_in_channel")


def content(arguments: Arguments, *, text_limit: int) -> Json:
    """Text, blocks, attachments and metadata as given, checked; None for what was left out."""
    blocks = arguments.parsed("blocks", "invalid_blocks_format")
    attachments = arguments.parsed("attachments", "invalid_attachments")
    metadata = arguments.parsed("metadata", "invalid_metadata_format")
    text = arguments.text("text") if arguments.has("text") else None
    if not text and not blocks and not attachments:
        raise SlackError("no_text")
    size = sum(ESCAPED.get(letter, len(letter.encode())) for letter in text or "")
    if size > text_limit:
        raise SlackError("msg_too_long")
    if attachments is not None and not _are_objects(attachments):
        raise SlackError("invalid_attachments")
    problems = [] if blocks is None else slack_limits.blocks_problems(blocks)
    for index, attachment in enumerate(attachments or ()):
        if "blocks" in attachment:
            at = f"/attachments/{index}/blocks"
            problems += slack_limits.blocks_problems(attachment["blocks"], at)
    if problems:
        raise SlackError("invalid_blocks", problems)
    if metadata is not None:
        problem = slack_limits.metadata_problem(metadata)
        if problem:
            raise SlackError(problem)
    return {"text": text, "blocks": blocks, "attachments": attachments, "metadata": metadata}


def _are_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def post_message(arguments: Arguments) -> Json:
    workspace = arguments.workspace
    given = content(arguments, text_limit=slack_limits.MESSAGE_TEXT)
    if slack_limits.blocks_are_too_long(given["blocks"] or []):
        raise SlackError("msg_blocks_too_long")
    channel = target(arguments)
    writable(arguments, channel)
    thread_ts = _thread(arguments, channel)
    message = workspace.say(
        workspace.app.user_id,
        channel.id,
        given["text"] or "",
        blocks=given["blocks"] or [],
        attachments=given["attachments"] or [],
        metadata=given["metadata"],
        thread_ts=thread_ts,
        reply_broadcast=thread_ts is not None and arguments.flag("reply_broadcast"),
    )
    return {"channel": channel.id, "ts": message.ts, "message": message.to_slack()}


def _thread(arguments: Arguments, channel: Channel) -> str | None:
    """The thread to reply in. [?] whether Slack refuses one that is gone; here it does."""
    if not arguments.text("thread_ts"):
        return None
    parent = arguments.workspace.message(channel.id, arguments.text("thread_ts"))
    if parent is None:
        raise SlackError("thread_not_found")
    return parent.thread_ts or parent.ts


def _own(arguments: Arguments, error: str) -> tuple[Channel, Message]:
    workspace = arguments.workspace
    channel = workspace.channel(arguments.need("channel"))
    message = workspace.message(channel.id, arguments.need("ts"))
    if message is None or message.ephemeral_to is not None:
        raise SlackError("message_not_found")
    if message.user != workspace.app.user_id:
        raise SlackError(error)
    return channel, message


def update(arguments: Arguments) -> Json:
    """Blocks and attachments left out stay; given empty they go."""
    given = content(arguments, text_limit=slack_limits.UPDATE_TEXT)
    channel, message = _own(arguments, "cant_update_message")
    if channel.is_archived:
        raise SlackError("is_inactive")
    arguments.workspace.edit(
        message,
        text=message.text if given["text"] is None else given["text"],
        blocks=message.blocks if given["blocks"] is None else given["blocks"],
        attachments=given["attachments"],
        metadata=given["metadata"],
    )
    return {
        "channel": channel.id,
        "ts": message.ts,
        "text": message.text,
        "message": message.to_slack(),
    }


def delete(arguments: Arguments) -> Json:
    channel, message = _own(arguments, "cant_delete_message")
    arguments.workspace.delete(message)
    return {"channel": channel.id, "ts": message.ts}


def post_ephemeral(arguments: Arguments) -> Json:
    workspace = arguments.workspace
    given = content(arguments, text_limit=slack_limits.MESSAGE_TEXT)
    channel = workspace.channel(arguments.need("channel"))
    writable(arguments, channel, public=False)
    person_id = arguments.need("user")
    if person_id not in channel.members or workspace.people[person_id].deleted:
        raise SlackError("user_not_in_channel")
    message = workspace.say(
        workspace.app.user_id,
        channel.id,
        given["text"] or "",
        blocks=given["blocks"] or [],
        attachments=given["attachments"] or [],
        thread_ts=arguments.text("thread_ts") or None,
        ephemeral_to=person_id,
    )
    return {"message_ts": message.ts}


def get_permalink(arguments: Arguments) -> Json:
    workspace = arguments.workspace
    channel = workspace.channel(arguments.need("channel"))
    message = workspace.message(channel.id, arguments.need("message_ts"))
    if message is None:
        raise SlackError("message_not_found")
    link = f"https://{workspace.team.domain}.slack.com/archives/{channel.id}/p"
    link += message.ts.replace(".", "")
    if message.thread_ts not in (None, message.ts):
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


_WRITE = ("chat:write",)
METHODS = {
    "chat.postMessage": Method(post_message, _WRITE),
    "chat.update": Method(update, _WRITE),
    "chat.delete": Method(delete, _WRITE),
    "chat.postEphemeral": Method(post_ephemeral, _WRITE),
    "chat.getPermalink": Method(get_permalink),
}
