"""Tell once of a user group or channel through which nobody counts, and when it is back.

A group that was disabled or deleted takes its members' say away, and only who is named beside it
still decides: nobody would notice before they need it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from bot.core.errors import PolicyUnavailable
from bot.core.lifecycle import BOT
from bot.core.model import AuditEvent
from bot.core.people import Gone
from bot.core.policy import Policy
from bot.core.policy_names import Keys, groups_of
from bot.slack import blocks
from bot.slack.blocks import Message
from bot.slack.channels import is_channel
from bot.slack.people import MAX_AGE, Directory
from bot.slack.policy_watch import channels
from bot.slack.text import code, listed
from bot.store import announcements, audit
from bot.store.announcements import GROUP_BACK, GROUP_GONE
from bot.store.claims import Claims
from bot.store.database import Database

log = structlog.get_logger(__name__)

EVERY = timedelta(minutes=1)
"""How often one of the policy's groups is asked about, in turn: a small part of Slack's limits."""

_MOST_PLACES = 5


class GoneGroups:
    """The loop. One worker. What Slack told for a decision meanwhile counts as well as its own."""

    def __init__(
        self,
        database: Database,
        claims: Claims,
        directory: Directory,
        policy: Callable[[], Policy],
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._claims = claims
        self._directory = directory
        self._policy = policy
        self._clock = clock
        self._told: dict[str, bool] = {}
        self._asked_at: datetime | None = None
        self._asked_last = ""

    def forget(self) -> None:
        """Ask the store what was told: it went back to an earlier state."""
        self._told = {}

    def due(self) -> list[str]:
        """The groups of which something else is known than was told, and whose turn it is."""
        groups = sorted(self._groups())
        known = self._directory.remembered(groups)
        changed = [
            group for group in known if self._told.get(group) is not isinstance(known[group], Gone)
        ]
        return list(dict.fromkeys([*changed, *self._turn(groups)]))

    def look(self, group: str) -> None:
        """Tell what there is to tell of the group, unless another replica is at it."""
        groups = self._groups()
        if group not in groups:
            return
        if group in self._turn(sorted(groups)):
            self._asked_at, self._asked_last = self._clock(), group
            self._directory.asking(MAX_AGE).members_or_none(group)
        members = self._directory.remembered([group]).get(group)
        if members is None:
            return
        why = members.why if isinstance(members, Gone) else None
        with self._claims.claim(f"gone group:{group}") as still_held:
            if still_held is None:
                return
            with self._database.transaction() as tx:
                if announcements.group_is_gone(tx, group) is (why is None):
                    self._tell(tx, group, why, groups[group])
        self._told[group] = why is not None

    def _tell(self, tx: Connection, group: str, why: str | None, places: list[Keys]) -> None:
        now = self._clock()
        key = f"{GROUP_BACK if why is None else GROUP_GONE}{group}:{now.isoformat()}"
        said = group_back(group) if why is None else group_gone(group, why, places)
        for channel in channels(self._policy()):
            announcements.announce(
                tx, key=key, channel=channel, text=said.text, blocks=said.blocks, now=now
            )
        action = "group.back" if why is None else "group.gone"
        audit.record(tx, [AuditEvent(now, BOT, action, details={"group": group, "why": why})])
        log.warning("a group of the policy file", group=group, gone=why)

    def _groups(self) -> dict[str, list[Keys]]:
        try:
            return groups_of(self._policy())
        except PolicyUnavailable:
            return {}

    def _turn(self, groups: Sequence[str]) -> list[str]:
        """The group to ask about now: the next after the last one; none within a minute of it."""
        if self._asked_at is not None and abs(self._clock() - self._asked_at) < EVERY:
            return []
        return [*(one for one in groups if one > self._asked_last), *groups][:1]


def group_gone(group: str, why: str, places: Sequence[Keys]) -> Message:
    """The alarm: which group, why, where the policy file names it, and what to do."""
    text = f":warning: {_what(group)} {why}, so nobody counts through it."
    at = dict.fromkeys(code(".".join(keys), 200) for keys in places)
    lines = [
        f"The policy file names it at {listed(list(at), _MOST_PLACES)}.",
        "People who are named there by id, and members of other groups, still count. Automatic "
        "rules behind one that only its members may use give nothing without a review.",
        "A Slack admin can change that, or whoever keeps the policy file can name others.",
    ]
    return Message(text, [blocks.section("gone", text, *lines)])


def group_back(group: str) -> Message:
    """What is said once its members count again."""
    text = f":white_check_mark: {_what(group)} is back in Slack, and its members count again."
    return Message(text, [blocks.section("back", text)])


def _what(group: str) -> str:
    return f"{'Channel' if is_channel(group) else 'User group'} {code(group, 30)}"
