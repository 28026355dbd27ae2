"""What people typed can format nothing, mention nobody and hide nothing."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from view_examples import check_mrkdwn, hostile

from bot.slack.text import (
    clean,
    clean_lines,
    code,
    count,
    cut,
    date,
    listed,
    mention,
    mention_channel,
    mention_group,
    plain,
    safe,
    size,
)

texts = st.text(max_size=300) | hostile


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("Ana Ruiz", "Ana Ruiz"),
        ("José Ñáñez-O'Brien", "José Ñáñez-O'Brien"),
        ("<!channel>", "&lt;!channel&gt;"),
        ("<https://evil.example|Approve>", "&lt;https\u2236//evil.example|Approve&gt;"),
        ("*bold*", "\u2217bold\u2217"),
        ("~gone~", "\u223cgone\u223c"),
        ("`code`", "\u02cbcode\u02cb"),
        ("_it_ a_b", "\uff3fit\uff3f a_b"),
        ("@here", "\uff20here"),
        (":tada:", "\u2236tada:"),
        ("> quote", "\u203a quote"),
        ("at: noon", "at: noon"),
        ("two\nlines\tand  more", "two lines and more"),
        ("\u202eevil\u202c\u2066\u200b\ufeff", "evil"),
        ("a\u00adb\u3164c", "abc"),
        ("\u0301\u0301x \u0301y", "x y"),
        ("\x1b[31mred\x00", "[31mred"),
        ("  ", ""),
    ],
)
def test_safe_shows_words_and_does_nothing(typed: str, shown: str) -> None:
    assert safe(typed) == shown


def test_marks_do_not_pile_up() -> None:
    assert safe("Z" + "\u0337" * 40 + "algo") == "Z" + "\u0337" * 4 + "algo"


@given(texts, st.integers(2, 400))
def test_safe_is_inert_within_its_limit_and_in_one_line(typed: str, limit: int) -> None:
    shown = safe(typed, limit)
    check_mrkdwn(shown)
    assert size(shown) <= limit
    assert not set("*~`@\n") & set(shown)
    assert not shown.startswith(("&gt;", "_"))


@given(texts, st.integers(60, 400))
def test_nothing_invisible_is_left(typed: str, limit: int) -> None:
    for shown in (safe(typed, limit), plain(typed, limit), clean_lines(typed).replace("\n", "")):
        assert all(unicodedata.category(letter)[0] != "C" for letter in shown)
        assert "\u3164" not in shown


@given(texts)
def test_cleaning_twice_is_cleaning_once(typed: str) -> None:
    assert clean(clean(typed)) == clean(typed)
    assert clean_lines(clean_lines(typed)) == clean_lines(typed)


def test_truncation_says_how_much_is_gone() -> None:
    shown = safe("a" * 1334, 122)
    assert shown == "a" * 100 + "… (1,234 more letters)"


def test_an_entity_is_never_cut_in_half() -> None:
    for limit in range(60, 120):
        head, _, note = safe("&" * 500, limit).partition("…")
        assert head == "&amp;" * (len(head) // 5)
        assert note == f" ({500 - len(head) // 5} more letters)"


def test_where_there_is_little_room_the_note_is_an_ellipsis() -> None:
    assert plain("Ana Maria Ruiz", 8) == "Ana Mar…"


def test_a_letter_is_not_torn_from_its_marks() -> None:
    kept, note = cut("e\u0301" * 30, 40)
    assert kept.endswith("\u0301")
    assert note == f"… ({60 - len(kept)} more letters)"


def test_letters_beyond_the_basic_plane_count_twice() -> None:
    assert size("\U0001f600") == 2
    assert size(plain("\U0001f600" * 50, 70)) <= 70


@given(texts, st.integers(1, 300))
def test_a_code_span_holds_no_backtick_and_no_markup(typed: str, limit: int) -> None:
    shown = code(typed, limit)
    check_mrkdwn(shown)
    assert shown.startswith("`")
    assert shown.endswith("`")
    assert len(shown) >= 3
    assert "`" not in shown[1:-1]
    assert size(shown) <= limit + 2


def test_the_first_ten_lines_stay_and_the_rest_becomes_one() -> None:
    shown = clean_lines("\r\n\n".join(f"line {number}" for number in range(14)))
    assert shown.split("\n")[:2] == ["line 0", "line 1"]
    assert shown.split("\n")[-1] == "line 9 line 10 line 11 line 12 line 13"
    assert shown.count("\n") == 9


MOMENT = datetime(2026, 1, 5, 15, 40, 9, tzinfo=UTC)


def test_a_time_is_a_token_with_utc_as_its_fallback() -> None:
    stamp = int(MOMENT.timestamp())
    assert date(MOMENT) == (
        f"<!date^{stamp}^{{date_short_pretty}} at {{time}}|2026-01-05 15:40 UTC>"
    )
    assert date(MOMENT, "time") == f"<!date^{stamp}^{{time}}|15:40 UTC>"
    assert date(MOMENT, "second") == (
        f"<!date^{stamp}^{{date_short_pretty}} at {{time_secs}}|2026-01-05 15:40:09 UTC>"
    )


def test_the_same_moment_in_another_zone_is_the_same_token() -> None:
    assert date(MOMENT.astimezone(timezone(timedelta(hours=9)))) == date(MOMENT)


def test_ids_become_mentions_and_anything_else_does_not() -> None:
    assert mention("U01ANA") == "<@U01ANA>"
    assert mention_group("S02PAYLEADS") == "<!subteam^S02PAYLEADS>"
    assert mention_channel("C01PAY") == "<#C01PAY>"
    for forged in ("U1><!channel", "u01ana", "", "U01ANA\n", "!channel", "U01|x"):
        for shown in (mention(forged), mention_group(forged), mention_channel(forged)):
            check_mrkdwn(shown)
            assert not shown.startswith("<")


def test_lists_are_written_out_and_long_ones_counted() -> None:
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert count(1, "rule") == "1 rule"
    assert count(1200, "rule") == "1,200 rules"
