"""Help that fits the person: the commands they have a right to, and what they can ask for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from bot.core.errors import DirectoryUnavailable, DomainError, PolicyUnavailable, StoreUnavailable
from bot.core.model import Person
from bot.core.offers import clusters_for, levels_on, requester_groups
from bot.core.oncall import OnCallFacts, Schedules
from bot.core.people import Membership
from bot.core.policy import Policy
from bot.core.rights import EVERY_RIGHT, Right, groups_of_rights, rights_of, schedules_of_rights
from bot.policy_file import LoadedPolicy
from bot.slack.blocks import Message
from bot.slack.commands import UnknownCommand
from bot.slack.people import Directory
from bot.slack.replies import OFFERS_SHOWN, commands_with, error_reply, help_reply
from bot.store import delegations
from bot.store.database import Database

_NOT_KNOWN = (DirectoryUnavailable, PolicyUnavailable, StoreUnavailable)


class HelpDesk:
    """Safe to use from several threads. It decides nothing: groups may be two minutes old.

    `member` gives a full member of the workspace, and raises Refused for anybody else.
    """

    def __init__(
        self,
        database: Database,
        directory: Directory,
        policy: Callable[[], LoadedPolicy],
        *,
        member: Callable[[str], Person],
        on_call: Callable[[Collection[Schedules]], OnCallFacts],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._directory = directory
        self._policy = policy
        self._member = member
        self._on_call = on_call
        self._clock = clock

    def __call__(self, user_id: str) -> Message:
        """What this person may do. Where that cannot be told now, everything there is.

        Raises Refused for those who are no full members.
        """
        try:
            person = self._member(user_id)
            policy = self._policy().policy
            groups = requester_groups(policy) | groups_of_rights(policy)
            membership = self._directory.membership_to_show(groups)
            rights = self._rights(policy, person, membership)
        except _NOT_KNOWN:
            return help_reply()
        clusters = clusters_for(policy, person, membership)
        offers = [
            (one.name, levels_on(policy, one.name, person, membership))
            for one in clusters[:OFFERS_SHOWN]
        ]
        return help_reply(
            rights=rights,
            offers=offers,
            more=len(clusters) - len(offers),
        )

    def unknown(self, typed: UnknownCommand, user_id: str) -> Message:
        """What is nearest to what was typed, among the commands that this person can use."""
        try:
            person = self._member(user_id)
            policy = self._policy().policy
            membership = self._directory.membership_to_show(groups_of_rights(policy))
            rights = self._rights(policy, person, membership)
        except _NOT_KNOWN:
            rights = EVERY_RIGHT
        except DomainError as error:
            return error_reply(error)
        return error_reply(UnknownCommand(typed.word, typed.rest, commands_with(rights)))

    def _rights(self, policy: Policy, person: Person, membership: Membership) -> frozenset[Right]:
        with self._database.reading() as tx:
            held = delegations.holding(tx, self._clock())
        on_call = self._on_call(schedules_of_rights(policy))
        return rights_of(policy, person, membership, on_call, held)
