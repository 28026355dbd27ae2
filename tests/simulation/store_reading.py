"""What the store holds, read as plain SQL: the oracle shares no code with the bot's own queries."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg


@dataclass(frozen=True)
class RequestRow:
    id: str
    requester: str
    cluster: str
    level: str
    namespaces: tuple[str, ...]
    principal: str
    state: str
    lapses_at: datetime | None
    channels: tuple[str, ...]
    extends: str | None
    break_glass: bool
    due_at: datetime | None
    attempts: int


@dataclass(frozen=True)
class GrantRow:
    """`policy` is an access policy's name; no `namespaces` means the whole cluster."""

    id: str
    requester: str
    cluster: str
    principal: str
    policy: str | None
    namespaces: frozenset[str]
    groups: frozenset[str]
    state: str
    duration: timedelta
    provision_by: datetime
    ends_at: datetime
    confirmed_at: datetime | None
    began_at: datetime | None
    reason: str | None
    extends: str | None

    def gives(self, now: datetime) -> bool:
        """Whether it may give access at `now`."""
        if self.state == "PROVISIONING":
            return now < min(self.provision_by, self.ends_at)
        return self.state == "ACTIVE" and now < self.ends_at


@dataclass(frozen=True)
class Snapshot:
    """`audit` are (id, actor, action, request) after the ones already read; `inbox`: what is not
    done, id → state and actor. `reviewed`: by break-glass, who reviewed it. What is due is given
    with its cluster.
    """

    requests: dict[str, RequestRow]
    grants: dict[str, GrantRow]
    audit: tuple[tuple[int, str, str, str | None], ...]
    inbox: dict[int, tuple[str, str]]
    entries_due: tuple[tuple[datetime, str], ...]
    backstops_due: tuple[tuple[datetime, str], ...]
    inbox_due: tuple[datetime, ...]
    reviewed: dict[str, str]
    never_due: tuple[str, ...] = ()


_LIVE = "(SELECT entry_id FROM grants WHERE state <> 'ENDED')"
_NEVER_DUE = " UNION ALL ".join(
    f"SELECT '{what}', CAST({key} AS VARCHAR(20)) FROM {table} WHERE {column} IS NULL AND {live}"  # noqa: S608 - our own text
    for what, table, key, column, live in (
        ("inbox item", "inbox", "id", "due_at", "state <> 'DONE'"),
        ("request", "requests", "id", "lapses_at", "state = 'PENDING'"),
        ("messages of", "requests", "id", "messages_due_at", "messages_attempts > 0"),
        ("entry", "entries", "id", "due_at", f"(attempts > 0 OR id IN {_LIVE})"),
        (
            "removal at the entry",
            "entries",
            "id",
            "due_at",
            "id IN (SELECT entry_id FROM associations WHERE removing)",
        ),
        (
            "backstop of the entry",
            "backstops",
            "entry_id",
            "due_at",
            "(attempts > 0 OR (name IS NOT NULL AND NOT confirmed) OR "
            f"(name IS NOT NULL AND alone AND NOT shown AND entry_id NOT IN {_LIVE}))",
        ),
        (
            "announcement",
            "announcements",
            "id",
            "due_at",
            "posted_ts IS NULL AND problem IS NULL",
        ),
        (
            "review of",
            "post_reviews",
            "request_id",
            "step_due_at",
            "reviewed_at IS NULL AND CAST(steps AS VARCHAR(1000)) NOT LIKE '%overdue%'",
        ),
    )
)
"""What of each table is live, and due never. No row may ever be both."""


