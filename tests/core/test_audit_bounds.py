from __future__ import annotations

import json

import pytest

from bot.core.audit_bounds import MOST_CHARACTERS, bounded

HUGE = {
    "one text": "x" * 5_000_000,
    "a text of many bytes": "\u00e9" * 30_000,
    "many texts": ["x" * 1_000] * 5_000,
    "lists of lists": [["a"] * 1_000] * 1_000,
    "long names": {f"{number}{'n' * 300}": number for number in range(3_000)},
    "many of everything": {str(number): {"a": ["y" * 500] * 500} for number in range(500)},
}


def test_what_is_recorded_by_design_stays_as_it_is():
    details = {
        "reason": "x" * 3000,
        "namespaces": [f"team-{number}" for number in range(1000)],
        "policy_digest": "0" * 64,
        "lag_seconds": 0.25,
        "nothing": None,
        "rules": {"payments": ["U02BEN"]},
    }
    assert bounded(details) == details


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("x" * 30_000, "\u2026 (10,000 more characters)"),
        (["a"] * 3_000, "\u2026 (1,000 more)"),
        ({str(number): "a" for number in range(3_000)}, "\u2026 (1,000 more)"),
    ],
    ids=["text", "list", "mapping"],
)
def test_what_is_cut_says_how_much_is_missing(value, says):
    cut = bounded({"given": value})["given"]
    last = cut if isinstance(cut, str) else list(cut.values() if isinstance(cut, dict) else cut)[-1]
    assert last.endswith(says)


def test_what_is_nested_without_end_is_cut_too():
    nested = {"a": "b"}
    for _ in range(500):
        nested = {"a": nested}
    assert "nested deeper than is kept" in json.dumps(bounded(nested))


@pytest.mark.parametrize("kind", HUGE)
def test_no_event_holds_more_than_it_may(kind):
    held = json.dumps(bounded({"given": HUGE[kind], "also": HUGE}))
    assert 1_000 < len(held) <= MOST_CHARACTERS
