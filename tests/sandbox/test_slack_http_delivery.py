from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest
from slack_sdk.signature import SignatureVerifier


class RequestUrl:
    """An app's Request URL that verifies as Slack says, and answers as the test sets."""

    def __init__(self, ws):
        self.requests = []
        self.answer = lambda _body: (200, {}, b"")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                verifier = SignatureVerifier(ws.signing_secret)
                good = verifier.is_valid_request(body, dict(self.headers.items()))
                outer.requests.append((dict(self.headers.items()), body, good))
                status, headers, content = outer.answer(body) if good else (401, {}, b"")
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = False
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/slack/events"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def url(ws):
    request_url = RequestUrl(ws)
    ws.deliver_over_http(request_url.url)
    yield request_url
    request_url.close()


def test_a_command_is_a_signed_form_and_its_answer_is_the_response(ws, url):
    answer = json.dumps({"text": "Working on it"}).encode()
    url.answer = lambda _body: (200, {"Content-Type": "application/json"}, answer)
    outcome = ws.human("U01ALICE").command("/eks-access mine & more")
    assert outcome.acknowledged
    assert outcome.latency > 0
    assert [message.text for message in ws.human("U01ALICE").dm] == ["Working on it"]
    headers, body, good = url.requests[0]
    assert good
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qs(body)["text"] == ["mine & more"]


def test_a_plain_text_answer_to_a_command_is_shown(ws, url):
    url.answer = lambda _body: (200, {"Content-Type": "text/plain"}, b"hello")
    assert ws.human("U01ALICE").command("/eks-access mine").text == "hello"


def test_a_click_is_a_payload_in_a_form(ws, url, api):
    button = {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}
    api.chat_postMessage(
        channel="C01PAY", text="x", blocks=[{"type": "actions", "elements": [button]}]
    )
    alice = ws.human("U01ALICE")
    assert alice.click(alice.sees("C01PAY")[0], "go").acknowledged
    payload = json.loads(parse_qs(url.requests[0][1])["payload"][0])
    assert payload["actions"][0]["action_id"] == "go"


def test_an_event_is_json(ws, url):
    ws.change_person("U01ALICE", title="SRE")
    ws.wait(lambda: ws.deliveries[0].acknowledged)
    headers, body, _ = url.requests[0]
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body)["event"]["type"] == "user_change"
    assert "X-Slack-Retry-Num" not in headers


def test_an_event_that_failed_comes_again_and_says_why(ws, url, clock):
    url.answer = lambda _body: (500, {}, b"")
    ws.change_person("U01ALICE", title="SRE")
    delivery = ws.wait(lambda: ws.deliveries[0] if len(ws.deliveries[0].attempts) == 2 else None)
    clock.advance(60)
    ws.wait(lambda: len(delivery.attempts) == 3)
    url.answer = lambda _body: (200, {}, b"")
    clock.advance(300)
    ws.wait(lambda: delivery.acknowledged)
    retries = [
        (headers.get("X-Slack-Retry-Num"), headers.get("X-Slack-Retry-Reason"))
        for headers, _, _ in url.requests
    ]
    assert retries == [
        (None, None),
        ("1", "http_error"),
        ("2", "http_error"),
        ("3", "http_error"),
    ]
    assert [ack.status for ack in delivery.attempts] == [500, 500, 500, 200]


def test_an_app_may_decline_retries(ws, url, clock):
    url.answer = lambda _body: (500, {"X-Slack-No-Retry": "1"}, b"")
    ws.change_person("U01ALICE", title="SRE")
    ws.wait(lambda: ws.deliveries[0].attempts)
    clock.advance(3600)
    assert ws.human("U01ALICE").command("/eks-access mine").error == "dispatch_failed"
    assert len(url.requests) == 2


def test_a_slow_app_is_a_timeout_and_a_missing_one_a_failure(ws, url):
    waits = threading.Event()
    ws.courier.ack_seconds = 0.3
    url.answer = lambda _body: (waits.wait(5) and 200, {}, b"")
    assert ws.human("U01ALICE").command("/eks-access mine").error == "operation_timeout"
    waits.set()
    ws.deliver_over_http("http://127.0.0.1:9/slack/events")
    assert ws.human("U01ALICE").command("/eks-access mine").error == "dispatch_failed"


@pytest.mark.parametrize("how", ["forged", "stale", "unsigned", "altered"])
def test_a_tampered_request_fails_verification_once(ws, url, how):
    ws.http.tamper(how)
    outcome = ws.human("U01ALICE").command("/eks-access mine")
    assert outcome.error == "dispatch_failed"
    assert outcome.delivery.attempts[0].status == 401
    assert ws.human("U01ALICE").command("/eks-access mine").acknowledged
    assert [good for _, _, good in url.requests] == [False, True]


def test_a_replay_sends_the_very_same_bytes(ws, url):
    outcome = ws.human("U01ALICE").command("/eks-access mine")
    ack = ws.courier.replay(outcome.delivery)
    assert ack.status == 200
    assert url.requests[0] == url.requests[1]


def test_the_url_is_verified_by_its_challenge(ws, url):
    url.answer = lambda body: (200, {}, json.loads(body)["challenge"].encode())
    assert ws.courier.verify_url("abc")
    url.answer = lambda _body: (200, {}, b"something else")
    assert not ws.courier.verify_url("abc")
