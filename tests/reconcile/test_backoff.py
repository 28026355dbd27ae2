"""The pauses between tries: soon at first, never longer than a minute, never at an end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.reconcile.backoff import pause


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(0, 0.25), (1, 0.25), (2, 0.5), (3, 1), (4, 2), (8, 32), (9, 60), (10, 60), (10**9, 60)],
)
def test_a_pause_doubles_up_to_a_minute(attempts: int, seconds: float) -> None:
    assert pause(attempts) == timedelta(seconds=seconds)


def test_a_pause_never_shrinks() -> None:
    pauses = [pause(attempts) for attempts in range(50)]
    assert pauses == sorted(pauses)
