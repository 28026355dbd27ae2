"""`/eks-access suspend`: who is meant, the form, and the list of who is suspended."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.core.errors import InvalidInput
from bot.core.suspension import Suspension
from bot.slack.commands import parse
from bot.slack.submissions import read_suspension
from bot.slack.suspend_command import OpenSuspension, Suspend, Suspensions, Unsuspend
from bot.slack.suspensions import suspend_modal, suspensions_reply

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("suspend", Suspensions()),
        ("suspend U01ANA Stolen laptop", Suspend("U01ANA", "Stolen laptop")),
        ("suspend <@U01ANA|ana> Stolen laptop", Suspend("U01ANA", "Stolen laptop")),
        ("SUSPEND @U01ANA Stolen laptop", Suspend("U01ANA", "Stolen laptop")),
        ("suspend @ana Stolen laptop", OpenSuspension("Stolen laptop")),
        ("suspend @ana", OpenSuspension("")),
        ("suspend Stolen laptop", OpenSuspension("Stolen laptop")),
        ("unsuspend U01ANA", Unsuspend("U01ANA")),
        ("unsuspend <@U01ANA>", Unsuspend("U01ANA")),
    ],
)
def test_a_name_is_only_text_and_an_id_is_somebody(text: str, command: object) -> None:
    assert parse(text) == command


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("suspend U01ANA", "missing_reason", "The reason is missing"),
        ("suspend U01ANA --now", "unknown_option", "--now"),
        ("unsuspend", "bad_person", "The Slack id is missing"),
        ("unsuspend @ana", "bad_person", "`@ana` is not a Slack id"),
        ("unsuspend U01ANA now", "too_much", "now"),
    ],
)
def test_what_cannot_be_is_answered(text: str, code: str, says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(text)
    assert says in refused.value.sentence
    assert refused.value.code == code


def test_the_form_is_filled_in_with_the_reason() -> None:
    view = suspend_modal("Stolen laptop")
    assert "Stolen laptop" in str(view)
    assert "users_select" in str(view)
    assert "initial_value" not in str(suspend_modal(""))


@pytest.mark.parametrize(
    ("person", "reason", "field"),
    [
        (None, "why", "person"),
        ("C01", "why", "person"),
        (["U01ANA"], "why", "person"),
        ("U01ANA", None, "reason"),
        ("U01ANA", " ", "reason"),
        ("U01ANA", 7, "reason"),
    ],
)
def test_what_comes_back_is_read_as_something_anybody_could_have_made_up(
    person: object, reason: object, field: str
) -> None:
    entered = {
        "person": {"person": {"selected_user": person}},
        "reason": {"reason": {"value": reason}},
    }
    with pytest.raises(InvalidInput) as refused:
        read_suspension({"state": {"values": entered}})
    assert refused.value.field == field


def test_the_list_says_since_when_by_whom_why_and_how_it_ends() -> None:
    one = Suspension(1, "U01ANA", NOW, "operator", "Stolen <laptop>")
    said = str(suspensions_reply([one]).blocks)
    assert "<@U01ANA>" in said
    assert "by an operator" in said
    assert "/eks-access unsuspend U01ANA" in said
    assert "Stolen &lt;laptop&gt;" in said
    many = [Suspension(n, f"U{n:03}", NOW, "U04DAN", "x" * 500) for n in range(60)]
    assert "20 more" in str(suspensions_reply(many).blocks)
    assert "Nobody is suspended" in suspensions_reply([]).text
