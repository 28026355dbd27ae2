"""A bot that is killed anywhere: the next one makes everything right, within seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from bot_process import until
from kill_points import Hold
from kill_world import World
from lives import EVERY_TIME, LIVES, Life

ITEMS = "SELECT count(*) FROM inbox"
LOCKED_DOWN = "SELECT count(*) FROM lockdowns WHERE state = 'ON'"


def every_case() -> Iterator[object]:
    for kind, chosen in EVERY_TIME.items():
        for name, life in LIVES.items():
            for point, hold in life.points.items():
                if kind == "sqlite" and getattr(hold, "at_commit", False):
                    continue  # there a commit is one write
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
        world = World(url)
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
    case = world.begin()
    if life.prepare is not None:
        assert life.prepare(case).acknowledged
        case.wait_right(*life.before, writes=life.written)
    items = world.scalar(ITEMS)
    held = hold.lay(case)
    acting = case.begin(life.act)
    until(held.reached, lambda: f"the point is not reached\n{world.all_logs()}")
    world.kill()
    held.killed()
    if not acting.result(10).acknowledged and world.scalar(ITEMS) == items:
        # Slack said so, and nothing is stored: the person does it again once the bot is there.
        world.start()
        assert life.act(case).acknowledged
    else:
        world.launch()
        held.restarted()
    case.wait_right(*life.after, writes=life.writes, crosses=getattr(hold, "crosses", None))
    right = time.monotonic()
    world.wait_ready()
    assert world.process.started is not None
    record_property("start", world.process.started - world.process.launched)
    record_property("right", right - world.process.started)
    if life.undo is not None:
        assert life.undo(case).acknowledged
        until(lambda: world.scalar(LOCKED_DOWN) == 0, world.all_logs)
