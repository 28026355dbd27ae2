"""Services that are away, slow, broken or unwilling: nobody on call, no ticket open or closed."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable

import pytest
import structlog

from bot.core.tickets import TicketState
from bot.oncall import Opsgenie, PagerDuty
from bot.sandbox.local_jira import EMAIL
from bot.sandbox.local_service import LocalService
from bot.tickets import Jira, PagerDutyIncidents
from bot.web import MAX_BODY_BYTES, PATIENCE

IMPATIENT = 0.3
SCHEDULE = "PAAAA"

Ask = Callable[[], str | None]
"""Asks a service. Returns the problem where the service did not say, or else None."""

FAULTS = {
    "401": ({"status": 401}, "refuses the bot's key (401)"),
    "403": ({"status": 403}, "lets the bot's key not see this (403)"),
    "429": ({"status": 429}, "limits how often the bot may ask (429)"),
    "500": ({"status": 500}, "has a fault of its own (500)"),
    "503 in HTML": ({"status": 503, "body": b"<html>"}, "has a fault of its own (503)"),
    "400": ({"status": 400}, "does not take the question (400)"),
    "204": ({"status": 204, "body": b""}, "does not take the question (204)"),
    "301": (
        {"status": 301, "headers": {"Location": "https://example.com/"}},
        "answers with a redirect (301)",
    ),
    "302 to where the answer is": (
        {"status": 302, "headers": {"Location": "/elsewhere"}},
        "answers with a redirect (302)",
    ),
    "HTML": ({"body": b"<html>sign in</html>"}, "answers with something that cannot be read"),
    "nothing": ({"body": b""}, "answers with something that cannot be read"),
    "half": ({"body": b'{"oncalls": ['}, "answers with something that cannot be read"),
    "no object": ({"body": b"[]"}, "answers with something that cannot be read"),
    "no UTF-8": ({"body": b'{"a": "\xff"}'}, "answers with something that cannot be read"),
    "deep": ({"body": b'{"a":' * 100_000}, "answers with something that cannot be read"),
    "bad gzip": (
        {"body": b"no gzip", "headers": {"Content-Encoding": "gzip"}},
        "cannot be reached at 127.0.0.1",
    ),
    "huge": ({"body": b" " * (MAX_BODY_BYTES + 1)}, "answers with more than can be read"),
    "cut": ({"drop": True}, "cannot be reached at 127.0.0.1"),
}
SLOW = {
    "silent": {"hold": True},
    "dripping": {"body": b" ", "drips": True},
}


@pytest.fixture(params=["pagerduty", "opsgenie", "jira", "incidents"])
def kind(request) -> str:
    return request.param


@pytest.fixture
def service(kind, local) -> LocalService:
    """The stand-in, with something to tell."""
    local.pagerduty.put_user("PANA", "ana@example.com")
    local.pagerduty.put_on_call("PANA", SCHEDULE)
    local.pagerduty.put_incident("Q1XV", 7)
    local.opsgenie.put_schedule(SCHEDULE, "platform")
    local.jira.put_issue("PAY-1")
    return local.pagerduty if kind == "incidents" else getattr(local, kind)


@pytest.fixture
def key(service) -> str:
    """The key that the bot has."""
    return service.key


@pytest.fixture
def asking(kind, clock, key):
    """Makes an `Ask` of the service at a URL; closes its connections at the end."""
    made = []

    def make(url: str, patience: float = PATIENCE) -> Ask:
        options = {"clock": clock, "patience": patience}
        if kind in ("pagerduty", "opsgenie"):
            asked = (PagerDuty if kind == "pagerduty" else Opsgenie)(url, key, **options)
            made.append(asked)
            return lambda: _unsaid(asked.on_call([SCHEDULE]))
        if kind == "jira":
            asked, ticket = Jira(url, EMAIL, key, **options), "PAY-1"
        else:
            asked, ticket = PagerDutyIncidents(url, key, **options), "Q1XV"
        made.append(asked)
        return lambda: _unsaid(asked.status(ticket))

    yield make
    for one in made:
        one.close()


@pytest.fixture
def ask(asking, service) -> Ask:
    return asking(service.url)


@pytest.fixture
def ask_impatiently(asking, service) -> Ask:
    return asking(service.url, IMPATIENT)


def _unsaid(answer) -> str | None:
    if getattr(answer, "state", None) in (TicketState.OPEN, TicketState.CLOSED):
        return None
    if getattr(answer, "available", False):
        return None
    # What is not said is said about nobody.
    assert not getattr(answer, "emails", ())
    assert not getattr(answer, "ids", ())
    assert getattr(answer, "state", TicketState.UNAVAILABLE) is TicketState.UNAVAILABLE
    return answer.problem


def test_a_service_that_works_is_no_problem(ask):
    assert ask() is None


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_told_in_words_and_raises_nothing(fault, service, ask):
    how, words = FAULTS[fault]
    service.fail(**how)
    problem = ask()
    assert words in problem
    assert " did not say " in problem
    assert problem.endswith(".")


@pytest.mark.parametrize("fault", SLOW)
def test_a_service_that_is_silent_or_drips_without_end_is_not_waited_for(
    fault, service, ask_impatiently
):
    service.fail(**SLOW[fault])
    assert "it did not answer in time. Try again in 5 seconds." in ask_impatiently()


def test_a_service_that_listens_nowhere_is_told(asking):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    problem = asking(f"http://127.0.0.1:{port}")()
    assert f"it cannot be reached at 127.0.0.1:{port}. Try again in 5 seconds." in problem


def test_a_name_that_leads_nowhere_is_told(asking):
    problem = asking("https://nowhere.invalid")()
    assert "it cannot be reached at nowhere.invalid" in problem


def test_an_address_that_cannot_be_asked_is_told(asking):
    assert "cannot be reached" in asking("https://xn--.example:443")()


def test_a_redirect_is_never_followed(service, ask):
    service.fail(status=302, headers={"Location": f"{service.url}/elsewhere"})
    ask()
    assert len(service.calls) == 1


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Retry-After": "20"}, "Try again in 20 seconds."),
        ({"ratelimit-reset": "17"}, "Try again in 17 seconds."),
        ({"Retry-After": "1"}, "Try again in 5 seconds."),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, "Try again in 5 seconds."),
        ({"Retry-After": "99999999999999999999"}, "Try again in 5 seconds."),
        ({"Retry-After": "9999"}, "Try again in 3600 seconds."),
        ({"Retry-After": "-20"}, "Try again in 5 seconds."),
    ],
)
def test_who_asks_too_often_is_told_when_to_ask_again(service, ask, headers, words):
    service.fail(status=429, headers=headers)
    assert words in ask()


def test_a_problem_that_stays_is_for_whoever_runs_the_bot(service, ask):
    service.fail(status=401)
    assert "Tell whoever runs this bot: Set " in ask()


def test_a_problem_is_asked_about_again_after_five_seconds_and_not_before(service, ask, clock):
    service.fail(status=500)
    first = ask()
    service.mend()
    clock.advance(4.9)
    assert ask() == first
    assert len(service.calls) == 1
    clock.advance(0.1)
    assert ask() is None


def test_nothing_old_is_told_once_its_time_is_over(kind, service, ask, clock):
    assert ask() is None
    service.fail(status=500)
    lasts = 60 if kind in ("pagerduty", "opsgenie") else 15
    clock.advance(lasts - 0.1)
    assert ask() is None
    clock.advance(0.1)
    assert "fault of its own" in ask()


def test_a_cookie_that_a_service_sets_is_not_sent_back(service, ask, clock):
    service.fail(times=1, status=500, headers={"Set-Cookie": "JSESSIONID=secret; Path=/"})
    ask()
    clock.advance(5)
    assert ask() is None
    assert "cookie" not in service.calls[-1].headers


def test_a_proxy_does_not_come_between_this_machine_and_itself(ask, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert ask() is None


def test_a_proxy_that_cannot_be_used_is_told_without_its_password(asking, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://bot:hunter2@127.0.0.1:1")
    problem = asking("https://service.example.com")()
    assert "cannot be asked with the proxy" in problem
    assert "hunter2" not in problem


# Secrets


@pytest.fixture
def everything_logged():
    """Every line of every logger at every level, the bot's own and its libraries'."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    root = logging.getLogger()
    level, handler = root.level, Keep()
    root.addHandler(handler)
    root.setLevel(1)
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("fault", ["401", "429", "HTML", "cut", "bad gzip"])
def test_no_key_is_in_a_sentence_or_a_log_line(fault, service, ask, key, everything_logged):
    how, words = FAULTS[fault]
    service.fail(**{"body": json.dumps({"message": f"bad key {key}"}).encode(), **how})
    problem = ask()
    told = [line for line in everything_logged if words in line]
    assert told, "the problem is in the log"
    everything = "\n".join([problem, *everything_logged])
    assert key not in everything
    assert "Authorization" not in everything
