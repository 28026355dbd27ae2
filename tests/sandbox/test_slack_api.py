from __future__ import annotations

import json
from urllib.request import Request, urlopen

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.sandbox.hand_clock import HandClock
from bot.sandbox.slack_model import AppSettings
from bot.sandbox.slack_server import SlackWorkspace


def error_of(call, *args, **kwargs):
    with pytest.raises(SlackApiError) as caught:
        call(*args, **kwargs)
    return caught.value.response["error"]


def test_a_token_is_required_and_must_be_known(ws, api):
    assert api.auth_test()["user_id"] == ws.app.user_id
    assert error_of(WebClient(base_url=ws.api_url).auth_test) == "not_authed"
    assert error_of(WebClient("xoxb-wrong", base_url=ws.api_url).auth_test) == "invalid_auth"


def test_the_app_token_opens_connections_and_does_nothing_else(ws, api):
    by_app = WebClient(ws.app_token, base_url=ws.api_url)
    assert error_of(by_app.auth_test) == "not_allowed_token_type"
    opened = by_app.apps_connections_open(app_token=ws.app_token)
    assert opened["url"].startswith(f"ws://127.0.0.1:{ws.port}/link/?ticket=")
    wrong = api.apps_connections_open
    assert error_of(wrong, app_token=ws.bot_token) == "not_allowed_token_type"


def test_a_revoked_token_says_so(ws, api):
    ws.app.token_error = "token_revoked"
    assert error_of(api.auth_test) == "token_revoked"


def test_a_missing_scope_names_what_is_needed_and_what_was_given(clock: HandClock):
    with SlackWorkspace(app=AppSettings(scopes=("users:read",)), clock=clock) as ws:
        ws.add_person("U01ALICE", "alice")
        api = WebClient(ws.bot_token, base_url=ws.api_url)
        with pytest.raises(SlackApiError) as caught:
            api.chat_postMessage(channel="U01ALICE", text="hello")
        assert caught.value.response["error"] == "missing_scope"
        assert caught.value.response["needed"] == "chat:write"
        assert caught.value.response["provided"] == "users:read"
        assert [one.error for one in ws.rejections] == ["missing_scope"]
        assert "email" not in api.users_info(user="U01ALICE")["user"]["profile"]


def test_reading_a_private_channel_needs_its_own_scope(clock: HandClock):
    with SlackWorkspace(app=AppSettings(scopes=("channels:read",)), clock=clock) as ws:
        ws.add_channel("C01PAY", "payments")
        ws.add_channel("C02SEC", "security", private=True)
        api = WebClient(ws.bot_token, base_url=ws.api_url)
        assert api.conversations_info(channel="C01PAY")["channel"]["name"] == "payments"
        assert error_of(api.conversations_info, channel="C02SEC") == "missing_scope"


def test_an_unknown_method_is_refused_and_noted(ws, api):
    assert error_of(api.api_call, "chat.sendTelegram") == "unknown_method"
    assert [one.method for one in ws.rejections] == ["chat.sendTelegram"]


@pytest.mark.parametrize("kind", ["json", "form"])
def test_arguments_come_as_json_or_as_a_form(ws, kind):
    blocks = [{"type": "divider"}]
    headers = {"Authorization": f"Bearer {ws.bot_token}"}
    if kind == "json":
        headers["Content-Type"] = "application/json; charset=utf-8"
        body = json.dumps({"channel": "C01PAY", "text": "é", "blocks": blocks}).encode()
    else:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = b"channel=C01PAY&text=%C3%A9&blocks=" + json.dumps(blocks).encode()
    request = Request(f"{ws.api_url}chat.postMessage", body, headers)  # noqa: S310 (loopback)
    with urlopen(request) as response:  # noqa: S310 (loopback)
        assert json.load(response)["ok"] is True
    message = ws.messages["C01PAY"][0]
    assert message.text == "é"
    assert message.blocks[0]["type"] == "divider"


def test_a_body_that_is_no_json_is_refused(ws):
    headers = {"Authorization": f"Bearer {ws.bot_token}", "Content-Type": "application/json"}
    for body, error in ((b"{", "invalid_json"), (b"[]", "json_not_object")):
        request = Request(f"{ws.api_url}chat.postMessage", body, headers)  # noqa: S310 (loopback)
        with urlopen(request) as response:  # noqa: S310 (loopback)
            assert json.load(response)["error"] == error


