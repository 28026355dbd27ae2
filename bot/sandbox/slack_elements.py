"""Reading Block Kit: the elements in blocks, what they hold, and what a person chose in them.

Shapes of actions and of `state.values` are those of Slack's reference, "Interaction payloads".
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Json = dict[str, Any]

TEXT_INPUTS = frozenset(
    {"plain_text_input", "number_input", "email_text_input", "url_text_input"},
)
ONE_OPTION = frozenset({"static_select", "external_select", "radio_buttons", "overflow"})
MANY_OPTIONS = frozenset({"checkboxes", "multi_static_select", "multi_external_select"})

SELECTED = {
    **dict.fromkeys(TEXT_INPUTS, "value"),
    **dict.fromkeys(ONE_OPTION, "selected_option"),
    **dict.fromkeys(MANY_OPTIONS, "selected_options"),
    "users_select": "selected_user",
    "conversations_select": "selected_conversation",
    "channels_select": "selected_channel",
    "multi_users_select": "selected_users",
    "multi_conversations_select": "selected_conversations",
    "multi_channels_select": "selected_channels",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
}
"""The key under which an element's value stands in actions and in `state.values`."""

INITIAL = {
    kind: "initial_" + key.removeprefix("selected_") if key != "value" else "initial_value"
    for kind, key in SELECTED.items()
}
STATELESS = frozenset({"button", "overflow"})


def interactive(blocks: Iterable[Json]) -> Iterator[tuple[Json, Json]]:
    """Each interactive element with its block, in reading order."""
    for block in blocks:
        for element in _elements(block):
            if element.get("type") == "button" or element.get("type") in SELECTED:
                yield block, element


def _elements(block: Json) -> list[Json]:
    match block.get("type"):
        case "actions":
            return list(block.get("elements", ()))
        case "section":
            return [block["accessory"]] if block.get("accessory") else []
        case "input":
            return [block["element"]]
    return []


def find(blocks: Iterable[Json], action_id: str, block_id: str | None = None) -> tuple[Json, Json]:
    """The block and element with this action id. Raises `LookupError` naming those there are."""
    there = list(interactive(blocks))
    found = [
        (block, element)
        for block, element in there
        if element["action_id"] == action_id and block_id in (None, block["block_id"])
    ]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{block['block_id']}/{element['action_id']}" for block, element in there)
    problem = "no element" if not found else f"{len(found)} elements"
    raise LookupError(f"{problem} {block_id or '*'}/{action_id}; there are: {names or 'none'}")


def texts(blocks: Iterable[Json]) -> Iterator[str]:
    """Every text in the blocks, in reading order, without option lists and confirmations."""
    for block in blocks:
        yield from _texts(block)


def _texts(node: object) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _texts(item)
    elif isinstance(node, dict):
        for key in ("title", "text", "fields", "label", "elements", "element", "accessory", "hint"):
            value = node.get(key)
            if isinstance(value, str):
                yield value
            elif value is not None:
                yield from _texts(value)


def with_ids(blocks: list[Json], new_id: Callable[[], str]) -> list[Json]:
    """A copy with what Slack adds: missing block and action ids, `emoji` and `verbatim`."""
    blocks = copy.deepcopy(blocks)
    for block in blocks:
        block.setdefault("block_id", new_id())
        for element in _elements(block):
            if element.get("type") != "image":
                element.setdefault("action_id", new_id())
        _complete_texts(block)
    return blocks


def _complete_texts(node: object) -> None:
    if isinstance(node, list):
        for item in node:
            _complete_texts(item)
    elif isinstance(node, dict):
        if node.get("type") == "plain_text" and isinstance(node.get("text"), str):
            node.setdefault("emoji", True)
        elif node.get("type") == "mrkdwn" and isinstance(node.get("text"), str):
            node.setdefault("verbatim", False)
        for value in node.values():
            _complete_texts(value)


def options(element: Json) -> list[Json]:
    """The options an element offers, those in groups and the initial ones too."""
    found = list(element.get("options", ()))
    for group in element.get("option_groups", ()):
        found += group["options"]
    if element.get("initial_option"):
        found.append(element["initial_option"])
    return found + list(element.get("initial_options", ()))


