"""What the local EKS holds: access entries, their policies, a cluster's access configuration.

Attributes are named so that moto's serializer finds them for the members of the service model.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

ACCESS_ENTRY_ARN_TEMPLATE = (
    "arn:{partition}:eks:{region}:{account_id}:access-entry/"
    "{cluster_name}/{kind}/{principal_account}/{name}/{uuid}"
)


@dataclass
class AccessConfig:
    """A cluster's `accessConfig`, as DescribeCluster answers it."""

    authentication_mode: str
    bootstrap_cluster_creator_admin_permissions: bool


@dataclass
class AccessPolicy:
    """One of the access policies that AWS manages."""

    name: str
    arn: str


@dataclass
class AssociatedAccessPolicy:
    """An access policy on an entry. `access_scope` is `{"type": …, "namespaces": […]}`."""

    policy_arn: str
    access_scope: dict[str, Any]
    associated_at: datetime
    modified_at: datetime


@dataclass
class AccessEntry:
    """An access entry. `principal_id` is IAM's unique id of the principal, where IAM knows it.

    EKS stores that id and shows it nowhere; a role made again under the same name is somebody
    else to it. Source: EKS API Reference, "AccessEntry".
    """

    cluster_name: str
    principal_arn: str
    type: str
    username: str
    kubernetes_groups: list[str]
    tags: dict[str, str]
    access_entry_arn: str
    created_at: datetime
    modified_at: datetime
    client_request_token: str | None
    principal_id: str | None
    associated_access_policies: dict[str, AssociatedAccessPolicy]
