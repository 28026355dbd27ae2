"""Keep who is suspended, and which grants were revoked when they had just ended otherwise."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "suspensions",
        sa.Column("id", _COUNTER, autoincrement=True, nullable=False),
        sa.Column("person", sa.String(32), nullable=False),
        sa.Column("began_at", _TIME, nullable=False),
        sa.Column("began_by", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("ended_by", sa.String(32), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_suspensions"),
    )
    op.create_index(
        "uq_suspensions_on",
        "suspensions",
        ["person"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.add_column("grants", sa.Column("revoked_late_at", _TIME, nullable=True))


def downgrade() -> None:
    op.drop_column("grants", "revoked_late_at")
    op.drop_index("uq_suspensions_on", table_name="suspensions")
    op.drop_table("suspensions")