def initial_values(blocks: Iterable[Json]) -> dict[str, dict[str, Json]]:
    """`state.values` of blocks that nobody has touched."""
    values: dict[str, dict[str, Json]] = {}
    for block, element in interactive(blocks):
        kind = element["type"]
        if kind not in STATELESS:
            empty: object = [] if kind in MANY_OPTIONS or kind.startswith("multi_") else None
            value = copy.deepcopy(element.get(INITIAL[kind], empty))
            values.setdefault(block["block_id"], {})[element["action_id"]] = {
                "type": kind,
                SELECTED[kind]: value,
            }
    return values


def chosen(
    element: Json, value: object, suggested: Iterable[Json] = (), *, forge: bool = False
) -> Json:
    """What `state.values` holds after a person put `value` into the element.

    `value` is text, an option's value or a list of them, an id, a date: see `bot.sandbox.control`.
    `suggested` are the options an external select was given. Raises `ValueError` for a value that
    the element does not offer, unless `forge`.
    """
    kind = element["type"]
    offered = [*options(element), *suggested]
    if kind in ONE_OPTION:
        value = None if value is None else _option(element, offered, value, forge=forge)
    elif kind in MANY_OPTIONS:
        value = [_option(element, offered, item, forge=forge) for item in _many(element, value)]
    elif kind.startswith("multi_"):
        value = _many(element, value)
    elif value is not None and not forge and not isinstance(value, _python_type(kind)):
        raise ValueError(f"{element['action_id']} is a {kind} and takes no {value!r}")
    return {"type": kind, SELECTED[kind]: value}


def _python_type(kind: str) -> type:
    return int if kind == "datetimepicker" else str


def _many(element: Json, value: object) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list | tuple | set | frozenset):
        raise ValueError(f"{element['action_id']} takes a list, not {value!r}")  # noqa: TRY004 (a wrong value of a test's or a page's, answered as one)
    return list(value)


def _option(element: Json, offered: list[Json], value: object, *, forge: bool) -> Json:
    wanted = value.get("value") if isinstance(value, dict) else value
    for option in offered:
        if option.get("value") == wanted:
            return {key: option[key] for key in ("text", "value") if key in option}
    if forge:
        text = {"type": "plain_text", "text": str(wanted), "emoji": True}
        return {"text": text, "value": wanted}
    values = ", ".join(str(option.get("value")) for option in offered) or "none"
    raise ValueError(f"{element['action_id']} does not offer {wanted!r}; it offers: {values}")


def problems_before_sending(
    blocks: Iterable[Json], values: dict[str, dict[str, Json]]
) -> dict[str, str]:
    """What Slack's client asks for before it sends a submission, per block id."""
    found: dict[str, str] = {}
    for block in blocks:
        if block.get("type") != "input":
            continue
        element = block["element"]
        held = values.get(block["block_id"], {}).get(element["action_id"], {})
        problem = _problem(block, element, held.get(SELECTED[element["type"]]))
        if problem:
            found[block["block_id"]] = problem
    return found


def _problem(block: Json, element: Json, value: object) -> str | None:  # noqa: PLR0911 (one return for each rule)
    if value in (None, "", []):
        return None if block.get("optional") else "Please complete this required field."
    if isinstance(value, list) and len(value) > element.get("max_selected_items", len(value)):
        return f"Choose at most {element['max_selected_items']}."
    if not isinstance(value, str):
        return None
    match element["type"]:
        case "plain_text_input":
            if len(value) < element.get("min_length", 0):
                return f"Must be at least {element['min_length']} characters."
            if len(value) > element.get("max_length", 3000):
                return f"Must be at most {element.get('max_length', 3000)} characters."
        case "number_input":
            return _number_problem(element, value)
        case "email_text_input" if "@" not in value:
            return "Must be a valid email address."
        case "url_text_input" if "://" not in value:
            return "Must be a valid URL."
    return None


def _number_problem(element: Json, value: str) -> str | None:
    try:
        number = float(value)
    except ValueError:
        return "Must be a number."
    if not element["is_decimal_allowed"] and not number.is_integer():
        return "Must be a whole number."
    if "min_value" in element and number < float(element["min_value"]):
        return f"Must be at least {element['min_value']}."
    if "max_value" in element and number > float(element["max_value"]):
        return f"Must be at most {element['max_value']}."
    return None
