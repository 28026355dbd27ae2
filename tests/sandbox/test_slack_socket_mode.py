from __future__ import annotations

import queue
import threading
import time

import pytest
import websocket
from slack_sdk import WebClient

from bot.sandbox.slack_server import SlackWorkspace


def test_a_connection_begins_with_hello(ws, app):
    hello = app().messages[0]
    assert hello["type"] == "hello"
    assert hello["num_connections"] == 1
    assert hello["connection_info"] == {"app_id": ws.app.id}
    assert "host" in hello["debug_info"]


def test_a_ticket_works_once(app):
    first = app()
    with pytest.raises(websocket.WebSocketBadStatusException):
        websocket.create_connection(first.url)


def test_an_envelope_goes_to_one_connection_in_turn(ws, app):
    apps = [app() for _ in range(3)]
    ws.wait(lambda: len(ws.sockets.connections) == 3)
    for _ in range(6):
        assert ws.human("U01ALICE").command("/eks-access mine").acknowledged
    assert [len(one.envelopes) for one in apps] == [2, 2, 2]


def test_an_eleventh_connection_is_turned_away(ws, app):
    for _ in range(10):
        app()
    late = app()
    late.wait(lambda: late.messages)
    assert late.messages[0]["type"] == "disconnect"
    assert late.messages[0]["reason"] == "too_many_websockets"
    assert late.ended.wait(5)
    assert len(ws.sockets.connections) == 10


def test_a_command_carries_what_slack_sends(ws, app):
    one = app(lambda _: {"text": "Working on it"})
    outcome = ws.human("U01ALICE").command("/eks-access  request prod-eu edit & more ", "C01PAY")
    assert outcome.acknowledged
    assert 0 < outcome.latency < 3
    assert outcome.text == "Working on it"
    assert [message.text for message in ws.human("U01ALICE").sees("C01PAY")] == ["Working on it"]
    assert ws.human("U02BOB").sees("C01PAY") == []
    envelope = one.envelopes[0]
    assert envelope["type"] == "slash_commands"
    assert envelope["accepts_response_payload"] is True
    payload = envelope["payload"]
    response_url, trigger_id = payload.pop("response_url"), payload.pop("trigger_id")
    assert response_url.startswith(ws.url)
    assert trigger_id in ws.triggers
    assert payload == {
        "token": ws.app.verification_token,
        "team_id": "T01ACME",
        "team_domain": "acme",
        "channel_id": "C01PAY",
        "channel_name": "payments",
        "user_id": "U01ALICE",
        "user_name": "alice",
        "command": "/eks-access",
        "text": "request prod-eu edit & more",
        "api_app_id": ws.app.id,
        "is_enterprise_install": "false",
    }


def test_a_command_may_answer_for_all_to_see(ws, app):
    app(lambda _: {"text": "Hello all", "response_type": "in_channel"})
    ws.human("U01ALICE").command("/eks-access who prod", "C01PAY")
    assert [message.text for message in ws.human("U02BOB").sees("C01PAY")] == ["Hello all"]


def test_an_invalid_answer_to_a_command_is_refused_and_noted(ws, app):
    app(lambda _: {"text": "x", "blocks": [{"type": "nonsense"}]})
    outcome = ws.human("U01ALICE").command("/eks-access mine")
    assert outcome.error == "invalid_command_response"
    assert ws.human("U01ALICE").dm == []
    assert [one.error for one in ws.rejections] == ["invalid_blocks"]


def test_names_of_private_places_are_not_in_commands(ws, app):
    one = app()
    ws.add_channel("C02SEC", "secret", private=True)
    ws.human("U01ALICE").command("/eks-access mine", "C02SEC")
    ws.human("U01ALICE").command("/eks-access mine")
    names = [payload["channel_name"] for payload in one.payloads]
    assert names == ["privategroup", "directmessage"]


