"""Who people are and which groups they are in, asked of Slack anew for each decision.

Everything that keeps Slack from answering ends in DirectoryUnavailable: granting fails closed.
Names, and members for forms to show, are kept for some minutes: neither decides anything.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.core.errors import DirectoryUnavailable
from bot.core.model import Person
from bot.reconcile.slack_errors import NO_ANSWER
from bot.slack.channels import Channels, is_channel

log = structlog.get_logger(__name__)

_NAMES_KEPT_SECONDS = 600.0
_MEMBERS_KEPT_SECONDS = 120.0
_NOBODY = frozenset({"user_not_found", "user_not_visible", "users_not_found"})


class Directory:
    """People and user groups of the installed team. Safe to use from several threads."""

    def __init__(self, client: WebClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._names: dict[str, tuple[float, str]] = {}
        self._members: dict[str, tuple[float, frozenset[str]]] = {}
        self._itself: tuple[str, str] | None = None
        self._channels = Channels(self._call)
        self.unfit = self._channels.unfit

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

    def person(self, user_id: str) -> Person:
        """The person as Slack describes them now. Raises DirectoryUnavailable."""
        user = self._call("users_info", user=user_id)["user"]
        person = _person(user)
        with self._lock:
            self._names[user_id] = (time.monotonic(), person.name)
        return person

    def person_as_told(self, user_id: str) -> Person | None:
        """As `person`, or None where Slack does not describe anybody now.

        Raises DirectoryUnavailable (`unknown_person`) for somebody whom Slack does not know.
        """
        try:
            return self.person(user_id)
        except DirectoryUnavailable as error:
            if error.code == "unknown_person":
                raise
            return None

    def people(self, user_ids: Collection[str]) -> dict[str, Person]:
        """The people, each asked for now."""
        return {user_id: self.person(user_id) for user_id in sorted(user_ids)}

    def membership(self, group_ids: Collection[str]) -> dict[str, frozenset[str]]:
        """The members of the user groups and channels, each asked for now.

        Raises DirectoryUnavailable.
        """
        return {group: self._group(group) for group in sorted(group_ids)}

    def membership_as_told(self, group_ids: Collection[str]) -> dict[str, frozenset[str]]:
        """As `membership`, side by side, and without the groups that Slack does not tell now.

        For decisions that must be possible while Slack tells only half: what then hangs on a group
        that is missing is refused.
        """
        if not group_ids:
            return {}
        with ThreadPoolExecutor(min(len(group_ids), 8), "slack-groups") as asking:
            answers = list(asking.map(self._group_or_none, group_ids))
        told = zip(group_ids, answers, strict=True)
        return {group: members for group, members in told if members is not None}

    def _group_or_none(self, group_id: str) -> frozenset[str] | None:
        try:
            return self._group(group_id)
        except DirectoryUnavailable:
            return None

    def remembered(self, group_ids: Collection[str]) -> dict[str, frozenset[str]]:
        """The members as Slack last told them, at most two minutes ago; asks nobody.

        A group of which that is not known is left out.
        """
        since = time.monotonic() - _MEMBERS_KEPT_SECONDS
        with self._lock:
            known = {group: self._members.get(group) for group in group_ids}
        return {group: kept[1] for group, kept in known.items() if kept and kept[0] > since}

    def membership_to_show(self, group_ids: Collection[str]) -> dict[str, frozenset[str]]:
        """As `remembered`, with Slack asked for the rest; what it does not tell is left out.

        For what is shown, never for a decision.
        """
        known = self.remembered(group_ids)
        for group in sorted(set(group_ids) - known.keys()):
            members = self._group_or_none(group)
            if members is not None:
                known[group] = members
        return known

    def _group(self, group_id: str) -> frozenset[str]:
        if is_channel(group_id):
            members = self._channels.members(group_id, but=self._team_and_user()[1])
        else:
            members = frozenset(self._call("usergroups_users_list", usergroup=group_id)["users"])
        with self._lock:
            self._members[group_id] = (time.monotonic(), members)
        return members

    def names(self, user_ids: Collection[str]) -> Mapping[str, str]:
        """Names to show, as far as Slack tells them; at most some minutes old."""
        names = {}
        for user_id in user_ids:
            with self._lock:
                kept = self._names.get(user_id)
            if kept is not None and time.monotonic() - kept[0] < _NAMES_KEPT_SECONDS:
                names[user_id] = kept[1]
                continue
            try:
                names[user_id] = self.person(user_id).name
            except DirectoryUnavailable:
                continue
        return names

    def forget(self, user_id: str) -> None:
        """Drop what is kept about a person, because Slack says it changed."""
        with self._lock:
            self._names.pop(user_id, None)

    def _call(self, method: str, **arguments: str | int) -> Any:
        try:
            return getattr(self._client, method)(**arguments).data
        except SlackApiError as error:
            code = str(error.response.get("error"))
            log.warning("Slack did not tell who is who", method=method, error=code)
            if code in _NOBODY:
                raise DirectoryUnavailable(
                    "unknown_person", "Slack does not know this person, so nothing was changed."
                ) from error
            if code == "ratelimited":
                # The inbox tries again; a handler that sleeps would hold up everybody else.
                raise DirectoryUnavailable(
                    "try_again",
                    "Slack limits how often the bot may ask who is who, and without that nothing "
                    "is granted. Nothing was changed; in a minute it works again.",
                ) from error
            raise _unavailable(code) from error
        except NO_ANSWER as error:
            log.warning("Slack cannot be reached", method=method, error=type(error).__name__)
            raise _unavailable(type(error).__name__) from error


def _unavailable(code: str) -> DirectoryUnavailable:
    return DirectoryUnavailable(
        "directory_unavailable",
        f"Slack did not say who is who just now ({code}), and without that nothing is granted. "
        "Nothing was changed; the same command or click works once Slack answers.",
    )


def _person(user: Mapping[str, Any]) -> Person:
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
    )
