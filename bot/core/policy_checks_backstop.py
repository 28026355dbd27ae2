"""Whether the backstop can do its work on every cluster of the file, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from bot.core.model import Standing
from bot.core.names import parse_principal, partition_of
from bot.core.policy import Policy
from bot.core.policy_problems import Problem, error, warning


def backstop_errors(policy: Policy) -> Iterator[Problem]:
    """Clusters for which EventBridge Scheduler could not assume the role."""
    if policy.backstop is None:
        return
    at = ("backstop", "role")
    for index, entry in enumerate(policy.clusters):
        arn = parse_principal(policy.backstop.terms(entry.account).role)
        there = ("clusters", index, "account")
        if arn.account != entry.account:
            yield error(
                at,
                f"This role is in account {arn.account}, and cluster `{entry.name}` in "
                f"{entry.account}: a schedule takes a role of its own account alone.",
                "Make the role in each account, and write `{account}` in place of the account id.",
                there,
            )
        elif arn.partition != partition_of(entry.region):
            yield error(
                at,
                f"This role is in partition {arn.partition}, and cluster `{entry.name}` in "
                f"{partition_of(entry.region)}.",
                "One file holds clusters of one partition where it has a backstop.",
                there,
            )
        elif entry.assume_role is not None and _name(entry.assume_role) == arn.name:
            yield error(
                at,
                f"This is the role by which the bot reaches cluster `{entry.name}`.",
                "Make a role of its own, which may do no more than delete the bot's own entries; "
                "see deploy/backstop-policy.json.",
                ("clusters", index, "assume_role"),
            )


def backstop_warnings(policy: Policy) -> Iterator[Problem]:
    """Access that no schedule will end."""
    if policy.backstop is None:
        return
    for index, entry in enumerate(policy.clusters):
        if entry.standing is Standing.AUGMENT:
            yield warning(
                ("clusters", index, "standing"),
                f"Access that is added to entries of others on `{entry.name}` has no backstop: it "
                "would take their access too.",
                "Give people a role of their own there, or know that only the bot ends it.",
                ("backstop",),
            )


def _name(role: str) -> str:
    return parse_principal(role).name
