"""Log lines: one JSON object each, no secrets, no chatter."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import subprocess
import sys

import pytest
import structlog

from bot.core.masking import without_secrets
from bot.logs import ThrottledWarning, cause_without_secrets, configure_logs

SECRETS = {
    "bot token": "xoxb-1234-5678-AbCdEf",
    "app token": "xapp-1-A012-345-0123abcdef",
    "user token": "xoxp-1-2-3",
    "configuration token": "xoxe-1-Mi0yLTE",
    "response URL": "https://hooks.slack.com/commands/T0/123/sEcReT",
    "action's response URL": "https://hooks.slack.com/actions/T0/123/sEcReT",
    "incoming webhook": "https://hooks.slack.com/services/T0/B0/sEcReT",
    "socket": "wss://wss-primary.slack.com/link/?ticket=sEcReT-1&app_id=A0",
    "database URL": "postgresql+psycopg://bot:sEcReT@db.example.com:5432/eks",
    "database URL without a user": "postgresql://:sEcReT@db/eks",
    "database URL with a slash": "postgresql://bot:sEc/ReT@db/eks",
    "connection string": "host=db user=bot password=sEcReT dbname=eks",
    "cluster token": "k8s-aws-v1.sEcReT-aHR0cHM6",
    "web token": "eyJhbGciOiJSUzI1NiJ9.sEcReT.sEcReT-sEcReT",
    "GitHub token": "ghp_sEcReT0123456789abcdefghijkl",
    "secret key": "AWS_SECRET_ACCESS_KEY=sEcReT/sEcReT+sEcReT",
    "session token": "aws_session_token=sEcReT//sEcReT==",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nsEcReT\n-----END RSA PRIVATE KEY-----",
    "access key": "AKIAIOSFODNN7EXAMPLE",
    "session's access key": "ASIAIOSFODNN7EXAMPLE",
    "PagerDuty's header": "Authorization: Token token=y_sEcReT+TWUXYEu",
    "Opsgenie's header": "{'Authorization': 'GenieKey sEcReT11-faa2-4ba2-a551'}",
    "Jira Cloud's header": "Authorization: Basic c0VjUmVUc0VjUmVUc0VjUmVU==",
    "Jira Data Center's header": "Authorization: Bearer sEcReTsEcReTsEcReT0123",
    "Atlassian's token": "ATATT3xFfGF0sEcReT_-=ABCD1234",
}
PARTS = (
    "c0VjUmVU",
    "1234-5678",
    "0123abcdef",
    "xoxp-1-2",
    "Mi0yLTE",
    "sEcReT",
    "sEc/ReT",
    "IOSFODNN7",
)


@pytest.fixture(autouse=True)
def logging_as_it_was():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def lines(monkeypatch):
    """Everything logged so far, each line read as JSON."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logs()
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_not_in_the_text(kind):
    text = without_secrets(f"before {SECRETS[kind]} after")
    assert text.startswith("before ")
    assert text.endswith(" after")
    assert "[secret]" in text
    assert not [part for part in PARTS if part in text]


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:iam::111122223333:role/eks-jit/ana",
        "http://127.0.0.1:8080/readyz answered ana@example.com",
        "https://slack.com/api/chat.postMessage",
        "request 7K3-QMX of U01ANA on prod-eu",
        "Copy SLACK_APP_TOKEN again: Basic Information, App-Level Tokens",
        "a Bearer token, and GET https://api.pagerduty.com/oncalls?limit=1",
    ],
)
def test_what_an_operator_needs_stays(text):
    assert without_secrets(text) == text


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_anywhere_in_a_log_line_is_taken_out(kind, lines):
    secret = SECRETS[kind]
    log = structlog.get_logger("bot.test")
    log.info(secret)
    log.info("field", url=secret)
    log.info("nested", payload={"a": [{"b": secret}], secret: 1}, several=(secret, {secret}))
    log.info("error", cause=ValueError(secret))
    log.info("object", thing=type("Thing", (), {"__repr__": lambda _: secret})())
    logging.getLogger("somebody.else").warning("stdlib %s", secret)
    try:
        int(secret)
    except ValueError:
        log.exception("traceback")
    logged = lines()
    assert len(logged) == 7
    for line in logged:
        assert "[secret]" in json.dumps(line), line
        assert not [part for part in PARTS if part in json.dumps(line)], line


def test_what_stands_under_the_name_of_a_secret_is_taken_out_whatever_it_looks_like(lines):
    log = structlog.get_logger("bot.test")
    log.info("asked", db_password="hunter2", headers={"Authorization": b"hunter2"}, token=None)
    (line,) = lines()
    assert line["db_password"] == line["headers"]["Authorization"] == "[secret]"
    assert line["token"] is None


def test_a_line_says_what_when_where_and_keeps_numbers(lines):
    structlog.get_logger("bot.test").warning("late", request="7K3-QMX", seconds=3, ok=True, by=None)
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "late",
        "level": "warning",
        "logger": "bot.test",
        "request": "7K3-QMX",
        "seconds": 3,
        "ok": True,
        "by": None,
    }


def test_the_chatter_of_libraries_is_left_out_and_their_errors_are_not(lines):
    for name in ("slack_bolt.App", "slack_sdk.web", "apscheduler.scheduler", "uvicorn.error"):
        library = logging.getLogger(name)
        library.setLevel(logging.DEBUG)  # as Bolt does with its own
        library.info("chatter")
        library.warning("chatter")
        library.error("trouble")
    logging.getLogger("websocket").error("said by Slack's SDK as well")
    assert [line["event"] for line in lines()] == ["trouble"] * 4


def test_the_cause_of_an_error_is_told_without_its_secrets():
    said_by_the_driver = OSError("no route to postgresql://bot:sEcReT@db/eks\n")
    wrapped = ValueError("wrapped by the library")
    wrapped.__cause__ = said_by_the_driver
    error = RuntimeError("what the person reads")
    assert cause_without_secrets(error) == ""
    error.__cause__ = wrapped
    assert cause_without_secrets(error) == "no route to postgresql://[secret]@db/eks"
    error.__cause__ = said_by_the_driver
    assert cause_without_secrets(error) == "no route to postgresql://[secret]@db/eks"


def test_on_a_terminal_lines_are_text_and_hold_no_secret_either():
    program = (
        "import structlog; from bot.logs import configure_logs; configure_logs();"
        "log = structlog.get_logger('bot.test');"
        f"log.info('hello', key={SECRETS['access key']!r}, url={SECRETS['database URL']!r});"
        "\ntry: raise ValueError('xoxb-1234-5678-AbCdEf')\nexcept ValueError: log.exception('bad')"
    )
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", program], stderr=theirs, check=True)  # noqa: S603 - ours
    os.close(theirs)
    text = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "hello" in text
    assert "Traceback" in text
    assert text.count("[secret]") == 3
    assert not [part for part in PARTS if part in text]


def test_what_anybody_can_bring_about_is_said_once_a_minute_with_its_number():
    now = [0.0]
    with structlog.testing.capture_logs() as said:
        warning = ThrottledWarning(structlog.get_logger(), "refused", seconds=lambda: now[0])
        for now[0] in (0.0, 1.0, 59.0, 60.0, 61.0):
            warning.warn(port=8000)
    assert said == [
        {"event": "refused", "times": 1, "port": 8000, "log_level": "warning"},
        {"event": "refused", "times": 3, "port": 8000, "log_level": "warning"},
    ]
