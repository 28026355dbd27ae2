"""One access entry at EKS: observe it, and apply one planned action to it.

Every list is read to its last page. A 404 on taking away means that it is already gone; no other
error does. Source: the EKS API Reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypedDict

from botocore.exceptions import ClientError

from bot.aws.errors import is_not_found, translated
from bot.core.model import AccessScope, Cluster
from bot.core.planner import (
    DEPLOYMENT_TAG,
    GRANT_TAG,
    STANDARD,
    STORE_TAG,
    Action,
    Associate,
    CreateEntry,
    DeleteEntry,
    Disassociate,
    ObservedEntry,
    Owner,
    SetGroups,
)

if TYPE_CHECKING:
    from mypy_boto3_eks.client import EKSClient
    from mypy_boto3_eks.type_defs import AccessScopeTypeDef


@dataclass(frozen=True, slots=True)
class Described:
    """What DescribeAccessEntry alone tells: the entry without its policies."""

    arn: str
    type: str
    tags: Mapping[str, str]
    kubernetes_groups: frozenset[str]
    created_at: datetime | None

    def with_policies(self, policies: Mapping[str, AccessScope]) -> ObservedEntry:
        return ObservedEntry(self.arn, self.type, self.tags, policies, self.kubernetes_groups)


def observe(client: EKSClient, cluster: Cluster, principal_arn: str) -> ObservedEntry | None:
    """The access entry as EKS shows it now, or None. Raises AwsProblem."""
    described = describe(client, cluster, principal_arn)
    if described is None:
        return None
    policies = policies_of(client, cluster, principal_arn)
    return None if policies is None else described.with_policies(policies)


def describe(client: EKSClient, cluster: Cluster, principal_arn: str) -> Described | None:
    """The access entry without its policies, or None where there is none. Raises AwsProblem."""
    with translated(cluster, principal_arn, "read access entries"):
        try:
            entry = client.describe_access_entry(
                clusterName=cluster.name, principalArn=principal_arn
            )["accessEntry"]
        except ClientError as error:
            if is_not_found(error):
                return None
            raise
        return Described(
            arn=entry["accessEntryArn"],
            type=entry["type"],
            tags=entry.get("tags", {}),
            kubernetes_groups=frozenset(entry.get("kubernetesGroups", [])),
            created_at=entry.get("createdAt"),
        )


def policies_of(
    client: EKSClient, cluster: Cluster, principal_arn: str
) -> dict[str, AccessScope] | None:
    """The policies of an entry with their scopes; None where there is no entry."""
    with translated(cluster, principal_arn, "read access entries"):
        try:
            return dict(_associations(client, cluster, principal_arn))
        except ClientError as error:
            if is_not_found(error):
                return None
            raise


def principals(client: EKSClient, cluster: Cluster) -> list[str]:
    """The principals of all access entries of a cluster. Raises AwsProblem."""
    with translated(cluster, "", "list access entries"):
        pages = client.get_paginator("list_access_entries").paginate(clusterName=cluster.name)
        return [arn for page in pages for arn in page["accessEntries"]]


def apply(
    client: EKSClient,
    cluster: Cluster,
    principal_arn: str,
    action: Action,
    *,
    owner: Owner,
    grant_id: str,
) -> None:
    """Make one planned change. Raises AwsProblem; a lost answer may hide a change that was made.

    `grant_id` is the grant on whose account an entry is created; it goes into its tags.
    """
    key: _Key = {"clusterName": cluster.name, "principalArn": principal_arn}
    match action:
        case CreateEntry(groups):
            tags = {DEPLOYMENT_TAG: owner.deployment, GRANT_TAG: grant_id}
            if owner.store is not None:
                tags[STORE_TAG] = owner.store
            with translated(cluster, principal_arn, "create access entries"):
                client.create_access_entry(
                    **key, type=STANDARD, kubernetesGroups=sorted(groups), tags=tags
                )
        case SetGroups(groups):
            with translated(cluster, principal_arn, "change its access entries"):
                client.update_access_entry(**key, kubernetesGroups=sorted(groups))
        case Associate(policy_arn, scope):
            with translated(cluster, principal_arn, "associate access policies"):
                client.associate_access_policy(
                    **key, policyArn=policy_arn, accessScope=_scope_parameter(scope)
                )
        case Disassociate(policy_arn):
            with (
                translated(cluster, principal_arn, "disassociate access policies"),
                _gone_is_fine(),
            ):
                client.disassociate_access_policy(**key, policyArn=policy_arn)
        case DeleteEntry():
            with translated(cluster, principal_arn, "delete its access entries"), _gone_is_fine():
                client.delete_access_entry(**key)


class _Key(TypedDict):
    clusterName: str
    principalArn: str


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if not is_not_found(error):
            raise


def _associations(
    client: EKSClient, cluster: Cluster, principal_arn: str
) -> Iterator[tuple[str, AccessScope]]:
    pages = client.get_paginator("list_associated_access_policies").paginate(
        clusterName=cluster.name, principalArn=principal_arn
    )
    for page in pages:
        for association in page["associatedAccessPolicies"]:
            scope = association["accessScope"]
            namespaces = scope.get("namespaces", []) if scope.get("type") == "namespace" else []
            yield association["policyArn"], AccessScope.of(namespaces)


def _scope_parameter(scope: AccessScope) -> AccessScopeTypeDef:
    if scope.is_cluster:
        return {"type": "cluster"}
    return {"type": "namespace", "namespaces": sorted(scope.namespaces)}
