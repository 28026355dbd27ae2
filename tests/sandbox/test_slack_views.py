from __future__ import annotations

from threading import Thread

import pytest
from slack_sdk.errors import SlackApiError


def plain(text):
    return {"type": "plain_text", "text": text}


def modal(title="Ask", *, blocks=None, **fields):
    return {
        "type": "modal",
        "title": plain(title),
        "submit": plain("Send"),
        "blocks": [{"type": "divider"}] if blocks is None else blocks,
        **fields,
    }


def reason(**element):
    return {
        "type": "input",
        "block_id": "reason",
        "label": plain("Reason"),
        "element": {"type": "plain_text_input", "action_id": "text", **element},
    }


def error_of(call, *args, **kwargs):
    with pytest.raises(SlackApiError) as caught:
        call(*args, **kwargs)
    return caught.value.response["error"]


def test_a_trigger_opens_one_view(ws, api):
    trigger = ws.new_trigger("U01ALICE")
    opened = api.views_open(trigger_id=trigger, view=modal())["view"]
    assert opened["root_view_id"] == opened["id"]
    assert opened["previous_view_id"] is None
    assert ws.human("U01ALICE").modal.id == opened["id"]
    assert error_of(api.views_open, trigger_id=trigger, view=modal()) == "exchanged_trigger_id"


def test_a_trigger_lives_for_three_seconds(ws, api, clock):
    live, late = ws.new_trigger("U01ALICE"), ws.new_trigger("U01ALICE")
    clock.advance(2.9)
    assert api.views_open(trigger_id=live, view=modal())["ok"]
    clock.advance(0.1)
    assert error_of(api.views_open, trigger_id=late, view=modal()) == "expired_trigger_id"


def test_an_invented_trigger_opens_nothing(api):
    assert error_of(api.views_open, trigger_id="1.2.3", view=modal()) == "invalid_trigger_id"


def test_an_invalid_view_is_refused_noted_and_does_not_spend_the_trigger(ws, api):
    trigger = ws.new_trigger("U01ALICE")
    with pytest.raises(SlackApiError) as caught:
        api.views_open(trigger_id=trigger, view=modal("x" * 25))
    assert caught.value.response["error"] == "invalid_arguments"
    assert caught.value.response["response_metadata"]["messages"] == [
        "[ERROR] must be less than 25 characters [json-pointer:/view/title/text]"
    ]
    assert [one.method for one in ws.rejections] == ["views.open"]
    assert api.views_open(trigger_id=trigger, view=modal())["ok"]


def test_a_view_of_the_wrong_type_is_refused(ws, api):
    home = {"type": "home", "blocks": []}
    trigger = ws.new_trigger("U01ALICE")
    assert error_of(api.views_open, trigger_id=trigger, view=home) == "invalid_arguments"
    assert error_of(api.views_publish, user_id="U01ALICE", view=modal()) == "invalid_arguments"
    assert error_of(api.views_open, trigger_id=trigger, view="{") == "invalid_arguments"


def test_a_view_that_is_too_large_is_refused(ws, api):
    section = {"type": "section", "text": plain("x" * 3000)}
    big = modal(blocks=[section] * 90)
    error = error_of(api.views_open, trigger_id=ws.new_trigger("U01ALICE"), view=big)
    assert error == "view_too_large"


def test_a_stack_is_three_deep_and_grows_only_from_inside(ws, api):
    first = api.views_open(trigger_id=ws.new_trigger("U01ALICE"), view=modal("1"))["view"]
    outside = ws.new_trigger("U01ALICE")
    assert error_of(api.views_push, trigger_id=outside, view=modal()) == "invalid_trigger_id"
    for title in ("2", "3"):
        inside = ws.new_trigger("U01ALICE", first["id"])
        pushed = api.views_push(trigger_id=inside, view=modal(title))["view"]
        assert pushed["root_view_id"] == first["id"]
    inside = ws.new_trigger("U01ALICE", first["id"])
    assert error_of(api.views_push, trigger_id=inside, view=modal("4")) == "push_limit_reached"
    assert [view.title for view in ws.human("U01ALICE").modals] == ["1", "2", "3"]


def test_an_external_id_is_unique_and_finds_the_view(ws, api):
    trigger = ws.new_trigger("U01ALICE")
    api.views_open(trigger_id=trigger, view=modal(external_id="ask-alice"))
    again = modal(external_id="ask-alice")
    other = ws.new_trigger("U02BOB")
    assert error_of(api.views_open, trigger_id=other, view=again) == "duplicate_external_id"
    api.views_update(external_id="ask-alice", view=modal("New", external_id="ask-alice"))
    assert ws.human("U01ALICE").modal.title == "New"


def test_an_update_with_an_old_hash_is_a_conflict(ws, api):
    opened = api.views_open(trigger_id=ws.new_trigger("U01ALICE"), view=modal())["view"]
    place = {"view_id": opened["id"], "hash": opened["hash"]}
    updated = api.views_update(view=modal("Second"), **place)["view"]
    assert updated["hash"] != opened["hash"]
    assert error_of(api.views_update, view=modal("Third"), **place) == "hash_conflict"
    assert error_of(api.views_update, view_id="V09", view=modal()) == "not_found"
    assert ws.human("U01ALICE").modal.title == "Second"


def test_an_update_keeps_what_was_typed_where_the_ids_stay(ws, api):
    shown = api.views_open(trigger_id=ws.new_trigger("U01ALICE"), view=modal(blocks=[reason()]))[
        "view"
    ]
    alice = ws.human("U01ALICE")
    alice.fill("reason", "PAY-1423")
    kept = api.views_update(
        view_id=shown["id"], view=modal(blocks=[{"type": "divider"}, reason()])
    )["view"]
    assert kept["state"]["values"]["reason"]["text"]["value"] == "PAY-1423"
    other = {**reason(), "block_id": "why"}
    fresh = api.views_update(view_id=shown["id"], view=modal(blocks=[other]))["view"]
    assert fresh["state"]["values"] == {
        "why": {"text": {"type": "plain_text_input", "value": None}}
    }


def test_initial_values_are_in_the_state(ws, api):
    view = modal(blocks=[reason(initial_value="because")])
    shown = api.views_open(trigger_id=ws.new_trigger("U01ALICE"), view=view)["view"]
    assert shown["state"]["values"]["reason"]["text"]["value"] == "because"


def test_home_is_published_and_guarded_by_its_hash(ws, api):
    home = {"type": "home", "blocks": [{"type": "divider"}]}
    first = api.views_publish(user_id="U01ALICE", view=home)["view"]
    second = api.views_publish(user_id="U01ALICE", view=home, hash=first["hash"])["view"]
    assert second["id"] == first["id"]
    publish = api.views_publish
    assert error_of(publish, user_id="U01ALICE", view=home, hash=first["hash"]) == "hash_conflict"
    assert error_of(publish, user_id="U09", view=home) == "user_not_found"
    ws.app.home_tab = False
    assert error_of(publish, user_id="U01ALICE", view=home) == "not_enabled"


def test_two_homes_at_once_race_and_one_is_told(ws, api):
    home = {"type": "home", "blocks": []}
    shown = api.views_publish(user_id="U01ALICE", view=home)["view"]
    hold = ws.faults.add("views.publish", hold=True)
    errors = []
    publish = {"user_id": "U01ALICE", "view": home, "hash": shown["hash"]}
    slow = Thread(target=lambda: errors.append(error_of(api.views_publish, **publish)))
    slow.start()
    assert hold.reached.wait(5)
    api.views_publish(**publish)
    hold.release()
    slow.join()
    assert errors == ["hash_conflict"]
