"""What a command or a form puts into the inbox: the kind, and the document that is stored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bot.core.model import Ask
from bot.slack import commands
from bot.slack.delegate_command import Delegate, Undelegate
from bot.slack.id_commands import Approve, Cancel, Deny, Extend, Return, ReviewBreakGlass, Revoke
from bot.slack.lockdown_command import Lockdown, Turn
from bot.slack.needs import ask_adapter
from bot.slack.submissions import (
    read_answer,
    read_delegation,
    read_denial,
    read_extension,
    read_question,
    read_review,
    read_revocation,
    read_suspension,
)
from bot.slack.suspend_command import Suspend, Unsuspend
from bot.store.inbox import Kind

Document = Mapping[str, Any]

_BY_ID: Mapping[type, Kind] = {
    Approve: Kind.APPROVE,
    Cancel: Kind.CANCEL,
    Return: Kind.RETURN,
}


def stored(command: commands.Command) -> tuple[Kind, Document] | None:  # noqa: PLR0911 - one answer for each kind
    """What a command that changes something stores; None for one that only asks."""
    match command:
        case commands.Request(ask, at):
            return Kind.REQUEST, {**request(ask), "at": at}
        case commands.BreakGlass(ask):
            return Kind.BREAK_GLASS, break_glass(ask, None)
        case Deny(id, reason):
            return Kind.DENY, {"request_id": id, "reason": reason}
        case Extend(id, more, reason):
            return Kind.EXTEND, extension(id, more, reason)
        case Lockdown(Turn.ON | Turn.OFF as turn, reason, revoking):
            turned = {"on": turn is Turn.ON, "reason": reason, "revoking": revoking}
            return Kind.LOCKDOWN, turned
        case Delegate() | Undelegate() | Suspend() | Unsuspend():
            return _about_somebody(command)
        case Approve(id) | Cancel(id) | Return(id):
            return _BY_ID[type(command)], {"request_id": id}
        case Revoke(id, reason):
            return Kind.REVOKE, {"request_id": id, "reason": reason}
        case ReviewBreakGlass(id, justified, findings):
            return Kind.REVIEW, review(id, findings, justified=justified)
        case _:
            return None


def _about_somebody(
    command: Delegate | Undelegate | Suspend | Unsuspend,
) -> tuple[Kind, Document]:
    match command:
        case Delegate(deputy, until):
            return Kind.DELEGATE, {"deputy": deputy, "until": until}
        case Undelegate(deputy):
            return Kind.UNDELEGATE, {"deputy": deputy}
        case Suspend(person, reason):
            return Kind.SUSPEND, {"person": person, "reason": reason}
        case Unsuspend(person):
            return Kind.UNSUSPEND, {"person": person}


def request(ask: Ask) -> Document:
    document: dict[str, Any] = ask_adapter.dump_python(ask, mode="json")
    return document


def break_glass(ask: Ask, instead_of: str | None) -> Document:
    """`instead_of` is the id of the request that the break-glass takes the place of."""
    return {**request(ask), "request_id": instead_of}


def extension(request_id: str, more: timedelta, reason: str) -> Document:
    return {"request_id": request_id, "seconds": int(more.total_seconds()), "reason": reason}


def review(request_id: str, findings: str, *, justified: bool) -> Document:
    return {"request_id": request_id, "justified": justified, "findings": findings}


def submitted_denial(view: object) -> Document:
    """What a submitted form's `view` stores. Raises InvalidInput, as the others below do."""
    request_id, reason = read_denial(view)
    return {"request_id": request_id, "reason": reason}


def submitted_revocation(view: object) -> Document:
    request_id, reason = read_revocation(view)
    return {"request_id": request_id, "reason": reason}


def submitted_extension(view: object) -> Document:
    return extension(*read_extension(view))


def submitted_question(view: object) -> Document:
    request_id, question = read_question(view)
    return {"request_id": request_id, "question": question}


def submitted_answer(view: object) -> Document:
    request_id, answer = read_answer(view)
    return {"request_id": request_id, "answer": answer}


def submitted_review(view: object) -> Document:
    request_id, findings, justified = read_review(view)
    return review(request_id, findings, justified=justified)


def submitted_delegation(view: object) -> Document:
    deputy, until = read_delegation(view)
    return {"deputy": deputy, "until": until}


def submitted_suspension(view: object) -> Document:
    person, reason = read_suspension(view)
    return {"person": person, "reason": reason}
