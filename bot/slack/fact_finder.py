"""Asking Slack and on-call services, now, all that deciding one command or click needs."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from bot.access.facts import Facts
from bot.access.tickets import TicketQuestion
from bot.core.errors import Refused
from bot.core.oncall import OnCallFacts, Schedules
from bot.policy_file import LoadedPolicy
from bot.slack.needs import Needs, needs_of, needs_of_start
from bot.slack.people import Directory
from bot.store.database import Database
from bot.store.inbox import Item


class FactFinder:
    """Finds the facts for an item. Safe to use from several threads."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        policy: Callable[[], LoadedPolicy],
        *,
        ticket: TicketQuestion,
        on_call: Callable[[Collection[Schedules]], OnCallFacts],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._directory = directory
        self._policy = policy
        self._ticket = ticket
        self._on_call = on_call
        self._clock = clock

    def of(self, item: Item) -> Facts:
        """The facts as they are now. Raises DomainError where one cannot be had."""
        loaded = self._policy()
        with self._database.reading() as tx:
            needs = needs_of(tx, loaded.policy, item, self._clock())
        if item.team_id is not None and item.team_id != self._directory.team_id():
            raise Refused(
                "other_organisation",
                "You are signed in to another organisation, and only members of this one can use "
                "the bot. Nothing was changed.",
            )
        return self._asked(loaded, needs)

    def of_start(self, request_id: str) -> Facts:
        """The facts on which it hangs whether approved access may begin now."""
        loaded = self._policy()
        with self._database.reading() as tx:
            needs = needs_of_start(tx, loaded.policy, request_id)
        return self._asked(loaded, needs)

    def _asked(self, loaded: LoadedPolicy, needs: Needs) -> Facts:
        told = self._directory.membership_as_told
        membership = self._directory.membership if needs.all_groups else told
        with ThreadPoolExecutor(1, "on-call") as asking:
            # Beside Slack and not after it: whoever breaks glass waits for both.
            on_call = asking.submit(self._on_call, needs.schedules)
            people = self._directory.people(needs.people)
            members = membership(needs.groups)
        return Facts(
            policy=loaded.policy,
            digest=loaded.digest,
            team_id=self._directory.team_id(),
            people=people,
            membership=members,
            now=self._clock(),
            ticket=self._ticket(*needs.ticket) if needs.ticket else None,
            on_call=on_call.result(),
        )
