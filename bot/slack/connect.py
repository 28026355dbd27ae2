"""The commands with which a person uses their access. Pure.

`aws eks update-kubeconfig` looks the cluster up before it writes anything, and does so as whoever
calls it. `--role-arn` changes nothing about that: it is for the tokens of later. So the look-up has
to be as the person's own role too, by `--assume-role-arn` or as a profile of the person's that is
the role. Source: AWS CLI Command Reference, "eks update-kubeconfig".
"""

from __future__ import annotations

from bot.core.errors import InvalidInput
from bot.core.model import AccessRequest, AccessScope, Grant
from bot.core.names import PrincipalArn, is_sso_role, parse_principal
from bot.slack import blocks, phrases
from bot.slack.blocks import Block, View
from bot.slack.text import code, date, safe

CONNECT_CALLBACK = "connect"


def connect_blocks(grant: Grant, profile: str | None) -> list[Block]:
    """The two commands to paste, with what has to be known before the first, if anything."""
    shown = blocks.commands("use", kubeconfig(grant, profile), can_i(grant))
    note = _of_another_account(grant, profile)
    return [*([blocks.section("use:before", note)] if note else []), shown]


def connect_modal(request: AccessRequest, grant: Grant, profile: str | None) -> View:
    """The commands once more, for access that is active, and how to have it longer."""
    first = f"{phrases.subject(request)} is active until {date(grant.ends_at)}."
    shown = [blocks.section("access", first), *connection(request, grant, profile)]
    return blocks.modal(CONNECT_CALLBACK, "Connect", shown)


def connection(request: AccessRequest, grant: Grant, profile: str | None) -> list[Block]:
    """The two commands, and how to have the access longer."""
    longer = how_to_extend(request)
    shown = connect_blocks(grant, profile)
    return [*shown, blocks.context("longer", longer)] if longer else shown


def how_to_extend(request: AccessRequest) -> str:
    """What to type for more time; nothing for a break-glass, which cannot be extended."""
    if request.break_glass:
        return ""
    return f"If you need it longer: {code(f'/eks-access extend {request.id} 1h')}"


def kubeconfig(grant: Grant, profile: str | None) -> tuple[str, ...]:
    """The command that makes a kubeconfig for the access, as words that nothing has quoted.

    `profile` is the name of a profile that is the person's principal; None where they have none.
    A role of Identity Center (`AWSReservedSSO_…`) cannot be assumed so, and a user not at all: the
    session is the caller's own. A role of another account cannot look the cluster up.
    """
    words: tuple[str, ...] = ("aws", "eks", "update-kubeconfig", "--region", grant.cluster.region)
    words += ("--name", grant.cluster.name)
    if profile is not None:
        return (*words, "--profile", profile)
    if not _is_assumed(grant):
        return words
    if not _is_elsewhere(grant):
        words += ("--assume-role-arn", grant.principal_arn)
    return (*words, "--role-arn", grant.principal_arn)


def can_i(grant: Grant) -> tuple[str, ...]:
    """The command that shows whether the access works: by pods, or by secrets where only those.

    For a pattern of namespaces the command needs one that matches; none has to exist.
    """
    policy = (grant.access.policy_arn or "").rpartition("/")[2]
    what = "secrets" if policy == "AmazonEKSSecretReaderPolicy" else "pods"
    return ("kubectl", "auth", "can-i", "get", what, *_place(grant.access.scope))


def _place(scope: AccessScope) -> tuple[str, ...]:
    if scope.is_cluster:
        return ("-A",)
    exact = sorted(name for name in scope.namespaces if "*" not in name)
    name = exact[0] if exact else min(scope.namespaces).replace("*", "example")
    return ("-n", name)


def _is_assumed(grant: Grant) -> bool:
    principal = _principal(grant)
    return (
        principal is not None and principal.kind == "role" and not is_sso_role(grant.principal_arn)
    )


def _is_elsewhere(grant: Grant) -> bool:
    principal = _principal(grant)
    return principal is not None and principal.account != grant.cluster.account


def _principal(grant: Grant) -> PrincipalArn | None:
    """The principal taken apart; None where the ARN has no form known now, as it may of old."""
    try:
        return parse_principal(grant.principal_arn)
    except InvalidInput:
        return None


def _of_another_account(grant: Grant, profile: str | None) -> str:
    if profile is not None or not _is_elsewhere(grant):
        return ""
    cluster = safe(grant.cluster.name, 110)
    account = safe(grant.cluster.account, 20)
    return (
        f"Your role is in another account than {cluster}, so it cannot look the cluster up. Run "
        f"the first command as somebody who has {code('eks:DescribeCluster')} in account {account}."
    )
