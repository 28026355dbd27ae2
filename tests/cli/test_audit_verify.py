"""`eks-access audit verify`: exit codes, what it names, anchors from logs, Slack and pipes."""

from __future__ import annotations

import io
import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import boto3
import pytest
from audit_trail import head_of, seal_anew, sealer, tamper, write, written_and_sealed
from moto.server import ThreadedMotoServer

from bot.aws.anchor_bucket import AnchorBucket
from bot.console_audit import slow_progress
from bot.core.audit_anchors import line
from bot.core.audit_chain import Head
from bot.store.database import Database


@pytest.fixture
def trail(database_url: str):
    """The URL of a store with a sealed trail of nine events."""
    with closing(Database(database_url)) as database:
        written_and_sealed(database, 9)
        yield database_url, database


REWRITTEN = "rewritten: The trail was rewritten somewhere from its beginning on, up to event 9 "


def log_of(head: Head) -> str:
    """Some lines of a log, the anchor among them."""
    anchor = {
        "position": head.position,
        "hash": head.hash,
        "deployment": "acme",
        "event": "audit head",
    }
    return f'{{"event": "started"}}\nno JSON\n{json.dumps(anchor)}\n'


def test_a_good_trail_exits_0_and_says_what_was_looked_at(cli, trail):
    url, database = trail
    result = cli("audit", "verify", DATABASE_URL=url)
    assert result.exit_code == 0
    head = head_of(database)
    assert "Looked at 9 events: no findings." in result.stdout
    assert f"Audit head: position 9, hash {head.hash}" in result.stdout
    assert "Without an anchor nobody can tell" in result.stdout
    assert result.stderr == ""


def test_a_finding_exits_1_and_names_the_event(cli, trail):
    url, database = trail
    tamper(database, "UPDATE audit_events SET actor = 'U02BEN' WHERE id = 5")
    result = cli("audit", "verify", DATABASE_URL=url)
    assert result.exit_code == 1
    told = "changed: Event 5 (position 5, request 01A-002) is not as it was sealed."
    assert told in result.stdout
    assert "unguarded: The database's trigger audit_events_no_" in result.stdout


def test_a_script_reads_the_same(cli, trail):
    url, database = trail
    good = json.loads(cli("audit", "verify", "--json", DATABASE_URL=url).stdout)
    assert good == {
        "good": True,
        "events": 9,
        "waiting": 0,
        "head": head_of(database)._asdict(),
        "anchors": 0,
        "findings": [],
        "left_out": 0,
        "late": 0,
    }
    tamper(database, "DELETE FROM audit_events WHERE id = 5")
    result = cli("audit", "verify", "--json", DATABASE_URL=url)
    assert result.exit_code == 1
    found = [one for one in json.loads(result.stdout)["findings"] if one["kind"] != "unguarded"]
    assert found == [
        {
            "kind": "missing",
            "sentence": "Event 5 (position 5) is gone; its seal is still there.",
            "position": 5,
            "event_id": 5,
            "request_id": None,
        }
    ]


def test_a_log_shows_that_the_end_was_cut_off(cli, trail, tmp_path):
    url, database = trail
    log = tmp_path / "bot.log"
    log.write_text(log_of(head_of(database)))
    assert cli("audit", "verify", "--anchor", str(log), DATABASE_URL=url).exit_code == 0
    tamper(
        database,
        "DELETE FROM audit_seals WHERE position > 7",
        "DELETE FROM audit_events WHERE id > 7",
    )
    result = cli("audit", "verify", "--anchor", str(log), DATABASE_URL=url)
    assert result.exit_code == 1
    after = "cut off: The end is cut off after event 7 (position 7, request 01A-001)"
    assert f"{after}: an anchor ({log}, line 3) vouches for position 9" in result.stdout
    assert "at least 2 events from position 8 on are gone" in result.stdout


