"""What a submitted modal says, read as something anybody could have made up.

A submission is JSON of any shape. Whatever does not have the shape of the modal's own answer is
InvalidInput, naming the block it belongs to; whether what is asked for exists and may be had is
the policy's to say.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from bot.access import post_review, question
from bot.core.ask_checks import MOST_REASON_LETTERS, MOST_TICKET_LETTERS
from bot.core.durations import parse_duration
from bot.core.errors import InvalidInput
from bot.core.ids import parse_id
from bot.core.model import Ask
from bot.slack.blocks import OPTION_VALUE_LIMIT
from bot.slack.inputs import (
    NAMESPACES_LIMIT,
    WHOLE_CLUSTER,
    read_moment,
    says_whole_cluster,
)
from bot.slack.text import clean, clean_lines

_USER = re.compile(r"[UW][A-Z0-9]{2,30}\Z", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", re.ASCII)


def read_submission(state: object) -> Ask:
    """The Ask in a request modal's state by field: `{"values": {field: {field: answer}}}`.

    Raises InvalidInput with the field.
    """
    cluster = _name(state, "cluster", "Choose a cluster.")
    level = _name(state, "level", "Choose a level.")
    ticked = _element(state, WHOLE_CLUSTER).get("selected_options")
    return Ask(
        cluster=cluster,
        level=level,
        namespaces=_namespaces(state),
        duration=_duration(state),
        start_at=_start(state),
        ticket=_typed(state, "ticket", MOST_TICKET_LETTERS, optional=True) or None,
        reason=_reason(state, "Say why you need it. The people who decide read it."),
        whole_cluster=says_whole_cluster(ticked, cluster, level),
    )


def read_denial(view: object) -> tuple[str, str]:
    """The request id and the reason in a deny modal's `view`.

    Raises InvalidInput with the block id as its field, as the others below do; without one where
    no request is named.
    """
    request_id = _named(view, "This answer names no request.")
    return request_id, _reason(_state(view), "Say why not. The requester reads it.")


def read_revocation(view: object) -> tuple[str, str]:
    """The request id and the reason ("" for none) in a revoke modal's `view`."""
    request_id, state = _named(view, "This answer names no access."), _state(view)
    return request_id, _typed(state, "reason", MOST_REASON_LETTERS, optional=True)


def read_question(view: object) -> tuple[str, str]:
    """The request id and the question in a question modal's `view`."""
    request_id = _named(view, "This question names no request.")
    asked = _typed(_state(view), "question", question.LONGEST)
    if not asked:
        raise InvalidInput("missing_question", "Write what you want to know.", field="question")
    return request_id, asked


def read_answer(view: object) -> tuple[str, str]:
    """The request id and the answer in an answer modal's `view`."""
    request_id = _named(view, "This answer names no request.")
    answer = _typed(_state(view), "answer", question.LONGEST)
    if not answer:
        raise InvalidInput("missing_answer", "Write your answer.", field="answer")
    return request_id, answer


def read_extension(view: object) -> tuple[str, timedelta, str]:
    """The request id, how much longer, and the reason ("" for none) in an extend modal's `view`."""
    request_id, state = _named(view, "This answer names no access."), _state(view)
    return request_id, _duration(state), _typed(state, "reason", MOST_REASON_LETTERS, optional=True)


def read_review(view: object) -> tuple[str, str, bool]:
    """The request id, the findings, and whether it was justified, in a review modal's `view`."""
    request_id, state = _named(view, "This review names no break-glass."), _state(view)
    findings = _typed(state, "findings", post_review.LONGEST)
    if not findings:
        raise InvalidInput("missing_findings", "Say what was done.", field="findings")
    chosen = _name(state, "justified", "Say whether it was justified.")
    if chosen not in {"justified", "unjustified"}:
        raise _malformed("justified")
    return request_id, findings, chosen == "justified"


