"""A database that takes no writes, or is frozen: nothing ends, and everybody is told so at once."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import timedelta

import pytest
from reading import GENERAL, PATIENCE_SECONDS, lab_entry, wait_told, words
from shared_database import SharedDatabase

from bot.sandbox.humans import Human
from bot.sandbox.slack_shown import Message
from bot.sandbox.stage import Stage
from tests.store_locks import file_locked, server_frozen, table_locked

LAB = "/eks-access request modern-access-lab view --namespace default --for 1h Looking"
SECURITY = "C0SECURITY"


def fetch(stage: Stage, path: str) -> tuple[int, str]:
    assert stage.bot is not None
    address = f"http://127.0.0.1:{stage.bot.http.port}{path}"
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE_SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def gauge(stage: Stage, name: str) -> float:
    lines = fetch(stage, "/metrics")[1].splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


@pytest.fixture(params=["sqlite", "postgresql", "frozen"])
def trouble(
    request: pytest.FixtureRequest,
) -> tuple[Stage, Callable[[], AbstractContextManager[None]]]:
    """A running bot, and what makes its database take no writes."""
    options, no_writes = {}, file_locked
    if request.param != "sqlite":  # before the stage, so that it is dropped after it
        shared: SharedDatabase = request.getfixturevalue("shared_database")
        options = {"database_url": shared.url}
        no_writes = {"postgresql": table_locked, "frozen": server_frozen}[request.param]
    stage: Stage = request.getfixturevalue("make_stage")(**options)
    stage.start_bot()
    return stage, lambda: no_writes(stage.database_url)


def wait_alarm(stage: Stage, person: Human) -> Message:
    """The alarm, which comes once the bot has found the store away twice, half a minute apart."""
    for _ in range(3):
        with suppress(AssertionError):
            return wait_told(stage, person, "taken no writes", SECURITY)
        stage.advance(timedelta(minutes=1))
    raise AssertionError("nobody was told")


@pytest.mark.timeout(150)
def test_access_past_its_end_is_told_though_the_store_takes_no_writes(
    trouble: tuple[Stage, Callable[[], AbstractContextManager[None]]],
) -> None:
    stage, no_writes = trouble
    ana, iris = stage.slack.human("U01ANA"), stage.slack.human("U07IRIS")
    ana.command(LAB, GENERAL)
    wait_told(stage, ana, "is active until")
    stage.slack.wait(lambda: fetch(stage, "/readyz")[0] == 200, PATIENCE_SECONDS)

    with no_writes():
        status, said = fetch(stage, "/readyz")
        assert (status, json.loads(said)["store"]) == (503, False)
        # What is frozen is found by whichever limit of time is over first.
        assert re.search(
            r"\(store_(busy|unavailable)\)|did not answer", json.loads(said)["reasons"]["store"]
        )
        assert gauge(stage, "eks_access_store_up") == 0
        assert gauge(stage, "eks_access_late_removals") == 0
        stage.advance(timedelta(minutes=66))
        assert gauge(stage, "eks_access_late_removals") == 1
        alarm = wait_alarm(stage, iris)
        assert "1 grant past the end" in words(alarm)
        assert lab_entry(stage) is not None

    assert stage.eks.wait_for(lambda: lab_entry(stage) is None, PATIENCE_SECONDS)
    wait_told(stage, iris, "EKS has confirmed the removal", SECURITY)
    stage.slack.wait(lambda: fetch(stage, "/readyz")[0] == 200, PATIENCE_SECONDS)
    assert gauge(stage, "eks_access_store_up") == 1
    assert gauge(stage, "eks_access_late_removals") == 0
    alarms = [one for one in iris.sees(SECURITY) if "taken no writes" in words(one)]
    assert len(alarms) == 1
