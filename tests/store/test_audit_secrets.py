"""No secret gets into the audit trail, from which nothing can be taken out again."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from store_examples import ANA, NOW, grant, request

from bot.core import lifecycle
from bot.core.model import AuditEvent, EndReason
from bot.store import audit
from bot.store.database import Database

TOKENS = [
    "xoxb-1234-5678-sEcReT",
    "xapp-1-A012-345-sEcReT",
    "AKIAIOSFODNN7SECRET0",
    "k8s-aws-v1.sEcReT-aHR0cHM6",
    "eyJhbGciOiJSUzI1NiJ9.sEcReT.sEcReT",
    "postgresql://bot:sEcReT@db/eks",
    "https://hooks.slack.com/commands/T0/1/sEcReT",
    "AWS_SECRET_ACCESS_KEY=sEcReT/sEcReT",
]
PARTS = ("1234-5678", "012-345", "sEcReT", "SECRET0")


def stored(database: Database) -> str:
    with database.reading() as tx:
        rows = tx.execute(text("SELECT * FROM audit_events"))
        return repr(rows.all())


@pytest.mark.parametrize("token", TOKENS)
def test_what_people_paste_into_a_reason_is_masked(database: Database, token: str) -> None:
    pasted = request(reason=f"It says {token} and fails", ticket=f"PAY-1 {token}")
    with database.transaction() as tx:
        audit.record(tx, lifecycle.submitted(pasted))
        (event,) = audit.of_request(tx, pasted.id)
    assert event.details["reason"].startswith("It says ")
    assert event.details["reason"].endswith(" and fails")
    assert "[secret]" in event.details["reason"]
    assert not [part for part in PARTS if part in stored(database)]


@pytest.mark.parametrize("token", TOKENS)
def test_what_a_service_says_of_a_problem_is_masked(database: Database, token: str) -> None:
    _, events = lifecycle.revoke(
        grant(), NOW, EndReason.FAILED, by=lifecycle.BOT, problem=f"denied: {token}"
    )
    with database.transaction() as tx:
        audit.record(tx, events)
        (event,) = audit.of_request(tx, grant().id)
    assert event.details["problem"].startswith("denied: ")
    assert not [part for part in PARTS if part in stored(database)]


def test_secrets_are_masked_however_deep_and_in_names_too(database: Database) -> None:
    token = TOKENS[0]
    details = {"asked": {"lines": [f"a {token}", ("b", token)], token: 1}, "count": 2, "none": None}
    with database.transaction() as tx:
        audit.record(tx, [AuditEvent(NOW, ANA, "command.refused", details=details)])
        (event,) = audit.latest(tx, 1)
    assert event.details == {
        "asked": {"lines": ["a [secret]", ["b", "[secret]"]], "[secret]": 1},
        "count": 2,
        "none": None,
    }


def test_what_an_auditor_needs_stays_as_it_is(database: Database) -> None:
    with database.transaction() as tx:
        audit.record(tx, lifecycle.submitted(request()))
        (event,) = audit.of_request(tx, request().id)
    assert event == lifecycle.submitted(request())[0]


def test_what_is_too_much_for_an_event_is_cut_and_holds_no_half_of_a_secret(
    database: Database,
) -> None:
    many = f"{'a word ' * 2855}AKIAIOSFODNN7SECRET0 {'more ' * 1_000_000}"
    event = AuditEvent(NOW, "x" * 5_000, "policy.refused", details={"findings": many})
    with database.transaction() as tx:
        audit.record(tx, [event])
    held = stored(database)
    assert len(held) < 25_000
    assert "more characters)" in held
    assert "AKIA" not in held
