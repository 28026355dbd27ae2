"""The real Bolt, over Socket Mode and over HTTP."""

from __future__ import annotations

import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from slack_bolt import App, BoltRequest
from slack_bolt.adapter.socket_mode.websocket_client import SocketModeHandler
from slack_sdk import WebClient

from bot.sandbox.slack_server import SlackWorkspace


def plain(text):
    return {"type": "plain_text", "text": text}


CARD = [
    {"type": "section", "block_id": "what", "text": {"type": "mrkdwn", "text": "*ask*"}},
    {
        "type": "actions",
        "block_id": "decide",
        "elements": [
            {"type": "button", "action_id": "approve", "value": "7K3", "text": plain("Approve")}
        ],
    },
]
MODAL = {
    "type": "modal",
    "callback_id": "request",
    "private_metadata": "C01PAY",
    "title": plain("Ask"),
    "submit": plain("Send"),
    "notify_on_close": True,
    "blocks": [
        {
            "type": "input",
            "block_id": "cluster",
            "label": plain("Cluster"),
            "element": {"type": "external_select", "action_id": "pick", "min_query_length": 1},
        },
        {
            "type": "input",
            "block_id": "reason",
            "label": plain("Reason"),
            "element": {"type": "plain_text_input", "action_id": "text"},
        },
    ],
}


def bolt_app(ws, seen):
    """A small app in the manner of the product: commit, then acknowledge."""
    app = App(
        client=WebClient(ws.bot_token, base_url=ws.api_url),
        signing_secret=ws.signing_secret,
        process_before_response=True,
        logger=logging.getLogger("quiet"),
    )

    @app.command("/eks-access")
    def command(ack, body, client):
        client.views_open(trigger_id=body["trigger_id"], view=MODAL)
        ack()

    @app.options("pick")
    def options(ack, payload):
        names = [name for name in ("prod-eu", "prod-us", "lab") if payload["value"] in name]
        ack(options=[{"text": plain(name), "value": name} for name in names])

    @app.view("request")
    def submitted(ack, view, client):
        values = view["state"]["values"]
        reason = values["reason"]["text"]["value"]
        if len(reason) < 3:
            ack(response_action="errors", errors={"reason": "Say more."})
            return
        cluster = values["cluster"]["pick"]["selected_option"]["value"]
        client.chat_postMessage(
            channel=view["private_metadata"], text=f"{cluster}: {reason}", blocks=CARD
        )
        ack()

    @app.view_closed("request")
    def closed(ack, body):
        seen.append(("closed", body["is_cleared"]))
        ack()

    @app.action("approve")
    def approve(ack, body, context, client):
        seen.append((body["user"]["team_id"], context.actor_team_id, body["actions"][0]["value"]))
        place = {"channel": body["channel"]["id"], "ts": body["message"]["ts"]}
        client.chat_update(text="Approved", blocks=CARD[:1], **place)
        ack()

    @app.event("app_home_opened")
    def home(event, client):
        client.views_publish(
            user_id=event["user"], view={"type": "home", "blocks": [{"type": "divider"}]}
        )

    @app.event("user_change")
    def user_change(event, client):
        client.chat_postMessage(channel="C01PAY", text=f"changed: {event['user']['id']}")

    return app


class OverSocketMode:
    def __init__(self, ws, app):
        self.ws = ws
        client = WebClient(ws.app_token, base_url=ws.api_url)
        self.handler = SocketModeHandler(app, ws.app_token, web_client=client, ping_interval=1)
        # The client's monitor looks before the first socket is open, connects a second time, and
        # then either session may be the one that runs; so it starts once the first is open.
        self.handler.client.current_app_monitor_started = True
        self.handler.connect()
        ws.wait_connected()
        self.handler.client.current_app_monitor.start()

    def close(self):
        # A socket that this thread closes leaves the client's reading thread in its select for
        # ten seconds; one that the server cuts wakes it.
        client = self.handler.client
        client.auto_reconnect_enabled = client.default_auto_reconnect_enabled = False
        client.current_session_runner.event.set()
        self.ws.drop_connections()
        client.current_session_runner.shutdown()
        self.handler.close()


