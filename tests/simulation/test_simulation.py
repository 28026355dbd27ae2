"""Five hundred lives, in chunks that the workers share; a nightly run has twenty thousand."""

from __future__ import annotations

import fcntl
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.life import Life, Outcome, Story, act, live
from tests.simulation.mutations import MUTATIONS, misfits
from tests.simulation.process import LOOPS
from tests.simulation.runner import run_here, tell
from tests.simulation.scene import ACCOUNT, DAN, DEPLOYMENT, LAB, REGION, role
from tests.simulation.shadow import BOT, TAG, Book
from tests.simulation.stage import Stage
from tests.simulation.writer import write

EACH, CHUNKS = 10, 50
FAULTS = (
    "aws: answer lost",
    "aws: arrived late",
    "aws: connection cut",
    "aws: denied",
    "aws: not there yet",
    "aws: server error",
    "aws: shown late",
    "aws: slow",
    "aws: throttled",
    "aws: timed out, still under way",
    "crash: aws answered",
    "crash: aws asked",
    "crash: begin",
    "crash: commit",
    "crash: committed",
    "crash: slack answered",
    "crash: slack asked",
    "meanwhile: operator revokes",
    "meanwhile: tick",
    "meanwhile: time",
    "meanwhile: type",
    "others associate",
    "others create",
    "others delete",
    "others disassociate",
    "others groups",
    "others narrow",
    "others orphan",
    "others tag",
    "others untag",
    "others widen",
    "outage: begin",
    "outage: commit",
    "restart after a crash",
    "slack: channel archived",
    "slack: cut",
    "slack: down",
    "slack: error",
    "slack: posted, answer lost",
    "slack: rate limited",
    "the clock was set ahead",
    "the clock was set back",
    "the store was away",
)
"""What the five hundred lives meet, each of it."""


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all workers of this run share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "simulation"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_invariant_holds_after_each_step_of_every_life(
    on: Stage, chunk: int, shared: Path
) -> None:
    seeds = range(chunk * EACH, (chunk + 1) * EACH)
    counts, failures = run_here(on, seeds, shrinking=20)
    assert not failures, "\n\n".join(map(str, failures))
    assert counts["lives"] == EACH
    everything = all_counts(shared, chunk, counts)
    if everything is not None:
        assert everything["lives"] == EACH * CHUNKS
        assert [fault for fault in FAULTS if not everything[f"met: {fault}"]] == []


def all_counts(shared: Path, chunk: int, counts: Counter[str]) -> Counter[str] | None:
    """Keep the counts of one chunk; the last to come gets the sum of all."""
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (shared / f"{chunk}.json").write_text(json.dumps(counts))
        files = list(shared.glob("*.json"))
    if len(files) < CHUNKS:
        return None
    total: Counter[str] = Counter()
    for file in files:
        total.update(json.loads(file.read_text()))
    return total


def test_a_story_is_carried_out_the_same_way_each_time(on: Stage) -> None:
    def once() -> Outcome:
        with on.open():
            return live(on, Story.load(write(3).dump()))

    first, second = once(), once()
    assert first.trace == second.trace
    assert first.counts == second.counts


def test_a_life_that_breaks_an_invariant_is_told_as_a_short_story(on: Stage) -> None:
    """Somebody with the bot's own rights puts an entry there, and no grant is behind it."""

    @act("forge")
    def forge(life: Life) -> None:
        entry = (LAB, role(DAN, life.setting))
        life.eks.put_entry(*entry, REGION, ACCOUNT, tags={TAG: DEPLOYMENT})
        life.oracle.shadow.books[entry] = Book(BOT)

    story = write(3)
    story.steps += [["tick", [0]], ["forge"], ["tick", [1]]]
    outcome, failure = tell(on, story, shrinking=20)
    assert outcome.broken is not None
    assert failure is not None
    assert ["forge"] in failure.story.steps
    assert len(failure.story.steps) < len(story.steps)
    assert "invariant" in failure.message
    assert Story.load(failure.story.dump()) == failure.story


def test_every_deliberate_bug_still_fits_the_source() -> None:
    assert misfits() == []
    assert len(MUTATIONS) >= 15
    assert len({one.name for one in MUTATIONS}) == len(MUTATIONS)


def test_the_simulation_runs_every_loop_that_the_bot_has() -> None:
    wiring = Path(__file__).parents[2] / "bot" / "wiring.py"
    assert set(re.findall(r'Loop\(\s*"([^"]+)"', wiring.read_text())) == set(LOOPS)
