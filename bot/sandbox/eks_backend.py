"""EKS access entries on moto's EKS backend, in the form in which moto could take them over.

State lives on the backend, one per account and region, so moto's reset clears it. Rules and
messages are in `eks_rules`, with their sources; `[?]` marks what no source confirms.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from moto.core.base_backend import BackendDict
from moto.core.utils import utcnow
from moto.eks.exceptions import (
    InvalidParameterException,
    InvalidRequestException,
    ResourceInUseException,
    ResourceNotFoundException,
)
from moto.eks.models import Cluster, EKSBackend
from moto.iam.models import iam_backends
from moto.moto_api._internal import mock_random as random

from bot.sandbox import eks_rules as rules
from bot.sandbox.eks_models import (
    ACCESS_ENTRY_ARN_TEMPLATE,
    AccessConfig,
    AccessEntry,
    AccessPolicy,
    AssociatedAccessPolicy,
)


class AccessEntryBackend(EKSBackend):
    """moto's EKS backend with access entries.

    `require_existing_principals`: CreateAccessEntry asks moto's IAM for the principal.
    `honour_client_tokens`: a CreateAccessEntry repeated with its clientRequestToken answers with
    the entry it made; otherwise with 409. What EKS does is undocumented. [?]
    """

    def __init__(
        self,
        region_name: str,
        account_id: str,
        *,
        clock: Callable[[], datetime] = utcnow,
        access_entries_per_cluster: int = rules.ACCESS_ENTRIES_PER_CLUSTER,
        require_existing_principals: bool = False,
        honour_client_tokens: bool = True,
    ) -> None:
        super().__init__(region_name, account_id)
        self.clock = clock
        self.access_entries_per_cluster = access_entries_per_cluster
        self.require_existing_principals = require_existing_principals
        self.honour_client_tokens = honour_client_tokens
        self.access_configs: dict[str, AccessConfig] = {}
        self.access_entries: dict[str, dict[str, AccessEntry]] = {}

    def create_cluster(
        self,
        *args: Any,
        access_config: dict[str, Any] | None = None,
        creator_arn: str | None = None,
        **kwargs: Any,
    ) -> Cluster:
        """CreateCluster with `accessConfig`.

        The creator's entry is there in CONFIG_MAP mode too and shows once the API is enabled.
        Source: terraform-aws-eks, "Upgrade from v19.x to v20.x".
        """
        access_config = access_config or {}
        mode = access_config.get("authenticationMode") or "CONFIG_MAP"
        bootstrap = access_config.get("bootstrapClusterCreatorAdminPermissions")
        if bootstrap is None:
            bootstrap = True
        if mode not in rules.AUTHENTICATION_MODES:
            raise InvalidParameterException(message="Invalid authentication mode.")  # [?]
        if mode == "CONFIG_MAP" and not bootstrap:
            raise InvalidParameterException(message=rules.BOOTSTRAP_MSG)
        creator_arn = creator_arn or f"arn:{self.partition}:iam::{self.account_id}:user/moto"
        creator = rules.parse_principal_arn(creator_arn, self.partition)
        cluster = super().create_cluster(*args, **kwargs)
        self.configure_access(cluster.name, mode, creator if bootstrap else None)
        return cluster

    def configure_access(
        self, cluster_name: str, authentication_mode: str, creator: rules.PrincipalArn | None
    ) -> None:
        """Give a new cluster its access configuration, and a creator its ClusterAdmin entry."""
        self.access_configs[cluster_name] = AccessConfig(authentication_mode, creator is not None)
        self.access_entries[cluster_name] = {}
        if creator is None:
            return
        entry = self._new_entry(cluster_name, creator, rules.STANDARD)
        entry.principal_id = iam_principal_id(creator)
        policy_arn = rules.access_policy_arn("AmazonEKSClusterAdminPolicy", self.partition)
        entry.associated_access_policies[policy_arn] = AssociatedAccessPolicy(
            policy_arn=policy_arn,
            access_scope={"type": "cluster", "namespaces": []},
            associated_at=entry.created_at,
            modified_at=entry.created_at,
        )

    def delete_cluster(self, name: str) -> Cluster:
        cluster = super().delete_cluster(name)
        self.access_configs.pop(name, None)
        self.access_entries.pop(name, None)
        return cluster

    def update_access_config(self, name: str, authentication_mode: str) -> dict[str, Any]:
        """UpdateClusterConfig with `accessConfig`: takes effect at once, unlike in EKS."""
        self._cluster(name)
        config = self.access_configs[name]
        rules.validate_authentication_mode_update(config.authentication_mode, authentication_mode)
        config.authentication_mode = authentication_mode
        return {
            "id": str(random.uuid4()),
            "status": "Successful",
            "type": "AccessConfigUpdate",
            "params": [{"type": "AuthenticationMode", "value": f'"{authentication_mode}"'}],
            "createdAt": self.clock(),
            "errors": [],
        }

    def create_access_entry(
        self,
        cluster_name: str,
        principal_arn: str,
        *,
        kubernetes_groups: list[str] | None = None,
        tags: dict[str, str] | None = None,
        client_request_token: str | None = None,
        username: str | None = None,
        type_: str | None = None,
    ) -> AccessEntry:
        entry_type = type_ or rules.STANDARD
        groups = list(kubernetes_groups or [])
        principal = rules.parse_principal_arn(principal_arn, self.partition)
        rules.validate_new_entry(principal, entry_type, username, groups, self.account_id)
        rules.validate_tags(tags or {})
        entries = self._entries(cluster_name)
        existing = entries.get(principal_arn)
        if existing is not None:
            token = existing.client_request_token
            if self.honour_client_tokens and token and token == client_request_token:
                return existing
            raise ResourceInUseException(
                clusterName=cluster_name, message=rules.ACCESS_ENTRY_EXISTS_MSG
            )
        principal_id = iam_principal_id(principal)
        if self.require_existing_principals and principal_id is None:
            raise InvalidParameterException(
                clusterName=cluster_name, message=rules.INVALID_PRINCIPAL_MSG
            )
        if len(entries) >= self.access_entries_per_cluster:
            raise rules.ResourceLimitExceededException(
                clusterName=cluster_name,
                message=rules.ACCESS_ENTRY_LIMIT_MSG.format(limit=self.access_entries_per_cluster),
            )
        entry = self._new_entry(cluster_name, principal, entry_type)
        entry.principal_id = principal_id
        entry.client_request_token = client_request_token
        entry.tags = dict(tags or {})
        entry.username = username or entry.username
        entry.kubernetes_groups = groups or entry.kubernetes_groups
        return entry

    def describe_access_entry(self, cluster_name: str, principal_arn: str) -> AccessEntry:
        rules.parse_principal_arn(principal_arn, self.partition)
        return self._seen_entry(cluster_name, principal_arn)

    def update_access_entry(
        self,
        cluster_name: str,
        principal_arn: str,
        kubernetes_groups: list[str] | None = None,
        username: str | None = None,
    ) -> AccessEntry:
        """Replace the groups and the username.

        What the request leaves out stays as it is. [?]
        """
        rules.parse_principal_arn(principal_arn, self.partition)
        rules.validate_username(username)
        rules.validate_groups(kubernetes_groups or [])
        self._seen_entry(cluster_name, principal_arn)
        entry = self._entry(cluster_name, principal_arn)
        if entry.type != rules.STANDARD:
            rules.validate_node_entry(entry.type, username, kubernetes_groups or [])
        elif kubernetes_groups is not None:
            entry.kubernetes_groups = list(kubernetes_groups)
        if username:
            entry.username = username
        entry.modified_at = self.clock()
        return entry

    def delete_access_entry(self, cluster_name: str, principal_arn: str) -> None:
        rules.parse_principal_arn(principal_arn, self.partition)
        self._entry(cluster_name, principal_arn)
        del self.access_entries[cluster_name][principal_arn]

    def list_access_entries(
        self,
        cluster_name: str,
        associated_policy_arn: str | None = None,
        max_results: int | None = None,
        next_token: str | None = None,
    ) -> tuple[list[str], str | None]:
        if associated_policy_arn:
            rules.validate_policy_arn(associated_policy_arn)
        seen = self._seen_entries(cluster_name, first_page=not next_token)
        principals = [
            arn
            for arn, entry in seen.items()
            if not associated_policy_arn
            or associated_policy_arn in entry.associated_access_policies
        ]
        return rules.page(principals, str, max_results, next_token)

    def associate_access_policy(
        self,
        cluster_name: str,
        principal_arn: str,
        policy_arn: str,
        access_scope: dict[str, Any],
    ) -> AssociatedAccessPolicy:
        """Put a policy on an entry, or replace the scope of one that is there."""
        rules.parse_principal_arn(principal_arn, self.partition)
        rules.validate_policy_arn(policy_arn)
        scope = rules.validate_access_scope(access_scope)
        self._seen_entry(cluster_name, principal_arn)
        entry = self._entry(cluster_name, principal_arn)
        if not rules.accepts_policy(entry.type, policy_arn):
            raise InvalidParameterException(
                clusterName=cluster_name, message=rules.NOT_STANDARD_MSG
            )
        if policy_arn not in {policy.arn for policy in self.access_policies()}:
            raise ResourceNotFoundException(
                clusterName=cluster_name, message=rules.ACCESS_POLICY_NOT_FOUND_MSG
            )
        now = self.clock()
        known = entry.associated_access_policies.get(policy_arn)
        association = AssociatedAccessPolicy(
            policy_arn=policy_arn,
            access_scope=scope,
            associated_at=known.associated_at if known else now,
            modified_at=now,
        )
        entry.associated_access_policies[policy_arn] = association
        return association

    def disassociate_access_policy(
        self, cluster_name: str, principal_arn: str, policy_arn: str
    ) -> None:
        rules.parse_principal_arn(principal_arn, self.partition)
        rules.validate_policy_arn(policy_arn)
        entry = self._entry(cluster_name, principal_arn)
        if entry.associated_access_policies.pop(policy_arn, None) is None:
            raise ResourceNotFoundException(
                clusterName=cluster_name, message=rules.POLICY_NOT_ASSOCIATED_MSG
            )

    def list_associated_access_policies(
        self,
        cluster_name: str,
        principal_arn: str,
        max_results: int | None = None,
        next_token: str | None = None,
    ) -> tuple[list[AssociatedAccessPolicy], str | None]:
        rules.parse_principal_arn(principal_arn, self.partition)
        entry = self._seen_entry(cluster_name, principal_arn)
        return rules.page(
            list(entry.associated_access_policies.values()),
            lambda association: association.policy_arn,
            max_results,
            next_token,
        )

    def list_access_policies(
        self, max_results: int | None = None, next_token: str | None = None
    ) -> tuple[list[AccessPolicy], str | None]:
        return rules.page(
            self.access_policies(), lambda policy: policy.name, max_results, next_token
        )

    def access_policies(self) -> list[AccessPolicy]:
        """All access policies, in this region's partition."""
        return [
            AccessPolicy(name, rules.access_policy_arn(name, self.partition))
            for name in rules.ACCESS_POLICIES
        ]

    def tag_resource(self, resource_arn: str, tags: dict[str, str]) -> None:
        if ":access-entry/" not in resource_arn:
            super().tag_resource(resource_arn, tags)
            return
        entry = self._tagged_entry(resource_arn)
        merged = {**entry.tags, **tags}
        rules.validate_tags(merged, rules.BadRequestException)
        entry.tags = merged

    def untag_resource(self, resource_arn: str, tag_keys: list[str]) -> None:
        if ":access-entry/" not in resource_arn:
            super().untag_resource(resource_arn, tag_keys)
            return
        entry = self._tagged_entry(resource_arn)
        entry.tags = {key: value for key, value in entry.tags.items() if key not in tag_keys}

    def list_tags_for_resource(self, resource_arn: str) -> dict[str, str]:
        if ":access-entry/" not in resource_arn:
            return super().list_tags_for_resource(resource_arn)
        return self._tagged_entry(resource_arn).tags

    def entry_or_none(self, cluster_name: str, principal_arn: str) -> AccessEntry | None:
        """A copy of the entry as it is now, or None."""
        return copy.deepcopy(self.access_entries.get(cluster_name, {}).get(principal_arn))

    def is_dead(self, entry: AccessEntry) -> bool:
        """Whether the principal was deleted, or made again, after the entry was made."""
        if entry.principal_id is None:
            return False
        principal = rules.parse_principal_arn(entry.principal_arn, self.partition)
        return iam_principal_id(principal) != entry.principal_id

    def _seen_entry(self, cluster_name: str, principal_arn: str) -> AccessEntry:
        """The entry as a caller sees it; a backend with propagation delay overrides this."""
        return self._entry(cluster_name, principal_arn)

    def _seen_entries(
        self,
        cluster_name: str,
        *,
        first_page: bool,  # noqa: ARG002 (for a backend that counts listings)
    ) -> dict[str, AccessEntry]:
        """The cluster's entries as a caller sees them."""
        return self._entries(cluster_name)

    def _cluster(self, name: str) -> Cluster:
        cluster = self.clusters.get(name)
        if cluster is None:
            raise ResourceNotFoundException(
                clusterName=name, message=rules.CLUSTER_NOT_FOUND_MSG.format(clusterName=name)
            )
        return cluster

    def _entries(self, cluster_name: str) -> dict[str, AccessEntry]:
        self._cluster(cluster_name)
        if self.access_configs[cluster_name].authentication_mode == "CONFIG_MAP":
            raise InvalidRequestException(
                clusterName=cluster_name, message=rules.AUTHENTICATION_MODE_MSG
            )
        return self.access_entries[cluster_name]

    def _entry(self, cluster_name: str, principal_arn: str) -> AccessEntry:
        entry = self._entries(cluster_name).get(principal_arn)
        if entry is None:
            raise access_entry_not_found(cluster_name)
        return entry

    def _tagged_entry(self, resource_arn: str) -> AccessEntry:
        for entries in self.access_entries.values():
            for entry in entries.values():
                if entry.access_entry_arn == resource_arn:
                    return entry
        raise rules.NotFoundException(message="Resource was not found")  # [?]

    def _new_entry(
        self, cluster_name: str, principal: rules.PrincipalArn, entry_type: str
    ) -> AccessEntry:
        now = self.clock()
        entry = AccessEntry(
            cluster_name=cluster_name,
            principal_arn=principal.arn,
            type=entry_type,
            username=rules.default_username(entry_type, principal),
            kubernetes_groups=rules.default_groups(entry_type),
            tags={},
            access_entry_arn=ACCESS_ENTRY_ARN_TEMPLATE.format(
                partition=self.partition,
                region=self.region_name,
                account_id=self.account_id,
                cluster_name=cluster_name,
                kind=principal.kind,
                principal_account=principal.account,
                name=principal.name,
                uuid=random.uuid4(),
            ),
            created_at=now,
            modified_at=now,
            client_request_token=None,
            principal_id=None,
            associated_access_policies={},
        )
        self.access_entries[cluster_name][principal.arn] = entry
        return entry


def access_entry_not_found(cluster_name: str) -> ResourceNotFoundException:
    """The 404 for a principal that has no entry on the cluster."""
    return ResourceNotFoundException(
        clusterName=cluster_name, message=rules.ACCESS_ENTRY_NOT_FOUND_MSG
    )


def iam_principal_id(principal: rules.PrincipalArn) -> str | None:
    """IAM's unique id (`AROA…`, `AIDA…`) of a role or user, or None where moto's IAM has none."""
    iam = iam_backends[principal.account][principal.partition]
    owners: Iterable[Any] = iam.get_roles() if principal.kind == "role" else iam.users.values()
    return next((str(owner.id) for owner in owners if owner.arn == principal.arn), None)


eks_backends: BackendDict[AccessEntryBackend] = BackendDict(AccessEntryBackend, "eks")
