from __future__ import annotations

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest


def respond(url, **body):
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310 (loopback)
    try:
        with urlopen(request) as response:  # noqa: S310 (loopback)
            return response.status, response.read().decode()
    except HTTPError as error:
        with error:
            return error.code, json.load(error)["error"]


@pytest.fixture
def url(ws, app):
    """The response URL of a command that Alice typed in #payments."""
    one = app()
    ws.human("U01ALICE").command("/eks-access mine", "C01PAY")
    return one.payloads[0]["response_url"]


def test_an_answer_is_for_the_person_alone_unless_it_says_otherwise(ws, url):
    assert respond(url, text="for you") == (200, "ok")
    assert respond(url, text="for all", response_type="in_channel") == (200, "ok")
    assert [message.text for message in ws.human("U02BOB").sees("C01PAY")] == ["for all"]
    alice = ws.human("U01ALICE")
    assert [message.text for message in alice.sees("C01PAY")] == ["for you", "for all"]


def test_an_address_works_five_times(url):
    for number in range(5):
        assert respond(url, text=str(number))[0] == 200
    assert respond(url, text="6") == (404, "used_url")


def test_an_address_works_for_thirty_minutes(url, clock):
    clock.advance(30 * 60 - 1)
    assert respond(url, text="just in time")[0] == 200
    clock.advance(1)
    assert respond(url, text="late") == (404, "expired_url")


def test_an_invented_address_works_never(ws):
    assert respond(f"{ws.url}/response/T01ACME/abc", text="x") == (404, "expired_url")


def test_an_invalid_answer_is_refused_noted_and_not_counted(ws, url):
    assert respond(url, text="x", blocks=[{"type": "header"}]) == (400, "invalid_blocks")
    assert respond(url) == (400, "no_text")
    assert [one.error for one in ws.rejections] == ["invalid_blocks", "no_text"]
    for number in range(5):
        assert respond(url, text=str(number))[0] == 200


def test_the_answer_to_a_command_can_be_replaced_and_deleted(ws, url):
    alice = ws.human("U01ALICE")
    respond(url, text="loading")
    respond(url, text="done", replace_original=True)
    assert [message.text for message in alice.sees("C01PAY")] == ["done"]
    respond(url, delete_original=True)
    assert alice.sees("C01PAY") == []


def test_a_click_can_change_the_message_it_was_made_on(ws, app, api):
    one = app()
    button = {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}
    blocks = [{"type": "actions", "elements": [button]}]
    posted = api.chat_postMessage(channel="C01PAY", text="card", blocks=blocks)
    shy = api.chat_postEphemeral(channel="C01PAY", user="U01ALICE", text="psst", blocks=blocks)
    alice = ws.human("U01ALICE")
    alice.click(ws.message("C01PAY", posted["ts"]), "go")
    alice.click(ws.message("C01PAY", shy["message_ts"]), "go")
    first, second = (payload["response_url"] for payload in one.payloads)
    respond(first, text="only you", response_type="ephemeral")
    respond(first, text="decided", replace_original=True)
    respond(second, text="gone", replace_original=True)
    assert [message.text for message in alice.sees("C01PAY")] == ["decided", "gone", "only you"]
    assert [message.text for message in ws.human("U02BOB").sees("C01PAY")] == ["decided"]


def test_an_answer_reaches_a_channel_the_bot_is_not_in(ws, app):
    one = app()
    ws.add_channel("C02SEC", "secret", private=True, bot=False)
    ws.human("U01ALICE").command("/eks-access mine", "C02SEC")
    respond(one.payloads[0]["response_url"], text="here", response_type="in_channel")
    assert [message.text for message in ws.human("U02BOB").sees("C02SEC")] == ["here"]


def test_an_answer_can_go_into_a_thread(ws, url, api):
    parent = api.chat_postMessage(channel="C01PAY", text="card")["ts"]
    respond(url, text="reply", thread_ts=parent, response_type="in_channel")
    assert ws.messages["C01PAY"][-1].thread_ts == parent


def test_an_address_can_fail_on_request(ws, url):
    ws.faults.add("response_url", status=503)
    request = Request(url, b'{"text": "x"}')  # noqa: S310 (loopback)
    with pytest.raises(HTTPError) as caught:
        urlopen(request)  # noqa: S310 (loopback)
    caught.value.close()
    assert caught.value.code == 503
    assert respond(url, text="again")[0] == 200
