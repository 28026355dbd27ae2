"""Who people are and which groups they are in, asked of Slack for each decision.

Everything that keeps Slack from answering ends in DirectoryUnavailable: granting fails closed.
How old what is decided by may be is the rule of `bot.slack.shared_answers`; names, and members for
forms to show, are kept for some minutes and decide nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.core.errors import DirectoryUnavailable
from bot.core.model import Person
from bot.core.people import Gone
from bot.core.retry_after import retry_after
from bot.reconcile.slack_errors import GROUP_GONE, NO_ANSWER, code_of, problem_of
from bot.slack.call_budget import CallBudget, Limited
from bot.slack.channels import Channels, code_behind, is_channel
from bot.slack.shared_answers import SharedAnswers

V = TypeVar("V")

log = structlog.get_logger(__name__)

MAX_AGE = timedelta(seconds=30)
"""How old what Slack told may be where somebody only asks for something, or opens a form."""

_NAMES_CACHED_SECONDS = 600.0
_MEMBERS_CACHED = timedelta(minutes=2)
_NOBODY = frozenset({"user_not_found", "user_not_visible", "users_not_found"})


class Directory:
    """People and user groups of the installed team. Safe to use from several threads.

    `now` is in seconds and never goes back.
    """

    def __init__(self, client: WebClient, *, now: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._now = now
        self._budget = CallBudget(now)
        self._people: SharedAnswers[Person] = SharedAnswers(now)
        self._groups: SharedAnswers[frozenset[str]] = SharedAnswers(now)
        self._itself: tuple[str, str] | None = None
        self._channels = Channels(self._call, now=now)
        self.unfit = self._channels.unfit

    def asking(self, age: timedelta = timedelta(), *, urgent: bool = False) -> Asking:
        """What decides one thing: answers whose calls began at most `age` ago, or begin now.

        `urgent` is for what must not wait: see `Asking`.
        """
        since = self._now() - min(max(age, timedelta()), MAX_AGE).total_seconds()
        return Asking(self, since, urgent=urgent)

    def team_id(self) -> str:
        """The installed team's id."""
        return self._team_and_user()[0]

    def team_id_as_told(self) -> str | None:
        """As `team_id`, or None where Slack does not say now."""
        try:
            return self.team_id()
        except DirectoryUnavailable:
            return None

    def _team_and_user(self) -> tuple[str, str]:
        """The installed team's id, and the bot's own user id there."""
        if self._itself is None:
            shown = self._call("auth_test")
            self._itself = str(shown["team_id"]), str(shown["user_id"])
        return self._itself

    def remembered(
        self, group_ids: Collection[str], age: timedelta = _MEMBERS_CACHED
    ) -> dict[str, frozenset[str]]:
        """The members as Slack last told them, at most so long ago; asks nobody.

        A group of which that is not known is left out.
        """
        known = {group: self._groups.cached(group, age.total_seconds()) for group in group_ids}
        return {group: members for group, members in known.items() if members is not None}

    def remembered_people(self, user_ids: Collection[str], age: timedelta) -> dict[str, Person]:
        """As `remembered`, of people."""
        known = {user: self._people.cached(user, age.total_seconds()) for user in user_ids}
        return {user: person for user, person in known.items() if person is not None}

    def membership_to_show(self, group_ids: Collection[str]) -> dict[str, frozenset[str]]:
        """As `remembered`, with Slack asked for the rest; what it does not tell is left out.

        For what is shown, never for a decision.
        """
        known = self.remembered(group_ids)
        asking = self.asking(MAX_AGE)
        for group in sorted(set(group_ids) - known.keys()):
            members = asking.members_or_none(group)
            if members is not None:
                known[group] = members
        return known

    def names(self, user_ids: Collection[str]) -> Mapping[str, str]:
        """Names to show, as far as Slack tells them; at most some minutes old."""
        names = {}
        asking = self.asking(MAX_AGE)
        for user_id in user_ids:
            kept = self._people.cached(user_id, _NAMES_CACHED_SECONDS)
            try:
                names[user_id] = kept.name if kept is not None else asking.person(user_id).name
            except DirectoryUnavailable:
                continue
        return names

    def forget_person(self, user_id: str) -> None:
        """Drop what is kept about a person, because Slack says it changed."""
        self._people.forget(user_id)

    def forget_group(self, group_id: str) -> None:
        """Drop who is in a user group or channel, because Slack says it changed."""
        self._groups.forget(group_id)

    def tell_person(self, user_id: str, *, since: float, urgent: bool) -> Person:
        """The person by a call that began at `since` or later. Raises DirectoryUnavailable."""

        def ask() -> Person:
            return person_of(self._call("users_info", urgent=urgent, user=user_id)["user"])

        return _or_cached(self._people, user_id, ask, since=since, urgent=urgent)

    def tell_members(self, group_id: str, *, since: float, urgent: bool) -> frozenset[str]:
        """The members by calls that began at `since` or later. Raises DirectoryUnavailable.

        Gone where nobody counts through it, until somebody acts.
        """

        def ask() -> frozenset[str]:
            if is_channel(group_id):
                itself = self._team_and_user()[1]
                return self._channels.members(group_id, but=itself, urgent=urgent)
            return self._user_group(group_id, urgent=urgent)

        return _or_cached(self._groups, group_id, ask, since=since, urgent=urgent)

    def _user_group(self, group_id: str, *, urgent: bool) -> frozenset[str]:
        try:
            told = self._call("usergroups_users_list", urgent=urgent, usergroup=group_id)
        except DirectoryUnavailable as error:
            why = GROUP_GONE.get(code_behind(error))
            if why is None:
                raise
            return Gone(why)
        return frozenset(told["users"])

    def _call(self, method: str, *, urgent: bool = False, **arguments: str | int) -> Any:
        self._budget.take(method, reserved=urgent)
        try:
            return getattr(self._client, method)(**arguments).data
        except SlackApiError as error:
            code = code_of(error)
            log.warning("Slack did not tell who is who", method=method, error=code)
            if code in _NOBODY:
                raise DirectoryUnavailable(
                    "unknown_person", "Slack does not know this person, so nothing was changed."
                ) from error
            if code == "ratelimited":
                # The inbox tries again; a handler that sleeps would hold up everybody else.
                asked = retry_after(error.response.headers)
                raise self._budget.refused(method, asked) from error
            raise _unavailable(code) from error
        except NO_ANSWER as error:
            log.warning("Slack cannot be reached", method=method, error=type(error).__name__)
            raise _unavailable(type(error).__name__) from error


