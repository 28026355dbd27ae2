"""HTTP to backend for EKS access entries, in the form in which moto could take them over."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from moto.core.base_backend import BackendDict
from moto.core.responses import ActionResult, EmptyResult
from moto.eks.exceptions import InvalidRequestException
from moto.eks.responses import EKSResponse
from moto.eks.urls import url_paths as eks_url_paths
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from bot.sandbox.eks_backend import AccessEntryBackend, eks_backends


class AccessEntryResponse(EKSResponse):
    """moto's EKS responses with the access-entry operations and `accessConfig`."""

    def __init__(self, backends: BackendDict[Any] = eks_backends) -> None:
        super().__init__()
        self.automated_parameter_parsing = True
        self._backends = backends

    @property
    def eks_backend(self) -> AccessEntryBackend:
        """The EKS of the caller's account and the request's region."""
        backend: AccessEntryBackend = self._backends[self.current_account][self.region]
        return backend

    def get_region_from_url(self, request: Any, full_url: str) -> str:
        """Read the region from the host alone.

        A path holds the ARN of the principal, and an Identity Center role's ARN holds
        `sso.amazonaws.com`, which the region pattern takes for an AWS host.
        """
        parts = urlsplit(full_url)
        return super().get_region_from_url(request, f"{parts.scheme}://{parts.netloc}")

    def create_cluster(self) -> ActionResult:
        cluster = self.eks_backend.create_cluster(
            creator_arn=self._caller_principal_arn(),
            access_config=self._get_param("accessConfig"),
            name=self._get_param("name"),
            version=self._get_param("version"),
            role_arn=self._get_param("roleArn"),
            resources_vpc_config=self._get_param("resourcesVpcConfig"),
            kubernetes_network_config=self._get_param("kubernetesNetworkConfig"),
            logging=self._get_param("logging"),
            client_request_token=self._get_param("clientRequestToken"),
            tags=self._get_param("tags"),
            encryption_config=self._get_param("encryptionConfig"),
            remote_network_config=self._get_param("remoteNetworkConfig"),
        )
        return ActionResult({"cluster": self._with_access_config(cluster)})

    def describe_cluster(self) -> ActionResult:
        cluster = self.eks_backend.describe_cluster(name=self._get_param("name"))
        return ActionResult({"cluster": self._with_access_config(cluster)})

    def update_cluster_config(self) -> ActionResult:
        access_config = self._get_param("accessConfig")
        if not access_config:
            return super().update_cluster_config()
        mode = access_config.get("authenticationMode")
        if not mode:
            raise InvalidRequestException(message="No changes needed for the cluster")  # [?]
        update = self.eks_backend.update_access_config(self._get_param("name"), mode)
        return ActionResult({"update": update})

    def create_access_entry(self) -> ActionResult:
        entry = self.eks_backend.create_access_entry(
            cluster_name=self._get_param("clusterName"),
            principal_arn=self._get_param("principalArn"),
            kubernetes_groups=self._get_param("kubernetesGroups"),
            tags=self._get_param("tags"),
            client_request_token=self._get_param("clientRequestToken"),
            username=self._get_param("username"),
            type_=self._get_param("type"),
        )
        return ActionResult({"accessEntry": entry})

    def describe_access_entry(self) -> ActionResult:
        entry = self.eks_backend.describe_access_entry(
            cluster_name=self._get_param("clusterName"),
            principal_arn=self._get_param("principalArn"),
        )
        return ActionResult({"accessEntry": entry})

    def update_access_entry(self) -> ActionResult:
        entry = self.eks_backend.update_access_entry(
            cluster_name=self._get_param("clusterName"),
            principal_arn=self._get_param("principalArn"),
            kubernetes_groups=self._get_param("kubernetesGroups"),
            username=self._get_param("username"),
        )
        return ActionResult({"accessEntry": entry})

    def delete_access_entry(self) -> ActionResult:
        self.eks_backend.delete_access_entry(
            cluster_name=self._get_param("clusterName"),
            principal_arn=self._get_param("principalArn"),
        )
        return EmptyResult()

    def list_access_entries(self) -> ActionResult:
        principals, next_token = self.eks_backend.list_access_entries(
            cluster_name=self._get_param("clusterName"),
            associated_policy_arn=self._get_param("associatedPolicyArn"),
            max_results=self._get_int_param("maxResults"),
            next_token=self._get_param("nextToken"),
        )
        return ActionResult({"accessEntries": principals, "nextToken": next_token})

    def associate_access_policy(self) -> ActionResult:
        cluster_name = self._get_param("clusterName")
        principal_arn = self._get_param("principalArn")
        association = self.eks_backend.associate_access_policy(
            cluster_name=cluster_name,
            principal_arn=principal_arn,
            policy_arn=self._get_param("policyArn"),
            access_scope=self._get_param("accessScope"),
        )
        return ActionResult(
            {
                "clusterName": cluster_name,
                "principalArn": principal_arn,
                "associatedAccessPolicy": association,
            }
        )

    def disassociate_access_policy(self) -> ActionResult:
        self.eks_backend.disassociate_access_policy(
            cluster_name=self._get_param("clusterName"),
            principal_arn=self._get_param("principalArn"),
            policy_arn=self._get_param("policyArn"),
        )
        return EmptyResult()

    def list_associated_access_policies(self) -> ActionResult:
        cluster_name = self._get_param("clusterName")
        principal_arn = self._get_param("principalArn")
        associations, next_token = self.eks_backend.list_associated_access_policies(
            cluster_name=cluster_name,
            principal_arn=principal_arn,
            max_results=self._get_int_param("maxResults"),
            next_token=self._get_param("nextToken"),
        )
        return ActionResult(
            {
                "clusterName": cluster_name,
                "principalArn": principal_arn,
                "associatedAccessPolicies": associations,
                "nextToken": next_token,
            }
        )

    def list_access_policies(self) -> ActionResult:
        policies, next_token = self.eks_backend.list_access_policies(
            max_results=self._get_int_param("maxResults"),
            next_token=self._get_param("nextToken"),
        )
        return ActionResult({"accessPolicies": policies, "nextToken": next_token})

    def caller_session(self) -> Any:
        """The AssumedRole of moto's STS behind the request's access key, or None."""
        sts = sts_backends[self.current_account][self.partition]
        return sts.get_assumed_role_from_access_key(self.access_key)

    def caller_arn(self) -> str:
        """The caller as STS GetCallerIdentity would name it."""
        sts = sts_backends[self.current_account][self.partition]
        return str(sts.get_caller_identity(self.access_key, self.region)[1])

    def _caller_principal_arn(self) -> str:
        """The caller's IAM role or user; keys that moto never issued belong to `user/moto`."""
        session = self.caller_session()
        if session is not None:
            return str(session.role_arn)
        iam = iam_backends[self.current_account][self.partition]
        user = iam.get_user_from_access_key_id(self.access_key)
        if user is not None:
            return str(user.arn)
        return f"arn:{self.partition}:iam::{self.current_account}:user/moto"

    def _with_access_config(self, cluster: Any) -> dict[str, Any]:
        config = self.eks_backend.access_configs[cluster.name]
        return {**vars(cluster), "accessConfig": config}


url_paths = {
    **dict.fromkeys(eks_url_paths, AccessEntryResponse.dispatch),
    "{0}/access-policies$": AccessEntryResponse.dispatch,
    "{0}/clusters/(?P<name>[^/]+)/access-entries$": AccessEntryResponse.dispatch,
    "{0}/clusters/(?P<name>[^/]+)/access-entries/(?P<principalArn>[^/]+)$": (
        AccessEntryResponse.dispatch
    ),
    "{0}/clusters/(?P<name>[^/]+)/access-entries/(?P<principalArn>[^/]+)/access-policies$": (
        AccessEntryResponse.dispatch
    ),
    "{0}/clusters/(?P<name>[^/]+)/access-entries/(?P<principalArn>[^/]+)/access-policies/"
    "(?P<policyArn>[^/]+)$": AccessEntryResponse.dispatch,
}