class OverHttp:
    def __init__(self, ws, app):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                headers = dict(self.headers.items())
                response = app.dispatch(BoltRequest(body=body, headers=headers))
                content = response.body.encode()
                self.send_response(response.status)
                for name, value in response.first_headers_without_set_cookie().items():
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
        ws.deliver_over_http(f"http://127.0.0.1:{self.server.server_port}/slack/events")

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture(scope="module", params=[OverSocketMode, OverHttp])
def stage(request):
    """A workspace with the real Bolt behind it, shared: its client takes a second to close."""
    seen = []
    with SlackWorkspace() as ws:
        ws.add_person("U01ALICE", "alice")
        ws.add_person("U02BOB", "bob")
        ws.add_person("U03EVE", "eve", kind="outsider")
        ws.add_channel("C01PAY", "payments", ["U01ALICE", "U02BOB", "U03EVE"], shared=True)
        bot = request.param(ws, bolt_app(ws, seen))
        yield ws, seen
        bot.close()
        assert ws.rejections == []


def test_a_request_goes_from_command_to_modal_to_card_to_approval(stage):
    ws, seen = stage
    alice, bob = ws.human("U01ALICE"), ws.human("U02BOB")
    asked = alice.command("/eks-access", "C01PAY")
    assert asked.acknowledged
    assert asked.latency < 1
    assert alice.modal.title == "Ask"
    offered = alice.suggest("cluster", "prod")
    assert [option["value"] for option in offered] == ["prod-eu", "prod-us"]
    assert alice.submit(cluster="prod-eu", reason="x").errors == {"reason": "Say more."}
    assert alice.modal is not None
    sent = alice.submit(reason="PAY-1423")
    assert (sent.acknowledged, sent.error, sent.errors) == (True, None, {})
    assert alice.modal is None
    card = bob.sees("C01PAY")[-1]
    assert card.text == "prod-eu: PAY-1423"
    old = card.copy_as_seen()
    assert bob.click(card, "approve").acknowledged
    assert (card.text, card.buttons) == ("Approved", [])
    assert bob.click(old, "approve", value="7K4").acknowledged
    assert seen[-1] == (ws.team.id, ws.team.id, "7K4")


def test_an_outsider_looks_like_an_insider_to_bolt_but_not_in_the_body(stage):
    ws, seen = stage
    card = ws.say(ws.app.user_id, "C01PAY", "card", blocks=CARD)
    assert ws.human("U03EVE").click(card, "approve").acknowledged
    assert seen[-1] == ("T0OUTSIDE", ws.team.id, "7K3")


def test_home_is_published_when_it_is_opened(stage):
    ws, _ = stage
    assert ws.human("U02BOB").home().type == "home"


def test_a_closed_modal_tells_the_app(stage):
    ws, seen = stage
    alice = ws.human("U01ALICE")
    alice.command("/eks-access")
    assert alice.close().acknowledged
    assert alice.modal is None
    assert seen[-1] == ("closed", False)


def test_an_event_reaches_its_listener(stage):
    ws, _ = stage
    ws.change_person("U02BOB", title="SRE")
    ws.wait(lambda: ws.human("U01ALICE").sees("C01PAY")[-1].text == "changed: U02BOB")
    ws.wait(lambda: ws.deliveries[-1].acknowledged)


def test_bolt_comes_back_after_the_server_was_away():
    with SlackWorkspace() as ws:
        ws.add_person("U01ALICE", "alice")
        bot = OverSocketMode(ws, bolt_app(ws, []))
        alice = ws.human("U01ALICE")
        assert alice.command("/eks-access").acknowledged
        ws.kill()
        assert alice.command("/eks-access").error == "dispatch_failed"
        ws.revive()
        ws.wait_connected(timeout=15)
        assert alice.command("/eks-access").acknowledged
        bot.close()