class Asking:
    """The questions of one decision: each is answered by a call that began at `since` or later.

    What is urgent has a reserve of each method's budget, and where that too is used up it takes
    what is at most MAX_AGE old. `limited` is the last limit that left a group or a person out.
    """

    def __init__(self, directory: Directory, since: float, *, urgent: bool) -> None:
        self._directory = directory
        self._since = since
        self._urgent = urgent
        self.limited: Limited | None = None

    def person(self, user_id: str) -> Person:
        """The person. Raises DirectoryUnavailable."""
        return self._directory.tell_person(user_id, since=self._since, urgent=self._urgent)

    def people(self, user_ids: Collection[str]) -> dict[str, Person]:
        """The people, one after the other. Raises DirectoryUnavailable."""
        return {user_id: self.person(user_id) for user_id in sorted(user_ids)}

    def person_as_told(self, user_id: str) -> Person | None:
        """As `person`, or None where Slack does not describe anybody now.

        Raises DirectoryUnavailable (`unknown_person`) for somebody whom Slack does not know.
        """
        try:
            return self.person(user_id)
        except DirectoryUnavailable as error:
            if error.code == "unknown_person":
                raise
            self._note(error)
            return None

    def membership(self, group_ids: Collection[str]) -> dict[str, frozenset[str]]:
        """The members of the user groups and channels. Raises DirectoryUnavailable."""
        return {group: self._members(group) for group in sorted(group_ids)}

    def membership_as_told(self, group_ids: Collection[str]) -> dict[str, frozenset[str]]:
        """As `membership`, side by side, and without the groups that Slack does not tell now.

        For decisions that must be possible while Slack tells only half: what then hangs on a group
        that is missing is refused. Raises Limited where that is not urgent: it can wait.
        """
        if not group_ids:
            return {}
        with ThreadPoolExecutor(min(len(group_ids), 8), "slack-groups") as asking:
            answers = list(asking.map(self.members_or_none, group_ids))
        if self.limited is not None and not self._urgent:
            raise self.limited
        told = zip(group_ids, answers, strict=True)
        return {group: members for group, members in told if members is not None}

    def members_or_none(self, group_id: str) -> frozenset[str] | None:
        """The members, or None where Slack does not tell them now."""
        try:
            return self._members(group_id)
        except DirectoryUnavailable as error:
            self._note(error)
            return None

    def _members(self, group_id: str) -> frozenset[str]:
        return self._directory.tell_members(group_id, since=self._since, urgent=self._urgent)

    def _note(self, error: DirectoryUnavailable) -> None:
        if isinstance(error, Limited):
            self.limited = error


def _or_cached(
    answers: SharedAnswers[V], key: str, ask: Callable[[], V], *, since: float, urgent: bool
) -> V:
    """A new enough answer; for what is urgent, one that is kept where Slack may not be asked."""
    try:
        return answers.get(key, ask, since=since, urgent=urgent)
    except Limited:
        kept = answers.cached(key, MAX_AGE.total_seconds()) if urgent else None
        if kept is None:
            raise
        return kept


def _unavailable(code: str) -> DirectoryUnavailable:
    known = problem_of(code)
    if known.stays:
        return DirectoryUnavailable(
            "directory_refuses",
            f"Slack does not tell the bot who is who ({code}), and without that nothing is "
            f"granted. Nothing was changed. {known.sentence}",
        )
    return DirectoryUnavailable(
        "directory_unavailable",
        f"Slack did not say who is who just now ({code}), and without that nothing is granted. "
        "Nothing was changed; the same command or click works once Slack answers.",
    )


def person_of(user: Mapping[str, Any]) -> Person:
    """Somebody as the user object of Slack describes them."""
    profile = user.get("profile") or {}
    name = profile.get("display_name") or user.get("real_name") or user.get("name") or user["id"]
    return Person(
        id=user["id"],
        team_id=user.get("team_id", ""),
        name=name,
        email=profile.get("email"),
        email_confirmed=bool(user.get("is_email_confirmed")),
        time_zone=user.get("tz") or "UTC",
        deleted=bool(user.get("deleted")),
        is_bot=bool(user.get("is_bot")) or user["id"] == "USLACKBOT",
        is_guest=bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
        is_stranger=bool(user.get("is_stranger")),
        teams=frozenset((user.get("enterprise_user") or {}).get("teams") or ()),
    )
