"""How a cluster is reached: as the row of an entry says, or else as the policy in force says.

A row keeps the role that access was given with, so that no policy file stops a removal. Where AWS
refuses that one, and the policy names another for the same account, region and cluster, it was
replaced meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from bot.aws.errors import ACCESS_DENIED, ROLE_DENIED, WRONG_ACCOUNT
from bot.core.errors import AwsProblem
from bot.core.model import Cluster
from bot.store.entries import Entry

_REFUSED = frozenset({ROLE_DENIED, ACCESS_DENIED, WRONG_ACCOUNT})

Named = Callable[[Cluster], Cluster | None]
"""The cluster as the policy in force names it; None where it does not, or no policy is in force."""


def nowhere(_: Cluster) -> Cluster | None:
    """No policy names any cluster."""
    return None


def refused(problems: Iterable[AwsProblem]) -> bool:
    """Whether AWS refuses the role, or what is to be done by it."""
    return any(one.code in _REFUSED for one in problems)


def by_policy(entry: Entry, problems: Iterable[AwsProblem], named: Named) -> Entry | None:
    """The entry, reached by the role that the policy names, where AWS refuses that of its row.

    None where it does not, or where the policy names no other role for the same cluster.
    """
    cluster = named(entry.cluster) if refused(problems) else None
    if cluster is None or cluster.key != entry.cluster.key:
        return None
    if cluster.assume_role == entry.cluster.assume_role:
        return None
    return replace(entry, cluster=replace(entry.cluster, assume_role=cluster.assume_role))
