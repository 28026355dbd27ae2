"""Add deputies, reminders, reviews of break-glass, and lockdown."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column(
        "requests", sa.Column("steps", _DOCUMENT, server_default=sa.text("'[]'"), nullable=False)
    )
    op.add_column("requests", sa.Column("step_due_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_requests_step_due_at", "requests", ["step_due_at"], unique=False)
    op.add_column(
        "reviews", sa.Column("deputy_of", _DOCUMENT, server_default=sa.text("'[]'"), nullable=False)
    )

    op.create_table(
        "post_reviews",
        sa.Column("request_id", sa.String(length=7), nullable=False),
        sa.Column("requester", sa.String(length=32), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("remind_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("document", _DOCUMENT, nullable=False),
        sa.Column("reviewer", sa.String(length=32), nullable=True),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("justified", sa.Boolean(), nullable=True),
        sa.Column("findings", sa.Text(), nullable=True),
        sa.Column("steps", _DOCUMENT, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("step_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["request_id"], ["requests.id"], name=op.f("fk_post_reviews_request_id")
        ),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_post_reviews")),
    )
    op.create_index("ix_post_reviews_requester", "post_reviews", ["requester"], unique=False)
    op.create_index("ix_post_reviews_step_due_at", "post_reviews", ["step_due_at"], unique=False)

    op.create_table(
        "delegations",
        sa.Column("id", _COUNTER, autoincrement=True, nullable=False),
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.Column("deputy", sa.String(length=32), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delegations")),
    )
    op.create_index("ix_delegations_until", "delegations", ["until"], unique=False)

    op.create_table(
        "lockdowns",
        sa.Column("id", _COUNTER, autoincrement=True, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("began_by", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("revoking", sa.Boolean(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lockdowns")),
    )
    op.create_index(
        "uq_lockdowns_on",
        "lockdowns",
        ["state"],
        unique=True,
        sqlite_where=sa.text("state = 'ON'"),
        postgresql_where=sa.text("state = 'ON'"),
    )


def downgrade() -> None:
    op.drop_index("uq_lockdowns_on", table_name="lockdowns")
    op.drop_table("lockdowns")
    op.drop_index("ix_delegations_until", table_name="delegations")
    op.drop_table("delegations")
    op.drop_index("ix_post_reviews_step_due_at", table_name="post_reviews")
    op.drop_index("ix_post_reviews_requester", table_name="post_reviews")
    op.drop_table("post_reviews")
    op.drop_column("reviews", "deputy_of")
    op.drop_index("ix_requests_step_due_at", table_name="requests")
    op.drop_column("requests", "step_due_at")
    op.drop_column("requests", "steps")
