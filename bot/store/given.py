"""What automatic rules have given a person lately, and what was revoked: what limits go by."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, and_, exists, func, not_, or_, select, update

from bot.core.ask_checks import START_WITHIN
from bot.core.model import EndReason
from bot.core.rule_choice import ANY_RULE, CAPS_WITHIN, REVOKED_WITHIN, Spent
from bot.store import requests
from bot.store.tables import grants, lockdowns

# What a lockdown revoked was not revoked because of the person: it does not count.
_BY_LOCKDOWN = exists().where(
    lockdowns.c.revoking,
    lockdowns.c.began_at <= grants.c.revoking_since,
    or_(lockdowns.c.ended_at.is_(None), lockdowns.c.ended_at >= grants.c.revoking_since),
)
_REVOKED = and_(grants.c.end_reason == EndReason.REVOKED.value, not_(_BY_LOCKDOWN))


def automatically(
    tx: Connection, requester: str, cluster: str, begins: datetime, *, but: str | None = None
) -> dict[str, Spent]:
    """What each rule gives the person without a review around the moment `begins`.

    That is when the access in question begins: what was booked ahead counts where it begins, and
    not when it was asked for. So does what a rule gave beside another that had owners. The request
    `but` is left out. Under ANY_RULE stands whether access of theirs on `cluster` was revoked
    shortly before.
    """
    used: dict[str, Spent] = {}
    earliest = begins - CAPS_WITHIN - START_WITHIN
    for request in requests.approved_of(tx, requester, earliest, but=but):
        moment = max(filter(None, (request.decided_at, request.start_at)), default=begins)
        if abs(moment - begins) >= CAPS_WITHIN:
            continue
        reviewed = {one.rule for one in request.requirements}
        for rule in set(request.rules) - reviewed:
            before = used.get(rule, Spent())
            used[rule] = Spent(before.times + 1, before.length + request.duration)
    revoked = _revoked_lately(tx, requester, cluster, begins - REVOKED_WITHIN)
    return used | ({ANY_RULE: Spent(revoked=revoked)} if revoked is not None else {})


def note_late_revocation(tx: Connection, grant_id: str, now: datetime) -> bool:
    """Let a grant that ended otherwise count as revoked now. False where it does already."""
    noted = tx.execute(
        update(grants)
        .where(grants.c.id == grant_id, grants.c.revoked_late_at.is_(None), not_(_REVOKED))
        .values(revoked_late_at=now)
    )
    return noted.rowcount == 1


def _revoked_lately(tx: Connection, requester: str, cluster: str, since: datetime) -> str | None:
    """The id of the person's access on the cluster that others revoked last, after `since`."""
    query = (
        select(grants.c.id)
        .where(
            grants.c.requester == requester,
            grants.c.cluster == cluster,
            or_(_REVOKED & (grants.c.revoking_since > since), grants.c.revoked_late_at > since),
        )
        .order_by(func.coalesce(grants.c.revoked_late_at, grants.c.revoking_since).desc())
        .limit(1)
    )
    return tx.scalar(query)
