"""What Prometheus reads: grants by state, what is late, whether the loops and the store work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import bot
from bot.core.drift import Kind
from bot.core.errors import StoreUnavailable
from bot.core.removal import late
from bot.jobs import Loop
from bot.slack.connection import SocketModeConnection
from bot.store import audit_seals, backstops, drift, grants
from bot.store.watch import StoreWatch


def build_registry(
    store: StoreWatch,
    loops: Sequence[Loop],
    clock: Callable[[], datetime],
    connection: SocketModeConnection | None = None,
    *,
    counted: Callable[[], tuple[int, int]] = lambda: (0, 0),
) -> CollectorRegistry:
    """A registry of its own, so that two bots in one process do not share figures.

    `counted` is how often the store went back, and how many rows were found that nothing looked at.
    """
    registry = CollectorRegistry()
    registry.register(_BotCollector(store, loops, clock, counted))
    if connection is not None:
        registry.register(_SocketModeCollector(connection))
    return registry


class _SocketModeCollector(Collector):
    def __init__(self, connection: SocketModeConnection) -> None:
        self._connection = connection

    def collect(self) -> Iterator[Metric]:
        problem = self._connection.problem
        connected = GaugeMetricFamily(
            "eks_access_slack_connected",
            "Whether Slack greeted the Socket Mode connection and answers its pings.",
        )
        connected.add_metric([], problem is None)
        yield connected
        why = GaugeMetricFamily(
            "eks_access_slack_connection_problem",
            "Why there is no Socket Mode connection, as Slack's code.",
            labels=["reason"],
        )
        if problem is not None:
            why.add_metric([problem], 1)
        yield why
        payloads = GaugeMetricFamily(
            "eks_access_slack_last_payload_timestamp_seconds",
            "When this replica last got a payload over Socket Mode, by kind.",
            labels=["kind"],
        )
        for kind, at in sorted(self._connection.last_payloads.items()):
            payloads.add_metric([kind], at.timestamp())
        yield payloads


class _BotCollector(Collector):
    def __init__(
        self,
        store: StoreWatch,
        loops: Sequence[Loop],
        clock: Callable[[], datetime],
        counted: Callable[[], tuple[int, int]],
    ) -> None:
        self._counted = counted
        self._store = store
        self._loops = loops
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("eks_access_info", "The running version.", labels=["version"])
        info.add_metric([bot.__version__], 1)
        yield info
        yield from self._loop_health()
        went_back, made_due = self._counted()
        yield CounterMetricFamily(
            "eks_access_store_went_back",
            "How often the store was found to have gone back to an earlier state.",
            went_back,
        )
        yield CounterMetricFamily(
            "eks_access_rows_made_due",
            "Rows that were live and that nothing would have looked at again.",
            made_due,
        )
        # The late removals are told of whatever the store answers; the rest only if it does.
        answers = self._store.look()
        up = GaugeMetricFamily("eks_access_store_up", "Whether the store answers and takes writes.")
        up.add_metric([], answers.writes)
        yield up
        if self._store.live is not None:
            overdue = GaugeMetricFamily(
                "eks_access_late_removals",
                "Grants past their end that are not confirmed to be gone, as last known.",
            )
            now = self._clock()
            overdue.add_metric([], sum(late(one, now) for one in self._store.live))
            yield overdue
        if answers.reads:
            yield from self._stored()

    def _loop_health(self) -> Iterator[Metric]:
        looked = GaugeMetricFamily(
            "eks_access_loop_last_look_timestamp_seconds",
            "When a loop last learned from the store what is due.",
            labels=["loop"],
        )
        done = GaugeMetricFamily(
            "eks_access_loop_last_success_timestamp_seconds",
            "When a loop last finished a piece of its work.",
            labels=["loop"],
        )
        failing = GaugeMetricFamily(
            "eks_access_loop_failing", "Whether the work of a loop fails.", labels=["loop"]
        )
        items = GaugeMetricFamily(
            "eks_access_loop_failing_items",
            "Items whose work failed when it was last tried. It is tried again.",
            labels=["loop"],
        )
        slow = GaugeMetricFamily(
            "eks_access_loop_slow_items",
            "Items that a worker has been at for longer than a minute.",
            labels=["loop"],
        )
        for loop in self._loops:
            health = loop.health
            if health.last_look is not None:
                looked.add_metric([loop.name], health.last_look.timestamp())
            if health.last_success is not None:
                done.add_metric([loop.name], health.last_success.timestamp())
            failing.add_metric([loop.name], health.failing_since is not None)
            items.add_metric([loop.name], loop.failing)
            slow.add_metric([loop.name], loop.slow)
        yield from (looked, done, failing, items, slow)

    def _stored(self) -> Iterator[Metric]:
        try:
            with self._store.database.reading() as tx:
                live = grants.live(tx)
                differing = drift.open_by_kind(tx)
                scans = drift.scans(tx)
                unsealed = audit_seals.waiting(tx)
                unbacked = backstops.in_trouble(tx)
        except StoreUnavailable:
            return
        states = GaugeMetricFamily("eks_access_grants", "Live grants by state.", labels=["state"])
        for state in sorted(grants.LIVE):
            states.add_metric([state.value.lower()], sum(one.state is state for one in live))
        yield states
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
