"""Read each cluster whole, now and then: find what the store does not know of.

ListAccessEntries names principals alone, 100 a page, and only DescribeAccessEntry shows a tag. So
entries that the store knows are left to the access loop, which looks at each anyway, and the others
are described once; those of others are remembered for about a day. Nothing is changed from here: an
entry with this deployment's tag that the store does not know gets a row, and the access loop
removes it under its own rules, or tells that it was made from another store. So does a schedule of
this store's, for the loop of backstops.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from bot.aws import access_entries, scheduler
from bot.aws.clients import EksClients
from bot.core import backstop
from bot.core.errors import AwsProblem, PolicyUnavailable, StoreUnavailable, TemporaryAwsProblem
from bot.core.model import BackstopTerms, Cluster
from bot.core.planner import (
    DEPLOYMENT_TAG,
    STANDARD,
    Owner,
    bears_our_tags,
    of_another_store,
)
from bot.core.policy import Policy
from bot.reconcile.backoff import pause, worth_telling
from bot.reconcile.pace import Pace, Stopped
from bot.reconcile.standing import Foreign, summary
from bot.store import backstops, drift, entries, stores
from bot.store.claims import ClaimLost, Claims, StillHeld
from bot.store.database import Database

if TYPE_CHECKING:
    from mypy_boto3_eks.client import EKSClient

log = structlog.get_logger(__name__)

CALLS_PER_SECOND = 10.0
"""How fast one cluster is read. What EKS allows is unpublished; the access loop goes first. [?]"""

_CALLS_A_LOOK = 2
_FIRST_PAUSE = 4
_PROGRESS_EVERY = 500


@dataclass(frozen=True, slots=True)
class _Reading:
    """One scan of one cluster."""

    cluster: Cluster
    client: EKSClient
    pace: Pace
    still_held: StillHeld

    def each(self, arns: Sequence[str], done: str) -> Iterator[str]:
        """The ARNs, no faster than the pace. Raises Stopped, and ClaimLost."""
        for number, arn in enumerate(arns):
            if number and number % _PROGRESS_EVERY == 0:
                if not self.still_held():
                    raise ClaimLost
                log.info(
                    "reading a cluster",
                    cluster=self.cluster.name,
                    done=done,
                    number=number,
                    of=len(arns),
                )
            self.pace.take()
            yield arn


class DriftScanner:
    """The loop that reads clusters whole. Safe to call from several threads.

    `every` is the time between two scans of a cluster; the first comes at the start of the bot.
    """

    def __init__(
        self,
        database: Database,
        clients: EksClients,
        claims: Claims,
        policy: Callable[[], Policy],
        *,
        every: timedelta,
        clock: Callable[[], datetime],
        calls_per_second: float = CALLS_PER_SECOND,
    ) -> None:
        self._database = database
        self._clients = clients
        self._claims = claims
        self._policy = policy
        self._every = every
        self._clock = clock
        self._calls_per_second = calls_per_second
        self._started_at = clock()
        self._stopping = threading.Event()
        # By cluster and principal; only who holds the claim on a cluster uses its part.
        self._foreign: dict[tuple[str, str, str], dict[str, Foreign]] = {}

    def forget(self) -> None:
        """Read every cluster anew: the store went back to an earlier state."""
        self._foreign = {}
        self._started_at = self._clock() + timedelta.resolution

    def due(self) -> list[Cluster]:
        """The clusters to read now."""
        now = self._clock()
        # A clock that was ahead at the start must not make every scan since then look older.
        self._started_at = min(self._started_at, now)
        with self._database.reading() as tx:
            used = entries.clusters_in_use(tx)
            scans = {(one.account, one.region, one.cluster): one for one in drift.scans(tx)}
        policy = self._policy_or_none()
        named = policy.clusters_by_name.values() if policy is not None else ()
        # How the policy reaches a cluster goes before how an entry did.
        every = {one.key: one for one in (*used, *named)}
        return [one for key, one in every.items() if self._is_due(scans.get(key), now)]

    def scan(self, cluster: Cluster) -> None:
        """Read one cluster whole, unless another worker is at it or was a moment ago."""
        with self._claims.claim(f"drift:{'/'.join(cluster.key)}") as still_held:
            if still_held is None:
                return
            with self._database.reading() as tx:
                before = drift.scan_of(tx, cluster)
            if not self._is_due(before, self._clock()):
                return
            try:
                self._read(cluster, still_held)
            except Stopped:
                log.info("the scan of a cluster is left for the next start", cluster=cluster.name)
            except ClaimLost:
                log.warning("claim lost, left to the next scan", cluster=cluster.name)
            except AwsProblem as problem:
                self._put_off(cluster, problem, before.attempts + 1 if before else 1)
            except StoreUnavailable:
                raise  # nothing can be stored: the loop tells it
            except Exception as error:
                attempts = before.attempts + 1 if before else 1
                if worth_telling(attempts):
                    log.exception("unexpected error while reading a cluster", cluster=cluster.name)
                fault = TemporaryAwsProblem(
                    "internal_error",
                    "The bot met an unexpected error as it read the cluster, which its log tells. "
                    "It tries again by itself.",
                )
                fault.__cause__ = error
                self._put_off(cluster, fault, attempts)

    def close(self) -> None:
        """Let scans that are under way end soon."""
        self._stopping.set()

    def _is_due(self, scan: drift.Scan | None, now: datetime) -> bool:
        if scan is None or scan.due_at <= now or scan.due_at > now + self._every:
            return True
        return scan.attempts == 0 and (scan.scanned_at or now) < self._started_at

    def _read(self, cluster: Cluster, still_held: StillHeld) -> None:
        pace = Pace(self._calls_per_second, self._stopping)
        at = _Reading(cluster, self._clients.for_cluster(cluster), pace, still_held)
        there = access_entries.principals(at.client, cluster)
        with self._database.reading() as tx:
            known = entries.known_at(tx, cluster)
        policy = self._policy_or_none()
        named = policy.clusters_by_name.get(cluster.name) if policy is not None else None
        for one in known:
            pace.take(_CALLS_A_LOOK)
            with self._database.transaction() as tx:
                entries.look(tx, one.id, self._clock())
                if named is not None and named.key == cluster.key:
                    entries.set_backstop(tx, one.id, named.backstop, self._clock())
        others = set(there) - {one.principal_arn for one in known}
        foreign = self._foreign.setdefault(cluster.key, {})
        for arn in foreign.keys() - others:
            del foreign[arn]
        self._describe(at, sorted(others), foreign)
        self._complete(at, foreign)
        now = self._clock()
        with self._database.transaction() as tx:
            standing = summary(foreign.values())
            drift.scanned(tx, cluster, standing, now=now, due_at=now + self._every)
        log.info(
            "read a cluster whole",
            cluster=cluster.name,
            account=cluster.account,
            entries=len(there),
            known=len(known),
        )
        if policy is not None and cluster.backstop is not None:
            self._adopt(at, cluster.backstop, policy.deployment)

    def _adopt(self, at: _Reading, terms: BackstopTerms, deployment: str) -> None:
        """Have schedules of this store's looked at that it does not know of."""
        cluster = at.cluster
        try:
            client = self._clients.scheduler_for(cluster)
            beginning = backstop.prefix(deployment, cluster.name)
            there = scheduler.names(client, cluster, terms.group, beginning)
            with self._database.reading() as tx:  # after the list: each is stored before it is made
                known = backstops.names_at(tx, *cluster.key)
                owner = stores.owner(tx, deployment)
            for name in at.each(sorted(set(there) - known), "schedules read"):
                shown = scheduler.observe(client, cluster, terms.group, name)
                if shown is None or not backstop.is_named(
                    name, owner, cluster.name, shown.principal_arn
                ):
                    continue  # another store's, or somebody else's by another way of naming
                with self._database.transaction() as tx:
                    arn, now = shown.principal_arn, self._clock()
                    entry_id = entries.wish(tx, cluster, arn, deployment=deployment, now=now)
                    backstops.adopt(tx, entry_id, shown)
        except AwsProblem as problem:
            log.warning(
                "the schedules of a cluster cannot be read",
                cluster=cluster.name,
                account=cluster.account,
                code=problem.code,
                problem=problem.sentence,
            )

    def _describe(self, at: _Reading, others: Iterable[str], foreign: dict[str, Foreign]) -> None:
        """Describe what was not seen lately, and have what is ours and unknown looked at."""
        owner, now = self._owner(), self._clock()
        unseen = [arn for arn in others if arn not in foreign or foreign[arn].stale(now)]
        for arn in at.each(unseen, "described"):
            described = access_entries.describe(at.client, at.cluster, arn)
            foreign.pop(arn, None)
            if described is None:
                continue
            seen = described.with_policies({})
            if owner is not None and (bears_our_tags(seen, owner) or of_another_store(seen, owner)):
                with self._database.transaction() as tx:
                    deployment, now = owner.deployment, self._clock()
                    entries.wish(tx, at.cluster, arn, deployment=deployment, now=now)
            else:
                if owner is not None and seen.tags.get(DEPLOYMENT_TAG) == owner.deployment:
                    log.warning(
                        "an entry has this deployment's tag and none of a grant: left alone",
                        cluster=at.cluster.name,
                        account=at.cluster.account,
                        principal=arn,
                    )
                foreign[arn] = Foreign(arn, described, None, self._clock())

    def _complete(self, at: _Reading, foreign: dict[str, Foreign]) -> None:
        """Read the policies of others' entries, for the digest. Nodes' entries take none."""
        unread = [
            arn
            for arn, one in foreign.items()
            if one.policies is None and one.described.type == STANDARD
        ]
        for arn in at.each(unread, "policies read"):
            policies = access_entries.policies_of(at.client, at.cluster, arn)
            if policies is None:
                del foreign[arn]
            else:
                foreign[arn] = replace(foreign[arn], policies=policies)

    def _put_off(self, cluster: Cluster, problem: AwsProblem, attempts: int) -> None:
        """Try again: soon where AWS is only busy, at the next time where nothing will change."""
        wait = self._every
        if isinstance(problem, TemporaryAwsProblem):
            wait = min(wait, pause(attempts + _FIRST_PAUSE, problem.after))
        with self._database.transaction() as tx:
            drift.not_scanned(
                tx,
                cluster,
                problem.sentence,
                attempts=attempts,
                due_at=self._clock() + wait,
            )
        log.warning(
            "a cluster cannot be read whole",
            cluster=cluster.name,
            account=cluster.account,
            code=problem.code,
            problem=problem.sentence,
            cause=str(problem.__cause__),
            attempts=attempts,
        )

    def _owner(self) -> Owner | None:
        """By which tags this deployment's entries are known; None without a policy."""
        policy = self._policy_or_none()
        if policy is None:
            return None
        with self._database.reading() as tx:
            return stores.owner(tx, policy.deployment)

    def _policy_or_none(self) -> Policy | None:
        try:
            return self._policy()
        except PolicyUnavailable:
            return None
