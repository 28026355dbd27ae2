"""What the policy file says of break-glass: who may, and who looks at it afterwards."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import Annotated

from pydantic import Field

from bot.core.policy_approval import Entry, Escalation, OwnerPeople, People
from bot.core.policy_fields import Length, UserId

MAX_LIVE = 3
"""How many break-glasses one person may have at once where the file does not say: a few places in
one incident, and not every cluster there is on the strength of one duty."""

MOST_LIVE = 100

ServiceId = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]


class OnCallSchedules(Entry):
    """People who are on call now, at the first level of one of these schedules.

    `users` maps the service's user ids to Slack user ids. Who is not in it is known by a confirmed
    email address on one of the `principals.email_domains`.
    """

    schedules: tuple[ServiceId, ...] = Field(min_length=1)
    users: dict[ServiceId, UserId] = Field(default_factory=dict)


class Responders(People):
    """Who may break glass: users, user groups, and who is on call now.

    `fallback` counts only while an on-call service does not answer.
    """

    pagerduty: OnCallSchedules | None = None
    opsgenie: OnCallSchedules | None = None
    fallback: People | None = None

    @cached_property
    def services(self) -> dict[str, OnCallSchedules]:
        """The on-call services asked, by name."""
        named = {"pagerduty": self.pagerduty, "opsgenie": self.opsgenie}
        return {name: one for name, one in named.items() if one is not None}

    @cached_property
    def groups_needed(self) -> frozenset[str]:
        """The user groups whose members must be known to decide."""
        fallback = self.fallback.owners.groups if self.fallback is not None else frozenset()
        return self.owners.groups | fallback

    def _anybody(self) -> bool:
        return super()._anybody() or bool(self.services)


class LaterReview(Entry):
    """Who looks at a break-glass afterwards, and within which time of its beginning.

    They are reminded after `remind_after`, by default half of that time. `escalate` names others
    who may review as well, once that time has passed too.
    """

    owners: OwnerPeople
    within: Length
    remind_after: Length | None = None
    escalate: Escalation | None = None

    @property
    def reminds_after(self) -> timedelta:
        return self.remind_after if self.remind_after is not None else self.within / 2

    @cached_property
    def groups(self) -> frozenset[str]:
        """The ids of groups and channels whose members must be known to decide."""
        later = self.escalate.owners.owners.groups if self.escalate is not None else frozenset()
        return self.owners.owners.groups | later
