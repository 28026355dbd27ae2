"""The app manifest asks Slack for what the bot uses, and for nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import bot
from bot.sandbox import slack_chat, slack_directory, slack_views
from bot.sandbox.slack_model import DEFAULT_SCOPES

MANIFEST = Path(__file__).parents[2] / "app-manifest.yml"
BOT = Path(bot.__file__).parent
WITHOUT_A_METHOD = {"commands", "chat:write.public", "users:read.email"}
"""For a slash command, for channels the bot is not in, and for a field of `users.info`."""


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    loaded = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def test_names_and_descriptions_are_within_slacks_limits(manifest: dict[str, Any]) -> None:
    shown = manifest["display_information"]
    assert 0 < len(shown["name"]) <= 35
    assert len(shown["description"]) <= 140
    assert len(manifest["features"]["bot_user"]["display_name"]) <= 80


def test_there_is_one_command_and_its_text_comes_as_typed(manifest: dict[str, Any]) -> None:
    (command,) = manifest["features"]["slash_commands"]
    assert command["command"] == "/eks-access"
    assert command["should_escape"] is False
    assert len(command["description"]) <= 2000
    assert len(command["usage_hint"]) <= 1000


def test_the_sandbox_gives_the_bot_the_scopes_of_the_manifest_and_no_more(
    manifest: dict[str, Any],
) -> None:
    """So whatever the bot calls in any test, it may call with these."""
    assert sorted(manifest["oauth_config"]["scopes"]["bot"]) == sorted(DEFAULT_SCOPES)


def test_each_scope_is_one_that_a_method_the_bot_calls_needs(manifest: dict[str, Any]) -> None:
    methods = slack_chat.METHODS | slack_directory.METHODS | slack_views.METHODS
    called = {name: one for name, one in methods.items() if name.replace(".", "_") in words()}
    assert "chat.postMessage" in called
    assert "conversations.open" not in called
    used = {scope for method in called.values() for scope in method.scopes}
    scopes = manifest["oauth_config"]["scopes"]
    assert set(scopes["bot"]) <= used | WITHOUT_A_METHOD
    assert set(scopes) == {"bot", "bot_optional"}
    assert scopes["bot_optional"] == ["chat:write.public"]


def words() -> set[str]:
    """Every name in the bot's own code: Web API methods are called, or passed on, by name."""
    files = [path for path in BOT.rglob("*.py") if BOT / "sandbox" not in path.parents]
    return {name for path in files for name in re.findall(r"\w+", path.read_text("utf-8"))}


def test_it_runs_over_socket_mode_and_listens_to_what_it_handles(manifest: dict[str, Any]) -> None:
    settings = manifest["settings"]
    assert settings["socket_mode_enabled"] is True
    assert settings["interactivity"] == {"is_enabled": True}
    assert set(settings["event_subscriptions"]["bot_events"]) == {
        "app_home_opened", "user_change", "subteam_updated", "subteam_members_changed",
        "member_joined_channel", "member_left_channel",
    }  # fmt: skip


def test_the_home_tab_is_on(manifest: dict[str, Any]) -> None:
    home = manifest["features"]["app_home"]
    assert home["home_tab_enabled"] is True
    assert home["messages_tab_enabled"] is True


def test_no_key_is_unknown_to_slack(manifest: dict[str, Any]) -> None:
    known = {"_metadata", "display_information", "features", "oauth_config", "settings"}
    assert set(manifest) == known
    assert set(manifest["features"]) == {"app_home", "bot_user", "slash_commands"}
    assert set(manifest["settings"]) == {
        "event_subscriptions", "interactivity", "org_deploy_enabled", "socket_mode_enabled",
        "token_rotation_enabled",
    }  # fmt: skip
