"""Let one command wait that ends access, of each person, kind and request."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What waits from before has no subject, and is carried out as it stands.
    op.add_column("inbox", sa.Column("subject", sa.String(32), nullable=True))
    op.create_index(
        "uq_inbox_waiting",
        "inbox",
        ["actor", "kind", "subject"],
        unique=True,
        sqlite_where=sa.text("state = 'NEW'"),
        postgresql_where=sa.text("state = 'NEW'"),
    )


def downgrade() -> None:
    op.drop_index("uq_inbox_waiting", table_name="inbox")
    op.drop_column("inbox", "subject")
