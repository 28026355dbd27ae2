"""Asking Slack, now, everything that deciding one command or click needs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from bot.access.facts import Facts
from bot.access.tickets import TicketQuestion, ticket_to_check
from bot.core.decide import groups_needed
from bot.core.errors import Refused
from bot.policy_file import LoadedPolicy
from bot.slack.carry_out import asked
from bot.slack.people import Directory
from bot.store import requests
from bot.store.database import Database
from bot.store.inbox import Item, Kind


class FactFinder:
    """Finds the facts for an item. Safe to use from several threads."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        policy: Callable[[], LoadedPolicy],
        *,
        ticket: TicketQuestion,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._directory = directory
        self._policy = policy
        self._ticket = ticket
        self._clock = clock

    def of(self, item: Item) -> Facts:
        """The facts as they are now. Raises DomainError where one cannot be had."""
        loaded = self._policy()
        people = {item.actor}
        groups: frozenset[str] = frozenset()
        ask = None
        if item.kind is Kind.REQUEST:
            ask = asked(item)
        elif item.kind is Kind.EXTEND:
            with self._database.reading() as tx:
                ask = requests.get(tx, item.document["request_id"]).ask
        elif item.kind in (Kind.APPROVE, Kind.DENY):
            with self._database.reading() as tx:
                request = requests.get(tx, item.document["request_id"])
                reviews = requests.reviews_of(tx, request.id)
            people |= {request.requester, *(one.reviewer for one in reviews)}
            ask = request.ask
        elif item.kind is Kind.LOCKDOWN and loaded.policy.lockdown is not None:
            groups = loaded.policy.lockdown.owners.owners.groups
        checked = None
        if ask is not None:
            groups = groups_needed(loaded.policy, ask)
            checked = ticket_to_check(loaded.policy, ask) if item.kind is not Kind.DENY else None
        team_id = self._directory.team_id()
        if item.team_id is not None and item.team_id != team_id:
            raise Refused(
                "other_organisation",
                "You are signed in to another organisation, and only members of this one can use "
                "the bot. Nothing was changed.",
            )
        return Facts(
            policy=loaded.policy,
            digest=loaded.digest,
            team_id=team_id,
            people=self._directory.people(people),
            membership=self._directory.membership(groups),
            now=self._clock(),
            ticket=self._ticket(*checked) if checked else None,
        )
