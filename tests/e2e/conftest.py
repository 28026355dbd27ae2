"""The whole bot between a local Slack workspace and a local EKS, over the real protocols."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from shared_database import PostgresqlServer, SharedDatabase

from bot.sandbox.stage import Stage, furnish

sys.path.append(str(Path(__file__).parent.parent / "store"))


@pytest.fixture
def make_stage() -> Iterator[Callable[..., Stage]]:
    """Makes furnished stages, not yet with a bot. At the end Slack must have rejected nothing."""
    stages: list[Stage] = []
    with ExitStack() as stack:

        def make(**options: Any) -> Stage:
            stage = stack.enter_context(Stage(**options))
            furnish(stage)
            stages.append(stage)
            return stage

        yield make
    for stage in stages:
        assert stage.slack.rejections == []


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    """The sandbox with its own policy, people and clusters, and the bot running."""
    stage = make_stage()
    stage.start_bot()
    return stage


@pytest.fixture
def shared_database(postgresql: PostgresqlServer) -> Iterator[SharedDatabase]:
    """A migrated database on a real PostgreSQL."""
    database = SharedDatabase(postgresql)
    yield database
    database.drop()
