"""What AWS refuses at an access entry: what it means for the grants, and when to try again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from sqlalchemy import Connection

from bot.core import lifecycle, planner
from bot.core.errors import AwsProblem, PermanentAwsProblem
from bot.core.model import EndReason, Grant, GrantState
from bot.core.planner import Plan
from bot.reconcile.backoff import pause
from bot.reconcile.storing import store_grant
from bot.store import entries
from bot.store.entries import Entry

INVALID_PRINCIPAL_PATIENCE = timedelta(minutes=2)
"""A role made a moment ago is known to EKS by then; another does not exist."""


class Waiting(Enum):
    """What nothing was done for, other than an action at EKS."""

    BACKSTOP = "backstop"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A problem with AWS and what met it; None: nothing could be done at all."""

    problem: AwsProblem
    action: planner.Action | Waiting | None = None

    def concerns(self, grant: Grant) -> bool:
        """Whether the grant waits because of this."""
        if self.action is Waiting.BACKSTOP:
            return grant.state is GrantState.PROVISIONING
        if self.action is None or grant.state is GrantState.REVOKING:
            return True
        return Plan(additions=(self.action,)).changes(grant.access)


def looked(troubles: Sequence[Trouble]) -> bool:
    """Whether EKS could be looked at."""
    return all(one.action is not None for one in troubles)


def goes_on(action: planner.Action, problem: AwsProblem) -> bool:
    """Whether the actions that follow can still be done.

    Where AWS is slow or away, each would wait in vain; and what hangs on the entry needs it.
    """
    whole = isinstance(action, planner.CreateEntry | planner.DeleteEntry)
    return isinstance(problem, PermanentAwsProblem) and not whole


def rest(
    tx: Connection,
    entry: Entry,
    live: Sequence[Grant],
    troubles: Sequence[Trouble],
    now: datetime,
    *,
    more: bool = False,
    counts: bool = True,
) -> None:
    """Say when to look again, and fail those of the live grants that AWS refuses for good.

    `more` is whether there is something to do that was not tried yet, `counts` whether what EKS
    showed is called seen: not where the store went back meanwhile.
    """
    live = [_troubled(tx, grant, troubles, now) for grant in live]
    unsettled = more or any(
        grant.state in (GrantState.PROVISIONING, GrantState.REVOKING) for grant in live
    )
    attempts = 0
    times = [due for grant in live if (due := lifecycle.due_at(grant)) is not None]
    if unsettled or troubles:
        attempts = entries.attempts(tx, entry.id) + 1
        asked = [one.problem.after for one in troubles if one.problem.after is not None]
        times.append(now + pause(attempts, max(asked, default=None)))
    entries.rest(
        tx,
        entry,
        min(times, default=None),
        attempts=attempts,
        problem=troubles[0].problem.sentence if troubles else None,
        looked_at=now if counts and looked(troubles) else None,
    )


def _troubled(tx: Connection, grant: Grant, troubles: Sequence[Trouble], now: datetime) -> Grant:
    """What problems with AWS mean for one grant."""
    problem = next((one.problem for one in troubles if one.concerns(grant)), None)
    if problem is None:
        return grant
    if grant.state is GrantState.PROVISIONING:
        hopeless = isinstance(problem, PermanentAwsProblem) or (
            problem.code == "invalid_principal"
            and now - grant.created_at >= INVALID_PRINCIPAL_PATIENCE
        )
        if hopeless:
            failed = lifecycle.revoke(
                grant, now, EndReason.FAILED, by=lifecycle.BOT, problem=problem.sentence
            )
            return store_grant(tx, grant, *failed)
    waiting = grant.state in (GrantState.PROVISIONING, GrantState.REVOKING)
    keeps_its_reason = grant.end_reason is EndReason.FAILED
    if waiting and not keeps_its_reason and grant.problem != problem.sentence:
        return store_grant(tx, grant, replace(grant, problem=problem.sentence), ())
    return grant
