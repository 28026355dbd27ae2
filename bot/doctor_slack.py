"""Whether Slack's side of a set-up can work: tokens, scopes, and the channels posted in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

from bot.core.policy import Policy
from bot.core.policy_approval import Approval
from bot.core.policy_fields import Outside
from bot.core.policy_names import Keys, is_deciding, places_of
from bot.doctor_result import Result, Status, listed
from bot.reconcile.slack_errors import BAD_TOKEN, LACKING, NO_ANSWER, PROBLEMS, problem_of
from bot.settings import Settings, SettingsError

CHANNEL_SCOPES = ("channels:read", "groups:read")
"""Who is in a channel, and whether others are: without them nothing is posted there."""

NEEDED_SCOPES = ("commands", "chat:write", "users:read", *CHANNEL_SCOPES)
"""Bot token scopes without which nothing works; a policy with user groups needs
GROUPS_SCOPE too, one that knows people by their addresses EMAIL_SCOPE."""

GROUPS_SCOPE = "usergroups:read"
EMAIL_SCOPE = "users:read.email"

POST_ANYWHERE = "chat:write.public"


@dataclass(frozen=True, slots=True)
class Slack:
    """An installed app whose bot token works. No `scopes` where Slack did not tell them."""

    client: WebClient
    team_id: str
    scopes: frozenset[str]

    def ask(self, method: str, **arguments: str) -> Any:
        """Call a method. Raises _SlackSays."""
        try:
            return getattr(self.client, method)(**arguments).data
        except NO_ANSWER as error:
            needed = error.response.get("needed") if isinstance(error, SlackApiError) else None
            raise SlackSays(method.replace("_", "."), _code(error), str(needed or "")) from error


class SlackSays(Exception):
    """Slack did not do as it was asked. `code` is its error, or what went wrong on the way.

    `needed` are the scopes that it misses, where it says so.
    """

    def __init__(self, method: str, code: str, needed: str) -> None:
        super().__init__(code)
        self.method = method
        self.code = code
        self.needed = needed


def remedy(slack: Slack, says: SlackSays) -> str:
    """What to do, by the code of the error: what passes, what somebody mends, what is unknown."""
    if says.code == LACKING and says.needed:
        return (
            f"Add the scope {says.needed} under OAuth & Permissions, as in app-manifest.yml, and "
            "install the app again."
        )
    problem = problem_of(says.code)
    if problem.remedy:
        return problem.remedy
    if says.code in PROBLEMS:
        return "Run this again in a minute."
    if says.code.islower():
        return f"Slack's reference of {says.method} says what `{says.code}` means."
    return f"Let the bot reach {slack.client.base_url}."


def connection(settings: Settings) -> Result:
    """Whether Slack can reach the bot, as far as that can be told from here."""
    check = "slack connection"
    try:
        if not settings.socket_mode:
            settings.signing_secret()
            return Result(
                check,
                Status.NOTE,
                "Slack posts to /slack/events, because SLACK_APP_TOKEN is not set. "
                "SLACK_SIGNING_SECRET is, and only a payload from Slack can tell if it is right.",
                "Save the Request URL on the app's page while the bot runs: Slack tries it then.",
            )
        client = WebClient(base_url=settings.slack_api_url, timeout=10)
        client.apps_connections_open(app_token=settings.app_token())
    except SettingsError as error:
        return Result(check, Status.FINDING, str(error))
    except NO_ANSWER as error:
        code = _code(error)
        if code in BAD_TOKEN:
            remedy = "Copy SLACK_APP_TOKEN again: Basic Information, App-Level Tokens."
        elif code == "missing_scope":
            remedy = "Make an app-level token with the scope connections:write."
        else:
            remedy = problem_of(code).remedy or f"Let the bot reach {settings.slack_api_url}."
        said = _said(error, "Slack opens no Socket Mode")
        return Result(check, Status.FINDING, said, remedy)
    return Result(check, Status.OK, "SLACK_APP_TOKEN opens Socket Mode.")


def bot_token(settings: Settings, policy: Policy | None) -> tuple[Slack | None, Result]:
    """Whether the bot token works, and has the scopes that the policy needs."""
    check = "slack bot token"
    try:
        client = WebClient(settings.bot_token(), base_url=settings.slack_api_url, timeout=10)
        client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=5))
        answer = client.auth_test()
    except SettingsError as error:
        return None, Result(check, Status.FINDING, str(error))
    except NO_ANSWER as error:
        code = _code(error)
        remedy = problem_of(code).remedy or f"Let the bot reach {settings.slack_api_url}."
        if code in BAD_TOKEN:
            remedy = "Copy SLACK_BOT_TOKEN again: OAuth & Permissions, Bot User OAuth Token."
        said = _said(error, "Slack does not take it")
        message = f"{said} Channels and owners were not looked at."
        return None, Result(check, Status.FINDING, message, remedy)
    slack = Slack(client, str(answer["team_id"]), _scopes(answer.headers))
    team = f"{answer['team']} ({slack.team_id})"
    missing = [scope for scope in _needed(policy) if scope not in slack.scopes]
    if not slack.scopes:
        result = Result(check, Status.NOTE, f"It works in {team}; Slack did not tell its scopes.")
    elif missing:
        result = Result(
            check,
            Status.FINDING,
            f"It works in {team}, but lacks {listed(missing)}.",
            "Add what is missing under OAuth & Permissions, as in app-manifest.yml; reinstall.",
        )
    else:
        result = Result(check, Status.OK, f"It works in {team}, with every scope it needs.")
    return slack, result


def channels(slack: Slack, policy: Policy, began: Callable[[str], None]) -> Iterator[Result]:
    """Whether the bot can post where the policy says, and nobody else's people read it there."""
    for channel, places in places_of(policy, Outside.CHANNEL).items():
        purposes = [_purpose(keys) for keys in places if not is_deciding(keys)]
        if not purposes:
            continue
        check = f"channel {channel}"
        began(check)
        try:
            shown = slack.ask("conversations_info", channel=channel)["channel"]
        except SlackSays as says:
            status, message, todo = _unseen(slack, says)
        else:
            status, message, todo = _seen(slack, shown)
        yield Result(check, status, f"{message} It serves {listed(purposes)}.", todo)


