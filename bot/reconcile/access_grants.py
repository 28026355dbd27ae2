"""What time, and a look at an access entry, mean for its grants.

Everything here works on the store alone: what EKS showed is an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from bot.core import backstop, lifecycle, not_given, planner
from bot.core.errors import Conflict
from bot.core.model import EndReason, Grant, GrantState
from bot.core.planner import EntryRecord, ObservedEntry, Plan
from bot.core.suspension import SUSPENDED
from bot.reconcile.storing import store_grant
from bot.store import backstops, entries, grants, requests, suspensions
from bot.store.backstops import Kept
from bot.store.entries import Entry


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the store says of an access entry at one moment.

    `live` are all grants that have not ended. `backstop` is looked up only where the cluster is to
    have one.
    """

    at: datetime
    live: tuple[Grant, ...]
    record: EntryRecord
    backstop: Kept | None


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of a look: what there is still to do, and the grants that are live then.

    `alone` is whether the entry is the bot's and nobody else's in part, see bot.core.backstop.
    """

    plan: Plan
    live: tuple[Grant, ...]
    alone: bool


def snapshot(tx: Connection, entry: Entry, now: datetime) -> Snapshot:
    """Read what the store says of an entry now."""
    return Snapshot(
        at=now,
        live=grants.live_of_entry(tx, entry.id),
        record=entries.get(tx, entry.id, now).record,
        backstop=backstops.find(tx, entry.id) if entry.cluster.backstop is not None else None,
    )


def pass_time(tx: Connection, entry_id: int, now: datetime) -> None:
    """Let time pass for the grants of an entry, and set right what a wrong clock said of them.

    Whoever is suspended keeps nothing, whatever gave it.
    """
    live = grants.live_of_entry(tx, entry_id)
    barred = suspensions.among(tx, {one.requester for one in live})
    for grant in live:
        if grant.requester in barred and grant.state is not GrantState.REVOKING:
            by_bot = lifecycle.revoke(
                grant, now, EndReason.REVOKED, by=lifecycle.BOT, why=SUSPENDED
            )
            store_grant(tx, grant, *by_bot)
            continue
        set_right = lifecycle.after_clock_jump(grant, now)
        if set_right is not None:
            store_grant(tx, grant, *set_right)
            continue
        reason = lifecycle.overdue(grant, now)
        if reason is not None:
            problem = grant.problem
            if reason is EndReason.FAILED and problem is None:
                problem = not_given.in_time(grant)
            by_bot = lifecycle.revoke(grant, now, reason, by=lifecycle.BOT, problem=problem)
            store_grant(tx, grant, *by_bot)


def plan_for(
    entry: Entry, observed: ObservedEntry | None, stored: Snapshot, *, backed_only: bool = False
) -> tuple[tuple[Grant, ...], Plan]:
    """The grants that are to give access at the entry, and what to do there for it.

    `backed_only` leaves out those whose access is new and would end with the bot alone.
    """
    giving = tuple(
        grant
        for grant in stored.live
        if grant.gives_access and lifecycle.overdue(grant, stored.at) is None
    )
    if backed_only:
        giving = tuple(
            grant
            for grant in giving
            if grant.state is GrantState.ACTIVE or backed(entry, observed, stored, [grant])
        )
    desired = planner.union(grant.access for grant in giving)
    return giving, planner.plan(
        desired,
        observed,
        stored.record,
        owner=entry.owner,
        standing=entry.cluster.standing,
    )


def ensure_still_giving(tx: Connection, entry_id: int, giving: Sequence[Grant]) -> None:
    """Raise Conflict where one of these grants gives no access any more, or its person may not.

    The last look before EKS is asked to give: a revocation or a suspension may have been committed
    since the plan was made.
    """
    still = {one.id for one in grants.live_of_entry(tx, entry_id) if one.gives_access}
    barred = suspensions.among(tx, {one.requester for one in giving})
    if not still.issuperset(one.id for one in giving) or barred:
        raise Conflict("grant_moved_on", "A grant was revoked since this was planned.")


def backed(
    entry: Entry, observed: ObservedEntry | None, stored: Snapshot, giving: Sequence[Grant]
) -> bool:
    """Whether a schedule ends what these grants give if the bot does not.

    Where others have put something on the entry there is none, see bot.core.backstop.
    """
    if entry.cluster.backstop is None:
        return True
    if not backstop.alone(observed, stored.record, entry.owner):
        return True
    known = stored.backstop.known if stored.backstop is not None else None
    return all(backstop.covers(known, grant, entry.cluster) for grant in giving)


def fail_blocked(
    tx: Connection, entry: Entry, giving: Sequence[Grant], plan: Plan, now: datetime
) -> None:
    """Fail the grants that what others put on the entry stands in the way of."""
    for grant in giving:
        blocked = plan.blocks(grant.access)
        if blocked is not None:
            problem = not_given.because(blocked, entry.cluster.name, entry.principal_arn)
            failed = lifecycle.revoke(
                grant, now, EndReason.FAILED, by=lifecycle.BOT, problem=problem
            )
            store_grant(tx, grant, *failed)


def settle(tx: Connection, entry: Entry, observed: ObservedEntry | None, now: datetime) -> Settled:
    """Draw the conclusions from what EKS shows after the actions.

    There may be more to do then, such as to make anew what was just deleted.
    """
    stored = snapshot(tx, entry, now)
    if len(stored.live) > 1:
        # Which of them change, and in which order, is known later; others lock them in this one.
        requests.lock(tx, (grant.id for grant in stored.live))
        stored = snapshot(tx, entry, now)
    giving, plan = plan_for(entry, observed, stored)
    left = {grant.id: grant for grant in stored.live}
    # The grants before the entry, as the use cases have it: their requests' rows are locked first.
    for grant in stored.live:
        if grant in giving:
            if grant.state is not GrantState.PROVISIONING:
                continue
            if not backed(entry, observed, stored, [grant]):
                continue
            given = planner.satisfied(grant.access, observed)
            if given and not plan.changes(grant.access) and not plan.blocks(grant.access):
                left[grant.id] = store_grant(tx, grant, *lifecycle.confirm(grant, now))
                left |= _supersede(tx, grant, now)
        # One revoked since it was planned for is still there: the next round takes it away.
        elif grant.state is GrantState.REVOKING and not plan.removals and not plan.unsettled:
            if grant.end_reason is not EndReason.FAILED:
                grant = replace(grant, problem=None)  # noqa: PLW2901 - it is overcome
            store_grant(tx, grant, *lifecycle.end(grant, now))
            del left[grant.id]
    if not giving or observed is not None:
        void(tx, entry, plan)
    alone = backstop.alone(observed, stored.record, entry.owner)
    return Settled(plan, tuple(left.values()), alone)


def void(tx: Connection, entry: Entry, plan: Plan) -> None:
    """Forget what was put there and is gone."""
    if plan.reset_record:
        entries.reset(tx, entry.id)
    else:
        entries.forget_associations(tx, entry.id, plan.forget)


def _supersede(tx: Connection, grant: Grant, now: datetime) -> dict[str, Grant]:
    """End the grant that a confirmed extension takes over from. EKS keeps what both give.

    Returns it as it is then, by its id, if it was changed.
    """
    if grant.extends is None:
        return {}
    before = grants.get(tx, grant.extends)
    if before.state is not GrantState.ACTIVE:
        return {}
    over = lifecycle.revoke(before, now, EndReason.SUPERSEDED, by=lifecycle.BOT)
    return {before.id: store_grant(tx, before, *over)}
