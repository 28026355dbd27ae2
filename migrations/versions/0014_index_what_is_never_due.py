"""Index rows that are live and never due, so that to look for them costs the same for ever."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# By index: the table, the column and the condition.
_INDEXES = {
    "ix_entries_never_due": ("entries", "id", "NOT (attempts = 0 OR due_at IS NOT NULL)"),
    "ix_backstops_never_due": (
        "backstops",
        "entry_id",
        "NOT (attempts = 0 OR due_at IS NOT NULL)",
    ),
    "ix_requests_never_due": (
        "requests",
        "id",
        "NOT (messages_attempts = 0 OR messages_due_at IS NOT NULL)",
    ),
    "ix_inbox_never_due": ("inbox", "id", "NOT (state = 'DONE' OR due_at IS NOT NULL)"),
    "ix_announcements_never_due": (
        "announcements",
        "id",
        "NOT (due_at IS NOT NULL OR posted_ts IS NOT NULL OR problem IS NOT NULL)",
    ),
    "ix_backstops_to_go": (
        "backstops",
        "due_at",
        "due_at IS NULL AND name IS NOT NULL AND alone AND NOT shown",
    ),
    "ix_post_reviews_no_step": (
        "post_reviews",
        "step_due_at",
        "reviewed_at IS NULL AND step_due_at IS NULL",
    ),
}


def upgrade() -> None:
    for name, (table, column, condition) in _INDEXES.items():
        where = sa.text(condition)
        op.create_index(name, table, [column], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name, (table, _, _) in _INDEXES.items():
        op.drop_index(name, table_name=table)
