"""What AWS said, sorted into what is worth trying again and what is not, in plain words.

The codes and messages are those of the EKS API Reference and of the AWS guides; a code nobody
foresaw counts as temporary, because giving up a removal is the worse mistake.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound
from botocore.parsers import ResponseParserError

from bot.core.errors import AwsProblem, PermanentAwsProblem, TemporaryAwsProblem
from bot.core.model import Cluster
from bot.core.retry_after import retry_after_of_aws

NO_ENTRIES = "config_map_mode"
"""The code of the problem that a cluster has no access entries at all."""

NO_CLUSTER = "no_cluster"
"""The code of the problem that AWS knows no such cluster in that account and region."""

NO_ANSWER = (BotoCoreError, ResponseParserError, UnicodeDecodeError, KeyError)
"""What asking AWS raises, beside ClientError, where no answer comes that can be read.

Of a body that is no JSON botocore makes an answer in which every member is missing.
"""

NO_CREDENTIALS = "no_credentials"
"""The code of the problem that there is nothing to ask AWS with."""

ROLE_DENIED, ACCESS_DENIED, WRONG_ACCOUNT = "role_denied", "access_denied", "wrong_account"
"""The codes of what AWS refuses the role that reaches a cluster, or of one that is elsewhere."""

_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_NEW_ONES = "Whoever runs the bot gives it new ones; docs/aws.md says where they come from."
_CREDENTIALS = {
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"),
        f"They have expired. {_NEW_ONES}",
    ),
    **dict.fromkeys(
        (
            "AuthFailure",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "UnrecognizedClient",
            "UnrecognizedClientException",
        ),
        f"AWS does not know them. {_NEW_ONES}",
    ),
    **dict.fromkeys(
        (
            "IncompleteSignature",
            "InvalidSignatureException",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "SignatureDoesNotMatch",
        ),
        f"Their secret is wrong, or the host's clock is. {_NEW_ONES}",
    ),
    **dict.fromkeys(
        ("RequestExpired", "RequestTimeTooSkewed"),
        "The host's clock is wrong. Whoever runs the bot sets it right.",
    ),
    **dict.fromkeys(
        ("OptInRequired", "RegionDisabledException", "SubscriptionRequiredException"),
        "Their account has this service or region turned off. Whoever keeps that account turns it "
        "on.",
    ),
}
"""What AWS has against the bot's credentials, until somebody acts, as sentences.

