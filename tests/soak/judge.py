"""What has to be so after a soak, from EKS's own record of calls, the store's rows and Slack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from bot.sandbox.eks_faults import Call
from bot.sandbox.slack_server import SlackWorkspace
from bot.store.audit_verify import verify
from bot.store.database import Database
from tests.soak.bots import BotProcess
from tests.soak.events import Struck
from tests.soak.load import CLUSTER, Load

LATE_SECONDS = 30.0
"""How long access may outlive its end, while there is a store that can be written."""

RETURN_SECONDS = 10.0
"""How long after the store's return the bot has to be at work again."""

RED_SECONDS = 30.0
ANSWER_SECONDS = 10.0
TOLD_LATE_SECONDS = 150.0
"""Access that outlives its end by two minutes is told; a little later it has to be in a channel."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Removal:
    """A grant's end, and when EKS took its entry away (`time.time`; None: never)."""

    id: str
    to_end: float
    gone: float | None


def rows(url: str, statement: str) -> list[Row]:
    """What the primary answers, whatever the bots are led to."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return list(connection.execute(statement.encode()))


def removals(url: str, calls: Iterable[Call]) -> list[Removal]:
    """Each grant that was given."""
    gone: dict[str | None, float] = {}
    for call in calls:
        if call.operation == "DeleteAccessEntry" and call.status == 200:
            gone[call.principal] = call.at.timestamp()
    given = rows(
        url, "SELECT id, principal_arn, ends_at FROM grants WHERE confirmed_at IS NOT NULL"
    )
    return [
        Removal(str(row["id"]), row["ends_at"].timestamp(), gone.get(row["principal_arn"]))
        for row in given
    ]


def overdue(removal: Removal, struck: Sequence[Struck], now: float) -> float:
    """For how many seconds it outlived its end while there was a store."""
    gone = removal.gone if removal.gone is not None else now
    seconds = gone - removal.to_end
    for one in struck:
        if one.event.store_away:
            since = max(one.since, removal.to_end)
            until = min(one.until + RETURN_SECONDS, gone)
            seconds -= max(until - since, 0)
    return seconds


def late(found: Sequence[Removal], struck: Sequence[Struck], now: float) -> list[str]:
    """Access that outlived its end for too long."""
    return [
        f"{one.id} outlived its end by {seconds:.0f} s with a store"
        for one in found
        if (seconds := overdue(one, struck, now)) > LATE_SECONDS
    ]


def lost(url: str, load: Load, left: Sequence[str]) -> list[str]:
    """What was taken and did not come to an end."""
    known = {str(row["requester"]) for row in rows(url, "SELECT requester FROM requests")}
    refused = {
        str(row["actor"])
        for row in rows(url, "SELECT actor FROM audit_events WHERE action LIKE 'request.%'")
    }
    wrong = [
        f"{one} was taken and left no trace" for one in load.taken if one not in known | refused
    ]
    queries = {
        "a live grant": "SELECT id FROM grants WHERE state <> 'ENDED'",
        "an item": "SELECT id FROM inbox WHERE state <> 'DONE'",
        "a message": "SELECT id FROM requests WHERE messages_due_at IS NOT NULL",
        "an announcement": "SELECT id FROM announcements WHERE due_at IS NOT NULL",
        "an event without a seal": "SELECT * FROM audit_unsealed",
    }
    for name, query in queries.items():
        wrong += [f"{name} is left: {tuple(row.values())}" for row in rows(url, query)]
    wrong += [f"an entry is left on {CLUSTER}: {one}" for one in left]
    with closing(Database(url)) as database:
        wrong += [f"the audit trail: {one}" for one in verify(database).findings]
    return wrong


def untold(
    url: str, slack: SlackWorkspace, found: Sequence[Removal], struck: Sequence[Struck]
) -> list[str]:
    """Ends that nobody was told of, and alarms that did not come while the store was away."""
    wrong = []
    ended = rows(
        url,
        "SELECT r.id, r.requester FROM requests r JOIN grants g ON g.id = r.id "
        "WHERE g.confirmed_at IS NOT NULL",
    )
    with slack.lock:
        said = {channel: list(messages) for channel, messages in slack.messages.items()}
    for row in ended:
        direct = " ".join(one.plain for one in slack.human(str(row["requester"])).dm)
        if str(row["id"]) not in direct or "ended" not in direct:
            wrong.append(f"{row['requester']} was not told that {row['id']} ended")
    for one in struck:
        due = [
            removal.id
            for removal in found
            if one.since < removal.to_end < one.until - TOLD_LATE_SECONDS
        ]
        alarms = [
            message
            for channel in ("C0SECURITY", "C0AUDIT")
            for message in said.get(channel, ())
            if one.since <= float(message.ts) <= one.until and "late" in message.plain
        ]
        if one.event.store_away and due and not alarms:
            wrong.append(f"{len(due)} late removals of a {one.event.name} were not told")
    return wrong


def health(bots: Sequence[BotProcess], struck: Sequence[Struck], end: float) -> list[str]:
    """Where readiness was not red in time, or not green again."""
    wrong = []
    for number, bot in enumerate(bots):
        for place, one in enumerate(struck):
            looks = [look for look in bot.looks if one.since <= look.at <= one.until]
            red = next((look.at - one.since for look in looks if not look.ready), None)
            if one.event.red and (red is None or red > RED_SECONDS):
                wrong.append(f"bot {number}: red {red} s after a {one.event.name} began")
            if not one.event.red and red is not None:
                parts = {part for look in looks for part in look.unwell}
                wrong.append(f"bot {number}: red during {one.event.name}: {sorted(parts)}")
            until = struck[place + 1].since if place + 1 < len(struck) else end
            # A look that was not answered before the next event may be about that one.
            after = [look for look in bot.looks if one.until < look.at < until - ANSWER_SECONDS]
            green = next((n for n, look in enumerate(after) if look.ready), len(after))
            if not after or not all(look.ready for look in after[green:]) or green == len(after):
                wrong.append(f"bot {number}: not green again after a {one.event.name}")
    return wrong
