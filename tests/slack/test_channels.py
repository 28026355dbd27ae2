"""Members of a channel as owners, and channels that are no place for requests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from slack_sdk import WebClient

from bot.core.errors import DirectoryUnavailable
from bot.core.people import Gone
from bot.reconcile.slack_errors import LACKING, SHARED
from bot.sandbox.slack_server import SlackWorkspace
from bot.slack.people import Directory

PAY = "C01PAY"


@pytest.fixture
def slack() -> Iterator[SlackWorkspace]:
    """A workspace with Ben and Cleo in #pay, and the bot."""
    with SlackWorkspace() as workspace:
        workspace.add_person("U02BEN", "ben")
        workspace.add_person("U03CLEO", "cleo")
        workspace.add_channel(PAY, "pay")
        workspace.add_group("S02PAY", "pay", users=["U02BEN"])
        yield workspace


@pytest.fixture
def directory(slack: SlackWorkspace) -> Directory:
    client = WebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[])
    return Directory(client)


def gone(directory: Directory) -> str:
    """Why nobody counts through the channel."""
    members = directory.asking().membership([PAY])[PAY]
    assert isinstance(members, Gone)
    assert not members
    return members.why


def refusal(directory: Directory) -> str:
    with pytest.raises(DirectoryUnavailable) as raised:
        directory.asking().membership([PAY])
    return raised.value.sentence


def test_the_members_of_a_channel_are_all_but_the_bot(
    slack: SlackWorkspace, directory: Directory
) -> None:
    assert slack.app.user_id in slack.channels[PAY].members
    told = directory.asking().membership([PAY, "S02PAY"])
    assert told == {PAY: {"U02BEN", "U03CLEO"}, "S02PAY": {"U02BEN"}}
    slack.leave(PAY, "U03CLEO")
    assert directory.asking().membership([PAY])[PAY] == {"U02BEN"}


def test_more_members_than_a_page_are_all_read(slack: SlackWorkspace, directory: Directory) -> None:
    people = {f"U1{number:04}" for number in range(2300)}
    slack.channels[PAY].members.extend(sorted(people))
    assert directory.asking().membership([PAY])[PAY] == people | {"U02BEN", "U03CLEO"}
    assert len([one for one in slack.calls if one.method == "conversations.members"]) == 3


def test_nobody_owns_anything_by_being_in_a_channel_of_others_or_an_archived_one(
    slack: SlackWorkspace, directory: Directory
) -> None:
    slack.share(PAY)
    assert gone(directory) == "is shared with another organisation"
    slack.share(PAY, shared=False)
    slack.archive(PAY)
    assert gone(directory) == "is archived"


def test_what_the_bot_cannot_see_owns_nothing_and_the_sentence_says_what_to_do(
    slack: SlackWorkspace, directory: Directory
) -> None:
    scopes = slack.app.scopes
    slack.app.scopes = tuple(one for one in scopes if one != "channels:read")
    assert "`channels:read`" in refusal(directory)
    slack.app.scopes = scopes
    slack.faults.add(method="conversations.info", times=1, error="channel_not_found")
    assert "invite it" in gone(directory)
    slack.faults.add(method="conversations.members", times=1, error="internal_error")
    assert "Slack did not say" in refusal(directory)


def test_one_that_does_not_answer_hides_no_other_from_what_is_shown(
    slack: SlackWorkspace, directory: Directory
) -> None:
    slack.faults.add(method="conversations.info", times=1, error="internal_error")
    assert directory.membership_to_show([PAY, "S02PAY"]) == {"S02PAY": {"U02BEN"}}


def test_where_others_read_it_nothing_may_be_posted(
    slack: SlackWorkspace, directory: Directory
) -> None:
    assert directory.unfit(PAY) is None
    slack.share(PAY)
    assert directory.unfit(PAY) is None  # for a minute
    fresh = Directory(WebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[]))
    assert fresh.unfit(PAY) == SHARED


def test_without_an_answer_it_is_not_known_who_reads_it(
    slack: SlackWorkspace, directory: Directory
) -> None:
    slack.faults.add(method="conversations.info", times=1, error="internal_error")
    with pytest.raises(DirectoryUnavailable):
        directory.unfit(PAY)
    slack.faults.add(method="conversations.info", times=1, error="channel_not_found")
    assert directory.unfit(PAY) is None  # posting there says it
    slack.app.scopes = tuple(one for one in slack.app.scopes if one != "channels:read")
    other = Directory(WebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[]))
    assert other.unfit(PAY) == LACKING


def test_a_person_can_be_told_whatever_the_bot_may_know_of_channels(
    slack: SlackWorkspace, directory: Directory
) -> None:
    lacking = {"channels:read", "groups:read"}
    slack.app.scopes = tuple(one for one in slack.app.scopes if one not in lacking)
    assert directory.unfit("U02BEN") is None
