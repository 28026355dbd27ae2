"""The tables. One row a fact; the migrations in `migrations/` make exactly these.

Times are stored as UTC. Columns named `document` hold, as JSON, the parts of a value that no query
looks into.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB


class UtcDateTime(TypeDecorator[datetime]):
    """A timezone-aware UTC datetime; `timestamptz` on PostgreSQL, naive UTC text on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone cannot be stored")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Document = JSON().with_variant(JSONB(), "postgresql")
_Counter = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up only INTEGER keys

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


REVIEW_OWED = "reviewed_at IS NULL AND step_due_at IS NULL"
SCHEDULE_TO_GO = "due_at IS NULL AND name IS NOT NULL AND alone AND NOT shown"


def _only(name: str, key: str | Column[Any], where: str) -> Index:
    """An index of the rows that satisfy `where`, for queries that say the same.

    There are few of them or none, so that to look for them costs the same however long the history.
    """
    return Index(name, key, sqlite_where=text(where), postgresql_where=text(where))


def _column(name: str, kind: Any, *constraints: ForeignKey, **options: Any) -> Column[Any]:
    return Column(name, kind, *constraints, nullable=options.pop("nullable", False), **options)


# One row: the identity of this store, and [deployment, identity] of each store it has taken over.
store = Table(
    "store",
    metadata,
    _column("id", Integer, primary_key=True, autoincrement=False),
    _column("identity", String(32), nullable=True),
    _column("adopted", Document),
    CheckConstraint("id = 1", name="only_one"),
)

requests = Table(
    "requests",
    metadata,
    _column("id", String(7), primary_key=True),
    _column("requester", String(32)),
    _column("cluster", String(100)),
    _column("level", String(100)),
    _column("namespaces", Text),
    _column("principal_arn", String(2048)),
    _column("state", String(16)),
    _column("reason", Text),
    _column("ticket", Text, nullable=True),
    _column("created_at", UtcDateTime),
    _column("lapses_at", UtcDateTime, nullable=True),
    _column("decided_at", UtcDateTime, nullable=True),
    _column("decided_by", String(32), nullable=True),
    _column("decision_reason", Text, nullable=True),
    _column("document", Document),
    # When to look at the request's Slack messages next. `version` grows with each change, so that
    # none is lost while they are being brought up to date.
    _column("version", Integer, server_default=text("1")),
    _column("messages_due_at", UtcDateTime, nullable=True),
    _column("messages_attempts", Integer, server_default=text("0")),
    _column("messages_put_off_at", UtcDateTime, nullable=True),  # see bot.store.due.put_off_at
    # Reminders and escalations that were done, and when the next is due.
    _column("steps", Document, server_default=text("'[]'")),
    _column("step_due_at", UtcDateTime, nullable=True),
    Index("ix_requests_step_due_at", "step_due_at"),
    Index("ix_requests_state_lapses_at", "state", "lapses_at"),
    Index("ix_requests_requester_created_at", "requester", "created_at"),
    Index("ix_requests_messages_due_at", "messages_due_at"),
    # A person waits for the same thing once: a double click makes no second request.
    Index(
        "uq_requests_waiting",
        "requester",
        "cluster",
        "level",
        "namespaces",
        unique=True,
        sqlite_where=text("state = 'PENDING'"),
        postgresql_where=text("state = 'PENDING'"),
    ),
)

reviews = Table(
    "reviews",
    metadata,
    _column("request_id", String(7), ForeignKey("requests.id"), primary_key=True),
    _column("reviewer", String(32), primary_key=True),
    _column("verdict", String(8)),
    _column("reason", Text, nullable=True),
    _column("rules", Document),
    _column("deputy_of", Document, server_default=text("'[]'")),
    _column("seats", Document, server_default=text("'{}'")),
    _column("at", UtcDateTime),
)

post_reviews = Table(
    "post_reviews",
    metadata,
    _column("request_id", String(7), ForeignKey("requests.id"), primary_key=True),
    _column("requester", String(32)),
    _column("begun_at", UtcDateTime),
    _column("remind_at", UtcDateTime),
    _column("due_at", UtcDateTime),
    _column("document", Document),
    _column("reviewer", String(32), nullable=True),
    _column("reviewed_at", UtcDateTime, nullable=True),
    _column("justified", Boolean, nullable=True),
    _column("findings", Text, nullable=True),
    # Reminders and escalations that were done, and when the next is due.
    _column("steps", Document, server_default=text("'[]'")),
    _column("step_due_at", UtcDateTime, nullable=True),
    Index("ix_post_reviews_requester", "requester"),
    Index("ix_post_reviews_step_due_at", "step_due_at"),
    _only("ix_post_reviews_no_step", "step_due_at", REVIEW_OWED),
)

