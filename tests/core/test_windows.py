"""When a rule holds: days and hours, where the clocks change, and over midnight."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.core.windows import DAYS, Window

BERLIN = "Europe/Berlin"


def window(**entry):
    return Window.model_validate({"time_zone": BERLIN, **entry})


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-26T08:59:59+01:00", False),
        ("2026-11-26T09:00:00+01:00", True),
        ("2026-11-26T16:29:00+00:00", True),
        ("2026-11-26T17:30:00+01:00", False),
        ("2026-11-28T12:00:00+01:00", False),  # a Saturday
        ("2026-07-02T09:00:00+02:00", True),  # the same hour in summer
        ("2026-07-02T08:30:00+02:00", False),
    ],
)
def test_business_hours_are_wall_clock_time_of_the_zone(moment, is_open):
    hours = window(days=["mon-fri"], hours="09:00-17:30")
    assert hours.open_at(datetime.fromisoformat(moment)) is is_open


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-27T21:59:00+01:00", False),
        ("2026-11-27T22:00:00+01:00", True),  # Friday night
        ("2026-11-28T05:59:00+01:00", True),  # which goes on into Saturday
        ("2026-11-28T06:00:00+01:00", False),
        ("2026-11-28T22:00:00+01:00", False),  # Saturday's night is not in it
        ("2026-11-23T05:00:00+01:00", False),  # the night that began on Sunday
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_began(moment, is_open):
    nights = window(days=["mon-fri"], hours="22:00-06:00")
    assert nights.open_at(datetime.fromisoformat(moment)) is is_open


def test_the_whole_day_and_the_day_to_its_end():
    assert window(days=["thu"]).open_at(datetime.fromisoformat("2026-11-26T23:59:59+01:00"))
    late = window(hours="18:00-24:00")
    assert late.open_at(datetime.fromisoformat("2026-11-26T23:59:59+01:00"))
    assert not late.open_at(datetime.fromisoformat("2026-11-27T00:00:00+01:00"))


def test_a_span_of_days_goes_over_the_weekend():
    weekend = window(days=["fri-mon"])
    days = [weekend.open_at(datetime(2026, 11, day, 12, tzinfo=UTC)) for day in range(23, 30)]
    assert days == [True, False, False, False, True, True, True]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"days": ["monday"]}, "no day of the week"),
        ({"days": ["mon-"]}, "no day of the week"),
        ({"days": ["mon-fry"]}, "no day of the week"),
        ({"hours": "9-17"}, "no span of hours"),
        ({"hours": "09:00-25:00"}, "no span of hours"),
        ({"hours": "09:00-24:30"}, "no span of hours"),
        ({"hours": "09:00-09:00"}, "no span of hours"),
        ({"hours": "09:00-17:00", "time_zone": "Berlin"}, "no time zone"),
        ({"hours": "09:00-17:00", "time_zone": "../../etc/passwd"}, "no time zone"),
        ({"hours": "09:00-17:00", "time_zone": ""}, "no time zone"),
        ({}, "always open"),
        ({"days": ["sun-sat"]}, "always open"),
    ],
)
def test_what_is_no_window_is_said(entry, words):
    with pytest.raises(ValidationError, match=words):
        window(**entry)


@given(
    st.sampled_from(["mon", "sat-sun", "mon-fri", "fri-mon"]),
    st.times(),
    st.times(),
    st.integers(1_577_836_800, 1_893_456_000),
)
@settings(max_examples=100)
def test_a_window_and_its_complement_are_never_open_at_once(days, begin, end, seconds):
    moment = datetime.fromtimestamp(seconds, UTC)
    first, last = f"{begin:%H:%M}", f"{end:%H:%M}"
    if first == last:
        return
    here = window(days=["mon-sun"], hours=f"{first}-{last}")
    there = window(days=["mon-sun"], hours=f"{last}-{first}")
    assert here.open_at(moment) is not there.open_at(moment)
    weekday = DAYS[moment.astimezone(ZoneInfo(BERLIN)).weekday()]
    assert window(days=[weekday]).open_at(moment)
    assert not window(days=[days]).open_at(moment) or window(days=[days, weekday]).open_at(moment)
