"""Make EKS what the store says, one access entry at a time.

Observe, plan, apply, observe again. Grants become ACTIVE or ENDED only on what the second look
shows. What is about to be done is committed before it is done, so that after a crash at any point
the next round knows which part of what it sees is the bot's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Protocol

import structlog
from sqlalchemy import Connection

from bot.aws import access_entries
from bot.aws.clients import EksClients
from bot.aws.errors import NO_CLUSTER, NO_ENTRIES
from bot.core import backstop, lifecycle, planner
from bot.core.durations import format_duration
from bot.core.errors import (
    AwsProblem,
    Conflict,
    DomainError,
    PermanentAwsProblem,
    TemporaryAwsProblem,
)
from bot.core.model import EndReason, Grant, GrantState
from bot.core.planner import Blocked, Obstacle, Plan
from bot.reconcile.backoff import pause
from bot.reconcile.drift_watch import DriftWatch
from bot.reconcile.storing import store_grant
from bot.store import backstops, entries, grants
from bot.store.claims import Claims, StillHeld
from bot.store.database import Database
from bot.store.entries import Entry

if TYPE_CHECKING:
    from mypy_boto3_eks.client import EKSClient

log = structlog.get_logger(__name__)

INVALID_PRINCIPAL_PATIENCE = timedelta(minutes=2)
"""A role made a moment ago is known to EKS by then; another does not exist."""

_BATCH = 200


class Clock(Protocol):
    """The time now, in UTC."""

    def __call__(self) -> datetime: ...


class ClaimLost(Exception):
    """Another worker may hold the entry by now, so this one stops before its next effect."""


class _Waiting(Enum):
    """What nothing was done for, other than an action at EKS."""

    BACKSTOP = "backstop"


@dataclass(frozen=True, slots=True)
class _Trouble:
    """A problem with AWS and what met it; None: nothing could be done at all."""

    problem: AwsProblem
    action: planner.Action | _Waiting | None = None

    def concerns(self, grant: Grant) -> bool:
        """Whether the grant waits because of this."""
        if self.action is _Waiting.BACKSTOP:
            return grant.state is GrantState.PROVISIONING
        if self.action is None or grant.state is GrantState.REVOKING:
            return True
        return Plan(additions=(self.action,)).changes(grant.access)


class AccessReconciler:
    """The loop that keeps EKS equal to the store. Safe to call from several threads.

    `repair` says whether access that others took away is made anew.
    """

    def __init__(
        self,
        database: Database,
        clients: EksClients,
        claims: Claims,
        *,
        clock: Clock,
        repair: Callable[[], bool] = lambda: False,
    ) -> None:
        self._database = database
        self._clients = clients
        self._claims = claims
        self._clock = clock
        self._drift = DriftWatch(database, repair, clock=clock)
        self._begun = False

    def due(self) -> list[int]:
        """Ids of the access entries to reconcile now.

        At first those too that were put off until the next try: whoever starts the bot anew has
        often just mended why it failed, and what the last one waited for may be there by now.
        """
        if not self._begun:
            with self._database.transaction() as tx:
                entries.try_now(tx, self._clock())
            self._begun = True
        with self._database.reading() as tx:
            return entries.due(tx, self._clock(), _BATCH)

    def reconcile(self, entry_id: int) -> None:
        """Reconcile one entry, unless another worker is at it."""
        with self._claims.claim(f"entry:{entry_id}") as still_held:
            if still_held is None:
                return
            try:
                self._round(entry_id, still_held)
            except ClaimLost:
                log.warning("claim lost, left to the next round", entry=entry_id)
            except Conflict:
                log.info("a grant changed meanwhile, left to the next round", entry=entry_id)

    def _round(self, entry_id: int, still_held: StillHeld) -> None:
        entry = self._start(entry_id)
        try:
            troubles = self._act(entry, still_held)
        except AwsProblem as error:
            if error.code == NO_ENTRIES or (error.code == NO_CLUSTER and self._is_unwritten(entry)):
                troubles = self._end_without(entry, error)
            else:
                troubles = [_Trouble(error)]
                self._finish(entry, troubles)
        except (DomainError, ClaimLost):
            raise
        except Exception as error:  # a fault of ours must not end the tries to revoke
            log.exception("unexpected error while reconciling", entry=entry_id)
            problem = TemporaryAwsProblem(
                "internal_error",
                "The bot met an unexpected error, which its log tells. It tries again by itself.",
            )
            problem.__cause__ = error
            troubles = [_Trouble(problem)]
            self._finish(entry, troubles)
        self._tell(entry, troubles)

    def _start(self, entry_id: int) -> Entry:
        """Let time pass for the entry's grants, then read the entry."""
        now = self._clock()
        with self._database.transaction() as tx:
            for grant in grants.live_of_entry(tx, entry_id):
                shortened = lifecycle.after_clock_jump(grant, now)
                if shortened is not None:
                    store_grant(tx, grant, *shortened, now)
                    continue
                reason = lifecycle.overdue(grant, now)
                if reason is not None:
                    problem = grant.problem
                    if reason is EndReason.FAILED and problem is None:
                        problem = _never_shown(grant)
                    by_bot = lifecycle.revoke(grant, now, reason, by=lifecycle.BOT, problem=problem)
                    store_grant(tx, grant, *by_bot, now)
            entry = entries.get(tx, entry_id, now)
            if entry.from_ahead:
                entries.set_clock_right(tx, entry_id, now)
                entry = entries.get(tx, entry_id, now)
            return entry

    def _act(self, entry: Entry, still_held: StillHeld) -> list[_Trouble]:
        """Do what is to be done, and store what came of it. Returns what could not be done.

        Raises AwsProblem where EKS is mute.
        """
        client = self._clients.for_cluster(entry.cluster)
        observed = access_entries.observe(client, entry.cluster, entry.principal_arn)
        differs = self._drift.look(entry, observed)
        live, plan = self._read_plan(entry, observed)
        if plan.blocked:
            self._fail_blocked(entry, live, plan)
            live, plan = self._read_plan(entry, observed)
        if plan.reset_record or plan.forget:
            with self._database.transaction() as tx:
                _void(tx, entry, plan)
        troubles: list[_Trouble] = []
        actions = plan.actions
        if not self._is_backed(entry, observed, live):
            # Removals never wait for it. What makes room for something new as it narrows does.
            live, plan = self._read_plan(entry, observed, backed_only=True)
            actions = plan.removals
            troubles += self._backstop_trouble(entry)
        for action in actions:
            if not still_held():
                raise ClaimLost
            try:
                self._apply(client, entry, action, live[-1].id if live else "")
            except AwsProblem as problem:
                troubles.append(_Trouble(problem, action))
                if not _goes_on(action, problem):
                    break
        if actions:
            observed = access_entries.observe(client, entry.cluster, entry.principal_arn)
        self._conclude(entry, observed, troubles, differs=differs)
        return troubles

    def _conclude(
        self,
        entry: Entry,
        observed: planner.ObservedEntry | None,
        troubles: list[_Trouble],
        *,
        differs: bool,
    ) -> None:
        """Store what EKS shows after the actions, and when to look again.

        In one transaction, if nothing has to come between: SQLite has one writer at a time, and of
        a thousand ends in the same second each waits for it.
        """
        now = self._clock()
        if observed is not None:
            _, plan = self._read_plan(entry, observed)
            if not plan.reset_record:
                with self._database.transaction() as tx:
                    entries.read_back(tx, entries.get(tx, entry.id, now), observed)
        with self._database.transaction() as tx:
            plan = _settle(tx, entry, observed, now)
            if not differs:
                _rest(tx, entry, troubles, now, more=bool(plan.actions))
            _backstop_shown(tx, entry, observed, now)
        if differs:
            self._drift.look(entry, observed)
            self._finish(entry, troubles, more=bool(plan.actions))

    def _is_unwritten(self, entry: Entry) -> bool:
        """Whether the bot has put nothing at the entry, and was never about to."""
        with self._database.reading() as tx:
            return entries.get(tx, entry.id, self._clock()).record == planner.EntryRecord()

    def _end_without(self, entry: Entry, problem: AwsProblem) -> list[_Trouble]:
        """End what is to be removed from a cluster that holds nothing of the bot's.

        No trouble is left if nothing else is live there. One that has no access entries never had:
        no cluster goes back to that mode. That was read, as surely as that an entry is gone. One
        that AWS does not know holds nothing where the bot never was about to write. Where it was,
        the role may reach another account by now, and the removal is not given up.
        """
        now = self._clock()
        with self._database.transaction() as tx:
            _settle(tx, entry, None, now)
            troubles = [_Trouble(problem)] if grants.live_of_entry(tx, entry.id) else []
            _rest(tx, entry, troubles, now)
            _backstop_shown(tx, entry, None, now)
        return troubles

    def _apply(
        self, client: EKSClient, entry: Entry, action: planner.Action, grant_id: str
    ) -> None:
        self._intend(entry, action)
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
                deployment=entry.deployment,
                grant_id=grant_id,
            )
        finally:
            # Whatever the answer was: from now on nothing more is sent, and what was sent may
            # still take effect for a while.
            if not isinstance(action, planner.Disassociate | planner.DeleteEntry):
                with self._database.transaction() as tx:
                    entries.sent(tx, entry.id, action, self._clock())

    def _read_plan(
        self, entry: Entry, observed: planner.ObservedEntry | None, *, backed_only: bool = False
    ) -> tuple[tuple[Grant, ...], Plan]:
        with self._database.reading() as tx:
            return _plan(tx, entry, observed, self._clock(), backed_only=backed_only)

    def _is_backed(
        self, entry: Entry, observed: planner.ObservedEntry | None, live: Sequence[Grant]
    ) -> bool:
        if entry.cluster.backstop is None:
            return True
        with self._database.reading() as tx:
            return _backed(tx, entry, observed, live, self._clock())

    def _backstop_trouble(self, entry: Entry) -> list[_Trouble]:
        """Why there is no backstop, where that is known; otherwise it is on its way."""
        with self._database.reading() as tx:
            kept = backstops.find(tx, entry.id)
        if kept is None or kept.problem is None:
            return []
        kind = PermanentAwsProblem if kept.hopeless else TemporaryAwsProblem
        return [_Trouble(kind("no_backstop", kept.problem), _Waiting.BACKSTOP)]

    def _fail_blocked(self, entry: Entry, live: tuple[Grant, ...], plan: Plan) -> None:
        now = self._clock()
        with self._database.transaction() as tx:
            for grant in live:
                obstacle = plan.blocks(grant.access)
                if obstacle is not None:
                    failed = lifecycle.revoke(
                        grant,
                        now,
                        EndReason.FAILED,
                        by=lifecycle.BOT,
                        problem=_obstacle_sentence(entry, obstacle),
                    )
                    store_grant(tx, grant, *failed, now)

    def _intend(self, entry: Entry, action: planner.Action) -> None:
        now = self._clock()
        with self._database.transaction() as tx:
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

    def _finish(self, entry: Entry, troubles: list[_Trouble], *, more: bool = False) -> None:
        now = self._clock()
        with self._database.transaction() as tx:
            _rest(tx, entry, troubles, now, more=more)

    def _tell(self, entry: Entry, troubles: list[_Trouble]) -> None:
        if _looked(troubles):
            self._drift.saw(entry.id)
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


