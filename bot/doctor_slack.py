"""Whether Slack's side of a set-up can work: tokens, scopes, channels, groups and owners."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

from bot.core.policy import Policy
from bot.core.policy_approval import Approval, OwnerPeople
from bot.doctor_result import Result, Status, count, listed
from bot.reconcile.slack_errors import BAD_TOKEN, NO_ANSWER, problem_of
from bot.settings import Settings, SettingsError

CHANNEL_SCOPES = ("channels:read", "groups:read")
"""Who is in a channel, and whether others are: without them nothing is posted there."""

NEEDED_SCOPES = ("commands", "chat:write", "users:read", *CHANNEL_SCOPES)
"""Bot token scopes without which nothing works; a policy with user groups needs
GROUPS_SCOPE too, one that knows people by their addresses EMAIL_SCOPE."""

GROUPS_SCOPE = "usergroups:read"
EMAIL_SCOPE = "users:read.email"

POST_ANYWHERE = "chat:write.public"


Members = Mapping[str, frozenset[str]]


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
            raise _SlackSays(_code(error)) from error


class _SlackSays(Exception):
    """Slack did not do as it was asked. `code` is its error, or what went wrong on the way."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


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
        client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=2))
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
    used: dict[str, list[str]] = {}
    for channel, purpose in (
        (policy.audit_channel, "the audit channel"),
        (policy.security_channel, "the security channel"),
        *((approval.channel, f"rule {name}") for name, approval in _approvals(policy)),
    ):
        if channel is not None:
            used.setdefault(channel, []).append(purpose)
    for channel, purposes in used.items():
        check = f"channel {channel}"
        began(check)
        try:
            shown = slack.ask("conversations_info", channel=channel)["channel"]
        except _SlackSays as says:
            status, message, remedy = _unseen(says.code)
        else:
            status, message, remedy = _seen(slack, shown)
        yield Result(check, status, f"{message} It serves {listed(purposes)}.", remedy)


def owners(slack: Slack, policy: Policy, began: Callable[[str], None]) -> Iterator[Result]:
    """Whether the policy's user groups have members, and each rule enough owners."""
    owning = {group for _, approval in _approvals(policy) for group in approval.owners.groups}
    members: dict[str, frozenset[str]] = {}
    for group in sorted(_groups(policy)):
        check = f"user group {group}"
        began(check)
        try:
            members[group] = frozenset(slack.ask("usergroups_users_list", usergroup=group)["users"])
        except _SlackSays as says:
            message = f"Slack does not say who is in it ({says.code})."
            again = "Run this again in a minute."
            yield Result(check, Status.FINDING, message, problem_of(says.code).remedy or again)
            continue
        if members[group]:
            yield Result(check, Status.OK, f"It has {count(len(members[group]), 'member')}.")
        else:
            status = Status.FINDING if group in owning else Status.NOTE
            yield Result(check, status, "Nobody is in it.", "Add people to it in Slack.")
    for channel in sorted(_owning(policy)):
        check = f"members of {channel}"
        began(check)
        try:
            page = slack.ask("conversations_members", channel=channel)["members"]
        except _SlackSays as says:
            message = f"Slack does not say who is in it ({says.code})."
            yield Result(check, Status.FINDING, message, "Invite the bot, or name other owners.")
            continue
        members[channel] = frozenset(page)
        message = f"Its members decide here; it has {len(page)} at least."
        if _joinable(slack, channel):
            yield Result(
                check,
                Status.NOTE,
                f"{message} It is public: everybody here can join it, and then decides.",
                "Make it private in Slack, or name a user group as owners.",
            )
        else:
            yield Result(check, Status.OK, message)
    for name, approval in _approvals(policy):
        began(f"owners of {name}")
        yield _owners_of(slack, name, approval, members)


def _scopes(headers: Mapping[str, Any]) -> frozenset[str]:
    found = [value for name, value in headers.items() if name.lower() == "x-oauth-scopes"]
    text = ",".join(one if isinstance(one, str) else ",".join(one) for one in found)
    return frozenset(scope.strip() for scope in text.split(",") if scope.strip())


