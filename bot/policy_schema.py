"""The JSON Schema of the policy file, for editors that check and complete YAML.

It knows keys, forms and what each entry is. Whether entries fit each other is for `policy check`.
"""

from __future__ import annotations

from typing import Any

from bot.core.policy import Policy

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def policy_schema() -> dict[str, Any]:
    """The schema as JSON-ready data. Descriptions are those of the entries, without its title."""
    schema = Policy.model_json_schema()
    schema["title"] = "The policy file of eks-access"
    return {"$schema": DIALECT, **{key: _plain(value) for key, value in schema.items()}}


def _plain(value: Any) -> Any:
    """As this file means it: a key without a value is an error, and so is a key of another form.

    Titles that only repeat names are left out, and descriptions are on one line.
    """
    if isinstance(value, list):
        return [_plain(one) for one in value if one != {"type": "null"}]
    if not isinstance(value, dict):
        return " ".join(value.split()) if isinstance(value, str) else value
    kept = {
        key: _plain(one)
        for key, one in value.items()
        if not (key == "title" and isinstance(one, str)) and not (key == "default" and one is None)
    }
    if "patternProperties" in kept:
        kept["additionalProperties"] = False
    if len(kept.get("anyOf", ())) == 1:
        (only,) = kept.pop("anyOf")
        kept = only | kept
    return kept
