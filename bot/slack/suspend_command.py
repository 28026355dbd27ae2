"""`/eks-access suspend …` and `unsuspend …`, read into values.

A name that is typed is only text: who is meant is chosen in a form, unless a Slack id is typed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.errors import InvalidInput
from bot.core.names import quoted
from bot.slack.options import PERSON, incomplete, nothing_more, reason_of, unquoted

FORMS = {"suspend": "suspend [U01ANA REASON]", "unsuspend": "unsuspend U01ANA"}


@dataclass(frozen=True, slots=True)
class Suspend:
    person: str
    reason: str


@dataclass(frozen=True, slots=True)
class OpenSuspension:
    """The form that asks who is meant, filled in with the reason that was typed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unsuspend:
    person: str


@dataclass(frozen=True, slots=True)
class Suspensions:
    """The question who is suspended."""


SuspendCommand = Suspend | OpenSuspension | Unsuspend | Suspensions


def read_suspend(words: Sequence[str]) -> SuspendCommand:
    """The command. Raises InvalidInput with the form that was meant."""
    if not words:
        return Suspensions()
    match = PERSON.match(unquoted(words[0]))
    if match is None:
        # `@ana` alone says who; without it all words may be the reason.
        named = unquoted(words[0]).startswith("@")
        return OpenSuspension(reason_of("suspend", words[1:] if named else words, FORMS["suspend"]))
    reason = reason_of("suspend", words[1:], FORMS["suspend"])
    if not reason:
        why = "The reason is missing. It goes to security and into the audit trail."
        raise incomplete(f"suspend {match[1]}", "reason", why, f"suspend {match[1]} REASON")
    return Suspend(match[1], reason)


def read_unsuspend(words: Sequence[str]) -> SuspendCommand:
    """The command. Raises InvalidInput with the form that was meant."""
    typed = unquoted(words[0]) if words else ""
    match = PERSON.match(typed)
    if match is None:
        read = f"{quoted(typed)} is not a Slack id. " if typed else "The Slack id is missing. "
        raise InvalidInput(
            "bad_person",
            f"{read}The form is `/eks-access {FORMS['unsuspend']}`; `/eks-access suspend` alone "
            "lists who is suspended, with this command for each.",
        )
    nothing_more(f"unsuspend {match[1]}", words[1:])
    return Unsuspend(match[1])
