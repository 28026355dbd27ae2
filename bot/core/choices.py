"""What a form may offer one person, step by step: clusters, then levels, namespaces, durations.

As in `offers`, nothing is decided here: a user group that nobody answered for counts as empty, so
a choice may be missing, and what is offered may be refused when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.core.ask_checks import MOST_NAMESPACES
from bot.core.errors import InvalidInput
from bot.core.model import Ask, Cluster, Reason
from bot.core.names import check_namespace
from bot.core.offers import rules_admitting
from bot.core.people import Membership
from bot.core.policy import Level, Policy, Rule
from bot.core.policy_approval import Automatic
from bot.core.rule_choice import Spent, Usage, passed_over

_SHORTEST = timedelta(seconds=1)
_PRODUCTION_LABELS = ("env", "stage", "tier")
_PRODUCTION = frozenset({"prod", "production"})


@dataclass(frozen=True, slots=True)
class Choices:
    """What may be chosen after what has been chosen.

    `entered` is what was entered, without what may not be had; "" and () stand for nothing.
    `rules` are those that decide about it where they are `settled`; otherwise they are those that
    may. `max_duration` is the shortest of theirs where they are settled, and the longest otherwise.
    `hangs_on_namespaces`: other namespaces may be decided by other rules; `hangs_on_time`: another
    start or length may be. `passed` says which rules do not hold now, or for so much. `shut`: none
    of the rules does. `used` is what the automatic ones have given the person lately.
    """

    clusters: tuple[Cluster, ...]
    entered: Ask
    cluster: Cluster | None = None
    levels: tuple[str, ...] = ()
    level: Level | None = None
    namespaces: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()
    whole_cluster: bool = False
    rules: tuple[Rule, ...] = ()
    settled: bool = False
    hangs_on_namespaces: bool = False
    max_duration: timedelta = timedelta()
    hangs_on_time: bool = False
    passed: tuple[Reason, ...] = ()
    shut: bool = False
    used: Usage = field(default_factory=dict)

    def spent(self, rule: Rule) -> Spent:
        """What an automatic rule has given the person lately."""
        return self.used.get(rule.name, Spent())


def choices_for(
    policy: Policy,
    clusters: tuple[Cluster, ...],
    user: str,
    membership: Membership,
    entered: Ask,
    *,
    now: datetime,
    usage: Usage,
) -> Choices:
    """The choices of the Slack user id `user`, who may ask for something on `clusters`.

    What a rule gives at other times only, or has given too much of, is decided by the next one; a
    level of which that leaves nothing stays to be chosen, because another start may be chosen too.
    """
    named = [one for one in clusters if one.name == entered.cluster]
    cluster = next(iter(named or (clusters if len(clusters) == 1 else ())), None)
    if cluster is None:
        nothing = replace(
            entered, cluster="", level="", namespaces=(), start_at=None, whole_cluster=False
        )
        return Choices(clusters, nothing)
    there = rules_admitting(policy, cluster.name, user, membership)
    at = {level: _rules_at(policy, level, there) for level in policy.levels}
    levels = tuple(level for level, rules in at.items() if rules)
    chosen = entered.level if entered.level in levels else _only(levels)
    if not chosen:
        kept = replace(
            entered,
            cluster=cluster.name,
            level="",
            namespaces=(),
            start_at=None,
            whole_cluster=False,
        )
        return Choices(clusters, kept, cluster, levels)
    level = policy.levels[chosen]
    moment = max(now, entered.start_at) if entered.start_at is not None else now
    passed = {
        rule.name: why
        for rule in at[chosen]
        if (why := passed_over(rule, entered.duration, moment, usage)) is not None
    }
    held = tuple(rule for rule in at[chosen] if rule.name not in passed)
    rules = held or at[chosen]
    literals, globs = _namespaces(level, rules)
    whole = any(rule.covers_namespace(None) for rule in rules)
    names = _obtainable(entered.namespaces, level, rules)
    if not names and not whole:
        names = tuple(filter(None, [_only(literals)]))
    ticked = whole and not level.only_cluster and entered.whole_cluster
    all_of_it = level.only_cluster or ticked
    matched, settled = _matched(names, rules, whole=all_of_it)
    targets = names or ((None,) if all_of_it else ())
    lengths = [rule.max_duration for rule in matched]
    most = min(lengths) if settled else max(lengths)
    fits = entered.duration is not None and _SHORTEST <= entered.duration <= most
    return Choices(
        clusters,
        replace(
            entered,
            cluster=cluster.name,
            level=chosen,
            namespaces=names,
            duration=entered.duration if fits else None,
            whole_cluster=ticked,
        ),
        cluster,
        levels,
        level,
        literals,
        globs,
        whole,
        matched,
        settled,
        len(rules) > 1 and not level.only_cluster,
        most,
        any(_hangs_on_time(rule) for rule in at[chosen]),
        _skipped(targets, at[chosen], passed),
        not held,
        usage,
    )


def is_production(cluster: Cluster) -> bool:
    """Whether a cluster says that it is production: a label `env`, `stage` or `tier`, or its name.

    For emphasis alone; nothing hangs on it.
    """
    labels = {cluster.labels.get(label, "").lower() for label in _PRODUCTION_LABELS}
    return bool(labels & _PRODUCTION) or cluster.name.lower().startswith("prod")


def _only(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else ""


def _rules_at(policy: Policy, level: str, rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules that give the level at all: one for whole clusters needs a rule for them."""
    only_cluster = policy.levels[level].only_cluster
    return tuple(
        rule
        for rule in rules
        if level in rule.levels and (not only_cluster or rule.covers_namespace(None))
    )


