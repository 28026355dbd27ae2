"""What a person may ask for: for lists, forms, help, and the near miss in a refusal.

Nothing is decided here. A user group that is not in `membership` counts as empty, so an answer
may leave something out that a request would get; it never offers more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta

from bot.core.durations import compact_duration
from bot.core.errors import InvalidInput
from bot.core.model import Ask, Cluster, Person
from bot.core.names import check_namespace, listed, near_names
from bot.core.patterns import Patterns
from bot.core.people import Membership, surely_belongs
from bot.core.policy import ClusterChoice, Level, Policy, Rule
from bot.core.policy_compare import level_gains
from bot.core.rule_choice import DEFAULT_DURATION

_ASK_FOR_A_RULE = "Ask whoever keeps the policy file to add one."


def rules_for(
    policy: Policy, cluster: str, person: Person, membership: Membership
) -> tuple[Rule, ...]:
    """The rules under which `person` may ask for something on the cluster, in order."""
    return rules_admitting(policy, cluster, person.id, membership)


def levels_on(
    policy: Policy, cluster: str, person: Person, membership: Membership
) -> tuple[str, ...]:
    """The levels `person` may ask for on the cluster, in the order of the policy file."""
    return _levels(policy, rules_for(policy, cluster, person, membership))


def clusters_for(policy: Policy, person: Person, membership: Membership) -> tuple[Cluster, ...]:
    """The clusters on which `person` may ask for something, in the order of the policy file."""
    return clusters_under(policy, rules_open_to(policy, person.id, membership))


def rules_open_to(policy: Policy, user: str, membership: Membership) -> tuple[Rule, ...]:
    """The rules that let `user` ask for something somewhere, in order."""
    return tuple(rule for rule in policy.rules if _admits(rule, user, membership))


def clusters_under(policy: Policy, rules: Iterable[ClusterChoice]) -> tuple[Cluster, ...]:
    """The clusters that one of the rules, or of break-glass, covers, in the policy file's order.

    Equal selectors are looked at once: a thousand rules and ten thousand clusters are usual for
    whoever writes a rule for each team.
    """
    every = tuple(rules)
    named = Patterns(
        {
            pattern
            for rule in every
            for pattern in (*rule.cluster_patterns.literals, *rule.cluster_patterns.globs)
        }
    )
    labelled = {
        frozenset(selector.labels.items()) for rule in every for selector in rule.label_selectors
    }
    return tuple(
        cluster
        for name, cluster in policy.clusters_by_name.items()
        if named.cover(name) or any(labels <= cluster.labels.items() for labels in labelled)
    )


def requester_groups(policy: Policy, cluster: str | None = None) -> frozenset[str]:
    """The user groups whose members must be known for the answers above.

    They are those of the cluster's rules, or of every rule where no cluster is named.
    """
    rules = policy.rules if cluster is None else policy.rules_on(cluster)
    return frozenset().union(*(rule.requesters.groups for rule in rules if rule.requesters))


def near_miss(policy: Policy, ask: Ask, user: str, membership: Membership) -> str:
    """What `user` could ask for instead, on the cluster asked for, with a command to paste.

    The command never gives more than what was meant may have given: see `_proposed`.
    """
    rules = rules_admitting(policy, ask.cluster, user, membership)
    levels = _levels(policy, rules)
    if not levels:
        return f"No rule lets you ask for anything there. {_ASK_FOR_A_RULE}"
    level = _proposed(policy, ask.level, levels)
    if level is None:
        return f"There you can ask for {listed(levels)}."
    rule = max(
        (rule for rule in rules if level in rule.levels),
        key=lambda rule: sum(rule.covers_namespace(name) for name in ask.namespaces),
    )
    which = "" if levels == (level,) else f"; {level}"
    return (
        f"There you can ask for {listed(levels)}{_where(rule, which)}: "
        f"{paste(policy, ask, level, rule)}"
    )


def _proposed(policy: Policy, asked: str, levels: tuple[str, ...]) -> str | None:
    """Of `levels`, which somebody may have, the one to propose to whoever asked for `asked`.

    A level that gives no more than the one asked for; where there is no such level, of those with
    a name alike (else of all) the one that gives least. None where that cannot be told.
    """
    if asked in levels:
        return asked
    known = policy.levels.get(asked)
    if known is not None:
        within = [one for one in levels if _gives_no_more(policy.levels[one], known)]
        return next(iter([*near_names(asked, within), *within]), None)
    return gives_least(policy, near_names(asked, levels) or levels)


def gives_least(policy: Policy, levels: Collection[str]) -> str | None:
    """The level that gives no more than any other of `levels`; None where that cannot be told."""
    return next(
        (
            one
            for one in levels
            if all(_gives_no_more(policy.levels[one], policy.levels[other]) for other in levels)
        ),
        None,
    )


def _gives_no_more(one: Level, other: Level) -> bool:
    wider = one.only_cluster and not other.only_cluster
    return not wider and not level_gains(other, one)


def paste(
    policy: Policy, ask: Ask, level: str, rule: Rule, *, longest: timedelta | None = None
) -> str:
    """The command for `ask`, with `level`, as `rule` allows it, and no longer than `longest`."""
    words = ["/eks-access request", ask.cluster, level]
    names = _namespaces(policy, ask, level, rule)
    if names:
        words += ["--namespace", ",".join(names)]
    elif ask.whole_cluster and not policy.levels[level].only_cluster:
        words.append("--whole-cluster")
    most = rule.max_duration if longest is None else longest
    words += ["--for", compact_duration(min(ask.duration or DEFAULT_DURATION, most))]
    if rule.ticket is not None:
        words += ["--ticket", "TICKET"]
    return f"`{' '.join(words)} …`"


def rules_admitting(
    policy: Policy, cluster: str, user: str, membership: Membership
) -> tuple[Rule, ...]:
    """As `rules_for`, for somebody of whom only the Slack user id is known."""
    return tuple(rule for rule in policy.rules_on(cluster) if _admits(rule, user, membership))


def _admits(rule: Rule, user: str, membership: Membership) -> bool:
    return rule.requesters is None or surely_belongs(user, rule.requesters.owners, membership)


def _levels(policy: Policy, rules: tuple[Rule, ...]) -> tuple[str, ...]:
    allowed = {level for rule in rules for level in rule.levels}
    return tuple(level for level in policy.levels if level in allowed)


def _where(rule: Rule, which: str) -> str:
    if rule.namespaces is None:
        return ""
    return f"{which} in {listed(f'`{name}`' for name in rule.namespaces)}"


def _namespaces(policy: Policy, ask: Ask, level: str, rule: Rule) -> tuple[str, ...]:
    if policy.levels[level].only_cluster:
        return ()
    covered = tuple(
        name for name in ask.namespaces if _is_valid(name) and rule.covers_namespace(name)
    )
    if covered or (rule.namespaces is None and ask.whole_cluster):
        return covered
    if rule.namespaces is None:
        return ("NAMESPACE",)
    literal = sorted(rule.namespace_patterns.literals)
    return (literal[0],) if literal else ("NAMESPACE",)


def _is_valid(namespace: str) -> bool:
    """A glob covers what is no namespace too, and a command to paste must not repeat that."""
    try:
        check_namespace(namespace)
    except InvalidInput:
        return False
    return True
