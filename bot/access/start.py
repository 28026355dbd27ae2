"""Access that was approved for later begins, if it would still be approved by then."""

from __future__ import annotations

from sqlalchemy import Connection

from bot.access.facts import Facts
from bot.access.grant import with_backstop
from bot.access.lockdown import ensure_granting
from bot.access.review import decided_anew, ensure_still_approved
from bot.core import lifecycle
from bot.core.errors import Refused
from bot.core.model import EndReason, Grant, GrantState
from bot.store import audit, entries, grants, locks, requests


def begin(tx: Connection, facts: Facts, grant_id: str) -> Grant:
    """SCHEDULED → PROVISIONING once its time has come; → ENDED where it is no longer allowed.

    Decided anew from everything that is so now: the policy, who the requester is and on which
    principal, who the owners are, and whether the bot is locked down. Raises Conflict where it is
    not waiting for its start, or not yet, or no longer.
    """
    stopped = _stopped(tx)  # before the row, as everybody who grants something
    locks.one_at_a_time(tx, requests.get(tx, grant_id).requester)
    request = requests.get_locked(tx, grant_id)
    grant = grants.get(tx, grant_id)
    lifecycle.ensure_starting(grant, facts.now)
    try:
        if stopped is not None:
            raise stopped
        again = decided_anew(tx, facts, request, ensure_still_approved(tx, facts, request))
        started, events = lifecycle.start(grant, facts.now, rules=again.rules, digest=facts.digest)
    except Refused as refused:
        started, events = lifecycle.revoke(
            grant,
            facts.now,
            EndReason.NOT_BEGUN,
            by=lifecycle.BOT,
            problem=refused.sentence,
        )
    grants.change(tx, started, expected=GrantState.SCHEDULED)
    audit.record(tx, events)
    requests.touch(tx, grant_id)
    entries.wish(
        tx,
        with_backstop(facts, started.cluster),
        started.principal_arn,
        deployment=facts.policy.deployment,
        now=facts.now,
    )
    return started


def _stopped(tx: Connection) -> Refused | None:
    """Why nothing is granted now, if lockdown is on; until `tx` is over none begins."""
    try:
        ensure_granting(tx)
    except Refused as refused:
        return refused
    return None
