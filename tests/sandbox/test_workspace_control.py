from __future__ import annotations

import json
import threading
from http.client import HTTPConnection

import pytest
import websocket
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from bot.sandbox.slack_server import SlackWorkspace


def plain(text):
    return {"type": "plain_text", "text": text}


BUTTON = {
    "type": "actions",
    "block_id": "b",
    "elements": [
        {"type": "button", "action_id": "approve", "value": "7K3", "text": plain("Approve")}
    ],
}


class Page:
    """What a page's script does."""

    def __init__(self, ws):
        self.ws = ws

    def ask(self, method, path, body=None, **headers):
        connection = HTTPConnection("127.0.0.1", self.ws.port, timeout=5)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        content = None if body is None else json.dumps(body)
        if content is not None:
            headers.setdefault("Content-Type", "application/json")
        connection.request(method, path, content, headers)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, json.loads(text) if text.startswith(b"{") else text.decode()

    def state(self):
        return self.ask("GET", "/sandbox/state")[1]

    def act(self, act, person="U01ALICE", **body):
        status, answer = self.ask("POST", f"/sandbox/people/{person}/{act}", body)
        assert status == 200, answer
        return answer


@pytest.fixture
def page(ws):
    return Page(ws)


def test_the_state_holds_everything_a_page_shows(ws, page, api):
    ws.add_person("U05OUT", "out", kind="outsider")
    api.chat_postMessage(channel="C01PAY", text="<@U01ALICE> card", blocks=[BUTTON])
    api.chat_postEphemeral(channel="C01PAY", user="U02BOB", text="psst")
    api.chat_postMessage(channel="U01ALICE", text="direct")
    api.views_publish(user_id="U01ALICE", view={"type": "home", "blocks": []})
    view = {"type": "modal", "title": plain("Ask"), "blocks": []}
    api.views_open(trigger_id=ws.new_trigger("U01ALICE"), view=view)
    state = page.state()
    assert state["seq"] == ws.seq
    assert state["now"] == "2026-01-05T09:00:00+00:00"
    assert state["team"]["domain"] == "acme"
    assert (state["app"]["delivery"], state["app"]["connections"]) == ("socket_mode", 0)
    people = {one["id"]: one for one in state["people"]}
    assert people["U05OUT"]["kind"] == "outsider"
    assert people["U01ALICE"]["playable"] is True
    assert people[ws.app.user_id]["playable"] is False
    dm = people["U01ALICE"]["dm"]
    assert state["dms"] == [{"id": dm, "user": "U01ALICE"}]
    assert [one["id"] for one in state["channels"]] == ["C01PAY"]
    card, shy = state["messages"]["C01PAY"]
    assert (card["username"], card["is_bot"]) == ("eks-access", True)
    assert card["blocks"][0]["elements"][0]["action_id"] == "approve"
    assert (card["ephemeral_to"], shy["ephemeral_to"]) == (None, "U02BOB")
    assert [one["text"] for one in state["messages"][dm]] == ["direct"]
    assert state["homes"]["U01ALICE"]["type"] == "home"
    assert [one["title"]["text"] for one in state["modals"]["U01ALICE"]] == ["Ask"]
    assert [one["person"] for one in state["notifications"]] == ["U01ALICE", "U01ALICE"]
    assert state["groups"][0]["handle"] == "pay-leads"


