"""Questions about a request and their answers: the forms, and what each side is told.

The words are whose they are: they stand in a quote, in which Slack parses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.access.question import LONGEST
from bot.core.model import AccessRequest, AuditEvent
from bot.slack import blocks, inputs, phrases
from bot.slack.blocks import Block, Message, View
from bot.slack.text import TOLD_LETTERS, mention, safe

QUESTION_CALLBACK = "question"
ANSWER_CALLBACK = "answer"

_INTO_THE_THREAD = "It goes into the thread of the card, in your words."


def question_modal(request: AccessRequest, names: Mapping[str, str]) -> View:
    """The form with one field, for what somebody wants to know.

    `private_metadata` holds the request id, to know which request is meant; whether it still waits,
    and who may ask, is decided from the store when the answer comes.
    """
    who = phrases.person(request.requester, names)
    shown = [
        blocks.section("request", f"{who} asks {phrases.wish(request)}"),
        blocks.quote("asked", request.reason),
        _field("question", "Your question"),
    ]
    return blocks.modal(
        QUESTION_CALLBACK, "Ask a question", shown, submit="Ask", private_metadata=request.id
    )


def answer_modal(request: AccessRequest, question: AuditEvent, names: Mapping[str, str]) -> View:
    """The form for the requester's answer to the newest question."""
    shown = [
        blocks.section("request", _asks_about(request, question, names)),
        _quoted(question, "question"),
        _field("answer", "Your answer"),
    ]
    return blocks.modal(
        ANSWER_CALLBACK, "Answer", shown, submit="Answer", private_metadata=request.id
    )


def question_notice(
    request: AccessRequest, question: AuditEvent, names: Mapping[str, str]
) -> Message:
    """The question in the thread of the card. The requester reads it in a message of their own."""
    asked = phrases.person(request.requester, names)
    line = f"{phrases.person(question.actor, names)} asks {asked} about {phrases.subject(request)}:"
    quoted = _quoted(question, "question")
    return Message(
        _with_words(line, question, "question"), [blocks.section("notice", line), quoted]
    )


def question_news(
    request: AccessRequest, question: AuditEvent, names: Mapping[str, str]
) -> Message:
    """The question to the requester, who may not be in the owners' channel, and a way to answer."""
    line = _asks_about(request, question, names)
    answer = blocks.button("answer", "Answer…", request.id, style="primary")
    return Message(
        _with_words(line, question, "question"),
        [
            blocks.section("news", line),
            _quoted(question, "question"),
            blocks.actions("answer", answer),
            blocks.context("id", f"req {request.id}"),
        ],
    )


def answer_notice(
    request: AccessRequest, answer: AuditEvent, asker: str, names: Mapping[str, str]
) -> Message:
    """The answer in the thread of the card; whoever asked last is mentioned."""
    who = phrases.person(answer.actor, names)
    line = f"{mention(asker)}: {who} answers about {phrases.subject(request)}:"
    quoted = _quoted(answer, "answer")
    return Message(_with_words(line, answer, "answer"), [blocks.section("notice", line), quoted])


def _asks_about(request: AccessRequest, question: AuditEvent, names: Mapping[str, str]) -> str:
    return f"{phrases.person(question.actor, names)} asks about {phrases.subject(request)}:"


def _field(name: str, label: str) -> Block:
    text = inputs.text(name, "", LONGEST, multiline=True)
    return inputs.field(name, label, text, hint=_INTO_THE_THREAD)


def _with_words(line: str, said: AuditEvent, what: str) -> str:
    """What a notification shows: the line, and the first of the words."""
    return f"{line} {safe(str(said.details.get(what, '')), TOLD_LETTERS)}"


def _quoted(said: AuditEvent, what: str) -> Block:
    return blocks.quote(what, str(said.details.get(what, "")), limit=LONGEST)
