"""How soon a real bot that was killed has taken away what ended while it was down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bot.sandbox.stage import LAB_ACCOUNT, Stage, furnish
from bot.store import migrate
from bot.store.database import Database

ROUNDS = 5
_COMMAND = Path(sys.executable).with_name("eks-access")
_ANA = f"arn:aws:iam::{LAB_ACCOUNT}:role/eks-jit/ana"
_ASK = "/eks-access request modern-access-lab view --namespace default --for 1s Measuring"
_PATIENCE_SECONDS = 60


def restarts() -> tuple[list[float], list[float]]:
    """Seconds from the launch of the process to its loops, and from there to confirmed removal."""
    with Stage() as stage:
        furnish(stage)
        with closing(Database(stage.database_url)) as database:
            migrate.upgrade(database)
            rounds = [_round(stage, database) for _ in range(ROUNDS)]
    launching, removing = (list(one) for one in zip(*rounds, strict=True))
    return launching, removing


def _round(stage: Stage, database: Database) -> tuple[float, float]:
    def live(state: str) -> Callable[[], bool]:
        query = f"SELECT 1 FROM grants WHERE state = '{state}'"  # noqa: S608 - from below

        def found() -> bool:
            with database.reading() as tx:
                return tx.exec_driver_sql(query).first() is not None

        return found

    with bot_process(stage):
        stage.slack.wait_connected(timeout=_PATIENCE_SECONDS)
        # The removal does not arrive, so that the grant is still there after its end.
        stage.eks.faults.delay(_PATIENCE_SECONDS, "DeleteAccessEntry", principal=_ANA)
        stage.eks.faults.drop("DeleteAccessEntry", principal=_ANA)
        stage.slack.human("U01ANA").command(_ASK)
        _wait(live("REVOKING"))
        _wait(lambda: any(one.status is None for one in stage.eks.calls_of("DeleteAccessEntry")))
    stage.eks.faults.clear()
    launched = time.perf_counter()
    with bot_process(stage):
        started = time.perf_counter()
        _wait(lambda: not live("REVOKING")())
        removed = time.perf_counter()
    return started - launched, removed - started


@contextmanager
def bot_process(stage: Stage) -> Iterator[None]:
    """The bot as a process of its own, from when its loops run; then it is killed."""
    environment = {
        **os.environ,
        "SLACK_BOT_TOKEN": stage.slack.bot_token,
        "SLACK_APP_TOKEN": stage.slack.app_token,
        "SLACK_API_URL": stage.slack.api_url,
        "DATABASE_URL": stage.database_url,
        "EKS_ACCESS_CONFIG": str(stage.policy_file),
        "EKS_ACCESS_HTTP_PORT": "0",
    }
    process = subprocess.Popen(  # noqa: S603 - our own command
        [_COMMAND, "run"], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        lines = iter(process.stderr or ())
        if not any(json.loads(line)["event"] == "started" for line in lines):
            raise RuntimeError("the bot did not start")
        reader = threading.Thread(target=deque, args=(lines, 0), daemon=True)
        reader.start()  # so that its pipe never fills
        yield
    finally:
        process.kill()
        process.wait()


def _wait(true: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + _PATIENCE_SECONDS
    while not true():
        if time.perf_counter() > deadline:
            raise RuntimeError(f"it did not come to be within {_PATIENCE_SECONDS} s")
        time.sleep(0.002)
