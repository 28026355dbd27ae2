"""Whether the words of an ask are of a valid form, whatever the policy says of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta

from bot.core.durations import format_duration
from bot.core.errors import InvalidInput
from bot.core.model import Ask, Reason
from bot.core.names import check_namespace

MOST_REASON_LETTERS = 3000
"""What one section of a Slack message holds. Source: Slack, "Reference: section block"."""

MOST_TICKET_LETTERS = 100
MOST_NAMESPACES = 20
START_WITHIN = timedelta(days=30)
"""How far ahead access may be asked for; beyond it nobody knows what the policy will say."""


def namespace_problem(ask: Ask) -> Reason | None:
    """What is wrong with the names of the namespaces, if anything is."""
    if len(ask.namespaces) > MOST_NAMESPACES:
        return Reason(
            "too_many_namespaces",
            f"You asked for {len(ask.namespaces)} namespaces, and {MOST_NAMESPACES} is the most in "
            "one request. Make several requests.",
        )
    for name in ask.namespaces:
        try:
            check_namespace(name)
        except InvalidInput as error:
            return Reason(error.code, error.sentence)
    return None


def says_no_place(ask: Ask) -> bool:
    """Whether neither namespaces nor the whole cluster were named. Neither is then assumed."""
    return not ask.namespaces and not ask.whole_cluster


def two_places_problem(ask: Ask) -> Reason | None:
    """What is wrong where namespaces and the whole cluster were named at once."""
    if not ask.namespaces or not ask.whole_cluster:
        return None
    return Reason(
        "two_places",
        "You named namespaces and the whole cluster. Leave `--whole-cluster` out to have the "
        "namespaces alone.",
    )


def ticket_form_problem(ask: Ask) -> Reason | None:
    """What is wrong with the ticket before any rule looks at it."""
    ticket = ask.ticket or ""
    if len(ticket) <= MOST_TICKET_LETTERS and ticket.isprintable():
        return None
    return Reason(
        "bad_ticket",
        f"A ticket is at most {MOST_TICKET_LETTERS} letters on one line: `--ticket PAY-1423`.",
    )


def reason_problems(ask: Ask) -> Iterable[Reason]:
    if len(ask.reason) > MOST_REASON_LETTERS:
        yield Reason(
            "reason_too_long",
            f"Your reason has {len(ask.reason)} letters, and {MOST_REASON_LETTERS} is the most. "
            "Say what you need the access for, and link to the rest.",
        )
    elif not any(unicodedata.category(letter)[0] in "LNPS" for letter in ask.reason):
        yield Reason(
            "reason_missing",
            "There is no reason, and whoever approves or audits this needs one. Say at the end "
            "what you need the access for: `… Clearing a stuck settlement job`.",
        )


def start_problems(ask: Ask, now: datetime) -> Iterable[Reason]:
    if ask.start_at is None:
        return
    if ask.start_at.tzinfo is None:
        yield Reason("bad_start", "The start has no time zone. Write for example `--at 14:30`.")
    elif ask.start_at < now:
        yield Reason(
            "bad_start", "The start has passed. Leave `--at` out to start when access is confirmed."
        )
    elif ask.start_at > now + START_WITHIN:
        yield Reason(
            "bad_start",
            f"The start is more than {format_duration(START_WITHIN)} ahead. Ask nearer to it.",
        )


def length_problem(ask: Ask) -> Reason | None:
    """What is wrong with the length, whatever a rule allows."""
    if ask.duration is None or ask.duration > timedelta():
        return None
    return Reason("bad_duration", "Access for no time at all cannot be given. Write `--for 1h`.")