def test_a_page_can_live_the_whole_story(ws, page, app, api):
    one = app(lambda envelope: {"text": "ok"} if envelope["type"] == "slash_commands" else None)
    answer = page.act("command", line="/eks-access mine", channel="C01PAY")
    assert answer.pop("latency_ms") > 0
    assert answer == {"acknowledged": True, "error": None, "text": "ok", "blocks": None}
    text = {"type": "plain_text_input", "action_id": "text", "max_length": 5}
    blocks = [{"type": "input", "block_id": "reason", "label": plain("Reason"), "element": text}]
    view = {
        "type": "modal",
        "title": plain("Ask"),
        "submit": plain("Send"),
        "blocks": [*blocks, BUTTON],
    }
    trigger = one.payloads[-1]["trigger_id"]
    view_id = api.views_open(trigger_id=trigger, view=view)["view"]["id"]
    missing = page.act("submit", view_id=view_id, state={})
    assert missing["errors"] == {"reason": "Please complete this required field."}
    state = {"reason": {"text": "why"}}
    assert page.act("view-action", view_id=view_id, action_id="approve", state=state)[
        "acknowledged"
    ]
    assert one.payloads[-1]["view"]["state"]["values"]["reason"]["text"]["value"] == "why"
    assert page.act("submit", view_id=view_id, state=state)["errors"] == {}
    assert page.state()["modals"] == {}
    ts = api.chat_postMessage(channel="C01PAY", text="card", blocks=[BUTTON])["ts"]
    clicked = page.act("click", "U02BOB", channel="C01PAY", ts=ts, action_id="approve")
    assert clicked["acknowledged"]
    assert one.payloads[-1]["user"]["id"] == "U02BOB"
    said = page.act("message", channel="C01PAY", text="thanks", thread_ts=ts)
    assert ws.message("C01PAY", said["ts"]).thread_ts == ts
    assert page.act("home")["view"] is None
    assert page.act("dm")["channel"] == ws.dm("U01ALICE").id


def test_a_page_asks_for_options(ws, page, app, api):
    options = [{"text": plain("Prod"), "value": "prod"}]
    app(lambda _: {"options": options})
    select = {"type": "external_select", "action_id": "pick", "min_query_length": 0}
    view = {
        "type": "modal",
        "title": plain("Ask"),
        "submit": plain("Send"),
        "blocks": [{"type": "input", "block_id": "c", "label": plain("C"), "element": select}],
    }
    opened = api.views_open(trigger_id=ws.new_trigger("U01ALICE"), view=view)["view"]
    answer = page.act("suggest", view_id=opened["id"], action_id="pick", query="")
    assert answer["options"] == options
    message = ws.say(
        ws.app.user_id, "C01PAY", "x", blocks=[{"type": "actions", "elements": [select]}]
    )
    answer = page.act("suggest", channel="C01PAY", ts=message.ts, action_id="pick", query="")
    assert answer["options"] == options
    assert page.act("close", view_id=opened["id"])["acknowledged"]
    assert page.state()["modals"] == {}


def test_a_failure_is_shown_as_slack_names_it(page):
    assert page.act("command", line="/eks-access mine")["error"] == "dispatch_failed"
    assert page.act("command", line="/other")["error"] == "unknown_command"


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        ("people/U09/command", {}, 404, "there is no person U09"),
        ("people/U01ALICE/dance", {}, 404, "there is no such act"),
        ("people/U01ALICE/command", {}, 400, "line must be a text"),
        ("people/U01ALICE/message", {"channel": "C09", "text": "x"}, 404, "no channel C09"),
        (
            "people/U01ALICE/click",
            {"channel": "C01PAY", "ts": "1", "action_id": "x"},
            404,
            "no message 1",
        ),
        ("people/U01ALICE/submit", {"view_id": "V1"}, 404, "no view V1"),
        ("people/U01ALICE/home", [], 400, "must be an object"),
        ("workspace/people/U09", {}, 404, "there is no U09"),
        ("workspace/people/U01ALICE", {"mood": "good"}, 400, "has no mood"),
        ("workspace/groups/S01PAY", {"users": "U01"}, 400, "must be a list"),
    ],
)
def test_a_wrong_request_is_answered_with_a_sentence(page, path, body, status, sentence):
    answer = page.ask("POST", f"/sandbox/{path}", body)
    assert answer[0] == status
    assert sentence in answer[1]["error"]


def test_one_person_cannot_use_another_ones_modal(ws, page, api):
    view = {"type": "modal", "title": plain("Ask"), "blocks": []}
    opened = api.views_open(trigger_id=ws.new_trigger("U01ALICE"), view=view)["view"]
    path = "/sandbox/people/U02BOB/close"
    assert page.ask("POST", path, {"view_id": opened["id"]})[0] == 404