@pytest.mark.parametrize(
    "said",
    [
        lambda head: line(head, "acme"),
        lambda head: f"12:00 eks-access APP  {line(head, 'acme')} of 9 events",
        lambda head: json.dumps(
            {"event": "audit head", "hash": head.hash, "position": head.position}
        ),
        lambda head: (
            "2026-11-26 [info] \x1b[1maudit head\x1b[0m "
            f"\x1b[36mhash\x1b[0m=\x1b[35m{head.hash}\x1b[0m "
            f"\x1b[36mposition\x1b[0m=\x1b[35m{head.position}\x1b[0m"
        ),
    ],
    ids=["message", "copied message", "JSON", "terminal"],
)
def test_an_anchor_is_read_however_it_was_written(cli, trail, tmp_path, said):
    url, database = trail
    (tmp_path / "anchor").write_text(said(head_of(database)) + "\n")
    assert cli("audit", "verify", "--anchor", "anchor", DATABASE_URL=url).exit_code == 0
    tamper(database, "UPDATE audit_events SET actor = 'U02BEN' WHERE id = 8")
    seal_anew(database, 8)
    result = cli("audit", "verify", "--anchor", "anchor", DATABASE_URL=url)
    assert result.exit_code == 1
    assert REWRITTEN in result.stdout


def test_what_it_printed_itself_is_an_anchor_for_the_next_time(cli, trail):
    url, database = trail
    printed = cli("audit", "verify", DATABASE_URL=url).stdout
    again = cli("audit", "verify", "--anchor", "-", DATABASE_URL=url, stdin=printed)
    assert "Looked at 9 events, and 1 anchor: no findings." in again.stdout
    tamper(database, "UPDATE audit_events SET actor = 'U02BEN' WHERE id = 8")
    seal_anew(database, 8)
    changed = cli("audit", "verify", "--anchor", "-", DATABASE_URL=url, stdin=printed)
    assert changed.exit_code == 1
    assert REWRITTEN in changed.stdout


def test_several_anchors_narrow_down_what_was_written_anew(cli, trail, tmp_path):
    url, database = trail
    lines = [line(head_of(database), "acme")]
    write(database, 3, first=10)
    sealer(database).seal()
    lines.append(line(head_of(database), "acme"))
    for number, one in enumerate(lines):
        (tmp_path / f"{number}.log").write_text(f"{one}\n")
    tamper(database, "UPDATE audit_events SET actor = 'U02BEN' WHERE id = 11")
    seal_anew(database, 11)
    result = cli("audit", "verify", "--anchor", "0.log", "--anchor", "1.log", DATABASE_URL=url)
    assert result.exit_code == 1
    assert "rewritten after position 9, up to event 12 (position 12" in result.stdout


def test_an_anchor_comes_through_a_pipe(cli, trail):
    url, _ = trail
    log = log_of(Head(11, "f" * 64))
    result = cli("audit", "verify", "--anchor", "-", DATABASE_URL=url, stdin=log)
    assert result.exit_code == 1
    assert "(standard input, line 3)" in result.stdout


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read: No such file or directory"),
        ("nothing\n", "There is no anchor in anchors"),
        ("audit head without a hash, position 3\n", "There is no anchor in anchors"),
        (
            f"audit head deployment=a position=1 hash={'a' * 64}\n"
            f"audit head deployment=b position=1 hash={'a' * 64}\n",
            "These anchors are of several deployments (a, b)",
        ),
    ],
)
def test_anchors_that_are_none_are_bad_use(cli, sqlite, tmp_path, content, told):
    if content is not None:
        (tmp_path / "anchors").write_text(content)
    result = cli("audit", "verify", "--anchor", "anchors", DATABASE_URL=sqlite)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr


def test_waiting_events_are_told_and_are_no_finding(cli, trail):
    url, database = trail
    write(database, 1, first=10)
    result = cli("audit", "verify", DATABASE_URL=url)
    assert result.exit_code == 0
    assert "Note: 1 event without a seal." in result.stdout


def test_text_that_is_none_is_printed_all_the_same(cli, sqlite):
    with closing(Database(sqlite)) as database:
        written_and_sealed(database, 3)
        tamper(database, "UPDATE audit_events SET request_id = CAST(X'FF' AS TEXT) WHERE id = 2")
    for options in ([], ["--json"]):
        result = cli("audit", "verify", *options, DATABASE_URL=sqlite)
        assert result.exit_code == 1
        assert "Event 2 (position 2, request" in result.stdout


def test_without_a_database_nothing_is_good(cli):
    result = cli("audit", "verify", DATABASE_URL="sqlite:///nowhere.db")
    assert result.exit_code == 2
    assert "There is no database at" in result.stderr
    assert not Path("nowhere.db").exists()


