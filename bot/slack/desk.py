"""Answers to questions: who has access, where a request stands, what may be asked for.

Reads the store, the policy, Slack and EKS; changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from bot.access.extend import ensure_no_break_glass
from bot.access.known import ensure_not_suspended
from bot.access.question import ensure_asked
from bot.aws.clients import EksClients
from bot.core.errors import DomainError, NotFound, PolicyUnavailable, Refused
from bot.core.lifecycle import ensure_extensible, ensure_open, ensure_usable
from bot.core.lockdown import SUSPENDING, not_security
from bot.core.model import AccessRequest, Cluster, Grant, Owners, Person
from bot.core.offers import clusters_for, levels_on, requester_groups
from bot.core.policy import Policy
from bot.core.review import decides
from bot.core.rights import groups_of_insight, schedules_of_insight, sees_principals
from bot.core.starts import local_day, parse_until, place
from bot.slack import commands
from bot.slack.blocks import Message
from bot.slack.connect import connect_modal, connection
from bot.slack.delegate_command import Delegations
from bot.slack.delegations import delegate_modal, delegations_reply
from bot.slack.form_desk import FormDesk
from bot.slack.glass_card import review_owed
from bot.slack.glass_desk import GlassDesk
from bot.slack.help_desk import HelpDesk
from bot.slack.home_desk import HomeDesk, groups_asked
from bot.slack.id_commands import Status
from bot.slack.lockdown_command import Lockdown
from bot.slack.lockdowns import lockdown_state
from bot.slack.modals import deny_modal, extend_modal, revoke_modal
from bot.slack.people import MAX_AGE
from bot.slack.phrases import is_running
from bot.slack.questions import answer_modal, question_modal
from bot.slack.replies import clusters_reply, error_reply, mine_reply, status_reply, who_reply
from bot.slack.roster import read_roster
from bot.slack.sources import Sources
from bot.slack.suspend_command import Suspensions
from bot.slack.suspensions import suspend_modal, suspensions_reply
from bot.store import (
    audit,
    delegations,
    grants,
    lockdowns,
    post_reviews,
    requests,
    suspensions,
)

_SHORTEST_EXTENSION = timedelta(minutes=1)


class Desk:
    """Answers questions. Each method raises DomainError where there is no answer."""

    def __init__(self, sources: Sources, clients: EksClients) -> None:
        self._sources = sources
        self._clients = clients
        self.glass = GlassDesk(sources)
        self.home = HomeDesk(sources, self.glass)
        self.help = HelpDesk(sources)
        self.form = FormDesk(sources)

    def answer(  # noqa: C901, PLR0911 - one answer for each question
        self, command: commands.Command, user_id: str
    ) -> Message:
        """The answer to a command that asks a question."""
        try:
            if isinstance(command, commands.Help):
                return self.help(user_id)
            person = self._sources.member(user_id)
            match command:
                case commands.Mine():
                    return self._mine(user_id)
                case commands.Pending():
                    return self.home.pending(user_id)
                case Status(request_id):
                    return self._status(request_id, user_id)
                case commands.Who(cluster):
                    return self._who(cluster, person)
                case commands.Clusters():
                    return self._clusters(person)
                case Delegations():
                    return self._delegations()
                case Suspensions():
                    return self._suspensions(user_id)
                case Lockdown():
                    with self._sources.database.reading() as tx:
                        return lockdown_state(lockdowns.current(tx))
                case _:
                    raise TypeError(f"{type(command).__name__} asks no question")
        except DomainError as error:
            return error_reply(error)

    def again(self, user_id: str, request_id: str) -> dict[str, Any]:
        """The request form filled in with what the person asked for before. Raises Refused."""
        with self._sources.database.reading() as tx:
            request = requests.get(tx, request_id)
        if request.requester != user_id:
            raise Refused(
                "not_yours",
                f"{request_id} is somebody else's request. `/eks-access` opens a form of your own.",
            )
        ask = replace(request.ask, duration=request.duration, start_at=None)
        return self.form.opened(user_id, ask)

    def denial(self, request_id: str, user_id: str) -> dict[str, Any]:
        """The form in which an owner says why not. Raises Conflict where it is decided."""
        self._sources.member(user_id)
        with self._sources.database.reading() as tx:
            request = requests.get(tx, request_id)
        ensure_open(request, self._sources.clock())
        if request.requester == user_id or not self._waiting_for(user_id, [request]):
            raise Refused(
                "not_owner",
                f"Only an owner can deny {request_id}, and you are none of the owners it asks. "
                "Nothing was changed.",
            )
        return deny_modal(request, self._sources.directory.names([request.requester]))

    def revocation(self, request_id: str, _user_id: str) -> dict[str, Any]:
        """The form in which somebody says why they take access away. Asks Slack nothing."""
        with self._sources.database.reading() as tx:
            return revoke_modal(requests.get(tx, request_id))

    def question(self, request_id: str, user_id: str) -> dict[str, Any]:
        """The form for a question to the requester. Raises Conflict where it is decided."""
        self._sources.member(user_id)
        with self._sources.database.reading() as tx:
            request = requests.get(tx, request_id)
        ensure_open(request, self._sources.clock())
        return question_modal(request, self._sources.directory.names([request.requester]))

    def answer_form(self, request_id: str, user_id: str) -> dict[str, Any]:
        """The form in which the requester answers. Raises Refused and Conflict."""
        with self._sources.database.reading() as tx:
            request = requests.get(tx, request_id)
            asked = ensure_asked(tx, request, user_id)
        ensure_open(request, self._sources.clock())
        return answer_modal(request, asked, self._sources.directory.names([asked.actor]))

    def connection(self, request_id: str, user_id: str) -> dict[str, Any]:
        """The commands with which the holder uses their access. Raises Conflict."""
        with self._sources.database.reading() as tx:
            request = requests.get(tx, request_id)
            grant = grants.get(tx, request_id)
        ensure_usable(grant, user_id, self._sources.clock())
        return connect_modal(request, grant, self._profile_on(request.cluster))

    def extension(self, request_id: str, user_id: str) -> dict[str, Any]:
        """The form in which the holder asks for more time. Raises Conflict where it has ended."""
        with self._sources.database.reading() as tx:
            request = requests.get(tx, request_id)
            grant = grants.get(tx, request_id)
        ensure_no_break_glass(request)
        ensure_extensible(grant, user_id, self._sources.clock())
        policy = self._sources.policy().policy
        limits = [rule.max_duration for rule in policy.rules if rule.name in request.rules]
        left = min(limits, default=timedelta()) - grant.lasts
        if left < _SHORTEST_EXTENSION:
            raise Refused(
                "at_the_maximum",
                f"{request_id} lasts as long as its rules allow. `/eks-access request …` asks for "
                "new access when it has ended.",
            )
        return extend_modal(request, grant, left)

    def delegation(self, user_id: str, until: str) -> dict[str, Any]:
        """The form that names a deputy, with the day that was typed. Raises DomainError."""
        person = self._sources.member(user_id)
        day = None
        if until:
            ends = place(parse_until(until), person.time_zone, self._sources.clock())
            day = local_day(ends - timedelta(seconds=1), person.time_zone)
        return delegate_modal(day)

    def suspension(self, user_id: str, reason: str) -> dict[str, Any]:
        """The form that suspends somebody, with the reason that was typed. Raises DomainError."""
        self._ensure_security(user_id)
        return suspend_modal(reason)

    def _suspensions(self, user_id: str) -> Message:
        """Who is suspended and why: for those who may end it."""
        self._ensure_security(user_id)
        with self._sources.database.reading() as tx:
            return suspensions_reply(suspensions.every(tx))

    def _ensure_security(self, user_id: str) -> None:
        """Raise Refused unless the person may suspend, and DirectoryUnavailable."""
        person, policy = self._sources.member(user_id), self._sources.policy().policy
        owners = policy.lockdown.owners.owners if policy.lockdown is not None else Owners()
        asking = self._sources.directory.asking(MAX_AGE)
        membership = asking.membership_as_told(owners.groups)
        team = self._sources.directory.team_id()
        with self._sources.database.reading() as tx:
            ensure_not_suspended(tx, user_id)
        problem = not_security(policy, person, membership, SUSPENDING, team_id=team)
        if problem is not None:
            raise Refused(problem.code, problem.sentence)

    def _delegations(self) -> Message:
        with self._sources.database.reading() as tx:
            held = delegations.holding(tx, self._sources.clock())
        people = {one.owner for one in held} | {one.deputy for one in held}
        return delegations_reply(held, self._sources.directory.names(people))

    def _profile_on(self, cluster: Cluster) -> str | None:
        """The AWS profile for a cluster, where the policy in force names one."""
        try:
            return self._sources.policy().policy.profile_on(cluster)
        except PolicyUnavailable:
            return None

    def _mine(self, user_id: str) -> Message:
        with self._sources.database.reading() as tx:
            own = requests.of_requester(tx, user_id)
            items = [(one, grants.find(tx, one.id)) for one in own]
            owed = post_reviews.open_of(tx, user_id)
        now = self._sources.clock()
        return mine_reply(items, {one.request_id: review_owed(one, now) for one in owed}, now=now)

    def _status(self, request_id: str, user_id: str) -> Message:
        with self._sources.database.reading() as tx:
            request = requests.get(tx, request_id)
            reviews = requests.reviews_of(tx, request_id)
            grant = grants.find(tx, request_id)
            events = audit.of_request(tx, request_id)
        people = {request.requester, *(event.actor for event in events)}
        names = self._sources.directory.names({one for one in people if one.startswith(("U", "W"))})
        now = self._sources.clock()
        connect = []
        if grant is not None and user_id == grant.requester and is_running(grant, now):
            connect = connection(request, grant, self._profile_on(request.cluster))
        return status_reply(
            request,
            reviews,
            grant,
            events,
            names=names,
            now=now,
            tickets=self.home.tickets(),
            connect=connect,
        )

    def _who(self, name: str, person: Person) -> Message:
        policy = self._sources.policy().policy
        cluster = policy.clusters_by_name.get(name)
        if cluster is None:
            raise NotFound(
                "unknown_cluster",
                f"The policy names no cluster `{name}`. `/eks-access clusters` lists them.",
            )
        with self._sources.database.reading() as tx:
            live = _with_requests(tx, grants.live(tx, cluster=name))
        roster = read_roster(self._sources.database, self._clients, cluster, self._sources.clock())
        names = self._sources.directory.names({grant.requester for _, grant in live})
        principals = self._sees_principals(policy, cluster, person)
        return who_reply(name, live, roster, names=names, principals=principals)

    def _sees_principals(self, policy: Policy, cluster: Cluster, person: Person) -> bool:
        with self._sources.database.reading() as tx:
            held = delegations.holding(tx, self._sources.clock())
        groups = groups_of_insight(policy, cluster)
        return sees_principals(
            policy,
            cluster,
            person,
            self._sources.directory.membership_to_show(groups),
            self._sources.on_call(schedules_of_insight(policy, cluster)),
            delegations=held,
        )

    def _clusters(self, person: Person) -> Message:
        policy = self._sources.policy().policy
        membership = self._sources.directory.asking(MAX_AGE).membership(requester_groups(policy))
        clusters = clusters_for(policy, person, membership)
        levels = {one.name: levels_on(policy, one.name, person, membership) for one in clusters}
        return clusters_reply(clusters, levels)

    def _waiting_for(self, user_id: str, pending: list[AccessRequest]) -> list[AccessRequest]:
        membership = self._sources.directory.asking(MAX_AGE).membership(groups_asked(pending))
        now = self._sources.clock()
        with self._sources.database.reading() as tx:
            held = delegations.holding(tx, now)
        return [
            one
            for one in pending
            if decides(one, user_id, membership=membership, delegations=held, now=now)
        ]


def _with_requests(tx: Connection, live: tuple[Grant, ...]) -> list[tuple[AccessRequest, Grant]]:
    return [(requests.get(tx, grant.id), grant) for grant in live]
