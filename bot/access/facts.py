"""What is so at the moment of a decision: the policy in force, the people, the groups, the time.

Read afresh for every decision, because a click is decided by what is true when it is made
and handed to the use cases as a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bot.core.errors import Conflict
from bot.core.model import Delegation, Person
from bot.core.oncall import OnCallFacts
from bot.core.policy import Policy
from bot.core.tickets import TicketStatus


@dataclass(frozen=True, slots=True)
class Facts:
    """`digest` is the policy file's; `team_id` is the installed Slack team's.

    `membership` maps ids of user groups and channels to user ids, for each that the decision needs;
    `delegations` are those of whoever reviews, read in the transaction that decides. `ticket` is
    the status of the request's ticket, where the decision may hang on it; `on_call` says who is on
    call, for the schedules that it needs.
    """

    policy: Policy
    digest: str
    team_id: str
    people: Mapping[str, Person]
    membership: Mapping[str, frozenset[str]]
    now: datetime
    delegations: tuple[Delegation, ...] = ()
    ticket: TicketStatus | None = None
    on_call: OnCallFacts = field(default_factory=dict)

    def person(self, user_id: str) -> Person:
        """The person. Raises Conflict (`try_again`) where Slack was not asked."""
        try:
            return self.people[user_id]
        except KeyError as error:
            # Somebody reviewed while the others were being looked up: look all of them up again.
            raise Conflict(
                "try_again", "Somebody else decided at the same moment. Nothing was changed."
            ) from error

    def revoking(self, user_id: str) -> RevokingFacts:
        """What revoking by this person hangs on."""
        return RevokingFacts(
            user_id, self.now, self.membership, self.policy, self.person(user_id), self.team_id
        )


@dataclass(frozen=True, slots=True)
class RevokingFacts:
    """What is so when `by` takes access away. None is what cannot be told now.

    Nothing here keeps anybody waiting: `policy` is None where none is in force, `person` where
    Slack does not describe them, `team_id` where it does not say which workspace this is.
    """

    by: str
    now: datetime
    membership: Mapping[str, frozenset[str]]
    policy: Policy | None = None
    person: Person | None = None
    team_id: str | None = None
