"""The SQL store: tables, sessions, queries, claims, migrations."""
