"""Request ids: they grow, they survive being read aloud, and nothing else passes for one."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.errors import InvalidInput
from bot.core.ids import ALPHABET, next_id, parse_id

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CANONICAL = re.compile(r"[0-9A-HJKMNP-TV-Z]{3}-[0-9A-HJKMNP-TV-Z]{3}")

moments = st.datetimes(
    datetime(2020, 1, 1),  # noqa: DTZ001 - the zone is given beside it
    datetime(2058, 1, 1),  # noqa: DTZ001 - the same
    timezones=st.just(UTC),
)
ids = st.text(ALPHABET, min_size=6, max_size=6).map(lambda letters: f"{letters[:3]}-{letters[3:]}")


def test_the_alphabet_has_no_letters_that_are_taken_for_others() -> None:
    assert len(set(ALPHABET)) == len(ALPHABET) == 32
    assert set("ILOU").isdisjoint(ALPHABET)
    assert sorted(ALPHABET) == list(ALPHABET), "ids sort as their numbers do"


def test_an_id_is_the_number_of_seconds_since_2025() -> None:
    start = datetime(2025, 1, 1, tzinfo=UTC)
    assert next_id(start, None) == "000-000"
    assert next_id(start + timedelta(seconds=31), None) == "000-00Z"
    assert next_id(start + timedelta(seconds=32), None) == "000-010"
    assert next_id(start + timedelta(seconds=32**3), None) == "001-000"


def test_a_clock_before_2025_still_gives_ids() -> None:
    assert next_id(datetime(1999, 1, 1, tzinfo=UTC), None) == "000-000"


@settings(max_examples=20)
@given(st.lists(moments, min_size=2, max_size=6))
def test_ids_always_grow_whatever_the_clock_does(times: list[datetime]) -> None:
    latest = None
    for time in times:
        following = next_id(time, latest)
        assert CANONICAL.fullmatch(following)
        assert latest is None or following > latest
        latest = following


def test_requests_of_one_second_get_ids_of_their_own() -> None:
    first = next_id(NOW, None)
    second = next_id(NOW, first)
    third = next_id(NOW + timedelta(milliseconds=999), second)
    assert first < second < third


@settings(max_examples=20)
@given(moments, moments)
def test_ids_sort_by_time(one: datetime, other: datetime) -> None:
    earlier, later = sorted([one.replace(microsecond=0), other.replace(microsecond=0)])
    assert next_id(earlier, None) <= next_id(later, None)


@settings(max_examples=20)
@given(ids)
def test_an_id_reads_back_as_itself_however_it_is_typed(written: str) -> None:
    compact = written.replace("-", "")
    for typed in (written, written.lower(), compact, compact.lower(), f"  {written}\n"):
        assert parse_id(typed) == written


@settings(max_examples=20)
@given(ids)
def test_letters_that_people_confuse_are_read_as_what_was_meant(written: str) -> None:
    for meant, typed in (("1", "I"), ("1", "l"), ("1", "L"), ("0", "O"), ("0", "o")):
        assert parse_id(written.replace(meant, typed)) == written


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "-",
        "7K3",
        "7K3-QM",
        "7K3-QMXX",
        "7K3-QMU",
        "7K3 QMX",
        "7K3_QMX",
        "7K3-QM\u0660",
        "7K3-QM\uff38",
        "\u017fKK-QMX",
        "\u0131K3-QMX",
        "\ufb03-QMX",
        "*" * 100_000,
    ],
)
def test_what_is_no_id_is_refused_with_an_example(typed: str) -> None:
    with pytest.raises(InvalidInput, match=r"looks like `7K3-QMX`") as refused:
        parse_id(typed)
    assert refused.value.code == "bad_id"
    assert len(refused.value.sentence) < 200


@settings(max_examples=50)
@given(st.text(max_size=12))
def test_garbage_is_refused_or_read_as_a_canonical_id(typed: str) -> None:
    try:
        read = parse_id(typed)
    except InvalidInput as refused:
        read = None
        lines = refused.sentence.splitlines()
        assert len(lines) == 1
    if read is not None:
        assert CANONICAL.fullmatch(read)
        assert parse_id(read) == read


def test_a_refusal_repeats_what_was_typed_on_one_line_of_code() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_id("a`b\n<!channel>")
    assert refused.value.sentence.startswith("`a'b?<!channel>` is no request id.")


def test_once_the_ids_are_used_up_none_is_given_twice() -> None:
    assert next_id(datetime(2059, 1, 10, tzinfo=UTC), None).startswith("ZZY-")
    with pytest.raises(OverflowError):
        next_id(NOW, "ZZZ-ZZZ")
