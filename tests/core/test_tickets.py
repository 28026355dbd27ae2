"""The form of tickets, and where a key may be sent."""

from __future__ import annotations

import re

import pytest

from bot.core.addresses import is_loopback, service_url
from bot.core.names import quoted
from bot.core.tickets import example_of, is_jira_key, is_pagerduty_incident, looks, named_in


@pytest.mark.parametrize("key", ["PAY-1", "PAY-1423", "A1-0", "A_B-9"])
def test_keys_of_issues(key):
    assert is_jira_key(key)


@pytest.mark.parametrize("key", ["pay-1", "P-1", "PAY1", "PAY-1\n", "1A-1", "PAY-", "PAY-1-1"])
def test_no_keys_of_issues(key):
    assert not is_jira_key(key)


def test_incidents_are_named_by_id_or_number():
    assert is_pagerduty_incident("Q1XVIGDOPM2UJ4")
    assert is_pagerduty_incident("1234")
    assert not is_pagerduty_incident("q1xv")
    assert not is_pagerduty_incident("Q1XV/notes")


PAY, OPS = re.compile("^PAY-[0-9]+$"), re.compile("OPS[0-9]+")


@pytest.mark.parametrize(
    ("reason", "named"),
    [
        ("PAY-1", ("PAY-1",)),
        ("Clearing the job of (PAY-1423).", ("PAY-1423",)),
        ("`PAY-1`: see *PAY-2*,\nand PAY-1 again", ("PAY-1", "PAY-2")),
        ("OPS7 and PAY-1", ("OPS7", "PAY-1")),
        ("xPAY-1 PAY-1-2 PAY-x pay-1 PAY- -1", ()),
        (f"PAY-{'1' * 61}", ()),
        ("... () *", ()),
        ("", ()),
    ],
)
def test_a_reason_names_its_tickets_as_whole_words(reason, named):
    assert named_in(reason, [PAY, OPS]) == named
    assert named_in(reason, []) == ()


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://api.pagerduty.com", "https://api.pagerduty.com"),
        ("https://api.pagerduty.com/", "https://api.pagerduty.com"),
        ("https://jira.example.com:8443/jira/", "https://jira.example.com:8443/jira"),
        ("http://127.0.0.1:8000/jira", "http://127.0.0.1:8000/jira"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_a_key_may_be_sent_over_https_and_within_this_machine(url, base):
    assert service_url(url) == base


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://api.pagerduty.com", "is not https"),
        ("http://localhost.example.com", "is not https"),
        ("http://127.0.0.1.example.com", "is not https"),
        ("http://10.0.0.1", "is not https"),
        ("api.pagerduty.com", "is no URL"),
        ("https://", "is no URL"),
        ("https:///oncalls", "is no URL"),
        ("file:///etc/passwd", "is no URL"),
        ("https://host:port", "is no URL"),
        ("https://host:0", "is no URL"),
        ("https://[::1", "is no URL"),
        ("", "is no URL"),
        ("https://api.pagerduty.com\r\nX-Evil: 1", "has characters"),
        ("https://pägerduty.com", "has characters"),
        ("https://key@api.pagerduty.com", "holds a user name"),
        ("https://api.pagerduty.com?a=b", "goes on after the path"),
        ("https://api.pagerduty.com#a", "goes on after the path"),
    ],
)
def test_a_key_may_be_sent_nowhere_else(url, words):
    with pytest.raises(ValueError, match=words):
        service_url(url)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "example.com", "localhost.", ""])  # noqa: S104 - a name
def test_other_machines(host):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("form", "example"),
    [
        ("^[A-Z]+-[0-9]+$", "PAY-1423"),
        ("^PAY-[0-9]+$", "PAY-1423"),
        ("^BILL-[0-9]+$", "BILL-1423"),
        (r"(?:OPS|INC)-\d+", "OPS-1423"),
        ("^CHG[0-9]{7}$", "CHG1423570"),
        ("#[0-9]+", "#1423"),
        ("[0-9]{6}", "142357"),
    ],
)
def test_a_form_of_tickets_is_shown_by_an_example(form, example):
    assert example_of(re.compile(form)) == example
    assert re.fullmatch(form, example)
    assert looks(re.compile(form), quoted) == f"look like `{example}`"


def test_a_form_without_an_example_is_shown_as_it_is():
    form = re.compile("[a-f]{8}/[xyz]")
    assert example_of(form) is None
    assert looks(form, quoted) == "match `[a-f]{8}/[xyz]`"
