"""Index grants by their end, which is looked for twice a second."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_grants_ended_at", "grants", ["ended_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_grants_ended_at", table_name="grants")
