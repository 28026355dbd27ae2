"""A SQLite file serves one process."""

from __future__ import annotations

from contextlib import closing

import pytest

from bot.core.errors import StoreUnavailable
from bot.store.database import Database
from bot.store.instance import only_instance


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_second_bot_on_one_sqlite_file_is_refused_while_the_first_runs(
    database: Database, database_url: str
) -> None:
    with closing(Database(database_url)) as second:
        with only_instance(database), pytest.raises(StoreUnavailable, match="serves one process"):
            second_runs(second)
        second_runs(second)


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_several_bots_share_a_postgresql(database: Database, database_url: str) -> None:
    with closing(Database(database_url)) as second, only_instance(database):
        second_runs(second)


def second_runs(database: Database) -> None:
    with only_instance(database):
        pass
