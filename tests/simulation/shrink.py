"""From a story that breaks an invariant to a short one that breaks the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from tests.simulation.life import Outcome, Story


def shrink(
    story: Story, broken: Outcome, live: Callable[[Story], Outcome], *, seconds: float = 60
) -> tuple[Story, Outcome]:
    """Leave out steps, ever smaller runs of them, for as long as the same invariant breaks."""
    number = broken.broken.number if broken.broken is not None else ""
    best, outcome = replace(story, steps=story.steps[: broken.at + 1]), broken
    deadline = time.monotonic() + seconds
    size = max(len(best.steps) // 2, 1)
    while time.monotonic() < deadline:
        at, shorter = 0, False
        while at < len(best.steps) and time.monotonic() < deadline:
            left = replace(best, steps=best.steps[:at] + best.steps[at + size :])
            tried = live(left)
            if tried.broken is not None and tried.broken.number == number:
                best = replace(left, steps=left.steps[: tried.at + 1])
                outcome, shorter = tried, True
            else:
                at += size
        if size == 1 and not shorter:
            break
        size = max(size // 2, 1)
    return best, outcome