def _plan(
    tx: Connection,
    entry: Entry,
    observed: planner.ObservedEntry | None,
    now: datetime,
    *,
    backed_only: bool = False,
) -> tuple[tuple[Grant, ...], Plan]:
    """What to do at the entry, and the grants that are to give access there.

    `backed_only` leaves out those whose access is new and would end with the bot alone.
    """
    live = tuple(
        grant
        for grant in grants.live_of_entry(tx, entry.id)
        if grant.gives_access and lifecycle.overdue(grant, now) is None
    )
    if backed_only:
        live = tuple(
            grant
            for grant in live
            if grant.state is GrantState.ACTIVE or _backed(tx, entry, observed, [grant], now)
        )
    desired = planner.union(grant.access for grant in live)
    return live, planner.plan(
        desired,
        observed,
        entries.get(tx, entry.id, now).record,
        deployment=entry.deployment,
        standing=entry.cluster.standing,
    )


def _backed(
    tx: Connection,
    entry: Entry,
    observed: planner.ObservedEntry | None,
    live: Sequence[Grant],
    now: datetime,
) -> bool:
    """Whether a schedule ends what these grants give if the bot does not.

    Where others have put something on the entry there is none, see bot.core.backstop.
    """
    if entry.cluster.backstop is None:
        return True
    kept = backstops.find(tx, entry.id)
    record = entries.get(tx, entry.id, now).record
    if not backstop.alone(observed, record, entry.deployment):
        return True
    known = kept.known if kept is not None else None
    return all(backstop.covers(known, grant, entry.cluster) for grant in live)


