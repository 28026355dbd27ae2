"""Modals as Slack views: the reason for a denial, more time, and a sentence to read.

What a modal offers is a help and no rule: `bot.slack.submissions` reads what comes back as
something anybody could have made up, and the policy decides. The request form is in
`bot.slack.request_form`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from bot.core.ask_checks import MOST_REASON_LETTERS
from bot.core.model import AccessRequest, Grant
from bot.slack import blocks, inputs, phrases
from bot.slack.blocks import View
from bot.slack.text import date, mention

DENY_CALLBACK = "deny"
REVOKE_CALLBACK = "revoke"
EXTEND_CALLBACK = "extend"
NOTICE_CALLBACK = "notice"
LOADING_CALLBACK = "loading"


def deny_modal(request: AccessRequest, names: Mapping[str, str]) -> View:
    """Why not? The reason is required.

    `private_metadata` holds the request id, to know which request is meant; who may deny it, and
    whether it can be denied, is decided from the store when the answer comes.
    """
    shown = [
        blocks.section(
            "request", f"{phrases.person(request.requester, names)} asks {phrases.wish(request)}"
        ),
        blocks.quote("asked", request.reason),
        inputs.field(
            "reason",
            "Why not?",
            inputs.text("reason", "", MOST_REASON_LETTERS, multiline=True),
            hint="The requester reads this, in your words.",
        ),
    ]
    return blocks.modal(DENY_CALLBACK, "Deny", shown, submit="Deny", private_metadata=request.id)


def revoke_modal(request: AccessRequest) -> View:
    """Why? The reason may be left out: taking access away waits for nothing.

    `private_metadata` holds the request id; who may revoke it is decided from the store.
    """
    shown = [
        blocks.section(
            "request",
            f"{mention(request.requester)}: {phrases.subject(request)}",
            "It is removed at EKS at once. Work in progress may fail.",
        ),
        inputs.field(
            "reason",
            "Why?",
            inputs.text("reason", "", MOST_REASON_LETTERS, multiline=True),
            hint="It goes into the audit trail, in your words.",
            optional=True,
        ),
    ]
    title = "Revoke this access?"
    return blocks.modal(REVOKE_CALLBACK, title, shown, submit="Revoke", private_metadata=request.id)


def extend_modal(request: AccessRequest, grant: Grant, longest: timedelta) -> View:
    """How much longer, and why? `longest` is what the rules may still allow.

    `private_metadata` holds the request id, to know which access is meant; whose it is, and whether
    it can be extended, is decided from the store when the answer comes.
    """
    ends = f"{phrases.subject(request)} is active until {date(grant.ends_at)}."
    shown = [
        blocks.section("access", ends, "The rules that gave it decide about more time."),
        inputs.field("duration", "How much longer?", inputs.durations(longest, None)),
        inputs.field(
            "reason",
            "Why?",
            inputs.text("reason", "", MOST_REASON_LETTERS, multiline=True),
            hint="Left empty, the reason you gave before stands.",
            optional=True,
        ),
    ]
    title = "Extend your access"
    return blocks.modal(EXTEND_CALLBACK, title, shown, submit="Ask", private_metadata=request.id)


def loading_modal() -> View:
    """Opened at once, because a trigger lives three seconds; replaced when the data is there."""
    shown = [blocks.section("loading", "Loading…")]
    return blocks.modal(LOADING_CALLBACK, "EKS access", shown)


def notice_modal(sentence: str) -> View:
    """One sentence to read, which may quote what somebody typed."""
    return blocks.modal(NOTICE_CALLBACK, "EKS access", [blocks.sentence("notice", sentence)])
