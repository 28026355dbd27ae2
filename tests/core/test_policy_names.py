"""Everything that a policy names is found, whatever key it stands under."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

from full_policy import FULL, names_in
from pydantic import BaseModel

from bot.core.policy import Policy
from bot.core.policy_fields import Outside
from bot.core.policy_names import named, places_of


def parts(hint: Any) -> Iterator[Any]:
    """All that a type is made of."""
    yield hint
    yield from getattr(hint, "__metadata__", ())
    for part in get_args(hint):
        yield from parts(part)


def keys_for_names(entry: type[BaseModel], keys: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The keys under which the model lets a name stand, without what people call their entries."""
    hints = get_type_hints(entry, include_extras=True)
    for field in entry.model_fields:
        found = list(parts(hints[field]))
        if any(isinstance(part, Outside) for part in found):
            yield (*keys, field)
        for part in {one for one in found if isinstance(one, type) and issubclass(one, BaseModel)}:
            yield from keys_for_names(part, (*keys, field))


def test_a_name_is_found_under_every_key_that_may_hold_one():
    written = list(names_in(FULL))
    texts = [text for text, _ in written]
    assert len(texts) == len(set(texts))
    fields = {name for one in keys_for_names(Policy) for name in one}
    holding = {tuple(key for key in keys if key in fields) for _, keys in written}
    assert set(keys_for_names(Policy)) == holding, "FULL has a name under every key"
    assert sorted(name.text for name in named(Policy.model_validate(FULL))) == sorted(texts)


def test_where_a_name_stands_is_told_by_the_names_of_the_entries():
    policy = Policy.model_validate(FULL)
    people = places_of(policy, Outside.PERSON)
    assert people["U0LAW"] == [("rules", "by owners", "approval", "also", "law", "owners", "users")]
    assert people["U0GENIE"] == [
        ("break_glass", "1", "responders", "opsgenie", "users", "OB"),
    ]
    assert people["U0MAPPED"] == [("principals", "users")]
    roles = places_of(policy, Outside.PRINCIPAL)
    assert roles["arn:aws:iam::111122223333:role/reaches-it"] == [
        ("clusters", "prod-eu", "assume_role")
    ]
