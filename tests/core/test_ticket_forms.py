"""No form of a ticket makes the bot try a crafted ticket for long."""

from __future__ import annotations

import re

import pytest

from bot.core.policy_fields import _MOST_TICKET, MOST_WAYS, PolicyFault, _ticket_form, _ways


@pytest.mark.parametrize(
    "pattern",
    [
        "(?:A|A)?" * 18 + "x",
        "(?:A|A)" * 20 + "x",
        "(A|A)?" * 18 + "x",
        "A?" * 20 + "A" * 20,
        "A??" * 20 + "x",
        "A{0,20}" * 5 + "x",
        "A{1,}" * 4 + "x",
        "A{,9}" * 7 + "x",
        "A*" * 4 + "x",
        "[A]*A+A*A*x",
        "|".join("A" for _ in range(1001)) + "|" + "(?:A|A)" * 10,
        r"[\]]?(?:A|A)?" * 12 + "x",
    ],
)
def test_a_form_with_too_many_ways_to_try_a_ticket_is_refused(pattern: str) -> None:
    with pytest.raises(PolicyFault, match="could be tried against it in more than 1,000,000 ways"):
        _ticket_form(pattern)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("A{99999999999}", "is no regular expression"),
        ("A{1,99999999999}", "is no regular expression"),
        ("(" * 1400 + "A" + ")" * 1400, "is no regular expression"),
        ("A" * 3001, "more than 3,000 letters"),
        ("A{" + "9" * 5000 + "}", "more than 3,000 letters"),
    ],
)
def test_a_form_that_cannot_be_read_is_told_in_a_sentence(pattern: str, says: str) -> None:
    with pytest.raises(PolicyFault, match=says):
        _ticket_form(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "^[A-Z]+-[0-9]+$",
        "^(?:PAY|OPS|SEC|NET|DATA|INFRA|WEB|APP|IOS|AND|BI|ML|HR|FIN|LEG)-[0-9]+$",
        "(?:CHG|INC|REQ)[0-9]{7}",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[A-Z]{2,10}-[0-9]{1,6}(?:-[a-z]+)?",
        r"#?\d+",
        "[A-Z]+-[A-Z]+-[0-9]+",
        "A*A*A*x",
        r"[\](|*+?{]A",
        r"\(A\|B\)\?",
    ],
)
def test_the_forms_that_people_write_are_taken_and_come_to_an_end(pattern: str) -> None:
    form = re.compile(_ticket_form(pattern))
    for letter in ("A", "1", "-", "a"):
        assert not form.fullmatch(letter * (_MOST_TICKET - 1) + "!")


def test_the_longest_form_that_is_taken_comes_to_an_end() -> None:
    pattern = "(?:A|A)" * 19 + "x"
    assert _ways(pattern.replace("(?:", "(")) <= MOST_WAYS
    assert not re.compile(_ticket_form(pattern)).fullmatch("A" * 99 + "!")


@pytest.mark.parametrize(
    ("flat", "ways"),
    [
        ("x", 1),
        ("x?", 2),
        ("(a|b|c)", 3),
        ("(a|b)(c|d)|e", 8),
        ("((a|b)|c)", 4),
        ("x{3}", 1),
        ("x{2,5}", 4),
        ("x{99,}", 2),
        ("x{,4}", 5),
        ("x{0,5000}", 101),
        ("x*", 101),
        ("x+x*", 102 * 101 // 2),
        ("x{a}", 1),
    ],
)
def test_ways_are_counted_choice_by_choice(flat: str, ways: int) -> None:
    assert _ways(flat) == ways
