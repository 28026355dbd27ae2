"""Note since when AWS has known no cluster where an entry is, with the account proven."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_COLUMNS = ("unknown_since", "unknown_at")


def upgrade() -> None:
    for name in _COLUMNS:
        op.add_column("entries", sa.Column(name, sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    for name in _COLUMNS:
        op.drop_column("entries", name)
