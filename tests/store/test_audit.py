"""The audit trail: in the transaction of what it records, and in order."""

from __future__ import annotations

import pytest
from store_examples import ANA, BEN, MINUTE, NOW, request

from bot.core import lifecycle
from bot.core.errors import Conflict
from bot.core.model import AuditEvent, RequestState
from bot.store import audit, requests
from bot.store.database import Database

ID = request().id


def event(action: str, *, request_id: str | None = ID, **details: object) -> AuditEvent:
    return AuditEvent(NOW, ANA, action, request_id, "lab", details)


def test_events_read_back_as_they_were_recorded(database: Database) -> None:
    details = {"rules": ["a", "b"], "lag_seconds": 0.25, "reason": "Zwölf 🥊", "ticket": None}
    whole = event("request.submitted", **details)
    bare = AuditEvent(NOW, "operator", "policy.loaded")
    with database.transaction() as tx:
        audit.record(tx, [whole, bare])
        audit.record(tx, [])
        assert audit.latest(tx, 10) == [bare, whole]
        assert audit.of_request(tx, ID) == [whole]


def test_the_events_of_a_request_come_oldest_first_and_no_others(database: Database) -> None:
    with database.transaction() as tx:
        # The clock went back in between: the order is that of what happened.
        audit.record(tx, [event("request.submitted")])
        audit.record(tx, [AuditEvent(NOW - MINUTE, BEN, "request.reviewed", ID, "lab")])
        audit.record(tx, [event("request.submitted", request_id="01A-001")])
        audit.record(tx, [event("request.approved"), event("grant.confirmed")])
        actions = [one.action for one in audit.of_request(tx, ID)]
        assert actions == [
            "request.submitted",
            "request.reviewed",
            "request.approved",
            "grant.confirmed",
        ]
        assert [one.action for one in audit.latest(tx, 2)] == [
            "grant.confirmed",
            "request.approved",
        ]


def test_what_was_not_done_is_not_on_record(database: Database) -> None:
    lapsed, events = lifecycle.lapse(request(), NOW + 60 * MINUTE)
    with database.transaction() as tx:
        requests.add(tx, request(state=RequestState.APPROVED))

    def lapse_too_late() -> None:
        with database.transaction() as tx:
            audit.record(tx, events)
            requests.decide(tx, lapsed)

    with pytest.raises(Conflict):
        lapse_too_late()
    with database.reading() as tx:
        assert audit.of_request(tx, ID) == []
