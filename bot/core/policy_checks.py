"""Whether the entries of a policy fit each other: what must not be, and what is surely a mistake.

A problem of severity ERROR keeps the policy from coming into force. A WARNING is something that
can have no effect or cannot be meant; the policy works without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeGuard

from bot.core.names import listed, near_names, nearest, parse_principal, partition_of
from bot.core.offers import gives_least
from bot.core.patterns import is_glob
from bot.core.policy import ClusterChoice, LabelSelector, Policy, Rule
from bot.core.policy_checks_approval import approval_errors, approval_warnings
from bot.core.policy_checks_backstop import backstop_errors, backstop_warnings
from bot.core.policy_checks_break_glass import break_glass_errors, break_glass_warnings
from bot.core.policy_checks_principals import principal_errors, principal_warnings
from bot.core.policy_checks_width import width_warnings
from bot.core.policy_problems import Location, Problem, choices, error, warning
from bot.core.policy_reach import Reach


def errors(policy: Policy) -> tuple[Problem, ...]:
    """What keeps the policy from coming into force."""
    return (
        *_twice("clusters", [entry.name for entry in policy.clusters]),
        *_twice("rules", [rule.name for rule in policy.rules]),
        *_roles_to_assume(policy),
        *_unknown_names(policy),
        *_cluster_levels_in_namespaces(policy),
        *approval_errors(policy),
        *break_glass_errors(policy),
        *backstop_errors(policy),
        *principal_errors(policy),
    )


def warnings(policy: Policy) -> tuple[Problem, ...]:
    """What can have no effect, or cannot be meant, or is worth knowing."""
    reach = Reach(policy)
    return (
        *_no_rules(policy),
        *_unused_levels(policy),
        *_selectors_of_nothing(policy, reach),
        *_unreachable_rules(policy, reach),
        *_globs_for_system_namespaces(policy),
        *approval_warnings(policy),
        *break_glass_warnings(policy, reach),
        *backstop_warnings(policy),
        *principal_warnings(policy),
        *width_warnings(policy),
    )


def _is_literal(selector: str | LabelSelector) -> TypeGuard[str]:
    return isinstance(selector, str) and not is_glob(selector)


def _called(choice: ClusterChoice) -> str:
    return f"Rule {choice.name}" if isinstance(choice, Rule) else "Break-glass"


def _twice(key: str, names: Sequence[str]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in first:
            yield error(
                (key, index, "name"),
                f"`{name}` stands twice under `{key}`.",
                "People and the audit trail know it by its name alone: give each its own.",
                (key, first[name], "name"),
            )
        first.setdefault(name, index)


def _roles_to_assume(policy: Policy) -> Iterator[Problem]:
    for index, entry in enumerate(policy.clusters):
        if entry.assume_role is None:
            continue
        at = ("clusters", index, "assume_role")
        arn = parse_principal(entry.assume_role)
        if arn.kind != "role":
            yield error(at, "A user cannot be assumed.", "Write the ARN of a role.")
        elif arn.account != entry.account:
            yield error(
                at,
                f"This role is in account {arn.account}, and the cluster in {entry.account}.",
                "Write a role of the cluster's own account.",
            )
        elif arn.partition != partition_of(entry.region):
            yield error(
                at,
                f"This role is in partition {arn.partition}, and {entry.region} in "
                f"{partition_of(entry.region)}.",
                f"Begin the ARN with `arn:{partition_of(entry.region)}:`.",
            )


def _unknown_names(policy: Policy) -> Iterator[Problem]:
    for at, choice in choices(policy):
        for index, level in enumerate(choice.levels):
            if level not in policy.levels:
                near = gives_least(policy, near_names(level, policy.levels))
                yield _unknown((*at, "levels", index), "level", level, policy.levels, near)
        for index, selector in enumerate(choice.clusters):
            if _is_literal(selector) and selector not in policy.clusters_by_name:
                clusters = policy.clusters_by_name
                near = nearest(selector, clusters)
                yield _unknown((*at, "clusters", index), "cluster", selector, clusters, near)


def _unknown(at: Location, kind: str, name: str, known: Iterable[str], near: str | None) -> Problem:
    names = list(known)
    return error(
        at,
        f"There is no {kind} `{name}`.",
        f"Did you mean `{near}`?"
        if near
        else f"Name one of {listed(f'`{known_name}`' for known_name in names)}.",
    )


def _cluster_levels_in_namespaces(policy: Policy) -> Iterator[Problem]:
    for index, rule in enumerate(policy.rules):
        if rule.scope == "cluster":
            continue
        for place, name in enumerate(rule.levels):
            level = policy.levels.get(name)
            if level is not None and level.only_cluster:
                yield error(
                    ("rules", index, "levels", place),
                    f"Level `{name}` is only given for whole clusters, and this rule has "
                    "namespaces.",
                    f"Take `{name}` out, or give it in a rule of its own with `scope: cluster`.",
                )


def _no_rules(policy: Policy) -> Iterator[Problem]:
    if not policy.rules:
        yield warning(("rules",), "There is no rule, so every request is refused.", "Add a rule.")


def _unused_levels(policy: Policy) -> Iterator[Problem]:
    used = {level for _, choice in choices(policy) for level in choice.levels}
    for name in policy.levels:
        if name not in used:
            yield warning(
                ("levels", name),
                f"No rule gives level `{name}`, so nobody can ask for it.",
                "Name it in a rule's `levels`, or take it out.",
            )


def _selectors_of_nothing(policy: Policy, reach: Reach) -> Iterator[Problem]:
    for at, choice in choices(policy):
        for index, selector in enumerate(choice.clusters):
            if not reach.selected(selector) and not _is_literal(selector):
                yield warning(
                    (*at, "clusters", index),
                    f"{_called(choice)} selects clusters here, and no cluster matches.",
                    "Correct it, or take it out.",
                )


def _unreachable_rules(policy: Policy, reach: Reach) -> Iterator[Problem]:
    for index, rule in enumerate(policy.rules):
        earlier = reach.hidden_by(index)
        if earlier:
            names = listed((policy.rules[place].name for place in earlier), "and")
            yield warning(
                ("rules", index, "name"),
                f"Rule {rule.name} is never reached: all that it covers matches an earlier rule "
                f"first ({names}).",
                "Move it up, or take it out.",
                ("rules", earlier[0], "name"),
            )


def _globs_for_system_namespaces(policy: Policy) -> Iterator[Problem]:
    for index, rule in enumerate(policy.rules):
        for place, pattern in enumerate(rule.namespaces or ()):
            if is_glob(pattern) and pattern.startswith("kube"):
                yield warning(
                    ("rules", index, "namespaces", place),
                    f"`{pattern}` does not cover kube-system, kube-public and kube-node-lease: no "
                    "glob does.",
                    "If they are meant, name each of them.",
                )
