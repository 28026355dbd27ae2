"""`eks-access audit at`: who had access at a moment and who approved it, told from the trail."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from audit_trail import tamper
from store_examples import ANA, BEN, CLEO, HOUR, LAB, MINUTE, NOW, ROLE, SECOND, VIEW, request

from bot.core import lifecycle
from bot.core.model import EndReason, GrantState
from bot.store import audit, entries, grants, requests
from bot.store.database import Database

PROD = replace(LAB, name="prod-eu", account="444455556666")


def live(database: Database, **changes):
    """A request's life: asked at NOW, approved a minute later, there after a second, for 1 h."""
    asked = request(**changes)
    automatic = not asked.requirements
    by, approvers = (lifecycle.BOT, ()) if automatic else (BEN, (BEN, CLEO))
    at = NOW + MINUTE
    approved, given, decided = lifecycle.approve(
        asked, at, by=by, approvers=approvers, digest="abc"
    )
    with database.transaction() as tx:
        requests.add(tx, asked)
        audit.record(tx, lifecycle.submitted(asked))
        requests.decide(tx, approved)
        entry = entries.wish(tx, given.cluster, given.principal_arn, deployment="d", now=at)
        grants.add(tx, given, entry)
        audit.record(tx, decided)
    begin = given.starts_at or at
    if given.state is GrantState.SCHEDULED:
        rules = asked.rules
        given = change(database, given, lifecycle.start, begin, rules=rules, digest="abc")
    given = change(database, given, lifecycle.confirm, begin + SECOND)
    given = change(
        database, given, lifecycle.revoke, begin + HOUR, EndReason.RETURNED, by=given.requester
    )
    return change(database, given, lifecycle.end, begin + HOUR + 10 * SECOND)


def change(database, grant, transition, at, *arguments, **options):
    after, events = transition(grant, at, *arguments, **options)
    with database.transaction() as tx:
        grants.change(tx, after, expected=grant.state)
        audit.record(tx, events)
    return after


@pytest.fixture
def lived(database_url: str):
    """A store in which Ana had access to the lab and Cleo to prod-eu, one hour each."""
    with closing(Database(database_url)) as database:
        live(database)
        live(
            database,
            id="01A-001",
            requester=CLEO,
            cluster=PROD,
            requirements=(),
            rules=("readers",),
            start_at=NOW + 30 * MINUTE,
        )
        yield database_url, database


def at(cli, url: str, after: timedelta, *options: str):
    """Ask for a moment so long after NOW. Returns what had access, by request."""
    result = cli("audit", "at", (NOW + after).isoformat(), "--json", *options, DATABASE_URL=url)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["differences"] == []
    assert found["at"] == (NOW + after).isoformat()
    return {one["request_id"]: one for one in found["access"]}


@pytest.mark.parametrize(
    ("after", "states"),
    [
        (MINUTE - SECOND, {}),
        (MINUTE, {"01A-000": "being given"}),
        (MINUTE + SECOND, {"01A-000": "active"}),
        (30 * MINUTE - SECOND, {"01A-000": "active"}),
        (30 * MINUTE, {"01A-000": "active", "01A-001": "being given"}),
        (31 * MINUTE, {"01A-000": "active", "01A-001": "active"}),
        (61 * MINUTE, {"01A-000": "being removed", "01A-001": "active"}),
        (61 * MINUTE + 10 * SECOND, {"01A-001": "active"}),
        (2 * HOUR, {}),
    ],
)
def test_at_each_moment_it_tells_who_had_access(cli, lived, after, states):
    url, _ = lived
    assert {name: one["state"] for name, one in at(cli, url, after).items()} == states


