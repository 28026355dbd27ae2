"""Two replicas, two owners or two fingers at the same moment: one of them counts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from race import race
from sqlalchemy import Connection, func, select
from store_examples import (
    ANA,
    BEN,
    CLEO,
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    add_grant,
    approval,
    denial,
    grant,
    request,
    review,
)

from bot.core import lifecycle
from bot.core.errors import Conflict, DomainError, StoreUnavailable
from bot.core.model import AccessRequest, EndReason, GrantState, Review, Verdict
from bot.store import grants, requests
from bot.store.database import Database
from bot.store.tables import reviews as reviews_table

ID = request().id


@pytest.fixture
def asked(database: Database) -> AccessRequest:
    with database.transaction() as tx:
        requests.add(tx, request())
    return request()


def test_of_two_equal_requests_at_once_one_waits(database: Database) -> None:
    results = race(
        database,
        lambda tx: requests.add(tx, request(id="01A-001")),
        lambda tx: requests.add(tx, request(id="01A-002")),
    )
    (refused,) = [one for one in results if one is not None]
    assert isinstance(refused, Conflict)
    assert refused.code in {"already_waiting", "try_again"}
    with database.reading() as tx:
        assert len(requests.pending(tx, 10)) == 1


def test_of_two_requests_with_one_id_at_once_one_is_told_to_try_again(database: Database) -> None:
    def ask(tx: Connection, requester: str) -> None:
        requests.add(tx, request(id=requests.new_id(tx, NOW), requester=requester))

    results = race(database, lambda tx: ask(tx, ANA), lambda tx: ask(tx, BEN))
    with database.reading() as tx:
        waiting = requests.pending(tx, 10)
    refused = [one for one in results if one is not None]
    assert len(waiting) + len(refused) == 2
    assert all(isinstance(one, Conflict) and one.code == "try_again" for one in refused)


RIVALS = {
    "two approvals": (approval(by=BEN), approval(by=CLEO)),
    "an approval and a denial": (approval(), denial()),
    "an approval and a cancellation": (
        approval(),
        lifecycle.cancel(request(), NOW + MINUTE, by=ANA)[0],
    ),
    "an approval and the lapse": (
        approval(NOW + HOUR - SECOND),
        lifecycle.lapse(request(), NOW + HOUR)[0],
    ),
}


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("names", RIVALS)
def test_of_two_decisions_at_once_exactly_one_counts(database: Database, names: str) -> None:
    # Both have read the request while it was pending, as a click without a lock would.
    rivals = RIVALS[names]
    results = race(
        database,
        *(lambda tx, one=one: requests.decide(tx, one) for one in rivals),
    )
    (loser,) = [result for result in results if result is not None]
    assert isinstance(loser, Conflict)
    assert loser.code == "already_decided"
    with database.reading() as tx:
        assert requests.get(tx, ID) == rivals[results.index(None)]


def review_and_approve(tx: Connection, one: Review) -> None:
    """As the use case does it: the row is locked from reading to deciding."""
    current = requests.get_locked(tx, one.request_id)
    lifecycle.ensure_open(current, one.at)
    requests.add_review(tx, one)
    decided = lifecycle.approve(current, one.at, by=one.reviewer, approvers=(), digest="")[0]
    requests.decide(tx, decided)


@pytest.mark.usefixtures("asked")
def test_of_two_owners_who_approve_at_once_the_later_reads_that_it_is_decided(
    database: Database,
) -> None:
    results = race(
        database,
        lambda tx: review_and_approve(tx, review(reviewer=BEN)),
        lambda tx: review_and_approve(tx, review(reviewer=CLEO)),
    )
    (loser,) = [result for result in results if result is not None]
    assert isinstance(loser, DomainError)
    assert "is already approved" in loser.sentence
    with database.reading() as tx:
        (counted,) = requests.reviews_of(tx, ID)
        assert counted.reviewer == requests.get(tx, ID).decided_by


def test_a_request_that_is_being_decided_is_locked(
    database: Database, asked: AccessRequest, database_url: str
) -> None:
    more = "" if database.is_sqlite else "&options=-c%20lock_timeout%3D50ms"
    other = Database(database_url + more, patience=timedelta(milliseconds=50))
    with database.transaction() as tx:
        requests.get_locked(tx, ID)
        with pytest.raises(StoreUnavailable), other.transaction() as second:
            requests.get_locked(second, ID)
        with other.reading() as reader:
            assert requests.get(reader, ID) == asked
    other.close()


@pytest.mark.usefixtures("asked")
def test_of_two_clicks_of_one_person_at_once_one_counts(database: Database) -> None:
    results = race(
        database,
        lambda tx: requests.add_review(tx, review()),
        lambda tx: requests.add_review(tx, review(verdict=Verdict.DENY)),
    )
    (refused,) = [one for one in results if one is not None]
    assert isinstance(refused, Conflict)
    assert refused.code == "already_reviewed"
    with database.reading() as tx:
        assert tx.scalar(select(func.count()).select_from(reviews_table)) == 1


def test_of_two_changes_of_a_grant_at_once_exactly_one_counts(database: Database) -> None:
    with database.transaction() as tx:
        add_grant(tx)
    active, _ = lifecycle.confirm(grant(), NOW + MINUTE)
    revoking, _ = lifecycle.revoke(grant(), NOW + MINUTE, EndReason.RETURNED, by=ANA)
    rivals = (active, revoking)
    results = race(
        database,
        *(
            lambda tx, one=one: grants.change(tx, one, expected=GrantState.PROVISIONING)
            for one in rivals
        ),
    )
    (loser,) = [result for result in results if result is not None]
    assert isinstance(loser, Conflict)
    with database.reading() as tx:
        assert grants.get(tx, ID) == rivals[results.index(None)]
