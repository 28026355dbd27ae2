"""What Slack says no with: what passes by itself, what stays until somebody acts, and who acts.

Sources: the tables "Errors" of the methods that the bot calls in Slack's Web API reference, and
"Using Socket Mode" for what closes a connection. A code that is not here counts as passing, because
to give a message up is the worse mistake; it is tried with growing pauses, and told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from http.client import HTTPException
from types import MappingProxyType

from slack_sdk.errors import SlackApiError, SlackClientError

from bot.core.retry_after import retry_after

NO_ANSWER = (SlackClientError, OSError, HTTPException, UnicodeDecodeError)
"""What asking Slack raises where it refuses, or where no answer comes that can be read.

Half an answer is none of the SDK's errors and no OSError: urllib passes on what http.client says.
"""


class ProblemKind(Enum):
    """What a code is about, and so what can be done in spite of it."""

    PASSING = "passing"
    """Goes away by itself."""

    TOKEN = "token"  # noqa: S105 - a word
    """Slack takes the token for nothing any more."""

    APP = "app"
    """The app may not do this, or not now, in this workspace."""

    PLACE = "place"
    """One channel, person or user group; the others are not touched by it."""

    STALE = "stale"
    """A message that stands and cannot be changed any more: it is posted anew."""

    FAULT = "fault"
    """The bot sent what Slack does not take."""


@dataclass(frozen=True, slots=True)
class SlackProblem:
    """What a code means. `what` and `remedy` are sentences; what passes needs no remedy."""

    kind: ProblemKind
    what: str
    remedy: str = ""

    @property
    def stays(self) -> bool:
        """Whether it is there until somebody acts."""
        return self.kind is not ProblemKind.PASSING

    @property
    def sentence(self) -> str:
        """What is so, and who does what."""
        return f"{self.what} {self.remedy}".strip()


_INSTALL_ANEW = (
    "Whoever runs the bot installs the app again and sets its new tokens; `eks-access doctor` "
    "tries them."
)
_REINSTALL = (
    "Whoever runs the bot compares the app with app-manifest.yml and installs it again; "
    "`eks-access doctor` names what is missing."
)
_ADMIN = "A Slack admin has to allow the app."
_INVITE = "Somebody in the channel invites the bot."
_OTHER_CHANNEL = "Somebody changes that in Slack, or whoever keeps the policy file names another."
_OTHER_GROUP = (
    "A Slack admin enables the group, or whoever keeps the policy file names another one."
)
_NOBODY = "Whoever keeps the policy file corrects the id."
_REPORT = "This is a bug in the bot: whoever runs it reports it with the log."

_GONE_TOKEN = SlackProblem(
    ProblemKind.TOKEN, "Slack no longer accepts the bot's token.", _INSTALL_ANEW
)
_BAD_TOKEN = SlackProblem(
    ProblemKind.TOKEN, "Slack does not accept the bot's token.", _INSTALL_ANEW
)
_NOT_ALLOWED = SlackProblem(
    ProblemKind.APP, "The workspace does not allow the app to do this.", _ADMIN
)
_READ_ONLY = SlackProblem(
    ProblemKind.PLACE, "The bot may not post in the channel.", "A Slack admin lets it post there."
)
_ARCHIVED = SlackProblem(ProblemKind.PLACE, "The channel is archived.", _OTHER_CHANNEL)
_NO_PERSON = SlackProblem(ProblemKind.PLACE, "Slack does not know this person.", _NOBODY)
_NO_GROUP = SlackProblem(
    ProblemKind.PLACE, "The user group is disabled, or none has that id.", _OTHER_GROUP
)
_STANDS = SlackProblem(
    ProblemKind.STALE, "The message can no longer be changed.", "The bot posts it again."
)
_NOT_TAKEN = SlackProblem(ProblemKind.FAULT, "Slack does not take what the bot sent.", _REPORT)
_SLACKS_OWN = SlackProblem(ProblemKind.PASSING, "Slack has a problem of its own.")

PROBLEMS: Mapping[str, SlackProblem] = MappingProxyType(
    {
        # The token
        **dict.fromkeys(("account_inactive", "token_expired", "token_revoked"), _GONE_TOKEN),
        **dict.fromkeys(("invalid_auth", "not_allowed_token_type", "not_authed"), _BAD_TOKEN),
        # What the app may do
        **dict.fromkeys(
            (
                "access_denied",
                "accesslimited",
                "ekm_access_denied",
                "enterprise_is_restricted",
                "forbidden_team",
                "no_permission",
                "not_allowed",
                "org_login_required",
                "permission_denied",
                "team_access_not_granted",
                "two_factor_setup_required",
            ),
            _NOT_ALLOWED,
        ),
        "missing_scope": SlackProblem(
            ProblemKind.APP, "The app lacks a scope that this needs.", _REINSTALL
        ),
        "not_enabled": SlackProblem(
            ProblemKind.APP, "This is turned off in the app's settings.", _REINSTALL
        ),
        "link_disabled": SlackProblem(
            ProblemKind.APP,
            "Socket Mode is turned off in the app's settings.",
            "Whoever runs the bot turns it on there, or sets the bot up for HTTP.",
        ),
        "too_many_websockets": SlackProblem(
            ProblemKind.APP,
            "The app already has ten connections, the most that Slack allows.",
            "Whoever runs the bot stops replicas, or other programs with its SLACK_APP_TOKEN.",
        ),
        **dict.fromkeys(
            ("paid_only", "paid_teams_only", "plan_upgrade_required"),
            SlackProblem(
                ProblemKind.APP,
                "The workspace's plan does not include this.",
                "Whoever keeps the policy file names channels or people instead of user groups.",
            ),
        ),
        **dict.fromkeys(
            ("deprecated_endpoint", "method_deprecated", "unknown_method"),
            SlackProblem(
                ProblemKind.APP,
                "Slack no longer supports this.",
                "Whoever runs the bot upgrades it.",
            ),
        ),
        # One channel, person or group
        **dict.fromkeys(("is_archived", "is_inactive"), _ARCHIVED),
        "channel_not_found": SlackProblem(
            ProblemKind.PLACE,
            "The bot cannot see this channel.",
            f"{_INVITE} Or whoever keeps the policy file corrects the id.",
        ),
        "not_in_channel": SlackProblem(
            ProblemKind.PLACE, "The bot is not in the channel.", _INVITE
        ),
        **dict.fromkeys(
            (
                "channel_type_not_supported",
                "restricted_action",
                "restricted_action_non_threadable_channel",
                "restricted_action_read_only_channel",
                "restricted_action_thread_locked",
                "restricted_action_thread_only_channel",
            ),
            _READ_ONLY,
        ),
        **dict.fromkeys(
            ("cannot_dm_bot", "messages_tab_disabled", "user_disabled"),
            SlackProblem(
                ProblemKind.PLACE,
                "This person gets no messages from the bot.",
                "A Slack admin looks at the account and at the app's Messages tab.",
            ),
        ),
        **dict.fromkeys(("user_not_found", "user_not_visible", "users_not_found"), _NO_PERSON),
        **dict.fromkeys(("no_such_subteam", "subteam_not_found"), _NO_GROUP),
        # One message
        **dict.fromkeys(
            ("cant_update_message", "edit_window_closed", "message_not_found", "thread_not_found"),
            _STANDS,
        ),
        # What the bot sent
        **dict.fromkeys(
            (
                "invalid_arg_name",
                "invalid_arguments",
                "invalid_array_arg",
                "invalid_blocks",
                "invalid_blocks_format",
                "invalid_charset",
                "invalid_form_data",
                "invalid_json",
                "invalid_post_type",
                "missing_post_type",
                "msg_blocks_too_long",
                "msg_too_long",
                "no_text",
                "view_too_large",
            ),
            _NOT_TAKEN,
        ),
        # What passes
        **dict.fromkeys(
            ("fatal_error", "internal_error", "request_timeout", "service_unavailable"),
            _SLACKS_OWN,
        ),
        **dict.fromkeys(
            ("external_channel_migrating", "team_added_to_org"),
            SlackProblem(ProblemKind.PASSING, "Slack is moving the workspace or the channel."),
        ),
        **dict.fromkeys(
            ("message_limit_exceeded", "rate_limited", "ratelimited"),
            SlackProblem(ProblemKind.PASSING, "Slack limits how often the bot may ask."),
        ),
    }
)
"""Slack's codes and what they mean."""

