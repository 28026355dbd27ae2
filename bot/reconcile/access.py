"""Make EKS what the store says, one access entry at a time.

Observe, plan, apply, observe again. Grants become ACTIVE or ENDED only on what the second look
shows. What is about to be done is committed before it is done, so that after a crash at any point
the next round knows which part of what it sees is the bot's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from bot.aws import access_entries
from bot.aws.clients import EksClients
from bot.aws.errors import NO_CLUSTER, NO_ENTRIES
from bot.core import gone, planner
from bot.core.errors import (
    AwsProblem,
    Conflict,
    DomainError,
    PermanentAwsProblem,
    StoreUnavailable,
    TemporaryAwsProblem,
)
from bot.core.lifecycle import BOT
from bot.core.model import Grant, GrantState
from bot.reconcile import access_grants, role_fallback
from bot.reconcile.access_grants import Snapshot, plan_for
from bot.reconcile.access_troubles import Trouble, Waiting, goes_on, looked, rest
from bot.reconcile.backoff import worth_telling
from bot.reconcile.drift_watch import DriftWatch
from bot.reconcile.memory import StoreMemory, WentBack
from bot.reconcile.role_fallback import Named, nowhere
from bot.store import backstops, drift, entries, grants, stores
from bot.store.claims import ClaimLost, Claims, StillHeld
from bot.store.database import Database
from bot.store.entries import Entry
from bot.store.gone import end_with_cluster

if TYPE_CHECKING:
    from mypy_boto3_eks.client import EKSClient

log = structlog.get_logger(__name__)

_BATCH = 200


class AccessReconciler:
    """The loop that keeps EKS equal to the store. Safe to call from several threads.

    `repair` says whether access that others took away is made anew, and `named` how the policy in
    force reaches a cluster.
    """

    def __init__(
        self,
        database: Database,
        clients: EksClients,
        claims: Claims,
        *,
        clock: Callable[[], datetime],
        repair: Callable[[], bool] = lambda: False,
        named: Named = nowhere,
        memory: StoreMemory | None = None,
    ) -> None:
        self._database = database
        self._clients = clients
        self._claims = claims
        self._clock = clock
        self._memory = memory or StoreMemory(database, clock=clock)
        self._drift = DriftWatch(database, repair, self._memory, clock=clock)
        self._named = named
        self._begun = False
        self._memory.forgets.append(self._begin_anew)

    def _begin_anew(self) -> None:
        self._begun = False

    def due(self, beside: int = 0) -> list[int]:
        """Ids of the access entries to reconcile now: `beside` more than a batch.

        At first those too that were put off until the next try: whoever starts the bot anew has
        often just mended why it failed, and what the last one waited for may be there by now.
        """
        if not self._begun:
            self._remember()
            with self._database.transaction() as tx:
                stores.ensure_identity(tx)
                entries.try_now(tx, self._clock())
            self._begun = True
        with self._database.reading() as tx:
            return entries.due(tx, self._clock(), _BATCH + beside)

    def _remember(self) -> None:
        """Learn whether the store went back, before anything is given. Removals wait for no more.

        Where even that fails, what is given fails as well, for it is asked again before each write.
        """
        try:
            self._memory.look()
        except StoreUnavailable:
            raise
        except Exception:
            log.exception("nobody can tell whether the store went back; removals go on")

    def reconcile(self, entry_id: int) -> None:
        """Reconcile one entry, unless another worker is at it."""
        with self._claims.claim(f"entry:{entry_id}") as still_held:
            if still_held is None:
                return
            try:
                self._round(entry_id, still_held)
            except ClaimLost:
                log.warning("claim lost, left to the next round", entry=entry_id)
            except WentBack:
                log.warning("the store went back, left to the next round", entry=entry_id)
                self._memory.look()
            except Conflict:
                log.info("a grant changed meanwhile, left to the next round", entry=entry_id)

    def _round(self, entry_id: int, still_held: StillHeld) -> None:
        epoch = self._memory.epoch
        entry = self._start(entry_id)
        try:
            troubles = self._reach(entry, still_held, epoch)
        except AwsProblem as error:
            if error.code == NO_ENTRIES or (error.code == NO_CLUSTER and self._is_unwritten(entry)):
                troubles = self._end_without(entry, error, epoch)
            elif error.code == NO_CLUSTER:
                troubles = self._cluster_unknown(entry_id, error, epoch)
            else:
                troubles = [Trouble(error)]
                self._finish(entry, troubles, epoch)
        except (DomainError, ClaimLost, WentBack):
            raise
        except Exception as error:  # a fault of ours must not end the tries to revoke
            if worth_telling(entry.attempts + 1):
                log.exception("unexpected error while reconciling", entry=entry_id)
            problem = TemporaryAwsProblem(
                "internal_error",
                "The bot met an unexpected error, which its log tells. It tries again by itself.",
            )
            problem.__cause__ = error
            troubles = [Trouble(problem)]
            self._finish(entry, troubles, epoch)
        self._tell(entry, troubles, epoch)

    def _start(self, entry_id: int) -> Entry:
        """Let time pass for the entry's grants, then read the entry."""
        now = self._clock()
        with self._database.transaction() as tx:
            self._memory.note(tx)
            access_grants.pass_time(tx, entry_id, now)
            entry = entries.get(tx, entry_id, now)
            if entry.from_ahead:
                entries.set_clock_right(tx, entry_id, now)
                entry = entries.get(tx, entry_id, now)
            return entry

    def _reach(self, entry: Entry, still_held: StillHeld, epoch: int) -> list[Trouble]:
        """As `_act`; where AWS refuses the role of the row, by the one that the policy names."""
        mute: AwsProblem | None = None
        troubles: list[Trouble] = []
        try:
            troubles = self._act(entry, still_held, epoch)
        except AwsProblem as problem:
            mute = problem
        problems = [mute] if mute is not None else [one.problem for one in troubles]
        other = role_fallback.by_policy(entry, problems, self._named)
        if other is None:
            if mute is not None:
                raise mute
            return troubles
        troubles = self._act(other, still_held, epoch)
        if not role_fallback.refused(one.problem for one in troubles):
            role = other.cluster.assume_role
            with self._database.transaction() as tx:
                entries.reach_by(tx, entry.id, role)
            log.info("reached by the policy's role", cluster=entry.cluster.name, role=role)
        return troubles

    def _act(self, entry: Entry, still_held: StillHeld, epoch: int) -> list[Trouble]:
        """Do what is to be done, and store what came of it. Returns what could not be done.

        Raises AwsProblem where EKS is mute.
        """
        client = self._clients.for_cluster(entry.cluster)
        observed = access_entries.observe(client, entry.cluster, entry.principal_arn)
        stored, differs = self._look(entry, observed)
        if differs:
            stored = self._read(entry)
        giving, plan = plan_for(entry, observed, stored)
        if plan.blocked:
            with self._database.transaction() as tx:
                access_grants.fail_blocked(tx, entry, giving, plan, self._clock())
            stored = self._read(entry)
            giving, plan = plan_for(entry, observed, stored)
        if plan.reset_record or plan.forget:
            with self._database.transaction() as tx:
                access_grants.void(tx, entry, plan)
        troubles: list[Trouble] = []
        actions = plan.actions
        if not access_grants.backed(entry, observed, stored, giving):
            # Removals never wait for it. What makes room for something new as it narrows does.
            stored = self._read(entry)
            giving, plan = plan_for(entry, observed, stored, backed_only=True)
            actions = plan.removals
            troubles += _backstop_trouble(stored)
        for action in actions:
            if not still_held():
                raise ClaimLost
            try:
                self._apply(client, entry, action, giving, epoch)
            except AwsProblem as problem:
                troubles.append(Trouble(problem, action))
                if not goes_on(action, problem):
                    break
        if actions:
            observed = access_entries.observe(client, entry.cluster, entry.principal_arn)
        self._conclude(entry, observed, troubles, epoch, differs=differs)
        return troubles

    def _conclude(
        self,
        entry: Entry,
        observed: planner.ObservedEntry | None,
        troubles: list[Trouble],
        epoch: int,
        *,
        differs: bool,
    ) -> None:
        """Store what EKS shows after the actions, and when to look again.

        In one transaction, if nothing has to come between: SQLite has one writer at a time, and of
        a thousand ends in the same second each waits for it.
        """
        now = self._clock()
        if observed is not None:
            _, plan = plan_for(entry, observed, self._read(entry))
            if not plan.reset_record:
                with self._database.transaction() as tx:
                    entries.read_back(tx, entries.get(tx, entry.id, now), observed)
        with self._database.transaction() as tx:
            self._memory.note(tx)  # what ends here may have been revoked since the round began
            settled = access_grants.settle(tx, entry, observed, now)
            more = bool(settled.plan.actions)
            if not differs:
                counts = epoch == self._memory.epoch
                rest(tx, entry, settled.live, troubles, now, more=more, counts=counts)
            # The entry's row first, as everywhere.
            backstops.seen(tx, entry.id, now, alone=settled.alone, shown=observed is not None)
        if differs:
            self._look(entry, observed)
            self._finish(entry, troubles, epoch, more=more)

    def _is_unwritten(self, entry: Entry) -> bool:
        """Whether the bot has put nothing at the entry, and was never about to."""
        with self._database.reading() as tx:
            return entries.get(tx, entry.id, self._clock()).record == planner.EntryRecord()

    def _end_without(self, entry: Entry, problem: AwsProblem, epoch: int) -> list[Trouble]:
        """End what is to be removed from a cluster that holds nothing of the bot's.

        No trouble is left if nothing else is live there. One that has no access entries never had:
        no cluster goes back to that mode. That was read, as surely as that an entry is gone. One
        that AWS does not know holds nothing where the bot never was about to write. Where it was,
        the role may reach another account by now, and the removal is not given up.
        """
        now = self._clock()
        with self._database.transaction() as tx:
            settled = access_grants.settle(tx, entry, None, now)
            troubles = [Trouble(problem)] if settled.live else []
            rest(tx, entry, settled.live, troubles, now, counts=epoch == self._memory.epoch)
            backstops.seen(tx, entry.id, now, alone=settled.alone, shown=False)
        return troubles

    def _cluster_unknown(self, entry_id: int, problem: AwsProblem, epoch: int) -> list[Trouble]:
        """Where AWS has known no such cluster for a day, end what went with it; see bot.core.gone.

        Only a look in the account that STS proves to be the cluster's counts: a role that reaches
        another by now finds no cluster there either.
        """
        now = self._clock()
        with self._database.reading() as tx:
            entry = entries.get(tx, entry_id, now)
        try:
            self._clients.prove_account(entry.cluster)
        except AwsProblem as unproven:
            problem = unproven
        else:
            looks = gone.looked(entry.unknown, now)
            if looks.gone:
                self._end_with_cluster(entry, looks, now)
                return []
            with self._database.transaction() as tx:
                entries.unknown(tx, entry_id, looks)
        troubles = [Trouble(problem)]
        self._finish(entry, troubles, epoch)
        return troubles

    def _end_with_cluster(self, entry: Entry, looks: gone.Unknown, now: datetime) -> None:
        why = f"AWS has known no such cluster since {looks.since:%Y-%m-%d %H:%M} UTC"
        with self._database.transaction() as tx:
            live = grants.live_of_entry(tx, entry.id)
            chosen = [one.id for one in live if one.state is not GrantState.SCHEDULED]
            ended = end_with_cluster(tx, chosen, entry.id, now, by=BOT, why=why)
        log.warning(
            "grants ended with their cluster, which AWS has not known for a day",
            grants=[one.id for one in ended],
            cluster=entry.cluster.name,
            account=entry.cluster.account,
            region=entry.cluster.region,
            principal=entry.principal_arn,
            since=looks.since.isoformat(),
        )

    def _apply(
        self,
        client: EKSClient,
        entry: Entry,
        action: planner.Action,
        giving: Sequence[Grant],
        epoch: int,
    ) -> None:
        self._intend(entry, action, giving, epoch)
        grant_id = giving[-1].id if giving else ""
        log.info(
            "applying",
            action=type(action).__name__,
            cluster=entry.cluster.name,
            account=entry.cluster.account,
            principal=entry.principal_arn,
            grant=grant_id,
        )
        try:
            access_entries.apply(
                client,
                entry.cluster,
                entry.principal_arn,
                action,
                owner=entry.owner,
                grant_id=grant_id,
            )
        finally:
            # Whatever the answer was: from now on nothing more is sent, and what was sent may
            # still take effect for a while.
            if not isinstance(action, planner.Disassociate | planner.DeleteEntry):
                with self._database.transaction() as tx:
                    entries.sent(tx, entry.id, action, self._clock())

    def _read(self, entry: Entry) -> Snapshot:
        with self._database.reading() as tx:
            return access_grants.snapshot(tx, entry, self._clock())

    def _look(self, entry: Entry, observed: planner.ObservedEntry | None) -> tuple[Snapshot, bool]:
        """Note what others changed. Returns what the store said before, and whether they did."""
        with self._database.reading() as tx:
            stored = access_grants.snapshot(tx, entry, self._clock())
            noted = drift.open_at(tx, entry.id)
        return stored, self._drift.look(entry, observed, stored, noted)

    def _intend(
        self, entry: Entry, action: planner.Action, giving: Sequence[Grant], epoch: int
    ) -> None:
        """Store what is about to be done.

        Raises WentBack where that was planned too early, and Conflict where it would give what
        has been revoked since.
        """
        now = self._clock()
        takes_away = isinstance(action, planner.Disassociate | planner.DeleteEntry)
        with self._database.transaction() as tx:
            if takes_away:
                self._memory.note(tx)
            elif not self._memory.is_same(tx, epoch):
                raise WentBack
            else:
                access_grants.ensure_still_giving(tx, entry.id, giving)
            match action:
                case planner.CreateEntry(groups):
                    entries.intend_creation(tx, entry.id, groups, now)
                case planner.SetGroups(_, own):
                    entries.intend_groups(tx, entry.id, own, now)
                case planner.Associate(policy_arn, scope):
                    entries.intend_association(tx, entry.id, policy_arn, scope, now)
                case planner.Disassociate(policy_arn):
                    entries.intend_disassociation(tx, entry.id, policy_arn)
                case planner.DeleteEntry():
                    entries.intend_deletion(tx, entry.id)

    def _finish(
        self, entry: Entry, troubles: list[Trouble], epoch: int, *, more: bool = False
    ) -> None:
        now = self._clock()
        with self._database.transaction() as tx:
            live = grants.live_of_entry(tx, entry.id)
            counts = epoch == self._memory.epoch
            rest(tx, entry, live, troubles, now, more=more, counts=counts)
            backstops.wake(tx, entry.id, now)

    def _tell(self, entry: Entry, troubles: list[Trouble], epoch: int) -> None:
        if looked(troubles):
            self._drift.saw(entry.id, epoch)
        for trouble in troubles:
            log.warning(
                "AWS problem",
                code=trouble.problem.code,
                problem=trouble.problem.sentence,
                cause=str(trouble.problem.__cause__),
                cluster=entry.cluster.name,
                account=entry.cluster.account,
                principal=entry.principal_arn,
                attempts=entry.attempts + 1,
            )


def _backstop_trouble(stored: Snapshot) -> list[Trouble]:
    """Why there is no backstop, where that is known; otherwise it is on its way."""
    kept = stored.backstop
    if kept is None or kept.problem is None:
        return []
    kind = PermanentAwsProblem if kept.hopeless else TemporaryAwsProblem
    return [Trouble(kind("no_backstop", kept.problem), Waiting.BACKSTOP)]
