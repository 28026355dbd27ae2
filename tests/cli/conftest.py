"""The command called in this process, with an environment of the test's own."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from bot.cli import app
from bot.sandbox.stage import Stage, furnish, sandbox_policy
from bot.settings import SECRETS_DIR, Settings

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "store"), str(_HERE.parent / "core")]


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch, tmp_path):
    for name in [SECRETS_DIR, *(field.alias for field in Settings.model_fields.values())]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def logging_as_it_was():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def cli():
    """Call the command in this process: `cli("grants", "--json", DATABASE_URL=…)`."""
    runner = CliRunner()

    def call(*arguments: str, stdin: str | None = None, **environment: str):
        return runner.invoke(app, arguments, input=stdin, env={"COLUMNS": "100", **environment})

    return call


@pytest.fixture
def sqlite(tmp_path, migrated_sqlite) -> str:
    """The URL of a fresh, migrated SQLite file."""
    file = tmp_path / "store.db"
    file.write_bytes(migrated_sqlite.read_bytes())
    return f"sqlite:///{file}"


@pytest.fixture
def policy_file(tmp_path) -> Path:
    file = tmp_path / "policy.yaml"
    file.write_text(sandbox_policy())
    return file


@pytest.fixture
def ready(sqlite, policy_file) -> dict[str, str]:
    """An environment in which `run` could start, if there were a Slack."""
    return {
        "SLACK_BOT_TOKEN": "xoxb-bot-token",
        "SLACK_APP_TOKEN": "xapp-app-token",
        "SLACK_API_URL": "http://127.0.0.1:1/api/",
        "DATABASE_URL": sqlite,
        "EKS_ACCESS_CONFIG": str(policy_file),
        "EKS_ACCESS_HTTP_PORT": "0",
    }


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        furnish(stage)
        yield stage
