"""The loops that read clusters whole and tell of drift, around the world of access entries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from entry_world import DEPLOYMENT, DOCUMENT, LAB, POLICY, World, role

from bot.core.drift import Kind
from bot.core.errors import PolicyUnavailable
from bot.core.model import Cluster
from bot.core.planner import DEPLOYMENT_TAG, GRANT_TAG
from bot.core.policy import Policy
from bot.reconcile.drift_reports import DriftReporter
from bot.reconcile.drift_scan import DriftScanner
from bot.slack.drift_views import drift_found, standing_digest
from bot.store import announcements, audit, drift
from bot.store.announcements import Said
from bot.store.claims import Claims
from bot.store.drift import Found, Scan

AUDIT, SECURITY = "C0AUDIT", "C0SECURITY"
EVERY = timedelta(minutes=15)
OURS = {DEPLOYMENT_TAG: DEPLOYMENT, GRANT_TAG: "000-000"}
CLUSTER = POLICY.clusters_by_name[LAB]
TOLD = Policy.model_validate({**DOCUMENT, "audit_channel": AUDIT, "security_channel": SECURITY})


class DriftWorld:
    """`policy` None is one that is broken and was never good."""

    def __init__(self, world: World, policy: Policy | None = TOLD) -> None:
        self.world = world
        self.eks = world.eks
        self.database = world.database
        self.clock = world.clock
        self.policy = policy
        self.scanner = self.fresh_scanner()
        self.reporter = self.fresh_reporter()

    def in_force(self) -> Policy:
        if self.policy is None:
            raise PolicyUnavailable("policy_broken", "The policy file has errors.")
        return self.policy

    def fresh_scanner(self, **more: Any) -> DriftScanner:
        """A loop that knows nothing but the store, as after a restart or in another replica."""
        return DriftScanner(
            self.database,
            self.world.clients,
            Claims(self.database),
            self.in_force,
            every=EVERY,
            clock=self.clock,
            **{"calls_per_second": 1e6, **more},
        )

    def fresh_reporter(
        self, found: Callable[[Sequence[Found]], Said] = drift_found
    ) -> DriftReporter:
        return DriftReporter(
            self.database,
            Claims(self.database),
            self.in_force,
            found=found,
            digest=standing_digest,
            clock=self.clock,
        )

    def restart(self) -> None:
        """A second later, another process on the same store."""
        self.clock.advance(1)
        self.world.bot = self.world.fresh_bot()
        self.scanner, self.reporter = self.fresh_scanner(), self.fresh_reporter()

    def scan(self, *names: str) -> None:
        """Read the clusters that are due (of these names, if any), and do what follows."""
        for cluster in self.scanner.due():
            if not names or cluster.name in names:
                self.scanner.scan(cluster)
        self.world.settle()
        self.world.round()

    def next_scan(self, *names: str) -> None:
        self.clock.advance(EVERY)
        self.scan(*names)

    def report(self) -> None:
        for item in self.reporter.due():
            self.reporter.report(item)

    def put(self, who: str, cluster: str = LAB, **more: Any) -> None:
        """Make somebody's entry by hand, or by a bot whose store is lost."""
        self.eks.put_entry(cluster, role(who), **more)

    def state_of(self, cluster: Cluster = CLUSTER) -> Scan:
        with self.database.reading() as tx:
            scan = drift.scan_of(tx, cluster)
        assert scan is not None, "never scanned"
        return scan

    def events(self) -> list[tuple[str, str]]:
        """The drift events, oldest first: kind and the last part of the principal."""
        with self.database.reading() as tx:
            events = reversed(audit.latest(tx, 100_000))
            return [
                (one.action.removeprefix("drift."), one.details["principal"].rpartition("/")[2])
                for one in events
                if one.action.startswith("drift.")
            ]

    def open(self) -> dict[Kind, int]:
        with self.database.reading() as tx:
            return drift.open_by_kind(tx)

    def said(self, channel: str = SECURITY) -> Sequence[str]:
        """What is announced in a channel and not posted, each with the text of its blocks."""
        with self.database.reading() as tx:
            due = announcements.due_in(tx, channel, self.clock(), 1000)
        return [f"{one.text} {list(one.blocks)}" for one in due]
