"""What Prometheus reads: grants by state, removals that are late, and whether the loops look."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import bot
from bot.core.drift import Kind
from bot.core.errors import StoreUnavailable
from bot.core.removal import late
from bot.jobs import Loop
from bot.store import audit_seals, backstops, drift, grants
from bot.store.database import Database


def build_registry(
    database: Database, loops: Sequence[Loop], clock: Callable[[], datetime]
) -> CollectorRegistry:
    """A registry of its own, so that two bots in one process do not share figures."""
    registry = CollectorRegistry()
    registry.register(_BotCollector(database, loops, clock))
    return registry


class _BotCollector(Collector):
    def __init__(
        self, database: Database, loops: Sequence[Loop], clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._loops = loops
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("eks_access_info", "The running version.", labels=["version"])
        info.add_metric([bot.__version__], 1)
        yield info
        yield from self._grants()
        looked = GaugeMetricFamily(
            "eks_access_loop_last_look_timestamp_seconds",
            "When a loop last asked the store what is due.",
            labels=["loop"],
        )
        for loop in self._loops:
            if loop.last_look is not None:
                looked.add_metric([loop.name], loop.last_look.timestamp())
        yield looked

    def _grants(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("eks_access_store_up", "Whether the store answers.")
        try:
            with self._database.reading() as tx:
                live = grants.live(tx)
                differing = drift.open_by_kind(tx)
                scans = drift.scans(tx)
                unsealed = audit_seals.waiting(tx)
                unbacked = backstops.in_trouble(tx)
        except StoreUnavailable:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        states = GaugeMetricFamily("eks_access_grants", "Live grants by state.", labels=["state"])
        for state in sorted(grants.LIVE):
            states.add_metric([state.value.lower()], sum(one.state is state for one in live))
        yield states
        now = self._clock()
        overdue = GaugeMetricFamily(
            "eks_access_late_removals", "Grants past their end that EKS still may honour."
        )
        overdue.add_metric([], sum(late(one, now) for one in live))
        yield overdue
        waiting = GaugeMetricFamily(
            "eks_access_unsealed_audit_events", "Audit events that wait for their seal."
        )
        waiting.add_metric([], unsealed)
        yield waiting
        backstop = GaugeMetricFamily(
            "eks_access_backstop_problems",
            "Entries whose backstop cannot be made, moved or removed.",
        )
        backstop.add_metric([], unbacked)
        yield backstop
        findings = GaugeMetricFamily(
            "eks_access_drift_findings",
            "Access entries that others changed and that still differ, by kind.",
            labels=["kind"],
        )
        for kind in Kind:
            findings.add_metric([kind.value], differing.get(kind, 0))
        yield findings
        scanned = GaugeMetricFamily(
            "eks_access_drift_last_scan_timestamp_seconds",
            "When a cluster was last read whole.",
            labels=["cluster", "account", "region"],
        )
        for one in scans:
            if one.scanned_at is not None:
                place = [one.cluster, one.account, one.region]
                scanned.add_metric(place, one.scanned_at.timestamp())
        yield scanned
