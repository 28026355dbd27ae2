"""A share of the made-up payloads; `make fuzz` has all fifty thousand."""

from __future__ import annotations

from tests.simulation.fuzz import fuzz
from tests.simulation.stage import Stage

PAYLOADS = 600


def test_whatever_comes_is_answered_and_leaves_no_exception_behind(on: Stage) -> None:
    counts = fuzz(on, PAYLOADS, seed=1)
    kinds = ("command", "click", "submission", "suggestion", "event", "body")
    assert sum(counts[kind] for kind in kinds) == PAYLOADS
    assert min(counts[kind] for kind in kinds) > 0
    assert counts["loop inbox"] > 0