delegations = Table(
    "delegations",
    metadata,
    _column("id", _Counter, primary_key=True, autoincrement=True),
    _column("owner", String(32)),
    _column("deputy", String(32)),
    _column("since", UtcDateTime),
    _column("until", UtcDateTime),
    _column("ended_at", UtcDateTime, nullable=True),
    Index("ix_delegations_until", "until"),
)

lockdowns = Table(
    "lockdowns",
    metadata,
    _column("id", _Counter, primary_key=True, autoincrement=True),
    _column("state", String(8)),  # ON, or OFF once it is over
    _column("began_at", UtcDateTime),
    _column("began_by", String(32)),
    _column("reason", Text),
    _column("revoking", Boolean),
    _column("ended_at", UtcDateTime, nullable=True),
    _column("ended_by", String(32), nullable=True),
    # The bot is locked down once, or not at all.
    Index(
        "uq_lockdowns_on",
        "state",
        unique=True,
        sqlite_where=text("state = 'ON'"),
        postgresql_where=text("state = 'ON'"),
    ),
)

suspensions = Table(
    "suspensions",
    metadata,
    _column("id", _Counter, primary_key=True, autoincrement=True),
    _column("person", String(32)),
    _column("began_at", UtcDateTime),
    _column("began_by", String(32)),
    _column("reason", Text),
    _column("ended_at", UtcDateTime, nullable=True),
    _column("ended_by", String(32), nullable=True),
    # A person is suspended once, or not at all.
    Index(
        "uq_suspensions_on",
        "person",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)

entries = Table(
    "entries",
    metadata,
    _column("id", _Counter, primary_key=True, autoincrement=True),
    _column("account", String(12)),
    _column("region", String(32)),
    _column("cluster", String(100)),
    _column("principal_arn", String(2048)),
    _column("document", Document),
    # What the bot put there, and under which deployment; see bot.core.planner.EntryRecord.
    _column("deployment", String(100)),
    _column("created", Boolean, server_default=text("false")),
    _column("deleting", Boolean, server_default=text("false")),
    _column("written_at", UtcDateTime, nullable=True),  # None once the write was read back
    _column("arn", Text, nullable=True),
    _column("kubernetes_groups", Document),
    _column("earlier_groups", Document),
    # When to look at it next. `generation` grows with each wish, so that none is lost.
    _column("due_at", UtcDateTime, nullable=True),
    _column("generation", Integer, server_default=text("0")),
    _column("attempts", Integer, server_default=text("0")),
    _column("problem", Text, nullable=True),
    _column("looked_at", UtcDateTime, nullable=True),  # when EKS was last seen there
    # Since when, and when last, AWS knew no such cluster; see bot.core.gone.
    _column("unknown_since", UtcDateTime, nullable=True),
    _column("unknown_at", UtcDateTime, nullable=True),
    Index(
        "uq_entries_principal",
        "account",
        "region",
        "cluster",
        "principal_arn",
        unique=True,
    ),
    Index("ix_entries_due_at", "due_at"),
)

associations = Table(
    "associations",
    metadata,
    _column("entry_id", _Counter, ForeignKey("entries.id"), primary_key=True),
    _column("policy_arn", String(256), primary_key=True),
    _column("namespaces", Document),
    _column("confirmed", Boolean),
    _column("removing", Boolean),
    _column("written_at", UtcDateTime, nullable=True),  # None once the write was read back
    _column("earlier", Document),
)

# The schedule that deletes an entry where the bot never comes back; see bot.core.backstop.
backstops = Table(
    "backstops",
    metadata,
    _column("entry_id", _Counter, ForeignKey("entries.id"), primary_key=True),
    # As of the last look at EKS: whether the entry is the bot's alone (None before the first look),
    # and whether it was to be seen.
    _column("alone", Boolean, nullable=True),
    _column("shown", Boolean, server_default=text("false")),
    # The schedule that the bot made, or is about to make or take away. No name: there is none.
    _column("name", String(64), nullable=True),
    _column("group_name", String(64), nullable=True),
    _column("role_arn", String(2048), nullable=True),
    _column("at", UtcDateTime, nullable=True),
    _column("confirmed", Boolean, server_default=text("false")),
    _column("checked_at", UtcDateTime, nullable=True),
    # Until when one whose time had come before it was changed may still strike.
    _column("strikes_until", UtcDateTime, nullable=True),
    # When to look at it next. `generation` grows with each wish, so that none is lost.
    _column("due_at", UtcDateTime, nullable=True),
    _column("generation", Integer, server_default=text("0")),
    _column("attempts", Integer, server_default=text("0")),
    _column("problem", Text, nullable=True),
    _column("hopeless", Boolean, server_default=text("false")),
    Index("ix_backstops_due_at", "due_at"),
    _only("ix_backstops_to_go", "due_at", SCHEDULE_TO_GO),
)

grants = Table(
    "grants",
    metadata,
    _column("id", String(7), ForeignKey("requests.id"), primary_key=True),
    _column("entry_id", _Counter, ForeignKey("entries.id")),
    _column("requester", String(32)),
    _column("cluster", String(100)),
    _column("principal_arn", String(2048)),
    _column("state", String(16)),
    _column("duration_seconds", Double),
    _column("created_at", UtcDateTime),
    _column("provision_by", UtcDateTime),
    _column("ends_at", UtcDateTime),
    _column("starts_at", UtcDateTime, nullable=True),
    _column("confirmed_at", UtcDateTime, nullable=True),
    _column("revoking_since", UtcDateTime, nullable=True),
    # When somebody revoked it though it had just ended otherwise: it counts as revoked then.
    _column("revoked_late_at", UtcDateTime, nullable=True),
    _column("ended_at", UtcDateTime, nullable=True),
    _column("end_reason", String(16), nullable=True),
    _column("ended_by", String(32), nullable=True),
    _column("problem", Text, nullable=True),
    _column("document", Document),
    Index("ix_grants_entry_id_state", "entry_id", "state"),
    Index("ix_grants_requester_state", "requester", "state"),
    Index("ix_grants_cluster_state", "cluster", "state"),
    Index("ix_grants_state_starts_at", "state", "starts_at"),
    Index("ix_grants_ended_at", "ended_at"),
)

messages = Table(
    "messages",
    metadata,
    _column("request_id", String(7), ForeignKey("requests.id"), primary_key=True),
    # What the message is to the request: `card`, `direct`, `notice:…`.
    _column("key", String(64), primary_key=True),
    # Where it was asked to go: a channel, or a person for a direct message.
    _column("recipient", String(32), primary_key=True),
    _column("channel", String(32), nullable=True),
    _column("ts", String(32), nullable=True),
    _column("digest", String(64)),
    _column("problem", Text, nullable=True),
)

announcements = Table(
    "announcements",
    metadata,
    _column("id", _Counter, primary_key=True, autoincrement=True),
    _column("key", String(200)),
    _column("channel", String(32)),
    _column("text", Text),
    _column("blocks", Document),
    _column("created_at", UtcDateTime),
    _column("due_at", UtcDateTime, nullable=True),  # None once posted or given up
    _column("put_off_at", UtcDateTime, nullable=True),  # see bot.store.due.put_off_at
    _column("attempts", Integer, server_default=text("0")),
    _column("posted_channel", String(32), nullable=True),
    _column("posted_ts", String(32), nullable=True),
    _column("problem", Text, nullable=True),
    Index("uq_announcements_key_channel", "key", "channel", unique=True),
    Index("ix_announcements_due_at", "due_at"),
)

drift_scans = Table(
    "drift_scans",
    metadata,
    _column("account", String(12), primary_key=True),
    _column("region", String(32), primary_key=True),
    _column("cluster", String(100), primary_key=True),
    _column("due_at", UtcDateTime),
    _column("attempts", Integer, server_default=text("0")),
    _column("scanned_at", UtcDateTime, nullable=True),
    _column("problem", Text, nullable=True),
    # Who has standing access there, as of the last whole scan; see bot.store.drift.Standing.
    _column("document", Document, nullable=True),
)

drift_findings = Table(
    "drift_findings",
    metadata,
    _column("id", _Counter, primary_key=True, autoincrement=True),
    _column("entry_id", _Counter, ForeignKey("entries.id")),
    _column("kind", String(16)),
    _column("subject", Text),
    _column("detail", Text),
    _column("grants", Document),
    _column("outcome", String(16)),
    _column("found_at", UtcDateTime),
    _column("told_at", UtcDateTime, nullable=True),
    _column("over_at", UtcDateTime, nullable=True),
    Index("ix_drift_findings_entry_id", "entry_id"),
    Index("ix_drift_findings_told_at", "told_at"),
    Index("ix_drift_findings_over_at", "over_at"),
)

inbox = Table(
    "inbox",
    metadata,
    _column("id", _Counter, primary_key=True, autoincrement=True),
    _column("received_at", UtcDateTime),
    _column("kind", String(16)),
    _column("actor", String(32)),
    _column("team_id", String(32), nullable=True),
    _column("document", Document),
    _column("response_url", Text, nullable=True),
    _column("trigger_id", String(255), nullable=True),
    _column("state", String(16)),
    _column("answer", Document, nullable=True),
    _column("attempts", Integer, server_default=text("0")),
    _column("due_at", UtcDateTime, nullable=True),
    _column("put_off_at", UtcDateTime, nullable=True),  # see bot.store.due.put_off_at
    _column("subject", String(32), nullable=True),
    Index("ix_inbox_due_at", "due_at"),
    Index("ix_inbox_actor_received_at", "actor", "received_at"),
    Index("uq_inbox_trigger_id", "trigger_id", unique=True),
    Index(
        "uq_inbox_waiting",
        "actor",
        "kind",
        "subject",
        unique=True,
        sqlite_where=text("state = 'NEW'"),
        postgresql_where=text("state = 'NEW'"),
    ),
)

audit_events = Table(
    "audit_events",
    metadata,
    _column("id", _Counter, primary_key=True, autoincrement=True),
    _column("at", UtcDateTime),
    _column("actor", String(32)),
    _column("action", String(64)),
    _column("request_id", String(7), nullable=True),
    _column("cluster", String(100), nullable=True),
    _column("details", Document),
    Index("ix_audit_events_request_id", "request_id"),
    Index("ix_audit_events_at", "at"),
)

# The chain over the events; see bot.core.audit_chain. Positions count from 1 without a gap.
audit_seals = Table(
    "audit_seals",
    metadata,
    _column("position", _Counter, primary_key=True, autoincrement=False),
    _column("event_id", _Counter, ForeignKey("audit_events.id")),
    _column("sealed_at", UtcDateTime),
    _column("digest", String(64)),
    _column("hash", String(64)),
    Index("uq_audit_seals_event_id", "event_id", unique=True),
)

# Which events have no seal yet: a trigger on `audit_events` adds them, sealing takes them out.
# Ids do not tell, because on PostgreSQL an event with a lower id may be committed later.
audit_unsealed = Table(
    "audit_unsealed",
    metadata,
    _column("event_id", _Counter, primary_key=True, autoincrement=False),
)


@dataclass(frozen=True, slots=True)
class LiveIsDue:
    """`condition` holds for each row of `table`: a live one has a time in the column `due`."""

    table: str
    key: str
    due: str
    condition: str

    @property
    def broken(self) -> str:
        """What holds for a row that breaks it, as its index has it."""
        return f"NOT ({self.condition})"


# What is live has a time at which a loop looks at it: no row may be left that nothing ever finds.
# The database refuses it: PostgreSQL by these constraints, SQLite, which cannot add one to a table
# that others refer to, by triggers of the same effect. See bot.store.never_due for the rest.
LIVE_IS_DUE = (
    LiveIsDue("entries", "id", "due_at", "attempts = 0 OR due_at IS NOT NULL"),
    LiveIsDue("backstops", "entry_id", "due_at", "attempts = 0 OR due_at IS NOT NULL"),
    LiveIsDue(
        "requests", "id", "messages_due_at", "messages_attempts = 0 OR messages_due_at IS NOT NULL"
    ),
    LiveIsDue("inbox", "id", "due_at", "state = 'DONE' OR due_at IS NOT NULL"),
    LiveIsDue(
        "announcements",
        "id",
        "due_at",
        "due_at IS NOT NULL OR posted_ts IS NOT NULL OR problem IS NOT NULL",
    ),
)
for _one in LIVE_IS_DUE:
    _table = metadata.tables[_one.table]
    _table.append_constraint(CheckConstraint(_one.condition, name="live_is_due"))
    _only(f"ix_{_one.table}_never_due", _table.c[_one.key], _one.broken)
