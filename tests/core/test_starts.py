"""Times that people type, in their own time zone."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import InvalidInput
from bot.core.starts import parse_moment, parse_until, place, shown_in

MADRID = "Europe/Madrid"
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)  # ten o'clock in Madrid


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("14:30", "2026-01-05T13:30"),
        ("9:59", None),
        ("10:00", None),  # it is exactly ten
        ("today 14:30", "2026-01-05T13:30"),
        ("Tomorrow  9:00", "2026-01-06T08:00"),
        ("2026-01-31 09:00", "2026-01-31T08:00"),
        ("2026-01-31T09:00", "2026-01-31T08:00"),
        ("2026-01-31t09:00:30", "2026-01-31T08:00"),
        ("2026-01-31T09:00Z", "2026-01-31T09:00"),
        ("2026-01-31T09:00-05:00", "2026-01-31T14:00"),
        ("2026-01-31 09:00 +0530", "2026-01-31T03:30"),
        ("2026-07-31 09:00", "2026-07-31T07:00"),  # in summer two hours ahead
        ("2025-12-31 09:00", None),
    ],
)
def test_a_time_is_the_persons_own(text: str, moment: str | None) -> None:
    if moment is None:
        with pytest.raises(InvalidInput, match="has passed"):
            place(parse_moment(text), MADRID, NOW)
        return
    assert place(parse_moment(text), MADRID, NOW) == datetime.fromisoformat(f"{moment}+00:00")


def test_tomorrow_is_tomorrow_where_the_person_is() -> None:
    late = datetime(2026, 1, 5, 16, 0, tzinfo=UTC)  # one o'clock at night in Tokyo, on the sixth
    assert place(parse_moment("tomorrow 9:00"), "Asia/Tokyo", late).date().day == 7
    assert place(parse_moment("9:00"), "Asia/Tokyo", late) == datetime(2026, 1, 6, tzinfo=UTC)


def test_a_time_of_today_that_has_passed_is_not_taken_for_tomorrows() -> None:
    with pytest.raises(InvalidInput, match="For the next one write `tomorrow 09:00`"):
        place(parse_moment("9:00"), MADRID, NOW)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("9", "Did you mean `09:00`?"),
        ("9am", "Did you mean `09:00`?"),
        ("2pm", "Did you mean `14:00`?"),
        ("12am", "Did you mean `00:00`?"),
        ("14.30", "Did you mean `14:30`?"),
        ("14h30", "Did you mean `14:30`?"),
        ("tomorrow 9", "Did you mean `tomorrow 09:00`?"),
        ("tomorrow", "Write for example `14:30`"),
        ("soon", "Write for example `14:30`"),
        ("25:00", "is no time"),
        ("2026-02-30 09:00", "is in no calendar"),
        ("2026-13-01 09:00", "is in no calendar"),
        ("", "is no time"),
    ],
)
def test_what_is_no_time_is_answered_with_the_nearest(text: str, says: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_moment(text)
    assert says in raised.value.sentence
    assert raised.value.code == "bad_time"


def test_a_time_that_the_clocks_skip_is_refused() -> None:
    with pytest.raises(InvalidInput, match="the clocks go forward"):
        place(parse_moment("2026-03-29 02:30"), MADRID, NOW)
    assert place(parse_moment("2026-10-25 02:30"), MADRID, NOW) == datetime(
        2026, 10, 25, 0, 30, tzinfo=UTC
    )  # the first of the two


def test_a_time_zone_that_is_not_known_needs_an_offset() -> None:
    with pytest.raises(InvalidInput) as raised:
        place(parse_moment("14:30"), "Mars/Olympus", NOW)
    assert raised.value.code == "unknown_time_zone"
    placed = place(parse_moment("2026-01-31T09:00Z"), "Mars/Olympus", NOW)
    assert shown_in(placed, "Mars/Olympus") == "2026-01-31 09:00 (UTC)"
    assert shown_in(placed, MADRID) == "2026-01-31 10:00 (Europe/Madrid)"


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("2026-01-06", "2026-01-06T23:00"),
        ("today", "2026-01-05T23:00"),
        ("tomorrow", "2026-01-06T23:00"),
        ("tomorrow 18:00", "2026-01-06T17:00"),
        ("2026-03-28", "2026-03-28T23:00"),
        ("2026-03-29", "2026-03-29T22:00"),
    ],
)
def test_until_a_day_is_until_its_end(text: str, until: str) -> None:
    assert place(parse_until(text), MADRID, NOW) == datetime.fromisoformat(f"{until}+00:00")


@given(st.text(max_size=40) | st.from_regex(r"\A(today |tomorrow )?[0-9]{1,2}[:.h][0-9]{2}\Z"))
def test_anything_is_a_time_or_is_answered(text: str) -> None:
    for parse in (parse_moment, parse_until):
        with contextlib.suppress(InvalidInput):
            assert NOW < place(parse(text), MADRID, NOW) < NOW + timedelta(days=100 * 366)