Source: "Common Error Types" in AWS's API references, and "Troubleshoot IAM". An answer that is not
here counts as passing.
"""

_INVALID_PRINCIPAL = "invalid principal"
_MODE = "authentication mode must be"
_NO_CLUSTER = "No cluster found"
_NO_POLICY = "policyArn"  # the same 404 for an unknown principal may be propagation


@contextmanager
def translated(cluster: Cluster, principal_arn: str, doing: str) -> Iterator[None]:
    """Raise AwsProblem for whatever boto3 raises. `doing` ends "The bot may not …"."""
    try:
        yield
    except ClientError as error:
        refused = refused_credentials(error.response["Error"]["Code"], cluster)
        problem = refused or _problem(error, cluster, principal_arn, doing)
        raise asking(problem, error) from error
    except (NoCredentialsError, ProfileNotFound) as error:
        raise TemporaryAwsProblem(
            NO_CREDENTIALS,
            "The bot has no AWS credentials, so it can change nothing. "
            "Whoever runs the bot gives it a role; docs/aws.md says where it comes from.",
        ) from error
    except NO_ANSWER as error:
        raise TemporaryAwsProblem(
            "aws_unreachable",
            f"AWS {how(error)} for {cluster.name} ({type(error).__name__}). "
            "The bot tries again by itself.",
        ) from error


def asking(problem: AwsProblem, error: ClientError) -> AwsProblem:
    """The problem, with how long AWS asked to be left alone, which botocore keeps to only in part.

    It reads `x-amz-retry-after` alone, and waits 5 seconds more for it at most.
    """
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    problem.after = retry_after_of_aws(headers)
    return problem


def refused_credentials(code: str, cluster: Cluster) -> AwsProblem | None:
    """The problem, where AWS does not take the bot's credentials; it stays until somebody acts.

    It is still a temporary one: access that is asked for waits some minutes for new credentials
    rather than failing at once, as where there are none.
    """
    said = _CREDENTIALS.get(code)
    if said is None:
        return None
    return TemporaryAwsProblem(
        "credentials_refused",
        f"AWS does not accept the bot's credentials for {cluster.name} ({code}). {said}",
    )


def how(error: Exception) -> str:
    """What AWS did, of an error in NO_ANSWER: "did not answer", or else what."""
    whole = isinstance(error, BotoCoreError)
    return "did not answer" if whole else "gave an answer that the bot cannot read"


def is_not_found(error: ClientError) -> bool:
    """Whether EKS says that the entry or association is not there (and not the cluster)."""
    details = error.response["Error"]
    return details["Code"] == "ResourceNotFoundException" and _NO_CLUSTER not in details["Message"]


def no_entries(cluster: Cluster) -> AwsProblem:
    """The problem of a cluster in authentication mode CONFIG_MAP."""
    return PermanentAwsProblem(
        NO_ENTRIES,
        f"{cluster.name} is in authentication mode CONFIG_MAP, which has no access entries. "
        "Its owners set the mode to API_AND_CONFIG_MAP or API: `aws eks update-cluster-config "
        f"--name {cluster.name} --access-config authenticationMode=API_AND_CONFIG_MAP`.",
    )


def _problem(  # noqa: C901, PLR0911 - a table of answers, one a line, reads best as returns
    error: ClientError, cluster: Cluster, principal_arn: str, doing: str
) -> AwsProblem:
    code = error.response["Error"]["Code"]
    message = error.response["Error"].get("Message", "")
    name = cluster.name
    if code in _DENIED and error.operation_name == "AssumeRole":
        return PermanentAwsProblem(
            ROLE_DENIED,
            f"AWS does not let the bot assume `{cluster.assume_role}`, the role that reaches "
            f"{name} ({code}). Whoever runs the bot lets it do so, and that role trust it.",
        )
    if code in _DENIED and error.operation_name == "GetCallerIdentity":
        return TemporaryAwsProblem(
            "account_unknown",
            f"AWS does not tell the bot of which account its credentials are ({code}), so it does "
            f"nothing on {name} with them. That takes no permission: the policy of a VPC endpoint "
            "or of the organisation denies `sts:GetCallerIdentity`. Whoever keeps it allows it.",
        )
    if code in _DENIED:
        return PermanentAwsProblem(
            ACCESS_DENIED,
            f"AWS does not let the bot {doing} on {name} ({code}). Whoever runs the bot grants "
            "its role that permission; docs/aws.md lists what it needs.",
        )
    if _NO_CLUSTER in message:
        return PermanentAwsProblem(
            NO_CLUSTER,
            f"AWS knows no cluster {name} in {cluster.region} of account {cluster.account}. "
            "It may have been deleted, or the policy file names another region or account.",
        )
    if _MODE in message:
        return no_entries(cluster)
    if _INVALID_PRINCIPAL in message:
        # The same answer for a role made seconds ago and for one that does not exist.
        return TemporaryAwsProblem(
            "invalid_principal",
            f"AWS says that `{principal_arn}` is no valid principal. A role made a moment ago is "
            "known within a minute; otherwise the role does not exist or its path is missing.",
        )
    if code == "ResourceInUseException":
        return TemporaryAwsProblem(
            "entry_appeared",
            f"An access entry for this principal has just appeared on {name}. "
            "The bot looks at it before it does anything.",
        )
    if code == "ResourceLimitExceededException":
        return PermanentAwsProblem(
            "entry_limit",
            f"{name} has reached the limit of access entries (3,000 a cluster). "
            "Its owners remove entries nobody needs.",
        )
    if code == "ResourceNotFoundException" and _NO_POLICY in message:
        return PermanentAwsProblem("refused_by_eks", f"{name} refuses this: {message}")
    if code == "ResourceNotFoundException":
        return TemporaryAwsProblem(
            "not_yet_there",
            f"{name} does not know the access entry yet; changes may take several seconds.",
        )
    if code == "InvalidParameterException":
        return PermanentAwsProblem("refused_by_eks", f"{name} refuses this: {message}")
    return TemporaryAwsProblem(
        "aws_fault",
        f"AWS could not do this for {name} just now ({code}). The bot tries again by itself.",
    )
