"""What Amazon EKS accepts in the access-entry operations, and the words it refuses with.

Pure functions over values; each raises one of the errors below, or returns what is stored.

Where the rules and messages come from:

- botocore's service model `eks` 2017-11-01: errors and their HTTP status, list limits, tag limits.
- EKS User Guide, "Create access entries", "Set a custom username for EKS access entries",
  "Associate access policies with access entries", "Review access policy permissions", and
  "Create a Node Class for Amazon EKS" (type EC2 with AmazonEKSAutoNodePolicy).
- Messages that people quote from EKS: hashicorp/terraform-provider-aws#36447 (service-linked
  role), terraform-aws-modules/terraform-aws-eks#2915 (group prefix), #2969 (invalid principal),
  #3024 (principal not found), #3048 (authentication mode),
  aws-ia/terraform-aws-eks-blueprints#2004 (username prefix),
  aws-samples/appmod-blueprints#319 (ARN format), pulumi/pulumi-eks#1493 and aws/aws-cdk#31032
  (change of authentication mode).
- badmintoncryer/cdk-preflight, `rules/eks`: measured against EKS in September 2026 (reserved
  prefixes, node types, policy ARN, scope), with the order in which CreateAccessEntry checks.

`[?]` marks a rule or a message that no source confirms.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from moto.eks.exceptions import (
    EKSError,
    InvalidParameterException,
)

T = TypeVar("T")

ACCESS_ENTRIES_PER_CLUSTER = 3000
"""Not adjustable. Source: EKS User Guide, "Service quotas"."""

MAX_RESULTS = 100
MAX_TAGS = 50
MAX_TAG_KEY = 128
MAX_TAG_VALUE = 256

STANDARD = "STANDARD"
NODE_TYPES = (
    "EC2_LINUX",
    "EC2_WINDOWS",
    "FARGATE_LINUX",
    "HYBRID_LINUX",
    "EC2",
    "HYPERPOD_LINUX",
)
ACCESS_ENTRY_TYPES = (STANDARD, *NODE_TYPES)

RESERVED_PREFIXES = ("system:", "eks:", "aws:", "amazon:", "iam:")
AUTHENTICATION_MODES = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")

# As `aws eks list-access-policies` printed them in April 2026.
ACCESS_POLICIES = (
    "AIDevOpsAgentAccessPolicy",
    "AmazonAIOpsAssistantPolicy",
    "AmazonARCRegionSwitchScalingPolicy",
    "AmazonEKSACKPolicy",
    "AmazonEKSAdminPolicy",
    "AmazonEKSAdminViewPolicy",
    "AmazonEKSArgoCDClusterPolicy",
    "AmazonEKSArgoCDPolicy",
    "AmazonEKSAutoNodePolicy",
    "AmazonEKSBlockStorageClusterPolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSClusterAdminPolicy",
    "AmazonEKSComputeClusterPolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSEditPolicy",
    "AmazonEKSEventPolicy",
    "AmazonEKSHybridPolicy",
    "AmazonEKSKROPolicy",
    "AmazonEKSLoadBalancingClusterPolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingClusterPolicy",
    "AmazonEKSNetworkingPolicy",
    "AmazonEKSPodIdentityPolicy",
    "AmazonEKSSecretAdminPolicy",
    "AmazonEKSSecretReaderPolicy",
    "AmazonEKSViewPolicy",
    "AmazonEMRJobPolicy",
    "AmazonSagemakerHyperpodClusterPolicy",
    "AmazonSagemakerHyperpodControllerPolicy",
    "AmazonSagemakerHyperpodSpacePolicy",
    "AmazonSagemakerHyperpodSpaceTemplatePolicy",
    "AmazonSagemakerHyperpodSystemNamespacePolicy",
    "AmazonSagemakerHyperpodUserClusterPolicy",
)

CLUSTER_NOT_FOUND_MSG = "No cluster found for name: {clusterName}."
AUTHENTICATION_MODE_MSG = (
    "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] "
    "to perform this operation."
)
AUTHENTICATION_MODE_UPDATE_MSG = "Unsupported authentication mode update from {old} to {new}"
BOOTSTRAP_MSG = (
    "bootstrapClusterCreatorAdminPermissions must be true "
    "if cluster authentication mode is set to CONFIG_MAP"
)
ACCESS_ENTRY_EXISTS_MSG = "The specified access entry resource is already in use on this cluster."
ACCESS_ENTRY_NOT_FOUND_MSG = (
    "The specified principalArn could not be found. "
    "You can view your available access entries with 'list-access-entries'."
)
ACCESS_ENTRY_LIMIT_MSG = "The maximum number of access entries per cluster is {limit}."  # [?]
ACCESS_POLICY_NOT_FOUND_MSG = (
    "The specified policyArn could not be found. "
    "You can view your available access policies with 'list-access-policies'."
)
POLICY_NOT_ASSOCIATED_MSG = (  # [?] the code is certain, the words are not
    "The specified policyArn could not be found. You can view the associated access policies "
    "with 'list-associated-access-policies'."
)
NOT_STANDARD_MSG = (
    'This operation can only be performed on Access Entries with a type of "STANDARD".'
)
INVALID_PRINCIPAL_MSG = "The specified principalArn is invalid: invalid principal."
PRINCIPAL_FORMAT_MSG = "The principalArn parameter format is not valid"
POLICY_FORMAT_MSG = "The policyArn parameter format is not valid"
SERVICE_LINKED_ROLE_MSG = (
    "The caller is not allowed to modify access entries with a principalArn value "
    "of a Service Linked Role"
)
USERNAME_PREFIX_MSG = "The username must not begin with {prefix}"
USERNAME_COLON_MSG = "The username must include a colon before {variable}"  # [?]
GROUP_PREFIX_MSG = "The kubernetes group name {group} is invalid, it cannot start with {prefix}"
NODE_GROUPS_MSG = (
    "The specified kubernetesGroups is invalid: "
    'setting kubernetesGroups is not allowed when the type is "{type}"'
)
NODE_USERNAME_MSG = (
    'The specified username is invalid: setting username is not allowed when the type is "{type}"'
)
_MEASURED_NODE_TYPES = "[EC2_LINUX, EC2_WINDOWS, FARGATE_LINUX, HYBRID_LINUX, EC2]"
NODE_ROLE_MSG = f"AccessEntry principalArn must be IAM role when using types {_MEASURED_NODE_TYPES}"
NODE_ACCOUNT_MSG = (
    "AccessEntry principalArn must be from the same account as the cluster "
    f"when using types {_MEASURED_NODE_TYPES}"
)
NAMESPACE_NEEDED_MSG = "At least 1 namespace must be provided if the type is set as namespace"
NAMESPACE_UNWANTED_MSG = (
    "accessScope should not include namespaces if the type is not set as namespace"
)


class ResourceLimitExceededException(EKSError):
    """The entry quota of the cluster is used up."""

    TYPE = "ResourceLimitExceededException"
    STATUS = 400


class NotFoundException(EKSError):
    """The tag operations' own 404."""

    TYPE = "NotFoundException"
    STATUS = 404


