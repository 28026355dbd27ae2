"""Help that fits the person: the commands they have a right to, and what they can ask for."""

from __future__ import annotations

from bot.core.errors import DirectoryUnavailable, DomainError, PolicyUnavailable, StoreUnavailable
from bot.core.model import Person
from bot.core.offers import clusters_for, levels_on, requester_groups
from bot.core.people import Membership
from bot.core.policy import Policy
from bot.core.rights import EVERY_RIGHT, Right, groups_of_rights, rights_of, schedules_of_rights
from bot.slack.blocks import Message
from bot.slack.commands import UnknownCommand
from bot.slack.replies import OFFERS_SHOWN, commands_with, error_reply, help_reply
from bot.slack.sources import Sources
from bot.store import delegations

_NOT_KNOWN = (DirectoryUnavailable, PolicyUnavailable, StoreUnavailable)


class HelpDesk:
    """Safe to use from several threads. It decides nothing: groups may be two minutes old."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def __call__(self, user_id: str) -> Message:
        """What this person may do. Where that cannot be told now, everything there is.

        Raises Refused for those who are no full members.
        """
        try:
            person = self._sources.member(user_id)
            policy = self._sources.policy().policy
            groups = requester_groups(policy) | groups_of_rights(policy)
            membership = self._sources.directory.membership_to_show(groups)
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
            person = self._sources.member(user_id)
            policy = self._sources.policy().policy
            membership = self._sources.directory.membership_to_show(groups_of_rights(policy))
            rights = self._rights(policy, person, membership)
        except _NOT_KNOWN:
            rights = EVERY_RIGHT
        except DomainError as error:
            return error_reply(error)
        return error_reply(UnknownCommand(typed.word, typed.rest, commands_with(rights)))

    def _rights(self, policy: Policy, person: Person, membership: Membership) -> frozenset[Right]:
        with self._sources.database.reading() as tx:
            held = delegations.holding(tx, self._sources.clock())
        on_call = self._sources.on_call(schedules_of_rights(policy))
        return rights_of(policy, person, membership, on_call, held)
