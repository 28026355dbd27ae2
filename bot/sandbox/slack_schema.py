"""Small checks that make up a schema. Each adds what is wrong to a list, in Slack's wording.

A check takes the value, its JSON pointer and the list of problems so far.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

Check = Callable[[Any, str, list[str]], None]


def say(problems: list[str], message: str, at: str) -> None:
    problems.append(f"[ERROR] {message} [json-pointer:{at}]")


def _string(value: Any, at: str, problems: list[str], *, most: int, least: int = 0) -> None:
    if not isinstance(value, str):
        say(problems, "must provide a string", at)
    elif len(value) > most:
        say(problems, f"must be less than {most + 1} characters", at)
    elif len(value) < least:
        say(problems, f"must be more than {least - 1} characters", at)


def string(most: int, least: int = 0) -> Check:
    return partial(_string, most=most, least=least)


def matching(pattern: str, what: str) -> Check:
    def check(value: Any, at: str, problems: list[str]) -> None:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            say(problems, f"must be {what}", at)

    return check


def boolean(value: Any, at: str, problems: list[str]) -> None:
    if not isinstance(value, bool):
        say(problems, "must provide a boolean", at)


def integer(least: int, most: int) -> Check:
    def check(value: Any, at: str, problems: list[str]) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            say(problems, f"must be an integer from {least} to {most}", at)

    return check


def one_of(*values: str) -> Check:
    def check(value: Any, at: str, problems: list[str]) -> None:
        if value not in values:
            say(problems, f"must be one of: {', '.join(values)}", at)

    return check


def listing(item: Check, least: int, most: int) -> Check:
    def check(value: Any, at: str, problems: list[str]) -> None:
        if not isinstance(value, list):
            say(problems, "must provide an array", at)
            return
        if len(value) > most:
            say(problems, f"no more than {most} items allowed", at)
        if len(value) < least:
            say(problems, f"no fewer than {least} items allowed", at)
        for index, entry in enumerate(value):
            item(entry, f"{at}/{index}", problems)

    return check


def thing(required: dict[str, Check], optional: dict[str, Check] | None = None) -> Check:
    """An object with these fields and no other. `type` is allowed; whoever calls looked at it."""
    allowed = {**required, **(optional or {})}

    def check(value: Any, at: str, problems: list[str]) -> None:
        if not isinstance(value, dict):
            say(problems, "must provide an object", at)
            return
        for name in required:
            if name not in value:
                say(problems, f"missing required field: {name}", at)
        for name, entry in value.items():
            if name in allowed:
                allowed[name](entry, f"{at}/{name}", problems)
            elif name != "type":
                say(problems, f"invalid additional property: {name}", at)

    return check


def typed(kinds: dict[str, Check]) -> Check:
    """An object whose `type` says which check holds."""

    def check(value: Any, at: str, problems: list[str]) -> None:
        if not isinstance(value, dict):
            say(problems, "must provide an object", at)
        elif "type" not in value:
            say(problems, "missing required field: type", at)
        elif not isinstance(value["type"], str) or value["type"] not in kinds:
            say(problems, f"unsupported type: {value['type']}", f"{at}/type")
        else:
            kinds[value["type"]](value, at, problems)

    return check


def every(*checks: Check) -> Check:
    def check(value: Any, at: str, problems: list[str]) -> None:
        for one in checks:
            one(value, at, problems)

    return check