def test_a_message_comes_back_with_ids_that_slack_gives(ws, api):
    posted = api.chat_postMessage(
        channel="C01PAY",
        text="Ana asks",
        blocks=[
            {
                "type": "actions",
                "elements": [{"type": "button", "text": {"type": "plain_text", "text": "Approve"}}],
            }
        ],
        metadata={"event_type": "request", "event_payload": {"id": "7K3"}},
    )
    block = posted["message"]["blocks"][0]
    assert block["block_id"]
    assert block["elements"][0]["action_id"]
    assert block["elements"][0]["text"]["emoji"] is True
    assert posted["message"]["bot_id"] == ws.app.bot_id
    assert ws.message("C01PAY", posted["ts"]).metadata["event_payload"] == {"id": "7K3"}


def test_message_times_rise_even_when_the_clock_stands(api):
    stamps = [api.chat_postMessage(channel="C01PAY", text="x")["ts"] for _ in range(3)]
    assert stamps == sorted(set(stamps))
    assert stamps[0] == "1767603600.000000"


def test_a_user_id_as_channel_opens_the_direct_messages(ws, api):
    ws.app.scopes += ("im:write",)
    posted = api.chat_postMessage(channel="U01ALICE", text="granted")
    assert posted["channel"].startswith("D")
    assert [message.text for message in ws.human("U01ALICE").dm] == ["granted"]
    opened = api.conversations_open(users="U01ALICE")
    assert opened["channel"]["id"] == posted["channel"]
    assert opened["already_open"] is True


def test_posting_where_the_bot_may_not_is_refused_for_its_own_reason(ws, api):
    ws.add_channel("C02OLD", "old", archived=True)
    ws.add_channel("C03OPEN", "open", bot=False)
    ws.add_channel("C04SEC", "secret", private=True, bot=False)
    ws.add_person("U03EVE", "eve", kind="outsider")
    post = api.chat_postMessage
    assert error_of(post, channel="C02OLD", text="x") == "is_archived"
    assert error_of(post, channel="C04SEC", text="x") == "channel_not_found"
    assert error_of(post, channel="C09NONE", text="x") == "channel_not_found"
    assert error_of(post, channel="U03EVE", text="x") == "channel_not_found"
    assert post(channel="C03OPEN", text="public, by chat:write.public")["ok"]
    ws.app.scopes = tuple(scope for scope in ws.app.scopes if scope != "chat:write.public")
    assert error_of(post, channel="C03OPEN", text="x") == "not_in_channel"
    ws.invite_bot("C03OPEN")
    assert post(channel="C03OPEN", text="invited")["ok"]
    assert ws.rejections == []


def test_a_deactivated_person_gets_no_direct_message(ws, api):
    ws.app.scopes += ("im:write",)
    dm = api.conversations_open(users="U01ALICE")["channel"]["id"]
    ws.deactivate("U01ALICE")
    assert error_of(api.conversations_open, users="U01ALICE") == "user_disabled"
    assert error_of(api.chat_postMessage, channel="U01ALICE", text="x") == "channel_not_found"
    assert error_of(api.chat_postMessage, channel=dm, text="x") == "channel_not_found"


def test_direct_messages_need_the_messages_tab(ws, api):
    ws.app.messages_tab = False
    assert error_of(api.chat_postMessage, channel="U01ALICE", text="x") == "messages_tab_disabled"


def test_a_message_needs_something_to_say_and_not_too_much(ws, api):
    post = api.chat_postMessage
    empty = {"channel": "C01PAY", "text": ""}
    assert error_of(api.api_call, "chat.postMessage", json=empty) == "no_text"
    assert error_of(post, channel="C01PAY", text="x" * 40_001) == "msg_too_long"
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3000}}
    assert error_of(post, channel="C01PAY", text="x", blocks=[section] * 5) == "msg_blocks_too_long"
    assert [one.error for one in ws.rejections] == [
        "no_text",
        "msg_too_long",
        "msg_blocks_too_long",
    ]


