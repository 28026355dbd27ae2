"""How fast `audit verify` is over a million events: `make bench-audit`. Measured, never asserted.

It makes a database of that many events in a temporary folder (about 800 MB), with the digests and
hashes that the bot would have made, and verifies it by the code that the command runs.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
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
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{Path(folder, 'bench.db')}"
        with closing(Database(url)) as database:
            migrate.upgrade(database)
            begun = time.perf_counter()
            _fill(database, count)
            _say(f"{database.engine.dialect.name}: {count:,} events made", begun)
            for workers in (1, os.cpu_count() or 1):
                begun = time.perf_counter()
                report = verify(database, workers=workers)
                if report.findings or report.events != count or report.waiting:
                    raise RuntimeError(f"not a good chain: {report}")
                _say(f"verified with {workers} process(es)", begun)


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


def _say(what: str, begun: float) -> None:
    sys.stdout.write(f"{what}: {time.perf_counter() - begun:.1f} s\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
