"""The control API: what a page, or a headless story, needs to be people in the local workspace.

All routes live under `/sandbox/`, speak JSON, and answer 403 `{"error": "…"}` unless the client is
on loopback, the `Host` header names loopback (`localhost`, `127.0.0.1`, `[::1]`, any port) and an
`Origin` header, if there is one, is this very server. A POST needs
`Content-Type: application/json`. This keeps other web sites out (DNS rebinding, cross-site
request forgery).

GET /sandbox/state
    The whole workspace at one moment. Nothing is paginated.

    {"seq": 41,                             rises by one at each change
     "now": "2026-01-05T09:00:00+00:00",    the workspace's clock
     "team": {"id": "T01ACME", "name": "Acme", "domain": "acme"},
     "app": {"id": "A01EKS", "name": "eks-access", "user_id": "U0BOT", "bot_id": "B0BOT",
             "commands": [{"command": "/eks-access", "description": "…", "usage_hint": "…"}],
             "delivery": "socket_mode" | "http",
             "connections": 1},             open Socket Mode connections; 0: the bot is not there
     "people": [{"id": "U01ALICE", "name": "alice", "real_name": "Alice Ng",
                 "display_name": "alice", "title": "Engineer", "email": "alice@example.com",
                 "kind": "member" | "admin" | "guest" | "single_channel_guest" | "outsider"
                         | "deactivated" | "bot",
                 "team_id": "T01ACME", "tz": "Europe/Madrid",
                 "playable": true,          a person one can be: neither a bot nor deactivated
                 "dm": "D01…" | null}],     their direct messages with the bot, once opened
     "groups": [{"id": "S02PAYLEADS", "handle": "pay-leads", "name": "Payments leads",
                 "users": ["U02BOB"], "disabled": false}],
     "channels": [{"id": "C01PAY", "name": "payments", "kind": "public" | "private",
                   "is_archived": false, "is_ext_shared": false, "members": ["U01ALICE", "U0BOT"],
                   "topic": "…"}],
     "dms": [{"id": "D01…", "user": "U01ALICE"}],
     "messages": {"C01PAY": [MESSAGE, …], "D01…": […]},   per channel and dm, oldest first;
                                            replies are in the list too: look at "thread_ts"
     "homes": {"U01ALICE": VIEW},           Home tabs the bot has published
     "modals": {"U01ALICE": [VIEW, …]},     open modals, the top one last; absent when none
     "notifications": [{"id": 1, "person": "U02BOB", "channel": "C01PAY", "ts": "…",
                        "text": "…", "at": "2026-…"}]}    the newest 100; an edit notifies nobody

    MESSAGE is {"ts": "1767603600.000100", "channel": "C01PAY", "user": "U0BOT",
     "username": "eks-access", "is_bot": true, "text": "…", "blocks": [Block Kit blocks],
     "attachments": [], "files": [{"id", "name", "title", "size"}],
     "thread_ts": null | "…",               set on replies; equal to "ts" on a thread's parent
     "reply_broadcast": false, "reply_count": 0, "edited": false,
     "ephemeral_to": null | "U01ALICE"}     show it to that person only

    VIEW is Slack's own view object: {"id", "type": "modal" | "home", "title", "submit", "close",
     "blocks", "state": {"values": {BLOCK_ID: {ACTION_ID: {"type", …}}}}, "callback_id", "hash",
     "notify_on_close", "clear_on_close", …}. Every block has a "block_id" and every interactive
     element an "action_id", given by the workspace where the app gave none. "state" holds what
     was last sent; whoever shows the view keeps what is typed and sends it with the next act.

GET /sandbox/events
    Server-Sent Events, one for each change: its id is the seq, its data
    {"seq": 41, "kind": "message"}.
    Kinds: person, group, channel, message, modal, home, notification, connection, delivery, reset.
    A reconnecting EventSource sends `Last-Event-ID` and gets what it missed; if that is too long
    ago it gets one event of kind "reset". A new one starts with the present seq, kind "reset".
    Refetch the state at any event; several may be taken together. A comment line comes every 15 s.

POST /sandbox/people/{id}/…  acts as that person. Every answer has
    {"acknowledged": bool,         the bot answered within 3 s (true too if nothing was to be sent)
     "latency_ms": 12.3 | null,    from sending to its acknowledgement
     "error": null | "…"}          what the person would see: operation_timeout, dispatch_failed,
                                   unknown_command, channel_not_found, invalid_command_response,
                                   invalid_view_response, …
    and what is said below. A body of the wrong form, or one that names what does not exist, is
    400 or 404 with {"error": "a sentence"}.

    command      {"line": "/eks-access request …", "channel": "C01PAY"}   channel: default their
                 direct messages with the bot. The answer also has "text" and "blocks" of the
                 acknowledgement, which appear in the channel as well (null: it had none).
    message      {"channel": "C01PAY", "text": "…", "thread_ts": null}
                 The answer also has "ts".
    click        {"channel": "C01PAY", "ts": "…", "action_id": "approve", "block_id": null,
                  "value": null, "state": {}}
                 An interactive element in a message. "block_id" only where the action id alone
                 is not enough. "value": see below; leave it out for a button. "state": what other
                 inputs in the message hold.
    view-action  {"view_id": "V…", "action_id": "…", "block_id": null, "value": …, "state": {}}
                 An interactive element in a modal or in Home: a button, a select outside an input
                 block, or inside one that has "dispatch_action": true.
    suggest      {"view_id": "V…", "action_id": "…", "block_id": null, "query": "pro", "state": {}}
                 What an external select offers; or with "channel" and "ts" for one in a message.
                 The answer also has "options": [{"text", "value"}] or, if the bot answers groups,
                 "option_groups": [{"label", "options"}].
    submit       {"view_id": "V…", "state": {BLOCK_ID: {ACTION_ID: VALUE}}}
                 The answer also has "errors": {BLOCK_ID: "…"} (empty when none): what the bot
                 found wrong, or what Slack's own client asks for before sending (required, too
                 short, too long), and then nothing was sent.
    close        {"view_id": "V…", "clear": false}      "clear" closes the whole stack.
    home         {}  opens the Home tab. The answer also has "view": VIEW | null; a bot that
                 publishes in answer to the event does so later: wait for the "home" event.
    dm           {}  opens the direct messages with the bot. The answer also has "channel".

    A VALUE, by the element's type:
      plain_text_input, number_input, email_text_input, url_text_input    "text", or null
      static_select, external_select, radio_buttons, overflow             the option's "value"
      checkboxes, multi_static_select, multi_external_select              ["value", …]
      users_select, conversations_select, channels_select                 "U…", "C…"
      multi_users_select, multi_conversations_select, multi_channels_select   ["U…", …]
      datepicker "2026-01-31" · timepicker "13:45" · datetimepicker 1767603600
      button                                                              left out, or null
    A value that the element does not offer is 400. An option of an external select must have come
    from "suggest", or be the initial one.

POST /sandbox/workspace/people/{id}   {"deleted": true, …}: change a person; keys as in `Person`.
POST /sandbox/workspace/groups/{id}   {"users": ["U02BOB"], "disabled": false}: change a group.
POST /sandbox/workspace/channels/{id} {"is_archived": true, "members": ["U01ALICE"]}
    Change a channel. Each answers {} and emits Slack's events for it.
"""

from __future__ import annotations
