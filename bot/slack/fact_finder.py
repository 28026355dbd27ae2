"""Asking Slack and on-call services, now, all that deciding one command or click needs."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from functools import partial

from bot.access.end import who_may_revoke
from bot.access.facts import Facts, RevokingFacts
from bot.access.tickets import TicketQuestion
from bot.core.errors import PolicyUnavailable, Refused
from bot.core.oncall import OnCallFacts, Schedules
from bot.core.policy import Policy
from bot.policy_file import LoadedPolicy
from bot.slack.needs import Needs, needs_of, needs_of_start
from bot.slack.people import Directory
from bot.store import requests
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
            raise _other_organisation()
        return self._asked(loaded, needs)

    def of_revoking(self, item: Item) -> RevokingFacts:
        """The facts on which it hangs whether somebody may revoke; without what nobody tells now.

        Raises NotFound for an unknown request, and Refused for somebody of another organisation.
        """
        now = self._clock()
        policy = self._policy_or_none()
        with self._database.reading() as tx:
            request = requests.get(tx, item.document["request_id"])
            groups = who_may_revoke(tx, policy, request, now).groups
        team_id = self._directory.team_id_as_told()
        if None not in {item.team_id, team_id} and item.team_id != team_id:
            raise _other_organisation()
        return RevokingFacts(
            by=item.actor,
            now=now,
            membership=self._directory.membership_as_told(groups),
            policy=policy,
            person=self._directory.person_as_told(item.actor),
            team_id=team_id,
        )

    def _policy_or_none(self) -> Policy | None:
        try:
            return self._policy().policy
        except PolicyUnavailable:
            return None

    def of_start(self, request_id: str) -> Facts:
        """The facts on which it hangs whether approved access may begin now."""
        loaded = self._policy()
        with self._database.reading() as tx:
            needs = needs_of_start(tx, loaded.policy, request_id)
        return self._asked(loaded, needs)

    def _asked(self, loaded: LoadedPolicy, needs: Needs) -> Facts:
        told = self._directory.membership_as_told
        membership = self._directory.membership if needs.all_groups else told
        with ExitStack() as stack:
            on_call: Callable[[], OnCallFacts] = partial(self._on_call, needs.schedules)
            if needs.schedules:
                # Beside Slack and not after it: whoever breaks glass waits for both.
                asking = stack.enter_context(ThreadPoolExecutor(1, "on-call"))
                on_call = asking.submit(on_call).result
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
            on_call=on_call(),
        )


def _other_organisation() -> Refused:
    return Refused(
        "other_organisation",
        "You are signed in to another organisation, and only members of this one can use the bot. "
        "Nothing was changed.",
    )