def _needed(policy: Policy | None) -> tuple[str, ...]:
    scopes: tuple[str, ...] = NEEDED_SCOPES
    if policy is not None and _groups(policy):
        scopes += (GROUPS_SCOPE,)
    if policy is not None and (policy.principals.template is not None or _by_address(policy)):
        scopes += (EMAIL_SCOPE,)
    return scopes


def _by_address(policy: Policy) -> bool:
    """Whether people on call are recognised by their addresses."""
    asked = any(entry.responders.services for entry in policy.break_glass)
    return asked and bool(policy.principals.email_domains)


def _approvals(policy: Policy) -> list[tuple[str, Approval]]:
    """Rules by name with who approves, where somebody has to."""
    found = [(rule.name, rule.approval) for rule in policy.rules]
    return [(name, approval) for name, approval in found if isinstance(approval, Approval)]


def _groups(policy: Policy) -> set[str]:
    """The user groups that this version asks Slack about."""
    people = [rule.requesters for rule in policy.rules if rule.requesters is not None]
    people += [approval.owners for _, approval in _approvals(policy)]
    return {group for one in people for group in one.groups}


def _owning(policy: Policy) -> set[str]:
    """The channels whose members decide: approve, review a break-glass, revoke or lock down."""
    people: list[OwnerPeople] = []
    for _, approval in _approvals(policy):
        people += [approval.owners, *(part.owners for part in approval.also)]
        people += [approval.escalate.owners] if approval.escalate is not None else []
    for entry in policy.break_glass:
        people += [entry.review.owners]
        people += [entry.review.escalate.owners] if entry.review.escalate is not None else []
    if policy.lockdown is not None:
        people += [policy.lockdown.owners]
    return {channel for one in people for channel in one.channels}


def _joinable(slack: Slack, channel: str) -> bool:
    """Whether everybody can join it; where Slack does not say, that is told of the channel."""
    try:
        return not slack.ask("conversations_info", channel=channel)["channel"].get("is_private")
    except _SlackSays:
        return False


def _unseen(code: str) -> tuple[Status, str, str]:
    """What it means that Slack does not describe a channel."""
    if code == "missing_scope":
        return (
            Status.FINDING,
            "The token may not look at it, so the bot posts nothing there.",
            f"Add the scopes {' and '.join(CHANNEL_SCOPES)} and install the app again.",
        )
    remedy = problem_of(code).remedy or "Run this again in a minute."
    if code == "channel_not_found":
        remedy = "Correct its id in the policy file; if the channel is private, invite the bot."
    return Status.FINDING, f"The bot cannot see this channel ({code}).", remedy


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


def _owners_of(slack: Slack, name: str, approval: Approval, members: Members) -> Result:
    """Whether enough people own a rule. Members of groups are not looked at one by one."""
    check = f"owners of {name}"
    named = approval.owners.owners
    problems = {user: why for user in sorted(named.users) if (why := _cannot(slack, user))}
    able = (named.users - problems.keys()).union(*(members.get(g, ()) for g in named.groups))
    message = f"{count(len(able), 'person', 'people')} can approve, and {approval.required} must."
    if len(able) < approval.required or problems:
        return Result(
            check,
            Status.FINDING,
            " ".join([message, *problems.values()]),
            "Correct the rule's owners in the policy file, or their groups in Slack.",
        )
    return Result(check, Status.OK, message)


def _cannot(slack: Slack, user: str) -> str | None:
    """Why a person can approve nothing, or None."""
    try:
        shown = slack.ask("users_info", user=user)["user"]
    except _SlackSays as says:
        return f"Slack does not describe {user} ({says.code})."
    if shown.get("is_stranger") or shown.get("team_id") != slack.team_id:
        return f"{user} is of another organisation."
    kinds = {
        "deleted": "deactivated",
        "is_bot": "a bot",
        "is_restricted": "a guest",
        "is_ultra_restricted": "a guest",
    }
    return next((f"{user} is {kind}." for key, kind in kinds.items() if shown.get(key)), None)


def _code(error: Exception) -> str:
    if isinstance(error, SlackApiError):
        return str(error.response.get("error") or "no answer that can be read")
    return str(getattr(error, "reason", None) or type(error).__name__)


def _said(error: Exception, refusal: str) -> str:
    """What is so: that Slack refuses, or that no answer came."""
    what = refusal if isinstance(error, SlackApiError) else "No answer came from Slack"
    return f"{what} ({_code(error)})."
