"""Real bots that are killed, between a local Slack, a local EKS and a database of either kind."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

_SLOWEST = 5


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let processes take their time to start where the machine is busy."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(300))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how long it took, over all cases, until a restarted bot had made everything right."""
    properties = [
        (report.nodeid.rpartition("[")[2].rstrip("]"), dict(report.user_properties))
        for report in terminalreporter.getreports("passed")
        if report.when == "call"
    ]
    for name, title in (("start", "launch to loops running"), ("right", "then until all right")):
        seconds = sorted((one[name], where) for where, one in properties if name in one)
        if not seconds:
            continue
        terminalreporter.write_line(
            f"{title:24} {len(seconds):4} times, "
            f"median {statistics.median(one for one, _ in seconds):.2f} s"
        )
        for one, where in seconds[: -_SLOWEST - 1 : -1]:
            terminalreporter.write_line(f"{one:8.2f} s  {where}")
