"""What automatic rules have given a person lately, and what was revoked: what limits go by."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, exists, not_, or_, select

from bot.core.ask_checks import START_WITHIN
from bot.core.model import EndReason
from bot.core.rule_choice import ANY_RULE, CAPS_WITHIN, REVOKED_WITHIN, Spent
from bot.store import requests
from bot.store.tables import grants, lockdowns


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


def _revoked_lately(tx: Connection, requester: str, cluster: str, since: datetime) -> str | None:
    """The id of the person's access on the cluster that others revoked last, after `since`.

    What a lockdown revoked was not revoked because of the person: it does not count.
    """
    by_lockdown = exists().where(
        lockdowns.c.revoking,
        lockdowns.c.began_at <= grants.c.revoking_since,
        or_(lockdowns.c.ended_at.is_(None), lockdowns.c.ended_at >= grants.c.revoking_since),
    )
    query = (
        select(grants.c.id)
        .where(
            grants.c.requester == requester,
            grants.c.cluster == cluster,
            grants.c.end_reason == EndReason.REVOKED.value,
            grants.c.revoking_since > since,
            not_(by_lockdown),
        )
        .order_by(grants.c.revoking_since.desc())
        .limit(1)
    )
    return tx.scalar(query)
