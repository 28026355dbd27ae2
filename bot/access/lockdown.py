"""Stop all granting, and let it begin again. Revoking goes on whatever is stopped."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection

from bot.access.end import revoke
from bot.access.facts import Facts
from bot.access.known import as_stored
from bot.core import lockdown as rules
from bot.core.errors import Conflict, InvalidInput, Refused
from bot.core.lifecycle import OPERATOR
from bot.core.lockdown import Lockdown
from bot.core.model import EndReason, Grant, GrantState
from bot.store import audit, grants, lockdowns, locks, requests


def ensure_granting(tx: Connection) -> None:
    """Raise Refused while lockdown is on; until `tx` is over none begins."""
    locks.while_granting(tx)
    current = lockdowns.current(tx)
    if current is not None:
        raise Refused("lockdown", rules.granting_stopped(current))


def ensure_may_break_glass(tx: Connection, facts: Facts, person_id: str) -> None:
    """Raise Refused while lockdown is on, for all but those who may break glass then."""
    locks.while_granting(tx)
    current = lockdowns.current(tx)
    if current is None or rules.may_break_glass(facts.policy, person_id, facts.membership):
        return
    raise Refused("lockdown", rules.granting_stopped(current))


def ensure_may_change(tx: Connection, facts: Facts, person_id: str) -> None:
    """Raise Refused unless the policy lets this person turn lockdown on and off."""
    facts = as_stored(tx, facts)
    problem = rules.may_change(
        facts.policy, facts.person(person_id), facts.membership, team_id=facts.team_id
    )
    if problem is not None:
        raise Refused(problem.code, problem.sentence)


def begin(
    tx: Connection, *, by: str, reason: str, revoking: bool, now: datetime
) -> tuple[Lockdown, tuple[Grant, ...]]:
    """Grant nothing more; with `revoking` also revoke everything live. Returns what is revoked.

    `by` is a Slack user id, or `operator`. One that is on without `revoking` is widened to it.
    Raises InvalidInput without a reason, and Conflict where it is on just so already.
    """
    why = reason.strip()
    if not why or len(why) > rules.MOST_REASON_LETTERS:
        raise InvalidInput(
            "bad_reason",
            f"A lockdown needs a reason of 1 to {rules.MOST_REASON_LETTERS} letters, which "
            "everybody who asks for access reads.",
            field="reason",
        )
    locks.until_nobody_grants(tx)
    current = lockdowns.current(tx)
    if current is not None and revoking and not current.revoking:
        lockdown = lockdowns.widen(tx, current)
        audit.record(tx, [rules.widened(lockdown, by, now)])
    else:
        lockdown = lockdowns.begin(tx, by=by, reason=why, revoking=revoking, now=now)
        audit.record(tx, [rules.begun(lockdown)])
    revoked = _revoke_everything(tx, by, now, f"Lockdown: {why}") if revoking else ()
    return lockdown, tuple(revoked)


def _revoke_everything(tx: Connection, by: str, now: datetime, why: str) -> Iterator[Grant]:
    live = grants.live(tx)
    requests.lock(tx, (one.id for one in live))
    for grant in live:
        if grant.state is GrantState.REVOKING:
            continue
        try:
            yield revoke(tx, grant.id, EndReason.REVOKED, by, now, why=why)
        except Conflict:
            continue  # it ended by itself meanwhile, and must not keep the rest


def end(tx: Connection, *, by: str, now: datetime, why: str = "") -> Lockdown:
    """Let granting begin again. `why` goes into the audit trail.

    Raises Conflict where lockdown is not on, and Refused for anybody in Slack where an operator
    began it: it may be the answer to a Slack account that was stolen.
    """
    current = lockdowns.current(tx)
    if current is not None and current.began_by == OPERATOR and by != OPERATOR:
        raise Refused(
            "operators_lockdown",
            "An operator began this lockdown, and only an operator ends it: "
            "`eks-access lockdown off`.",
        )
    lockdown = lockdowns.end(tx, by=by, now=now)
    audit.record(tx, [rules.ended(lockdown, why)])
    return lockdown