def approvals(policy: Policy) -> list[tuple[str, Approval]]:
    """Rules by name with who approves, where somebody has to."""
    found = [(rule.name, rule.approval) for rule in policy.rules]
    return [(name, approval) for name, approval in found if isinstance(approval, Approval)]


def _scopes(headers: Mapping[str, Any]) -> frozenset[str]:
    found = [value for name, value in headers.items() if name.lower() == "x-oauth-scopes"]
    text = ",".join(one if isinstance(one, str) else ",".join(one) for one in found)
    return frozenset(scope.strip() for scope in text.split(",") if scope.strip())


def _needed(policy: Policy | None) -> tuple[str, ...]:
    scopes: tuple[str, ...] = NEEDED_SCOPES
    if policy is not None and places_of(policy, Outside.GROUP):
        scopes += (GROUPS_SCOPE,)
    if policy is not None and (policy.principals.template is not None or _by_address(policy)):
        scopes += (EMAIL_SCOPE,)
    return scopes


def _by_address(policy: Policy) -> bool:
    """Whether people on call are recognised by their addresses."""
    asked = any(entry.responders.services for entry in policy.break_glass)
    return asked and bool(policy.principals.email_domains)


def _purpose(keys: Keys) -> str:
    """What the bot posts a channel's messages for."""
    match keys:
        case ("audit_channel",):
            return "the audit channel"
        case ("security_channel",):
            return "the security channel"
        case ("rules", name, "approval", "channel"):
            return f"rule {name}"
    return f"`{'.'.join(keys)}`"


def _unseen(slack: Slack, says: SlackSays) -> tuple[Status, str, str]:
    """What it means that Slack does not describe a channel."""
    if says.code == LACKING:
        return (
            Status.FINDING,
            "The token may not look at it, so the bot posts nothing there.",
            f"Add the scopes {' and '.join(CHANNEL_SCOPES)} and install the app again.",
        )
    todo = remedy(slack, says)
    if says.code == "channel_not_found":
        todo = "Correct its id in the policy file; if the channel is private, invite the bot."
    return Status.FINDING, f"The bot cannot see this channel ({says.code}).", todo


def _seen(slack: Slack, shown: Mapping[str, Any]) -> tuple[Status, str, str]:
    name = f"#{shown['name']}"
    if shown.get("is_archived"):
        return Status.FINDING, f"{name} is archived.", "Unarchive it, or name another channel."
    if shown.get("is_ext_shared") or shown.get("is_pending_ext_shared"):
        return (
            Status.FINDING,
            f"{name} is shared with another organisation, whose people read every request.",
            "Name a channel in which only your own people are.",
        )
    if shown.get("is_member"):
        return Status.OK, f"The bot is in {name}.", ""
    invite = f"Type `/invite @eks-access` in {name}."
    if POST_ANYWHERE in slack.scopes and not shown.get("is_private"):
        return Status.NOTE, f"The bot is not in {name}, and can post there all the same.", invite
    return Status.FINDING, f"The bot is not in {name}.", invite


def _code(error: Exception) -> str:
    if isinstance(error, SlackApiError):
        return str(error.response.get("error") or "no answer that can be read")
    return str(getattr(error, "reason", None) or type(error).__name__)


def _said(error: Exception, refusal: str) -> str:
    """What is so: that Slack refuses, or that no answer came."""
    what = refusal if isinstance(error, SlackApiError) else "No answer came from Slack"
    return f"{what} ({_code(error)})."
