"""Whether a ticket or an incident is open, by Jira and by PagerDuty."""

from __future__ import annotations

import json

import pytest

from bot.core.tickets import CLOSED, OPEN, TicketState
from bot.sandbox.local_jira import EMAIL, LocalJira
from bot.tickets import Jira, PagerDutyIncidents

UNKNOWN, UNAVAILABLE = TicketState.UNKNOWN_TICKET, TicketState.UNAVAILABLE


@pytest.fixture
def data_center(local) -> LocalJira:
    local.jira.cloud = False
    return local.jira


def issue(category: object, **told: object) -> bytes:
    fields = {"status": {"statusCategory": {"key": category}}}
    return json.dumps({"key": "PAY-1", "fields": fields, **told}).encode()


def incident(status: object, **fields: object) -> bytes:
    told = {"id": "Q1XV", "incident_number": 7, "status": status, **fields}
    return json.dumps({"incident": told}).encode()


@pytest.mark.parametrize(
    ("category", "status"),
    [("new", OPEN), ("indeterminate", OPEN), ("undefined", OPEN), ("done", CLOSED)],
)
def test_an_issue_is_closed_where_its_status_is_done(local, jira, category, status):
    local.jira.put_issue("PAY-1423", category)
    assert jira.status("PAY-1423") == status
    (call,) = local.jira.calls
    assert (call.path, call.query) == ("/rest/api/2/issue/PAY-1423", (("fields", "status"),))


def test_an_issue_that_was_moved_is_no_longer_the_one_that_was_named(local, jira):
    """Jira answers to its old key too; whoever moves it to a project of theirs keeps it open."""
    local.jira.put_issue("PAY-1")
    local.jira.move("PAY-1", "OPS-9")
    found = jira.status("PAY-1")
    assert found.state is UNKNOWN
    assert found.problem == (
        "`PAY-1` was moved in Jira, where it is `OPS-9` now, so the issue that was named is no "
        "longer there. Name one that is."
    )
    assert jira.status("OPS-9") == OPEN


def test_data_center_is_asked_with_a_personal_access_token(data_center, clock):
    data_center.put_issue("PAY-1423", "done")
    jira = Jira(data_center.url, None, data_center.key, clock=clock)
    assert jira.status("PAY-1423") == CLOSED
    assert jira.status("PAY-1").state is UNKNOWN
    assert data_center.calls[0].headers["authorization"] == f"Bearer {data_center.key}"
    jira.close()


def test_jira_may_be_below_a_path_of_its_host(local, jira):
    assert local.jira.url.endswith("/jira")
    local.jira.put_issue("PAY-1")
    assert jira.status("PAY-1") == OPEN


def test_an_issue_that_is_not_there_is_unknown(jira):
    found = jira.status("PAY-1")
    assert found.state is UNKNOWN
    assert "Jira shows the bot no issue `PAY-1`" in found.problem


def test_a_key_that_jira_refuses_is_not_taken_for_a_missing_issue(local, jira):
    local.jira.put_issue("PAY-1")
    local.jira.key = "another"
    found = jira.status("PAY-1")
    assert local.jira.calls[-1].status == 404
    assert found.state is UNAVAILABLE
    assert "JIRA_TOKEN" in found.problem


def test_an_answer_to_nobody_in_particular_is_not_taken_for_one_to_the_bot(local, jira):
    local.jira.fail(body=issue("done"), headers={"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"})
    assert jira.status("PAY-1").state is UNAVAILABLE


@pytest.mark.parametrize(
    "ticket",
    [
        "",
        "pay-1",
        "PAY1423",
        "PAY-",
        "-1",
        "P-1",
        "PAY-1 ",
        "PAY-1\n",
        "PAY-\N{ARABIC-INDIC DIGIT ONE}",
        "PÄY-1",
        "PAY-1/../../myself",
        "PAY-1?expand=names",
        "PAY-1%2F",
        "../myself",
        "1PAY-1",
        "PAY-" + "1" * 61,
    ],
)
def test_what_is_no_key_of_an_issue_never_reaches_jira(local, jira, ticket):
    found = jira.status(ticket)
    assert found.state is UNKNOWN
    assert "is no issue of Jira" in found.problem
    assert not local.jira.calls


@pytest.mark.parametrize(
    "body",
    [
        issue("finished"),
        issue(None),
        issue(3),
        b'{"fields": {"status": "Done"}}',
        b'{"fields": null}',
        b'{"key": "PAY-1"}',
    ],
)
def test_an_issue_of_another_shape_is_neither_open_nor_closed(local, jira, body):
    local.jira.fail(body=body)
    found = jira.status("PAY-1")
    assert found.state is UNAVAILABLE
    assert "cannot be read" in found.problem


@pytest.mark.parametrize(
    ("url", "token"), [(None, None), ("https://jira.example.com", None), (None, "token")]
)
def test_without_an_address_or_a_token_it_says_what_to_set(clock, url, token):
    found = Jira(url, EMAIL, token, clock=clock).status("PAY-1")
    assert found.state is UNAVAILABLE
    assert "JIRA_URL and JIRA_TOKEN are not set" in found.problem


@pytest.mark.parametrize(
    ("said", "status"), [("triggered", OPEN), ("acknowledged", OPEN), ("resolved", CLOSED)]
)
@pytest.mark.parametrize("name", ["Q1XV", "7"])
def test_an_incident_is_closed_where_it_is_resolved(local, incidents, name, said, status):
    local.pagerduty.put_incident("Q1XV", 7, said)
    assert incidents.status(name) == status
    assert local.pagerduty.calls[-1].path == f"/incidents/{name}"


def test_an_incident_that_is_not_there_is_unknown(incidents):
    found = incidents.status("Q1XV")
    assert found.state is UNKNOWN
    assert "PagerDuty shows the bot no incident `Q1XV`" in found.problem


@pytest.mark.parametrize("ticket", ["", "q1xv", "Q1-XV", "Q1XV/notes", "..", "Q" * 65, "Q1XV\n"])
def test_what_is_no_id_of_an_incident_never_reaches_pagerduty(local, incidents, ticket):
    assert incidents.status(ticket).state is UNKNOWN
    assert not local.pagerduty.calls


@pytest.mark.parametrize(
    "body",
    [
        incident("snoozed"),
        incident(None),
        incident("resolved", id="QOTHER", incident_number=8),
        incident("resolved", incident_number="7"),
        b'{"incident": []}',
        b"{}",
    ],
)
def test_an_incident_of_another_shape_is_neither_open_nor_closed(local, incidents, body):
    local.pagerduty.fail(body=body)
    assert incidents.status("Q1XV").state is UNAVAILABLE


def test_without_a_token_the_incident_is_neither_open_nor_closed(clock):
    found = PagerDutyIncidents("https://api.pagerduty.com", None, clock=clock).status("Q1XV")
    assert found.state is UNAVAILABLE
    assert "PAGERDUTY_TOKEN is not set" in found.problem
