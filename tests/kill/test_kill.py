"""A bot that is killed anywhere: the next one makes everything right, within seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from kill_points import Hold
from kill_world import World
from killing import kill_at
from lives import EVERY_TIME, Life, cases


def every_case() -> Iterator[object]:
    for kind, chosen in EVERY_TIME.items():
        for name, life, point, hold in cases(kind):
            marks = [] if (name, point) in chosen else [pytest.mark.kill]
            where = f"{kind}-{name}-{point}"
            yield pytest.param(kind, life, hold, marks=marks, id=where.replace(" ", "_"))


@pytest.fixture(scope="module")
def worlds() -> Iterator[dict[str, World]]:
    """The worlds in use, by database. One with a bot goes on from case to case."""
    kept: dict[str, World] = {}
    yield kept
    for world in kept.values():
        findings = world.chain_findings()
        code = world.processes.pop().stop()
        world.__exit__()
        assert (findings, code) == ([], 0)


@pytest.fixture
def world(worlds: dict[str, World], kind: str, request: pytest.FixtureRequest) -> Iterator[World]:
    """A world with one running bot; a new one after a case that failed."""
    if kind not in worlds:
        url = None
        if kind == "postgresql":
            server = request.getfixturevalue("postgresql")
            url = server.url_of(server.create_migrated())
        world = World(url, forked=True)
        world.__enter__()
        worlds[kind] = world
        world.start()
    failed = request.session.testsfailed
    yield worlds[kind]
    if request.session.testsfailed > failed:
        worlds.pop(kind).__exit__()


@pytest.mark.parametrize(("kind", "life", "hold"), [*every_case()])
def test_a_bot_killed_at_any_point_leaves_nothing_wrong_after_its_restart(
    world: World, life: Life, hold: Hold, record_property: Callable[[str, object], None]
) -> None:
    for name, seconds in kill_at(world, life, hold)._asdict().items():
        record_property(name, seconds)
