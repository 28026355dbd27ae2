"""What a rule says of approval: who decides, how many of them, when others are asked as well.

People are named by Slack ids alone. The members of a channel can be owners too; a channel's id then
stands among the groups, because both are answered for in the same way: by who is in it now.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bot.core.model import Owners
from bot.core.policy_fields import ChannelId, GroupId, Length, PartName, PolicyFault, UserId

MOST_APPROVERS = 10
MOST_PARTS = 5
MOST_PER_DAY = 1000
LAPSE_AFTER = timedelta(hours=1)
"""How long a request waits for its owners where the rule does not say: somebody is blocked by it,
and an approval given hours later is an answer to a question nobody asks any more."""

Required = Annotated[int, Field(strict=True, ge=1, le=MOST_APPROVERS)]


class Entry(BaseModel):
    """What every entry of the file has in common: no unknown keys, and it never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class People(Entry):
    """Slack users and Slack user groups: at least one of them."""

    users: tuple[UserId, ...] = ()
    groups: tuple[GroupId, ...] = ()

    @cached_property
    def owners(self) -> Owners:
        return Owners(users=frozenset(self.users), groups=frozenset(self.groups))

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not self._anybody():
            raise PolicyFault(
                "This names nobody.", "Write `users: [U02BOB7QX]` or `groups: [S02PAYLEADS]`."
            )
        return self

    def _anybody(self) -> bool:
        return bool(self.users or self.groups)


class OwnerPeople(People):
    """Who may decide: users, user groups, or the members of channels."""

    channels: tuple[ChannelId, ...] = ()

    @cached_property
    def owners(self) -> Owners:
        return Owners(
            users=frozenset(self.users), groups=frozenset(self.groups) | frozenset(self.channels)
        )

    def _anybody(self) -> bool:
        return super()._anybody() or bool(self.channels)


class Escalation(Entry):
    """Whom to ask as well, where nobody has decided after a while. Before that they are no owners.

    They count as owners of the rule's first part from then on, so that one who is away cannot keep
    a request from being decided.
    """

    after: Length
    channel: ChannelId
    owners: OwnerPeople


class FurtherApproval(Entry):
    """Owners who have to approve as well, each with a number of their own: security, say."""

    name: PartName
    owners: OwnerPeople
    required: Required = 1
    channel: ChannelId | None = None


class DelegationTerms(Entry):
    """Whether owners may name a deputy: for how long at most, and among whom.

    No `to`: any full member of the workspace.
    """

    longest: Length
    to: People | None = None


class Approval(Entry):
    """Who approves: `required` distinct `owners`, asked in `channel`, within `lapse_after`.

    `also` are further owners who have to approve besides. Nobody counts twice within one rule.
    """

    channel: ChannelId
    owners: OwnerPeople
    required: Required = 1
    also: tuple[FurtherApproval, ...] = Field(default=(), max_length=MOST_PARTS)
    lapse_after: Length = LAPSE_AFTER
    remind_after: Length | None = None
    escalate: Escalation | None = None
    delegation: DelegationTerms | None = None

    @cached_property
    def groups(self) -> frozenset[str]:
        """The ids of groups and channels whose members must be known to decide."""
        groups = self.owners.owners.groups
        for part in self.also:
            groups |= part.owners.owners.groups
        if self.escalate is not None:
            groups |= self.escalate.owners.owners.groups
        if self.delegation is not None and self.delegation.to is not None:
            groups |= self.delegation.to.owners.groups
        return groups


class Caps(Entry):
    """How much one person is given automatically within 24 hours; beyond that the rule is skipped.

    Then the next rule that matches decides, which may ask owners.
    """

    per_day: Annotated[int, Field(strict=True, ge=1, le=MOST_PER_DAY)] | None = None
    time_per_day: Length | None = None

    @property
    def limited(self) -> bool:
        return self.per_day is not None or self.time_per_day is not None


class Automatic(Entry):
    """Nobody has to approve, within limits; it is shown in `channel` all the same."""

    automatic: Caps
    channel: ChannelId | None = None
