from __future__ import annotations

import http.client
import threading
import time

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler


def post(api, text="x"):
    return api.chat_postMessage(channel="C01PAY", text=text)


def said(ws):
    return [message.text for message in ws.messages["C01PAY"]]


def test_a_status_strikes_as_often_as_asked_and_nothing_takes_effect(ws, api):
    ws.faults.add("chat.postMessage", times=2, status=503)
    for _ in range(2):
        with pytest.raises(SlackApiError) as caught:
            post(api)
        assert caught.value.response.status_code == 503
    post(api, "third")
    assert said(ws) == ["third"]
    assert ws.faults.hit["chat.postMessage"] == 2
    assert ws.rejections == []


def test_an_error_can_be_put_in_place_of_the_answer(ws, api):
    ws.faults.add("chat.postMessage", error="internal_error")
    with pytest.raises(SlackApiError, match="internal_error"):
        post(api)
    assert said(ws) == []


def test_ratelimited_says_when_to_come_again(ws, api):
    ws.faults.add("chat.postMessage", ratelimited=7)
    with pytest.raises(SlackApiError) as caught:
        post(api)
    assert caught.value.response.status_code == 429
    assert caught.value.response["error"] == "ratelimited"
    assert caught.value.response.headers["Retry-After"] == "7"


def test_a_client_that_retries_gets_through(ws):
    api = WebClient(ws.bot_token, base_url=ws.api_url)
    api.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=1))
    ws.faults.add("chat.postMessage", ratelimited=0)
    post(api, "patience")
    assert said(ws) == ["patience"]


def test_a_dropped_connection_gives_no_answer_at_all(ws, api):
    ws.faults.add("chat.postMessage", drop=True)
    with pytest.raises((OSError, http.client.HTTPException)):
        post(api)
    assert said(ws) == []


@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 502}, {"error": "fatal_error"}])
def test_a_call_may_take_effect_though_its_answer_is_lost(ws, api, fault):
    ws.faults.add("chat.postMessage", after=True, **fault)
    with pytest.raises((OSError, http.client.HTTPException, SlackApiError)):
        post(api, "posted all the same")
    assert said(ws) == ["posted all the same"]


def test_a_delay_holds_up_its_own_call(ws, api):
    ws.faults.add("chat.postMessage", delay=0.2)
    start = time.monotonic()
    post(api, "slow")
    assert time.monotonic() - start >= 0.2
    assert said(ws) == ["slow"]


def test_a_delay_holds_up_no_other_call(ws, api):
    fault = ws.faults.add("chat.postMessage", delay=60)
    with pytest.raises(TimeoutError):
        post(WebClient(ws.bot_token, base_url=ws.api_url, timeout=1, retry_handlers=[]), "slow")
    assert fault.reached.wait(5)
    api.auth_test()
    assert said(ws) == []


def test_a_held_call_waits_until_it_is_let_go(ws, api):
    fault = ws.faults.add("chat.postMessage", hold=True)
    held = threading.Thread(target=post, args=(api, "held"))
    held.start()
    assert fault.reached.wait(5)
    post(api, "overtakes")
    fault.release()
    held.join()
    assert said(ws) == ["overtakes", "held"]


def test_a_fault_of_all_methods_strikes_any(ws, api):
    ws.faults.add(times=None, status=500)
    for call in (api.auth_test, api.users_list):
        with pytest.raises(SlackApiError):
            call()
    ws.faults.clear()
    assert api.auth_test()["ok"]


def test_rate_limits_are_off_until_asked_for(api):
    for _ in range(30):
        api.usergroups_list()


def test_a_channel_takes_one_post_a_second(ws, api, clock):
    ws.rate_limits = True
    ws.add_channel("C02OPS", "ops")
    post(api, "first")
    with pytest.raises(SlackApiError) as caught:
        post(api, "too soon")
    assert caught.value.response.status_code == 429
    assert caught.value.response.headers["Retry-After"] == "1"
    api.chat_postMessage(channel="C02OPS", text="elsewhere")
    clock.advance(1)
    post(api, "second")
    assert said(ws) == ["first", "second"]


@pytest.mark.parametrize(
    ("call", "limit"),
    [
        (lambda api: api.usergroups_users_list(usergroup="S01PAY"), 20),
        (lambda api: api.users_lookupByEmail(email="alice@example.com"), 50),
        (lambda api: api.users_info(user="U01ALICE"), 100),
    ],
)
def test_each_method_has_its_tier(ws, api, clock, call, limit):
    ws.rate_limits = True
    for _ in range(limit):
        call(api)
    clock.advance(10)
    with pytest.raises(SlackApiError) as caught:
        call(api)
    assert caught.value.response.headers["Retry-After"] == "50"
    clock.advance(50)
    call(api)
