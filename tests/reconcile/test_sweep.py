"""What is live and never due is found within a minute, looked at again, and told once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from entry_world import HOUR, MINUTE, World
from sqlalchemy import Connection, text

from bot.core.model import GrantState
from bot.reconcile.sweep import Sweep
from bot.store import audit
from bot.store.never_due import Found


class Swept:
    def __init__(self, world: World) -> None:
        self.world = world
        self.told: list[tuple[Found, ...]] = []
        self.sweep = self.fresh()

    def fresh(self) -> Sweep:
        return Sweep(self.world.database, announce=self._tell, clock=self.world.clock)

    def _tell(self, _: Connection, found: Sequence[Found], now: datetime) -> None:
        assert now == self.world.clock()
        self.told.append(tuple(found))

    def lose_sight(self) -> None:
        with self.world.database.transaction() as tx:
            tx.execute(text("UPDATE entries SET due_at = NULL"))


def test_access_that_nothing_looks_at_ends_all_the_same(world: World) -> None:
    swept = Swept(world)
    assert swept.sweep.due() == []
    grant_id = world.active("view", "a")
    swept.lose_sight()
    world.clock.advance(2 * HOUR)
    assert world.bot.due() == []
    assert swept.sweep.due() == ["rows"]
    swept.sweep.work("rows")
    world.settle()
    assert world.state(grant_id) is GrantState.ENDED
    assert world.entry() is None
    [[found]] = swept.told
    assert found.table == "entries"
    assert swept.sweep.found == 1
    with world.database.reading() as tx:
        [event] = [one for one in audit.latest(tx, 100) if one.action == "store.made_due"]
    assert event.details == {"rows": [f"entries {found.key}"]}


def test_it_looks_once_a_minute_whatever_the_clock_does(world: World) -> None:
    swept = Swept(world)
    assert swept.sweep.due() == []
    world.active("view", "a")
    swept.lose_sight()
    assert swept.sweep.due() == []
    world.clock.advance(-MINUTE)
    assert swept.sweep.due() == ["rows"]


def test_two_replicas_tell_it_once(world: World) -> None:
    swept = Swept(world)
    other = swept.fresh()
    world.active("view", "a")
    swept.lose_sight()
    assert swept.sweep.due() == other.due() == ["rows"]
    swept.sweep.work("rows")
    other.work("rows")
    assert len(swept.told) == 1
    assert (swept.sweep.found, other.found) == (1, 0)