def test_an_update_counts_its_text_after_escaping(api):
    ts = api.chat_postMessage(channel="C01PAY", text="x")["ts"]
    api.chat_update(channel="C01PAY", ts=ts, text="x" * 4000)
    long = "&" * 801
    assert error_of(api.chat_update, channel="C01PAY", ts=ts, text=long) == "msg_too_long"


def test_invalid_blocks_are_refused_with_a_pointer_and_noted(ws, api):
    header = {"type": "header", "text": {"type": "mrkdwn", "text": "no"}}
    with pytest.raises(SlackApiError) as caught:
        api.chat_postMessage(channel="C01PAY", text="x", blocks=[header])
    assert caught.value.response["error"] == "invalid_blocks"
    assert caught.value.response["response_metadata"]["messages"] == [
        "[ERROR] unsupported type: mrkdwn [json-pointer:/blocks/0/text/type]"
    ]
    assert ws.messages["C01PAY"] == []
    assert ws.rejections[0].arguments["blocks"] == [header]


def test_blocks_that_are_no_json_are_refused(api):
    call = api.chat_postMessage
    assert error_of(call, channel="C01PAY", text="x", blocks="[{") == "invalid_blocks_format"


def test_metadata_of_the_wrong_form_is_refused(api):
    call = api.chat_postMessage
    wrong = {"event_type": "x"}
    error = error_of(call, channel="C01PAY", text="x", metadata=wrong)
    assert error == "invalid_metadata_format"


def test_blocks_inside_attachments_are_checked_too(api):
    bad = [{"color": "#f00", "blocks": [{"type": "divider", "colour": "red"}]}]
    call = api.chat_postMessage
    assert error_of(call, channel="C01PAY", text="x", attachments=bad) == "invalid_blocks"
    api.chat_postMessage(
        channel="C01PAY", text="x", attachments=[{"blocks": [{"type": "divider"}]}]
    )


@pytest.mark.parametrize("wrong", ["[", [1], {"a": 1}])
def test_attachments_of_the_wrong_form_are_refused(api, wrong):
    call = api.api_call
    arguments = {"channel": "C01PAY", "text": "x", "attachments": wrong}
    assert error_of(call, "chat.postMessage", json=arguments) == "invalid_attachments"


def test_an_update_keeps_the_blocks_it_does_not_mention(ws, api):
    ts = api.chat_postMessage(channel="C01PAY", text="a", blocks=[{"type": "divider"}])["ts"]
    message = ws.message("C01PAY", ts)
    api.chat_update(channel="C01PAY", ts=ts, text="b")
    assert (message.text, len(message.blocks)) == ("b", 1)
    assert message.edited["user"] == ws.app.user_id
    api.chat_update(channel="C01PAY", ts=ts, text="c", blocks=[])
    assert (message.text, message.blocks) == ("c", [])


def test_only_own_messages_can_be_changed_or_deleted(ws, api):
    own = api.chat_postMessage(channel="C01PAY", text="mine")["ts"]
    theirs = ws.human("U01ALICE").say("C01PAY", "hers").message
    shy = api.chat_postEphemeral(channel="C01PAY", user="U01ALICE", text="psst")["message_ts"]
    place = {"channel": "C01PAY", "text": "x"}
    assert error_of(api.chat_update, ts=theirs.ts, **place) == "cant_update_message"
    assert error_of(api.chat_update, ts="1.000000", **place) == "message_not_found"
    assert error_of(api.chat_update, ts=shy, **place) == "message_not_found"
    delete = api.chat_delete
    assert error_of(delete, channel="C01PAY", ts=theirs.ts) == "cant_delete_message"
    delete(channel="C01PAY", ts=own)
    assert error_of(api.chat_update, ts=own, **place) == "message_not_found"


def test_a_message_in_an_archived_channel_cannot_be_changed(ws, api):
    ts = api.chat_postMessage(channel="C01PAY", text="x")["ts"]
    ws.archive("C01PAY")
    assert error_of(api.chat_update, channel="C01PAY", ts=ts, text="y") == "is_inactive"


