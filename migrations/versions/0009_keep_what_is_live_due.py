"""Refuse rows that are live and that nothing would ever look at again."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# The column that says when a row is looked at, and what holds for each row of the table.
_TABLES = {
    "entries": ("due_at", "attempts = 0 OR due_at IS NOT NULL"),
    "backstops": ("due_at", "attempts = 0 OR due_at IS NOT NULL"),
    "requests": ("messages_due_at", "messages_attempts = 0 OR messages_due_at IS NOT NULL"),
    "inbox": ("due_at", "state = 'DONE' OR due_at IS NOT NULL"),
    "announcements": (
        "due_at",
        "due_at IS NOT NULL OR posted_ts IS NOT NULL OR problem IS NOT NULL",
    ),
}
_PAST = {"sqlite": "'2000-01-01 00:00:00.000000'", "postgresql": "'2000-01-01 00:00:00+00'"}


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    for table, (due, condition) in _TABLES.items():
        # What an earlier version left so is looked at now.
        op.execute(f"UPDATE {table} SET {due} = {_PAST[dialect]} WHERE NOT ({condition})")  # noqa: S608 - no input
        if dialect == "sqlite":
            # To add a constraint, SQLite would have to make the table anew, and others refer to it.
            for event in ("insert", "update"):
                broken = f"SELECT 1 FROM {table} WHERE rowid = new.rowid AND NOT ({condition})"  # noqa: S608 - no input
                op.execute(
                    f"CREATE TRIGGER {table}_live_is_due_{event} AFTER {event.upper()} ON {table} "
                    f"WHEN EXISTS ({broken}) "
                    f"BEGIN SELECT RAISE(ABORT, '{table}: a live row has to be due'); END"
                )
        else:
            op.create_check_constraint(op.f(f"ck_{table}_live_is_due"), table, condition)


def downgrade() -> None:
    for table in _TABLES:
        if op.get_bind().dialect.name == "sqlite":
            for event in ("insert", "update"):
                op.execute(f"DROP TRIGGER {table}_live_is_due_{event}")
        else:
            op.drop_constraint(op.f(f"ck_{table}_live_is_due"), table, type_="check")
