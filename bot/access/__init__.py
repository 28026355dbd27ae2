"""Use cases: one transaction each, state and audit event together."""