def test_an_ephemeral_message_is_for_a_member_and_for_them_alone(ws, api):
    api.chat_postEphemeral(channel="C01PAY", user="U01ALICE", text="psst")
    assert [message.text for message in ws.human("U01ALICE").sees("C01PAY")] == ["psst"]
    assert ws.human("U02BOB").sees("C01PAY") == []
    ws.leave("C01PAY", "U02BOB")
    post = api.chat_postEphemeral
    error = error_of(post, channel="C01PAY", user="U02BOB", text="x")
    assert error == "user_not_in_channel"


def test_replies_gather_in_a_thread(ws, api):
    ws.app.scopes += ("channels:history",)
    parent = api.chat_postMessage(channel="C01PAY", text="card")["ts"]
    api.chat_postMessage(channel="C01PAY", text="reply", thread_ts=parent)
    api.chat_postMessage(channel="C01PAY", text="loud", thread_ts=parent, reply_broadcast=True)
    history = api.conversations_history(channel="C01PAY")["messages"]
    assert [message["text"] for message in history] == ["loud", "card"]
    assert history[1]["reply_count"] == 2
    replies = api.conversations_replies(channel="C01PAY", ts=parent)["messages"]
    assert [message["text"] for message in replies] == ["card", "reply", "loud"]
    post = api.chat_postMessage
    error = error_of(post, channel="C01PAY", text="x", thread_ts="1.000000")
    assert error == "thread_not_found"


def test_history_can_be_read_between_two_times(ws, api):
    ws.app.scopes += ("channels:history",)
    first, second, third = (
        api.chat_postMessage(channel="C01PAY", text=str(n))["ts"] for n in range(3)
    )
    between = api.conversations_history(channel="C01PAY", oldest=first, latest=third)
    assert [message["ts"] for message in between["messages"]] == [second]
    until = api.conversations_history(channel="C01PAY", oldest=second, inclusive=True)
    assert [message["ts"] for message in until["messages"]] == [third, second]


def test_a_permalink_points_at_the_message(api):
    ts = api.chat_postMessage(channel="C01PAY", text="x")["ts"]
    link = api.chat_getPermalink(channel="C01PAY", message_ts=ts)["permalink"]
    assert link == f"https://acme.slack.com/archives/C01PAY/p{ts.replace('.', '')}"


def test_the_kinds_of_people_differ_as_in_slack(ws, api):
    ws.add_person("U03GUE", "guest", kind="guest")
    ws.add_person("U04ONE", "one", kind="single_channel_guest")
    ws.add_person("U05OUT", "out", kind="outsider")
    ws.add_person("U06OLD", "old", kind="deactivated")
    user = {one: api.users_info(user=one)["user"] for one in ws.people}
    alice = user["U01ALICE"]
    assert (alice["is_restricted"], alice["deleted"], alice["is_bot"]) == (False, False, False)
    assert alice["is_email_confirmed"] is True
    assert alice["profile"]["email"] == "alice@example.com"
    assert "is_stranger" not in alice
    assert user["U03GUE"]["is_restricted"] is True
    assert user["U03GUE"]["is_ultra_restricted"] is False
    assert user["U04ONE"]["is_ultra_restricted"] is True
    assert user["U05OUT"]["is_stranger"] is True
    assert user["U05OUT"]["team_id"] != ws.team.id
    assert "email" not in user["U05OUT"]["profile"]
    assert user["U06OLD"]["deleted"] is True
    assert "is_restricted" not in user["U06OLD"]
    assert user[ws.app.user_id]["is_bot"] is True
    assert error_of(api.users_info, user="U09") == "user_not_found"


def test_an_email_finds_members_only(ws, api):
    ws.add_person("U05OUT", "out", kind="outsider")
    assert api.users_lookupByEmail(email="ALICE@example.com")["user"]["id"] == "U01ALICE"
    find = api.users_lookupByEmail
    assert error_of(find, email="out@example.com") == "users_not_found"
    ws.deactivate("U01ALICE")
    assert error_of(find, email="alice@example.com") == "users_not_found"


