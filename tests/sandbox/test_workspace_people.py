from __future__ import annotations

import threading

import pytest

from bot.sandbox.slack_model import Kind


@pytest.fixture
def events(ws, app):
    """What the app was told, by type."""
    one = app()

    def told(count):
        one.wait(lambda: len(one.payloads) >= count)
        return [payload["event"] for payload in one.payloads]

    ws.app.events += ("channel_left", "group_left", "group_archive", "channel_unarchive")
    return told


@pytest.mark.parametrize("kind", list(Kind))
def test_a_person_is_of_the_kind_they_were_made(ws, kind):
    assert ws.add_person("U09", "nine", kind=kind).kind is kind


def test_a_change_of_a_person_is_an_event(ws, events):
    ws.change_person("U01ALICE", email="alice@elsewhere.example", is_email_confirmed=False)
    ws.deactivate("U02BOB")
    changed, gone = events(2)
    assert changed["user"]["profile"]["email"] == "alice@elsewhere.example"
    assert changed["user"]["is_email_confirmed"] is False
    assert gone["user"]["deleted"] is True


def test_a_person_has_no_other_fields(ws):
    with pytest.raises(ValueError, match="has no mood"):
        ws.change_person("U01ALICE", mood="good")


def test_deactivation_closes_what_is_open(ws, api):
    view = {"type": "modal", "title": {"type": "plain_text", "text": "x"}, "blocks": []}
    api.views_open(trigger_id=ws.new_trigger("U01ALICE"), view=view)
    ws.deactivate("U01ALICE")
    assert ws.human("U01ALICE").modal is None
    ws.reactivate("U01ALICE")
    assert ws.people["U01ALICE"].kind is Kind.MEMBER


def test_a_change_of_a_group_is_two_events(ws, events):
    ws.add_to_group("S01PAY", "U01ALICE")
    ws.remove_from_group("S01PAY", "U02BOB")
    told = events(4)
    members = [event for event in told if event["type"] == "subteam_members_changed"]
    assert [(one["added_users"], one["removed_users"]) for one in members] == [
        (["U01ALICE"], []),
        ([], ["U02BOB"]),
    ]
    updated = [event for event in told if event["type"] == "subteam_updated"]
    assert updated[-1]["subteam"]["users"] == ["U01ALICE"]


def test_coming_and_going_are_events_where_the_bot_is(ws, events):
    ws.add_channel("C02OPEN", "open", ["U01ALICE"], bot=False)
    ws.leave("C02OPEN", "U01ALICE")
    ws.leave("C01PAY", "U01ALICE")
    ws.join("C01PAY", "U01ALICE")
    ws.archive("C01PAY")
    told = events(3)
    assert [(event["type"], event["channel"]) for event in told] == [
        ("member_left_channel", "C01PAY"),
        ("member_joined_channel", "C01PAY"),
        ("channel_archive", "C01PAY"),
    ]


def test_a_bot_that_is_removed_hears_of_that_and_of_nothing_after(ws, events):
    ws.remove_bot("C01PAY")
    ws.leave("C01PAY", "U01ALICE")
    ws.archive("C01PAY")
    ws.change_person("U01ALICE", title="SRE")
    told = events(2)
    assert [event["type"] for event in told] == ["channel_left", "user_change"]


def test_members_can_be_set_at_once(ws):
    ws.set_members("C01PAY", ["U02BOB", ws.app.user_id])
    assert set(ws.channels["C01PAY"].members) == {"U02BOB", ws.app.user_id}


def test_guests_and_outsiders_see_only_channels_they_are_in(ws, api):
    for person, kind in (("U03", "guest"), ("U04", "outsider"), ("U05", "member")):
        ws.add_person(person, person.lower(), kind=kind)
    ws.add_channel("C02OPEN", "open", ["U01ALICE"])
    api.chat_postMessage(channel="C02OPEN", text="hello")
    seen = {one: len(ws.human(one).sees("C02OPEN")) for one in ("U03", "U04", "U05")}
    assert seen == {"U03": 0, "U04": 0, "U05": 1}
    ws.join("C02OPEN", "U03")
    assert len(ws.human("U03").sees("C02OPEN")) == 1


def test_only_those_a_message_concerns_are_rung(ws, api):
    ws.add_person("U03CAT", "cat")
    ws.add_person("U04OUT", "out")
    ws.join("C01PAY", "U03CAT")

    def rung():
        names = [one.person for one in ws.notifications]
        ws.notifications.clear()
        return names

    api.chat_postMessage(channel="C01PAY", text="nobody in particular")
    assert rung() == []
    card = api.chat_postMessage(channel="C01PAY", text="<!subteam^S01PAY> look")["ts"]
    assert rung() == ["U02BOB"]
    api.chat_postMessage(channel="C01PAY", text="<@U01ALICE> and <@U04OUT>")
    assert rung() == ["U01ALICE"]
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "<!here>"}}
    api.chat_postMessage(channel="C01PAY", text="x", blocks=[section])
    assert rung() == ["U01ALICE", "U02BOB", "U03CAT"]
    api.chat_update(channel="C01PAY", ts=card, text="<@U01ALICE> an edit rings nobody")
    assert rung() == []
    ws.human("U02BOB").say("C01PAY", "I look", card)
    api.chat_postMessage(channel="C01PAY", text="decided", thread_ts=card)
    assert rung() == ["U02BOB"]
    api.chat_postMessage(channel="U01ALICE", text="granted")
    assert rung() == ["U01ALICE"]
    api.chat_postEphemeral(channel="C01PAY", user="U01ALICE", text="<@U01ALICE>")
    assert rung() == []


def test_waiting_gives_what_it_waited_for_and_tells_why_it_failed(ws, api):
    late = threading.Timer(0.05, lambda: api.chat_postMessage(channel="C01PAY", text="at last"))
    late.start()
    message = ws.wait(lambda: ws.human("U01ALICE").sees("C01PAY")[0])
    assert message.text == "at last"
    late.join()
    with pytest.raises(AssertionError, match=r"(?s)not so within 0.05 s.*#payments.*'at last'"):
        ws.wait(lambda: False, timeout=0.05)
