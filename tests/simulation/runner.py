"""Many lives: in this process or in one process a core, with counts and a story for what fails."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass

from tests.postgresql_server import running_postgresql
from tests.simulation import people_acts, second_bot, store_acts, world_acts
from tests.simulation.life import Outcome, Story, live
from tests.simulation.shrink import shrink
from tests.simulation.stage import Postgresql, Stage, little_garbage, stage
from tests.simulation.writer import write

ACTS = (people_acts, second_bot, store_acts, world_acts)
"""The modules whose steps a story may have; importing them registers the steps."""

_CHUNK = 20


@dataclass(frozen=True)
class Failure:
    """A life that broke an invariant, as short as it could be made."""

    seed: int
    story: Story
    message: str

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.message}\nThe story that shows it, to be replayed with "
            f"`make simulate STORY=FILE`:\n{self.story.dump()}"
        )


def tell(on: Stage, story: Story, *, shrinking: float = 60) -> tuple[Outcome, Failure | None]:
    """Carry one story out; where it fails, make it short, in at most so many seconds."""
    with on.open():
        outcome = live(on, story)
        if outcome.broken is None:
            return outcome, None
        short, last = shrink(story, outcome, lambda one: live(on, one), seconds=shrinking)
    return outcome, Failure(story.seed, short, str(last.broken))


def run_here(
    on: Stage, seeds: Iterable[int], *, shrinking: float = 60
) -> tuple[Counter[str], list[Failure]]:
    """The lives of these seeds, one after the other."""
    counts: Counter[str] = Counter()
    failures = []
    with little_garbage():
        for seed in seeds:
            outcome, failure = tell(on, write(seed), shrinking=shrinking)
            counts.update(outcome.counts)
            counts["lives"] += 1
            if failure is not None:
                failures.append(failure)
    return counts, failures


def run_everywhere(seeds: range, workers: int) -> tuple[Counter[str], list[Failure]]:
    """The lives of these seeds on so many processes, with progress on standard error.

    What fails is told there at once, so that a run that is cut off has told it.
    """
    chunks = [seeds[at : at + _CHUNK] for at in range(0, len(seeds), _CHUNK)]
    counts: Counter[str] = Counter()
    failures: list[Failure] = []
    began = time.monotonic()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, initializer=_begin) as pool:
        for done in as_completed([pool.submit(_chunk, chunk) for chunk in chunks]):
            more, failed = done.result()
            counts.update(more)
            failures += failed
            for failure in failed:
                sys.stderr.write(f"\n{failure}\n")
            _progress(counts["lives"], len(seeds), len(failures), began)
    sys.stderr.write("\n")
    return counts, failures


def postgresql(stack: ExitStack) -> Callable[[], Postgresql]:
    """What starts a PostgreSQL once it is asked for, for as long as `stack` is open."""
    started: list[Postgresql] = []

    def server() -> Postgresql:
        if not started:
            started.append(stack.enter_context(running_postgresql()))
        return started[0]

    return server


_here: Stage | None = None


def _begin() -> None:
    global _here  # noqa: PLW0603 - a worker process has one stage
    stack = ExitStack()
    _here = stack.enter_context(stage(postgresql(stack)))
    multiprocessing.util.Finalize(None, stack.close, exitpriority=10)


def _chunk(seeds: range) -> tuple[Counter[str], list[Failure]]:
    assert _here is not None
    return run_here(_here, seeds)


def _progress(done: int, of: int, failed: int, began: float) -> None:
    passed = time.monotonic() - began
    left = passed / done * (of - done)
    line = f"{done:,} of {of:,} lives, {failed} failed, {passed:.0f} s, {left:.0f} s to go"
    sys.stderr.write(f"\r{line}   " if sys.stderr.isatty() else f"{line}\n")
    sys.stderr.flush()


def table(counts: Counter[str]) -> Iterator[str]:
    """The counts as aligned lines, by kind."""
    groups = ("step", "met", "became", "calm")
    for group in groups:
        found = sorted((name, n) for name, n in counts.items() if name.startswith(f"{group}: "))
        if found:
            yield f"{group}:"
            yield from (f"  {n:>9,}  {name.partition(': ')[2]}" for name, n in found)
