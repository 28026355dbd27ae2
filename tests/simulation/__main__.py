"""`make simulate`: the nightly run of lives, or one seed or stored story again.

python -m tests.simulation --lives 20000 [--first 0] [--workers 2]
python -m tests.simulation --seed 4711
python -m tests.simulation --story FILE
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from tests.simulation.life import Story, live
from tests.simulation.runner import postgresql, run_everywhere, table, tell
from tests.simulation.stage import stage
from tests.simulation.writer import write

NIGHTLY = 20_000


def say(line: object) -> None:
    sys.stdout.write(f"{line}\n")


def replay(story: Story) -> int:
    """Carry one story out and say how it went."""
    with ExitStack() as stack:
        on = stack.enter_context(stage(postgresql(stack)))
        outcome, failure = tell(on, story)
    for line in table(outcome.counts):
        say(line)
    say(failure or f"seed {story.seed}: every invariant holds after each of its steps")
    return 1 if failure else 0


def until_broken(seeds: range) -> int:
    """Live on SQLite until something breaks, and say what; nothing is made short."""
    with stage() as on, on.open():
        for seed in seeds:
            outcome = live(on, write(seed))
            if outcome.broken is not None:
                say(f"seed {seed}, step {outcome.at}: {outcome.broken}")
                return 1
    say(f"{len(seeds):,} lives, and every invariant holds")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--lives", type=int, default=NIGHTLY)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--story", type=Path)
    parser.add_argument("--until-broken", action="store_true", help="stop at the first failure")
    given = parser.parse_args()
    if given.story is not None:
        return replay(Story.load(given.story.read_text()))
    if given.seed is not None:
        return replay(write(given.seed))
    seeds = range(given.first, given.first + given.lives)
    if given.until_broken:
        return until_broken(seeds)
    began = time.monotonic()
    counts, failures = run_everywhere(seeds, given.workers)
    for line in table(counts):
        say(line)
    for failure in failures:
        say(f"\n{failure}")
    say(
        f"\n{counts['lives']:,} lives in {time.monotonic() - began:.0f} s on {given.workers} "
        f"processes: {len(failures)} broke an invariant"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
