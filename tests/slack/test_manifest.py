"""The app manifest asks Slack for what the bot uses, and for nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

MANIFEST = Path(__file__).parents[2] / "app-manifest.yml"


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


def test_the_scopes_are_those_the_bot_uses(manifest: dict[str, Any]) -> None:
    scopes = manifest["oauth_config"]["scopes"]
    optional = {"chat:write.public"}
    needed = {
        "commands", "chat:write", "users:read", "users:read.email", "usergroups:read",
        "files:write", "im:write", "channels:read", "groups:read",
    }  # fmt: skip
    assert set(scopes) == {"bot", "bot_optional"}
    assert set(scopes["bot_optional"]) == optional
    assert set(scopes["bot"]) == needed | optional
    assert len(scopes["bot"]) == len(needed | optional)


def test_it_runs_over_socket_mode_and_listens_to_what_it_handles(manifest: dict[str, Any]) -> None:
    settings = manifest["settings"]
    assert settings["socket_mode_enabled"] is True
    assert settings["interactivity"] == {"is_enabled": True}
    assert set(settings["event_subscriptions"]["bot_events"]) == {
        "app_home_opened", "user_change", "subteam_updated", "subteam_members_changed",
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
