"""Everything outside that a policy names: people, user groups, channels, IAM principals.

It is found by the types of the fields, whatever keys they stand under, so that a new key is found
without a word here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from bot.core.policy import Policy
from bot.core.policy_fields import Outside

Keys = tuple[str, ...]
"""The keys above a name: `("rules", "payments", "approval", "channel")`. An entry of a list stands
there by its name, or by its number from 1."""


@dataclass(frozen=True, slots=True)
class Name:
    """An id or an ARN as the file has it, and the keys above it."""

    kind: Outside
    text: str
    keys: Keys


def named(policy: Policy) -> tuple[Name, ...]:
    """Each name at each of its places, in the order of the model."""
    return tuple(_fields(policy, ()))


def places_of(policy: Policy, kind: Outside) -> dict[str, list[Keys]]:
    """The names of one kind, and where each stands."""
    found: dict[str, list[Keys]] = {}
    for name in named(policy):
        if name.kind is kind:
            found.setdefault(name.text, []).append(name.keys)
    return found


def groups_of(policy: Policy) -> dict[str, list[Keys]]:
    """The user groups, and the channels whose members decide, with where each stands."""
    found = places_of(policy, Outside.GROUP)
    for channel, places in places_of(policy, Outside.CHANNEL).items():
        deciding = [keys for keys in places if is_deciding(keys)]
        if deciding:
            found[channel] = deciding
    return found


def is_deciding(keys: Keys) -> bool:
    """Whether a channel's members decide there; at all other places the bot posts in it."""
    return keys[-1] == "channels"


def _fields(entry: BaseModel, keys: Keys) -> Iterator[Name]:
    hints = get_type_hints(type(entry), include_extras=True)
    for field in type(entry).model_fields:
        yield from _names(hints[field], getattr(entry, field), (*keys, field))


def _names(hint: Any, value: object, keys: Keys) -> Iterator[Name]:
    if isinstance(value, BaseModel):
        yield from _fields(value, keys)
    elif isinstance(value, str):
        kind = next(_kinds(hint), None)
        if kind is not None:
            yield Name(kind, value, keys)
    elif isinstance(value, tuple):
        for index, item in enumerate(value, 1):
            label = (str(getattr(item, "name", index)),) if isinstance(item, BaseModel) else ()
            yield from _names(_inner(hint, 0), item, (*keys, *label))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _names(_inner(hint, 0), key, keys)
            yield from _names(_inner(hint, 1), item, (*keys, str(key)))


def _kinds(hint: Any) -> Iterator[Outside]:
    """The kinds of name that a text of this type can be."""
    if get_origin(hint) is Annotated:
        yield from (one for one in hint.__metadata__ if isinstance(one, Outside))
    for part in get_args(hint):
        yield from _kinds(part)


def _inner(hint: Any, place: int) -> Any:
    """What the items of a list (0), or the keys (0) and values (1) of a mapping, are typed as."""
    for part in _plain(hint):
        inner = get_args(part)
        if get_origin(part) in (tuple, dict):
            return inner[place]
    raise TypeError(f"{hint} has no items.")


def _plain(hint: Any) -> Iterator[Any]:
    """The types that a value may have, without `Annotated` and the bars between them."""
    if get_origin(hint) in (tuple, dict) or not get_args(hint):
        yield hint
    elif get_origin(hint) is Annotated:
        yield from _plain(hint.__origin__)
    else:
        for part in get_args(hint):
            yield from _plain(part)
