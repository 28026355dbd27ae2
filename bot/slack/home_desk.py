"""What one person's App Home shows: reads the store, the policy and Slack, and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from bot.core.errors import PolicyUnavailable
from bot.core.model import AccessRequest, RequestState, Review
from bot.core.people import Membership, surely_belongs
from bot.core.policy import Tickets
from bot.core.post_review import PostReview
from bot.core.review import decides, every_owner
from bot.slack.blocks import Message, View
from bot.slack.cards import past_deciding
from bot.slack.glass_desk import GlassDesk
from bot.slack.home import HISTORY_SHOWN, HomeGlass, home_view, pending_reply
from bot.slack.sources import Sources
from bot.store import delegations, grants, lockdowns, post_reviews, requests, suspensions
from bot.store.health import Health, health

_LOOKED_AT = 200
Waiting = tuple[AccessRequest, tuple[Review, ...]]
"""A request that waits for a decision, with the reviews it has."""


class HomeDesk:
    """Gives a person's Home as it is now. What Slack does not tell is left out, and said."""

    def __init__(self, sources: Sources, glass: GlassDesk) -> None:
        self._sources = sources
        self._glass = glass

    def __call__(self, user_id: str) -> View:
        """The view for this person. Raises StoreUnavailable."""
        now = self._sources.clock()
        waiting, complete = self._waiting(user_id, now)
        with self._sources.database.reading() as tx:
            live = grants.live(tx, requester=user_id)
            mine = [(requests.get(tx, one.id), one) for one in live]
            own = requests.of_requester(tx, user_id, state=RequestState.PENDING, limit=_LOOKED_AT)
            lockdown = lockdowns.current(tx)
            suspended = suspensions.current(tx, user_id) is not None
            over = requests.finished(tx, user_id, HISTORY_SHOWN)
            history = [(one, grants.find(tx, one.id)) for one in over]
            owed = {one.request_id: one for one in post_reviews.open_of(tx, user_id)}
        to_review = self._to_review(user_id)
        return home_view(
            sorted(mine, key=lambda pair: pair[1].ends_at),
            own,
            waiting,
            history,
            complete=complete,
            names=self._names(waiting, to_review),
            health=self._health_for(user_id, now),
            lockdown=lockdown,
            suspended=suspended,
            glass=HomeGlass(
                offered=bool(self._glass.offered(user_id)),
                may_become=frozenset(one.id for one in own if self._glass.offered_for(one)),
                to_review=to_review,
                owed=owed,
            ),
            now=now,
            tickets=self.tickets(),
        )

    def pending(self, user_id: str) -> Message:
        """What waits for this person's decision or review, with the buttons for it."""
        now = self._sources.clock()
        waiting, complete = self._waiting(user_id, now)
        to_review = self._to_review(user_id)
        return pending_reply(
            waiting,
            to_review,
            complete=complete,
            names=self._names(waiting, to_review),
            now=now,
            tickets=self.tickets(),
        )

    def _waiting(self, user_id: str, now: datetime) -> tuple[list[Waiting], bool]:
        """What this person may decide; False where Slack did not tell who is in some group."""
        with self._sources.database.reading() as tx:
            others = [
                one
                for one in requests.pending(tx, _LOOKED_AT)
                if one.requester != user_id and not past_deciding(one, now)
            ]
        groups = groups_asked(others)
        membership = self._sources.directory.membership_to_show(groups)
        with self._sources.database.reading() as tx:
            waiting = _to_decide(tx, user_id, others, membership, now)
        return waiting, groups <= membership.keys()

    def _names(
        self, waiting: Sequence[Waiting], to_review: Sequence[tuple[AccessRequest, PostReview]]
    ) -> Mapping[str, str]:
        people = {one.requester for one, _ in (*waiting, *to_review)}
        people |= {review.reviewer for _, reviews in waiting for review in reviews}
        return self._sources.directory.names(people)

    def _to_review(self, user_id: str) -> list[tuple[AccessRequest, PostReview]]:
        try:
            return self._glass.to_review(user_id)
        except PolicyUnavailable:
            return []

    def tickets(self) -> Tickets | None:
        """Where tickets are, where the policy in force says it."""
        try:
            return self._sources.policy().policy.tickets
        except PolicyUnavailable:
            return None

    def _health_for(self, user_id: str, now: datetime) -> Health | None:
        """How the bot is, for those whom some rule names as an owner."""
        try:
            owners = every_owner(self._sources.policy().policy)
        except PolicyUnavailable:
            return None
        named = user_id in owners.users
        if not named:
            membership = self._sources.directory.membership_to_show(owners.groups)
            named = surely_belongs(user_id, owners, membership)
        if not named:
            return None
        with self._sources.database.reading() as tx:
            return health(tx, now)


def groups_asked(pending: Sequence[AccessRequest]) -> frozenset[str]:
    """The groups and channels whose members tell whom these requests ask."""
    groups: set[str] = set()
    for each in (each for one in pending for each in one.requirements):
        groups |= each.everybody.groups
        if each.delegation is not None and each.delegation.among is not None:
            groups |= each.delegation.among.groups
    return frozenset(groups)


def _to_decide(
    tx: Connection,
    user_id: str,
    others: Sequence[AccessRequest],
    membership: Membership,
    now: datetime,
) -> list[Waiting]:
    """The requests that this person may decide now, also as a deputy, and has not reviewed yet.

    Each with the reviews it has. A group that Slack did not tell counts as empty.
    """
    held = delegations.holding(tx, now)
    known = dict.fromkeys(groups_asked(others), frozenset[str]()) | dict(membership)
    owned = [
        one for one in others if decides(one, user_id, membership=known, delegations=held, now=now)
    ]
    reviews = requests.reviews_of_each(tx, [one.id for one in owned])
    return [
        (one, reviews[one.id])
        for one in owned
        if all(review.reviewer != user_id for review in reviews[one.id])
    ]