class StoreReader:
    """Reads one database, by its URL, on a connection of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._sqlite = url.startswith("sqlite:///")
        self._connection: Any = self._connect()
        self._audited = 0
        self._documents: dict[str, tuple[Any, Any]] = {}
        self._version: Any = None
        self._last: Snapshot | None = None
        self._grants_now: list[GrantRow] = []

    def _connect(self) -> Any:
        if self._sqlite:
            return sqlite3.connect(self._url.removeprefix("sqlite:///"), isolation_level=None)
        return psycopg.connect(self._url, autocommit=True)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def leave(self) -> None:
        """End the session until something is read again."""
        self._connection.close()
        self._connection = None

    def read_anew(self) -> Snapshot:
        """Everything, of a store that may be another by now, as if all its events were read."""
        self._version = self._last = None
        self._audited = self.rows("SELECT coalesce(max(id), 0) FROM audit_events")[0][0]
        return self.read()

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        if not self._sqlite:
            query = query.replace("%", "%%").replace("?", "%s")
        with self._cursor() as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())

    def read(self) -> Snapshot:
        """Everything that the oracle looks at, and the audit events that are new."""
        if self._last is not None and not self._changed():
            return replace(self._last, audit=())
        self._last = snapshot = self._read()
        return snapshot

    def read_grants(self) -> list[GrantRow]:
        """The grants as they are now."""
        if self._changed():
            self._last = None  # the rest is not read yet
            self._grants_now = list(self._grants())
        return self._grants_now

    def _changed(self) -> bool:
        """Whether somebody has committed since this was last asked, as far as that can be told."""
        # A commit writes to PostgreSQL's log, which may move without one too.
        asked = "PRAGMA data_version" if self._sqlite else "SELECT pg_current_wal_insert_lsn()"
        version = self.rows(asked)
        changed, self._version = version != self._version, version
        return changed

    def _read(self) -> Snapshot:
        requests = {row.id: row for row in self._requests()}
        self._grants_now = list(self._grants())
        grants = {row.id: row for row in self._grants_now}
        audit = tuple(
            self.rows(
                "SELECT id, actor, action, request_id FROM audit_events WHERE id > ? ORDER BY id",
                self._audited,
            )
        )
        if audit:
            self._audited = audit[-1][0]
        waiting = self.rows("SELECT id, state, due_at, actor FROM inbox WHERE state <> 'DONE'")
        entries = self.rows("SELECT due_at, cluster FROM entries WHERE due_at IS NOT NULL")
        backstops = self.rows(
            "SELECT backstops.due_at, cluster FROM backstops JOIN entries ON id = entry_id "
            "WHERE backstops.due_at IS NOT NULL"
        )
        reviews = self.rows(
            "SELECT request_id, reviewer FROM post_reviews WHERE reviewed_at IS NOT NULL"
        )
        return Snapshot(
            requests=requests,
            grants=grants,
            audit=audit,
            inbox={row[0]: (row[1], row[3]) for row in waiting},
            entries_due=tuple((self._must(row[0]), row[1]) for row in entries),
            backstops_due=tuple((self._must(row[0]), row[1]) for row in backstops),
            inbox_due=tuple(self._must(row[2]) for row in waiting if row[2] is not None),
            reviewed={row[0]: row[1] for row in reviews},
            never_due=tuple(" ".join(row) for row in self.rows(_NEVER_DUE)),
        )

    def locked_down(self) -> bool:
        return bool(self.rows("SELECT id FROM lockdowns WHERE state = 'ON'"))

    def own(self) -> dict[tuple[str, str], tuple[frozenset[str], frozenset[str]]]:
        """By entry that the bot made: the policies and the groups that it put there."""
        found: dict[tuple[str, str], tuple[frozenset[str], frozenset[str]]] = {}
        for entry_id, cluster, principal, groups in self.rows(
            "SELECT id, cluster, principal_arn, kubernetes_groups FROM entries WHERE created"
        ):
            policies = self.rows("SELECT policy_arn FROM associations WHERE entry_id = ?", entry_id)
            named = json.loads(groups) if isinstance(groups, str) else groups
            found[cluster, principal] = (
                frozenset(row[0].rpartition("/")[2] for row in policies),
                frozenset(named),
            )
        return found

    def owed(self, requester: str) -> dict[str, datetime]:
        """By request: when a review of the person's break-glass was due that nobody gave."""
        query = "SELECT request_id, due_at FROM post_reviews WHERE requester = ? "
        rows = self.rows(query + "AND reviewed_at IS NULL", requester)
        return {row[0]: self._must(row[1]) for row in rows}

    def knows_schedule(self, name: str) -> bool:
        """Whether the store has such a schedule."""
        return bool(self.rows("SELECT entry_id FROM backstops WHERE name = ?", name))

    def unconfirmed(self, cluster: str, principal: str) -> frozenset[str]:
        """The policies that the bot put there, or was about to, and has not read back."""
        rows = self.rows(
            "SELECT policy_arn FROM associations JOIN entries ON entries.id = entry_id "
            "WHERE cluster = ? AND principal_arn = ? AND NOT confirmed",
            cluster,
            principal,
        )
        return frozenset(row[0].rpartition("/")[2] for row in rows)

    def posted(self) -> frozenset[tuple[str, str]]:
        """The messages that the store knows to be in Slack, as (request, channel)."""
        query = "SELECT request_id, channel FROM messages WHERE ts IS NOT NULL"
        return frozenset((row[0], row[1]) for row in self.rows(query))

    def taken(self, trigger_id: str) -> bool:
        """Whether the command or click with this trigger is stored."""
        return bool(self.rows("SELECT id FROM inbox WHERE trigger_id = ?", trigger_id))

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        if self._connection is None:
            self._connection = self._connect()
        cursor = self._connection.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    def _requests(self) -> Iterator[RequestRow]:
        for row in self.rows(
            "SELECT id, requester, cluster, level, namespaces, principal_arn, state, lapses_at, "
            "document, messages_due_at, messages_attempts FROM requests ORDER BY id"
        ):
            document = self._document(f"request {row[0]}", row[8])
            yield RequestRow(
                *row[:4],
                namespaces=tuple(name for name in row[4].split(",") if name),
                principal=row[5],
                state=row[6],
                lapses_at=self._time(row[7]),
                channels=tuple(
                    sorted({one["channel"] for one in document["requirements"]})
                    or document["shown_in"]
                ),
                extends=document["extends"],
                break_glass=document["break_glass"],
                due_at=self._time(row[9]),
                attempts=row[10],
            )

    def _grants(self) -> Iterator[GrantRow]:
        for row in self.rows(
            "SELECT id, requester, cluster, principal_arn, state, duration_seconds, provision_by, "
            "ends_at, confirmed_at, end_reason, document FROM grants ORDER BY id"
        ):
            document = self._document(f"grant {row[0]}", row[10])
            access = document["access"]
            arn = access["policy_arn"]
            began = document.get("began_at")
            yield GrantRow(
                *row[:4],
                policy=arn.rpartition("/")[2] if arn else None,
                namespaces=frozenset(access["scope"]["namespaces"]),
                groups=frozenset(access["kubernetes_groups"]),
                state=row[4],
                duration=timedelta(seconds=row[5]),
                provision_by=self._must(row[6]),
                ends_at=self._must(row[7]),
                confirmed_at=self._time(row[8]),
                began_at=datetime.fromisoformat(began) if began else None,
                reason=row[9],
                extends=document["extends"],
            )

    def _must(self, value: Any) -> datetime:
        time = self._time(value)
        if time is None:
            raise ValueError("a time is missing in the store")
        return time

    def _time(self, value: Any) -> datetime | None:
        if value is None:
            return None
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)

    def _document(self, name: str, value: Any) -> Any:
        """What is stored as JSON; one that is as it was is not parsed again."""
        known = self._documents.get(name)
        if known is None or known[0] != value:
            known = (value, json.loads(value) if isinstance(value, str) else value)
            self._documents[name] = known
        return known[1]
