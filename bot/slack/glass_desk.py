"""Break-glass in forms and lists: whom it is offered to, and who is shown what to review.

It reads and decides nothing: what is offered may hang on groups as they were two minutes ago, and
what comes back is decided anew, from what Slack and the on-call services say then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from bot.access.known import ensure_not_suspended
from bot.access.post_review import ensure_reviewable
from bot.core.ask_checks import namespace_problem
from bot.core.break_glass import entries_for, may_ask, place_problem
from bot.core.errors import Conflict, DomainError, InvalidInput, Refused
from bot.core.glass_choices import glass_choices
from bot.core.lifecycle import ensure_open
from bot.core.model import AccessRequest, Ask, GrantState
from bot.core.people import not_full_member, surely_belongs
from bot.core.policy import BreakGlass, Policy
from bot.core.post_review import PostReview, reviewers_now
from bot.slack.blocks import Block, View
from bot.slack.fields import cluster_options
from bot.slack.form_state import IN_A_FORM, FormErrors, block_of, by_field, read_entered
from bot.slack.glass_form import glass_modal, review_modal
from bot.slack.people import MAX_AGE
from bot.slack.sources import Sources
from bot.slack.submissions import read_submission
from bot.store import grants, post_reviews, requests

_LOOKED_AT = 100
_NO_CHOICE = Ask("", "")


class GlassDesk:
    """Safe to use from several threads."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def offered(self, user_id: str) -> tuple[BreakGlass, ...]:
        """The entries this person may use now, as far as is known; none where that is not."""
        try:
            return self._entries(self._sources.policy().policy, user_id)
        except DomainError:
            return ()

    def offered_for(self, request: AccessRequest) -> bool:
        """Whether the requester may make this request a break-glass."""
        try:
            covering = entries_for(self._sources.policy().policy, request.ask)
        except DomainError:
            return False
        if not covering or request.break_glass:
            return False
        return any(entry in covering for entry in self.offered(request.requester))

    def opened(self, user_id: str, instead_of: str | None) -> View:
        """The form, filled in with the waiting request it is to take the place of, if any.

        Raises DomainError where there is nothing to offer this person.
        """
        with self._sources.database.reading() as tx:
            ensure_not_suspended(tx, user_id)
        policy = self._sources.policy().policy
        entries = self._entries(policy, user_id)
        if not entries:
            raise Refused(
                "not_on_call",
                "You are not among those who may break glass now. Whoever is on call can, and "
                "owners can approve a request at any hour: `/eks-access request …`.",
            )
        entered = _NO_CHOICE
        if instead_of is not None:
            entered = self._waiting(user_id, instead_of).ask
            entered = replace(entered, start_at=None)
        return glass_modal(glass_choices(policy, entries, entered), instead_of)

    def redrawn(self, user_id: str, view: Mapping[str, Any]) -> View:
        """The form after a choice in `view`, with all that was entered and still may be had."""
        policy = self._sources.policy().policy
        entered = read_entered(view.get("state"))
        choices = glass_choices(policy, self._entries(policy, user_id), entered)
        return glass_modal(choices, str(view.get("private_metadata") or "") or None)

    def suggested(self, user_id: str, query: str) -> list[Block]:
        """The clusters to suggest for what was typed."""
        policy = self._sources.policy().policy
        choices = glass_choices(policy, self._entries(policy, user_id), _NO_CHOICE)
        return cluster_options(query, choices.clusters)

    def read(self, view: Mapping[str, Any]) -> Ask:
        """What a submitted form asks for. Asks nobody. Raises FormErrors."""
        try:
            ask = read_submission(by_field(view.get("state")))
        except InvalidInput as error:
            field = error.field or "cluster"
            raise FormErrors({block_of(field, view): error.sentence[:2000]}) from error
        level = self._sources.policy().policy.levels.get(ask.level)
        problem = namespace_problem(ask) if level is None else place_problem(level, ask)
        if problem is not None:
            sentence = IN_A_FORM.get(problem.code, problem.sentence)
            raise FormErrors({block_of("namespaces", view): sentence[:2000]})
        return ask

    def review(self, request_id: str, user_id: str) -> View:
        """The form of a review. Raises DomainError where there is nothing for this person."""
        with self._sources.database.reading() as tx:
            request = requests.get(tx, request_id)
            owed = post_reviews.find(tx, request_id)
            grant = grants.find(tx, request_id)
        if grant is None or owed is None:
            raise Conflict(
                "no_review_owed", f"{request_id} is no break-glass, so it owes no review."
            )
        ensure_reviewable(owed, grant)
        if request.requester == user_id or not self._reviews(user_id, [(request, owed)]):
            raise Refused(
                "not_owner",
                f"You are none of those who review break-glass {request_id}, so nothing was "
                "changed.",
            )
        return review_modal(request, grant, self._sources.directory.names([request.requester]))

    def to_review(self, user_id: str) -> list[tuple[AccessRequest, PostReview]]:
        """What is over and waits for this person's review, the soonest due first."""
        with self._sources.database.reading() as tx:
            owed = [(one, _over(tx, one)) for one in post_reviews.open_ones(tx, _LOOKED_AT)]
        pairs = [(request, one) for one, request in owed if request is not None]
        others = [pair for pair in pairs if pair[0].requester != user_id]
        return self._reviews(user_id, others)

    def _reviews(
        self, user_id: str, pairs: Sequence[tuple[AccessRequest, PostReview]]
    ) -> list[tuple[AccessRequest, PostReview]]:
        if not pairs:
            return []
        policy, now = self._sources.policy().policy, self._sources.clock()
        owners = [reviewers_now(policy, request, owed, now) for request, owed in pairs]
        groups = frozenset[str]().union(*(one.groups for one in owners))
        membership = self._sources.directory.membership_to_show(groups)
        return [
            pair
            for pair, people in zip(pairs, owners, strict=True)
            if surely_belongs(user_id, people, membership)
        ]

    def _entries(self, policy: Policy, user_id: str) -> tuple[BreakGlass, ...]:
        """Raises DomainError where Slack does not tell who this is."""
        if not policy.break_glass:
            return ()
        person = self._sources.directory.asking(MAX_AGE).person(user_id)
        if not_full_member(person, self._sources.directory.team_id()) is not None:
            return ()
        groups = frozenset[str]().union(
            *(entry.responders.groups_needed for entry in policy.break_glass)
        )
        schedules = {
            (name, service.schedules)
            for entry in policy.break_glass
            for name, service in entry.responders.services.items()
        }
        membership = self._sources.directory.membership_to_show(groups)
        return may_ask(policy, person, membership, self._sources.on_call(schedules))

    def _waiting(self, user_id: str, request_id: str) -> AccessRequest:
        with self._sources.database.reading() as tx:
            request = requests.get(tx, request_id)
        if request.requester != user_id:
            raise Refused(
                "not_yours",
                f"{request_id} is somebody else's request. Break-glass is for access of your own.",
            )
        ensure_open(request, self._sources.clock())
        return request


def _over(tx: Connection, owed: PostReview) -> AccessRequest | None:
    """The request of a break-glass that is over."""
    grant = grants.find(tx, owed.request_id)
    if grant is None or grant.state is not GrantState.ENDED:
        return None
    return requests.get(tx, owed.request_id)
