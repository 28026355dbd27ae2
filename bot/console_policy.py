"""What the policy commands print about a decision: text for people, stable JSON for scripts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.console import table
from bot.core.durations import compact_duration, format_duration
from bot.core.explain import Explanation, Outcome
from bot.core.model import Ask, Decision, Owners, Requirement
from bot.core.names import listed

_MANY = 40


@dataclass(frozen=True, slots=True)
class Explained:
    """One explanation with what was asked, and what had to be taken for granted.

    `principal` is the IAM principal's ARN, or None where it is not known or there is none;
    `principal_problem` says why.
    """

    ask: Ask
    user: str
    now: datetime
    break_glass: bool
    explanation: Explanation
    assumed: tuple[str, ...] = ()
    principal: str | None = None
    principal_problem: str | None = None

    @property
    def may_be_made(self) -> bool:
        decision = self.explanation.decision
        return decision is not None and decision.allowed and self.principal_problem is None


def explanation_text(one: Explained) -> str:
    """What is asked, the decision, its reasons, the rules in order, who approves."""
    parts = [_asked(one), _verdict(one), _steps(one), _approvals(one), _assumed(one)]
    return "\n\n".join(part for part in parts if part)


def explanation_json(one: Explained) -> dict[str, Any]:
    """As the text. Lengths of time are written as in the policy file, times in ISO 8601."""
    decision = one.explanation.decision
    allowed = decision is not None and decision.allowed
    return {
        "user": one.user,
        "cluster": one.ask.cluster,
        "level": one.ask.level,
        "namespaces": list(one.ask.namespaces),
        "whole_cluster": one.ask.whole_cluster,
        "break_glass": one.break_glass,
        "now": one.now.isoformat(),
        "allowed": decision.allowed if decision is not None else None,
        "automatic": decision.automatic if decision is not None else None,
        "may_be_made": one.may_be_made,
        "reasons": [
            {"code": reason.code, "sentence": reason.sentence, "rule": reason.rule}
            for reason in (decision.reasons if decision is not None else ())
        ],
        "hangs_on": sorted(one.explanation.hangs_on),
        "duration": compact_duration(decision.duration) if decision and allowed else None,
        "max_duration": compact_duration(decision.max_duration) if decision and allowed else None,
        "lapse_after": compact_duration(decision.lapse_after) if decision and allowed else None,
        "requirements": [
            _requirement_json(part) for part in (decision.requirements if decision else ())
        ],
        "never_approve": sorted(one.explanation.excluded),
        "rules": [
            {
                "rule": step.rule,
                "namespace": step.namespace,
                "outcome": step.outcome.value,
                "why": step.why,
            }
            for step in one.explanation.steps
        ],
        "rules_on_other_clusters": one.explanation.elsewhere,
        "principal": one.principal,
        "principal_problem": one.principal_problem,
        "assumed": list(one.assumed),
    }


def _requirement_json(part: Requirement) -> dict[str, Any]:
    later = part.escalation
    return {
        "rule": part.rule,
        "part": part.part or None,
        "required": part.required,
        "owners": _named(part.owners),
        "channel": part.channel,
        "remind_after": compact_duration(part.remind_after) if part.remind_after else None,
        "escalate_after": compact_duration(later.after) if later else None,
        "escalate_to": _named(later.owners) if later else [],
        "deputies": part.delegation is not None,
    }


def _asked(one: Explained) -> str:
    ask = one.ask
    where = f" in {listed(ask.namespaces, 'and')}" if ask.namespaces else ""
    where += " as a whole" if ask.whole_cluster else ""
    what = "takes by break-glass" if one.break_glass else "asks for"
    length = f" for {format_duration(ask.duration)}" if ask.duration is not None else ""
    moment = f"{max(one.now, ask.start_at or one.now):%Y-%m-%d %H:%M} UTC"
    return f"{one.user} {what} {ask.level} on {ask.cluster}{where}{length}, at {moment}."


def _verdict(one: Explained) -> str:
    decision = one.explanation.decision
    if decision is None:
        groups = sorted(one.explanation.hangs_on)
        return (
            f"UNDECIDED: it hangs on who is in {listed(groups, 'and')}. Pass `--member-of GROUP` "
            f"for each that {one.user} is in, `--member-of none` for none of them, or `--groups "
            "FILE` with the members."
        )
    lines = [_word(decision) if one.principal_problem is None else "REFUSED"]
    lines += [f"  {reason.sentence}" for reason in decision.reasons]
    if one.principal is not None:
        lines.append(f"  It would be given to {one.principal}.")
    if one.principal_problem is not None:
        lines.append(f"  It could not be given: {one.principal_problem}")
    return "\n".join(lines)


def _word(decision: Decision) -> str:
    if not decision.allowed:
        return "REFUSED"
    most = format_duration(decision.max_duration)
    length = f"{format_duration(decision.duration)} of at most {most}"
    if decision.automatic:
        return f"ALLOWED at once, for {length}"
    waits = format_duration(decision.lapse_after)
    return f"ALLOWED with approval, for {length}; it waits {waits} for it"


def _steps(one: Explained) -> str:
    found = one.explanation
    kind = "entries of break-glass" if one.break_glass else "rules"
    if not found.steps:
        return f"None of the {found.elsewhere:,} {kind} covers {one.ask.cluster}."
    shown = [step for step in found.steps if step.outcome is not Outcome.OTHER_LEVEL]
    shown = shown if len(found.steps) > _MANY else list(found.steps)
    rows = [
        (f"  {step.rule}", step.namespace or "cluster", step.outcome.value, step.why)
        for step in shown
    ]
    head = f"The {kind} on {one.ask.cluster}, in order"
    left = len(found.steps) - len(shown)
    rest = f"\n  {left:,} more give other levels." if left else ""
    other = f"\n  {found.elsewhere:,} more cover other clusters." if found.elsewhere else ""
    return f"{head}:\n{table(rows) if rows else ''}{rest}{other}"


def _approvals(one: Explained) -> str:
    decision = one.explanation.decision
    if decision is None or not decision.requirements:
        return ""
    lines = []
    for part in decision.requirements:
        lines.append(f"  {part.key}: {part.required} of {_people(part.owners)}, in {part.channel}")
        if part.remind_after is not None:
            lines.append(f"    reminded after {format_duration(part.remind_after)}")
        if part.escalation is not None:
            later = part.escalation
            lines.append(
                f"    after {format_duration(later.after)} also {_people(later.owners)}, in "
                f"{later.channel}"
            )
        if part.delegation is not None:
            among = part.delegation.among
            who = _people(among) if among is not None else "any full member"
            longest = format_duration(part.delegation.longest)
            lines.append(f"    an owner may name a deputy for up to {longest}: {who}")
    never = listed(sorted(one.explanation.excluded), "and")
    return "Who approves:\n" + "\n".join(lines) + f"\n  never {never}"


def _assumed(one: Explained) -> str:
    return "\n".join(f"Taken for granted: {sentence}" for sentence in one.assumed)


def _named(owners: Owners) -> list[str]:
    return [*sorted(owners.users), *sorted(owners.groups)]


def _people(owners: Owners) -> str:
    return listed(_named(owners), "and", most=20)
