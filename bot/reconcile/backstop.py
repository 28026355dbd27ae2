"""Keep the schedule of each entry that ends access where the bot never comes back.

Observe, plan, store the intent, apply, observe again, as the access loop does it, but in a loop and
under a claim of its own: nothing that takes access away ever waits for EventBridge Scheduler. The
access loop gives nothing before a schedule that covers it was read back here. It wakes this loop
once an entry is gone, so that a schedule outlives what it is for.

Approving a grant asks for a look in the same transaction, and a schedule is changed or taken away
only if nobody asked since the store was read. So no grant is given under a schedule that is about
to go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from bot.aws import scheduler
from bot.aws.clients import EksClients
from bot.core import backstop
from bot.core.backstop import Known, Schedule
from bot.core.errors import (
    AwsProblem,
    PermanentAwsProblem,
    StoreUnavailable,
    TemporaryAwsProblem,
)
from bot.core.lifecycle import BOT
from bot.core.model import AuditEvent, Grant, GrantState
from bot.core.removal import late_at
from bot.reconcile import role_fallback
from bot.reconcile.backoff import pause, worth_telling
from bot.reconcile.role_fallback import Named, nowhere
from bot.store import audit, backstops, entries, grants
from bot.store.backstops import Kept
from bot.store.claims import Claims, StillHeld
from bot.store.database import Database
from bot.store.entries import Entry

log = structlog.get_logger(__name__)

_BATCH = 200


@dataclass(frozen=True, slots=True)
class _Look:
    """What the store says of one entry's backstop at one moment."""

    entry: Entry
    kept: Kept
    live: tuple[Grant, ...]
    wanted: Schedule | None


class _Overtaken(Exception):
    """Somebody asked for a look meanwhile, or another worker is at it: nothing more is done."""