class BadRequestException(EKSError):
    """The tag operations' own 400."""

    TYPE = "BadRequestException"
    STATUS = 400


@dataclass(frozen=True, slots=True)
class PrincipalArn:
    """`arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`, or `user/` in place of `role/`."""

    arn: str
    partition: str
    account: str
    kind: str
    path: str
    name: str


_PRINCIPAL = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):(?P<kind>role|user)/"
    r"(?P<path>(?:[\x21-\x7e]+/)?)(?P<name>[\w+=,.@-]{1,64})",
    re.ASCII,
)
_EKS_ARN = re.compile(r"arn:[^:]+:eks:.+")
# A Kubernetes namespace name is a DNS label; "*" stands for any letters.
_NAMESPACE = re.compile(r"[a-z0-9*](?:[-a-z0-9*]{0,61}[a-z0-9*])?")
_SSO_ROLE = "AWSReservedSSO_"
_SSO_PATH = "aws-reserved/sso.amazonaws.com/"


def parse_principal_arn(arn: str, partition: str) -> PrincipalArn:
    """Take a principal ARN apart. STS session ARNs, root and groups are not of this form."""
    match = _PRINCIPAL.fullmatch(arn)
    if match is None:
        _refuse(PRINCIPAL_FORMAT_MSG)
    principal = PrincipalArn(arn, **match.groupdict())
    if principal.partition != partition:
        _refuse(INVALID_PRINCIPAL_MSG)  # [?]
    return principal