def test_it_tells_what_it_was_and_who_approved_it(cli, lived):
    url, _ = lived
    assert at(cli, url, 40 * MINUTE)["01A-000"] == {
        "request_id": "01A-000",
        "requester": ANA,
        "cluster": "modern-access-lab",
        "state": "active",
        "account": "111122223333",
        "principal": ROLE,
        "level": "view",
        "policy_arn": VIEW,
        "namespaces": ["default"],
        "kubernetes_groups": [],
        "since": (NOW + MINUTE + SECOND).isoformat(),
        "ends_at": (NOW + MINUTE + SECOND + 2 * HOUR).isoformat(),
        "approved_by": BEN,
        "approvers": [BEN, CLEO],
        "rules": ["lab readers"],
        "break_glass": False,
        "reason": "Looking at a failing pod",
        "ticket": None,
    }


def test_people_read_a_table(cli, lived):
    url, _ = lived
    result = cli("audit", "at", "2026-03-01 12:40", DATABASE_URL=url)
    assert result.exit_code == 0
    head, *rows = result.stdout.splitlines()
    assert head.split()[:4] == ["GRANT", "STATE", "WHO", "CLUSTER"]
    assert [row.split()[0] for row in rows] == ["01A-000", "01A-001"]
    assert rows[0].endswith(f"{BEN}, {CLEO}")
    assert rows[1].endswith("automatic (readers)")
    assert {row.index("active") for row in rows} == {head.index("STATE")}
    assert result.stderr == "2026-03-01 12:40 has no time zone and is read as UTC.\n"


def test_one_cluster_is_chosen(cli, lived):
    url, _ = lived
    assert [*at(cli, url, 40 * MINUTE, "--cluster", "prod-eu")] == ["01A-001"]
    result = cli("audit", "at", "2026-03-01T11:00Z", "--cluster", "prod-eu", DATABASE_URL=url)
    told = "Nobody had access through the bot on prod-eu at 2026-03-01 11:00:00 UTC.\n"
    assert result.stdout == told


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM grants WHERE id = '01A-000'", "01A-000 is in the trail, and the table"),
        (
            "UPDATE grants SET requester = 'U9' WHERE id = '01A-000'",
            "has requester 'U01ANA' in the",
        ),
        (
            "UPDATE grants SET principal_arn = 'x' WHERE id = '01A-000'",
            f"has principal '{ROLE}' in the trail and 'x' in the table of grants",
        ),
        (
            "UPDATE grants SET ended_at = '2026-03-01 12:02:00' WHERE id = '01A-000'",
            "01A-000 is in the trail, and the table of grants has it not.",
        ),
        (
            "DELETE FROM audit_events WHERE request_id = '01A-000'",
            "01A-000 is in the table of grants, and the trail has it not.",
        ),
    ],
)
def test_where_the_store_says_otherwise_it_exits_1_and_says_so(cli, lived, statement, told):
    url, database = lived
    tamper(database, statement)
    result = cli("audit", "at", "2026-03-01T12:40Z", DATABASE_URL=url)
    assert result.exit_code == 1
    assert told in result.stdout
    assert "`eks-access audit verify` tells whether the trail was changed." in result.stdout


def test_events_from_before_they_told_all_are_read_too(cli, lived):
    url, database = lived
    # What an approval gives was not on record then; the request's own event tells most of it.
    change_details = (
        "UPDATE audit_events SET details = json_remove(details, '$.gives') "
        if database.is_sqlite
        else "UPDATE audit_events SET details = details - 'gives' "
    )
    tamper(database, f"{change_details} WHERE action = 'request.approved'")
    one = at(cli, url, 40 * MINUTE)["01A-000"]
    assert (one["requester"], one["principal"], one["account"]) == (ANA, ROLE, None)
    assert (one["namespaces"], one["approvers"]) == (["default"], [BEN, CLEO])


@pytest.mark.parametrize(
    ("moment", "told"),
    [("noon", "`noon` is no time"), ("2999-01-01T00:00Z", "has not been yet")],
)
def test_a_moment_that_is_none_is_bad_use(cli, sqlite, moment, told):
    result = cli("audit", "at", moment, DATABASE_URL=sqlite)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr
