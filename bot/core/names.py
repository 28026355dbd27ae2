"""Which names are valid: namespaces, clusters, regions, accounts, IAM principals, Slack ids.

Each `check_…` returns the text it was given, or raises InvalidInput with a sentence that says
what is wrong and what would be right. Nothing here knows the policy.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import NamedTuple

from bot.core.errors import InvalidInput

MOST_NAMESPACE_LETTERS = 63
MOST_CLUSTER_LETTERS = 100
PARTITIONS = ("aws", "aws-us-gov", "aws-cn")

SYSTEM_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease"})
"""The namespaces Kubernetes itself lives in. Source: Kubernetes, "Namespaces"."""

_FEWEST_LETTERS_OF_A_PART = 3
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_NAMESPACE_PATTERN = re.compile(r"[a-z0-9*?-]+")
_CLUSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_CLUSTER_PATTERN = re.compile(r"[A-Za-z0-9*?_-]+")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}")
_ACCOUNT = re.compile(r"[0-9]{12}")
_PRINCIPAL = re.compile(
    r"arn:(aws|aws-us-gov|aws-cn):iam::([0-9]{12}):(role|user)/"
    r"((?:[A-Za-z0-9+=,.@_-]+/)*)([A-Za-z0-9+=,.@_-]{1,64})"
)
_SSO_PATH, _SSO_NAME = "aws-reserved/sso.amazonaws.com/", "AWSReservedSSO_"
USER_ID = r"[UW][A-Z0-9]{2,20}"
GROUP_ID = r"S[A-Z0-9]{2,20}"
CHANNEL_ID = r"[CG][A-Z0-9]{2,20}"
_SLACK_USER = re.compile(USER_ID)
_SLACK_GROUP = re.compile(GROUP_ID)
_SLACK_CHANNEL = re.compile(CHANNEL_ID)


class PrincipalArn(NamedTuple):
    """An IAM role or user, taken apart. `path` has no slash in front and one at its end, if any."""

    partition: str
    account: str
    kind: str
    path: str
    name: str


def quoted(text: str, most: int = 40) -> str:
    """What somebody typed, as code to be repeated to them: short, on one line, no backticks."""
    shown = "".join(c if c.isprintable() else "?" for c in text[:most])
    more = "…" if len(text) > most else ""
    return f"`{shown.replace('`', chr(39))}{more}`"


def near_names(word: str, known: Iterable[str]) -> list[str]:
    """The known names like `word` or a part of it, or of which it is a part, nearest first."""
    by_lower = {name.lower(): name for name in known}
    typed = word[:MOST_CLUSTER_LETTERS].lower()
    found: dict[str, None] = {}
    for part in (typed, *typed.split("-")):
        if len(part) >= _FEWEST_LETTERS_OF_A_PART:
            alike = difflib.get_close_matches(part, by_lower, len(by_lower) or 1, 0.6)
            found |= dict.fromkeys([*alike, *(name for name in by_lower if part in name)])
    found |= dict.fromkeys(
        name for name in by_lower if name in typed and len(name) >= _FEWEST_LETTERS_OF_A_PART
    )
    return [by_lower[name] for name in found]


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` most likely means: one alike, or one it is part of, or None."""
    by_lower = {name.lower(): name for name in known}
    typed = word[:MOST_CLUSTER_LETTERS].lower()
    found = difflib.get_close_matches(typed, by_lower, 1, 0.6)
    if not found and len(typed) >= _FEWEST_LETTERS_OF_A_PART:
        found = [name for name in by_lower if typed in name]
    return by_lower[found[0]] if found else None


def listed(names: Iterable[str], last: str = "or", most: int = 8) -> str:
    """`view, edit or admin`. Past `most` names it says how many more there are."""
    words = list(names)
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most} more"
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def check_namespace(text: str) -> str:
    """A namespace as a person may ask for it: an RFC 1123 label, and no wildcard.

    Source: Kubernetes, "Object Names and IDs" (RFC 1123 label names).
    """
    if "*" in text or "?" in text:
        remedy = "Wildcards cannot be asked for. Name each namespace: `--namespace dev-a,dev-b`."
    elif len(text) > MOST_NAMESPACE_LETTERS:
        remedy = f"It has {len(text)} letters, and {MOST_NAMESPACE_LETTERS} is the most."
    elif _NAMESPACE.fullmatch(text):
        return text
    elif _NAMESPACE.fullmatch(text.lower()) and text.isascii():
        remedy = f"Namespaces are lower case: `{text.lower()}`."
    else:
        remedy = (
            "It has lower-case letters a to z, digits and hyphens, and begins and ends with a "
            "letter or digit."
        )
    raise InvalidInput(
        "bad_namespace", f"{quoted(text)} is no namespace name. {remedy}", field="namespaces"
    )


def check_namespace_pattern(text: str) -> str:
    """A namespace or glob as the policy may name it: `*` is any letters, `?` is one letter."""
    if "*" not in text and "?" not in text:
        return check_namespace(text)
    if len(text) <= MOST_NAMESPACE_LETTERS and _NAMESPACE_PATTERN.fullmatch(text):
        return text
    raise InvalidInput(
        "bad_namespace_pattern",
        f"{quoted(text)} can match no namespace. Write lower-case letters a to z, digits, hyphens "
        f"and the wildcards `*` and `?`, at most {MOST_NAMESPACE_LETTERS} in all.",
    )


def check_cluster_name(text: str) -> str:
    """The name of an EKS cluster. Source: Amazon EKS API, CreateCluster, `name`."""
    if len(text) <= MOST_CLUSTER_LETTERS and _CLUSTER.fullmatch(text):
        return text
    raise InvalidInput(
        "bad_cluster_name",
        f"{quoted(text)} is no EKS cluster name. It has letters, digits, hyphens and underscores, "
        f"begins with a letter or digit, and has at most {MOST_CLUSTER_LETTERS} letters.",
        field="cluster",
    )


def check_cluster_pattern(text: str) -> str:
    """A cluster name or glob as the policy may name it."""
    if "*" not in text and "?" not in text:
        return check_cluster_name(text)
    if len(text) <= MOST_CLUSTER_LETTERS and _CLUSTER_PATTERN.fullmatch(text):
        return text
    raise InvalidInput(
        "bad_cluster_pattern",
        f"{quoted(text)} can match no cluster. Write letters, digits, hyphens, underscores and "
        f"the wildcards `*` and `?`, at most {MOST_CLUSTER_LETTERS} in all.",
    )


def check_region(text: str) -> str:
    """An AWS region in a partition this project knows."""
    if not _REGION.fullmatch(text):
        raise InvalidInput(
            "bad_region", f"{quoted(text)} is no AWS region. Write for example `eu-west-1`."
        )
    if "-iso" in text:
        raise InvalidInput(
            "bad_region",
            f"{quoted(text)} is in an isolated partition, which is not supported. "
            f"Supported are the partitions {listed(PARTITIONS, 'and')}.",
        )
    return text


def partition_of(region: str) -> str:
    """The AWS partition of a region that `check_region` accepts."""
    if region.startswith("us-gov-"):
        return "aws-us-gov"
    return "aws-cn" if region.startswith("cn-") else "aws"


def check_account(text: str) -> str:
    """An AWS account id: twelve digits."""
    if _ACCOUNT.fullmatch(text):
        return text
    raise InvalidInput(
        "bad_account",
        f'{quoted(text)} is no AWS account id. It is twelve digits in quotes: `"111122223333"`.',
    )


def parse_principal(arn: str) -> PrincipalArn:
    """An IAM role or user that an access entry can be for, with its full path.

    Raises InvalidInput for STS sessions, service-linked roles, the root user, wildcards and all
    else. Source: EKS User Guide, "Create access entries".
    """
    form = _PRINCIPAL.fullmatch(arn)
    if form and not form[4].startswith("aws-service-role/"):
        return PrincipalArn(*form.groups())
    raise InvalidInput(
        "bad_principal", f"{quoted(arn, 160)} is no IAM principal. {_not_principal(arn)}"
    )


def _not_principal(arn: str) -> str:
    if ":assumed-role/" in arn:
        return (
            "It is an STS session, which no access entry can be for. Write the role's own ARN, "
            "such as `arn:aws:iam::111122223333:role/eks-jit/alice`, with its full path."
        )
    if "/aws-service-role/" in arn:
        return "It is a service-linked role, which no access entry can be for. Write a person's."
    if arn.endswith(":root"):
        return "It stands for a whole account. Write one person's role or user."
    if "*" in arn or "?" in arn:
        return "An access entry has no wildcards. Write one role or user."
    return (
        "Write a role or user with its full path: `arn:aws:iam::111122223333:role/eks-jit/alice`."
    )


def check_principal(arn: str) -> str:
    """As `parse_principal`, and returns the ARN itself.

    A role of Identity Center must have its path, which an STS session's ARN leaves out: for one
    without it EKS makes no entry.
    """
    parsed = parse_principal(arn)
    if parsed.name.startswith(_SSO_NAME) and not parsed.path.startswith(_SSO_PATH):
        head = arn.removesuffix(parsed.path + parsed.name)
        raise InvalidInput(
            "bad_principal",
            f"{quoted(arn, 160)} is a role of IAM Identity Center without its path. `aws iam "
            f"get-role --role-name {parsed.name}` shows its ARN, such as "
            f"`{head}{_SSO_PATH}eu-west-1/{parsed.name}`.",
        )
    return arn


def principal_key(arn: str) -> tuple[str, str, str]:
    """Two ARNs with one key are one principal.

    IAM names are unique in an account, whatever their path and case. Source: IAM User Guide,
    "IAM and AWS STS quotas".
    """
    parsed = parse_principal(arn)
    return parsed.account, parsed.kind, parsed.name.lower()


def is_sso_role(arn: str) -> bool:
    """Whether IAM Identity Center made this role. Everybody assigned to it shares it."""
    parsed = parse_principal(arn)
    return parsed.path.startswith(_SSO_PATH) or parsed.name.startswith(_SSO_NAME)


def check_user_id(text: str) -> str:
    """A Slack user id."""
    return _slack(
        text,
        _SLACK_USER,
        "user",
        "`U02BOB7QX`. In Slack open the person's profile, then ⋮, then Copy member ID",
    )


def check_group_id(text: str) -> str:
    """A Slack user group id."""
    return _slack(
        text,
        _SLACK_GROUP,
        "user group",
        "`S02PAYLEADS`. In Slack open the user group, then ⋮, then Copy group ID",
    )


def check_channel_id(text: str) -> str:
    """A Slack channel id, public or private."""
    return _slack(
        text,
        _SLACK_CHANNEL,
        "channel",
        "`C01PAYMENTS`. In Slack open the channel's details; the id stands at the bottom",
    )


def _slack(text: str, form: re.Pattern[str], kind: str, remedy: str) -> str:
    if form.fullmatch(text):
        return text
    raise InvalidInput("bad_slack_id", f"{quoted(text)} is no Slack {kind} id, such as {remedy}.")
