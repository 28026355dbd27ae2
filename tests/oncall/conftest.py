"""A local PagerDuty, Opsgenie and Jira, what asks them, and a clock moved by hand."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.oncall import Opsgenie, PagerDuty
from bot.sandbox.hand_clock import HandClock
from bot.sandbox.local_jira import EMAIL
from bot.sandbox.local_services import LocalServices
from bot.tickets import Jira, PagerDutyIncidents

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def local(clock) -> Iterator[LocalServices]:
    with LocalServices(clock=clock) as services:
        yield services


@pytest.fixture
def pagerduty(local, clock) -> Iterator[PagerDuty]:
    asked = PagerDuty(local.pagerduty.url, local.pagerduty.key, clock=clock)
    yield asked
    asked.close()


@pytest.fixture
def opsgenie(local, clock) -> Iterator[Opsgenie]:
    asked = Opsgenie(local.opsgenie.url, local.opsgenie.key, clock=clock)
    yield asked
    asked.close()


@pytest.fixture
def jira(local, clock) -> Iterator[Jira]:
    asked = Jira(local.jira.url, EMAIL, local.jira.key, clock=clock)
    yield asked
    asked.close()


@pytest.fixture
def incidents(local, clock) -> Iterator[PagerDutyIncidents]:
    asked = PagerDutyIncidents(local.pagerduty.url, local.pagerduty.key, clock=clock)
    yield asked
    asked.close()