def test_long_work_says_how_far_it_is_and_short_work_nothing():
    times = iter([0.0, 1.0, 2.5, 3.0, 13.0, 14.0])
    stream = io.StringIO()
    progress = slow_progress(stream, lambda: next(times))
    for done in range(1, 6):
        progress(done, 5)
    assert stream.getvalue() == ("Verifying: 40 % after 2 s\nVerifying: 80 % after 13 s\n")


def test_anchors_in_the_bucket_are_compared_by_themselves(cli, trail, bucket):
    url, database = trail
    environment = {"DATABASE_URL": url, **bucket}
    at = AnchorBucket(bucket["EKS_ACCESS_AUDIT_BUCKET"], mode="COMPLIANCE", keep=timedelta(days=1))
    at.put("sandbox", head_of(database), datetime.now(UTC))
    at.put("another", Head(2, "f" * 64), datetime.now(UTC))
    good = cli("audit", "verify", **environment)
    assert good.exit_code == 0
    assert "Looked at 9 events, and 1 anchor: no findings." in good.stdout
    tamper(database, "DELETE FROM audit_seals", "DELETE FROM audit_events")
    result = cli("audit", "verify", **environment)
    assert result.exit_code == 1
    assert "vouches for position 9, so at least 9 events" in result.stdout
    assert f"(s3://{bucket['EKS_ACCESS_AUDIT_BUCKET']}/sandbox/000000000009-" in result.stdout


def test_a_locked_anchor_is_never_called_altered_whatever_was_anchored_later(cli, trail, bucket):
    url, database = trail
    environment = {"DATABASE_URL": url, **bucket}
    at = AnchorBucket(bucket["EKS_ACCESS_AUDIT_BUCKET"], mode="COMPLIANCE", keep=timedelta(days=1))
    at.put("sandbox", head_of(database), datetime.now(UTC))
    tamper(database, "UPDATE audit_events SET actor = 'U02BEN' WHERE id = 8")
    seal_anew(database, 8)
    write(database, 3, first=10)
    tamper(database, "INSERT INTO audit_unsealed SELECT id FROM audit_events WHERE id > 9")
    sealer(database).seal()
    at.put("sandbox", head_of(database), datetime.now(UTC))
    result = cli("audit", "verify", **environment)
    assert result.exit_code == 1
    assert REWRITTEN in result.stdout
    assert "The anchor of position 12 fits because it was made after that" in result.stdout
    assert "Nobody can change an object in S3 once it is stored." in result.stdout
    assert "altered" not in result.stdout


def test_a_log_tells_between_which_moments_it_was_rewritten(cli, trail, tmp_path):
    url, database = trail
    log = tmp_path / "bot.log"
    said = f"2026-11-26T12:00:00.5Z [info] {line(head_of(database), 'acme')}\n"
    tamper(database, "UPDATE audit_events SET actor = 'U02BEN' WHERE id = 8")
    seal_anew(database, 8)
    again = {"timestamp": "2026-11-26T13:05:00+01:00", **head_of(database)._asdict()}
    log.write_text(f"{said}{json.dumps({'event': 'audit head', **again})}\n")
    result = cli("audit", "verify", "--anchor", str(log), DATABASE_URL=url)
    assert "between 2026-11-26 12:00:00 and 2026-11-26 12:05:00 UTC" in result.stdout


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("EKS_ACCESS_CONFIG", "the policy file says which deployment's anchors to read there"),
        ("EKS_ACCESS_AUDIT_BUCKET", "could not list what is in the audit bucket nowhere"),
        ("EKS_ACCESS_AUDIT_LOCK", "EKS_ACCESS_AUDIT_LOCK: Input should be"),
    ],
)
def test_a_bucket_that_cannot_be_read_is_bad_use(cli, sqlite, bucket, broken, told):
    environment = {"DATABASE_URL": sqlite, **bucket}
    result = cli("audit", "verify", **environment | {broken: "nowhere"})
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr


@pytest.fixture
def bucket(monkeypatch, policy_file):
    """A local S3 with a bucket with Object Lock, and the environment that leads there."""
    local = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    local.start()
    host, port = local.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    made = f"anchors-{uuid4()}"
    boto3.Session().client("s3").create_bucket(Bucket=made, ObjectLockEnabledForBucket=True)
    yield {"EKS_ACCESS_AUDIT_BUCKET": made, "EKS_ACCESS_CONFIG": str(policy_file)}
    local.stop()
