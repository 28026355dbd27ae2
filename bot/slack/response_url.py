"""Answering a command or a click where it was made, by the response URL that Slack gave with it.

Source: Slack, "Handling user interaction in your app", section "Responding to interactions".
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from http.client import InvalidURL
from typing import Any

from slack_sdk.webhook import WebhookClient

from bot.core.retry_after import retry_after
from bot.reconcile.slack_errors import Delayed

NO_URL = 404
"""The answer for what is no URL, the same as for one that is over."""


def respond(url: str, text: str, blocks: Iterable[dict[str, Any]] | None) -> int:
    """Show a message to the person alone, and return the HTTP status with which Slack took it.

    Raises Delayed where Slack wants to be left alone, and one of NO_ANSWER where it says nothing.
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
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        raise Delayed("ratelimited", retry_after(response.headers))
    return response.status_code