def test_what_slack_itself_refuses_never_reaches_the_app(ws, app):
    one = app()
    alice = ws.human("U01ALICE")
    ws.leave("C01PAY", "U01ALICE")
    assert alice.command("/eks access").error == "unknown_command"
    assert alice.command("/eks-access mine", "C01PAY").error == "not_in_channel"
    ws.app.scopes = ("chat:write",)
    assert alice.command("/eks-access mine").error == "unknown_command"
    assert not [sent for sent in one.envelopes if sent["type"] == "slash_commands"]


def test_without_an_acknowledgement_the_person_sees_a_timeout(ws, app, no_ack):
    one = app(lambda _: no_ack)
    start = time.monotonic()
    outcome = ws.human("U01ALICE").command("/eks-access mine")
    assert time.monotonic() - start >= 0.3
    assert (outcome.acknowledged, outcome.error) == (False, "operation_timeout")
    assert outcome.latency is None
    assert len(one.envelopes) == 1


def test_without_a_connection_the_person_sees_a_failure(ws):
    outcome = ws.human("U01ALICE").command("/eks-access mine")
    assert (outcome.acknowledged, outcome.error) == (False, "dispatch_failed")


def test_an_acknowledgement_may_come_over_another_connection(ws, app, no_ack):
    arrived = queue.Queue()

    def deaf(envelope):
        arrived.put(envelope)
        return no_ack

    apps = [app(deaf), app(deaf)]
    ws.wait_connected(2)
    outcomes = []
    person = threading.Thread(
        target=lambda: outcomes.append(ws.human("U01ALICE").command("/eks-access mine"))
    )
    person.start()
    envelope = arrived.get(timeout=5)
    silent = next(one for one in apps if envelope not in one.envelopes)
    silent.reply(envelope)
    person.join()
    assert outcomes[0].acknowledged


def test_an_event_has_its_wrapping(ws, app):
    one = app()
    ws.change_person("U01ALICE", title="SRE")
    one.wait(lambda: one.envelopes)
    envelope = one.envelopes[0]
    assert envelope["type"] == "events_api"
    assert (envelope["retry_attempt"], envelope["retry_reason"]) == (0, "")
    body = envelope["payload"]
    assert body["type"] == "event_callback"
    assert body["team_id"] == ws.team.id
    assert body["event_id"].startswith("Ev")
    assert body["authorizations"][0]["user_id"] == ws.app.user_id
    assert body["event"]["type"] == "user_change"
    assert body["event"]["user"]["profile"]["title"] == "SRE"


def test_an_event_without_acknowledgement_comes_again_three_times(ws, app, clock, no_ack):
    one = app(lambda envelope: no_ack if envelope["type"] == "events_api" else None)
    ws.change_person("U01ALICE", title="SRE")

    def events():
        # A command goes over the same connection, so what was due before it has come by then.
        assert ws.human("U01ALICE").command("/eks-access mine").acknowledged
        return [envelope for envelope in one.envelopes if envelope["type"] == "events_api"]

    def attempts():
        return [envelope["retry_attempt"] for envelope in events()]

    delivery = ws.wait(lambda: ws.deliveries[0] if len(ws.deliveries[0].attempts) == 2 else None)
    clock.advance(59)
    assert attempts() == [0, 1]
    clock.advance(1)
    ws.wait(lambda: len(delivery.attempts) == 3)
    clock.advance(299)
    assert attempts() == [0, 1, 2]
    clock.advance(1)
    ws.wait(lambda: len(delivery.attempts) == 4)
    clock.advance(3600)
    assert attempts() == [0, 1, 2, 3]
    assert {envelope["payload"]["event_id"] for envelope in events()} == {
        delivery.payload["event_id"]
    }
    assert len({envelope["envelope_id"] for envelope in events()}) == 4
    assert events()[1]["retry_reason"] == "timeout"
    assert not delivery.acknowledged


