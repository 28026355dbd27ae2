"""How fast `audit verify` is over a million events: `make bench-audit`. Measured, never asserted.

It makes a database of that many events, sealed as the bot seals them, and verifies it with the
code that the command runs: SQLite in a temporary folder, or with a URL as the argument an empty
PostgreSQL. `EVENTS=100000` makes fewer. Beside the time stands the processors' own, which other
load on the machine changes less.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert

from bot.core.audit_chain import EMPTY, seal
from bot.store import audit_seals, migrate
from bot.store.audit_verify import verify
from bot.store.database import Database
from bot.store.tables import audit_events

EVENTS = 1_000_000
BATCH = 10_000
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
ARN = "arn:aws:iam::111122223333:role/eks-jit/ana"
DETAILS = (
    (
        "request.submitted",
        {
            "level": "edit",
            "namespaces": ["payments", "payments-api"],
            "duration_seconds": 7200,
            "reason": "Clearing a stuck settlement job",
            "ticket": "PAY-1423",
            "principal": ARN,
            "rules": ["payments"],
        },
    ),
    ("request.reviewed", {"verdict": "approve", "reason": None, "rules": ["payments"]}),
    (
        "request.approved",
        {"approvers": ["U02BEN"], "rules": ["payments"], "policy_digest": "0123456789abcdef"},
    ),
    (
        "grant.confirmed",
        {"ends_at": "2026-01-01T02:00:00+00:00", "lag_seconds": 0.412, "principal": ARN},
    ),
    ("grant.revoking", {"reason": "expired", "principal": ARN}),
    ("grant.ended", {"reason": "expired", "lag_seconds": 0.731, "principal": ARN}),
)


def main() -> None:
    """Fill and verify a SQLite file, or the PostgreSQL that is named as the first argument."""
    count = int(os.environ.get("EVENTS", EVENTS))
    with tempfile.TemporaryDirectory(prefix="eks-access-bench-") as folder:
        file = Path(folder, "bench.db")
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{file}"
        with closing(Database(url)) as database:
            migrate.upgrade(database)
            with _timed(f"{database.engine.dialect.name}: {count:,} events made and sealed"):
                _fill(database, count)
            if file.exists():
                sys.stdout.write(f"{file.stat().st_size / 1e6:.0f} MB\n")
            for workers in (1, os.cpu_count() or 1):
                with _timed(f"verified by {workers} process(es)"):
                    report = verify(database, workers=workers)
                if report.findings or report.events != count or report.waiting:
                    raise RuntimeError(f"not a good chain: {report}")
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            sys.stdout.write(f"peak memory of the first process: {peak:.0f} MB\n")


@contextmanager
def _timed(what: str) -> Iterator[None]:
    begun, before = time.perf_counter(), os.times()
    yield
    took, after = time.perf_counter() - begun, os.times()
    used = sum(after[:4]) - sum(before[:4])
    sys.stdout.write(f"{what}: {took:.1f} s ({used:.1f} s of processor)\n")
    sys.stdout.flush()


def _fill(database: Database, count: int) -> None:
    head = EMPTY
    for first in range(1, count + 1, BATCH):
        events = list(_events(first, min(first + BATCH, count + 1)))
        with database.transaction() as tx:
            tx.execute(insert(audit_events), events)
            stored = audit_seals.to_seal(tx, after=0, limit=BATCH)
            seals = seal(head, stored, BEGIN + timedelta(seconds=first + BATCH))
            audit_seals.append(tx, seals)
        head = audit_seals.Head(seals[-1].position, seals[-1].hash)


def _events(first: int, end: int) -> Iterator[dict[str, object]]:
    for number in range(first, end):
        action, details = DETAILS[number % len(DETAILS)]
        yield {
            "at": BEGIN + timedelta(seconds=number),
            "actor": "U01ANA",
            "action": action,
            "request_id": "7K3-QMX",
            "cluster": "prod-eu",
            "details": details,
        }


if __name__ == "__main__":
    main()
