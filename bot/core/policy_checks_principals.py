"""Whether each person is one IAM principal of their own, or is told to be on a shared one."""

from __future__ import annotations

from collections.abc import Iterator

from bot.core.names import is_sso_role, partition_of, principal_key
from bot.core.policy import Policy, form_key
from bot.core.policy_fields import ANY_ACCOUNT
from bot.core.policy_problems import Location, Problem, Severity, error, warning


def principal_errors(policy: Policy) -> Iterator[Problem]:
    """Who would share access unsaid, with somebody else or with the bot itself."""
    yield from _two_on_one_principal(policy)
    yield from _sso_roles(policy)
    yield from _roles_of_the_bot(policy)


def principal_warnings(policy: Policy) -> Iterator[Problem]:
    """Principals that no cluster or nobody has, and what a template does not tell apart."""
    yield from _partitions(policy)
    yield from _unused_shared(policy)
    yield from _several_domains(policy)


def _two_on_one_principal(policy: Policy) -> Iterator[Problem]:
    accounts = frozenset(entry.account for entry in policy.clusters)
    seen: dict[tuple[str, str], dict[str, str]] = {}
    for user, arn in policy.principals.users.items():
        account, kind, name = form_key(arn)
        first_by_account = seen.setdefault((kind, name), {})
        for other_account, other in first_by_account.items():
            both = _stands_for(account, accounts) & _stands_for(other_account, accounts)
            if _all_shared(policy, both, kind, name, accounts):
                continue
            yield error(
                ("principals", "users", user),
                f"{user} and {other} are one IAM principal, so what one is given the other gets "
                "too.",
                "Give each a role of their own, or list the ARN under `principals: shared:`.",
                ("principals", "users", other),
            )
            break
        first_by_account.setdefault(account, user)


def _sso_roles(policy: Policy) -> Iterator[Problem]:
    accounts = frozenset(entry.account for entry in policy.clusters)
    for user, arn in policy.principals.users.items():
        if not is_sso_role(arn.replace("{account}", ANY_ACCOUNT)):
            continue
        account, kind, name = form_key(arn)
        if not _all_shared(policy, _stands_for(account, accounts), kind, name, accounts):
            yield error(
                ("principals", "users", user),
                "This is a role of IAM Identity Center: an access entry for it elevates everybody "
                "who is assigned to it.",
                "Give each person a role of their own, or list the ARN under `principals: "
                "shared:`; approvers are then told.",
            )


def _roles_of_the_bot(policy: Policy) -> Iterator[Problem]:
    accounts = frozenset(entry.account for entry in policy.clusters)
    for user, arn in policy.principals.users.items():
        account = form_key(arn)[0]
        for one in sorted(_stands_for(account, accounts)):
            stands = policy.own_roles.get(principal_key(arn.replace("{account}", one)))
            if stands is not None:
                yield error(
                    ("principals", "users", user),
                    f"{user} is mapped to a role of the bot itself: whoever can assume it can give "
                    "and take everybody's access.",
                    "Map them to a role of their own, and let nobody but the bot assume this one.",
                    stands,
                )
                break


def _stands_for(account: str, accounts: frozenset[str]) -> frozenset[str]:
    """The accounts an ARN's account field stands for: one, or those of all clusters."""
    return accounts if account == "{account}" else frozenset({account})


def _all_shared(
    policy: Policy, concerned: frozenset[str], kind: str, name: str, accounts: frozenset[str]
) -> bool:
    """Whether the principal of this kind and name is declared shared in each account concerned."""
    shared = policy.principals.shared_keys
    anywhere = ("{account}", kind, name) in shared
    return all(
        (account, kind, name) in shared or (anywhere and account in accounts)
        for account in concerned
    )


def _partitions(policy: Policy) -> Iterator[Problem]:
    partitions = {partition_of(entry.region) for entry in policy.clusters}
    arns: list[tuple[Location, str]] = [
        (("principals", "users", user), arn) for user, arn in policy.principals.users.items()
    ]
    if policy.principals.template is not None:
        arns.append((("principals", "template"), policy.principals.template))
    for at, arn in arns:
        partition = arn.split(":")[1]
        if partition not in partitions:
            yield warning(
                at,
                f"This principal is in partition {partition}, where there is no cluster.",
                f"Begin the ARN with `arn:{min(partitions)}:`.",
            )


def _unused_shared(policy: Policy) -> Iterator[Problem]:
    accounts = frozenset(entry.account for entry in policy.clusters)
    for index, arn in enumerate(policy.principals.shared):
        account, kind, name = form_key(arn)
        keys = {(each, kind, name) for each in _stands_for(account, accounts)}
        if keys.isdisjoint(policy.principals.users_by_key) and (
            ("{account}", kind, name) not in policy.principals.users_by_key
        ):
            yield warning(
                ("principals", "shared", index),
                "Nobody is mapped to this principal under `users`.",
                "Map people to it, or take it out.",
            )


def _several_domains(policy: Policy) -> Iterator[Problem]:
    domains = policy.principals.email_domains
    if policy.principals.template is not None and len(set(domains)) > 1:
        yield Problem(
            Severity.NOTE,
            ("principals", "email_domains"),
            f"The template leaves the domain out: somebody called alice on {domains[0]} and "
            f"somebody called alice on {domains[1]} are one principal, and the second is refused.",
            "Where that happens, map both under `users`.",
        )
