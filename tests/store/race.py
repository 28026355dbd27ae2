"""Several transactions at once, as from several replicas."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from sqlalchemy import Connection, text

from bot.core.errors import DomainError
from bot.store.database import Database


def race(database: Database, *actions: Callable[[Connection], Any]) -> list[Any]:
    """Run each action in a transaction of its own, all at once.

    Returns what each gave, or the DomainError it raised; any other error is raised here.
    """
    start = Barrier(len(actions), timeout=10)

    def run(action: Callable[[Connection], Any]) -> Any:
        try:
            if database.is_sqlite:  # where a transaction keeps all others from beginning
                start.wait()
                with database.transaction() as tx:
                    return action(tx)
            with database.transaction() as tx:
                tx.execute(text("SELECT 1"))
                start.wait()
                return action(tx)
        except DomainError as error:
            return error

    with ThreadPoolExecutor(len(actions)) as threads:
        return list(threads.map(run, actions))
