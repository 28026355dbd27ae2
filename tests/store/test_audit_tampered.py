"""Whatever is done to the stored trail is found, and the event is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from audit_trail import (
    REQUESTS,
    anchor_of,
    found,
    head_of,
    seal_anew,
    sealer,
    tamper,
    write,
    written_and_sealed,
)
from store_examples import NOW

from bot.core.audit_findings import Anchor, Finding, Kind
from bot.store.audit_verify import verify
from bot.store.database import Database

COUNT = 12


@pytest.fixture
def trail(database: Database) -> Database:
    written_and_sealed(database, COUNT)
    return database


def only(findings: list[Finding]) -> tuple[Kind, int | None, int | None, str | None]:
    (one,) = findings
    return one.kind, one.position, one.event_id, one.request_id


def request_of(event_id: int) -> str:
    return REQUESTS[event_id % len(REQUESTS)]


def test_an_untouched_trail_is_good(trail: Database) -> None:
    report = verify(trail, [anchor_of(trail)])
    assert (report.findings, report.events, report.head) == ([], COUNT, head_of(trail))
    assert (report.waiting, report.anchors, report.late, report.left_out) == (0, 1, 0, 0)


def test_an_empty_trail_is_good(database: Database) -> None:
    report = verify(database)
    assert (report.findings, report.events, report.head.position) == ([], 0, 0)


@pytest.mark.parametrize(
    "change",
    [
        "actor = 'U02BEN'",
        "action = 'request.denied'",
        "at = '2026-03-01 12:00:05.000001'",
        "request_id = NULL",
        "cluster = 'prod-us'",
        """details = '{"number": 5}'""",
        """details = '{"number":5,"reason":"Zwölf 🥊","lag_seconds":0.26,"rules":["a"]}'""",
    ],
)
def test_a_changed_event_is_named(trail: Database, change: str) -> None:
    tamper(trail, f"UPDATE audit_events SET {change} WHERE id = 5")  # noqa: S608 - of this file
    kind, position, event_id, _ = only(found(trail))
    assert (kind, position, event_id) == (Kind.CHANGED, 5, 5)


@pytest.mark.parametrize("position", [1, 5, COUNT])
def test_an_event_that_is_gone_is_named(trail: Database, position: int) -> None:
    tamper(trail, f"DELETE FROM audit_events WHERE id = {position}")  # noqa: S608 - a number
    assert only(found(trail)) == (Kind.MISSING, position, position, None)


@pytest.mark.parametrize("position", [1, 5, COUNT - 1])
def test_an_event_that_is_gone_with_its_seal_is_named_by_its_position(
    trail: Database, position: int
) -> None:
    tamper(
        trail,
        f"DELETE FROM audit_seals WHERE position = {position}",  # noqa: S608 - a number
        f"DELETE FROM audit_events WHERE id = {position}",  # noqa: S608 - a number
    )
    assert only(found(trail)) == (Kind.MISSING, position, None, None)


def test_an_event_that_is_gone_shows_also_where_the_rest_moves_up(trail: Database) -> None:
    tamper(
        trail,
        "DELETE FROM audit_seals WHERE position = 5",
        "DELETE FROM audit_events WHERE id = 5",
        *(
            f"UPDATE audit_seals SET position = {one - 1} WHERE position = {one}"  # noqa: S608
            for one in range(6, COUNT + 1)
        ),
    )
    (finding,) = found(trail)
    assert (finding.kind, finding.position, finding.event_id) == (Kind.MISSING, 5, 6)
    assert "does not follow event 4" in finding.sentence


def test_an_end_that_is_cut_off_shows_by_an_anchor(trail: Database) -> None:
    anchor = anchor_of(trail)
    tamper(
        trail,
        f"DELETE FROM audit_seals WHERE position > {COUNT - 3}",  # noqa: S608 - a number
        f"DELETE FROM audit_events WHERE id > {COUNT - 3}",  # noqa: S608 - a number
    )
    assert found(trail) == [], "nothing in the database can tell"
    (finding,) = found(trail, anchor)
    assert (finding.kind, finding.position) == (Kind.CUT_OFF, COUNT - 2)
    assert f"after event {COUNT - 3} (position {COUNT - 3}, request" in finding.sentence
    assert "at least 3 events" in finding.sentence
    assert "(a log)" in finding.sentence


def test_a_trail_that_is_emptied_shows_by_an_anchor(trail: Database) -> None:
    anchor = anchor_of(trail)
    tamper(trail, "DELETE FROM audit_seals", "DELETE FROM audit_events")
    assert only(found(trail, anchor))[:2] == (Kind.CUT_OFF, 1)


def test_a_cut_that_new_events_cover_shows_by_an_anchor(trail: Database) -> None:
    anchor = anchor_of(trail)
    tamper(
        trail,
        f"DELETE FROM audit_seals WHERE position > {COUNT - 3}",  # noqa: S608 - a number
        f"DELETE FROM audit_events WHERE id > {COUNT - 3}",  # noqa: S608 - a number
    )
    write(trail, 6, first=COUNT + 1)
    tamper(trail, "INSERT INTO audit_unsealed SELECT id FROM audit_events WHERE id > 9")
    sealer(trail).seal()
    assert only(found(trail, anchor))[:2] == (Kind.REWRITTEN, COUNT)


@pytest.mark.parametrize("pair", [(5, 6), (3, 9)])
def test_seals_that_changed_places_are_named(trail: Database, pair: tuple[int, int]) -> None:
    one, two = pair
    tamper(
        trail,
        *(
            f"UPDATE audit_seals SET position = {new} WHERE position = {old}"  # noqa: S608
            for new, old in ((1000, one), (one, two), (two, 1000))
        ),
    )
    first, second = found(trail)
    assert (first.kind, first.position, first.event_id) == (Kind.REORDERED, one, two)
    assert f"was sealed at {two}" in first.sentence
    assert (second.kind, second.position, second.event_id) == (Kind.REORDERED, two, one)
    assert f"was sealed at {one}" in second.sentence


@pytest.mark.parametrize("pair", [(5, 6), (3, 9)])
def test_events_that_changed_places_are_named(trail: Database, pair: tuple[int, int]) -> None:
    one, two = pair
    tamper(
        trail,
        *(
            f"UPDATE audit_events SET id = {new} WHERE id = {old}"  # noqa: S608 - numbers
            for new, old in ((1000, one), (one, two), (two, 1000))
        ),
    )
    first, second = found(trail)
    assert (first.kind, first.position, first.event_id) == (Kind.REORDERED, one, one)
    assert (second.kind, second.position, second.event_id) == (Kind.REORDERED, two, two)


def test_an_event_put_in_past_the_triggers_is_named(trail: Database) -> None:
    tamper(trail, FORGED)
    assert only(found(trail)) == (Kind.INSERTED, None, 77, "01A-001")


FORGED = (
    "INSERT INTO audit_events (id, at, actor, action, request_id, details) "
    "VALUES (77, '2026-03-01 12:00:05.500000', 'U02BEN', 'request.approved', '01A-001', '{}')"
)
FORGED_SEAL = (
    "INSERT INTO audit_seals (position, event_id, sealed_at, digest, hash) "
    "SELECT 6, 77, sealed_at, digest, hash FROM audit_seals WHERE position = 5"
)
ROOM = [
    f"UPDATE audit_seals SET position = {one + 1} WHERE position = {one}"  # noqa: S608 - numbers
    for one in range(COUNT, 5, -1)
]


def test_a_forged_event_under_a_copied_seal_is_named(trail: Database) -> None:
    tamper(trail, FORGED, *ROOM, FORGED_SEAL)
    assert only(found(trail)) == (Kind.CHANGED, 6, 77, "01A-001")


def test_a_forged_event_under_a_seal_of_nothing_is_named(trail: Database) -> None:
    made_up = FORGED_SEAL.replace("digest, hash FROM", f"'{'e' * 64}', '{'f' * 64}' FROM")
    tamper(trail, FORGED, *ROOM, made_up)
    assert only(found(trail)) == (Kind.INSERTED, 6, 77, "01A-001")


def test_a_forged_event_with_a_seal_of_its_own_making_is_named(trail: Database) -> None:
    tamper(trail, FORGED, *ROOM, FORGED_SEAL)
    seal_anew(trail, 6, 6)
    assert only(found(trail)) == (Kind.INSERTED, 6, 77, "01A-001")


def test_a_chain_hashed_anew_from_a_change_on_shows_by_an_anchor(trail: Database) -> None:
    anchors = [anchor_of(trail)]
    write(trail, 3, first=COUNT + 1)
    sealer(trail).seal()
    anchors.append(anchor_of(trail))
    tamper(trail, f"UPDATE audit_events SET actor = 'U02BEN' WHERE id = {COUNT + 1}")  # noqa: S608
    seal_anew(trail, COUNT + 1)
    assert found(trail) == [], "nothing in the database can tell"
    (finding,) = found(trail, *anchors)
    assert (finding.kind, finding.position, finding.event_id) == (Kind.REWRITTEN, 15, 15)
    assert f"rewritten after position {COUNT}, up to event 15" in finding.sentence
    assert f"An anchor vouches for all up to position {COUNT}" in finding.sentence


@pytest.mark.parametrize("column", ["hash", "digest"])
@pytest.mark.parametrize("position", [1, 5])
def test_a_changed_seal_is_told_from_a_changed_event(
    trail: Database, column: str, position: int
) -> None:
    tamper(trail, f"UPDATE audit_seals SET {column} = '{'f' * 64}' WHERE position = {position}")  # noqa: S608
    (finding,) = found(trail)
    assert (finding.kind, finding.position) == (Kind.CHANGED, position)
    assert "its seal was changed" in finding.sentence


def test_a_seal_moved_far_away_is_named(trail: Database) -> None:
    tamper(trail, f"UPDATE audit_seals SET position = 10000000000 WHERE position = {COUNT}")  # noqa: S608
    assert only(found(trail))[:3] == (Kind.REORDERED, 10**10, COUNT)


def anchored(trail: Database, minute: int, *, fixed: bool = False) -> Anchor:
    """The head as it is, as written down at a minute."""
    return replace(anchor_of(trail), at=NOW + timedelta(minutes=minute), fixed=fixed)


def grown(trail: Database, first: int, count: int = 3) -> None:
    write(trail, count, first=first)
    sealer(trail).seal()


def rewritten_under_a_running_bot(trail: Database, *, fixed: bool) -> list[Anchor]:
    """Anchored at 12, 15 and 18; then rewritten from 14 on; grown, and anchored at 21."""
    anchors = []
    for minute, position in ((0, COUNT), (5, COUNT + 3), (10, COUNT + 6)):
        anchors.append(anchored(trail, minute, fixed=fixed))
        assert anchors[-1].position == position
        grown(trail, position + 1)
    tamper(
        trail,
        "DELETE FROM audit_seals WHERE position > 18",
        "DELETE FROM audit_events WHERE id > 18",
        "UPDATE audit_events SET actor = 'U02BEN' WHERE id = 14",
    )
    seal_anew(trail, 14)
    write(trail, 3, first=19)
    tamper(trail, "INSERT INTO audit_unsealed SELECT id FROM audit_events WHERE id > 18")
    sealer(trail).seal()
    return [*anchors, anchored(trail, 15, fixed=fixed)]


@pytest.mark.parametrize("fixed", [True, False])
def test_what_was_rewritten_stays_evidence_once_the_bot_has_anchored_again(
    trail: Database, fixed: bool
) -> None:
    (finding,) = found(trail, *rewritten_under_a_running_bot(trail, fixed=fixed))
    assert (finding.kind, finding.position, finding.event_id) == (Kind.REWRITTEN, 18, 18)
    said = finding.sentence
    assert "rewritten after position 12, up to event 18 (position 18, request" in said
    assert "between 2026-03-01 12:10:00 and 2026-03-01 12:15:00 UTC" in said
    assert "The anchor of position 21 fits because it was made after that" in said
    assert ("Nobody can change an object in S3" in said) is fixed
    assert "altered" not in said


def test_a_younger_anchor_does_not_vouch_for_what_stood_there_before(trail: Database) -> None:
    """The bot anchors where an anchor of the trail that was there before stands further on."""
    old = [anchored(trail, 0)]
    grown(trail, COUNT + 1, 6)
    old.append(anchored(trail, 5))
    tamper(
        trail,
        "DELETE FROM audit_seals WHERE position > 15",
        "DELETE FROM audit_events WHERE id > 15",
        "UPDATE audit_events SET actor = 'U02BEN' WHERE id = 14",
    )
    seal_anew(trail, 14)
    new = anchored(trail, 10)
    assert new.position == 15
    write(trail, 6, first=16)
    tamper(trail, "INSERT INTO audit_unsealed SELECT id FROM audit_events WHERE id > 15")
    sealer(trail).seal()
    (finding,) = found(trail, *old, new)
    assert "rewritten after position 12, up to event" in finding.sentence
    assert "(position 18, request" in finding.sentence
    (finding,) = found(trail, *(replace(one, at=None) for one in (*old, new)))
    assert "vouches for all up to position 15, if it is the older one" in finding.sentence


def test_two_anchors_of_one_position_are_evidence_where_one_fits(trail: Database) -> None:
    before = anchored(trail, 0)
    tamper(trail, "UPDATE audit_events SET actor = 'U02BEN' WHERE id = 3")
    seal_anew(trail, 3)
    (finding,) = found(trail, anchored(trail, 5), before)
    assert (finding.kind, finding.position) == (Kind.REWRITTEN, COUNT)


def test_an_anchor_that_never_fitted_is_told_with_how_to_find_out(trail: Database) -> None:
    false = Anchor(3, "f" * 64, "a file")
    (finding,) = found(trail, false, anchor_of(trail))
    assert (finding.kind, finding.position) == (Kind.REWRITTEN, 3)
    assert "it is another trail's, compare it with the same position in another" in finding.sentence


def test_triggers_that_are_gone_are_a_finding(trail: Database) -> None:
    tamper(trail)
    kinds = {one.kind for one in verify(trail).findings}
    assert kinds == {Kind.UNGUARDED}


def test_every_trouble_of_many_is_counted(database: Database) -> None:
    written_and_sealed(database, 230)
    tamper(database, "UPDATE audit_events SET actor = 'U02BEN' WHERE id > 10")
    report = verify(database)
    changed = [one for one in report.findings if one.kind is Kind.CHANGED]
    assert (len(changed), report.left_out) == (200, 20)


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    "change",
    [
        """details = '{"number": 5, "number": 5}'""",
        "details = 'no JSON'",
        "details = X'FF'",
        "details = CAST(X'FF' AS TEXT)",
        "actor = CAST(X'FF' AS TEXT)",
        "actor = X'41'",
        "at = 'yesterday'",
    ],
)
def test_what_only_sqlite_stores_is_a_change_too(trail: Database, change: str) -> None:
    tamper(trail, f"UPDATE audit_events SET {change} WHERE id = 5")  # noqa: S608 - of this file
    assert only(found(trail))[:3] == (Kind.CHANGED, 5, 5)


def test_parts_and_processes_tell_the_same(trail: Database, database_kind: str) -> None:
    tamper(
        trail,
        *(
            f"UPDATE audit_seals SET position = {new} WHERE position = {old}"  # noqa: S608
            for new, old in ((1000, 3), (3, 9), (9, 1000))
        ),
        "UPDATE audit_events SET actor = 'U02BEN' WHERE id = 6",
        "DELETE FROM audit_events WHERE id = 11",
    )
    whole = verify(trail)
    assert len(whole.findings) > 4
    seen = []
    # Processes take a while to start, so those are tried on one kind of database.
    ways = [(1, 1), (1, 4), (1, 5), *([(2, 4)] if database_kind == "postgresql" else [])]
    for workers, part in ways:
        report = verify(trail, workers=workers, part=part, progress=lambda *step: seen.append(step))
        assert (report.findings, report.events) == (whole.findings, COUNT)
    assert seen[-1][0] == seen[-1][1]
