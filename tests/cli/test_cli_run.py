"""`eks-access run`: what keeps it from starting, and the real process from start to stop."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from cli_steps import ASK, BROKEN, grant, principals, three_grants
from sqlalchemy import text

from bot.core.model import EndReason
from bot.sandbox.stage import Stage
from bot.store import audit, grants
from bot.store.database import Database

LAB_READERS = "  - name: lab readers\n"
COMMAND = Path(sys.executable).with_name("eks-access")


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (["SLACK_BOT_TOKEN"], "SLACK_BOT_TOKEN is not set"),
        (["SLACK_APP_TOKEN"], "Neither SLACK_APP_TOKEN (Socket Mode) nor SLACK_SIGNING_SECRET"),
    ],
)
def test_a_missing_token_is_named(cli, ready, missing, said):
    for name in missing:
        del ready[name]
    result = cli("run", **ready)
    assert result.exit_code == 2
    assert said in result.stderr


def test_run_refuses_to_send_a_key_where_others_could_read_it(cli, ready):
    result = cli("run", **ready, PAGERDUTY_TOKEN="hunter2", PAGERDUTY_API_URL="http://example.com")
    assert result.exit_code == 2
    assert "PAGERDUTY_API_URL is not https" in result.stderr
    assert "hunter2" not in result.stderr


def test_run_and_doctor_refuse_to_send_a_token_where_others_could_read_it(cli, ready):
    ready["SLACK_API_URL"] = "http://slack.example/api/"
    ran = cli("run", **ready)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "SLACK_API_URL is not https, and the key would be readable on the way." in ran.stderr
    looked = cli("doctor", **ready)
    assert looked.exit_code == 1
    assert "SLACK_API_URL is not https" in looked.stdout


def test_run_refuses_a_broken_policy_file_with_file_and_line(cli, ready, policy_file):
    policy_file.write_text(BROKEN)
    result = cli("run", **ready)
    assert result.exit_code == 2
    assert f"{policy_file}:3: error: " in result.stderr
    assert "nothing can be granted" in result.stderr


def test_run_names_the_policy_file_that_is_not_there(cli, ready, tmp_path):
    ready["EKS_ACCESS_CONFIG"] = str(tmp_path / "missing.yaml")
    result = cli("run", **ready)
    assert result.exit_code == 2
    assert "missing.yaml" in result.stderr
    assert "EKS_ACCESS_CONFIG" in result.stderr


def test_run_names_the_port_that_is_taken(cli, ready):
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        result = cli("run", **(ready | {"EKS_ACCESS_HTTP_PORT": str(port)}))
    assert result.exit_code == 2
    assert f"Port {port} cannot be used" in result.stderr
    assert "EKS_ACCESS_HTTP_PORT" in result.stderr


def test_the_bot_runs_serves_health_is_alone_on_its_file_and_stops_in_good_order(stage, cli):
    environment = process_environment(stage)
    process = subprocess.Popen(  # noqa: S603 - our own command
        [COMMAND, "run"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        lines = [line := process.stderr.readline()]
        while '"started"' not in line:
            lines.append(line := process.stderr.readline())
            assert line, "".join(lines)
        assert json.loads(line)["database"] == stage.database_url
        port = json.loads(line)["http_port"]
        stage.slack.wait_connected(timeout=30)
        grant(stage, "U01ANA")
        assert principals(stage) == {"ana"}
        for path in ("healthz", "readyz", "metrics"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}") as answer:
                assert answer.status == 200

        second = cli("run", **environment)
        assert second.exit_code == 2
        assert "Another eks-access runs on" in second.stderr
        assert "PostgreSQL" in second.stderr

        (listed,) = json.loads(cli("grants", "--json", **environment).stdout)
        assert cli("revoke", listed["id"], **environment).exit_code == 0
        assert stage.eks.wait_for(lambda: not principals(stage), timeout=30)
        assert stage.eks.wait_for(lambda: not stage.eks.scheduler.schedules(), timeout=30)
        process.send_signal(signal.SIGTERM)
        out, rest = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert out == ""
    log = "".join(lines) + rest
    events = [json.loads(line) for line in log.splitlines()]
    assert [event["event"] for event in events[-2:]] == ["stopping", "audit head"]
    Path("bot.log").write_text(log)
    verified = cli("audit", "verify", "--json", "--anchor", "bot.log", **environment)
    report = json.loads(verified.stdout)
    assert (verified.exit_code, report["waiting"]) == (0, 0)
    assert report["head"] == {name: events[-1][name] for name in ("position", "hash")}
    assert not [event for event in events if event["level"] in ("error", "critical")], log
    assert not [name for name, secret in secrets(stage).items() if secret in log]


def test_a_stop_waits_for_no_call_that_hangs(stage, cli):
    environment = process_environment(stage)
    process = subprocess.Popen(  # noqa: S603 - our own command
        [COMMAND, "run"], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_logged(process, "started")
        stage.slack.wait_connected(timeout=30)
        grant(stage, "U01ANA")
        hanging = stage.eks.faults.delay(600, "DeleteAccessEntry", times=None)
        (listed,) = json.loads(cli("grants", "--json", **environment).stdout)
        assert cli("revoke", listed["id"], **environment).exit_code == 0
        assert stage.eks.wait_for(lambda: hanging.hits, timeout=30)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=50)
    finally:
        process.kill()
        process.wait()
        stage.eks.faults.clear()
    assert process.returncode == 0
    assert "stopped while calls were under way" in log


def test_silent_connections_to_the_http_port_keep_no_removal_and_no_probe_waiting(
    stage, cli, tmp_path
):
    three_grants(stage)
    environment = process_environment(stage)
    log = tmp_path / "bot.log"
    few_files = 'ulimit -Sn 100; ulimit -Hn 256; exec "$0" run'
    with log.open("w") as written, ExitStack() as opened:
        process = subprocess.Popen(  # noqa: S603 - our own command
            ["/bin/sh", "-c", few_files, COMMAND],
            env=environment,
            stderr=written,
        )
        try:
            stage.slack.wait_connected(timeout=30)
            started = [json.loads(line) for line in log.read_text().splitlines()]
            port = next(one["http_port"] for one in started if one["event"] == "started")
            assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (256, 256)
            for _ in range(400):
                opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            assert cli("revoke", "--all", **environment).exit_code == 0
            assert stage.eks.wait_for(lambda: not principals(stage), timeout=30)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30) as answer:
                assert answer.status == 200
        finally:
            process.kill()
            process.wait()
    said = log.read_text()
    assert "Too many open files" not in said
    assert said.count("too many connections to the HTTP port") == 1


def test_a_broken_policy_file_keeps_no_grant_from_ending(stage):
    three = three_grants(stage)
    stage.policy_file.write_text(BROKEN)
    environment = process_environment(stage)
    process = subprocess.Popen(  # noqa: S603 - our own command
        [COMMAND, "run"], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        with closing(Database(stage.database_url)) as database, database.transaction() as tx:
            # As it is when the time of a grant is over.
            tx.execute(text("UPDATE grants SET ends_at = confirmed_at"))
            tx.execute(text("UPDATE entries SET due_at = '2026-01-01 00:00:00'"))
        assert stage.eks.wait_for(lambda: not principals(stage), timeout=30)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert f"{stage.policy_file}:3: error: " in log
    assert "live grants end as they should" in log
    with closing(Database(stage.database_url)) as database, database.reading() as tx:
        assert {grants.get(tx, one).end_reason for one in three} == {EndReason.EXPIRED}


def test_sighup_brings_a_good_policy_file_into_force_and_a_broken_one_changes_nothing(stage):
    good = stage.policy_file.read_text()
    stricter = good.replace(LAB_READERS, f"{LAB_READERS}    ticket: '^PAY-[0-9]+$'\n")
    assert stricter != good
    process = subprocess.Popen(  # noqa: S603 - our own command
        [COMMAND, "run"], env=process_environment(stage), stderr=subprocess.PIPE, text=True
    )
    try:
        first = wait_logged(process, "policy")
        stage.slack.wait_connected(timeout=30)

        process.send_signal(signal.SIGHUP)
        again = wait_logged(process, "policy")
        assert (again["change"], again["digest"]) == ("loaded", first["digest"])

        replace(stage.policy_file, stricter)
        process.send_signal(signal.SIGHUP)
        while (loaded := wait_logged(process, "policy"))["digest"] == first["digest"]:
            pass
        assert loaded["digest"] == hashlib.sha256(stricter.encode()).hexdigest()
        ana = stage.slack.human("U01ANA")
        assert ana.command(ASK).acknowledged
        stage.slack.wait(lambda: any("no ticket" in one.all_text for one in ana.dm), timeout=30)

        replace(stage.policy_file, BROKEN)
        process.send_signal(signal.SIGHUP)
        while (refused := wait_logged(process, "policy"))["change"] != "refused":
            pass
        assert refused["digest"] == loaded["digest"]
        assert f"{stage.policy_file}:3: error: " in refused["findings"]
        cleo = stage.slack.human("U03CLEO")
        stage.slack.wait(
            lambda: any("The last good policy holds" in one.text for one in cleo.sees("C0AUDIT")),
            timeout=30,
        )
        ben = stage.slack.human("U02BEN")
        assert ben.command(ASK.replace("Looking", "--ticket PAY-1 Looking")).acknowledged
        stage.slack.wait(
            lambda: any("is active until" in one.all_text for one in ben.dm), timeout=30
        )
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    with closing(Database(stage.database_url)) as database, database.reading() as tx:
        told = [one for one in reversed(audit.latest(tx, 100)) if one.action.startswith("policy.")]
    assert {one.details["digest"] for one in told if one.action == "policy.refused"} == {
        loaded["digest"]
    }
    assert {first["digest"], loaded["digest"]} <= {one.details["digest"] for one in told}


def replace(file: Path, text: str) -> None:
    """Put the text there by a rename: half of a file would be another event."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def wait_logged(process: subprocess.Popen[str], event: str) -> dict[str, Any]:
    """The next line of the log that is about this. Fails where the process ends before it."""
    seen = []
    while line := process.stderr.readline():
        seen.append(line)
        logged = json.loads(line)
        if logged["event"] == event:
            return logged
    raise AssertionError("".join(seen))


def process_environment(stage: Stage) -> dict[str, str]:
    return {
        **os.environ,
        "SLACK_BOT_TOKEN": stage.slack.bot_token,
        "SLACK_APP_TOKEN": stage.slack.app_token,
        "SLACK_API_URL": stage.slack.api_url,
        "DATABASE_URL": stage.database_url,
        "EKS_ACCESS_CONFIG": str(stage.policy_file),
        "EKS_ACCESS_HTTP_PORT": "0",
    }


def secrets(stage: Stage) -> dict[str, str]:
    """Everything that no output may hold, by what it is."""
    found = {
        "bot token": stage.slack.bot_token,
        "app token": stage.slack.app_token,
        "signing secret": stage.slack.signing_secret,
        "verification token": stage.slack.app.verification_token,
        "AWS secret key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "AWS session token": os.environ["AWS_SESSION_TOKEN"],
    }
    for number, delivery in enumerate(stage.slack.deliveries):
        for name in ("response_url", "trigger_id"):
            if delivery.payload.get(name):
                found[f"{name} {number}"] = delivery.payload[name]
    return found
