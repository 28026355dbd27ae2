"""Which rule decides: the first that covers the place, admits the person, and holds at that time.

A rule with a window holds only while the window is open. An automatic rule whose caps are used up
is passed over, so that the next one may ask its owners. So is every automatic rule for a while
after somebody's access on the cluster was revoked, or who lost it would have it again at once; and
so it is behind a rule whose requesters are a group that is gone, which may have been theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.durations import format_duration
from bot.core.model import Ask, Reason
from bot.core.people import Membership, belongs, gone_words
from bot.core.policy import Rule
from bot.core.policy_approval import Approval, Automatic

DEFAULT_DURATION = timedelta(hours=1)
"""How long access is given where the person does not say, or the rule's maximum if shorter."""

_GONE = "group_gone"
_PASSING = frozenset({"closed", "used_up", "revoked", _GONE})

CAPS_WITHIN = timedelta(hours=24)
"""The span that an automatic rule's caps look back on."""


REVOKED_WITHIN = timedelta(hours=24)
"""How long after a revocation by others no automatic rule gives access on the same cluster."""

_REVOKED_HOURS = REVOKED_WITHIN // timedelta(hours=1)

ANY_RULE = ""
"""No rule's name. Under it stands what holds for all automatic rules."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a rule has given somebody automatically within `CAPS_WITHIN`.

    `revoked` is the id of their access on the cluster that others revoked within `REVOKED_WITHIN`.
    """

    times: int = 0
    length: timedelta = timedelta()
    revoked: str = ""


Usage = Mapping[str, Spent]
"""What each automatic rule has given the person, by the rule's name; a missing one gave nothing.

Under ANY_RULE: whether access of theirs was revoked, on the cluster that is asked about.
"""


def first_rule(
    candidates: Iterable[Rule],
    target: str | None,
    ask: Ask,
    user: str,
    *,
    membership: Membership,
    moment: datetime,
    usage: Usage,
) -> tuple[Rule | None, tuple[Reason, ...]]:
    """The rule that decides about one namespace, and what was passed over.

    `target` None is the whole cluster; `moment` is when the access is to begin. Raises
    DirectoryUnavailable where it hangs on a user group that nobody answered for.
    """
    passed: list[Reason] = []
    for rule in candidates:
        if not rule.covers_namespace(target):
            continue
        if not admits(rule, user, membership):
            passed += _requesters_gone(rule, membership)
            continue
        why = passed_over(rule, ask.duration, moment, usage) or _needs_review(rule, passed)
        if why is None:
            return rule, tuple(passed)
        passed.append(why)
    return None, tuple(passed)


def admits(rule: Rule, user: str, membership: Membership) -> bool:
    """Whether the rule lets this person ask. Raises DirectoryUnavailable."""
    return rule.requesters is None or belongs(user, rule.requesters.owners, membership)


def _requesters_gone(rule: Rule, membership: Membership) -> list[Reason]:
    """That nobody can tell any more whether the rule is the person's."""
    named = rule.requesters
    said = gone_words(named.owners, membership, f"rule {rule.name}") if named is not None else ""
    return [Reason(_GONE, said.strip(), rule.name)] if said else []


def _needs_review(rule: Rule, passed: Iterable[Reason]) -> Reason | None:
    """Why an automatic rule does not hold behind one whose requesters are gone."""
    if isinstance(rule.approval, Approval) or all(one.code != _GONE for one in passed):
        return None
    said = f"So rule {rule.name} gives nothing without a review."
    return Reason(_GONE, said, rule.name)


def passed_over(
    rule: Rule, duration: timedelta | None, moment: datetime, usage: Usage
) -> Reason | None:
    """Why the rule does not hold for the person at the moment, or None where it does."""
    if rule.when is not None and not rule.when.open_at(moment):
        return Reason("closed", f"Rule {rule.name} holds only {rule.when}.", rule.name)
    if isinstance(rule.approval, Approval):
        return None
    revoked = usage.get(ANY_RULE, Spent()).revoked
    if revoked:
        return Reason(
            "revoked",
            f"{revoked} on this cluster was revoked less than {_REVOKED_HOURS} hours "
            f"before, so rule {rule.name} gives nothing without a review.",
            rule.name,
        )
    if not isinstance(rule.approval, Automatic):
        return None
    caps, spent = rule.approval.automatic, usage.get(rule.name, Spent())
    length = duration_under((rule,), duration)
    if caps.per_day is not None and spent.times >= caps.per_day:
        most = "once" if caps.per_day == 1 else f"{caps.per_day} times"
    elif caps.time_per_day is not None and spent.length + length > caps.time_per_day:
        most = format_duration(caps.time_per_day)
    else:
        return None
    return Reason(
        "used_up",
        f"Rule {rule.name} gives at most {most} in 24 hours without a review, and this would be "
        "more.",
        rule.name,
    )


def duration_under(rules: Iterable[Rule], asked: timedelta | None) -> timedelta:
    """How long access under these rules lasts, where so long was asked for (None: nothing said)."""
    return min(DEFAULT_DURATION, *(rule.max_duration for rule in rules)) if asked is None else asked


def reasons_passed_over(reasons: Iterable[Reason]) -> tuple[str, ...]:
    """Of a decision's reasons, the sentences on rules that were passed over."""
    return tuple(one.sentence for one in reasons if one.code in _PASSING)


def passed_over_words(passed: Iterable[Reason]) -> str:
    """The sentences on what was passed over, each once, with a space behind; or nothing."""
    sentences = list(dict.fromkeys(reason.sentence for reason in passed))
    return f"{' '.join(sentences[:3])} " if sentences else ""
