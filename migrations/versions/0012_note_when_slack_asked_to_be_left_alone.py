"""Note when Slack asked for a long wait, so that no clock that was ahead is taken for it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_COLUMNS = (
    ("inbox", "put_off_at"),
    ("announcements", "put_off_at"),
    ("requests", "messages_put_off_at"),
)


def upgrade() -> None:
    for table, name in _COLUMNS:
        op.add_column(table, sa.Column(name, sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    for table, name in _COLUMNS:
        op.drop_column(table, name)
