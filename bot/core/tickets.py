"""Whether a ticket or an incident is open, as a value, and how tickets are told from words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Self

MOST_LETTERS = 64
_JIRA_KEY = re.compile(r"[A-Z][A-Z0-9_]+-[0-9]+")
_PAGERDUTY_INCIDENT = re.compile(r"[A-Z0-9]+")
_STARTS_WITH = re.compile(r"\^?\(?(?:\?:)?([A-Za-z0-9#_-]+)")
"""The letters that a form begins with, or the first of several that it may begin with."""

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


@lru_cache(maxsize=1000)
def example_of(form: re.Pattern[str]) -> str | None:
    """A ticket of this form, which tells people more than the pattern; None where none was found.

    It is tried and not worked out, so it is always of the form.
    """
    start = _STARTS_WITH.match(form.pattern)
    beginnings = dict.fromkeys(("", *(filter(None, start.groups()) if start else ())))
    for beginning in beginnings:
        for between in ("PAY-", "", "-"):
            for digits in ("1423", *("1423570689"[:length] for length in range(1, 11))):
                tried = f"{beginning}{between}{digits}"
                if form.fullmatch(tried):
                    return tried
    return None


def looks(form: re.Pattern[str], quote: Callable[[str, int], str]) -> str:
    """What a ticket of the form has to do: `look like PAY-1423`, or else match the pattern."""
    example = example_of(form)
    return f"look like {quote(example, 80)}" if example else f"match {quote(form.pattern, 80)}"
