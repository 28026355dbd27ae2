"""Requests and reviews: what is read is what was stored, and each is decided once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError, StatementError
from store_examples import (
    ANA,
    BEN,
    CLEO,
    HOUR,
    LAB,
    MINUTE,
    NOW,
    SECOND,
    access_requests,
    approval,
    denial,
    request,
    review,
)

from bot.core.errors import Conflict, NotFound
from bot.core.model import (
    Access,
    AccessRequest,
    AccessScope,
    Principal,
    RequestState,
    Verdict,
)
from bot.store import messages, requests
from bot.store.database import Database
from bot.store.tables import requests as requests_table

ID = request().id


@pytest.fixture
def asked(database: Database) -> AccessRequest:
    with database.transaction() as tx:
        requests.add(tx, request())
    return request()


def stored(database: Database, request_id: str = ID) -> AccessRequest:
    with database.reading() as tx:
        return requests.get(tx, request_id)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(whole=access_requests)
def test_a_request_reads_back_as_it_was_stored(database: Database, whole: AccessRequest) -> None:
    with database.transaction() as tx:
        tx.execute(requests_table.delete())
        requests.add(tx, whole)
        assert requests.get(tx, whole.id) == whole


def test_times_are_kept_whatever_their_zone_and_come_back_in_utc(database: Database) -> None:
    zone = timezone(timedelta(hours=5, minutes=45))
    local = request(created_at=NOW.astimezone(zone), lapses_at=(NOW + HOUR).astimezone(zone))
    with database.transaction() as tx:
        requests.add(tx, local)
        assert requests.lapsing(tx, (NOW + HOUR - SECOND).astimezone(zone), 10) == []
        assert requests.lapsing(tx, (NOW + HOUR).astimezone(zone), 10) == [ID]
    assert stored(database) == local
    assert str(stored(database).created_at.tzinfo) == "UTC"


def test_a_time_without_a_zone_is_not_stored(database: Database) -> None:
    with pytest.raises(StatementError, match="time zone"), database.transaction() as tx:
        requests.add(tx, request(created_at=NOW.replace(tzinfo=None)))


def test_an_unknown_request_is_not_found(database: Database) -> None:
    with database.transaction() as tx:
        for look in (requests.get, requests.get_locked):
            with pytest.raises(NotFound, match="7K3-QMX"):
                look(tx, "7K3-QMX")


def test_ids_grow_from_the_greatest_so_far(database: Database) -> None:
    with database.transaction() as tx:
        first = requests.new_id(tx, NOW)
        requests.add(tx, request(id=first))
        second = requests.new_id(tx, NOW - HOUR)
        assert second > first
        requests.add(tx, request(id=second, requester=BEN))
        assert requests.new_id(tx, NOW) > second


# Waiting for the same thing


def test_nobody_waits_twice_for_the_same_thing(database: Database, asked: AccessRequest) -> None:
    again = replace(asked, id="01A-001", reason="Once more", duration=HOUR)
    with pytest.raises(Conflict, match=ID) as refused, database.transaction() as tx:
        requests.add(tx, again)
    assert refused.value.code == "already_waiting"


@pytest.mark.parametrize(
    "other",
    [
        {"requester": BEN},
        {"cluster": replace(LAB, name="prod-eu")},
        {"level": "edit"},
        {"namespaces": ("default", "dev")},
        {"namespaces": ()},
    ],
)
def test_what_differs_may_wait_beside_it(
    database: Database, asked: AccessRequest, other: dict[str, object]
) -> None:
    with database.transaction() as tx:
        requests.add(tx, replace(asked, id="01A-001", **other))
        assert len(requests.pending(tx, 10)) == 2


def test_the_order_of_namespaces_makes_no_other_request(database: Database) -> None:
    with database.transaction() as tx:
        requests.add(tx, request(namespaces=("b", "a")))
        with pytest.raises(Conflict):
            requests.add(tx, request(id="01A-001", namespaces=("a", "b")))


@pytest.mark.parametrize("state", [state for state in RequestState if state != "PENDING"])
def test_what_was_decided_can_be_asked_for_again(database: Database, state: RequestState) -> None:
    with database.transaction() as tx:
        requests.add(tx, request(state=state))
        requests.add(tx, request(id="01A-001"))
        assert [one.id for one in requests.pending(tx, 10)] == ["01A-001"]


@pytest.mark.usefixtures("asked")
def test_the_database_itself_keeps_a_second_waiting_request_out(database: Database) -> None:
    with database.reading() as tx:
        row = dict(tx.execute(select(requests_table)).mappings().one())
    with pytest.raises(IntegrityError), database.transaction() as tx:
        tx.execute(insert(requests_table).values(row | {"id": "01A-001"}))
    with database.transaction() as tx:
        tx.execute(insert(requests_table).values(row | {"id": "01A-001", "state": "LAPSED"}))


# Deciding


def test_a_decision_is_stored_with_who_when_and_why(
    database: Database, asked: AccessRequest
) -> None:
    with database.transaction() as tx:
        requests.decide(tx, denial())
    assert stored(database) == replace(
        asked,
        state=RequestState.DENIED,
        decided_at=NOW + MINUTE,
        decided_by=CLEO,
        decision_reason="Not today",
    )


@pytest.mark.parametrize("state", [state for state in RequestState if state != "PENDING"])
def test_what_is_no_longer_pending_cannot_be_decided(
    database: Database, state: RequestState
) -> None:
    with database.transaction() as tx:
        requests.add(tx, request(state=state))
    with pytest.raises(Conflict) as refused, database.transaction() as tx:
        requests.decide(tx, approval())
    assert refused.value.code == "already_decided"
    assert stored(database).state is state


def test_nothing_is_decided_of_a_request_that_is_not_there(database: Database) -> None:
    with pytest.raises(Conflict), database.transaction() as tx:
        requests.decide(tx, approval())


# Reviews


@pytest.mark.usefixtures("asked")
def test_reviews_read_back_in_the_order_in_which_they_came(database: Database) -> None:
    later = review(reviewer=BEN, at=NOW + 2 * MINUTE)
    sooner = review(reviewer=CLEO, verdict=Verdict.DENY, reason="Not today")
    with database.transaction() as tx:
        requests.add_review(tx, later)
        requests.add_review(tx, sooner)
        assert requests.reviews_of(tx, ID) == (sooner, later)
        assert requests.reviews_of(tx, "01A-001") == ()


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("second", Verdict)
def test_a_person_reviews_a_request_once(database: Database, second: Verdict) -> None:
    with database.transaction() as tx:
        requests.add_review(tx, review())
    with pytest.raises(Conflict) as refused, database.transaction() as tx:
        requests.add_review(tx, review(verdict=second))
    assert refused.value.code == "already_reviewed"
    with database.reading() as tx:
        assert requests.reviews_of(tx, ID) == (review(),)


def test_a_review_needs_its_request(database: Database) -> None:
    with pytest.raises((Conflict, IntegrityError)), database.transaction() as tx:
        requests.add_review(tx, review(request_id="7K3-QMX"))


# Lists


def test_requests_lapse_in_the_order_of_their_times(database: Database) -> None:
    with database.transaction() as tx:
        for number, (minutes, state) in enumerate(
            [(30, "PENDING"), (10, "PENDING"), (20, "APPROVED"), (None, "PENDING")]
        ):
            lapses_at = NOW + minutes * MINUTE if minutes else None
            requests.add(
                tx,
                request(
                    id=f"01A-00{number}",
                    level=f"level-{number}",
                    lapses_at=lapses_at,
                    state=RequestState(state),
                ),
            )
        assert requests.lapsing(tx, NOW + 9 * MINUTE, 10) == []
        assert requests.lapsing(tx, NOW + 10 * MINUTE, 10) == ["01A-001"]
        assert requests.lapsing(tx, NOW + HOUR, 10) == ["01A-001", "01A-000"]
        assert requests.lapsing(tx, NOW + HOUR, 1) == ["01A-001"]


def test_a_persons_requests_come_newest_first(database: Database) -> None:
    with database.transaction() as tx:
        for number in range(4):
            state = RequestState.PENDING if number % 2 else RequestState.DENIED
            requests.add(tx, request(id=f"01A-00{number}", level=f"level-{number}", state=state))
        requests.add(tx, request(id="01A-004", requester=BEN))

        def ids(**choice: object) -> list[str]:
            return [one.id for one in requests.of_requester(tx, ANA, **choice)]

        assert ids() == ["01A-003", "01A-002", "01A-001", "01A-000"]
        assert ids(limit=2) == ["01A-003", "01A-002"]
        assert ids(state=RequestState.PENDING) == ["01A-003", "01A-001"]
        assert [one.id for one in requests.pending(tx, 10)] == ["01A-001", "01A-003", "01A-004"]
        assert [one.id for one in requests.pending(tx, 1)] == ["01A-001"]


def test_people_whose_requests_may_give_access_to_one_principal_are_known(
    database: Database,
) -> None:
    role, other = "arn:aws:iam::111122223333:role/one", "arn:aws:iam::111122223333:role/other"
    people = [
        (ANA, role, RequestState.PENDING),
        (BEN, role, RequestState.APPROVED),
        (CLEO, role, RequestState.PENDING),
        ("U04DENIED", role, RequestState.DENIED),
        ("U05LAPSED", role, RequestState.LAPSED),
        ("U06CANCELLED", role, RequestState.CANCELLED),
        ("U07OTHER", other, RequestState.PENDING),
    ]
    with database.transaction() as tx:
        for number, (person, arn, state) in enumerate(people):
            one = request(
                id=f"01A-00{number}", requester=person, principal=Principal(arn), state=state
            )
            requests.add(tx, one)
        assert requests.others_on_principal(tx, role, ANA) == {BEN, CLEO}
        assert requests.others_on_principal(tx, other, "U07OTHER") == frozenset()


@pytest.mark.usefixtures("asked")
def test_a_touched_request_owes_its_messages_again(database: Database) -> None:
    with database.transaction() as tx:
        messages.rest(tx, messages.backlog(tx, ID), None, attempts=0, now=NOW)
        assert messages.due(tx, NOW + HOUR, 10) == []
        requests.touch(tx, ID)
        assert messages.due(tx, NOW + MINUTE, 10) == [ID]


@pytest.mark.usefixtures("asked")
def test_a_decision_makes_the_messages_due(database: Database) -> None:
    with database.transaction() as tx:
        messages.rest(tx, messages.backlog(tx, ID), NOW + HOUR, attempts=3, now=NOW)
        requests.decide(tx, approval())
        assert messages.due(tx, NOW + MINUTE, 10) == [ID]
        assert messages.backlog(tx, ID).attempts == 0


def test_access_in_groups_and_over_the_cluster_reads_back(database: Database) -> None:
    whole = request(
        namespaces=(), access=Access(None, AccessScope.cluster(), frozenset({"deployers"}))
    )
    with database.transaction() as tx:
        requests.add(tx, whole)
    assert stored(database) == whole
