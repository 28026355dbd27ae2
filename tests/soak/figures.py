"""What happened in a soak, in figures."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

from tests.soak import judge
from tests.soak.bots import BotProcess
from tests.soak.events import Struck
from tests.soak.load import Load

_TOLD_LEVELS = frozenset({"warning", "error", "critical"})


def figures(
    load: Load,
    bots: Sequence[BotProcess],
    found: Sequence[judge.Removal],
    struck: Sequence[Struck],
    now: float,
) -> Iterator[str]:
    """The lines to print."""
    asked = len(load.taken) + len(load.told) + len(load.failed)
    yield (
        f"{asked} people asked: {len(load.taken)} were taken, {len(load.told)} were told at once "
        f"that the bot cannot, {len(load.failed)} got no answer."
    )
    yield f"{len(found)} were given access."
    seconds = sorted(judge.overdue(one, struck, now) for one in found)
    if seconds:
        yield (
            f"Seconds past the end with a store: median {statistics.median(seconds):.1f}, "
            f"p99 {seconds[int(len(seconds) * 0.99)]:.1f}, most {seconds[-1]:.1f}"
        )
    for one in struck:
        red = [bot.first_look(one.since, ready=False) for bot in bots]
        green = [bot.first_look(one.until, ready=True) for bot in bots]
        yield f"{one.event.name}: red after {_each(red)}, green again after {_each(green)}"
    counted = sum((bot.events() for bot in bots), Counter())
    for (level, event), number in counted.most_common():
        if level in _TOLD_LEVELS:
            yield f"  {number:6} {level} {event}"


def _each(seconds: Sequence[float | None]) -> str:
    return ", ".join("never" if one is None else f"{one:.0f} s" for one in seconds)
