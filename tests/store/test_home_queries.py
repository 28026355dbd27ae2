"""What Home reads: a person's requests that are over, and how the bot is."""

from __future__ import annotations

from store_examples import (
    ANA,
    BEN,
    HOUR,
    LAB,
    MINUTE,
    NOW,
    ROLE,
    add_grant,
    request,
)

from bot.core.model import EndReason, GrantState, RequestState
from bot.store import announcements, entries, messages, requests
from bot.store.database import Database
from bot.store.health import Health, health

OVER = {
    "state": GrantState.ENDED,
    "confirmed_at": NOW,
    "revoking_since": NOW + HOUR,
    "ended_at": NOW + HOUR,
    "ended_by": "bot",
}


def test_only_what_is_over_is_history_and_the_newest_comes_first(database: Database) -> None:
    with database.transaction() as tx:
        requests.add(tx, request(id="01A-000", level="edit"))
        requests.add(tx, request(id="01A-001", state=RequestState.DENIED))
        requests.add(tx, request(id="01A-002", state=RequestState.CANCELLED))
        requests.add(tx, request(id="01A-003", state=RequestState.LAPSED))
        add_grant(tx, id="01A-004")
        add_grant(tx, id="01A-005", end_reason=EndReason.EXPIRED, **OVER)
        add_grant(tx, id="01A-006", end_reason=EndReason.SUPERSEDED, **OVER)
        add_grant(tx, id="01A-007", end_reason=EndReason.FAILED, **OVER)
        requests.add(tx, request(id="01A-008", requester=BEN, state=RequestState.DENIED))
    with database.reading() as tx:
        found = [one.id for one in requests.finished(tx, ANA, 10)]
        newest = [one.id for one in requests.finished(tx, ANA, 2)]
    assert found == ["01A-007", "01A-005", "01A-003", "01A-002", "01A-001"]
    assert newest == ["01A-007", "01A-005"]


def test_health_counts_what_is_not_as_it_should_be(database: Database) -> None:
    with database.transaction() as tx:
        requests.add(tx, request(id="01A-000", level="edit"))
        entry_id = add_grant(tx, id="01A-001", state=GrantState.REVOKING, revoking_since=NOW)
    with database.reading() as tx:
        assert health(tx, NOW + MINUTE) == Health(1, 1, 0, 0, 0)
        assert health(tx, NOW + HOUR) == Health(1, 1, 1, 0, 0)
        entry = entries.get(tx, entry_id, NOW)
    assert (entry.cluster, entry.principal_arn) == (LAB, ROLE)
    with database.transaction() as tx:
        entries.rest(tx, entry, NOW + HOUR, attempts=1, problem="EKS answers 500.")
        messages.rest(tx, messages.backlog(tx, "01A-000"), NOW + HOUR, attempts=1, now=NOW)
    with database.transaction() as tx:
        assert health(tx, NOW + MINUTE) == Health(1, 1, 0, 1, 1)
        for key in ("taken", "waits", "given up"):
            announcements.announce(tx, key=key, channel="C0AUDIT", text=key, blocks=[], now=NOW)
        _, waits, given_up = announcements.due_in(tx, "C0AUDIT", NOW, 10)
        announcements.failed(tx, waits.id, "is_archived", NOW + MINUTE, NOW)
        announcements.failed(tx, given_up.id, "is_archived", None, NOW)
        assert health(tx, NOW + MINUTE) == Health(1, 1, 0, 1, 1, unposted=1)