def test_user_groups_list_their_people(ws, api):
    ws.add_group("S02OLD", "old", ["U01ALICE"])
    ws.disable_group("S02OLD")
    assert [g["handle"] for g in api.usergroups_list()["usergroups"]] == ["pay-leads"]
    with_all = api.usergroups_list(include_disabled=True, include_users=True)["usergroups"]
    assert [g["users"] for g in with_all] == [["U02BOB"], ["U01ALICE"]]
    assert api.usergroups_users_list(usergroup="S01PAY")["users"] == ["U02BOB"]
    assert error_of(api.usergroups_users_list, usergroup="S09") == "no_such_subteam"
    assert error_of(api.usergroups_users_list, usergroup="S02OLD") == "no_such_subteam"
    ws.add_to_group("S01PAY", "U01ALICE")
    assert api.usergroups_users_list(usergroup="S01PAY")["users"] == ["U02BOB", "U01ALICE"]


def test_lists_come_in_pages_with_a_cursor(ws, api):
    for number in range(7):
        ws.add_person(f"U1{number}", f"person{number}")
    pages = []
    cursor = None
    while cursor != "":
        page = api.users_list(limit=4, cursor=cursor)
        pages.append([user["id"] for user in page["members"]])
        cursor = page["response_metadata"]["next_cursor"]
    assert [len(page) for page in pages] == [4, 4, 2]
    assert len({one for page in pages for one in page}) == 10
    assert error_of(api.users_list, cursor="nonsense") == "invalid_cursor"
    assert error_of(api.users_list, limit=5000) == "invalid_limit"
    members = api.conversations_members(channel="C01PAY", limit=2)
    assert members["members"] == ["U01ALICE", "U02BOB"]
    assert members["response_metadata"]["next_cursor"]


def test_channels_list_what_the_bot_can_see(ws, api):
    ws.add_channel("C02SEC", "secret", private=True, bot=False)
    ws.add_channel("C03OPS", "ops", private=True)
    ws.add_channel("C04OLD", "old", archived=True)
    ws.add_channel("C05EXT", "partners", shared=True)
    kinds = "public_channel,private_channel"
    listed = {one["id"]: one for one in api.conversations_list(types=kinds)["channels"]}
    assert set(listed) == {"C01PAY", "C03OPS", "C04OLD", "C05EXT"}
    assert listed["C03OPS"]["is_private"] is True
    assert listed["C05EXT"]["is_ext_shared"] is True
    kept = api.conversations_list(types=kinds, exclude_archived=True)["channels"]
    assert "C04OLD" not in [one["id"] for one in kept]
    info = api.conversations_info(channel="C01PAY", include_num_members=True)["channel"]
    assert info["num_members"] == 3
    assert info["is_member"] is True
    assert error_of(api.conversations_info, channel="C02SEC") == "channel_not_found"
    assert error_of(api.conversations_list, types="mpim") == "invalid_types"


def test_a_file_is_uploaded_in_three_steps(ws, api):
    ws.app.scopes += ("files:write",)
    api.files_upload_v2(
        channel="C01PAY", filename="audit.csv", content="a,b\n1,2\n", initial_comment="Audit"
    )
    message = ws.messages["C01PAY"][-1]
    assert message.text == "Audit"
    assert [file["name"] for file in message.files] == ["audit.csv"]
    assert ws.files.uploads[message.files[0]["id"]].content == b"a,b\n1,2\n"


def test_a_file_that_was_never_sent_cannot_be_completed(ws, api):
    ws.app.scopes += ("files:write",)
    announced = api.files_getUploadURLExternal(filename="a.csv", length=3)
    complete = api.files_completeUploadExternal
    assert error_of(complete, files=[{"id": announced["file_id"]}]) == "file_not_found"


def test_the_manifest_decides_scopes_events_and_commands():
    settings = AppSettings.from_manifest(
        {
            "features": {
                "bot_user": {"display_name": "access"},
                "slash_commands": [{"command": "/eks-access", "description": "Ask"}],
                "app_home": {"home_tab_enabled": True},
            },
            "oauth_config": {"scopes": {"bot": ["commands"]}},
            "settings": {
                "event_subscriptions": {"bot_events": ["app_home_opened"]},
                "interactivity": {"is_enabled": True},
            },
        }
    )
    assert settings.name == "access"
    assert settings.scopes == ("commands",)
    assert settings.events == ("app_home_opened",)
    assert settings.commands[0]["command"] == "/eks-access"
    assert settings.home_tab
    assert settings.interactivity
