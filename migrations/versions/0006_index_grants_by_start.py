"""Index grants by their start, which is looked for twice a second."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_grants_state_starts_at", "grants", ["state", "starts_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_grants_state_starts_at", table_name="grants")
