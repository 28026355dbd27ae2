"""`make mutants`: put each deliberate bug into a copy of the project and see it caught.

    python -m tests.simulation.mutants [WORD…]      those whose name has all the words
    python -m tests.simulation.mutants --threats    those of the table in docs/security.md
    python -m tests.simulation.mutants --threat N   those of one row of it

Each copy lives until the first life breaks an invariant, or each named test fails. One that goes on
for longer than it may is missed. How a row of the table is added stands in `threat_mutations`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.mutation import ROOT, SIMULATION, Mutation
from tests.simulation.mutations import MUTATIONS, misfits
from tests.simulation.threat_table import TABLE, of_table, unproven

LIVES = 600
"""In so many lives at most a bug has to show."""

PATIENCE = 900
"""Seconds that one bug may take: several times what it needs on two quiet cores."""

_COPIED = ("bot", "deploy", "docs", "tests", "migrations")
_FILES = ("pyproject.toml", "app-manifest.yml")
_CAUGHT = 1
"""The exit code of a run in which an invariant broke or a test failed; 2 is bad use."""


@dataclass(frozen=True)
class Verdict:
    """`said` is the invariant or the test that failed, or the end of what was printed."""

    mutation: Mutation
    caught: bool
    seconds: float
    said: str


@contextmanager
def mutated(mutation: Mutation | None) -> Iterator[Path]:
    """A copy of the project with the bug in it, or as it is."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        for name in _COPIED:
            # With what Python compiled: that of a changed file is older than the file, and unused.
            shutil.copytree(ROOT / name, copy / name)
        for name in _FILES:
            shutil.copy(ROOT / name, copy / name)
        for change in mutation.changes if mutation is not None else ():
            file = copy / change.file
            file.write_text(file.read_text().replace(change.old, change.new))
        yield copy


def judge(mutation: Mutation) -> Verdict:
    """Whether the bug is caught by what has to catch it."""
    began = time.monotonic()
    try:
        with mutated(mutation) as copy:
            if mutation.by == SIMULATION:
                caught, said = _by_lives(copy, mutation.first)
            else:
                caught, said = _by_tests(copy, mutation.tests)
    except subprocess.TimeoutExpired:
        caught, said = False, f"not caught within {PATIENCE} s"
    return Verdict(mutation, caught, time.monotonic() - began, said)


def _by_lives(copy: Path, first: int) -> tuple[bool, str]:
    """Live until a life breaks an invariant. Without the bug the same life breaks none."""
    command = ["tests.simulation", "--until-broken", "--lives"]
    done = _run(copy, *command, str(LIVES), "--first", str(first))
    said = _last(done, "seed ")
    if done.returncode != _CAUGHT or not said.startswith("seed "):
        return False, said
    seed = said.removeprefix("seed ").partition(",")[0]
    without = _run(ROOT, *command, "1", "--first", seed)
    if without.returncode != 0:
        return False, f"also without the bug: {_last(without, 'seed ')}"
    return True, said


def _by_tests(copy: Path, addresses: tuple[str, ...]) -> tuple[bool, str]:
    """Run exactly these tests; each of them has to fail."""
    first = ["-x"] if len(addresses) == 1 else []
    done = _run(copy, "pytest", *first, "-p", "no:cacheprovider", *addresses)
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    green = [one for one in addresses if not any(_is_of(line, one) for line in failed)]
    if done.returncode != _CAUGHT or green:
        return False, f"{', '.join(green)} did not fail: {_last(done, 'FAILED ')}"
    return True, failed[-1]


def _is_of(line: str, address: str) -> bool:
    """Whether a line `FAILED …` is about this test, or about one of this file."""
    name = line.removeprefix("FAILED ").partition(" ")[0]
    return name.startswith(address) and name[len(address) : len(address) + 1] in {"", "[", ":"}


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Raises subprocess.TimeoutExpired."""
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def _catchers(mutation: Mutation) -> str:
    return ", ".join(mutation.tests) or SIMULATION


def _last(done: subprocess.CompletedProcess[str], sign: str) -> str:
    """The last line that begins with `sign`, or else of all that was printed."""
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    found = [line for line in lines if line.startswith(sign)]
    return (found or lines or done.stderr.splitlines() or ["nothing was printed"])[-1]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--threats", action="store_true")
    parser.add_argument("--threat", type=int)
    given = parser.parse_args()
    problems = [*misfits(), *unproven(TABLE.read_text(), MUTATIONS)]
    if problems:
        sys.stdout.write("\n".join(problems) + "\n")
        return 2
    bugs = of_table(MUTATIONS) if given.threats else MUTATIONS
    chosen = [
        one
        for one in bugs
        if all(word in one.name for word in given.words) and given.threat in {None, one.threat}
    ]
    width = max((len(one.name) for one in chosen), default=0)
    missed = 0
    with ThreadPoolExecutor(given.workers) as pool:
        for verdict in pool.map(judge, chosen):
            missed += not verdict.caught
            mark = "caught by" if verdict.caught else "MISSED by"
            sys.stdout.write(
                f"{verdict.mutation.name:<{width}}  {mark} {_catchers(verdict.mutation)}, "
                f"{verdict.seconds:.0f} s: {verdict.said[:160]}\n"
            )
            sys.stdout.flush()
    sys.stdout.write(f"{len(chosen)} bugs, {len(chosen) - missed} caught, {missed} missed\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
