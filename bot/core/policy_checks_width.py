"""Rules that give much in many places without anybody looking, or for very long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from bot.core.durations import format_duration
from bot.core.names import listed
from bot.core.policy import ClusterChoice, Level, Policy, Rule
from bot.core.policy_approval import Approval
from bot.core.policy_problems import Location, Problem, choices, warning

LONG = timedelta(days=7)
"""Longer than this, what is above view is standing access in all but name."""

LONG_UNSEEN = timedelta(days=1)
"""The same for what nobody approves and what holds in every namespace."""

_READS_ONLY = "AmazonEKSViewPolicy"
"""Reads, and no secrets. Source: EKS User Guide, "Review access policy permissions"."""

_NAMED_CLUSTER_ADMIN = re.compile(r"cluster[^a-z]?admin", re.IGNORECASE)


def width_warnings(policy: Policy) -> Iterator[Problem]:
    """What gives more than anybody may have meant; the policy works with it."""
    for at, choice in choices(policy):
        above = [name for name in choice.levels if _above_view(policy.levels.get(name))]
        if above:
            yield from _long(at, choice, above)
            if isinstance(choice, Rule) and not isinstance(choice.approval, Approval):
                yield from _unseen_everywhere(at, choice, above)
    yield from _groups_named_cluster_admin(policy)


def _above_view(level: Level | None) -> bool:
    """Whether it surely or perhaps gives more than view: what a group may do RBAC alone knows."""
    return level is not None and (level.policy != _READS_ONLY or bool(level.kubernetes_groups))


def _long(at: Location, choice: ClusterChoice, above: list[str]) -> Iterator[Problem]:
    if choice.max_duration > LONG:
        yield warning(
            (*at, "max_duration"),
            f"People can get {_ticked(above)} here for {format_duration(choice.max_duration)} at a "
            "time, which is close to standing access.",
            f"Make it {format_duration(LONG)} or less; access can be extended while it is needed. "
            "Give what may last longer in a rule of its own.",
        )


def _unseen_everywhere(at: Location, rule: Rule, above: list[str]) -> Iterator[Problem]:
    if "*" in rule.clusters:
        yield warning(
            (*at, "clusters", rule.clusters.index("*")),
            f"Rule {rule.name} gives {_ticked(above)} without approval on every cluster, also on "
            "those that are added later.",
            "Name the clusters or select them by labels, or let owners approve.",
        )
    elif "*" in (rule.namespaces or ()) and rule.max_duration > LONG_UNSEEN:
        yield warning(
            (*at, "namespaces", (rule.namespaces or ()).index("*")),
            f"Rule {rule.name} gives {_ticked(above)} without approval in every namespace for "
            f"{format_duration(rule.max_duration)}.",
            f"Name the namespaces, make `max_duration` {format_duration(LONG_UNSEEN)} or less, or "
            "let owners approve.",
        )


def _groups_named_cluster_admin(policy: Policy) -> Iterator[Problem]:
    for name, level in policy.levels.items():
        for place, group in enumerate(level.kubernetes_groups):
            if _NAMED_CLUSTER_ADMIN.search(group):
                yield warning(
                    ("levels", name, "kubernetes_groups", place),
                    f"Level `{name}` puts people in the group `{group}`, which by its name may do "
                    "everything on a cluster.",
                    "If that is meant, use `policy: AmazonEKSClusterAdminPolicy`, which everybody "
                    "here knows as the widest. If not, give the group a name for what it may do.",
                )


def _ticked(levels: list[str]) -> str:
    return listed((f"`{name}`" for name in levels), "and")
