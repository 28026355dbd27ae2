"""Some lives in each run of the tests, in chunks the workers share; `make simulate` has more."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.life import ACTS, Life, Outcome, Story, act, live
from tests.simulation.mutation import ROOT, threat
from tests.simulation.mutations import MUTATIONS, misfits
from tests.simulation.runner import run_here, tell
from tests.simulation.scene import ACCOUNT, DAN, DEPLOYMENT, EVE, LAB, REGION, role
from tests.simulation.shadow import BOT, TAG, Book
from tests.simulation.stage import Stage
from tests.simulation.store_troubles import FULL, LOCKED, READS
from tests.simulation.threat_table import TABLE, unproven
from tests.simulation.writer import REFUSALS, write

EACH, CHUNKS = 20, 25
ACTS_KNOWN = tuple(ACTS)
AWS = (
    "answer lost",
    "arrived late",
    "connection cut",
    "denied",
    "half an answer",
    "not there yet",
    "server error",
    "shown late",
    "slow",
    "throttled",
    "timed out, still under way",
)
BY_OTHERS = (
    "associate",
    "create",
    "delete",
    "disassociate",
    "groups",
    "narrow",
    "orphan",
    "tag",
    "untag",
    "widen",
)
POINTS = (
    "begin",
    "commit",
    "committed",
    "aws asked",
    "aws answered",
    "slack asked",
    "slack answered",
)
SLACK = (
    "channel archived",
    "cut",
    "down",
    "error",
    "half an answer",
    "odd Retry-After",
    "posted, answer lost",
    "rate limited",
    "a user group that is gone",
    *(f"refuses for good ({error})" for error in REFUSALS),
)
ONCE_BROKEN = (2431, 8469, 11885, 15905)
"""Of 20,000: a return that was lost before EKS answered, a write from a clock that was ahead, an
extension whose end had passed, and a bot gone for good under the schedule of before."""

FAULTS = {
    *(f"met: aws: {kind}" for kind in AWS),
    *(f"met: slack: {kind}" for kind in SLACK),
    *(f"met: others {what}" for what in BY_OTHERS),
    *(f"met: crash: {point}" for point in POINTS),
    *(f"met: outage: {point}" for point in ("begin", "commit", "committed")),
    *(f"met: raised: {what} {when}" for what in ("aws", "slack") for when in ("asked", "answered")),
    *(f"met: store {kind}" for kind in (READS, LOCKED, FULL)),
    *(f"met: meanwhile: {what}" for what in ("operator revokes", "tick", "time", "type")),
    "became: break-glass reviewed",
    "became: grant ended as cluster gone",
    "became: grant revoked in Slack",
    "calm: access was right without Slack",
    "became: schedule fired: deleted",
    "met: lockdown off",
    "met: lockdown on",
    "met: a cluster was deleted",
    "met: aws: the role is refused",
    "met: restart after a crash",
    "met: a second bot found live access of the first",
    "met: a second bot on an empty store",
    "met: an entry of another store",
    "met: role replaced",
    "met: the clock was set ahead",
    "met: the clock was set back",
    "met: the store was away",
    "met: the store went back",
}
"""Each is met at least once in the lives of a run of the tests."""


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all workers of this run of the tests have in common."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.mark.timeout(300)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_invariant_holds_after_each_step_of_every_life(
    on: Stage, shared: Path, chunk: int
) -> None:
    """The last of the chunks sees to it that every kind of act and of fault was there."""
    seeds = range(chunk * EACH, (chunk + 1) * EACH)
    counts, failures = run_here(on, seeds, shrinking=20)
    assert not failures, "\n\n".join(map(str, failures))
    written = shared / f"lives-{chunk}.new"
    written.write_text(json.dumps(counts))
    written.rename(shared / f"lives-{chunk}.json")
    told = list(shared.glob("lives-*.json"))
    if len(told) == CHUNKS:
        whole = sum((Counter(json.loads(one.read_text())) for one in told), Counter[str]())
        assert whole["lives"] == EACH * CHUNKS
        acts = {f"step: {name}" for name in ACTS_KNOWN}
        assert sorted((FAULTS | acts) - whole.keys()) == []


@pytest.mark.parametrize("seed", ONCE_BROKEN)
def test_a_life_that_once_broke_an_invariant_holds(on: Stage, seed: int) -> None:
    _, failure = tell(on, write(seed), shrinking=0)
    assert failure is None


def test_a_card_that_showed_what_the_store_has_lost_is_set_right(on: Stage) -> None:
    """A return is lost that nothing but its card has shown."""
    steps: list[list[Any]] = [
        ["ask", EVE, LAB, "edit", ["pay"], 1],
        ["tick", ["inbox", "access", "messages"]],
        ["tick", ["access", "messages"]],
        ["store kept"],
        ["click", "return", EVE, -1],
        ["tick", ["giving back", "messages"]],
        ["store back"],
    ]
    _, failure = tell(on, Story(2431, write(2431).setting, steps), shrinking=0)
    assert failure is None


def test_many_lives_are_lived_on_processes_of_their_own_and_counted() -> None:
    """`make simulate`, with one life of each database."""
    command = [sys.executable, "-m", "tests.simulation", "--lives", "2", "--first", "25"]
    done = subprocess.run(  # noqa: S603 - our own command
        [*command, "--workers", "1"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "2 lives in " in done.stdout
    assert "0 broke an invariant" in done.stdout


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
    story.steps += [["tick", ["inbox"]], ["forge"], ["tick", ["inbox"]]]
    outcome, failure = tell(on, story, shrinking=20)
    assert outcome.broken is not None
    assert failure is not None
    assert ["forge"] in failure.story.steps
    assert len(failure.story.steps) < len(story.steps)
    assert "invariant" in failure.message
    assert Story.load(failure.story.dump()) == failure.story


def test_each_test_of_the_threats_table_has_a_bug_that_makes_it_fail() -> None:
    """docs/security.md names tests beside each threat; a bug takes the threat's defence out."""
    assert unproven(TABLE.read_text(), MUTATIONS) == []


def test_a_row_of_the_threats_table_without_its_deliberate_bug_is_refused() -> None:
    text = TABLE.read_text()
    row = "| 99 | Somebody | stands against it | `tests/core/test_ids.py::test_an_id` |"
    assert unproven(f"{text}\n{row}\n", MUTATIONS) == [
        "row 99: no deliberate bug takes its defence out",
        "row 99: no deliberate bug makes tests/core/test_ids.py::test_an_id fail",
    ]
    bug = threat(99, "let somebody", "core/test_ids.py::test_an_id")
    assert unproven(f"{text}\n{row}\n", (*MUTATIONS, bug)) == []
    assert unproven(text, (*MUTATIONS, bug)) == [
        "let somebody: row 99 does not name tests/core/test_ids.py::test_an_id"
    ]


def test_every_deliberate_bug_still_fits_the_source() -> None:
    assert misfits() == []
    assert len(MUTATIONS) >= 15
    assert len({one.name for one in MUTATIONS}) == len(MUTATIONS)
