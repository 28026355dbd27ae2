"""A question about a request: the form it is typed into, and what the requester is told.

The words are the asker's: they stand in a quote, in which Slack parses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.access.question import LONGEST
from bot.core.model import AccessRequest, AuditEvent
from bot.slack import blocks, phrases
from bot.slack.blocks import Block, Message, View
from bot.slack.text import listed, mention, mention_channel, safe

QUESTION_CALLBACK = "question"
_TOLD_LETTERS = 150


def question_modal(request: AccessRequest, names: Mapping[str, str]) -> View:
    """The form with one field, for what somebody wants to know.

    `private_metadata` holds the request id, to know which request is meant; whether it still waits,
    and who may ask, is decided from the store when the answer comes.
    """
    who = phrases.person(request.requester, names)
    field: Block = {
        "type": "input",
        "block_id": "question",
        "label": blocks.plain_text("Your question", 2000),
        "hint": blocks.plain_text("It goes into the thread of the card, in your words.", 2000),
        "optional": False,
        "element": {
            "type": "plain_text_input",
            "action_id": "question",
            "multiline": True,
            "max_length": LONGEST,
        },
    }
    shown = [
        blocks.section("request", f"{who} asks {phrases.wish(request)}"),
        blocks.quote("asked", request.reason),
        field,
    ]
    return blocks.modal(
        QUESTION_CALLBACK, "Ask a question", shown, submit="Ask", private_metadata=request.id
    )


def question_notice(
    request: AccessRequest, question: AuditEvent, names: Mapping[str, str]
) -> Message:
    """The question in the thread of the card, where the requester answers it."""
    asker = phrases.person(question.actor, names)
    line = f"{mention(request.requester)}: {asker} asks about {phrases.subject(request)}:"
    return Message(_with_words(line, question), [blocks.section("notice", line), _quoted(question)])


def question_news(
    request: AccessRequest, question: AuditEvent, names: Mapping[str, str]
) -> Message:
    """The question to the requester, who may not be in the owners' channel: where to answer."""
    channels = dict.fromkeys(one.channel for one in request.requirements)
    places = listed([mention_channel(channel) for channel in channels], 5)
    line = f"{phrases.person(question.actor, names)} asks about {phrases.subject(request)}:"
    where = (
        f"Answer in the thread of the request's card in {places}, or write" if places else "Write"
    )
    answer = f"{where} to {mention(question.actor)}."
    return Message(
        _with_words(line, question),
        [
            blocks.section("news", line),
            _quoted(question),
            blocks.section("answer", answer),
            blocks.context("id", f"req {request.id}"),
        ],
    )


def _with_words(line: str, question: AuditEvent) -> str:
    """What a notification shows: the line, and the first words of the question."""
    return f"{line} {safe(str(question.details.get('question', '')), _TOLD_LETTERS)}"


def _quoted(question: AuditEvent) -> Block:
    return blocks.quote("question", str(question.details.get("question", "")), limit=LONGEST)
