from __future__ import annotations

import pytest


def plain(text):
    return {"type": "plain_text", "text": text}


def option(value):
    return {"text": plain(value.title()), "value": value}


def asks(block_id, element, **fields):
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(block_id),
        "element": {"action_id": "a", **element},
        **fields,
    }


def modal(*blocks, **fields):
    return {
        "type": "modal",
        "title": plain("Ask"),
        "submit": plain("Send"),
        "blocks": list(blocks),
        **fields,
    }


LEVELS = {"type": "static_select", "options": [option("view"), option("edit")]}


class Desk:
    """An app by hand that keeps payloads and answers each as the test last said."""

    def __init__(self, ws, api, app):
        self.ws, self.api, self.answer = ws, api, None
        self.one = app(lambda _envelope: self.answer)

    def open(self, *blocks, **fields):
        view = modal(*blocks, **fields)
        self.api.views_open(trigger_id=self.ws.new_trigger("U01ALICE"), view=view)
        return self.ws.human("U01ALICE")

    @property
    def last(self):
        return self.one.payloads[-1]


@pytest.fixture
def desk(ws, api, app):
    return Desk(ws, api, app)


@pytest.fixture
def alice(ws):
    return ws.human("U01ALICE")


def card(ws, *elements):
    buttons = elements or (
        {"type": "button", "action_id": "approve", "value": "7K3", "text": plain("Approve")},
    )
    blocks = [{"type": "actions", "block_id": "decide", "elements": list(buttons)}]
    return ws.say(ws.app.user_id, "C01PAY", "card", blocks=blocks)


def test_a_click_carries_what_slack_sends(ws, desk, alice):
    message = card(ws)
    outcome = alice.click(message, "approve")
    assert outcome.acknowledged
    assert outcome.latency < 3
    body = desk.last
    assert desk.one.envelopes[-1]["type"] == "interactive"
    assert body["type"] == "block_actions"
    assert body["user"] == {
        "id": "U01ALICE",
        "username": "alice",
        "name": "alice",
        "team_id": ws.team.id,
    }
    assert body["team"] == {"id": ws.team.id, "domain": "acme"}
    assert body["container"] == {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": "C01PAY",
        "is_ephemeral": False,
    }
    assert body["channel"] == {"id": "C01PAY", "name": "payments"}
    assert body["message"]["blocks"] == message.blocks
    assert body["state"] == {"values": {}}
    assert body["response_url"].startswith(ws.url)
    assert body["trigger_id"] in ws.triggers
    action = body["actions"][0]
    assert action.pop("action_ts")
    assert action == {
        "type": "button",
        "action_id": "approve",
        "block_id": "decide",
        "value": "7K3",
        "text": {"type": "plain_text", "text": "Approve", "emoji": True},
    }


def test_an_answer_in_the_acknowledgement_of_a_click_is_not_taken(ws, desk, alice):
    message = card(ws)
    desk.answer = {"text": "lost"}
    outcome = alice.click(message, "approve")
    assert desk.one.envelopes[-1]["accepts_response_payload"] is False
    assert outcome.delivery.attempts[0].payload is None
    assert [one.text for one in alice.sees("C01PAY")] == ["card"]


def test_a_click_on_an_ephemeral_message_comes_without_its_content(ws, desk, alice, api):
    button = {"type": "button", "action_id": "go", "text": plain("Go")}
    blocks = [{"type": "actions", "elements": [button]}]
    api.chat_postEphemeral(channel="C01PAY", user="U01ALICE", text="x", blocks=blocks)
    message = alice.sees("C01PAY")[0]
    alice.click(message, "go")
    assert desk.last["container"]["is_ephemeral"] is True
    assert "message" not in desk.last
    with pytest.raises(LookupError, match="only U01ALICE"):
        ws.human("U02BOB").click(message, "go")


def test_a_forged_value_and_a_forged_button_can_be_sent(ws, desk, alice):
    message = card(ws)
    alice.click(message, "approve", value="9Z9")
    assert desk.last["actions"][0]["value"] == "9Z9"
    with pytest.raises(LookupError, match="there are: decide/approve"):
        alice.click(message, "revoke")
    alice.click(message, "revoke", value="7K3", forge=True)
    assert desk.last["actions"][0]["action_id"] == "revoke"


def test_an_old_copy_can_still_be_clicked_after_an_update(ws, desk, alice, api):
    message = card(ws)
    old = message.copy_as_seen()
    api.chat_update(channel="C01PAY", ts=message.ts, text="decided", blocks=[])
    with pytest.raises(LookupError, match="no element"):
        alice.click(message, "approve")
    assert alice.click(old, "approve").acknowledged
    assert desk.last["actions"][0]["value"] == "7K3"
    assert desk.last["container"]["message_ts"] == message.ts


