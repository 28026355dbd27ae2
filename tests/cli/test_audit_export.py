"""`eks-access audit export`: time spans, JSON Lines and CSV, and how an export is verified."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from audit_trail import head_of, sealer
from store_examples import ANA, BEN, NOW

from bot.console_audit import FIELDS
from bot.core.model import AuditEvent
from bot.store import audit
from bot.store.database import Database

AUDIT_MD = Path(__file__).parents[2] / "docs" / "audit.md"
HOUR = timedelta(hours=1)
EVENTS = [
    AuditEvent(NOW, ANA, "request.submitted", "01A-000", "lab", {"reason": "Zwölf 🥊", "n": 0.5}),
    AuditEvent(NOW + HOUR, BEN, "request.approved", "01A-000", "lab", {"approvers": [BEN]}),
    AuditEvent(NOW + 2 * HOUR, "bot", "policy.loaded", details={"digest": "abc"}),
    AuditEvent(NOW + 3 * HOUR, ANA, "request.submitted", "01A-001", "prod-eu", {"reason": "x"}),
]


@pytest.fixture
def trail(database_url: str):
    with closing(Database(database_url)) as database:
        with database.transaction() as tx:
            audit.record(tx, EVENTS[:3])
        sealer(database, NOW + 4 * HOUR).seal()
        with database.transaction() as tx:
            audit.record(tx, EVENTS[3:])
        yield database_url, database


def lines(result) -> list[dict]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_each_line_is_an_event_with_the_same_fields(cli, trail):
    url, _ = trail
    exported = lines(cli("audit", "export", DATABASE_URL=url))
    assert [tuple(one) for one in exported] == [FIELDS] * 4
    seals = {name: exported[0].pop(name) for name in ("digest", "hash")}
    assert exported[0] == {
        "position": 1,
        "id": 1,
        "at": "2026-03-01T12:00:00.000000Z",
        "actor": ANA,
        "action": "request.submitted",
        "request_id": "01A-000",
        "cluster": "lab",
        "details": {"reason": "Zwölf 🥊", "n": 0.5},
        "sealed_at": "2026-03-01T16:00:00.000000Z",
    }
    assert all(len(one) == 64 for one in seals.values())
    assert [exported[3][name] for name in ("position", "sealed_at", "digest", "hash")] == [None] * 4


def test_whoever_has_an_export_can_verify_it_as_the_documentation_says(cli, trail):
    url, database = trail
    exported = cli("audit", "export", DATABASE_URL=url).stdout
    head = head_of(database)
    assert as_documented(exported) == f"head: 3 {head.hash}\n"
    assert as_documented(exported.replace(BEN, ANA, 1)).startswith("changed: 2\n")
    first, *others = exported.splitlines(keepends=True)
    assert as_documented("".join(others)).startswith("does not follow the one before it: 2\n")
    assert as_documented("".join([*others, first])) == f"head: 3 {head.hash}\n"


def as_documented(exported: str) -> str:
    """What the program in the documentation prints of an export."""
    (program,) = re.findall(r"```python\n(.*?)```", AUDIT_MD.read_text(), re.DOTALL)
    done = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-c", program], input=exported, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--from", "2026-03-01T13:00:00Z"], [2, 3, 4]),
        (["--until", "2026-03-01T13:00:00Z"], [1]),
        (["--from", "2026-03-01T14:00+01:00", "--until", "2026-03-01T15:00Z"], [2, 3]),
        (["--from", "2026-03-01 13:00:00.000001", "--until", "2026-03-02"], [3, 4]),
        (["--cluster", "lab"], [1, 2]),
        (["--request", "01a000"], [1, 2]),
        (["--request", "01A-001", "--cluster", "lab"], []),
        (["--from", "2027-01-01"], []),
    ],
)
def test_a_span_a_cluster_or_a_request_is_chosen(cli, trail, options, ids):
    url, _ = trail
    exported = lines(cli("audit", "export", *options, DATABASE_URL=url))
    assert [one["id"] for one in exported] == ids


def test_csv_has_the_same_fields_and_the_details_as_json(cli, trail):
    url, _ = trail
    result = cli("audit", "export", "--format", "csv", DATABASE_URL=url)
    assert result.exit_code == 0
    assert result.stdout_bytes.startswith(",".join(FIELDS).encode() + b"\r\n")
    rows = list(csv.DictReader(io.StringIO(result.stdout_bytes.decode(), newline="")))
    assert len(rows) == 4
    assert json.loads(rows[0]["details"]) == {"reason": "Zwölf 🥊", "n": 0.5}
    assert (rows[0]["position"], rows[3]["position"], rows[2]["request_id"]) == ("1", "", "")


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula_to_a_spreadsheet(cli, sqlite, begin):
    formula = f"{begin}cmd|' /C calc'!A0"
    with closing(Database(sqlite)) as database, database.transaction() as tx:
        audit.record(
            tx, [AuditEvent(NOW, formula[:30], formula, None, formula, {"reason": formula})]
        )
    result = cli("audit", "export", "--format", "csv", DATABASE_URL=sqlite)
    (row,) = csv.DictReader(io.StringIO(result.stdout_bytes.decode(), newline=""))
    assert (row["action"], row["cluster"]) == (f"'{formula}", f"'{formula}")
    assert not [cell for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_a_long_trail_is_exported_whole_and_each_event_once(cli, sqlite):
    with closing(Database(sqlite)) as database, database.transaction() as tx:
        audit.record(tx, EVENTS * 1_100)
    exported = lines(cli("audit", "export", DATABASE_URL=sqlite))
    assert [one["id"] for one in exported] == list(range(1, 4_401))


def test_a_time_without_a_zone_is_read_as_utc_and_that_is_said(cli, trail):
    url, _ = trail
    result = cli("audit", "export", "--from", "2026-03-01 15:00", DATABASE_URL=url)
    assert [one["id"] for one in lines(result)] == [4]
    assert result.stderr == "2026-03-01 15:00 has no time zone and is read as UTC.\n"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--from", "yesterday"], "`yesterday` is no time. Write it as 2026-11-26T14:30:00+01:00"),
        (["--from", "2026-03-02", "--until", "2026-03-01"], "is not after"),
        (["--request", "7K3"], "`7K3` is no request's id"),
        (["--format", "xml"], "xml"),
    ],
)
def test_options_that_make_no_sense_are_bad_use(cli, sqlite, options, told):
    result = cli("audit", "export", *options, DATABASE_URL=sqlite)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr
