from __future__ import annotations

import copy

import pytest
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from bot.sandbox import slack_limits


def plain(text):
    return {"type": "plain_text", "text": text}


def mrkdwn(text):
    return {"type": "mrkdwn", "text": text}


def option(text="Edit", value="edit"):
    return {"text": plain(text), "value": value}


def options(count):
    return [option(f"o{n}", f"v{n}") for n in range(count)]


def section(**fields):
    return {"type": "section", "text": mrkdwn("x"), **fields}


def button(**fields):
    return {"type": "button", "action_id": "go", "text": plain("Go"), **fields}


def actions(*elements):
    return {"type": "actions", "elements": list(elements)}


def asks(element, **fields):
    return {"type": "input", "label": plain("Label"), "element": element, **fields}


def select(**fields):
    return {"type": "static_select", "action_id": "level", "options": [option()], **fields}


def modal(*blocks, **fields):
    return {
        "type": "modal",
        "title": plain("Ask"),
        "submit": plain("Send"),
        "blocks": list(blocks),
        **fields,
    }


CONFIRM = {
    "title": plain("Sure"),
    "text": mrkdwn("Really"),
    "confirm": plain("Yes"),
    "deny": plain("No"),
}
TEXT_INPUT = {"type": "plain_text_input", "action_id": "reason"}
RICH = {
    "type": "rich_text",
    "elements": [
        {
            "type": "rich_text_section",
            "elements": [
                {"type": "text", "text": "hello ", "style": {"bold": True}},
                {"type": "user", "user_id": "U01ALICE"},
                {"type": "link", "url": "https://example.com", "text": "here"},
            ],
        },
        {
            "type": "rich_text_list",
            "style": "bullet",
            "elements": [{"type": "rich_text_section", "elements": []}],
        },
        {
            "type": "rich_text_preformatted",
            "elements": [{"type": "text", "text": "aws eks update-kubeconfig"}],
        },
    ],
}