_NO_SUBTEAM = "is disabled or deleted in Slack"
_NO_PLAN = "does not exist any more, because the workspace's plan has no user groups"
GROUP_GONE: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("no_such_subteam", "subteam_not_found"), _NO_SUBTEAM),
        **dict.fromkeys(("paid_only", "paid_teams_only", "plan_upgrade_required"), _NO_PLAN),
    }
)
"""What is so of a user group where Slack never tells who is in it, until somebody acts.

Source: Slack, "usergroups.users.list", Errors. That a disabled group has the same code as one that
was deleted is not said there; the local Slack does the same. [?]
"""

_UNKNOWN = SlackProblem(ProblemKind.PASSING, "Slack gives a reason that the bot does not know.")
_UNREACHED = SlackProblem(
    ProblemKind.PASSING,
    "Slack does not answer, or the bot cannot reach it; `eks-access doctor` tries it.",
)
_UNSEEN = SlackProblem(
    ProblemKind.PASSING,
    "Slack does not say who is in the channel, and until it does nothing is posted there.",
)
_NO_CODES = frozenset(("closed", "no_hello", "not_connected", "silent"))
"""What the Socket Mode connection says where Slack says nothing; beside the names of errors."""

REFUSED = frozenset(code for code, one in PROBLEMS.items() if one.kind is ProblemKind.PLACE)
"""Why one channel or person gets no message, until somebody changes that."""

STALE = frozenset(code for code, one in PROBLEMS.items() if one.kind is ProblemKind.STALE)
"""Why a message that stands is posted anew."""

BAD_TOKEN = frozenset(code for code, one in PROBLEMS.items() if one.kind is ProblemKind.TOKEN)
"""Why nothing works with this token any more."""

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


def problem_of(code: str) -> SlackProblem:
    """What a code of Slack's means, or the name of what was raised instead of an answer."""
    if code in ("directory_unavailable", "directory_refuses"):  # the bot's own, of a channel
        return _UNSEEN
    unreached = code in _NO_CODES or not code.islower()  # Slack's codes have no capitals
    return PROBLEMS.get(code, _UNREACHED if unreached else _UNKNOWN)


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
