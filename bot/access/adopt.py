"""Take over the access entries that were made from another store, because that one is lost."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection

from bot.core.model import AuditEvent
from bot.store import audit, drift, entries, stores


def adopt(
    tx: Connection,
    deployment: str,
    identities: Collection[str],
    number: int,
    *,
    by: str,
    now: datetime,
    why: str = "",
) -> None:
    """From now on the deployment's entries of these stores are this one's; "": those of none.

    The loops look at all of it now, and remove what the store does not know. `number` is how many
    entries were found, for the record.
    """
    stores.adopt(tx, deployment, identities)
    entries.wake_in_use(tx, now)
    drift.scan_now(tx, now)
    details = {"deployment": deployment, "stores": sorted(identities), "entries": number}
    if why:
        details["reason"] = why
    audit.record(tx, [AuditEvent(now, by, "store.adopted", details=details)])
