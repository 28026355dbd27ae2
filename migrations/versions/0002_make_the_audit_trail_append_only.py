"""Make the audit trail append-only, and give it a table of seals.

The triggers are the database's own refusal: whoever may write may add, and nothing else. A later
migration that makes `audit_events` or `audit_seals` anew (as batch mode does on SQLite) has to make
its triggers anew as well.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TABLES = ("audit_events", "audit_seals")

# REPLACE deletes the row in its way without firing a trigger on DELETE, so it is refused on INSERT.
# SQLite, "CREATE TABLE": "delete triggers fire if and only if recursive triggers are enabled".
_SAME_ROW = {
    "audit_events": "SELECT 1 FROM audit_events WHERE id = NEW.id",
    "audit_seals": "SELECT 1 FROM audit_seals WHERE position = NEW.position "
    "UNION ALL SELECT 1 FROM audit_seals WHERE event_id = NEW.event_id",
}


def upgrade() -> None:
    op.create_table(
        "audit_seals",
        sa.Column("position", _COUNTER, autoincrement=False, nullable=False),
        sa.Column("event_id", _COUNTER, nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["audit_events.id"], name=op.f("fk_audit_seals_event_id")
        ),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_audit_seals")),
    )
    op.create_index("uq_audit_seals_event_id", "audit_seals", ["event_id"], unique=True)
    op.create_table(
        "audit_unsealed",
        sa.Column("event_id", _COUNTER, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_audit_unsealed")),
    )
    # What was recorded before there were seals is sealed by the first bot to start.
    op.execute("INSERT INTO audit_unsealed (event_id) SELECT id FROM audit_events")
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def downgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    on = "" if sqlite else " ON audit_events"
    op.execute(f"DROP TRIGGER audit_events_to_seal{on}")
    for table in _TABLES:
        for name in ("update", "delete", "replace") if sqlite else ("change",):
            op.execute(f"DROP TRIGGER {table}_no_{name}" + ("" if sqlite else f" ON {table}"))
    if not sqlite:
        op.execute("DROP FUNCTION audit_to_seal()")
        op.execute("DROP FUNCTION audit_append_only()")
    op.drop_table("audit_unsealed")
    op.drop_index("uq_audit_seals_event_id", table_name="audit_seals")
    op.drop_table("audit_seals")


def _guard_sqlite() -> None:
    for table in _TABLES:
        refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}")
        op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}")
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
            f"WHEN EXISTS ({_SAME_ROW[table]}) {refuse}"
        )
    op.execute(
        "CREATE TRIGGER audit_events_to_seal AFTER INSERT ON audit_events "
        "BEGIN INSERT INTO audit_unsealed (event_id) VALUES (NEW.id); END"
    )


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION '% is append-only: no %', TG_TABLE_NAME, TG_OP "
        "USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(
        "CREATE FUNCTION audit_to_seal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO audit_unsealed (event_id) VALUES (NEW.id); RETURN NULL; END $$"
    )
    for table in _TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
        )
        # Also where session_replication_role turns the others off.
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_change")
    op.execute(
        "CREATE TRIGGER audit_events_to_seal AFTER INSERT ON audit_events "
        "FOR EACH ROW EXECUTE FUNCTION audit_to_seal()"
    )
    op.execute("ALTER TABLE audit_events ENABLE ALWAYS TRIGGER audit_events_to_seal")
