"""Add what the bot finds that others changed at EKS, and when it last looked there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("entries", sa.Column("looked_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "drift_scans",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("cluster", sa.String(length=100), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("scanned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("document", _DOCUMENT, nullable=True),
        sa.PrimaryKeyConstraint("account", "region", "cluster", name=op.f("pk_drift_scans")),
    )
    op.create_table(
        "drift_findings",
        sa.Column("id", _COUNTER, autoincrement=True, nullable=False),
        sa.Column("entry_id", _COUNTER, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("grants", _DOCUMENT, nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("over_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["entries.id"], name=op.f("fk_drift_findings_entry_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drift_findings")),
    )
    op.create_index("ix_drift_findings_entry_id", "drift_findings", ["entry_id"], unique=False)
    op.create_index("ix_drift_findings_told_at", "drift_findings", ["told_at"], unique=False)
    op.create_index("ix_drift_findings_over_at", "drift_findings", ["over_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_drift_findings_over_at", table_name="drift_findings")
    op.drop_index("ix_drift_findings_told_at", table_name="drift_findings")
    op.drop_index("ix_drift_findings_entry_id", table_name="drift_findings")
    op.drop_table("drift_findings")
    op.drop_table("drift_scans")
    op.drop_column("entries", "looked_at")
