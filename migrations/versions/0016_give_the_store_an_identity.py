"""Give the store an identity, by which two stores under one deployment name tell each other apart.

The bot makes the identity itself as it starts, so that copies of a database without one do not
share it. Entries from before bear none; they are this store's where it gave access before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    store = op.create_table(
        "store",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("identity", sa.String(32), nullable=True),
        sa.Column("adopted", _DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_store"),
        sa.CheckConstraint("id = 1", name="ck_store_only_one"),
    )
    gave = sa.text(
        "SELECT DISTINCT entries.deployment FROM entries "
        "JOIN grants ON grants.entry_id = entries.id"
    )
    adopted = [[deployment, ""] for deployment in op.get_bind().scalars(gave)]
    op.bulk_insert(store, [{"id": 1, "identity": None, "adopted": adopted}])


def downgrade() -> None:
    op.drop_table("store")
