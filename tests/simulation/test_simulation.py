"""Some lives in each run of the tests, in chunks the workers share; `make simulate` has more."""

from __future__ import annotations

import re

import pytest

from tests.simulation.life import Life, Outcome, Story, act, live
from tests.simulation.mutation import ROOT
from tests.simulation.mutations import MUTATIONS, misfits
from tests.simulation.runner import run_here, tell
from tests.simulation.scene import ACCOUNT, DAN, DEPLOYMENT, LAB, REGION, role
from tests.simulation.shadow import BOT, TAG, Book
from tests.simulation.stage import Stage
from tests.simulation.threat_mutations import THREATS
from tests.simulation.writer import write

EACH, CHUNKS = 10, 6


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_invariant_holds_after_each_step_of_every_life(on: Stage, chunk: int) -> None:
    seeds = range(chunk * EACH, (chunk + 1) * EACH)
    counts, failures = run_here(on, seeds, shrinking=20)
    assert not failures, "\n\n".join(map(str, failures))
    assert counts["lives"] == EACH


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


def test_each_threat_of_people_and_policy_has_a_bug_that_its_own_test_catches() -> None:
    """docs/security.md names the test beside the threat; the bug takes the threat's defence out."""
    text = (ROOT / "docs" / "security.md").read_text()
    named = dict(re.findall(r"^\| (\d+) \|(.*)$", text, re.MULTILINE))
    for bug in THREATS:
        assert f"`{bug.by}`" in named[str(bug.threat)], bug.name
    assert {bug.threat for bug in THREATS} == {1, 2, 3, 4, 5, 6, 7, 20}


def test_every_deliberate_bug_still_fits_the_source() -> None:
    assert misfits() == []
    assert len(MUTATIONS) >= 15
    assert len({one.name for one in MUTATIONS}) == len(MUTATIONS)
