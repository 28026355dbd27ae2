"""`/eks-access delegate`: what is read, the form, and what is told."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from view_examples import BEN, CLEO, HOSTILE, NAMES, NOW, check_message, check_view, read

from bot.core.errors import InvalidInput
from bot.core.model import Delegation
from bot.slack.commands import parse
from bot.slack.delegate_command import Delegate, Delegations, OpenDelegation, Undelegate
from bot.slack.delegations import delegate_modal, delegations_reply
from bot.slack.submissions import read_delegation


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("delegate", OpenDelegation()),
        ("delegate @cleo until 2026-12-01", OpenDelegation("2026-12-01")),
        ("delegate @Cleo Roux until tomorrow", OpenDelegation("tomorrow")),
        ("delegate cleo@example.com until 2026-12-01", OpenDelegation("2026-12-01")),
        ("delegate u03cleo until 2026-12-01", OpenDelegation("2026-12-01")),
        ("delegate @cleo", OpenDelegation()),
        ("delegate U03CLEO until 2026-12-01", Delegate("U03CLEO", "2026-12-01")),
        ("delegate <@U03CLEO> until 2026-12-01 18:00", Delegate("U03CLEO", "2026-12-01 18:00")),
        ("delegate <@U03CLEO|cleo> until tomorrow", Delegate("U03CLEO", "tomorrow")),
        ("delegate off", Undelegate()),
        ("delegate OFF U03CLEO", Undelegate("U03CLEO")),
        ("delegations", Delegations()),
    ],
)
def test_a_name_is_only_text_and_an_id_is_somebody(text: str, command: object) -> None:
    assert parse(text) == command


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("delegate U03CLEO", "missing_until", "`/eks-access delegate U03CLEO until 2026-01-31`"),
        ("delegate U03CLEO until soon", "bad_time", "`soon` is no time"),
        ("delegate U03CLEO until 2026-02-30", "bad_time", "in no calendar"),
        ("delegate @cleo until", "bad_time", "is no time"),
        ("delegate off @cleo", "bad_delegate", "is no Slack id"),
        ("delegations now", "too_much", "do not know what to do with"),
    ],
)
def test_what_cannot_be_is_answered(text: str, code: str, says: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse(text)
    assert raised.value.code == code
    assert says in raised.value.sentence


@given(st.lists(st.sampled_from([*HOSTILE, "until", "off", "U03CLEO", "2026-12-01"]), max_size=5))
def test_anything_is_a_command_or_is_answered(words: list[str]) -> None:
    try:
        parse(" ".join(["delegate", *words]))
    except InvalidInput as error:
        assert error.sentence  # noqa: PT017 - either is right


def test_the_form_asks_slack_who_and_until_when() -> None:
    view = check_view(delegate_modal(date(2026, 12, 1)))
    assert read(view["blocks"])[1:] == ["Who?: users_select", "Until the end of: datepicker"]
    assert view["blocks"][-1]["element"]["initial_date"] == "2026-12-01"
    assert "initial_date" not in check_view(delegate_modal(None))["blocks"][-1]["element"]


def state(deputy: object, until: object) -> dict[str, object]:
    held = {"deputy": {"selected_user": deputy}, "until": {"selected_date": until}}
    return {"state": {"values": {name: {name: value} for name, value in held.items()}}}


def test_what_comes_back_is_read_as_something_anybody_could_have_made_up() -> None:
    assert read_delegation(state("U03CLEO", "2026-12-01")) == ("U03CLEO", "2026-12-01")
    for deputy, until, field in (
        (None, "2026-12-01", "deputy"),
        ("<!channel>", "2026-12-01", "deputy"),
        (["U03CLEO"], "2026-12-01", "deputy"),
        ("U03CLEO", None, "until"),
        ("U03CLEO", "tomorrow", "until"),
        ("U03CLEO", 7, "until"),
    ):
        with pytest.raises(InvalidInput) as raised:
            read_delegation(state(deputy, until))
        assert raised.value.field == field
    for odd in (None, [], {"state": 1}, {"state": {"values": {"deputy": 3}}}):
        with pytest.raises(InvalidInput):
            read_delegation(odd)


def test_everybody_may_see_who_decides_for_whom() -> None:
    one = Delegation(1, BEN, CLEO, NOW, NOW + timedelta(days=1))
    assert read(check_message(delegations_reply([one], NAMES)).blocks) == [
        "*Deputies (1)*",
        "Cleo Roux decides for Ben Ito until 2026-01-06 14:40 UTC",
    ]
    assert read(check_message(delegations_reply([], NAMES)).blocks) == [
        "*Deputies (0)*",
        "Nobody.",
    ]
    check_message(delegations_reply([one] * 200, {}))