def _settle(
    tx: Connection, entry: Entry, observed: planner.ObservedEntry | None, now: datetime
) -> Plan:
    """Draw the conclusions from what EKS shows after the actions.

    Returns what there is still to do, such as to make anew what was just deleted.
    """
    live, plan = _plan(tx, entry, observed, now)
    desired = {grant.id for grant in live}
    unbacked = {grant.id for grant in live if not _backed(tx, entry, observed, [grant], now)}
    # The grants before the entry, as the use cases have it: their requests' rows are locked first.
    for grant in grants.live_of_entry(tx, entry.id):
        if grant.id in unbacked:
            continue
        if grant.state is GrantState.PROVISIONING and grant in live:
            given = planner.satisfied(grant.access, observed)
            if given and not plan.changes(grant.access) and not plan.blocks(grant.access):
                store_grant(tx, grant, *lifecycle.confirm(grant, now), now)
                _supersede(tx, grant, now)
        # One revoked since it was planned for is still there: the next round takes it away.
        elif (
            grant.state is GrantState.REVOKING
            and grant.id not in desired
            and not plan.removals
            and not plan.unsettled
        ):
            if grant.end_reason is not EndReason.FAILED:
                grant = replace(grant, problem=None)  # noqa: PLW2901 - it is overcome
            store_grant(tx, grant, *lifecycle.end(grant, now), now)
    if not live or observed is not None:
        _void(tx, entry, plan)
    return plan