def read_delegation(view: object) -> tuple[str, str]:
    """The deputy's Slack id and the day, `YYYY-MM-DD`, in a delegation modal's `view`."""
    state = _state(view)
    deputy = _element(state, "deputy").get("selected_user")
    until = _element(state, "until").get("selected_date")
    if not isinstance(deputy, str) or not _USER.match(deputy):
        raise InvalidInput("missing_deputy", "Choose who decides in your place.", field="deputy")
    if not isinstance(until, str) or not _DAY.match(until):
        raise InvalidInput("missing_until", "Choose until when.", field="until")
    return deputy, until


def read_suspension(view: object) -> tuple[str, str]:
    """The person's Slack id and the reason in a suspension modal's `view`."""
    state = _state(view)
    person = _element(state, "person").get("selected_user")
    if not isinstance(person, str) or not _USER.match(person):
        raise InvalidInput("missing_person", "Choose who is to be suspended.", field="person")
    return person, _reason(state, "The reason is missing; it goes to security.")


def _named(view: object, missing: str) -> str:
    """The id of the request that `view` is about, from what it was opened with."""
    request_id = view.get("private_metadata") if isinstance(view, dict) else None
    if not isinstance(request_id, str):
        raise InvalidInput("bad_id", f"{missing} Nothing was done.")
    return parse_id(request_id)


def _state(view: object) -> object:
    """What was entered in `view`, by block and by field."""
    return view.get("state") if isinstance(view, dict) else None


def _element(state: object, field: str) -> dict[str, object]:
    """The answer of the element whose block and action ids are both `field`."""
    found: object = state
    for key in ("values", field, field):
        found = found.get(key) if isinstance(found, dict) else None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise _malformed(field)
    return {str(key): value for key, value in found.items()}


def _name(state: object, field: str, missing: str) -> str:
    chosen = _element(state, field).get("selected_option")
    if chosen is None:
        raise InvalidInput(f"missing_{field}", missing, field=field)
    return _option_value(chosen, field)


def _option_value(chosen: object, field: str) -> str:
    value = chosen.get("value") if isinstance(chosen, dict) else None
    if not isinstance(value, str) or not value or len(value) > OPTION_VALUE_LIMIT:
        raise _malformed(field)
    if clean(value) != value or " " in value:
        raise _malformed(field)
    return value


def _namespaces(state: object) -> tuple[str, ...]:
    field = "namespaces"
    element = _element(state, field)
    if "selected_options" in element:
        chosen = element["selected_options"]
        if not isinstance(chosen, list):
            raise _malformed(field)
        return tuple(dict.fromkeys(_option_value(one, field) for one in chosen))
    names = _typed(state, field, NAMESPACES_LIMIT, optional=True).replace(",", " ").split()
    if any(len(name) > OPTION_VALUE_LIMIT for name in names):
        raise _malformed(field)
    return tuple(dict.fromkeys(names))


def _duration(state: object) -> timedelta:
    field = "duration"
    text = _name(state, field, "Choose for how long.")
    try:
        return parse_duration(text)
    except InvalidInput as error:
        raise InvalidInput(error.code, error.sentence, field=field) from None


def _start(state: object) -> datetime | None:
    seconds = _element(state, "start").get("selected_date_time")
    if seconds is None:
        return None
    start = read_moment(seconds)
    if start is None:
        raise _malformed("start")
    return start


def _reason(state: object, missing: str) -> str:
    reason = _typed(state, "reason", MOST_REASON_LETTERS)
    if not reason:
        raise InvalidInput("missing_reason", missing, field="reason")
    return reason


def _typed(state: object, field: str, limit: int, *, optional: bool = False) -> str:
    value = _element(state, field).get("value")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _malformed(field)
    if len(value) > limit:
        raise InvalidInput(
            "too_long", f"That is {len(value):,} letters; {limit:,} fit here.", field=field
        )
    return clean(value) if optional else clean_lines(value, limit)


def _malformed(field: str) -> InvalidInput:
    return InvalidInput(
        "malformed",
        f"What was sent as {field} has not the form of the form's own answer. Nothing was done.",
        field=field,
    )