def _namespaces(level: Level, rules: tuple[Rule, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names and the globs of the rules, in their order."""
    if level.only_cluster:
        return (), ()
    named = dict.fromkeys(name for rule in rules for name in rule.namespaces or ())
    globs = {glob for rule in rules for glob in rule.namespace_patterns.globs}
    return (
        tuple(name for name in named if name not in globs),
        tuple(name for name in named if name in globs),
    )


def _obtainable(names: tuple[str, ...], level: Level, rules: tuple[Rule, ...]) -> tuple[str, ...]:
    if level.only_cluster:
        return ()
    kept = dict.fromkeys(
        name
        for name in names[:MOST_NAMESPACES]
        if _is_namespace(name) and any(rule.covers_namespace(name) for rule in rules)
    )
    return tuple(kept)


def _is_namespace(name: str) -> bool:
    try:
        check_namespace(name)
    except InvalidInput:
        return False
    return True


def _matched(
    names: tuple[str, ...], rules: tuple[Rule, ...], *, whole: bool
) -> tuple[tuple[Rule, ...], bool]:
    """The rules that decide, as far as it can be said, and whether it can be."""
    if not names and not whole:
        return rules, len(rules) == 1
    targets: tuple[str | None, ...] = names or (None,)
    first = {
        next(rule.name for rule in rules if rule.covers_namespace(target)) for target in targets
    }
    return tuple(rule for rule in rules if rule.name in first), True


def _skipped(
    targets: tuple[str | None, ...], rules: tuple[Rule, ...], passed: Mapping[str, Reason]
) -> tuple[Reason, ...]:
    """Why rules do not hold that would come first for a target; all of them where none is named."""
    if not targets:
        return tuple(passed.values())
    found: dict[str, Reason] = {}
    for target in targets:
        for rule in rules:
            if not rule.covers_namespace(target):
                continue
            if rule.name not in passed:
                break
            found[rule.name] = passed[rule.name]
    return tuple(found.values())


def _hangs_on_time(rule: Rule) -> bool:
    """Whether the rule holds at some times only, or only for so long in all."""
    approval = rule.approval
    limited = isinstance(approval, Automatic) and approval.automatic.time_per_day is not None
    return limited or rule.when is not None
