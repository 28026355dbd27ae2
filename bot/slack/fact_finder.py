"""Asking Slack and on-call services all that deciding one command or click needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from bot.access.end import who_may_revoke
from bot.access.facts import Facts, RevokingFacts
from bot.access.tickets import TicketQuestion
from bot.core.errors import DirectoryUnavailable, PolicyUnavailable, Refused
from bot.core.model import Person
from bot.core.oncall import OnCallFacts, Schedules
from bot.core.policy import Policy
from bot.policy_file import LoadedPolicy
from bot.slack.needs import ASKS_ONLY, URGENT, Needs, ensure_worth_asking, needs_of, needs_of_start
from bot.slack.people import MAX_AGE, Asking, Directory
from bot.store import requests
from bot.store.database import Database
from bot.store.inbox import REVOKING, Item, Kind


class FactFinder:
    """Finds the facts for an item. Safe to use from several threads.

    `refused` says whether somebody was just refused anything of these kinds. `policy_soon` gives
    the policy to revoke by, which may not wait for a file that is being read.
    """

    def __init__(
        self,
        database: Database,
        directory: Directory,
        policy: Callable[[], LoadedPolicy],
        *,
        ticket: TicketQuestion,
        on_call: Callable[[Collection[Schedules]], OnCallFacts],
        clock: Callable[[], datetime],
        refused: Callable[[str, frozenset[Kind]], bool] = lambda *_: False,
        policy_soon: Callable[[], LoadedPolicy] | None = None,
    ) -> None:
        self._database = database
        self._directory = directory
        self._policy = policy
        self._policy_soon = policy_soon or policy
        self._ticket = ticket
        self._on_call = on_call
        self._clock = clock
        self._refused = refused

    @contextmanager
    def of(self, item: Item) -> Iterator[Facts]:
        """The facts, to decide by. Raises DomainError where one cannot be had.

        What the store alone refuses is refused before anybody is asked. Raises Limited where a
        decision in the block hangs on a group about which Slack may not be asked now.
        """
        loaded, now = self._policy(), self._clock()
        with self._database.reading() as tx:
            ensure_worth_asking(tx, item, now)
            needs = needs_of(tx, loaded.policy, item, now)
        asking = self._asking(item, now)
        self._ensure_ours(item, self._directory.team_id(), asking)
        facts = self._asked(loaded, needs, asking)
        with _limit_told(asking):
            yield facts

    def kept(self, item: Item, age: timedelta) -> Facts | None:
        """The facts as Slack told them at most so long ago, only to refuse by.

        None where it did not tell all of them. Neither it nor a ticket's service is asked.
        """
        loaded = self._policy()
        with self._database.reading() as tx:
            needs = needs_of(tx, loaded.policy, item, self._clock())
        people = self._directory.remembered_people(needs.people, age)
        members = self._directory.remembered(needs.groups, age)
        if people.keys() != needs.people or members.keys() != needs.groups:
            return None
        return self._facts(loaded, people, members, self._on_call(needs.schedules))

    @contextmanager
    def of_revoking(self, item: Item) -> Iterator[RevokingFacts]:
        """The facts on which it hangs whether somebody may revoke; without what nobody tells now.

        Raises NotFound for an unknown request, Refused for somebody of another organisation, and
        Limited as `of` does.
        """
        now = self._clock()
        policy = self._policy_or_none()
        with self._database.reading() as tx:
            request = requests.get(tx, item.document["request_id"])
            groups = who_may_revoke(tx, policy, request, now).groups
        team_id = self._directory.team_id_as_told()
        asking = self._asking(item, now)
        self._ensure_ours(item, team_id, asking)
        facts = RevokingFacts(
            by=item.actor,
            now=now,
            membership=asking.membership_as_told(groups),
            policy=policy,
            person=asking.person_as_told(item.actor),
            team_id=team_id,
        )
        with _limit_told(asking):
            yield facts

    @staticmethod
    def _ensure_ours(item: Item, team_id: str | None, asking: Asking) -> None:
        """Raise Refused for somebody whose payload is of a workspace that is not theirs with us.

        On Enterprise Grid it may be another one of the same organisation.
        """
        if None in {item.team_id, team_id} or item.team_id == team_id:
            return
        person = asking.person(item.actor)
        if not (person.is_in(str(team_id)) and person.is_in(str(item.team_id))):
            raise _other_organisation()

    def _asking(self, item: Item, now: datetime) -> Asking:
        """For a decision, calls that began after the click was received; see shared_answers.

        Nobody is limited in how often they may revoke. So whoever was just refused is decided by
        what Slack told half a minute ago: else one person would use up what it may be asked.
        """
        again = item.kind is Kind.REVOKE and self._refused(item.actor, REVOKING)
        age = MAX_AGE if again or item.kind in ASKS_ONLY else now - item.received_at
        return self._directory.asking(age, urgent=item.kind in URGENT)

    def _policy_or_none(self) -> Policy | None:
        try:
            return self._policy_soon().policy
        except PolicyUnavailable:
            return None

    def of_start(self, request_id: str) -> Facts:
        """The facts on which it hangs whether approved access may begin now."""
        loaded = self._policy()
        with self._database.reading() as tx:
            needs = needs_of_start(tx, loaded.policy, request_id)
        return self._asked(loaded, needs, self._directory.asking(timedelta()))

    def _asked(self, loaded: LoadedPolicy, needs: Needs, asking: Asking) -> Facts:
        membership = asking.membership if needs.all_groups else asking.membership_as_told
        with ExitStack() as stack:
            on_call: Callable[[], OnCallFacts] = partial(self._on_call, needs.schedules)
            if needs.schedules:
                # Beside Slack and not after it: whoever breaks glass waits for both.
                beside = stack.enter_context(ThreadPoolExecutor(1, "on-call"))
                on_call = beside.submit(on_call).result
            people = asking.people(needs.people)
            members = membership(needs.groups)
        ticket = self._ticket(*needs.ticket) if needs.ticket else None
        return replace(self._facts(loaded, people, members, on_call()), ticket=ticket)

    def _facts(
        self,
        loaded: LoadedPolicy,
        people: Mapping[str, Person],
        membership: Mapping[str, frozenset[str]],
        on_call: OnCallFacts,
    ) -> Facts:
        return Facts(
            policy=loaded.policy,
            digest=loaded.digest,
            team_id=self._directory.team_id(),
            people=people,
            membership=membership,
            now=self._clock(),
            on_call=on_call,
        )


@contextmanager
def _limit_told(asking: Asking) -> Iterator[None]:
    """What hangs on a group that was left out by a limit waits for it, and is not refused."""
    try:
        yield
    except DirectoryUnavailable as error:
        if asking.limited is not None:
            raise asking.limited from error
        raise


def _other_organisation() -> Refused:
    return Refused(
        "other_organisation",
        "You are signed in to another organisation, and only members of this one can use the bot. "
        "Nothing was changed.",
    )