def test_what_cannot_be_seen_cannot_be_clicked(ws, desk, alice, api):
    ws.add_person("U03GUE", "guest", kind="guest")
    message = card(ws)
    with pytest.raises(LookupError, match="cannot see"):
        ws.human("U03GUE").click(message, "approve")
    api.chat_delete(channel="C01PAY", ts=message.ts)
    with pytest.raises(LookupError, match="deleted"):
        alice.click(message, "approve")
    assert desk.one.envelopes == []


def test_without_interactivity_nothing_is_sent(ws, desk, alice):
    ws.app.interactivity = False
    assert alice.click(card(ws), "approve").error == "not_configured"
    assert desk.one.envelopes == []


def test_a_choice_in_a_message_is_in_its_state(ws, desk, alice):
    message = card(
        ws,
        {**LEVELS, "action_id": "level"},
        {"type": "overflow", "action_id": "more", "options": [option("mute")]},
    )
    alice.click(message, "level", "edit")
    chosen = {"text": {**plain("Edit"), "emoji": True}, "value": "edit"}
    assert desk.last["actions"][0]["selected_option"] == chosen
    alice.click(message, "more", "mute")
    assert desk.last["actions"][0]["selected_option"]["value"] == "mute"
    assert desk.last["state"]["values"] == {
        "decide": {"level": {"type": "static_select", "selected_option": chosen}}
    }
    with pytest.raises(ValueError, match="does not offer 'admin'; it offers: view, edit"):
        alice.click(message, "level", "admin")


def test_a_submission_carries_every_kind_of_value(desk):
    alice = desk.open(
        asks("text", {"type": "plain_text_input"}),
        asks("level", LEVELS),
        asks("many", {**LEVELS, "type": "multi_static_select"}),
        asks("who", {"type": "users_select"}),
        asks("crowd", {"type": "multi_users_select"}),
        asks("place", {"type": "conversations_select"}),
        asks("day", {"type": "datepicker"}),
        asks("hour", {"type": "timepicker"}),
        asks("at", {"type": "datetimepicker"}),
        asks("boxes", {"type": "checkboxes", "options": [option("x"), option("y")]}),
        asks("radio", {"type": "radio_buttons", "options": [option("x")]}),
        asks("count", {"type": "number_input", "is_decimal_allowed": False}),
        asks("mail", {"type": "email_text_input"}),
        asks("link", {"type": "url_text_input"}, optional=True),
        callback_id="request",
        private_metadata="7K3",
    )
    outcome = alice.submit(
        text="why",
        level="edit",
        many=["view", "edit"],
        who="U02BOB",
        crowd=["U01ALICE", "U02BOB"],
        place="C01PAY",
        day="2026-01-31",
        hour="13:45",
        at=1767603600,
        boxes=["y"],
        radio="x",
        count="3",
        mail="a@example.com",
    )
    assert outcome.acknowledged
    assert alice.modal is None
    body = desk.last
    assert body["type"] == "view_submission"
    assert body["view"]["callback_id"] == "request"
    assert body["view"]["private_metadata"] == "7K3"
    values = {block: held["a"] for block, held in body["view"]["state"]["values"].items()}
    assert {
        block: next(v for k, v in held.items() if k != "type") for block, held in values.items()
    } == {
        "text": "why",
        "level": {"text": {**plain("Edit"), "emoji": True}, "value": "edit"},
        "many": [
            {"text": {**plain("View"), "emoji": True}, "value": "view"},
            {"text": {**plain("Edit"), "emoji": True}, "value": "edit"},
        ],
        "who": "U02BOB",
        "crowd": ["U01ALICE", "U02BOB"],
        "place": "C01PAY",
        "day": "2026-01-31",
        "hour": "13:45",
        "at": 1767603600,
        "boxes": [{"text": {**plain("Y"), "emoji": True}, "value": "y"}],
        "radio": {"text": {**plain("X"), "emoji": True}, "value": "x"},
        "count": "3",
        "mail": "a@example.com",
        "link": None,
    }
    assert values["who"] == {"type": "users_select", "selected_user": "U02BOB"}
    assert values["at"] == {"type": "datetimepicker", "selected_date_time": 1767603600}


