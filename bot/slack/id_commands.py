"""Commands about one request, which is named by its id, read into values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.core.durations import parse_duration
from bot.core.errors import InvalidInput
from bot.core.ids import bare_id, parse_id
from bot.core.names import nearest, quoted
from bot.slack.options import DASHES, incomplete, nothing_more, reason_of, unquoted

FORMS = {
    "status": "status ID",
    "extend": "extend ID 1h [REASON]",
    "return": "return ID",
    "approve": "approve ID",
    "deny": "deny ID REASON",
    "cancel": "cancel ID",
    "revoke": "revoke ID [REASON]",
    "review": "review ID justified|unjustified FINDINGS",
}
_VERDICTS = {"justified": True, "unjustified": False}


@dataclass(frozen=True, slots=True)
class Status:
    id: str


@dataclass(frozen=True, slots=True)
class Return:
    id: str


@dataclass(frozen=True, slots=True)
class Extend:
    """More time for live access. An empty `reason` repeats the first one."""

    id: str
    more: timedelta
    reason: str


@dataclass(frozen=True, slots=True)
class Approve:
    id: str


@dataclass(frozen=True, slots=True)
class Deny:
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Cancel:
    id: str


@dataclass(frozen=True, slots=True)
class Revoke:
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReviewBreakGlass:
    """What was done under a break-glass, and whether it was justified."""

    id: str
    justified: bool
    findings: str


IdCommand = Status | Extend | Return | Approve | Deny | Cancel | Revoke | ReviewBreakGlass
Reader = Callable[[Sequence[str]], IdCommand]


def _extend(words: Sequence[str]) -> IdCommand:
    request_id, rest = _id("extend", words)
    form = f"extend {request_id} 1h"
    if not rest:
        raise incomplete(f"extend {request_id}", "duration", "How much longer is missing.", form)
    try:
        more = parse_duration(unquoted(rest[0]).lower())
    except InvalidInput as error:
        example = f"For example: `/eks-access {form}`."
        raise InvalidInput(error.code, f"{error.sentence} {example}", field="duration") from None
    return Extend(request_id, more, reason_of("extend", rest[1:], FORMS["extend"]))


def _deny(words: Sequence[str]) -> IdCommand:
    request_id, rest = _id("deny", words)
    reason = reason_of("deny", rest, FORMS["deny"])
    if not reason:
        why = "The reason is missing; the requester is told why."
        raise incomplete(f"deny {request_id}", "reason", why, f"deny {request_id} REASON")
    return Deny(request_id, reason)


def _revoke(words: Sequence[str]) -> IdCommand:
    request_id, rest = _id("revoke", words)
    return Revoke(request_id, reason_of("revoke", rest, FORMS["revoke"]))


def _review(words: Sequence[str]) -> IdCommand:
    request_id, rest = _id("review", words)
    verdict = unquoted(rest[0]).rstrip(",:;.").lower() if rest else ""
    findings = reason_of("review", rest[1:], FORMS["review"])
    form = f"review {request_id} justified|unjustified FINDINGS"
    if verdict not in _VERDICTS:
        near = "unjustified" if verdict == "not" else nearest(verdict, _VERDICTS)
        read = f"{quoted(rest[0])} is neither `justified` nor `unjustified`. " if rest else ""
        guess = f"Did you mean `{near}`? " if near else ""
        raise incomplete(f"review {request_id}", "verdict", f"{read}{guess}".strip(), form)
    if not findings:
        why = "What was done is missing; it is what an auditor reads."
        raise incomplete(f"review {request_id} {verdict}", "findings", why, form)
    return ReviewBreakGlass(request_id, _VERDICTS[verdict], findings)


def _with_id(name: str, command: Callable[[str], IdCommand]) -> Reader:
    def read(words: Sequence[str]) -> IdCommand:
        request_id, rest = _id(name, words)
        nothing_more(f"{name} {request_id}", rest)
        return command(request_id)

    return read


def _id(name: str, words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The request id that `words` begin with, also in two halves, and the words after it."""
    if not words:
        why = "The request id is missing; `/eks-access mine` lists yours."
        raise incomplete(name, "id", why, FORMS[name])
    halves = [DASHES.sub("-", bare_id(unquoted(bare_id(word)))) for word in words[:2]]
    if [len(half) for half in halves] == [3, 3]:
        try:
            return parse_id("".join(halves)), words[2:]
        except InvalidInput:
            pass
    return parse_id(halves[0]), words[1:]


READERS: Mapping[str, Reader] = {
    "status": _with_id("status", Status),
    "return": _with_id("return", Return),
    "extend": _extend,
    "approve": _with_id("approve", Approve),
    "deny": _deny,
    "cancel": _with_id("cancel", Cancel),
    "revoke": _revoke,
    "review": _review,
}
"""What reads the words behind each of these. Each raises InvalidInput with the form meant."""