def validate_new_entry(
    principal: PrincipalArn,
    entry_type: str,
    username: str | None,
    kubernetes_groups: Sequence[str],
    cluster_account: str,
) -> None:
    """Check what CreateAccessEntry checks before it looks for the cluster."""
    if entry_type not in ACCESS_ENTRY_TYPES:
        valid = ", ".join(ACCESS_ENTRY_TYPES)
        _refuse(f"The specified type is invalid: valid values are [{valid}]")  # [?]
    validate_username(username)
    validate_groups(kubernetes_groups)
    if principal.kind == "role" and principal.path.startswith("aws-service-role/"):
        _refuse(SERVICE_LINKED_ROLE_MSG)
    if principal.name.startswith(_SSO_ROLE) and not principal.path.startswith(_SSO_PATH):
        _refuse(INVALID_PRINCIPAL_MSG)
    if entry_type == STANDARD:
        return
    if principal.kind != "role":
        _refuse(NODE_ROLE_MSG)
    if principal.account != cluster_account:
        _refuse(NODE_ACCOUNT_MSG)
    validate_node_entry(entry_type, username, kubernetes_groups)


def validate_node_entry(
    entry_type: str, username: str | None, kubernetes_groups: Sequence[str]
) -> None:
    """Refuse groups and a username on an entry that is for nodes."""
    if kubernetes_groups:
        _refuse(NODE_GROUPS_MSG.format(type=entry_type))
    if username:
        _refuse(NODE_USERNAME_MSG.format(type=entry_type))


def validate_username(username: str | None) -> None:
    """Refuse reserved prefixes, and a session variable with no colon before it."""
    if not username:
        return
    for prefix in RESERVED_PREFIXES:
        if username.startswith(prefix):
            _refuse(USERNAME_PREFIX_MSG.format(prefix=prefix))
    for variable in ("{{SessionName}}", "{{SessionNameRaw}}"):
        before, found, _ = username.partition(variable)
        if found and ":" not in before:
            _refuse(USERNAME_COLON_MSG.format(variable=variable))


def validate_groups(kubernetes_groups: Sequence[str]) -> None:
    """Refuse reserved prefixes. EKS does not look whether a group is bound to anything."""
    for group in kubernetes_groups:
        for prefix in RESERVED_PREFIXES:
            if group.startswith(prefix):
                _refuse(GROUP_PREFIX_MSG.format(group=group, prefix=prefix))


def default_username(entry_type: str, principal: PrincipalArn) -> str:
    """Name the user where the request does not. The path of a role is left out."""
    if entry_type == STANDARD:
        if principal.kind == "user":
            return principal.arn
        return (
            f"arn:{principal.partition}:sts::{principal.account}:assumed-role/"
            f"{principal.name}/{{{{SessionName}}}}"
        )
    if entry_type in {"EC2_LINUX", "EC2_WINDOWS", "EC2"}:
        return "system:node:{{EC2PrivateDNSName}}"
    return "system:node:{{SessionName}}"


def default_groups(entry_type: str) -> list[str]:
    """Give node types the group of nodes.

    Whether some types get more groups than `system:nodes` is unconfirmed. [?]
    """
    return [] if entry_type == STANDARD else ["system:nodes"]


def validate_policy_arn(policy_arn: str) -> None:
    """Refuse what is no EKS ARN. Whether such a policy exists is a question of its own."""
    if not _EKS_ARN.fullmatch(policy_arn):
        _refuse(POLICY_FORMAT_MSG)


