"""A second bot on an empty database, as where DATABASE_URL was forgotten, takes nothing away."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from reading import GENERAL, PATIENCE_SECONDS, given, lab_entry, wait_told, words
from typer.testing import CliRunner

from bot.cli import app
from bot.sandbox.stage import Stage
from bot.store import audit, migrate
from bot.store.database import Database
from bot.wiring import Bot

ASK = "/eks-access request modern-access-lab view --namespace default --for 2h Looking at the pods"
SECURITY = "C0SECURITY"


@contextmanager
def second_bot(stage: Stage, url: str) -> Iterator[Bot]:
    """Another process of the same deployment; Slack's socket stays with the first."""
    with closing(Database(url)) as database:
        migrate.upgrade(database)
    update = {"database_url": SecretStr(url), "slack_app_token": None}
    bot = Bot(stage.settings().model_copy(update=update), clock=stage.clock)
    bot.start()
    try:
        yield bot
    finally:
        bot.stop()


def readyz(bot: Bot) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{bot.http.port}/readyz") as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())


def actions(url: str) -> list[str]:
    with closing(Database(url)) as database, database.reading() as tx:
        return [one.action for one in audit.latest(tx, 1000)]


@pytest.fixture
def empty(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'empty.db'}"


def test_a_bot_on_an_empty_database_takes_nothing_from_another_until_an_operator_adopts(
    stage: Stage, empty: str
) -> None:
    ana, iris = stage.slack.human("U01ANA"), stage.slack.human("U07IRIS")
    ana.command(ASK, GENERAL)
    wait_told(stage, ana, "is active until")
    held = lab_entry(stage)
    with second_bot(stage, empty) as second:
        stage.slack.wait(lambda: any("drift." in one for one in actions(empty)), PATIENCE_SECONDS)
        stage.slack.wait(
            lambda: "store.unsure" in actions(empty) or lab_entry(stage) is None, PATIENCE_SECONDS
        )
        assert lab_entry(stage) == held, "the live access of another is gone"
        status, said = readyz(second)
        assert (status, said["adoption"]) == (503, False)
        assert "`eks-access adopt`" in said["reasons"]["adoption"]
        assert stage.bot is not None
        assert readyz(stage.bot)[1]["adoption"] is True, "the other is on the right database"
        wait_told(stage, iris, "may run on the wrong database", SECURITY)
        assert any("empty.db" in words(one) for one in iris.sees(SECURITY))

    environment = {"DATABASE_URL": empty, "EKS_ACCESS_CONFIG": str(stage.policy_file)}
    listed = CliRunner().invoke(app, ["adopt"], env=environment)
    assert lab_entry(stage) == held
    assert given(held) == {"AmazonEKSViewPolicy": ("default",)}
    assert "role/eks-jit/ana" in listed.stdout
    assert "adopt --yes" in listed.stdout
    CliRunner().invoke(app, ["adopt", "--yes"], env=environment)
    stage.stop_bot()
    with second_bot(stage, empty) as second:
        assert stage.eks.wait_for(lambda: lab_entry(stage) is None, PATIENCE_SECONDS)
        stage.slack.wait(lambda: readyz(second)[1].get("adoption") is True, PATIENCE_SECONDS)
