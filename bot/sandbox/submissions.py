"""What the app's answer to a submission does. Source: Slack, "Modals", `response_action`."""

from __future__ import annotations

from typing import Any

from bot.sandbox.slack_admin import ManagedWorkspace
from bot.sandbox.slack_model import Json, SlackError
from bot.sandbox.slack_shown import View
from bot.sandbox.slack_views import check_view


class Submissions:
    """Applies answers to submissions; records those that Slack would not take."""

    def __init__(self, workspace: ManagedWorkspace) -> None:
        self._workspace = workspace

    def apply(self, view: View, answer: Any) -> tuple[str | None, dict[str, str]]:
        """Do what the answer says. Gives the error the person sees, and errors by block id."""
        try:
            with self._workspace.lock:
                return None, self._apply(view, answer)
        except SlackError as error:
            given = answer if isinstance(answer, dict) else {"answer": answer}
            self._workspace.reject("view_submission", error.error, error.messages, given)
            return "invalid_view_response", {}

    def _apply(self, view: View, answer: Any) -> dict[str, str]:
        if not answer:
            self._workspace.close_modals(view.user, [view])
            return {}
        action = answer.get("response_action") if isinstance(answer, dict) else None
        match action:
            case "errors":
                return self._errors(view, answer.get("errors"))
            case "update":
                self._workspace.update_view(view, _view(answer))
            case "push":
                self._workspace.push_modal(view.user, _view(answer))
            case "clear":
                stack = self._workspace.modals.get(view.user, [])
                self._workspace.close_modals(view.user, list(stack))
            case _:
                problem = f"[ERROR] unknown response_action: {action!r}"
                raise SlackError("invalid_arguments", [problem])
        return {}

    def _errors(self, view: View, errors: Any) -> dict[str, str]:
        """Errors must name input blocks of this view, else Slack shows none of them."""
        if not isinstance(errors, dict) or not errors:
            raise SlackError("invalid_arguments", ["[ERROR] errors must name at least one block"])
        inputs = [block["block_id"] for block in view.all_blocks() if block["type"] == "input"]
        for block_id, text in errors.items():
            if block_id not in inputs:
                problem = f"[ERROR] errors names {block_id!r}, which is no input block"
                raise SlackError("invalid_arguments", [problem])
            if not isinstance(text, str) or not text:
                raise SlackError("invalid_arguments", ["[ERROR] an error must be a text"])
        return dict(errors)


def _view(answer: Json) -> Json:
    view = answer.get("view")
    check_view(view, "modal")
    assert isinstance(view, dict)  # noqa: S101 (check_view refuses anything else)
    return view
