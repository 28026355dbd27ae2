"""From an approved request to a grant that the access loop carries out."""

from __future__ import annotations

from sqlalchemy import Connection

from bot.access.facts import Facts
from bot.core import lifecycle
from bot.core.model import AccessRequest
from bot.store import audit, entries, grants, requests


def give(
    tx: Connection, facts: Facts, request: AccessRequest, *, by: str, approvers: tuple[str, ...]
) -> AccessRequest:
    """Approve the request and store its grant, with its end, before anything is asked of AWS."""
    approved, grant, events = lifecycle.approve(
        request, facts.now, by=by, approvers=approvers, digest=facts.digest
    )
    requests.decide(tx, approved, facts.now)
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
