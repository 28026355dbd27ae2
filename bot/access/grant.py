"""From an approved request to a grant that the access loop carries out."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from bot.access.facts import Facts
from bot.core import lifecycle
from bot.core.model import AccessRequest, Cluster, Grant
from bot.core.revoking import revokers
from bot.store import audit, entries, grants, requests


def give(
    tx: Connection, facts: Facts, request: AccessRequest, *, by: str, approvers: tuple[str, ...]
) -> AccessRequest:
    """Approve the request and store its grant, with its end, before anything is asked of AWS.

    Raises Conflict where the request would extend a grant that is no longer active.
    """
    approved, grant, events = lifecycle.approve(
        request,
        facts.now,
        by=by,
        approvers=approvers,
        digest=facts.digest,
        extended=extended_grant(tx, facts, request),
        revokers=revokers(facts.policy, request, None, facts.now),
    )
    grant = replace(grant, cluster=with_backstop(facts, grant.cluster))
    requests.decide(tx, approved)
    entry_id = entries.wish(
        tx,
        grant.cluster,
        grant.principal_arn,
        deployment=facts.policy.deployment,
        now=facts.now,
    )
    grants.add(tx, grant, entry_id)
    audit.record(tx, events)
    return approved


def with_backstop(facts: Facts, cluster: Cluster) -> Cluster:
    """The cluster with the backstop that the policy sets now, whenever access was asked for."""
    now = facts.policy.clusters_by_name.get(cluster.name)
    return replace(cluster, backstop=now.backstop if now is not None else cluster.backstop)


def extended_grant(tx: Connection, facts: Facts, request: AccessRequest) -> Grant | None:
    """The grant that the request prolongs, if it does. Raises Conflict where it is not active."""
    if request.extends is None:
        return None
    requests.get_locked(tx, request.extends)  # it must not end while it is being extended
    grant = grants.get(tx, request.extends)
    lifecycle.ensure_extensible(grant, request.requester, facts.now)
    return grant
