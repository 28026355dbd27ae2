"""The local PagerDuty, Opsgenie and Jira refuse and answer as the real ones are documented to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from bot.oncall import Opsgenie, PagerDuty
from bot.sandbox.hand_clock import HandClock
from bot.sandbox.local_jira import EMAIL
from bot.sandbox.local_opsgenie import escalation, team, user
from bot.sandbox.local_services import LocalServices
from bot.sandbox.stage import Stage, furnish
from bot.tickets import Jira, PagerDutyIncidents

VERSION = "application/vnd.pagerduty+json;version=2"


@pytest.fixture
def local() -> Iterator[LocalServices]:
    with LocalServices(clock=HandClock()) as services:
        yield services


@pytest.fixture
def oncalls(local):
    """Ask the local PagerDuty for its on-calls; with a hundred and thirty people on call."""
    for number in range(130):
        local.pagerduty.put_user(f"P{number}", f"{number}@example.com")
        local.pagerduty.put_on_call(f"P{number}", "PAAAA", level=1 + number % 2)
    headers = {"Authorization": f"Token token={local.pagerduty.key}", "Accept": VERSION}

    def ask(changed: dict[str, str] | None = None, **query: object) -> httpx.Response:
        named = {
            name.replace("_ids", "_ids[]").replace("include", "include[]"): one
            for name, one in query.items()
        }
        url = f"{local.pagerduty.url}/oncalls"
        return httpx.get(url, params=named, headers=headers | (changed or {}), trust_env=False)

    return ask


# PagerDuty


@pytest.mark.parametrize("authorization", ["", "Token token=wrong", "Bearer {key}", "{key}"])
def test_pagerduty_answers_nobody_without_its_key(local, oncalls, authorization):
    answer = oncalls({"Authorization": authorization.format(key=local.pagerduty.key)})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == 2006


def test_pagerduty_answers_no_other_version(oncalls):
    assert oncalls({"Accept": "application/json"}).status_code == 406


def test_pagerduty_gives_25_at_a_time_and_100_at_most(oncalls):
    first = oncalls().json()
    assert (len(first["oncalls"]), first["limit"], first["more"]) == (25, 25, True)
    most = oncalls(limit=500).json()
    assert (len(most["oncalls"]), most["limit"], most["more"]) == (100, 100, True)
    rest = oncalls(limit=100, offset=100).json()
    assert (len(rest["oncalls"]), rest["offset"], rest["more"]) == (30, 100, False)
    assert rest["total"] is None


@pytest.mark.parametrize(
    "query",
    [{"limit": "many"}, {"limit": 0}, {"offset": -1}, {"limit": 100, "offset": 9_901}],
)
def test_pagerduty_refuses_pages_that_cannot_be(oncalls, query):
    assert oncalls(**query).status_code == 400


def test_pagerduty_names_addresses_only_where_users_are_included(oncalls):
    assert "email" not in oncalls().json()["oncalls"][0]["user"]
    assert oncalls(include="users").json()["oncalls"][0]["user"]["email"] == "0@example.com"


def test_pagerduty_tells_all_levels_and_whoever_has_no_schedule(local, oncalls):
    local.pagerduty.put_on_call("P1", None)
    told = oncalls(schedule_ids=["PAAAA", "null"], limit=100, offset=100).json()["oncalls"]
    assert {one["escalation_level"] for one in told} == {1, 2}
    assert [one["user"]["id"] for one in told if one["schedule"] is None] == ["P1"]
    assert not oncalls(schedule_ids=["PBBBB"]).json()["oncalls"]


def test_pagerduty_tells_the_earliest_of_each_policy_level_and_user(local, oncalls):
    local.pagerduty.put_on_call("P0", "PAAAA", level=1)
    local.pagerduty.put_on_call("P0", "PAAAA", level=1, policy="POTHER")
    query = {"schedule_ids": ["PAAAA"], "limit": 100, "offset": 100}
    assert len(oncalls(**query).json()["oncalls"]) == 32
    assert len(oncalls(**query, earliest="true").json()["oncalls"]) == 31


# Opsgenie


def opsgenie(local: LocalServices, path: str, key: str | None = None, **query: str):
    headers = {"Authorization": f"GenieKey {key or local.opsgenie.key}"}
    url = f"{local.opsgenie.url}{path}"
    return httpx.get(url, params=query, headers=headers, trust_env=False)


def test_opsgenie_answers_nobody_without_its_key(local):
    assert opsgenie(local, "/v2/schedules", key="wrong").status_code == 401


def test_opsgenie_lists_everybody_below_where_it_is_asked_for_flat(local):
    local.opsgenie.put_schedule("one", "platform")
    steps = escalation("e", user("b@example.com", escalationTime=5), team("t", user("c@x.com")))
    local.opsgenie.put_on_call("one", user("a@example.com"), steps)
    flat = opsgenie(local, "/v2/schedules/one/on-calls", flat="true").json()["data"]
    assert flat["onCallRecipients"] == ["a@example.com", "b@example.com", "c@x.com"]
    assert "onCallParticipants" not in flat
    nested = opsgenie(local, "/v2/schedules/one/on-calls").json()["data"]
    assert [one["type"] for one in nested["onCallParticipants"]] == ["user", "escalation"]


def test_opsgenie_finds_a_schedule_by_id_unless_asked_by_name(local):
    local.opsgenie.put_schedule("one", "platform")
    by_name = {"scheduleIdentifierType": "name"}
    assert opsgenie(local, "/v2/schedules/platform/on-calls").status_code == 404
    assert opsgenie(local, "/v2/schedules/platform/on-calls", **by_name).status_code == 200
    local.opsgenie.hidden.add("one")
    hidden = opsgenie(local, "/v2/schedules/one/on-calls")
    assert (hidden.status_code, hidden.json()["code"]) == (403, 40301)


# Jira


def jira(local: LocalServices, path: str, **options: object) -> httpx.Response:
    return httpx.get(f"{local.jira.url}{path}", trust_env=False, **options)


def test_jira_cloud_shows_nothing_to_whom_it_does_not_know_and_says_so_in_a_header(local):
    local.jira.put_issue("PAY-1")
    answer = jira(local, "/rest/api/2/issue/PAY-1", auth=(EMAIL, "wrong"))
    assert answer.status_code == 404
    assert answer.headers["x-seraph-loginreason"] == "AUTHENTICATED_FAILED"
    assert jira(local, "/rest/api/2/myself", auth=(EMAIL, "wrong")).status_code == 401
    good = jira(local, "/rest/api/3/issue/PAY-1?fields=status", auth=(EMAIL, local.jira.key))
    assert good.json()["fields"]["status"]["statusCategory"]["key"] == "new"
    assert "summary" not in good.json()["fields"]


def test_jira_data_center_takes_a_bearer_token_and_has_no_version_3(local):
    local.jira.cloud = False
    local.jira.put_issue("PAY-1", "done")
    token = {"headers": {"Authorization": f"Bearer {local.jira.key}"}}
    assert jira(local, "/rest/api/2/issue/PAY-1", **token).status_code == 200
    assert jira(local, "/rest/api/3/issue/PAY-1", **token).status_code == 404
    assert jira(local, "/rest/api/2/issue/PAY-1", auth=(EMAIL, local.jira.key)).status_code == 401


# Together


def test_faults_pass_and_the_services_stop_in_the_middle_of_one(local):
    fault = local.jira.fail(times=2, status=500)
    codes = [jira(local, "/rest/api/2/myself").status_code for _ in range(3)]
    assert codes == [500, 500, 401]
    assert fault.reached.is_set()
    held = local.jira.fail(hold=True)
    local.stop()
    assert held.released.done()
    with pytest.raises(httpx.ConnectError):
        jira(local, "/rest/api/2/myself")


def test_the_sandbox_tells_its_bot_where_they_are_and_has_people_on_call_and_tickets():
    with Stage() as stage:
        furnish(stage)
        settings, clock = stage.settings(), stage.clock
        on_call = PagerDuty(settings.pagerduty_api_url, settings.pagerduty_key(), clock=clock)
        assert on_call.on_call(["PPLATFM"]).emails == {"cleo.roux@example.com"}
        by_opsgenie = Opsgenie(settings.opsgenie_api_url, settings.opsgenie_key(), clock=clock)
        (schedule,) = stage.services.opsgenie.schedules
        assert by_opsgenie.on_call([schedule]).emails == {"cleo.roux@example.com"}
        incidents = PagerDutyIncidents(
            settings.pagerduty_api_url, settings.pagerduty_key(), clock=clock
        )
        assert incidents.status("1234").state == "open"
        tickets = Jira(settings.jira_url, settings.jira_email, settings.jira_key(), clock=clock)
        assert [tickets.status(one).state for one in ("PAY-1423", "PAY-1400", "PAY-9")] == [
            "open",
            "closed",
            "unknown_ticket",
        ]
        stage.services.jira.put_issue("PAY-1423", "done")
        assert tickets.status("PAY-1423").state == "open"
        stage.advance(timedelta(seconds=15))
        assert tickets.status("PAY-1423").state == "closed"
        for one in (on_call, by_opsgenie, incidents, tickets):
            one.close()
