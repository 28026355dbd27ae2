"""One life in the middle of which the bot is killed, and started again."""

from __future__ import annotations

import time
from typing import NamedTuple

from bot_process import until
from kill_points import Hold
from kill_world import World
from lives import Life

ITEMS = "SELECT count(*) FROM inbox"
LOCKED_DOWN = "SELECT count(*) FROM lockdowns WHERE state = 'ON'"


class Restart(NamedTuple):
    """Seconds from the launch of the new bot to its loops, and from there until all was right."""

    start: float
    right: float


def kill_at(world: World, life: Life, hold: Hold) -> Restart:
    """Kill the bot of a world there, start another, and wait until it has made everything right.

    Raises AssertionError where the point is not reached, or something stays wrong.
    """
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
        world.launch()
        world.wait_ready()
        again = time.monotonic()
        assert life.act(case).acknowledged
    else:
        world.launch()
        again = None
        held.restarted()
    case.wait_right(*life.after, writes=life.writes, crosses=getattr(hold, "crosses", None))
    right = time.monotonic()
    world.wait_ready()
    started = world.process.started
    assert started is not None
    if life.undo is not None:
        assert life.undo(case).acknowledged
        until(lambda: world.scalar(LOCKED_DOWN) == 0, world.all_logs)
    return Restart(started - world.process.launched, right - (again or started))