def test_an_event_acknowledged_late_is_not_sent_again(ws, app, no_ack):
    one = app(lambda envelope: no_ack if envelope.get("retry_attempt") == 0 else None)
    ws.change_person("U01ALICE", title="SRE")
    delivery = ws.wait(lambda: ws.deliveries[0] if len(ws.deliveries[0].attempts) == 2 else None)
    assert delivery.acknowledged
    assert [envelope["retry_attempt"] for envelope in one.envelopes] == [0, 1]


def test_only_subscribed_events_are_sent(ws, app):
    one = app()
    ws.app.events = ("subteam_updated",)
    ws.change_person("U01ALICE", title="SRE")
    ws.set_group("S01PAY", ["U01ALICE"])
    one.wait(lambda: one.envelopes)
    assert [payload["event"]["type"] for payload in one.payloads] == ["subteam_updated"]


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
def test_a_connection_told_to_go_gets_nothing_more(ws, app, reason):
    old = app()
    assert ws.disconnect(reason, grace=60) == 1
    old.wait(lambda: len(old.messages) == 2)
    assert old.messages[1]["type"] == "disconnect"
    assert old.messages[1]["reason"] == reason
    new = app()
    ws.wait(lambda: len(ws.sockets.connections) == 2)
    for _ in range(2):
        assert ws.human("U01ALICE").command("/eks-access mine").acknowledged
    assert (len(old.envelopes), len(new.envelopes)) == (0, 2)


def test_a_connection_told_to_go_is_closed_after_its_grace(ws, app):
    old = app()
    ws.disconnect(grace=0)
    assert old.ended.wait(5)
    ws.wait(lambda: not ws.sockets.connections)


def test_a_dropped_connection_is_gone_without_a_word(ws, app):
    one = app()
    assert ws.drop_connections() == 1
    assert one.ended.wait(5)
    assert isinstance(one.end_error, OSError | websocket.WebSocketConnectionClosedException)
    ws.wait(lambda: not ws.sockets.connections)


def test_the_server_pings(clock):
    with SlackWorkspace(clock=clock, ping_seconds=0.05) as ws:
        client = WebClient(ws.app_token, base_url=ws.api_url)
        url = client.apps_connections_open(app_token=ws.app_token)["url"]
        connection = websocket.create_connection(url, timeout=5)
        opcodes = [connection.recv_data(control_frame=True)[0] for _ in range(2)]
        connection.close()
    assert opcodes == [websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_PING]


def test_the_server_can_be_killed_and_come_back_on_its_port(ws, app, api):
    one, port = app(), ws.port
    api.chat_postMessage(channel="C01PAY", text="before")
    ws.kill()
    assert one.ended.wait(5)
    with pytest.raises(OSError, match="refused"):
        api.auth_test()
    assert ws.human("U01ALICE").command("/eks-access mine").error == "dispatch_failed"
    ws.revive()
    assert ws.port == port
    assert api.auth_test()["ok"]
    assert [message.text for message in ws.messages["C01PAY"]] == ["before"]
    back = app()
    ws.wait_connected()
    assert ws.human("U01ALICE").command("/eks-access mine").acknowledged
    assert len(back.envelopes) == 1


def test_the_handshake_can_fail_on_request(ws, app):
    for fault in ({"status": 503}, {"drop": True}):
        ws.faults.add("link", **fault)
        with pytest.raises((OSError, websocket.WebSocketException)):
            app()
    app()
    assert len(ws.sockets.connections) == 1


def test_nothing_is_left_running_after_the_workspace_is_closed(clock):
    before = set(threading.enumerate())
    with SlackWorkspace(clock=clock) as ws:
        ws.add_person("U01ALICE", "alice")
        WebClient(ws.bot_token, base_url=ws.api_url).auth_test()
        url = ws.api_url
    assert set(threading.enumerate()) <= before
    with pytest.raises(OSError, match="refused"):
        WebClient("x", base_url=url, retry_handlers=[]).auth_test()


def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_behind(ws):
    before = set(threading.enumerate())
    with pytest.raises(OSError, match="in use"):
        SlackWorkspace(port=ws.port).start()
    assert set(threading.enumerate()) <= before
