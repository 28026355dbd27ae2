"""Read a cluster whole that is as full as EKS allows: `python -m bench.drift`.

3,000 entries of others and one that the bot made and forgot, over HTTP, without the pause that a
real scan makes between two calls. What a real one takes is the number of calls by that pace.
"""

from __future__ import annotations

import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.aws.clients import EksClients
from bot.core.planner import DEPLOYMENT_TAG, GRANT_TAG, STORE_TAG
from bot.core.policy import Policy
from bot.logs import configure_logs
from bot.reconcile.access import AccessReconciler
from bot.reconcile.drift_scan import CALLS_PER_SECOND, DriftScanner
from bot.sandbox.eks import EksStandIn
from bot.sandbox.hand_clock import HandClock
from bot.sandbox.stage import LAB_ACCOUNT, set_environment
from bot.store import migrate, stores
from bot.store.claims import Claims
from bot.store.database import Database

ENTRIES = 3000
EVERY = timedelta(minutes=15)
POLICY = Policy.model_validate(
    {
        "deployment": "bench",
        "clusters": [{"name": "full", "region": "eu-west-1", "account": LAB_ACCOUNT}],
        "levels": {"view": {"policy": "AmazonEKSViewPolicy"}},
        "principals": {"users": {"U01ANA": "arn:aws:iam::{account}:role/ana"}},
        "rules": [],
    }
)


def main() -> None:
    """Scan twice and print seconds and calls of each."""
    configure_logs("ERROR")
    clock = HandClock()
    with TemporaryDirectory() as folder, EksStandIn(account=LAB_ACCOUNT) as eks:
        restore = set_environment(eks.environment(LAB_ACCOUNT))
        eks.create_cluster("full")
        for number in range(ENTRIES - 1):
            policies = {"AmazonEKSViewPolicy": ["a"]} if number % 2 else {}
            eks.put_entry("full", f"arn:aws:iam::{LAB_ACCOUNT}:role/{number}", policies=policies)
        orphan = f"arn:aws:iam::{LAB_ACCOUNT}:role/zed"
        with closing(Database(f"sqlite:///{Path(folder) / 'bench.db'}")) as database:
            migrate.upgrade(database)
            with database.transaction() as tx:
                stores.ensure_identity(tx)
                store = stores.owner(tx, "bench").store
            tags = {DEPLOYMENT_TAG: "bench", GRANT_TAG: "000-000", STORE_TAG: store}
            eks.put_entry("full", orphan, tags=tags, policies={"AmazonEKSViewPolicy": []})
            clients, claims = EksClients(), Claims(database)
            access = AccessReconciler(database, clients, claims, clock=clock)
            scanner = DriftScanner(
                database,
                clients,
                claims,
                lambda: POLICY,
                every=EVERY,
                clock=clock,
                calls_per_second=1e9,
            )
            for name in ("first scan", "second scan"):
                _measure(name, scanner, eks)
                for entry_id in access.due():
                    access.reconcile(entry_id)
                clock.advance(EVERY)
            print(f"{'the forgotten entry is there':30}{eks.entry('full', orphan) is not None}")  # noqa: T201 - what a script prints
        restore()


def _measure(name: str, scanner: DriftScanner, eks: EksStandIn) -> None:
    before, begun = len(eks.calls), time.perf_counter()
    for cluster in scanner.due():
        scanner.scan(cluster)
    calls, seconds = len(eks.calls) - before, time.perf_counter() - begun
    paced = timedelta(seconds=round(calls / CALLS_PER_SECOND))
    print(f"{name:30}{seconds:8.1f} s{calls:8,} calls; {paced} at the pace of a real scan")  # noqa: T201 - the same


if __name__ == "__main__":
    main()
