"""Answering a command or a click where it was made, by the response URL that Slack gave with it.

Source: Slack, "Handling user interaction in your app", section "Responding to interactions".
"""

from __future__ import annotations

from collections.abc import Iterable
from http.client import InvalidURL
from typing import Any

from slack_sdk.webhook import WebhookClient

NO_URL = 404
"""The answer for what is no URL, the same as for one that is over."""


def respond(url: str, text: str, blocks: Iterable[dict[str, Any]] | None) -> int:
    """Show a message to the person alone, and return the HTTP status with which Slack took it.

    Raises one of NO_ANSWER where Slack does not answer.
    """
    try:
        response = WebhookClient(url).send(
            text=text,
            blocks=list(blocks) if blocks is not None else None,
            response_type="ephemeral",
            replace_original=False,
        )
    except (ValueError, InvalidURL):  # from urllib, for text that is no URL
        return NO_URL
    return response.status_code