def test_an_operator_can_change_the_workspace(ws, page):
    assert page.ask("POST", "/sandbox/workspace/people/U01ALICE", {"deleted": True})[0] == 200
    page.ask("POST", "/sandbox/workspace/groups/S01PAY", {"users": ["U01ALICE"], "disabled": True})
    page.ask(
        "POST",
        "/sandbox/workspace/channels/C01PAY",
        {"is_archived": True, "members": ["U02BOB"]},
    )
    assert ws.people["U01ALICE"].deleted
    assert (ws.groups["S01PAY"].users, ws.groups["S01PAY"].disabled) == (["U01ALICE"], True)
    assert ws.channels["C01PAY"].members == ["U02BOB"]
    assert ws.channels["C01PAY"].is_archived


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_sites_are_kept_out(page, method, headers):
    path = "/sandbox/state" if method == "GET" else "/sandbox/people/U01ALICE/home"
    body = None if method == "GET" else {}
    status, answer = page.ask(method, path, body, **headers)
    assert status == 403
    assert answer["error"]


def test_a_form_of_another_site_cannot_act(page):
    path = "/sandbox/people/U01ALICE/home"
    assert page.ask("POST", path, {}, Content_Type="text/plain")[0] == 403


def test_this_servers_own_pages_are_let_in(ws, page):
    for host in (f"127.0.0.1:{ws.port}", f"localhost:{ws.port}", f"[::1]:{ws.port}"):
        headers = {"Host": host, "Origin": f"http://{host}", "Sec_Fetch_Site": "same-origin"}
        assert page.ask("GET", "/sandbox/state", **headers)[0] == 200


def test_a_page_can_bring_routes_of_its_own_under_the_same_guard(clock):
    async def index(_request):
        return PlainTextResponse("the page")

    async def live(socket):
        await socket.accept()
        await socket.send_text("live")
        await socket.close()

    routes = [Route("/", index), WebSocketRoute("/live", live)]
    with SlackWorkspace(clock=clock, extra_routes=routes) as ws:
        page = Page(ws)
        address = ws.url.replace("http", "ws") + "/live"
        own = websocket.create_connection(address, timeout=5)
        assert own.recv() == "live"
        own.shutdown()
        with pytest.raises(websocket.WebSocketBadStatusException):
            websocket.create_connection(address, origin="https://evil.example")
        assert page.ask("GET", "/") == (200, "the page")
        assert page.ask("GET", "/", Host="evil.example")[0] == 403
        assert page.ask("GET", "/nothing")[0] == 404


class Stream:
    """An EventSource: reads Server-Sent Events in a thread."""

    def __init__(self, ws, last=None):
        self.connection = HTTPConnection("127.0.0.1", ws.port, timeout=5)
        headers = {} if last is None else {"Last-Event-ID": str(last)}
        self.connection.request("GET", "/sandbox/events", headers=headers)
        self.response = self.connection.getresponse()

    def _line(self):
        return self.response.fp.readline().decode().strip()

    def event(self):
        """The next event; chunk sizes and blank lines of the encoding are passed over."""
        while True:
            line = self._line()
            if line.startswith("data: "):
                return json.loads(line.removeprefix("data: "))

    def close(self):
        self.response.close()
        self.connection.close()


def test_a_stream_begins_with_reset_and_tells_each_change(ws):
    stream = Stream(ws)
    assert stream.response.headers["Content-Type"].startswith("text/event-stream")
    assert stream.event() == {"seq": ws.seq, "kind": "reset"}
    seq = ws.seq
    ws.human("U01ALICE").say("C01PAY", "hello")
    assert stream.event() == {"seq": seq + 1, "kind": "message"}
    ws.archive("C01PAY")
    assert stream.event() == {"seq": seq + 2, "kind": "channel"}
    stream.close()


def test_a_stream_goes_on_where_it_broke_off(ws):
    seq = ws.seq
    for text in ("one", "two"):
        ws.human("U01ALICE").say("C01PAY", text)
    stream = Stream(ws, last=seq + 1)
    assert stream.event() == {"seq": seq + 2, "kind": "message"}
    stream.close()


@pytest.mark.parametrize("last", [10**6, 0])
def test_a_stream_that_missed_too_much_starts_over(ws, last):
    for _ in range(2100):
        ws.changed("message")
    stream = Stream(ws, last=last)
    assert stream.event() == {"seq": ws.seq, "kind": "reset"}
    stream.close()


def test_a_stream_ends_when_the_workspace_closes(clock):
    with SlackWorkspace(clock=clock) as ws:
        stream = Stream(ws)
        stream.event()
        closing = threading.Thread(target=ws.stop)
        closing.start()
        assert stream.response.fp.read().endswith(b"\r\n0\r\n\r\n")
        closing.join()
        stream.close()
