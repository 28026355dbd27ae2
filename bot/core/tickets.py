"""Whether a ticket or an incident is open, as a value, and how tickets are told from words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

MOST_LETTERS = 64
_JIRA_KEY = re.compile(r"[A-Z][A-Z0-9_]+-[0-9]+")
_PAGERDUTY_INCIDENT = re.compile(r"[A-Z0-9]+")
_AROUND_A_WORD = ".,;:!?()[]{}<>\"'`*"


class TicketState(StrEnum):
    """UNKNOWN_TICKET: the service has none of that name. UNAVAILABLE: the service did not say."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN_TICKET = "unknown_ticket"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class TicketStatus:
    """What the service says of a ticket.

    `problem` tells a person why it is neither open nor closed: what is so, then what to do. It is
    None where the ticket is one of the two.
    """

    state: TicketState
    problem: str | None = None

    @classmethod
    def unknown(cls, problem: str) -> Self:
        """There is no such ticket."""
        return cls(TicketState.UNKNOWN_TICKET, problem)

    @classmethod
    def unavailable(cls, problem: str) -> Self:
        """The service did not say."""
        return cls(TicketState.UNAVAILABLE, problem)


OPEN = TicketStatus(TicketState.OPEN)
CLOSED = TicketStatus(TicketState.CLOSED)


def is_jira_key(text: str) -> bool:
    """Whether this can be the key of a Jira issue, such as `PAY-1423`.

    Source: Atlassian, "Changing the project key format": upper-case letters first, by default.
    """
    return len(text) <= MOST_LETTERS and _JIRA_KEY.fullmatch(text) is not None


def is_pagerduty_incident(text: str) -> bool:
    """Whether this can be an incident's id, such as `PT4KHLK`, or its number.

    Source: PagerDuty's OpenAPI document, "Get an incident".
    """
    return len(text) <= MOST_LETTERS and _PAGERDUTY_INCIDENT.fullmatch(text) is not None


def named_in(reason: str, forms: Iterable[re.Pattern[str]]) -> tuple[str, ...]:
    """The different words of a reason that are a ticket in one of the forms, in their order.

    The whole word has to match, without the punctuation around it.
    """
    patterns = tuple(forms)
    words = dict.fromkeys(word.strip(_AROUND_A_WORD) for word in reason.split())
    return tuple(
        word
        for word in words
        if 0 < len(word) <= MOST_LETTERS and any(form.fullmatch(word) for form in patterns)
    )
