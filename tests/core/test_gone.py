"""A cluster counts as deleted after a day of looks that found none, and after nothing less."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.core.gone import GONE_AFTER, LONGEST_GAP, Unknown, looked

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def after(looks: int, every: timedelta) -> Unknown:
    found = looked(None, NOW)
    for number in range(1, looks):
        found = looked(found, NOW + number * every)
    return found


def test_a_day_of_looks_is_proof_and_a_second_less_is_not() -> None:
    assert after(25, HOUR).gone
    assert not after(24, HOUR).gone
    assert Unknown(NOW, NOW + GONE_AFTER).gone
    assert not Unknown(NOW, NOW + GONE_AFTER - SECOND).gone


def test_one_look_proves_nothing_however_long_ago_the_last_one_was() -> None:
    assert looked(after(24, HOUR), NOW + timedelta(days=30)) == Unknown(
        NOW + timedelta(days=30), NOW + timedelta(days=30)
    )


@pytest.mark.parametrize("gap", [LONGEST_GAP + SECOND, timedelta(days=-1)])
def test_a_clock_that_jumps_begins_the_day_anew(gap: timedelta) -> None:
    before = after(23, HOUR)
    assert looked(before, before.at + gap).since == before.at + gap


def test_looks_of_replicas_whose_clocks_differ_are_of_one_row() -> None:
    before = after(3, HOUR)
    assert looked(before, before.at - SECOND).since == NOW
