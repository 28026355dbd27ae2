"""Whether the entries of a policy fit each other: what must not be, and what is surely a mistake.

A problem of severity ERROR keeps the policy from coming into force. A WARNING is something that
can have no effect or cannot be meant; the policy works without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeGuard

from bot.core.names import is_sso_role, listed, nearest, parse_principal, partition_of
from bot.core.patterns import is_glob
from bot.core.policy import ClusterChoice, LabelSelector, Policy, Rule, form_key
from bot.core.policy_approval import Approval
from bot.core.policy_fields import ANY_ACCOUNT
from bot.core.policy_reach import Reach

Location = tuple[str | int, ...]
"""The way to an entry: `("rules", 0, "levels", 2)`."""


class Severity(StrEnum):
    """ERROR: not in force. WARNING: a mistake with no effect. NOTE: worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at `at`, and what to do; `other` is the entry it collides with, if any."""

    severity: Severity
    at: Location
    message: str
    remedy: str
    other: Location | None = None


def errors(policy: Policy) -> tuple[Problem, ...]:
    """What keeps the policy from coming into force."""
    return (
        *_twice("clusters", [entry.name for entry in policy.clusters]),
        *_twice("rules", [rule.name for rule in policy.rules]),
        *_roles_to_assume(policy),
        *_unknown_names(policy),
        *_cluster_levels_in_namespaces(policy),
        *_approvals(policy),
        *_two_on_one_principal(policy),
        *_sso_roles(policy),
    )


def warnings(policy: Policy) -> tuple[Problem, ...]:
    """What can have no effect, or cannot be meant, or is worth knowing."""
    reach = Reach(policy)
    return (
        *_no_rules(policy),
        *_unused_levels(policy),
        *_selectors_of_nothing(policy, reach),
        *_unreachable_rules(policy, reach),
        *_globs_for_system_namespaces(policy),
        *_never_approved(policy),
        *_partitions(policy),
        *_unused_shared(policy),
        *_several_domains(policy),
    )


def _error(at: Location, message: str, remedy: str, other: Location | None = None) -> Problem:
    return Problem(Severity.ERROR, at, message, remedy, other)


def _warning(at: Location, message: str, remedy: str, other: Location | None = None) -> Problem:
    return Problem(Severity.WARNING, at, message, remedy, other)


def _choices(policy: Policy) -> Iterator[tuple[Location, ClusterChoice]]:
    for index, rule in enumerate(policy.rules):
        yield ("rules", index), rule
    for index, entry in enumerate(policy.break_glass):
        yield ("break_glass", index), entry


def _approval_rules(policy: Policy) -> Iterator[tuple[Location, Rule, Approval]]:
    for index, rule in enumerate(policy.rules):
        if isinstance(rule.approval, Approval):
            yield ("rules", index, "approval"), rule, rule.approval


def _is_literal(selector: str | LabelSelector) -> TypeGuard[str]:
    return isinstance(selector, str) and not is_glob(selector)


def _called(choice: ClusterChoice) -> str:
    return f"Rule {choice.name}" if isinstance(choice, Rule) else "Break-glass"


def _twice(key: str, names: Sequence[str]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in first:
            yield _error(
                (key, index, "name"),
                f"`{name}` stands twice under `{key}`.",
                "People and the audit trail know it by its name alone: give each its own.",
                (key, first[name], "name"),
            )
        first.setdefault(name, index)


def _roles_to_assume(policy: Policy) -> Iterator[Problem]:
    for index, entry in enumerate(policy.clusters):
        if entry.assume_role is None:
            continue
        at = ("clusters", index, "assume_role")
        arn = parse_principal(entry.assume_role)
        if arn.kind != "role":
            yield _error(at, "A user cannot be assumed.", "Write the ARN of a role.")
        elif arn.account != entry.account:
            yield _error(
                at,
                f"This role is in account {arn.account}, and the cluster in {entry.account}.",
                "Write a role of the cluster's own account.",
            )
        elif arn.partition != partition_of(entry.region):
            yield _error(
                at,
                f"This role is in partition {arn.partition}, and {entry.region} in "
                f"{partition_of(entry.region)}.",
                f"Begin the ARN with `arn:{partition_of(entry.region)}:`.",
            )


def _unknown_names(policy: Policy) -> Iterator[Problem]:
    for at, choice in _choices(policy):
        for index, level in enumerate(choice.levels):
            if level not in policy.levels:
                yield _unknown((*at, "levels", index), "level", level, policy.levels)
        for index, selector in enumerate(choice.clusters):
            if _is_literal(selector) and selector not in policy.clusters_by_name:
                yield _unknown(
                    (*at, "clusters", index), "cluster", selector, policy.clusters_by_name
                )


def _unknown(at: Location, kind: str, name: str, known: Iterable[str]) -> Problem:
    names = list(known)
    near = nearest(name, names)
    return _error(
        at,
        f"There is no {kind} `{name}`.",
        f"Did you mean `{near}`?"
        if near
        else f"Name one of {listed(f'`{known_name}`' for known_name in names)}.",
    )


def _cluster_levels_in_namespaces(policy: Policy) -> Iterator[Problem]:
    for index, rule in enumerate(policy.rules):
        if rule.scope == "cluster":
            continue
        for place, name in enumerate(rule.levels):
            level = policy.levels.get(name)
            if level is not None and level.only_cluster:
                yield _error(
                    ("rules", index, "levels", place),
                    f"Level `{name}` is only given for whole clusters, and this rule has "
                    "namespaces.",
                    f"Take `{name}` out, or give it in a rule of its own with `scope: cluster`.",
                )


def _approvals(policy: Policy) -> Iterator[Problem]:
    for at, _, approval in _approval_rules(policy):
        people = approval.owners.owners
        if not people.groups and len(people.users) < approval.required:
            yield _error(
                (*at, "required"),
                f"{approval.required} owners must approve, and the rule names {len(people.users)}.",
                "Name more owners, or a user group, or require fewer.",
            )
        later = {"remind_after": approval.remind_after}
        if approval.escalate is not None:
            later["escalate"] = approval.escalate.after
        for key, after in later.items():
            if after is not None and after >= approval.lapse_after:
                yield _error(
                    (*at, key),
                    f"`{key}` would come when the request has lapsed.",
                    "Make it shorter than `lapse_after`, which is 1 h where it does not stand.",
                )


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
            yield _error(
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
            yield _error(
                ("principals", "users", user),
                "This is a role of IAM Identity Center: an access entry for it elevates everybody "
                "who is assigned to it.",
                "Give each person a role of their own, or list the ARN under `principals: "
                "shared:`; approvers are then told.",
            )


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


def _no_rules(policy: Policy) -> Iterator[Problem]:
    if not policy.rules:
        yield _warning(("rules",), "There is no rule, so every request is refused.", "Add a rule.")


def _unused_levels(policy: Policy) -> Iterator[Problem]:
    used = {level for _, choice in _choices(policy) for level in choice.levels}
    for name in policy.levels:
        if name not in used:
            yield _warning(
                ("levels", name),
                f"No rule gives level `{name}`, so nobody can ask for it.",
                "Name it in a rule's `levels`, or take it out.",
            )


def _selectors_of_nothing(policy: Policy, reach: Reach) -> Iterator[Problem]:
    for at, choice in _choices(policy):
        for index, selector in enumerate(choice.clusters):
            if not reach.selected(selector) and not _is_literal(selector):
                yield _warning(
                    (*at, "clusters", index),
                    f"{_called(choice)} selects clusters here, and no cluster matches.",
                    "Correct it, or take it out.",
                )


def _unreachable_rules(policy: Policy, reach: Reach) -> Iterator[Problem]:
    for index, rule in enumerate(policy.rules):
        earlier = reach.hidden_by(index)
        if earlier:
            names = listed((policy.rules[place].name for place in earlier), "and")
            yield _warning(
                ("rules", index, "name"),
                f"Rule {rule.name} is never reached: all that it covers matches an earlier rule "
                f"first ({names}).",
                "Move it up, or take it out.",
                ("rules", earlier[0], "name"),
            )


def _globs_for_system_namespaces(policy: Policy) -> Iterator[Problem]:
    for index, rule in enumerate(policy.rules):
        for place, pattern in enumerate(rule.namespaces or ()):
            if is_glob(pattern) and pattern.startswith("kube"):
                yield _warning(
                    ("rules", index, "namespaces", place),
                    f"`{pattern}` does not cover kube-system, kube-public and kube-node-lease: no "
                    "glob does.",
                    "If they are meant, name each of them.",
                )


def _never_approved(policy: Policy) -> Iterator[Problem]:
    for at, rule, approval in _approval_rules(policy):
        requesters, people = rule.requesters, approval.owners.owners
        if requesters is None or requesters.groups or people.groups:
            continue
        stuck = [u for u in requesters.users if len(people.users - {u}) < approval.required]
        if stuck:
            yield _warning(
                (*at, "owners"),
                f"Nobody could approve what {listed(stuck, 'and')} may ask for here: nobody "
                "approves their own request.",
                "Name more owners.",
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
            yield _warning(
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
            yield _warning(
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
