"""Make the first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", _COUNTER, autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=32), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=7), nullable=True),
        sa.Column("cluster", sa.String(length=100), nullable=True),
        sa.Column("details", _DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
    )
    op.create_index("ix_audit_events_at", "audit_events", ["at"], unique=False)
    op.create_index("ix_audit_events_request_id", "audit_events", ["request_id"], unique=False)

    op.create_table(
        "entries",
        sa.Column("id", _COUNTER, autoincrement=True, nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("cluster", sa.String(length=100), nullable=False),
        sa.Column("principal_arn", sa.String(length=2048), nullable=False),
        sa.Column("document", _DOCUMENT, nullable=False),
        sa.Column("deployment", sa.String(length=100), nullable=False),
        sa.Column("created", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("deleting", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("arn", sa.Text(), nullable=True),
        sa.Column("kubernetes_groups", _DOCUMENT, nullable=False),
        sa.Column("earlier_groups", _DOCUMENT, nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("generation", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entries")),
    )
    op.create_index("ix_entries_due_at", "entries", ["due_at"], unique=False)
    op.create_index(
        "uq_entries_principal",
        "entries",
        ["account", "region", "cluster", "principal_arn"],
        unique=True,
    )

    op.create_table(
        "inbox",
        sa.Column("id", _COUNTER, autoincrement=True, nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=32), nullable=False),
        sa.Column("team_id", sa.String(length=32), nullable=True),
        sa.Column("document", _DOCUMENT, nullable=False),
        sa.Column("response_url", sa.Text(), nullable=True),
        sa.Column("trigger_id", sa.String(length=255), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("answer", _DOCUMENT, nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
    )
    op.create_index("ix_inbox_actor_received_at", "inbox", ["actor", "received_at"], unique=False)
    op.create_index("ix_inbox_due_at", "inbox", ["due_at"], unique=False)
    op.create_index("uq_inbox_trigger_id", "inbox", ["trigger_id"], unique=True)

    op.create_table(
        "requests",
        sa.Column("id", sa.String(length=7), nullable=False),
        sa.Column("requester", sa.String(length=32), nullable=False),
        sa.Column("cluster", sa.String(length=100), nullable=False),
        sa.Column("level", sa.String(length=100), nullable=False),
        sa.Column("namespaces", sa.Text(), nullable=False),
        sa.Column("principal_arn", sa.String(length=2048), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ticket", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lapses_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.String(length=32), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=True),
        sa.Column("document", _DOCUMENT, nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("messages_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("messages_attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requests")),
    )
    op.create_index("ix_requests_messages_due_at", "requests", ["messages_due_at"], unique=False)
    op.create_index(
        "ix_requests_requester_created_at", "requests", ["requester", "created_at"], unique=False
    )
    op.create_index("ix_requests_state_lapses_at", "requests", ["state", "lapses_at"], unique=False)
    op.create_index(
        "uq_requests_waiting",
        "requests",
        ["requester", "cluster", "level", "namespaces"],
        unique=True,
        sqlite_where=sa.text("state = 'PENDING'"),
        postgresql_where=sa.text("state = 'PENDING'"),
    )

    op.create_table(
        "associations",
        sa.Column("entry_id", _COUNTER, nullable=False),
        sa.Column("policy_arn", sa.String(length=256), nullable=False),
        sa.Column("namespaces", _DOCUMENT, nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("removing", sa.Boolean(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("earlier", _DOCUMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["entries.id"], name=op.f("fk_associations_entry_id")
        ),
        sa.PrimaryKeyConstraint("entry_id", "policy_arn", name=op.f("pk_associations")),
    )
    op.create_table(
        "grants",
        sa.Column("id", sa.String(length=7), nullable=False),
        sa.Column("entry_id", _COUNTER, nullable=False),
        sa.Column("requester", sa.String(length=32), nullable=False),
        sa.Column("cluster", sa.String(length=100), nullable=False),
        sa.Column("principal_arn", sa.String(length=2048), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("duration_seconds", sa.Double(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provision_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoking_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.String(length=16), nullable=True),
        sa.Column("ended_by", sa.String(length=32), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("document", _DOCUMENT, nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name=op.f("fk_grants_entry_id")),
        sa.ForeignKeyConstraint(["id"], ["requests.id"], name=op.f("fk_grants_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
    )
    op.create_index("ix_grants_cluster_state", "grants", ["cluster", "state"], unique=False)
    op.create_index("ix_grants_entry_id_state", "grants", ["entry_id", "state"], unique=False)
    op.create_index("ix_grants_requester_state", "grants", ["requester", "state"], unique=False)

    op.create_table(
        "messages",
        sa.Column("request_id", sa.String(length=7), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("recipient", sa.String(length=32), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=True),
        sa.Column("ts", sa.String(length=32), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["request_id"], ["requests.id"], name=op.f("fk_messages_request_id")
        ),
        sa.PrimaryKeyConstraint("request_id", "key", "recipient", name=op.f("pk_messages")),
    )
    op.create_table(
        "reviews",
        sa.Column("request_id", sa.String(length=7), nullable=False),
        sa.Column("reviewer", sa.String(length=32), nullable=False),
        sa.Column("verdict", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("rules", _DOCUMENT, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"], ["requests.id"], name=op.f("fk_reviews_request_id")
        ),
        sa.PrimaryKeyConstraint("request_id", "reviewer", name=op.f("pk_reviews")),
    )


def downgrade() -> None:
    op.drop_table("reviews")
    op.drop_table("messages")
    op.drop_index("ix_grants_requester_state", table_name="grants")
    op.drop_index("ix_grants_entry_id_state", table_name="grants")
    op.drop_index("ix_grants_cluster_state", table_name="grants")

    op.drop_table("grants")
    op.drop_table("associations")
    op.drop_index("uq_requests_waiting", table_name="requests")
    op.drop_index("ix_requests_state_lapses_at", table_name="requests")
    op.drop_index("ix_requests_requester_created_at", table_name="requests")
    op.drop_index("ix_requests_messages_due_at", table_name="requests")

    op.drop_table("requests")
    op.drop_index("uq_inbox_trigger_id", table_name="inbox")
    op.drop_index("ix_inbox_due_at", table_name="inbox")
    op.drop_index("ix_inbox_actor_received_at", table_name="inbox")

    op.drop_table("inbox")
    op.drop_index("uq_entries_principal", table_name="entries")
    op.drop_index("ix_entries_due_at", table_name="entries")

    op.drop_table("entries")
    op.drop_index("ix_audit_events_request_id", table_name="audit_events")
    op.drop_index("ix_audit_events_at", table_name="audit_events")

    op.drop_table("audit_events")
