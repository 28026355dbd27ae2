"""A desk at which people ask, review and give back, on a fresh store."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from desk import Desk

from bot.store.database import Database


@pytest.fixture
def database_kind() -> str:
    """SQLite, except where a test asks for both kinds by parametrising this."""
    return "sqlite"


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)
