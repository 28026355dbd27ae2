from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.durations import LONGEST, compact_duration, format_duration, parse_duration
from bot.core.errors import InvalidInput

SECONDS = st.integers(min_value=1, max_value=int(LONGEST.total_seconds()))


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("30m", 30),
        ("2h", 120),
        ("1h30m", 90),
        ("90m", 90),
        ("1d", 1440),
        ("1d2h3m", 1563),
        ("05m", 5),
        ("30d", 43_200),
    ],
)
def test_a_length_is_read_as_it_is_written(text, minutes):
    assert parse_duration(text) == timedelta(minutes=minutes)


def test_seconds_are_read_too():
    assert parse_duration("1m30s") == timedelta(seconds=90)


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("2 days", "2d"),
        ("-1h", "1h"),
        ("1.5h", "1h30m"),
        ("90", "90m"),
        ("2H", "2h"),
        ("2h ", "2h"),
        ("1 hour 30 minutes", "1h30m"),
        ("30m1h", "1h30m"),
        ("\uff12h", "2h"),  # a full-width digit
        ("+1h", "1h"),
    ],
)
def test_a_wrong_length_names_the_nearest_valid_one(text, nearest):
    with pytest.raises(InvalidInput) as caught:
        parse_duration(text)
    meant = nearest if nearest != "90m" else "1h30m"
    assert f"Did you mean `{meant}`?" in caught.value.sentence
    assert parse_duration(meant) == parse_duration(nearest)
    assert caught.value.code == "bad_duration"
    assert caught.value.field == "duration"


@pytest.mark.parametrize(
    "text", ["", " ", "two hours", "h", "1h1h", "1w", "\u0663h", "1e3m", "1h\n"]
)
def test_what_is_no_length_is_refused(text):
    with pytest.raises(InvalidInput, match="is no length of time"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0", "0m", "0h0m"])
def test_no_time_at_all_is_refused(text):
    with pytest.raises(InvalidInput):
        parse_duration(text)


@pytest.mark.parametrize("text", ["9999h", "31d", "720h1m", "99999999999999999999m"])
def test_more_than_thirty_days_is_refused_with_that_limit(text):
    with pytest.raises(InvalidInput, match="longer than 30 days"):
        parse_duration(text)


def test_a_very_long_text_is_refused_and_not_repeated_in_full():
    with pytest.raises(InvalidInput) as caught:
        parse_duration("1" * 100_000 + "h")
    assert len(caught.value.sentence) < 300


@pytest.mark.parametrize(
    ("seconds", "people", "paste"),
    [
        (0, "0 s", "0s"),
        (45, "45 s", "45s"),
        (60, "1 min", "1m"),
        (90, "1 min 30 s", "1m30s"),
        (3600, "1 h", "1h"),
        (5400, "1 h 30 min", "1h30m"),
        (7109, "1 h 58 min", "1h58m29s"),
        (86_400, "1 day", "1d"),
        (183_600, "2 days 3 h", "2d3h"),
        (86_430, "1 day", "1d30s"),
        (-5, "0 s", "0s"),
    ],
)
def test_a_length_is_shown_to_people_and_for_pasting(seconds, people, paste):
    length = timedelta(seconds=seconds)
    assert format_duration(length) == people
    assert compact_duration(length) == paste


@given(SECONDS)
@settings(max_examples=20)
def test_what_is_shown_for_pasting_reads_back_as_the_same_length(seconds):
    length = timedelta(seconds=seconds)
    assert parse_duration(compact_duration(length)) == length


@given(st.text(max_size=30))
@settings(max_examples=25)
def test_any_text_gives_a_length_in_bounds_or_a_sentence(text):
    try:
        length = parse_duration(text)
    except InvalidInput as error:
        assert error.sentence.endswith(".")  # noqa: PT017 - both outcomes are checked
    else:
        assert timedelta() < length <= LONGEST
