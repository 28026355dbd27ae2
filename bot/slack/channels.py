"""Channels: who is in one, and whether it is a place for requests at all.

A channel that is shared over Slack Connect is none: people of another organisation read what is
posted there, and its members are not only one's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from slack_sdk.errors import SlackApiError

from bot.core.errors import DirectoryUnavailable
from bot.core.people import Gone
from bot.reconcile.slack_errors import LACKING, SHARED, code_of
from bot.slack.shared_answers import SharedAnswers

_UNFIT_CACHED_SECONDS = 60.0
_PAGE = 1000
_MOST_PAGES = 100

Call = Callable[..., Any]


class Channels:
    """Asks Slack through `call`, which raises DirectoryUnavailable. Safe to use from threads.

    `now` is in seconds and never goes back.
    """

    def __init__(self, call: Call, *, now: Callable[[], float]) -> None:
        self._call = call
        self._now = now
        self._unfit: SharedAnswers[str | None] = SharedAnswers(now)

    def members(self, channel_id: str, *, but: str, urgent: bool) -> frozenset[str]:
        """Who is in the channel now, without the user id `but`, which is the bot's own.

        Gone where nobody may own anything by being in it: it is archived, shared with another
        organisation, or not shown to the bot. Raises DirectoryUnavailable where Slack does not say.
        """
        try:
            shown = self._shown(channel_id, urgent=urgent)
        except DirectoryUnavailable as error:
            if code_behind(error) == "channel_not_found":
                return Gone("is not visible to the bot (invite it)")
            raise
        if shown.get("is_archived"):
            return Gone("is archived")
        if _is_shared(shown):
            return Gone("is shared with another organisation")
        found: set[str] = set()
        cursor = ""
        for _ in range(_MOST_PAGES):
            page = self._call(
                "conversations_members",
                urgent=urgent,
                channel=channel_id,
                limit=_PAGE,
                cursor=cursor,
            )
            found.update(page["members"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return frozenset(found) - {but}
        return Gone(f"has more than {_PAGE * _MOST_PAGES:,} members")

    def unfit(self, channel_id: str) -> str | None:
        """Why nothing may be posted there, at most a minute old: SHARED or LACKING.

        None where it may be, or where Slack itself will say, and for a person, beside whom nobody
        reads it. Raises DirectoryUnavailable where Slack does not answer: then it is not known who
        reads it.
        """
        if not is_channel(channel_id):
            return None
        since = self._now() - _UNFIT_CACHED_SECONDS
        return self._unfit.get(channel_id, lambda: self._why_unfit(channel_id), since=since)

    def _why_unfit(self, channel_id: str) -> str | None:
        try:
            shown = self._call("conversations_info", channel=channel_id)["channel"]
        except DirectoryUnavailable as error:
            code = code_behind(error)
            if code not in {"channel_not_found", LACKING}:
                raise
            # Posting into what the bot does not see fails by itself; here it would not.
            return code if code == LACKING else None
        return SHARED if _is_shared(shown) else None

    def _shown(self, channel_id: str, *, urgent: bool) -> Mapping[str, Any]:
        try:
            told = self._call("conversations_info", urgent=urgent, channel=channel_id)
            shown: Mapping[str, Any] = told["channel"]
        except DirectoryUnavailable as error:
            if code_behind(error) == LACKING:
                lacks = "cannot be read: the bot lacks `channels:read` or `groups:read`"
                raise _no_owners(channel_id, lacks) from error
            raise
        return shown


def is_channel(group_id: str) -> bool:
    """Whether an id among owners' groups is that of a channel."""
    return group_id.startswith(("C", "G"))


def _is_shared(shown: Mapping[str, Any]) -> bool:
    return bool(shown.get("is_ext_shared") or shown.get("is_pending_ext_shared"))


def code_behind(error: DirectoryUnavailable) -> str:
    """What Slack said; "" where it said nothing."""
    cause = error.__cause__
    return code_of(cause) if isinstance(cause, SlackApiError) else ""


def _no_owners(channel_id: str, why: str) -> DirectoryUnavailable:
    return DirectoryUnavailable(
        "channel_unfit",
        f"The members of channel {channel_id} own a rule here, and it {why}. So nothing was "
        "decided, and nothing was granted. Tell whoever keeps the policy file.",
    )
