"""The bodies Slack sends when a person does something.

Source: Slack, "Implementing slash commands" and "Interaction payloads". For somebody of another
organisation (Slack Connect) the outer `team` is the installed one; only `user.team_id` tells.
"""

from __future__ import annotations

import copy

from bot.sandbox.slack_model import Channel, Json, Person
from bot.sandbox.slack_shown import Message, View
from bot.sandbox.workspace import Workspace


def user(person: Person) -> Json:
    return {
        "id": person.id,
        "username": person.name,
        "name": person.name,
        "team_id": person.team_id,
    }


def _common(workspace: Workspace, person: Person, kind: str) -> Json:
    return {
        "type": kind,
        "team": {"id": workspace.team.id, "domain": workspace.team.domain},
        "user": user(person),
        "api_app_id": workspace.app.id,
        "token": workspace.app.verification_token,
        "enterprise": None,
        "is_enterprise_install": False,
    }


def command(
    workspace: Workspace,
    person: Person,
    channel: Channel,
    *,
    name: str,
    text: str,
    response_url: str,
    trigger_id: str,
) -> Json:
    """A slash command's form; all values are strings."""
    return {
        "token": workspace.app.verification_token,
        "team_id": workspace.team.id,
        "team_domain": workspace.team.domain,
        "channel_id": channel.id,
        "channel_name": channel.name_in_payloads,
        "user_id": person.id,
        "user_name": person.name,
        "command": name,
        "text": text,
        "api_app_id": workspace.app.id,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": trigger_id,
    }


def message_origin(message: Message, channel: Channel) -> Json:
    """Where in a message something happened. Slack leaves an ephemeral message's content out."""
    container: Json = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": channel.id,
        "is_ephemeral": message.ephemeral_to is not None,
    }
    if message.thread_ts is not None:
        container["thread_ts"] = message.thread_ts
    origin: Json = {
        "container": container,
        "channel": {"id": channel.id, "name": channel.name_in_payloads},
        "state": {"values": copy.deepcopy(message.values)},
    }
    if message.ephemeral_to is None:
        origin["message"] = message.to_slack()
    return origin


def view_origin(view: View) -> Json:
    return {"container": {"type": "view", "view_id": view.id}, "view": view.to_slack()}


def block_actions(
    workspace: Workspace,
    person: Person,
    origin: Json,
    *,
    action: Json,
    trigger_id: str,
    response_url: str | None,
) -> Json:
    body = _common(workspace, person, "block_actions") | origin
    body |= {"trigger_id": trigger_id, "actions": [action]}
    if response_url is not None:
        body["response_url"] = response_url
    return body


def block_suggestion(
    workspace: Workspace,
    person: Person,
    origin: Json,
    *,
    action_id: str,
    block_id: str,
    query: str,
) -> Json:
    body = _common(workspace, person, "block_suggestion") | origin
    return body | {"action_id": action_id, "block_id": block_id, "value": query}


def view_submission(workspace: Workspace, person: Person, view: View, trigger_id: str) -> Json:
    body = _common(workspace, person, "view_submission")
    return body | {"trigger_id": trigger_id, "view": view.to_slack(), "response_urls": []}


def view_closed(workspace: Workspace, person: Person, view: View, *, cleared: bool) -> Json:
    body = _common(workspace, person, "view_closed")
    return body | {"view": view.to_slack(), "is_cleared": cleared}
