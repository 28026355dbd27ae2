"""One stage for all tests of a worker: lives follow each other on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.stage import Stage, stage


@pytest.fixture(scope="session")
def on(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with stage(lambda: request.getfixturevalue("postgresql")) as made:
        yield made
