"""`/eks-access lockdown [status | on [--revoke] REASON | off]`, read into a value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.core.errors import InvalidInput
from bot.core.names import quoted
from bot.slack.options import DASHES, reason_of, unquoted

_REVOKE = re.compile(rf"{DASHES.pattern}+revoke\Z", re.IGNORECASE)

FORM = "lockdown [status | on [--revoke] REASON | off]"


class Turn(StrEnum):
    """What is to be done. STATUS only asks."""

    STATUS = "status"
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Lockdown:
    """`revoking`: what is live is revoked too."""

    turn: Turn
    reason: str = ""
    revoking: bool = False


def read_lockdown(words: Sequence[str]) -> Lockdown:
    """The command. Raises InvalidInput with the form that was meant."""
    if not words:
        return Lockdown(Turn.STATUS)
    turn, rest = unquoted(words[0]).lower(), list(words[1:])
    if turn in {Turn.STATUS, Turn.OFF} and not rest:
        return Lockdown(Turn(turn))
    if turn != Turn.ON:
        typed = quoted(" ".join(["lockdown", *words]), 120)
        raise InvalidInput(
            "bad_lockdown",
            f"I do not know what {typed} means. The form is "
            f"`/eks-access {FORM}`; alone, or with `status`, it says whether lockdown is on.",
        )
    # Without its hyphens, the word begins a reason: `lockdown on Revoke the leaked key first`.
    revoking = bool(rest) and bool(_REVOKE.match(unquoted(rest[0])))
    reason = reason_of("lockdown on", rest[1:] if revoking else rest, FORM)
    if not reason:
        raise InvalidInput(
            "missing_reason",
            "I read `lockdown on`. The reason is missing; everybody who asks for access reads it. "
            "The form is `/eks-access lockdown on REASON`, or `… on --revoke REASON` to revoke "
            "what is live too.",
            field="reason",
        )
    return Lockdown(Turn.ON, reason, revoking)
