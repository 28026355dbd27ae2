"""What was found to differ at EKS: stored once, told once, and over when it no longer differs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store_examples import HOUR, LAB, MINUTE, NOW, ROLE, SECOND, add_grant

from bot.core.drift import Finding, Kind, Outcome
from bot.core.model import GrantState
from bot.store import drift, entries
from bot.store.database import Database
from bot.store.drift import Standing, StandingEntry

GONE = Finding(Kind.GONE, grants=("01A-001",))
ADDED = Finding(Kind.FOREIGN_POLICY, "arn:policy/View", "cluster")
LEFT = {GONE: Outcome.ENDED, ADDED: Outcome.LEFT}
NOBODY = Standing(people=0, machines=0, empty=0, entries=())


@pytest.fixture
def entry_id(database: Database) -> int:
    with database.transaction() as tx:
        return entries.wish(tx, LAB, ROLE, deployment="acme", now=NOW)


def note(tx, entry_id, *findings, at=NOW):
    return drift.note(tx, entry_id, findings, LEFT, at)


def test_a_finding_is_new_once_and_again_after_it_was_over(
    database: Database, entry_id: int
) -> None:
    with database.transaction() as tx:
        assert note(tx, entry_id, ADDED, GONE) == (ADDED, GONE)
        assert note(tx, entry_id, ADDED, at=NOW + MINUTE) == ()
        assert drift.open_at(tx, entry_id) == (ADDED,)
        assert drift.open_by_kind(tx) == {Kind.FOREIGN_POLICY: 1}
        assert note(tx, entry_id, at=NOW + HOUR) == ()
        assert drift.open_by_kind(tx) == {}
        assert note(tx, entry_id, ADDED, at=NOW + 2 * HOUR) == (ADDED,)


def test_what_differs_in_another_way_is_another_finding(database: Database, entry_id: int) -> None:
    wider = replace(ADDED, detail="a, b")
    with database.transaction() as tx:
        note(tx, entry_id, ADDED)
        assert drift.note(tx, entry_id, [wider], {wider: Outcome.LEFT}, NOW) == (wider,)
        assert drift.open_at(tx, entry_id) == (wider,)


def test_what_was_told_is_not_untold_and_the_next_waits_for_its_time(
    database: Database, entry_id: int
) -> None:
    with database.transaction() as tx:
        note(tx, entry_id, ADDED)
        [untold] = drift.untold(tx, NOW - MINUTE)
        assert (untold.cluster, untold.account, untold.region) == (
            LAB.name,
            LAB.account,
            LAB.region,
        )
        assert (untold.principal_arn, untold.finding, untold.outcome, untold.found_at) == (
            ROLE,
            ADDED,
            Outcome.LEFT,
            NOW,
        )
        drift.told(tx, [untold.id], NOW)
        assert drift.untold(tx, NOW - MINUTE) == ()
        note(tx, entry_id, ADDED, GONE)
        assert drift.untold(tx, NOW - SECOND) == (), "the last was told a moment ago"
        assert [one.finding for one in drift.untold(tx, NOW)] == [GONE]


def test_one_cluster_that_was_told_of_holds_no_other_up(database: Database, entry_id: int) -> None:
    with database.transaction() as tx:
        other = entries.wish(tx, replace(LAB, name="other"), ROLE, deployment="acme", now=NOW)
        note(tx, entry_id, ADDED)
        drift.told(tx, [drift.untold(tx, NOW - MINUTE)[0].id], NOW)
        note(tx, entry_id, ADDED, GONE)
        note(tx, other, GONE)
        assert [one.cluster for one in drift.untold(tx, NOW - MINUTE)] == ["other"]


def test_a_scan_is_kept_with_what_it_saw_also_when_the_next_one_fails(database: Database) -> None:
    standing = Standing(
        people=3,
        machines=2,
        empty=1,
        entries=(StandingEntry(ROLE, {"AmazonEKSViewPolicy": "a, b"}, ("admins",), NOW),),
    )
    with database.transaction() as tx:
        assert drift.scan_of(tx, LAB) is None
        drift.scanned(tx, LAB, standing, now=NOW, due_at=NOW + HOUR)
    with database.transaction() as tx:
        drift.not_scanned(tx, LAB, "AWS is away.", attempts=2, due_at=NOW + 2 * HOUR)
    with database.reading() as tx:
        [scan] = drift.scans(tx)
        assert scan == drift.scan_of(tx, LAB)
    assert (scan.scanned_at, scan.problem, scan.attempts) == (NOW, "AWS is away.", 2)
    assert scan.due_at == NOW + 2 * HOUR
    assert scan.standing == standing
    with database.transaction() as tx:
        drift.scanned(tx, LAB, NOBODY, now=NOW + HOUR, due_at=NOW + 2 * HOUR)
        again = drift.scan_of(tx, LAB)
    assert again is not None
    assert (again.problem, again.attempts, again.standing) == (None, 0, NOBODY)


# Which entries a scan has looked at


def test_entries_in_use_are_those_made_those_of_live_grants_and_those_that_differ(
    database: Database, entry_id: int
) -> None:
    with database.transaction() as tx:
        assert entries.known_at(tx, LAB) == ()
        assert entries.clusters_in_use(tx) == ()
        note(tx, entry_id, ADDED)
        assert [one.id for one in entries.known_at(tx, LAB)] == [entry_id]
        note(tx, entry_id)
        entries.intend_creation(tx, entry_id, frozenset(), NOW)
        assert [one.id for one in entries.known_at(tx, LAB)] == [entry_id]
        assert entries.clusters_in_use(tx) == (LAB,)
        entries.reset(tx, entry_id)
        assert entries.known_at(tx, LAB) == ()
        add_grant(tx, id="01A-001", state=GrantState.REVOKING, revoking_since=NOW)
        assert [one.principal_arn for one in entries.known_at(tx, LAB)] == [ROLE]
        assert entries.known_at(tx, replace(LAB, account="999999999999")) == ()


def test_a_look_is_asked_for_unless_the_entry_is_tried_again_anyway(
    database: Database, entry_id: int
) -> None:
    with database.transaction() as tx:
        before = entries.get(tx, entry_id, NOW)
        entries.rest(tx, before, None, attempts=0, problem=None, looked_at=NOW)
        assert entries.get(tx, entry_id, NOW).looked_at == NOW
        entries.look(tx, entry_id, NOW + HOUR)
        assert entries.due(tx, NOW + HOUR, 10) == [entry_id]
        entry = entries.get(tx, entry_id, NOW)
        assert entry.generation > before.generation, "a round that is under way loses no look"
        entries.rest(tx, entry, NOW + 2 * HOUR, attempts=1, problem="EKS answers 500.")
        entries.look(tx, entry_id, NOW + HOUR)
        assert entries.get(tx, entry_id, NOW).generation == entry.generation
        assert entries.get(tx, entry_id, NOW).looked_at == NOW, "it could not be seen since"