def test_the_client_asks_for_what_is_missing_and_sends_nothing(desk):
    alice = desk.open(
        asks("text", {"type": "plain_text_input", "min_length": 5, "max_length": 8}),
        asks("count", {"type": "number_input", "is_decimal_allowed": False, "max_value": "8"}),
        asks("note", {"type": "plain_text_input"}, optional=True),
    )
    assert set(alice.submit().errors) == {"text", "count"}
    assert set(alice.submit(text="1234", count="9").errors) == {"text", "count"}
    assert set(alice.submit(text="123456789", count="x").errors) == {"text", "count"}
    assert set(alice.submit(text="12345678", count="1.5").errors) == {"count"}
    assert desk.one.envelopes == []
    assert alice.submit(count="8").acknowledged
    assert len(desk.one.envelopes) == 1


def test_values_the_modal_did_not_offer_can_be_forged(desk):
    alice = desk.open(asks("level", LEVELS), asks("text", {"type": "plain_text_input"}))
    with pytest.raises(ValueError, match="does not offer"):
        alice.fill("level", "cluster-admin")
    alice.submit(level="cluster-admin", forge=True)
    values = desk.last["view"]["state"]["values"]
    assert values["level"]["a"]["selected_option"]["value"] == "cluster-admin"
    assert values["text"]["a"]["value"] is None


def test_errors_keep_the_modal_open(ws, desk):
    alice = desk.open(asks("text", {"type": "plain_text_input"}))
    desk.answer = {"response_action": "errors", "errors": {"text": "Say more."}}
    assert alice.submit(text="x").errors == {"text": "Say more."}
    assert alice.modal is not None
    assert ws.rejections == []


@pytest.mark.parametrize(
    "answer",
    [
        {"response_action": "errors", "errors": {"nowhere": "x"}},
        {"response_action": "errors", "errors": {}},
        {"response_action": "errors", "errors": {"text": ""}},
        {"response_action": "update", "view": {"type": "modal"}},
        {"response_action": "vanish"},
        {"text": "thanks"},
    ],
)
def test_an_answer_to_a_submission_that_slack_does_not_take_is_noted(ws, desk, answer):
    alice = desk.open(asks("text", {"type": "plain_text_input"}))
    desk.answer = answer
    assert alice.submit(text="x").error == "invalid_view_response"
    assert alice.modal is not None
    assert [one.method for one in ws.rejections] == ["view_submission"]


def test_a_submission_can_update_push_and_clear(ws, desk):
    alice = desk.open(asks("text", {"type": "plain_text_input"}))
    second = modal(asks("more", {"type": "plain_text_input"}), title=plain("Second"))
    desk.answer = {"response_action": "update", "view": second}
    alice.submit(text="x")
    assert [view.title for view in alice.modals] == ["Second"]
    desk.answer = {"response_action": "push", "view": {**second, "title": plain("Third")}}
    alice.submit(more="x")
    assert [view.title for view in alice.modals] == ["Second", "Third"]
    desk.answer = None
    alice.submit(more="x")
    assert [view.title for view in alice.modals] == ["Second"]
    desk.answer = {"response_action": "clear"}
    alice.submit(more="x")
    assert alice.modals == []
    assert ws.rejections == []


def test_a_submission_without_an_answer_leaves_the_modal_and_says_so(desk, no_ack):
    alice = desk.open(asks("text", {"type": "plain_text_input"}))
    desk.answer = no_ack
    outcome = alice.submit(text="x")
    assert (outcome.acknowledged, outcome.error) == (False, "operation_timeout")
    assert alice.modal is not None


def test_a_choice_dispatches_only_where_slack_does(desk):
    level = {
        "type": "section",
        "block_id": "s",
        "text": plain("x"),
        "accessory": {**LEVELS, "action_id": "level"},
    }
    alice = desk.open(
        level,
        asks("quiet", LEVELS),
        asks("loud", LEVELS, dispatch_action=True),
        asks("text", {"type": "plain_text_input"}),
    )
    alice.fill("text", "typed so far")
    assert alice.choose("level", "edit").acknowledged
    body = desk.last
    assert body["container"] == {"type": "view", "view_id": alice.modal.id}
    assert body["actions"][0]["selected_option"]["value"] == "edit"
    assert body["view"]["state"]["values"]["text"]["a"]["value"] == "typed so far"
    assert "response_url" not in body
    assert "channel" not in body
    assert alice.choose("loud", "view").acknowledged
    with pytest.raises(ValueError, match="no dispatch_action"):
        alice.choose("quiet", "view")


def test_a_trigger_from_inside_a_modal_pushes(desk, api):
    button = {"type": "button", "action_id": "more", "text": plain("More")}
    alice = desk.open({"type": "actions", "elements": [button]})
    alice.choose("more")
    api.views_push(trigger_id=desk.last["trigger_id"], view=modal(title=plain("Second")))
    assert [view.title for view in alice.modals] == ["Ask", "Second"]