class BackstopKeeper:
    """The loop that keeps backstops. Safe to call from several threads.

    `named` is how the policy in force reaches a cluster.
    """

    def __init__(
        self,
        database: Database,
        clients: EksClients,
        claims: Claims,
        *,
        clock: Callable[[], datetime],
        named: Named = nowhere,
    ) -> None:
        self._database = database
        self._clients = clients
        self._claims = claims
        self._clock = clock
        self._named = named

    def due(self, beside: int = 0) -> list[int]:
        """Ids of the entries whose backstop is to be looked at now: `beside` more than a batch."""
        with self._database.reading() as tx:
            return backstops.due(tx, self._clock(), _BATCH + beside)

    def keep(self, entry_id: int) -> None:
        """Bring one backstop up to date, unless another worker is at it."""
        with self._claims.claim(f"backstop:{entry_id}") as still_held:
            if still_held is None:
                return
            look = self._look(entry_id)
            if look is None:
                return
            problem: AwsProblem | None = None
            try:
                self._reach(look, still_held)
            except _Overtaken:
                log.info("overtaken, left to the next round", backstop=entry_id)
                return
            except AwsProblem as error:
                problem = error
            except StoreUnavailable:
                raise  # no fault of the backstop's, and nothing can be stored: the loop tells it
            except Exception as error:  # a fault of ours must not end the tries
                if worth_telling(look.kept.attempts + 1):
                    log.exception("unexpected error while keeping a backstop", entry=entry_id)
                problem = TemporaryAwsProblem(
                    "internal_error",
                    "The bot met an unexpected error as it set the backstop, which its log tells. "
                    "It tries again by itself.",
                )
                problem.__cause__ = error
            self._rest(look, problem)

    def _look(self, entry_id: int) -> _Look | None:
        now = self._clock()
        with self._database.reading() as tx:
            kept = backstops.find(tx, entry_id)
            if kept is None:
                return None
            entry = entries.get(tx, entry_id, now)
            live = grants.live_of_entry(tx, entry_id)
        wanted = backstop.wanted(
            entry.cluster,
            entry.principal_arn,
            entry.owner,
            live,
            kept.known,
            alone=kept.alone,
            there=kept.shown,
            now=now,
        )
        return _Look(entry, kept, live, wanted)

    def _reach(self, look: _Look, still_held: StillHeld) -> None:
        """By the role of the row, or where AWS refuses it by the one that the policy names.

        Which is right for the row is left to the access loop. Raises AwsProblem.
        """
        try:
            self._bring_up_to_date(look, still_held)
        except AwsProblem as problem:
            other = role_fallback.by_policy(look.entry, [problem], self._named)
            if other is None:
                raise
            self._bring_up_to_date(replace(look, entry=other), still_held)

    def _bring_up_to_date(self, look: _Look, still_held: StillHeld) -> None:
        """Make the schedule what is wanted, and store what was read back. Raises AwsProblem."""
        known, wanted = look.kept.known, look.wanted
        if look.kept.alone is None or backstop.believed(wanted, known, self._clock()):
            return
        entry = look.entry
        named = wanted or (known.schedule if known is not None else None)
        if named is None:
            return
        client = self._clients.scheduler_for(entry.cluster)
        try:
            shown = scheduler.observe(client, entry.cluster, named.group, named.name)
            step = backstop.step(wanted, shown)
            if step is not None:
                if not still_held() or not self._intend(look, step.schedule):
                    raise _Overtaken
                log.info(
                    "backstop",
                    action=type(step).__name__,
                    cluster=entry.cluster.name,
                    account=entry.cluster.account,
                    principal=entry.principal_arn,
                    schedule=step.schedule.name,
                    at=step.schedule.at.isoformat(),
                )
                scheduler.apply(client, entry.cluster, step)
                shown = scheduler.observe(client, entry.cluster, named.group, named.name)
        except PermanentAwsProblem as problem:
            if problem.code == "no_schedule_group" and self._group_gone(look):
                return
            raise
        self._conclude(look, shown)

    def _intend(self, look: _Look, schedule: Schedule) -> bool:
        now = self._clock()
        with self._database.transaction() as tx:
            return backstops.intend(tx, look.kept, schedule, now)

    def _group_gone(self, look: _Look) -> bool:
        """Whether a schedule went with its group, and is wanted no more or in another one."""
        terms, known = look.entry.cluster.backstop, look.kept.known
        if known is None or (terms is not None and terms.group == known.schedule.group):
            return False
        self._forget(look, known)
        return True

    def _conclude(self, look: _Look, shown: Schedule | None) -> None:
        """Store what was read back. What is not to be seen yet is looked at again."""
        known, wanted = look.kept.known, look.wanted
        if wanted is None:
            if shown is None and known is not None:
                self._forget(look, known)
            return
        if shown != wanted:
            raise TemporaryAwsProblem(
                "backstop_not_shown",
                f"EventBridge Scheduler does not show the backstop for {look.entry.cluster.name} "
                "yet. The bot looks again by itself.",
            )
        now = self._clock()
        news = known is None or not known.confirmed or known.schedule != wanted
        with self._database.transaction() as tx:
            if news:  # the entry's row first, as everywhere
                entries.wake(tx, look.entry.id, now)
            backstops.confirm(tx, look.entry.id, wanted, now)
            if news:
                audit.record(tx, [_event(look, wanted, "backstop.set", now)])

    def _forget(self, look: _Look, known: Known) -> None:
        now = self._clock()
        with self._database.transaction() as tx:
            backstops.forget(tx, look.entry.id, now)
            audit.record(tx, [_event(look, known.schedule, "backstop.removed", now)])

    def _rest(self, look: _Look, problem: AwsProblem | None) -> None:
        """Say when to look again, and have the access loop tell people of trouble."""
        after = self._look(look.entry.id)
        if after is None:
            return
        now = self._clock()
        undone = after.kept.alone is not None and not backstop.believed(
            after.wanted, after.kept.known, now
        )
        attempts = look.kept.attempts + 1 if problem is not None or undone else 0
        # A removal that becomes late brings its schedule nearer.
        going = (grant for grant in after.live if grant.state is GrantState.REVOKING)
        times = [time for grant in going if (time := late_at(grant)) and time > now]
        if attempts:
            times.append(now + pause(attempts, problem.after if problem is not None else None))
        sentence = problem.sentence if problem is not None else None
        hopeless = isinstance(problem, PermanentAwsProblem)
        changed = (sentence, hopeless) != (look.kept.problem, look.kept.hopeless)
        with self._database.transaction() as tx:
            if changed and problem is not None:
                entries.wake(tx, look.entry.id, now)
            backstops.rest(
                tx,
                look.kept,
                min(times, default=None),
                attempts=attempts,
                problem=sentence,
                hopeless=hopeless,
            )
        if changed and problem is not None:
            log.warning(
                "the backstop of an entry is not as it should be",
                code=problem.code,
                problem=problem.sentence,
                cause=str(problem.__cause__),
                cluster=look.entry.cluster.name,
                account=look.entry.cluster.account,
                principal=look.entry.principal_arn,
                attempts=attempts,
            )


def _event(look: _Look, schedule: Schedule, action: str, now: datetime) -> AuditEvent:
    return AuditEvent(
        at=now,
        actor=BOT,
        action=action,
        cluster=look.entry.cluster.name,
        details={
            "principal": schedule.principal_arn,
            "schedule": schedule.name,
            "group": schedule.group,
            "at": schedule.at.isoformat(),
            "grants": [grant.id for grant in look.live],
        },
    )
