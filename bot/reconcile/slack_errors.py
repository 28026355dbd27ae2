"""Why a message is not in Slack: refused until somebody acts, or to be tried later."""

from __future__ import annotations

from datetime import timedelta
from http.client import HTTPException

import structlog
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.core.retry_after import retry_after

log = structlog.get_logger(__name__)

NO_ANSWER = (SlackClientError, OSError, HTTPException, UnicodeDecodeError)
"""What asking Slack raises where it refuses, or where no answer comes that can be read.

Half an answer is none of the SDK's errors and no OSError: urllib passes on what http.client says.
"""

REFUSED = frozenset(
    {
        "account_inactive",
        "cannot_dm_bot",
        "channel_not_found",
        "is_archived",
        "is_inactive",  # what is said of a change in a channel that was archived
        "messages_tab_disabled",
        "not_in_channel",
        "restricted_action",
        "user_disabled",
        "user_not_found",
    }
)
"""Slack's codes that hold until somebody changes the channel, the person or the app."""

SHARED = "shared_with_others"
"""Why nothing is posted in a channel, where others are in it; beside Slack's own codes."""

LACKING = "missing_scope"
"""Slack's code for what the app may not do, such as look who is in a channel."""

UNFIT = frozenset({SHARED, LACKING})
"""Why the bot itself posts nothing in a channel that Slack would take a message for."""


class Delayed(Exception):
    """Slack did not take a message now. `after` is how long it asks to wait, if it says."""

    def __init__(self, problem: str, after: timedelta | None = None) -> None:
        super().__init__(problem)
        self.after = after


def code_of(error: SlackApiError) -> str:
    """Slack's code for what is wrong."""
    return str(error.response.get("error"))


def delayed_by(error: Exception) -> Delayed:
    """The delay that one of NO_ANSWER means, with the wait that Slack asks for."""
    match error:
        case Delayed():
            return error
        case SlackApiError():
            return Delayed(code_of(error), retry_after(error.response.headers))
    return Delayed(type(error).__name__)
