"""When a late removal is told, as the policy file may say it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from bot.core.policy import LateRemovals
from bot.core.removal import AlarmTimes

MINUTE = timedelta(minutes=1)


def test_without_it_the_alarms_come_at_two_ten_and_thirty_minutes_and_every_hour() -> None:
    assert LateRemovals().times == AlarmTimes((2 * MINUTE, 10 * MINUTE, 30 * MINUTE), 60 * MINUTE)


def test_the_file_may_say_other_times() -> None:
    said = LateRemovals.model_validate({"alarm_after": ["5m", "1h"], "then_every": "30m"})
    assert said.times == AlarmTimes((5 * MINUTE, 60 * MINUTE), 30 * MINUTE)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"alarm_after": []}, "at least 1"),
        ({"alarm_after": ["30s"]}, "Write 1m at least"),
        ({"alarm_after": ["10m", "30s"]}, "without being late. The times of the alarms are not"),
        ({"alarm_after": ["10m", "2m"]}, "not in order"),
        ({"alarm_after": ["2m", "2m"]}, "not in order"),
        ({"alarm_after": [f"{n + 2}m" for n in range(11)]}, "at most 10"),
        ({"alarm_after": "2m"}, "tuple"),
        ({"then_every": "1m"}, "Write 5m to 1d"),
        ({"then_every": "2d"}, "heard by nobody"),
        ({"every": "1h"}, "every"),
    ],
)
def test_times_that_make_no_alarm_are_told(entry: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        LateRemovals.model_validate(entry)
    assert said in str(caught.value)


def test_what_is_wrong_with_one_key_does_not_hide_what_is_wrong_with_the_other() -> None:
    with pytest.raises(ValidationError) as caught:
        LateRemovals.model_validate({"alarm_after": ["10m", "2m"], "then_every": "1m"})
    assert [one["loc"] for one in caught.value.errors()] == [("alarm_after",), ("then_every",)]
