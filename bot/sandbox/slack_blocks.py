"""Block Kit as a schema: composition objects, elements, rich text and blocks.

Everything not listed is refused: unknown block and element types, elements in a wrong place,
unknown fields. Numbers and places are from Slack's reference, "Block Kit" ("Blocks", "Block
elements", "Composition objects").
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from bot.sandbox.slack_schema import (
    Check,
    boolean,
    every,
    integer,
    listing,
    matching,
    one_of,
    say,
    string,
    thing,
    typed,
)

Json = dict[str, Any]

# Composition objects


def plain(most: int) -> Check:
    return typed({"plain_text": thing({"text": string(most, 1)}, {"emoji": boolean})})


def text(most: int) -> Check:
    return typed(
        {
            "plain_text": thing({"text": string(most, 1)}, {"emoji": boolean}),
            "mrkdwn": thing({"text": string(most, 1)}, {"verbatim": boolean}),
        }
    )


ID = string(255, 1)
URL = matching(r"(?s)[A-Za-z][A-Za-z0-9+.-]*:.{1,2990}", "a valid url")
CONFIRM = thing(
    {"title": plain(100), "text": text(300), "confirm": plain(30), "deny": plain(30)},
    {"style": one_of("primary", "danger")},
)
_OPTION_VALUE = string(150, 1)
OPTION = thing({"text": plain(75), "value": _OPTION_VALUE}, {"description": plain(75)})
RICH_OPTION = thing({"text": text(75), "value": _OPTION_VALUE}, {"description": text(75)})
OVERFLOW_OPTION = thing(
    {"text": plain(75), "value": _OPTION_VALUE}, {"description": plain(75), "url": URL}
)
OPTIONS = listing(OPTION, 1, 100)
SUGGESTED = listing(OPTION, 0, 100)
OPTION_GROUPS = listing(thing({"label": plain(75), "options": OPTIONS}), 1, 100)
SUGGESTED_GROUPS = listing(thing({"label": plain(75), "options": SUGGESTED}), 0, 100)
FILTER = thing(
    {},
    {
        "include": listing(one_of("im", "mpim", "private", "public"), 1, 4),
        "exclude_external_shared_channels": boolean,
        "exclude_bot_users": boolean,
    },
)


def _options_or_groups(value: Any, at: str, problems: list[str]) -> None:
    if isinstance(value, dict) and ("options" in value) == ("option_groups" in value):
        say(problems, "must have exactly one of options and option_groups", at)


def _initial_is_offered(value: Any, at: str, problems: list[str]) -> None:
    if not isinstance(value, dict):
        return
    groups = [value, *dicts(value.get("option_groups"))]
    offered = [option for group in groups for option in dicts(group.get("options"))]
    keys = [(option.get("value"), _words(option.get("text"))) for option in offered]
    initial = dicts([value.get("initial_option")]) + dicts(value.get("initial_options"))
    for option in initial:
        if (option.get("value"), _words(option.get("text"))) not in keys:
            say(problems, "initial option is not one of the options", at)


def dicts(value: Any) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _words(value: Any) -> Any:
    return value.get("text") if isinstance(value, dict) else value


# Elements

_ACTION: dict[str, Check] = {"action_id": ID}
_FOCUS: dict[str, Check] = {"focus_on_load": boolean}
_MENU: dict[str, Check] = {**_ACTION, **_FOCUS, "placeholder": plain(150), "confirm": CONFIRM}
_MANY: dict[str, Check] = {**_MENU, "max_selected_items": integer(1, 100)}
_IDS = listing(string(255, 1), 0, 100)
_TEXT_INPUT: dict[str, Check] = {
    **_ACTION,
    **_FOCUS,
    "placeholder": plain(150),
    "dispatch_action_config": thing(
        {},
        {
            "trigger_actions_on": listing(one_of("on_enter_pressed", "on_character_entered"), 1, 2),
        },
    ),
}
_STATIC: dict[str, Check] = {"options": OPTIONS, "option_groups": OPTION_GROUPS}
_OFFERED = every(_options_or_groups, _initial_is_offered)
_NUMBER = matching(r"-?\d+(\.\d+)?", "a number in a string")

ELEMENTS: dict[str, Check] = {
    "button": thing(
        {"text": plain(75)},
        {
            **_ACTION,
            "value": string(2000),
            "url": URL,
            "style": one_of("primary", "danger"),
            "confirm": CONFIRM,
            "accessibility_label": string(75),
        },
    ),
    "image": thing(
        {"alt_text": string(2000, 1)},
        {"image_url": URL, "slack_file": thing({}, {"id": ID, "url": URL})},
    ),
    "static_select": every(thing({}, {**_MENU, **_STATIC, "initial_option": OPTION}), _OFFERED),
    "multi_static_select": every(
        thing({}, {**_MANY, **_STATIC, "initial_options": SUGGESTED}), _OFFERED
    ),
    "external_select": thing(
        {}, {**_MENU, "initial_option": OPTION, "min_query_length": integer(0, 1000)}
    ),
    "multi_external_select": thing(
        {}, {**_MANY, "initial_options": SUGGESTED, "min_query_length": integer(0, 1000)}
    ),
    "users_select": thing({}, {**_MENU, "initial_user": ID}),
    "multi_users_select": thing({}, {**_MANY, "initial_users": _IDS}),
    "conversations_select": thing(
        {},
        {
            **_MENU,
            "initial_conversation": ID,
            "default_to_current_conversation": boolean,
            "response_url_enabled": boolean,
            "filter": FILTER,
        },
    ),
    "multi_conversations_select": thing(
        {},
        {
            **_MANY,
            "initial_conversations": _IDS,
            "default_to_current_conversation": boolean,
            "filter": FILTER,
        },
    ),
    "channels_select": thing({}, {**_MENU, "initial_channel": ID, "response_url_enabled": boolean}),
    "multi_channels_select": thing({}, {**_MANY, "initial_channels": _IDS}),
    "overflow": thing({"options": listing(OVERFLOW_OPTION, 1, 5)}, {**_ACTION, "confirm": CONFIRM}),
    "checkboxes": every(
        thing(
            {"options": listing(RICH_OPTION, 1, 10)},
            {
                **_ACTION,
                **_FOCUS,
                "confirm": CONFIRM,
                "initial_options": listing(RICH_OPTION, 1, 10),
            },
        ),
        _initial_is_offered,
    ),
    "radio_buttons": every(
        thing(
            {"options": listing(RICH_OPTION, 1, 10)},
            {**_ACTION, **_FOCUS, "confirm": CONFIRM, "initial_option": RICH_OPTION},
        ),
        _initial_is_offered,
    ),
    "datepicker": thing(
        {}, {**_MENU, "initial_date": matching(r"\d{4}-\d\d-\d\d", "a date: YYYY-MM-DD")}
    ),
    "timepicker": thing(
        {},
        {
            **_MENU,
            "initial_time": matching(r"([01]\d|2[0-3]):[0-5]\d", "a time: HH:mm"),
            "timezone": string(255, 1),
        },
    ),
    "datetimepicker": thing(
        {},
        {
            **_ACTION,
            **_FOCUS,
            "confirm": CONFIRM,
            "initial_date_time": integer(1_000_000_000, 9_999_999_999),
        },
    ),
    "plain_text_input": thing(
        {},
        {
            **_TEXT_INPUT,
            "initial_value": string(3000),
            "multiline": boolean,
            "min_length": integer(0, 3000),
            "max_length": integer(1, 3000),
        },
    ),
    "number_input": thing(
        {"is_decimal_allowed": boolean},
        {**_TEXT_INPUT, "initial_value": _NUMBER, "min_value": _NUMBER, "max_value": _NUMBER},
    ),
    "email_text_input": thing({}, {**_TEXT_INPUT, "initial_value": string(3000)}),
    "url_text_input": thing({}, {**_TEXT_INPUT, "initial_value": string(3000)}),
}

_SELECTS = ("static", "external", "users", "conversations", "channels")
_PICKERS = ("checkboxes", "radio_buttons", "datepicker", "timepicker")
_CHOICES = (*(f"{kind}_select" for kind in _SELECTS), *_PICKERS)
_MULTI = tuple(f"multi_{kind}_select" for kind in _SELECTS)
_TYPED_IN = ("plain_text_input", "number_input", "email_text_input", "url_text_input")


def _only(*kinds: str) -> Check:
    return typed({kind: ELEMENTS[kind] for kind in kinds})


IN_ACTIONS = _only("button", "overflow", "datetimepicker", *_CHOICES)
IN_SECTION = _only("button", "overflow", "image", *_CHOICES, *_MULTI)
IN_INPUT = _only("datetimepicker", *_TYPED_IN, *_CHOICES, *_MULTI)

# Rich text

_STYLE = thing(
    {},
    dict.fromkeys(("bold", "italic", "strike", "code", "underline", "highlight"), boolean),
)
_LEAF = typed(
    {
        "text": thing({"text": string(12_000)}, {"style": _STYLE}),
        "link": thing({"url": URL}, {"text": string(3000), "unsafe": boolean, "style": _STYLE}),
        "user": thing({"user_id": ID}, {"style": _STYLE}),
        "usergroup": thing({"usergroup_id": ID}, {"style": _STYLE}),
        "channel": thing({"channel_id": ID}, {"style": _STYLE}),
        "emoji": thing({"name": string(255, 1)}, {"unicode": string(255), "style": _STYLE}),
        "broadcast": thing({"range": one_of("here", "channel", "everyone")}),
        "date": thing(
            {"timestamp": integer(0, 9_999_999_999), "format": string(255, 1)},
            {"url": URL, "fallback": string(255), "style": _STYLE},
        ),
    }
)
_LEAVES = listing(_LEAF, 0, 1000)
_SECTION = thing({"elements": _LEAVES})
RICH_TEXT: Check = typed(
    {
        "rich_text_section": _SECTION,
        "rich_text_quote": thing({"elements": _LEAVES}, {"border": integer(0, 1)}),
        "rich_text_preformatted": thing(
            {"elements": _LEAVES}, {"border": integer(0, 1), "language": string(255)}
        ),
        "rich_text_list": thing(
            {
                "style": one_of("bullet", "ordered"),
                "elements": listing(typed({"rich_text_section": _SECTION}), 0, 1000),
            },
            {"indent": integer(0, 8), "offset": integer(0, 10_000), "border": integer(0, 1)},
        ),
    }
)

# Blocks


def _text_or_fields(value: Any, at: str, problems: list[str]) -> None:
    if isinstance(value, dict) and "text" not in value and "fields" not in value:
        say(problems, "missing required field: text", at)


def _image_source(value: Any, at: str, problems: list[str]) -> None:
    if isinstance(value, dict) and ("image_url" in value) == ("slack_file" in value):
        say(problems, "must have exactly one of image_url and slack_file", at)


def _unique_action_ids(value: Any, at: str, problems: list[str]) -> None:
    ids = Counter(
        element["action_id"]
        for element in dicts(value.get("elements"))
        if isinstance(element.get("action_id"), str)
    )
    for action_id, count in ids.items():
        if count > 1:
            block_id = value.get("block_id", "")
            say(problems, f"`action_id` `{action_id}` already exists in `{block_id}`", at)


_BLOCK: dict[str, Check] = {"block_id": ID}
BLOCKS: dict[str, Check] = {
    "section": every(
        thing(
            {},
            {
                **_BLOCK,
                "text": text(3000),
                "fields": listing(text(2000), 1, 10),
                "accessory": IN_SECTION,
                "expand": boolean,
            },
        ),
        _text_or_fields,
    ),
    "divider": thing({}, _BLOCK),
    "header": thing({"text": plain(150)}, _BLOCK),
    "context": thing(
        {
            "elements": listing(
                typed(
                    {
                        "image": ELEMENTS["image"],
                        "plain_text": plain(3000),
                        "mrkdwn": text(3000),
                    }
                ),
                1,
                10,
            )
        },
        _BLOCK,
    ),
    "actions": every(thing({"elements": listing(IN_ACTIONS, 1, 25)}, _BLOCK), _unique_action_ids),
    "input": thing(
        {"label": plain(2000), "element": IN_INPUT},
        {**_BLOCK, "hint": plain(2000), "optional": boolean, "dispatch_action": boolean},
    ),
    "image": every(
        thing(
            {"alt_text": string(2000, 1)},
            {
                **_BLOCK,
                "image_url": URL,
                "slack_file": thing({}, {"id": ID, "url": URL}),
                "title": plain(2000),
            },
        ),
        _image_source,
    ),
    "rich_text": thing({"elements": listing(RICH_TEXT, 0, 100)}, _BLOCK),
}
MESSAGE_ONLY: dict[str, Check] = {"markdown": thing({"text": string(12_000, 1)}, _BLOCK)}