def _rest(
    tx: Connection,
    entry: Entry,
    troubles: Sequence[_Trouble],
    now: datetime,
    *,
    more: bool = False,
) -> None:
    """Say when to look again, and fail what AWS refuses for good."""
    live = tuple(
        _troubled(tx, grant, troubles, now) for grant in grants.live_of_entry(tx, entry.id)
    )
    unsettled = more or any(
        grant.state in (GrantState.PROVISIONING, GrantState.REVOKING) for grant in live
    )
    attempts = 0
    times = [due for grant in live if (due := lifecycle.due_at(grant)) is not None]
    if unsettled or troubles:
        attempts = entries.attempts(tx, entry.id) + 1
        times.append(now + pause(attempts))
    entries.rest(
        tx,
        entry,
        min(times, default=None),
        attempts=attempts,
        problem=troubles[0].problem.sentence if troubles else None,
        looked_at=now if _looked(troubles) else None,
    )
    backstops.wake(tx, entry.id, now)


def _looked(troubles: Sequence[_Trouble]) -> bool:
    """Whether EKS could be looked at."""
    return all(one.action is not None for one in troubles)


def _backstop_shown(
    tx: Connection, entry: Entry, observed: planner.ObservedEntry | None, now: datetime
) -> None:
    """Store for the backstop, where the entry has one, what EKS shows."""
    if backstops.find(tx, entry.id) is not None:
        record = entries.get(tx, entry.id, now).record
        alone = backstop.alone(observed, record, entry.deployment)
        backstops.seen(tx, entry.id, alone=alone, shown=observed is not None)


