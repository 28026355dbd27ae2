"""`eks-access doctor` on PagerDuty, Opsgenie and Jira."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from bot import doctor_services
from bot.core.policy import Policy
from bot.doctor_result import Result, Status
from bot.policy_file import check_policy
from bot.sandbox.local_opsgenie import user
from bot.sandbox.local_services import LocalServices
from bot.sandbox.stage import sandbox_policy
from bot.settings import Settings

SCHEDULE = "b5b92115-bfe7-43eb-8c2a-e467f2e5ddc4"
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

    def find(policy: Policy | None = None, **changed: Any) -> dict[str, Result]:
        settings = Settings(**{**local.settings(), **changed})
        found = doctor_services.answers(settings, policy, lambda _: None)
        return {one.check: one for one in found}

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
@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"body": b"<html>"}, {"body": b"[]"}, {"drop": True}]
)
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


# With the policy file


@pytest.fixture
def policy() -> Policy:
    """The sandbox's, with break-glass for whoever is on call, and tickets in Jira."""
    text = yaml.safe_load(sandbox_policy())
    text["tickets"] = {"url": "https://acme.example/browse/{ticket}", "check": "jira"}
    text["security_channel"] = "C0SECURITY"
    text["principals"]["email_domains"] = ["example.com"]
    text["break_glass"] = [
        {
            "clusters": ["*"],
            "levels": ["cluster-admin"],
            "responders": {
                "pagerduty": {"schedules": ["PAAAA", "PBBBB"]},
                "opsgenie": {"schedules": [SCHEDULE]},
            },
            "max_duration": "1h",
            "review": {"owners": {"groups": ["S01PLATFORM"]}, "within": "24h"},
        }
    ]
    loaded, findings = check_policy(yaml.safe_dump(text), "policy.yaml")
    assert loaded is not None, findings
    return loaded


def test_each_schedule_of_the_policy_is_asked_about(local, results, policy):
    local.pagerduty.put_user("PANA", "ana@example.com")
    local.pagerduty.put_on_call("PANA", "PAAAA")
    local.pagerduty.put_on_call("PANA", "PBBBB", level=2)
    local.opsgenie.put_schedule(SCHEDULE, "platform")
    local.opsgenie.put_on_call(SCHEDULE, user("ana@example.com"), user("ben@example.com"))
    found = results(policy)
    assert {check: (one.status, one.message) for check, one in found.items() if " " in check} == {
        "pagerduty schedule PAAAA": (Status.OK, "1 person is on call first by it now."),
        "pagerduty schedule PBBBB": (Status.NOTE, "Nobody is on call first by it now."),
        f"opsgenie schedule {SCHEDULE}": (Status.OK, "2 people are on call first by it now."),
    }


def test_a_schedule_that_is_not_there_is_a_finding(results, policy):
    found = results(policy)[f"opsgenie schedule {SCHEDULE}"]
    assert found.status is Status.FINDING
    assert "it has no schedule" in found.message


def test_a_service_that_the_policy_needs_and_nobody_set_up_is_a_finding(results, policy):
    found = results(policy, **dict.fromkeys([*KEYS.values(), "JIRA_URL"]))
    assert {one.status for one in found.values()} == {Status.FINDING}
    assert found["pagerduty"].message == (
        "The policy needs it to know who is on call, and PAGERDUTY_TOKEN is not set."
    )
    assert "OPSGENIE_API_KEY is not set" in found["opsgenie"].message
    assert found["jira"].message == (
        "The policy needs it to know whether tickets are open, "
        "and JIRA_URL and JIRA_TOKEN are not set."
    )


def test_schedules_are_not_asked_about_where_the_key_is_not_taken(local, results, policy):
    found = results(policy, PAGERDUTY_TOKEN="another-key")
    assert found["pagerduty"].status is Status.FINDING
    assert not [check for check in found if check.startswith("pagerduty schedule")]
    assert len(local.pagerduty.calls) == 1
