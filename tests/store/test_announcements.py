"""The outbox of messages that belong to no request."""

from __future__ import annotations

from threading import Barrier, Thread
from typing import Any

import pytest
from store_examples import HOUR, MINUTE, NOW, SECOND

from bot.store import announcements
from bot.store.database import Database

AUDIT, SECURITY = "C0AUDIT", "C0SECURITY"
BLOCKS: list[dict[str, Any]] = [
    {"type": "section", "block_id": "one", "text": {"type": "mrkdwn", "text": "It is locked."}}
]


def announce(tx, key="lockdown:1", channel=AUDIT, *, now=NOW):
    return announcements.announce(
        tx, key=key, channel=channel, text="It is locked.", blocks=BLOCKS, now=now
    )


def keys(database, channel=AUDIT, *, now=NOW):
    with database.reading() as tx:
        return [one.key for one in announcements.due_in(tx, channel, now, 10)]


def test_an_announcement_is_due_at_once_with_all_that_it_says(database: Database) -> None:
    with database.transaction() as tx:
        assert announce(tx)
    with database.reading() as tx:
        assert announcements.channels_due(tx, NOW - SECOND) == []
        assert announcements.channels_due(tx, NOW) == [AUDIT]
        [one] = announcements.due_in(tx, AUDIT, NOW, 10)
    assert (one.key, one.channel, one.text) == ("lockdown:1", AUDIT, "It is locked.")
    assert list(one.blocks) == BLOCKS
    assert (one.created_at, one.attempts, one.posted_ts, one.problem) == (NOW, 0, None, None)


def test_the_same_key_is_announced_once_in_a_channel_also_after_it_was_posted(
    database: Database,
) -> None:
    with database.transaction() as tx:
        assert announce(tx)
        assert not announce(tx)
        assert announce(tx, channel=SECURITY)
        [one] = announcements.due_in(tx, AUDIT, NOW, 10)
        announcements.posted(tx, one.id, AUDIT, "1.000100")
    with database.transaction() as tx:
        assert not announce(tx, now=NOW + HOUR)
        assert announcements.channels_due(tx, NOW + HOUR) == [SECURITY]


def test_what_is_rolled_back_was_never_announced(database: Database) -> None:
    def fail() -> None:
        with database.transaction() as tx:
            announce(tx)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert keys(database) == []
    with database.transaction() as tx:
        assert announce(tx)


def test_of_several_that_announce_the_same_at_once_one_does_and_none_fails(
    database: Database,
) -> None:
    start = Barrier(4)
    said: list[bool] = []

    def replica() -> None:
        start.wait(10)
        with database.transaction() as tx:
            said.append(announce(tx))

    threads = [Thread(target=replica) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(10)
    assert sorted(said) == [False, False, False, True]
    assert keys(database) == ["lockdown:1"]


def test_a_channel_takes_them_in_order_and_a_new_one_waits_behind_what_waits(
    database: Database,
) -> None:
    with database.transaction() as tx:
        announce(tx, "a")
        announce(tx, "b")
        announce(tx, "c", SECURITY)
        announcements.put_off(tx, AUDIT, NOW + MINUTE, NOW)
        announce(tx, "d")
    assert keys(database) == []
    assert keys(database, SECURITY) == ["c"]
    assert keys(database, now=NOW + MINUTE) == ["a", "b", "d"]


def test_a_wait_that_slack_asked_for_is_kept_and_one_of_a_clock_that_was_ahead_is_not(
    database: Database,
) -> None:
    with database.transaction() as tx:
        assert announce(tx)
        announcements.put_off(tx, AUDIT, NOW + HOUR, NOW)
        assert announce(tx, "lockdown:2", now=NOW + MINUTE)
        assert announcements.channels_due(tx, NOW + HOUR - MINUTE) == []
        ahead = NOW + HOUR
        announcements.put_off(tx, AUDIT, ahead + HOUR, ahead)
        assert announcements.channels_due(tx, NOW) == [AUDIT]


def test_one_that_failed_is_tried_again_or_never(database: Database) -> None:
    with database.transaction() as tx:
        announce(tx, "a")
        announce(tx, "b")
        first, second = announcements.due_in(tx, AUDIT, NOW, 10)
        announcements.failed(tx, first.id, "is_archived", NOW + MINUTE, NOW)
        announcements.failed(tx, second.id, "is_archived", None, NOW)
        assert announcements.due_in(tx, AUDIT, NOW, 10) == []
        [again] = announcements.due_in(tx, AUDIT, NOW + 1000 * HOUR, 10)
    assert (again.key, again.attempts, again.problem) == ("a", 1, "is_archived")


def test_the_newest_is_found_by_how_its_key_begins_and_a_percent_sign_is_a_letter(
    database: Database,
) -> None:
    with database.transaction() as tx:
        for key in ("policy.refused:1", "policy.refused:2", "policy.restored:1"):
            announce(tx, key)
        found = announcements.newest(tx, "policy.refused:")
        assert found is not None
        assert found.key == "policy.refused:2"
        assert announcements.newest(tx, "p%") is None