def access_policy_arn(name: str, partition: str) -> str:
    """Write the ARN of an AWS managed access policy: neither region nor account."""
    return f"arn:{partition}:eks::aws:cluster-access-policy/{name}"


def accepts_policy(entry_type: str, policy_arn: str) -> bool:
    """Only STANDARD entries take policies, and Auto Mode nodes (EC2) the one made for them."""
    return entry_type == STANDARD or (
        entry_type == "EC2" and policy_arn.endswith("/AmazonEKSAutoNodePolicy")
    )


def validate_access_scope(access_scope: Mapping[str, Any]) -> dict[str, Any]:
    """Check a scope and return it as it is stored: `{"type": …, "namespaces": […]}`.

    The form of a namespace is checked as a DNS label with `*`; EKS's own check and its words are
    unconfirmed. [?] Whether the namespace exists is not checked.
    """
    scope_type = access_scope.get("type")
    namespaces = list(access_scope.get("namespaces") or [])
    if scope_type not in {"cluster", "namespace"}:
        _refuse("The specified accessScope type is invalid: [cluster, namespace]")  # [?]
    if scope_type == "cluster" and namespaces:
        _refuse(NAMESPACE_UNWANTED_MSG)
    if scope_type == "namespace" and not namespaces:
        _refuse(NAMESPACE_NEEDED_MSG)
    for namespace in namespaces:
        if not _NAMESPACE.fullmatch(namespace):
            _refuse(f"The specified namespace is invalid: {namespace}")  # [?]
    return {"type": scope_type, "namespaces": namespaces}


def validate_tags(
    tags: Mapping[str, str], error: type[EKSError] = InvalidParameterException
) -> None:
    """Hold the tag limits of the service model.

    The words, and the check on keys that begin with `aws:`, are unconfirmed. [?]
    """
    if len(tags) > MAX_TAGS:
        _refuse(f"The number of tags must not exceed {MAX_TAGS}", error)
    for key, value in tags.items():
        if not 1 <= len(key) <= MAX_TAG_KEY:
            _refuse(f"The tag key must have between 1 and {MAX_TAG_KEY} characters", error)
        if len(value) > MAX_TAG_VALUE:
            _refuse(f"The tag value must have at most {MAX_TAG_VALUE} characters", error)
        if key.lower().startswith("aws:"):
            _refuse("The tag key must not begin with aws:", error)


def validate_authentication_mode_update(old: str, new: str) -> None:
    """Allow one step: CONFIG_MAP → API_AND_CONFIG_MAP → API. There is no way back."""
    if (old, new) not in itertools.pairwise(AUTHENTICATION_MODES):
        _refuse(AUTHENTICATION_MODE_UPDATE_MSG.format(old=old, new=new))


def page(
    items: Sequence[T],
    key: Callable[[T], str],
    max_results: int | None,
    next_token: str | None,
) -> tuple[list[T], str | None]:
    """Cut one page out of `items`, sorted by `key`, with the token of the next page or None.

    A token stands for a place in the order, so it holds when items come or go between pages.
    The order is this stand-in's own, and so are the words about a bad limit or token. [?]
    """
    limit = MAX_RESULTS if max_results is None else max_results
    if not 1 <= limit <= MAX_RESULTS:
        _refuse(f"maxResults must be between 1 and {MAX_RESULTS}")
    after = "" if next_token is None else _decoded(next_token)
    rest = sorted((item for item in items if key(item) > after), key=key)
    token = _encoded(key(rest[limit - 1])) if len(rest) > limit else None
    return rest[:limit], token


def _encoded(last: str) -> str:
    return base64.urlsafe_b64encode(json.dumps({"after": last}).encode()).decode()


def _decoded(token: str) -> str:
    try:
        after = json.loads(base64.urlsafe_b64decode(token.encode()))["after"]
    except (binascii.Error, ValueError, KeyError, TypeError):
        _refuse("The nextToken parameter is not valid")
    return str(after)


def _refuse(message: str, error: type[EKSError] = InvalidParameterException) -> NoReturn:
    raise error(message=message)
