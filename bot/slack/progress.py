"""How far a request has come: approvals by requirement, who is asked for them, and when.

What is counted here is what the reviews recorded when they were made. It shows, and decides
nothing: the next click is counted anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.approvals import as_reviewed, counted
from bot.core.model import AccessRequest, Requirement, Review
from bot.slack import blocks, phrases
from bot.slack.blocks import Block
from bot.slack.text import count, date, listed, mention_channel, safe

_NOTES_SHOWN = 3


def requirement_lines(request: AccessRequest, reviews: Sequence[Review]) -> list[str]:
    """One line a requirement: how many approvals it has, and whose it takes."""
    have = counted(request.requirements, as_reviewed(reviews))
    return [_requirement(one, request, len(have[one.key])) for one in request.requirements]


def notes(request: AccessRequest) -> list[Block]:
    """What the decision said besides, such as why a rule that comes before does not decide.

    Of a break-glass that is said by its own card.
    """
    if request.break_glass:
        return []
    said = " ".join(request.notes[:_NOTES_SHOWN])
    return [blocks.sentence("notes", said)] if said else []


def further_owners(request: AccessRequest) -> list[str]:
    """When others will be asked, who are not mentioned before: a mention would notify them."""
    asked: dict[str, str] = {}
    for one in request.requirements:
        if one.escalation is not None and not request.escalated(one):
            at = date(request.created_at + one.escalation.after, "time")
            asked[f"in {mention_channel(one.escalation.channel)} from {at} on"] = one.key
    if not asked:
        return []
    return [f"If nobody decides, further owners are asked {listed(asked, 3)}."]


def _requirement(one: Requirement, request: AccessRequest, given: int) -> str:
    rule = f"Rule *{safe(one.rule, 60)}*"
    who = safe(one.part, 60) or "owners"
    asked = phrases.owners(request.asked_of(one), request.requester)
    return f"{rule} · {given:,} of {count(one.required, 'approval')} · {who}: {asked}"
