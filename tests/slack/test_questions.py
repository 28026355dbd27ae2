"""A question about a request: the form, and the two messages that carry it, each said once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from view_examples import (
    ANA,
    BEN,
    CLEO,
    NAMES,
    NOW,
    Situation,
    check_message,
    check_view,
    hostile,
    read,
    request,
    requests,
    situations,
)

from bot.core.errors import InvalidInput
from bot.core.model import AuditEvent, RequestState
from bot.slack.projection import project
from bot.slack.questions import (
    answer_modal,
    answer_notice,
    question_modal,
    question_news,
    question_notice,
)
from bot.slack.submissions import read_answer, read_question

WHAT = "*edit* on *prod-eu* / `payments`"


def question(text: str = "Which job is stuck?", by: str = BEN) -> AuditEvent:
    return AuditEvent(NOW, by, "request.asked", "7K3-QMX", "prod-eu", {"question": text})


def answer(text: str) -> AuditEvent:
    return AuditEvent(NOW, ANA, "request.answered", "7K3-QMX", "prod-eu", {"answer": text})


def submitted(text: object, request_id: object = "7K3-QMX") -> dict:
    return {
        "private_metadata": request_id,
        "state": {"values": {"question": {"question": {"value": text}}}},
    }


def test_the_question_is_quoted_in_the_thread() -> None:
    """It mentions nobody: the requester reads it in a message of their own."""
    assert read(check_message(question_notice(request(), question(), NAMES)).blocks) == [
        f"Ben Ito asks Ana Ruiz about {WHAT}:",
        "> Which job is stuck?",
    ]


def test_the_requester_has_a_button_to_answer() -> None:
    assert read(check_message(question_news(request(), question(), NAMES)).blocks) == [
        f"Ben Ito asks about {WHAT}:",
        "> Which job is stuck?",
        "[Answer…]",
        "req 7K3-QMX",
    ]


def test_the_answer_is_quoted_in_the_thread_and_mentions_who_asked_last() -> None:
    said = [question("One?", CLEO), question("Two?"), answer("The nightly one")]
    shown = project(
        request(),
        (),
        None,
        names=NAMES,
        audit_channel=None,
        unreachable={},
        questions=said,
        now=NOW,
    )
    (notice,) = (one for one in shown.wanted if one.key == "notice:question:3")
    assert read(notice.blocks) == [
        f"<@U02BEN>: Ana Ruiz answers about {WHAT}:",
        "> The nightly one",
    ]
    assert notice.text == f"<@U02BEN>: Ana Ruiz answers about {WHAT}: The nightly one"
    assert "news:question:3" not in {one.key for one in shown.wanted}


def test_the_form_of_an_answer_shows_the_question() -> None:
    view = check_view(answer_modal(request(), question(), NAMES))
    assert read(view["blocks"]) == [
        f"Ben Ito asks about {WHAT}:",
        "> Which job is stuck?",
        "Your answer: plain_text_input",
    ]
    assert (view["callback_id"], view["private_metadata"]) == ("answer", "7K3-QMX")
    typed = {"values": {"answer": {"answer": {"value": " The\u202e nightly one "}}}}
    assert read_answer({**view, "state": typed}) == ("7K3-QMX", "The nightly one")
    with pytest.raises(InvalidInput) as error:
        read_answer({**view, "state": {"values": {"answer": {"answer": {"value": " "}}}}})
    assert error.value.field == "answer"


def test_all_of_the_longest_question_is_shown() -> None:
    lines = read(question_notice(request(), question("x" * 3000), NAMES).blocks)
    assert lines[-1] == "> " + "x" * 3000


def test_each_question_is_posted_once_in_every_channel_and_to_the_requester() -> None:
    projection = project(
        request(),
        (),
        None,
        names=NAMES,
        audit_channel=None,
        unreachable={},
        questions=[question("One?"), question("Two?")],
        now=NOW,
    )
    asked = [one for one in projection.wanted if "question" in one.key]
    assert [(one.key, one.recipient, one.thread) for one in asked] == [
        ("notice:question:1", "C01PAY", "card"),
        ("news:question:1", ANA, "direct"),
        ("notice:question:2", "C01PAY", "card"),
        ("news:question:2", ANA, "direct"),
    ]
    assert all(one.once and one.unsaid for one in asked)


def test_a_submitted_question_is_read() -> None:
    assert read_question(submitted(" Which job? ")) == ("7K3-QMX", "Which job?")


@pytest.mark.parametrize("text", [None, "", "  ", "\u200b", "x" * 3001, 7, ["x"]])
def test_a_question_that_is_none_is_refused_at_its_field(text: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_question(submitted(text))
    assert refused.value.field == "question"


@pytest.mark.parametrize("request_id", [None, 7, "", "nonsense", "<!channel>"])
def test_a_question_about_nothing_is_refused(request_id: object) -> None:
    with pytest.raises(InvalidInput):
        read_question(submitted("Which job?", request_id))


@given(situations(), hostile)
@settings(max_examples=100)
def test_slack_takes_every_question(situation: Situation, text: str) -> None:
    asked, names = situation.request, situation.names
    check_message(question_notice(asked, question(text), names))
    check_message(question_news(asked, question(text), names))
    check_message(answer_notice(asked, answer(text), BEN, names))


@given(requests(RequestState.PENDING), st.dictionaries(st.just(ANA), hostile))
@settings(max_examples=60)
def test_slack_takes_every_form_for_a_question(asked, names: dict[str, str]) -> None:
    check_view(question_modal(asked, names))
    check_view(answer_modal(asked, question(asked.reason), names))
