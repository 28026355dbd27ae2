"""What services put into Retry-After, and what of it is kept."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.core.retry_after import LONGEST_WAIT, retry_after, retry_after_of_aws

SENT = "Tue, 01 Dec 2026 13:00:00 GMT"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        (" 30 ", 30),
        ("1.5", 1.5),
        ("1.", 1),
        ("0.25", 0.25),
        ("601", 601),
        ("3600", 3600),
        ("86400", LONGEST_WAIT.total_seconds()),
        ("Tue, 01 Dec 2026 13:00:20 GMT", 20),
        ("Tuesday, 01-Dec-26 13:00:20 GMT", 20),
        ("Tue Dec  1 13:00:20 2026", 20),
        ("Wed, 02 Dec 2026 13:00:00 GMT", LONGEST_WAIT.total_seconds()),
    ],
)
def test_what_is_asked_for_is_waited_up_to_an_hour(text: str, seconds: float) -> None:
    assert retry_after({"Retry-After": text, "Date": SENT}) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0.0",
        "-20",
        "nan",
        "inf",
        "1e3",
        "9" * 500,
        "1,5",
        "٣",
        "soon",
        "Tue, 01 Dec 2026 12:59:59 GMT",
        "Tue, 99 Dec 2026 12:59:59 GMT",
        "Tue, 01 Dec 99999 12:59:59 GMT",
    ],
)
def test_nonsense_and_what_is_over_ask_for_nothing(text: str) -> None:
    assert retry_after({"retry-after": text, "date": SENT}) is None


def test_a_date_without_a_date_to_hold_it_against_asks_for_nothing() -> None:
    assert retry_after({"Retry-After": SENT}) is None
    assert retry_after({"Retry-After": SENT, "Date": "today"}) is None
    assert retry_after({}) is None


def test_another_header_is_read_the_same_way() -> None:
    assert retry_after({"RateLimit-Reset": "17"}, "ratelimit-reset") == timedelta(seconds=17)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"X-Amz-Retry-After": "1500"}, 1.5),
        ({"x-amz-retry-after": "1500", "retry-after": "30"}, 1.5),
        ({"x-amz-retry-after": "soon", "retry-after": "30"}, 30),
        ({"x-amz-retry-after": "999999999"}, LONGEST_WAIT.total_seconds()),
        ({"Retry-After": "30"}, 30),
    ],
)
def test_aws_counts_milliseconds_in_its_own_header(headers: dict[str, str], seconds: float) -> None:
    assert retry_after_of_aws(headers) == timedelta(seconds=seconds)
