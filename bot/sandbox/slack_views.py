"""The Web API's views methods. Source: Slack, "Methods", views.*."""

from __future__ import annotations

from bot.sandbox import slack_limits
from bot.sandbox.slack_api import Arguments, Method
from bot.sandbox.slack_model import Json, SlackError
from bot.sandbox.slack_shown import View


def given_view(arguments: Arguments, kind: str | None) -> Json:
    """The view argument, checked. `kind`: what its type must be. Raises `invalid_arguments`."""
    view = arguments.parsed("view", "invalid_arguments")
    check_view(view, kind)
    assert isinstance(view, dict)  # noqa: S101 (check_view refuses anything else)
    return view


def check_view(view: object, kind: str | None) -> None:
    """Raise `SlackError` for a view that Slack refuses."""
    problems = slack_limits.view_problems(view)
    if isinstance(view, dict) and kind is not None and view.get("type") not in (None, kind):
        problems.append(f"[ERROR] view must be of type {kind} [json-pointer:/view/type]")
    if problems:
        raise SlackError("invalid_arguments", problems)
    if isinstance(view, dict) and slack_limits.view_is_too_large(view):
        raise SlackError("view_too_large")


def _trigger(arguments: Arguments) -> str:
    return arguments.text("trigger_id") or arguments.need("interactivity_pointer")


def open_(arguments: Arguments) -> Json:
    view = given_view(arguments, "modal")
    trigger = arguments.workspace.use_trigger(_trigger(arguments))
    return {"view": arguments.workspace.open_modal(trigger.person, view).to_slack()}


def push(arguments: Arguments) -> Json:
    """Put a view on the stack; the trigger must come from inside a modal."""
    view = given_view(arguments, "modal")
    trigger = arguments.workspace.use_trigger(_trigger(arguments))
    if trigger.view_id is None:
        raise SlackError("invalid_trigger_id")
    return {"view": arguments.workspace.push_modal(trigger.person, view).to_slack()}


def update(arguments: Arguments) -> Json:
    source = given_view(arguments, None)
    view = _existing(arguments)
    if source["type"] != view.type:
        raise SlackError("invalid_arguments", ["[ERROR] a view keeps its type"])
    _check_hash(arguments, view)
    return {"view": arguments.workspace.update_view(view, source).to_slack()}


def _existing(arguments: Arguments) -> View:
    for view in arguments.workspace.all_views():
        if arguments.text("view_id"):
            if view.id == arguments.text("view_id"):
                return view
        elif view.external_id == arguments.need("external_id"):
            return view
    raise SlackError("not_found")


def _check_hash(arguments: Arguments, view: View | None) -> None:
    if arguments.text("hash") and (view is None or arguments.text("hash") != view.hash):
        raise SlackError("hash_conflict")


def publish(arguments: Arguments) -> Json:
    workspace = arguments.workspace
    source = given_view(arguments, "home")
    if not workspace.app.home_tab:
        raise SlackError("not_enabled")
    person = workspace.person(arguments.need("user_id"))
    if person.deleted or person.is_bot or person.is_stranger:
        raise SlackError("user_not_found")
    _check_hash(arguments, workspace.homes.get(person.id))
    return {"view": workspace.publish_home(person.id, source).to_slack()}


METHODS = {
    "views.open": Method(open_),
    "views.push": Method(push),
    "views.update": Method(update),
    "views.publish": Method(publish),
}
