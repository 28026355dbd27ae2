"""How wide access is that others gave, by the access policies and groups on an entry.

For telling people alone: the widest first, machines apart. Sources: EKS User Guide, "Review access
policy permissions"; the names are those that `aws eks list-access-policies` printed in April 2026.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum


class Width(StrEnum):
    """The widest that an entry gives, in order. The bot cannot tell what a group is bound to."""

    CLUSTER_ADMIN = "ClusterAdmin"
    GROUPS = "by Kubernetes groups"
    ADMIN = "Admin"
    OTHER = "other policies"
    EDIT = "Edit"
    ADMIN_VIEW = "AdminView"
    SECRET_READER = "SecretReader"  # noqa: S105 - a policy's name
    VIEW = "View"


_ORDER = {width: place for place, width in enumerate(Width)}
_POLICIES = {
    f"AmazonEKS{width.value}Policy": width
    for width in Width
    if width not in {Width.GROUPS, Width.OTHER}
}

MACHINE_POLICIES = frozenset(
    {
        *(
            f"AmazonEKS{name}Policy"
            for name in (
                "ACK",
                "ArgoCD",
                "ArgoCDCluster",
                "AutoNode",
                "BlockStorage",
                "BlockStorageCluster",
                "ClusterInsights",
                "Compute",
                "ComputeCluster",
                "Event",
                "Hybrid",
                "KRO",
                "LoadBalancing",
                "LoadBalancingCluster",
                "Networking",
                "NetworkingCluster",
                "PodIdentity",
            )
        ),
        "AIDevOpsAgentAccessPolicy",
        "AmazonAIOpsAssistantPolicy",
        "AmazonARCRegionSwitchScalingPolicy",
        "AmazonEMRJobPolicy",
        *(
            f"AmazonSagemakerHyperpod{name}Policy"
            for name in (
                "Cluster",
                "Controller",
                "Space",
                "SpaceTemplate",
                "SystemNamespace",
                "UserCluster",
            )
        ),
    }
)
"""Policies of nodes and of AWS's own services; one that is none of these may be anybody's."""


def is_machine(policies: Collection[str], groups: Collection[str]) -> bool:
    """Whether an entry gives what only machines are given."""
    return bool(policies) and not groups and MACHINE_POLICIES.issuperset(policies)


def width_of(policies: Iterable[str], groups: Collection[str]) -> Width:
    """The widest of what an entry gives that gives something."""
    found = [_of_policy(name) for name in policies]
    if groups:
        found.append(Width.GROUPS)
    return min(found, key=_ORDER.__getitem__)


def place_of(width: Width) -> int:
    """For sorting: the widest is 0."""
    return _ORDER[width]


def policies_widest_first(policies: Iterable[str]) -> list[str]:
    """The names of access policies, the widest first, those of machines last."""
    return sorted(
        policies,
        key=lambda name: (name in MACHINE_POLICIES, _ORDER[_of_policy(name)], name),
    )


def _of_policy(name: str) -> Width:
    return _POLICIES.get(name, Width.OTHER)