VALID = {
    "section": section(),
    "section with fields": {"type": "section", "fields": [mrkdwn("a"), plain("b")]},
    "section at its longest": section(text=mrkdwn("x" * 3000)),
    "field at its longest": {"type": "section", "fields": [mrkdwn("x" * 2000)]},
    "ten fields": {"type": "section", "fields": [mrkdwn("x")] * 10},
    "section with a button": section(accessory=button()),
    "section with a menu": section(accessory=select()),
    "divider": {"type": "divider", "block_id": "d"},
    "header at its longest": {"type": "header", "text": plain("x" * 150)},
    "context of ten": {"type": "context", "elements": [mrkdwn("x")] * 10},
    "twenty-five buttons": actions(*(button(action_id=f"b{n}") for n in range(25))),
    "button at its longest": actions(
        button(
            text=plain("x" * 75),
            value="x" * 2000,
            action_id="x" * 255,
            style="danger",
            confirm=CONFIRM,
        )
    ),
    "confirm at its longest": actions(
        button(
            confirm={
                "title": plain("x" * 100),
                "text": mrkdwn("x" * 300),
                "confirm": plain("x" * 30),
                "deny": plain("x" * 30),
            }
        )
    ),
    "a hundred options": actions(select(options=options(100))),
    "option at its longest": actions(select(options=[option("x" * 75, "x" * 150)])),
    "option groups": actions(
        {
            "type": "static_select",
            "action_id": "level",
            "option_groups": [{"label": plain("Prod"), "options": [option()]}],
        }
    ),
    "external select": actions(
        {"type": "external_select", "action_id": "c", "min_query_length": 0}
    ),
    "users select": actions({"type": "users_select", "action_id": "u"}),
    "conversations select": actions({"type": "conversations_select", "action_id": "c"}),
    "overflow": section(accessory={"type": "overflow", "action_id": "m", "options": options(5)}),
    "checkboxes": actions(
        {
            "type": "checkboxes",
            "action_id": "c",
            "options": [{"text": mrkdwn("*x*"), "value": "x"}],
        }
    ),
    "radio buttons": actions({"type": "radio_buttons", "action_id": "r", "options": options(10)}),
    "datepicker": actions({"type": "datepicker", "action_id": "d", "initial_date": "2026-01-31"}),
    "timepicker": actions({"type": "timepicker", "action_id": "t", "initial_time": "23:59"}),
    "datetimepicker": actions(
        {"type": "datetimepicker", "action_id": "d", "initial_date_time": 1767603600}
    ),
    "text input": asks(
        {
            **TEXT_INPUT,
            "multiline": True,
            "min_length": 3,
            "max_length": 300,
            "placeholder": plain("x" * 150),
            "dispatch_action_config": {"trigger_actions_on": ["on_enter_pressed"]},
        },
        hint=plain("x"),
        optional=True,
        dispatch_action=True,
    ),
    "number input": asks(
        {
            "type": "number_input",
            "action_id": "n",
            "is_decimal_allowed": False,
            "min_value": "1",
            "max_value": "8",
        }
    ),
    "email input": asks({"type": "email_text_input", "action_id": "e"}),
    "url input": asks({"type": "url_text_input", "action_id": "u"}),
    "multi select in an input": asks(
        {
            "type": "multi_static_select",
            "action_id": "ns",
            "options": options(3),
            "max_selected_items": 2,
        }
    ),
    "initial option among the options": actions(select(initial_option=option())),
    "image": {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a"},
    "rich text": RICH,
}

WRONG = {
    "unknown block": {"type": "carousel"},
    "no type": {"text": mrkdwn("x")},
    "type that is no text": {"type": ["section"]},
    "not an object": "section",
    "unknown field": section(colour="red"),
    "section with nothing": {"type": "section"},
    "section too long": section(text=mrkdwn("x" * 3001)),
    "section of empty text": section(text=mrkdwn("")),
    "field too long": {"type": "section", "fields": [mrkdwn("x" * 2001)]},
    "eleven fields": {"type": "section", "fields": [mrkdwn("x")] * 11},
    "no fields": {"type": "section", "fields": []},
    "unknown text type": section(text={"type": "markdown", "text": "x"}),
    "emoji flag on mrkdwn": section(text={**mrkdwn("x"), "emoji": True}),
    "mrkdwn in a header": {"type": "header", "text": mrkdwn("x")},
    "header too long": {"type": "header", "text": plain("x" * 151)},
    "header without text": {"type": "header"},
    "eleven in context": {"type": "context", "elements": [mrkdwn("x")] * 11},
    "empty context": {"type": "context", "elements": []},
    "button in context": {"type": "context", "elements": [button()]},
    "twenty-six buttons": actions(*(button(action_id=f"b{n}") for n in range(26))),
    "no buttons": actions(),
    "two buttons of one action id": actions(button(), button()),
    "button text too long": actions(button(text=plain("x" * 76))),
    "mrkdwn on a button": actions(button(text=mrkdwn("Go"))),
    "button value too long": actions(button(value="x" * 2001)),
    "button value that is a number": actions(button(value=7)),
    "button of unknown style": actions(button(style="warning")),
    "action id too long": actions(button(action_id="x" * 256)),
    "block id too long": section(block_id="x" * 256),
    "confirm title too long": actions(button(confirm={**CONFIRM, "title": plain("x" * 101)})),
    "confirm text too long": actions(button(confirm={**CONFIRM, "text": mrkdwn("x" * 301)})),
    "confirm button too long": actions(button(confirm={**CONFIRM, "deny": plain("x" * 31)})),
    "confirm without deny": actions(
        button(confirm={key: CONFIRM[key] for key in ("title", "text", "confirm")})
    ),
    "no options": actions(select(options=[])),
    "101 options": actions(select(options=options(101))),
    "neither options nor groups": actions({"type": "static_select", "action_id": "l"}),
    "options and groups": actions(select(option_groups=[{"label": plain("x"), "options": []}])),
    "option text too long": actions(select(options=[option("x" * 76)])),
    "option value too long": actions(select(options=[option("x", "x" * 151)])),
    "mrkdwn option in a menu": actions(select(options=[{"text": mrkdwn("x"), "value": "x"}])),
    "initial option that is not offered": actions(select(initial_option=option("x", "x"))),
    "six in overflow": section(
        accessory={"type": "overflow", "action_id": "m", "options": options(6)}
    ),
    "text input outside an input block": actions(TEXT_INPUT),
    "multi select among actions": actions(
        {"type": "multi_static_select", "action_id": "m", "options": options(2)}
    ),
    "button in an input block": asks(button()),
    "input without a label": {"type": "input", "element": TEXT_INPUT},
    "mrkdwn label": {"type": "input", "label": mrkdwn("x"), "element": TEXT_INPUT},
    "text input longer than Slack's own limit": asks({**TEXT_INPUT, "max_length": 3001}),
    "number input without is_decimal_allowed": asks({"type": "number_input", "action_id": "n"}),
    "number bounds that are numbers": asks(
        {"type": "number_input", "action_id": "n", "is_decimal_allowed": True, "min_value": 1}
    ),
    "date of the wrong form": actions(
        {"type": "datepicker", "action_id": "d", "initial_date": "31/01/2026"}
    ),
    "time of the wrong form": actions(
        {"type": "timepicker", "action_id": "t", "initial_time": "24:00"}
    ),
    "placeholder too long": actions(select(placeholder=plain("x" * 151))),
    "label too long": asks(TEXT_INPUT) | {"label": plain("x" * 2001)},
    "hint too long": asks(TEXT_INPUT, hint=plain("x" * 2001)),
    "description too long": actions(select(options=[option() | {"description": plain("x" * 76)}])),
    "group label too long": actions(
        {
            "type": "static_select",
            "action_id": "l",
            "option_groups": [{"label": plain("x" * 76), "options": [option()]}],
        }
    ),
    "eleven checkboxes": actions({"type": "checkboxes", "action_id": "c", "options": options(11)}),
    "words of an image too long": {
        "type": "image",
        "image_url": "https://example.com/a.png",
        "alt_text": "x" * 2001,
    },
    "link that is no url": actions(button(url="example.com")),
    "image without a source": {"type": "image", "alt_text": "a"},
    "image without words": {"type": "image", "image_url": "https://example.com/a.png"},
    "unknown rich text": {"type": "rich_text", "elements": [{"type": "rich_text_poem"}]},
}


@pytest.mark.parametrize("name", VALID)
def test_what_slack_takes_is_taken_and_slack_sdk_agrees(name):
    block = VALID[name]
    assert slack_limits.blocks_problems([block]) == []
    assert Block.parse(copy.deepcopy(block)).to_dict() == block


@pytest.mark.parametrize("name", WRONG)
def test_what_slack_refuses_is_refused_with_a_pointer(name):
    problems = slack_limits.blocks_problems([WRONG[name]])
    assert problems
    assert all(" [json-pointer:/blocks" in problem for problem in problems)


def test_a_message_takes_fifty_blocks_and_a_view_a_hundred():
    assert slack_limits.blocks_problems([{"type": "divider"}] * 50) == []
    assert slack_limits.blocks_problems([{"type": "divider"}] * 51) == [
        "[ERROR] no more than 50 items allowed [json-pointer:/blocks]"
    ]
    assert slack_limits.view_problems(modal(*[{"type": "divider"}] * 100)) == []
    assert slack_limits.view_problems(modal(*[{"type": "divider"}] * 101))


def test_block_ids_are_unique_but_action_ids_only_within_a_block():
    twice = [section(block_id="a"), section(block_id="a")]
    assert "`block_id` `a` already exists" in slack_limits.blocks_problems(twice)[0]
    assert slack_limits.blocks_problems([actions(button()), actions(button())]) == []


def test_markdown_blocks_are_for_messages():
    block = {"type": "markdown", "text": "**x**"}
    assert slack_limits.blocks_problems([block]) == []
    assert slack_limits.view_problems(modal(block))


def test_a_modal_that_slack_takes_is_taken_and_slack_sdk_agrees():
    view = modal(
        asks(TEXT_INPUT),
        section(),
        title=plain("x" * 24),
        submit=plain("x" * 24),
        close=plain("x" * 24),
        callback_id="x" * 255,
        private_metadata="x" * 3000,
        external_id="x" * 255,
        notify_on_close=True,
        clear_on_close=False,
    )
    assert slack_limits.view_problems(view) == []
    assert View(**copy.deepcopy(view)).to_dict() == view


@pytest.mark.parametrize(
    "fields",
    [
        {"title": plain("x" * 25)},
        {"title": mrkdwn("x")},
        {"submit": plain("x" * 25)},
        {"close": plain("x" * 25)},
        {"callback_id": "x" * 256},
        {"private_metadata": "x" * 3001},
        {"external_id": "x" * 256},
        {"notify_on_close": "yes"},
        {"colour": "red"},
        {"type": "panel"},
    ],
)
def test_a_modal_that_slack_refuses_is_refused(fields):
    assert slack_limits.view_problems(modal(section(), **fields))


def test_a_modal_with_an_input_needs_submit_and_a_title():
    for missing in ("submit", "title", "blocks"):
        view = modal(asks(TEXT_INPUT))
        del view[missing]
        assert slack_limits.view_problems(view) == [
            f"[ERROR] missing required field: {missing} [json-pointer:/view]"
        ]
    silent = modal(section())
    del silent["submit"]
    assert slack_limits.view_problems(silent) == []


def test_home_has_no_title():
    home = {"type": "home", "blocks": [section()]}
    assert slack_limits.view_problems(home) == []
    assert slack_limits.view_problems({**home, "title": plain("x")})


def test_only_one_element_can_have_the_focus():
    focused = {**TEXT_INPUT, "focus_on_load": True}
    other = asks({**focused, "action_id": "other"})
    assert slack_limits.view_problems(modal(asks(focused))) == []
    assert slack_limits.view_problems(modal(asks(focused), other))


def test_a_view_weighs_at_most_250_kilobytes():
    many = [section(text=mrkdwn("x" * 2900)) for _ in range(90)]
    assert slack_limits.view_problems(modal(*many)) == []
    assert slack_limits.view_is_too_large(modal(*many))
    assert not slack_limits.view_is_too_large(modal(*many[:50]))


@pytest.mark.parametrize(
    ("answer", "good"),
    [
        ({"options": []}, True),
        ({"options": options(100)}, True),
        ({"options": options(101)}, False),
        ({"options": [option("x" * 76)]}, False),
        ({"option_groups": [{"label": plain("Prod"), "options": options(2)}]}, True),
        ({"option_groups": [{"label": mrkdwn("Prod"), "options": []}]}, False),
        ({}, False),
        (None, False),
        ({"options": options(1), "text": "x"}, False),
    ],
)
def test_options_in_answer_to_a_suggestion_are_checked(answer, good):
    assert (slack_limits.options_problems(answer) == []) is good