def test_an_external_select_asks_and_offers_what_was_answered(desk):
    alice = desk.open(asks("cluster", {"type": "external_select"}))
    assert alice.suggest("cluster", "pr") == []
    assert desk.one.envelopes == []
    desk.answer = {"options": [option("prod-eu")]}
    assert [one["value"] for one in alice.suggest("cluster", "pro")] == ["prod-eu"]
    body = desk.last
    assert (body["type"], body["value"], body["action_id"]) == ("block_suggestion", "pro", "a")
    assert body["container"]["type"] == "view"
    desk.answer = {"option_groups": [{"label": plain("Lab"), "options": [option("lab-1")]}]}
    assert [one["value"] for one in alice.suggest("cluster", "lab")] == ["lab-1"]
    desk.answer = None
    with pytest.raises(ValueError, match="it offers: prod-eu, lab-1"):
        alice.submit(cluster="else")
    assert alice.submit(cluster="prod-eu").acknowledged
    chosen = desk.last["view"]["state"]["values"]["cluster"]["a"]["selected_option"]
    assert chosen["text"]["text"] == "Prod-Eu"


def test_more_than_a_hundred_options_are_refused_and_noted(ws, desk):
    alice = desk.open(asks("cluster", {"type": "external_select", "min_query_length": 0}))
    desk.answer = {"options": [option(f"c{n}") for n in range(101)]}
    with pytest.raises(AssertionError, match="invalid_options"):
        alice.suggest("cluster", "")
    assert [one.error for one in ws.rejections] == ["invalid_options"]


def test_closing_tells_those_that_asked_to_be_told(desk, api, ws):
    alice = desk.open(notify_on_close=True)
    inside = ws.new_trigger("U01ALICE", alice.modal.id)
    api.views_push(trigger_id=inside, view=modal(title=plain("Second")))
    alice.close()
    assert [view.title for view in alice.modals] == ["Ask"]
    assert desk.one.envelopes == []
    alice.close()
    assert desk.last["type"] == "view_closed"
    assert desk.last["is_cleared"] is False
    assert alice.modal is None


def test_closing_all_clears_the_stack(desk, api, ws):
    alice = desk.open(notify_on_close=True)
    inside = ws.new_trigger("U01ALICE", alice.modal.id)
    second = modal(title=plain("Second"), clear_on_close=True)
    api.views_push(trigger_id=inside, view=second)
    alice.close()
    assert alice.modals == []
    assert (desk.last["type"], desk.last["is_cleared"]) == ("view_closed", True)


def test_home_tells_the_app_and_shows_what_it_published(ws, desk, api, alice):
    home = {"type": "home", "blocks": [{"type": "section", "text": plain("No access now")}]}
    api.views_publish(user_id="U01ALICE", view=home)
    assert alice.home().all_text == "No access now"
    desk.one.wait(lambda: desk.one.payloads)
    event = desk.last["event"]
    assert (event["type"], event["tab"], event["user"]) == ("app_home_opened", "home", "U01ALICE")
    assert event["view"]["type"] == "home"
    assert event["channel"] == ws.dm("U01ALICE").id


def test_a_button_in_home_works_like_one_in_a_modal(desk, api, alice):
    button = {"type": "button", "action_id": "return", "value": "7K3", "text": plain("Return")}
    home = {"type": "home", "blocks": [{"type": "actions", "elements": [button]}]}
    api.views_publish(user_id="U01ALICE", view=home)
    assert alice.click(alice.home_view, "return").acknowledged
    assert desk.last["view"]["type"] == "home"
    assert desk.last["actions"][0]["value"] == "7K3"


def test_a_typed_message_reaches_the_app_only_if_it_listens(ws, desk, alice):
    dm = alice.open_dm()
    desk.one.wait(lambda: desk.one.payloads)
    assert desk.last["event"]["tab"] == "messages"
    alice.say(dm, "hello?")
    ws.app.events += ("message.im",)
    alice.say(dm, "hello!")
    desk.one.wait(lambda: len(desk.one.payloads) == 2)
    event = desk.last["event"]
    assert (event["type"], event["channel_type"], event["text"]) == ("message", "im", "hello!")


def test_a_name_that_fits_two_elements_is_refused(desk):
    alice = desk.open(asks("one", {"type": "plain_text_input"}), asks("two", LEVELS))
    with pytest.raises(LookupError, match="2 elements are called a; there are: one/a, two/a"):
        alice.fill("a", "x")
    alice.fill("one/a", "x")
    assert alice.modal.values["one"]["a"]["value"] == "x"