def _void(tx: Connection, entry: Entry, plan: Plan) -> None:
    """Forget what was put there and is gone."""
    if plan.reset_record:
        entries.reset(tx, entry.id)
    if plan.reset_record or plan.forget:
        entries.forget_associations(tx, entry.id, plan.forget)


def _goes_on(action: planner.Action, problem: AwsProblem) -> bool:
    """Whether the actions that follow can still be done.

    Where AWS is slow or away, each would wait in vain; and what hangs on the entry needs it.
    """
    whole = isinstance(action, planner.CreateEntry | planner.DeleteEntry)
    return isinstance(problem, PermanentAwsProblem) and not whole


def _troubled(tx: Connection, grant: Grant, troubles: Sequence[_Trouble], now: datetime) -> Grant:
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
            return store_grant(tx, grant, *failed, now)
    waiting = grant.state in (GrantState.PROVISIONING, GrantState.REVOKING)
    keeps_its_reason = grant.end_reason is EndReason.FAILED
    if waiting and not keeps_its_reason and grant.problem != problem.sentence:
        return store_grant(tx, grant, replace(grant, problem=problem.sentence), (), now)
    return grant


def _never_shown(grant: Grant) -> str:
    if grant.ends_at < grant.provision_by:
        return (
            "Its time was over before it could take effect, so nothing more was given. Ask again; "
            "if it stays so, tell whoever runs the bot."
        )
    waited = format_duration(grant.provision_by - (grant.starts_at or grant.created_at))
    if grant.state is GrantState.SCHEDULED:
        return (
            f"It could not be decided anew within {waited} of its start, so it does not begin. "
            "Ask again; if it stays so, tell whoever runs the bot."
        )
    return (
        f"{grant.cluster.name} did not show the access within {waited}, so I take it back. "
        "Ask again; if it stays so, tell whoever runs the bot."
    )


def _supersede(tx: Connection, grant: Grant, now: datetime) -> None:
    """End the grant that a confirmed extension takes over from. EKS keeps what both give."""
    if grant.extends is None:
        return
    before = grants.get(tx, grant.extends)
    if before.state is GrantState.ACTIVE:
        over = lifecycle.revoke(before, now, EndReason.SUPERSEDED, by=lifecycle.BOT)
        store_grant(tx, before, *over, now)


def _obstacle_sentence(entry: Entry, blocked: Blocked) -> str:
    name = entry.cluster.name
    role = entry.principal_arn.rsplit("/", 1)[-1]
    untouched = "I changed nothing of it. The owners of the cluster can add the access there."
    match blocked.obstacle:
        case Obstacle.FOREIGN_ENTRY:
            return (
                f"{name} already has an access entry for `{role}` that somebody else manages. "
                f"{untouched}"
            )
        case Obstacle.WRONG_TYPE:
            return (
                f"{name} has an access entry for `{role}` of type {blocked.detail}, which takes no "
                f"access policies. {untouched}"
            )
        case Obstacle.FOREIGN_ASSOCIATION:
            policy = (blocked.policy_arn or "").rsplit("/", 1)[-1]
            return (
                f"On {name}, `{role}` already has {policy} ({blocked.detail}) from an association "
                f"that somebody else manages. {untouched}"
            )
        case Obstacle.FOREIGN_GROUPS:
            return (
                f"On {name}, the Kubernetes groups of `{role}` are managed by somebody else. "
                f"{untouched}"
            )
