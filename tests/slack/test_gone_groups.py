"""A group of the policy file that is gone is told once, also across replicas and restarts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from slack_sdk import WebClient
from sqlalchemy import select
from view_examples import check_message, read

from bot.core.policy import Policy
from bot.core.policy_names import groups_of
from bot.policy_file import check_policy
from bot.sandbox.hand_clock import HandClock
from bot.sandbox.slack_server import SlackWorkspace
from bot.sandbox.stage import sandbox_policy
from bot.slack.drift_views import standing_digest
from bot.slack.gone_groups import EVERY, GoneGroups, group_back, group_gone
from bot.slack.people import Directory
from bot.store import audit
from bot.store.announcements import ALARMS, GROUP_BACK, GROUP_GONE
from bot.store.claims import Claims
from bot.store.database import Database
from bot.store.tables import announcements

LEADS, BEN = "S02PAYLEADS", "U02BEN"
GROUPS = ["S01PLATFORM", LEADS, "S04RESPOND", "S05SECURITY"]


def policy() -> Policy:
    found, findings = check_policy(sandbox_policy(), "policy.yaml")
    assert found is not None, findings
    return found


class Watched:
    """A workspace with the groups of the sandbox's policy, and a bot that watches them."""

    def __init__(self, database: Database, slack: SlackWorkspace) -> None:
        self.database, self.slack = database, slack
        self.clock = HandClock()
        self.policy = policy()
        self.replica = self.another_replica()

    def another_replica(self) -> GoneGroups:
        client = WebClient(self.slack.bot_token, base_url=self.slack.api_url, retry_handlers=[])
        self.directory = Directory(client, now=lambda: self.clock().timestamp())
        return GoneGroups(
            self.database,
            Claims(self.database),
            self.directory,
            lambda: self.policy,
            clock=self.clock,
        )

    def pass_minutes(self, number: int, replica: GoneGroups | None = None) -> None:
        for _ in range(number):
            self.clock.advance(EVERY.total_seconds())
            self.look(replica)

    def look(self, replica: GoneGroups | None = None) -> None:
        replica = replica or self.replica
        for group in replica.due():
            replica.look(group)

    def said(self) -> list[tuple[str, str]]:
        """The kind of each alarm and its channel, in order."""
        with self.database.reading() as tx:
            columns = select(announcements.c.key, announcements.c.channel)
            rows = tx.execute(columns.order_by(announcements.c.id)).all()
        return [(key.rpartition(f"{LEADS}:")[0], channel) for key, channel in rows]

    def calls(self) -> int:
        return sum(one.method == "usergroups.users.list" for one in self.slack.calls)


@pytest.fixture
def watched(database: Database) -> Iterator[Watched]:
    with SlackWorkspace() as slack:
        slack.add_person(BEN, "ben")
        for group in GROUPS:
            slack.add_group(group, group.lower(), users=[BEN])
        yield Watched(database, slack)


BOTH = [(GROUP_GONE, "C0AUDIT"), (GROUP_GONE, "C0SECURITY")]
BACK = [(GROUP_BACK, "C0AUDIT"), (GROUP_BACK, "C0SECURITY")]


def test_every_group_is_looked_at_in_turn_and_a_good_one_is_no_news(watched: Watched) -> None:
    watched.look()
    watched.pass_minutes(len(GROUPS) - 1)
    assert watched.calls() == len(GROUPS)
    assert watched.said() == []
    watched.look()
    assert watched.calls() == len(GROUPS)


def test_a_group_that_is_gone_is_told_once_and_once_that_it_is_back(watched: Watched) -> None:
    watched.pass_minutes(len(GROUPS))
    watched.slack.disable_group(LEADS)
    watched.pass_minutes(3 * len(GROUPS))
    assert watched.said() == BOTH
    watched.slack.disable_group(LEADS, disabled=False)
    watched.pass_minutes(2 * len(GROUPS))
    assert watched.said() == BOTH + BACK
    watched.slack.delete_group(LEADS)
    watched.pass_minutes(2 * len(GROUPS))
    assert watched.said() == BOTH + BACK + BOTH
    with watched.database.reading() as tx:
        events = [one for one in audit.latest(tx, 100) if one.action.startswith("group.")]
    assert [one.action for one in reversed(events)] == ["group.gone", "group.back", "group.gone"]
    assert events[0].details["group"] == LEADS


def test_what_a_decision_met_is_told_at_once(watched: Watched) -> None:
    watched.look()
    watched.slack.disable_group(LEADS)
    watched.directory.asking().membership([LEADS])
    watched.look()
    assert watched.said() == BOTH


def test_another_replica_and_a_restart_tell_it_no_more(watched: Watched) -> None:
    watched.slack.disable_group(LEADS)
    watched.pass_minutes(len(GROUPS))
    watched.pass_minutes(len(GROUPS), watched.another_replica())
    assert watched.said() == BOTH


def test_a_slack_that_does_not_answer_is_no_group_that_is_gone(watched: Watched) -> None:
    watched.slack.faults.add("usergroups.users.list", times=None, error="internal_error")
    watched.pass_minutes(len(GROUPS))
    assert watched.said() == []


def test_a_group_that_the_policy_file_names_no_more_is_no_news(watched: Watched) -> None:
    text = sandbox_policy().replace(LEADS, "S01PLATFORM")
    found, _ = check_policy(text, "policy.yaml")
    assert found is not None
    watched.policy = found
    watched.slack.disable_group(LEADS)
    watched.pass_minutes(2 * len(GROUPS))
    assert watched.said() == []


def test_the_alarm_goes_to_people_where_no_channel_takes_it() -> None:
    assert GROUP_GONE in ALARMS


def test_the_alarm_names_the_group_why_and_where() -> None:
    places = groups_of(policy())[LEADS]
    message = check_message(group_gone(LEADS, "is disabled or deleted in Slack", places))
    said = " ".join(read(message.blocks))
    assert "User group `S02PAYLEADS` is disabled or deleted in Slack" in said
    assert "`rules.payments.approval.owners.groups`" in said
    check_message(group_gone("C01PAY", "is archived", [("rules", "x" * 300, "channels")] * 50))
    assert LEADS in check_message(group_back(LEADS)).text


def test_the_digest_names_what_is_gone() -> None:
    message = check_message(standing_digest([], [LEADS, "C01PAY"]))
    assert "Nobody counts through `S02PAYLEADS` and `C01PAY`" in " ".join(read(message.blocks))
    assert "Nobody counts" not in " ".join(read(standing_digest([]).blocks))


def test_an_hour_of_watching_leaves_slacks_limits_to_others(watched: Watched) -> None:
    watched.pass_minutes(60)
    assert watched.calls() <= 60
    assert timedelta(minutes=1) <= EVERY
