"""`/eks-access delegate …`, read into a value.

A name that is typed is only text: who is meant is chosen in a form, unless a Slack id is typed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.errors import InvalidInput
from bot.core.names import quoted
from bot.core.starts import parse_until
from bot.slack.options import PERSON, unquoted

FORM = "delegate [U02BOB until DATE | off]"


@dataclass(frozen=True, slots=True)
class OpenDelegation:
    """The form that asks who is to decide. `until` as typed, or ""."""

    until: str = ""


@dataclass(frozen=True, slots=True)
class Delegate:
    """`until` as typed: whose time that is, is not known here."""

    deputy: str
    until: str


@dataclass(frozen=True, slots=True)
class Undelegate:
    """No `deputy`: all of one's own."""

    deputy: str | None = None


@dataclass(frozen=True, slots=True)
class Delegations:
    """The question who decides in whose place."""


def read_delegate(words: Sequence[str]) -> OpenDelegation | Delegate | Undelegate:
    """The command. Raises InvalidInput with the form that was meant."""
    if not words:
        return OpenDelegation()
    first, rest = unquoted(words[0]), list(words[1:])
    if first.lower() == "off":
        return _off(rest)
    until = _until(rest)
    match = PERSON.match(first)
    if match is None:
        return OpenDelegation(until)
    if not until:
        raise InvalidInput(
            "missing_until",
            f"I read `delegate {match[1]}`. Until when is missing: "
            f"`/eks-access delegate {match[1]} until 2026-01-31`.",
            field="until",
        )
    return Delegate(match[1], until)


def _off(rest: Sequence[str]) -> Undelegate:
    if not rest:
        return Undelegate()
    match = PERSON.match(unquoted(rest[0]))
    if match is None or len(rest) > 1:
        raise InvalidInput(
            "bad_delegate",
            f"{quoted(' '.join(rest))} is no Slack id. `/eks-access delegate off` ends all of your "
            "delegations, `/eks-access delegate off U02BOB` the one to that person; "
            "`/eks-access delegations` shows them.",
        )
    return Undelegate(match[1])


def _until(words: Sequence[str]) -> str:
    """What stands behind `until`, as typed; names may have several words before it."""
    places = [place for place, word in enumerate(words) if unquoted(word).lower() == "until"]
    if not places:
        return ""
    typed = " ".join(map(unquoted, words[places[-1] + 1 :]))
    try:
        return parse_until(typed).typed
    except InvalidInput as error:
        raise InvalidInput(
            error.code,
            f"{error.sentence} A day alone is until its end: `until 2026-01-31`.",
            field="until",
        ) from None
