"""`eks-access doctor` on PagerDuty, Opsgenie and Jira."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bot import doctor_services
from bot.doctor_result import Result, Status
from bot.sandbox.local_services import LocalServices
from bot.settings import Settings

NAMES = ("pagerduty", "opsgenie", "jira")
KEYS = {"pagerduty": "PAGERDUTY_TOKEN", "opsgenie": "OPSGENIE_API_KEY", "jira": "JIRA_TOKEN"}
URLS = {"pagerduty": "PAGERDUTY_API_URL", "opsgenie": "OPSGENIE_API_URL", "jira": "JIRA_URL"}


@pytest.fixture
def local() -> Iterator[LocalServices]:
    with LocalServices() as services:
        yield services


@pytest.fixture
def results(local) -> Callable[..., dict[str, Result]]:
    """What the doctor finds, by check; with some settings replaced."""

    def find(**changed: Any) -> dict[str, Result]:
        settings = Settings(**{**local.settings(), **changed})
        return {one.check: one for one in doctor_services.answers(settings, lambda _: None)}

    return find


def test_what_works_is_good_and_only_read(local, results):
    found = results()
    assert set(found) == set(NAMES)
    assert {one.status for one in found.values()} == {Status.OK}
    for name in NAMES:
        assert getattr(local, name).url in found[name].message
        (call,) = getattr(local, name).calls
        assert call.status == 200


def test_what_is_not_set_up_is_not_looked_at(local, results):
    assert not results(**dict.fromkeys([*KEYS.values(), "JIRA_URL"]))
    assert not [call for name in NAMES for call in getattr(local, name).calls]


@pytest.mark.parametrize("name", NAMES)
def test_a_key_that_is_not_taken_is_named_and_not_shown(results, name):
    found = results(**{KEYS[name]: "another-key"})
    assert found[name].status is Status.FINDING
    assert found[name].message == "It refuses the bot's key (401)."
    assert KEYS[name] in found[name].remedy
    assert "another-key" not in f"{found[name]}"
    assert {one.status for check, one in found.items() if check != name} == {Status.OK}


@pytest.mark.parametrize("name", NAMES)
def test_a_service_that_cannot_be_reached_is_a_finding(results, name):
    found = results(**{URLS[name]: "http://127.0.0.1:1"})[name]
    assert found.status is Status.FINDING
    assert found.message == "It cannot be reached at 127.0.0.1:1."


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", [{"status": 500}, {"body": b"<html>"}, {"drop": True}])
def test_a_service_out_of_order_is_a_finding_and_no_crash(local, results, name, fault):
    getattr(local, name).fail(**fault)
    found = results()
    assert found[name].status is Status.FINDING
    assert found[name].remedy


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("url", ["http://example.com", "https://a:b@example.com"])
def test_an_address_that_no_key_may_be_sent_to_is_a_finding_that_names_it(results, name, url):
    found = results(**{URLS[name]: url})[name]
    assert found.status is Status.FINDING
    assert found.message.startswith(f"{URLS[name]} ")


def test_half_a_jira_is_a_finding(results):
    found = results(JIRA_URL=None)
    assert found["jira"].status is Status.FINDING
    assert "JIRA_URL" in found["jira"].message
