"""What Slack's codes mean: what passes, what stays, and who acts."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from slack_sdk import WebClient

from bot.core.errors import DirectoryUnavailable
from bot.reconcile.slack_errors import (
    BAD_TOKEN,
    NO_ANSWER,
    PROBLEMS,
    REFUSED,
    STALE,
    delayed_by,
    problem_of,
)
from bot.sandbox.slack_server import SlackWorkspace
from bot.slack.people import Directory

PASSES = "works once Slack answers"


@pytest.fixture
def slack() -> Iterator[SlackWorkspace]:
    with SlackWorkspace() as workspace:
        workspace.add_person("U02BEN", "ben")
        yield workspace


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_each_code_has_a_sentence_and_what_stays_names_who_acts(code: str) -> None:
    known = problem_of(code)
    assert known.what.endswith(".")
    assert known.sentence == known.sentence.strip()
    assert known.stays is bool(known.remedy)
    assert "once Slack" not in known.sentence


def test_a_code_that_nobody_sorted_counts_as_passing() -> None:
    assert not problem_of("something_new").stays
    assert "something_new" not in REFUSED | STALE | BAD_TOKEN


def test_a_slack_that_is_not_reached_is_told_as_that() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    client = WebClient("xoxb-1", base_url=f"http://127.0.0.1:{port}/api/", retry_handlers=[])
    with pytest.raises(NO_ANSWER) as raised:
        client.auth_test()
    assert "cannot reach it" in problem_of(str(delayed_by(raised.value))).sentence
    assert "cannot reach it" in problem_of("silent").sentence
    assert "cannot reach it" not in problem_of("something_new").sentence
    assert "who is in the channel" in problem_of("directory_unavailable").sentence


@pytest.mark.parametrize(
    ("code", "who"),
    [
        ("missing_scope", "Whoever runs the bot"),
        ("token_revoked", "Whoever runs the bot"),
        ("account_inactive", "Whoever runs the bot"),
        ("invalid_auth", "Whoever runs the bot"),
        ("org_login_required", "A Slack admin"),
        ("no_such_subteam", "whoever keeps the policy file"),
    ],
)
def test_what_slack_will_not_answer_is_not_told_as_passing(
    slack: SlackWorkspace, code: str, who: str
) -> None:
    sentence = _asked(slack, code)
    assert PASSES not in sentence
    assert f"({code})" in sentence
    assert who in sentence
    assert "Nothing was changed" in sentence


@pytest.mark.parametrize("code", ["internal_error", "fatal_error", "something_new"])
def test_what_passes_is_told_as_passing(slack: SlackWorkspace, code: str) -> None:
    assert PASSES in _asked(slack, code)


def _asked(slack: SlackWorkspace, code: str) -> str:
    slack.faults.add("users.info", error=code)
    client = WebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[])
    with pytest.raises(DirectoryUnavailable) as raised:
        Directory(client).asking().person("U02BEN")
    return raised.value.sentence
