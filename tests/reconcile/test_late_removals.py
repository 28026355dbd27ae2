"""A removal that is late is told again and again until EKS confirms it, and then that it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from entry_world import DOCUMENT, HOUR, LAB, MINUTE, ROOT, World, role
from slack_sdk import WebClient

from bot.core.errors import PolicyUnavailable
from bot.core.model import GrantState
from bot.core.policy import Policy
from bot.reconcile.announcements import Announcer
from bot.reconcile.late_removals import LateRemovals
from bot.reconcile.unheard import Unheard
from bot.sandbox.slack_server import SlackWorkspace
from bot.slack.late_views import instead_of_channel, late_alarm, late_over
from bot.slack.people import Directory
from bot.store import audit
from bot.store.claims import Claims

AUDIT, SECURITY = "C0AUDIT", "C0SECURITY"
CLEO, DAN = "U03CLEO", "U04DAN"
SECOND = timedelta(seconds=1)
CHANNELS = {"security_channel": SECURITY, "audit_channel": AUDIT}

both_databases = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])


class Alarms:
    """The loops that say that a removal is late, around the world of access entries."""

    def __init__(self, world: World, slack: SlackWorkspace, **policy: Any) -> None:
        self.world = world
        self.slack = slack
        self.policy: Policy | None = Policy.model_validate({**DOCUMENT, **(policy or CHANNELS)})
        self.people: tuple[str, ...] = (CLEO, DAN)
        self.late = self.fresh_late()
        store, clock = world.database, world.clock
        self.unheard = Unheard(
            store,
            Claims(store),
            people=lambda: self.people,
            instead=instead_of_channel,
            clock=clock,
        )
        client = WebClient(slack.bot_token, base_url=slack.api_url, timeout=5, retry_handlers=[])
        unfit = Directory(client).unfit
        self.announcer = Announcer(store, client, Claims(store), unfit=unfit, clock=clock)

    def fresh_late(self) -> LateRemovals:
        """A loop that knows nothing but the store, as after a restart or in another replica."""
        return LateRemovals(
            self.world.database,
            Claims(self.world.database),
            self.in_force,
            alarm=late_alarm,
            over=late_over,
            people=lambda: self.people,
            clock=self.world.clock,
        )

    def in_force(self) -> Policy:
        if self.policy is None:
            raise PolicyUnavailable("policy_broken", "The policy file has errors.")
        return self.policy

    def look(self, *more: LateRemovals) -> None:
        """Let every loop look once, the one that posts last."""
        for loop in (self.late, *more):
            for grant_id in loop.due():
                loop.tell(grant_id)
        for key in self.unheard.due():
            self.unheard.tell(key)
        for channel in self.announcer.due():
            self.announcer.post(channel)

    def pass_time(self, by: timedelta, step: timedelta = MINUTE) -> None:
        """Let time pass with the bot at work."""
        end = self.world.clock() + by
        while self.world.clock() < end:
            self.world.clock.advance(min(step, end - self.world.clock()))
            self.world.round()
            self.look()

    def said(self, channel: str = SECURITY) -> Sequence[str]:
        """What was posted there, each with the text of its blocks."""
        with self.slack.lock:
            return [f"{one.text} {one.blocks}" for one in self.slack.messages.get(channel, ())]

    def direct(self, user: str) -> Sequence[str]:
        """What was posted to a person."""
        return [f"{one.text} {one.blocks}" for one in self.slack.human(user).dm]

    def events(self, action: str) -> list[dict[str, Any]]:
        with self.world.database.reading() as tx:
            found = reversed(audit.latest(tx, 10_000))
            return [dict(one.details) for one in found if one.action == action]


@pytest.fixture
def slack(world: World) -> Iterator[SlackWorkspace]:
    with SlackWorkspace(clock=world.clock) as workspace:
        for channel in (AUDIT, SECURITY):
            workspace.add_channel(channel, channel.lower())
        for user, name in ((CLEO, "cleo"), (DAN, "dan")):
            workspace.add_person(user, name)
        yield workspace
        assert workspace.rejections == [], "Slack would reject what was sent"


@pytest.fixture
def alarms(world: World, slack: SlackWorkspace) -> Alarms:
    return Alarms(world, slack)


@pytest.fixture
def make_alarms(world: World, slack: SlackWorkspace) -> Callable[..., Alarms]:
    return lambda **policy: Alarms(world, slack, **policy)


def stuck(world: World) -> str:
    """Access whose end has come, and which AWS does not let the bot remove."""
    grant_id = world.active("view", "a")
    world.eks.faults.deny("DeleteAccessEntry")
    world.clock.advance(HOUR)
    world.round()
    return grant_id


@both_databases
def test_a_late_removal_is_told_at_two_ten_and_thirty_minutes_and_then_every_hour(
    world: World, alarms: Alarms
) -> None:
    stuck(world)
    begun = world.clock()
    for told, minutes in enumerate((2, 10, 30, 90, 150)):
        just_before = begun + minutes * MINUTE - SECOND - world.clock()
        alarms.pass_time(just_before, step=just_before)
        assert len(alarms.said()) == told
        alarms.pass_time(SECOND)
        assert len(alarms.said()) == told + 1
    assert [one["alarm"] for one in alarms.events("removal.late")] == [1, 2, 3, 4, 5]


def test_an_alarm_says_whose_access_it_is_since_when_why_and_what_to_do_by_hand(
    world: World, alarms: Alarms
) -> None:
    grant_id = stuck(world)
    alarms.pass_time(2 * MINUTE)
    (said,) = alarms.said()
    assert "late by 2 min" in said
    assert "ana" in said
    assert "AWS does not let the bot delete its access entries on lab" in said
    entry = f"--region eu-west-1 --cluster-name lab --principal-arn {role('ana')}"
    assert f"aws eks describe-access-entry {entry}" in said
    assert f"aws eks delete-access-entry {entry}" in said
    assert f"/eks-access status {grant_id}" in said


def test_an_alarm_about_an_entry_that_others_put_something_on_does_not_delete_it_by_hand(
    world: World, alarms: Alarms
) -> None:
    grant_id = world.active("view", "a")
    world.eks.client("eks").associate_access_policy(
        clusterName=LAB,
        principalArn=role("ana"),
        policyArn=f"arn:aws:eks::aws:cluster-access-policy/{ROOT}",
        accessScope={"type": "cluster"},
    )
    world.clock.advance(MINUTE)
    world.look_again(grant_id)
    world.eks.faults.deny("DisassociateAccessPolicy")
    world.clock.advance(HOUR)
    alarms.pass_time(3 * MINUTE)
    (said,) = alarms.said()
    assert "disassociate-access-policy" in said
    assert "delete-access-entry" not in said


@both_databases
def test_it_ends_with_one_message_once_the_removal_is_confirmed(
    world: World, alarms: Alarms
) -> None:
    grant_id = stuck(world)
    alarms.pass_time(12 * MINUTE)
    assert len(alarms.said()) == 2
    world.eks.faults.clear()
    alarms.pass_time(30 * MINUTE)
    assert world.state(grant_id) is GrantState.ENDED
    *_, last = alarms.said()
    assert len(alarms.said()) == 3
    assert "EKS has confirmed the removal" in last
    assert "late" in last
    (event,) = alarms.events("removal.confirmed")
    assert event["late_seconds"] >= 12 * 60
    alarms.pass_time(3 * HOUR, step=20 * MINUTE)
    assert len(alarms.said()) == 3


def test_a_removal_on_time_is_no_news(world: World, alarms: Alarms) -> None:
    world.active("view", "a")
    alarms.pass_time(3 * HOUR, step=5 * MINUTE)
    assert alarms.said() == []


@both_databases
def test_replicas_say_it_once(world: World, alarms: Alarms) -> None:
    stuck(world)
    other = alarms.fresh_late()
    world.clock.advance(11 * MINUTE)
    world.round()
    alarms.look(other)
    alarms.look(other, alarms.fresh_late())
    world.eks.faults.clear()
    world.settle()
    alarms.look(other)
    alarms.look(other, alarms.fresh_late())
    assert len(alarms.said()) == 2
    assert len(alarms.events("removal.late")) == 1
    assert len(alarms.events("removal.confirmed")) == 1


def test_what_a_bot_removes_as_soon_as_it_is_back_is_told_as_late_once_it_is_gone(
    world: World, alarms: Alarms
) -> None:
    world.active("view", "a")
    world.clock.advance(6 * HOUR)
    alarms.late = alarms.fresh_late()
    alarms.look()
    world.settle()
    alarms.pass_time(5 * MINUTE)
    (said,) = alarms.said()
    assert "EKS has confirmed the removal, *5 h late*" in said


def test_what_came_due_while_nobody_could_say_it_is_said_once(world: World, alarms: Alarms) -> None:
    stuck(world)
    world.clock.advance(5 * HOUR)
    world.round()
    alarms.late = alarms.fresh_late()
    alarms.pass_time(MINUTE)
    assert len(alarms.said()) == 1
    assert "late by 5 h" in alarms.said()[0]


def test_a_grant_that_goes_on_under_its_extension_is_no_late_removal(
    world: World, alarms: Alarms
) -> None:
    grant_id = world.active("view", "a")
    world.extend(grant_id)
    world.settle()
    alarms.pass_time(90 * MINUTE, step=5 * MINUTE)
    assert alarms.said() == []


def test_the_policy_says_when(world: World, make_alarms: Callable[..., Alarms]) -> None:
    times = {"alarm_after": ["5m"], "then_every": "10m"}
    alarms = make_alarms(security_channel=SECURITY, late_removals=times)
    stuck(world)
    alarms.pass_time(4 * MINUTE)
    assert alarms.said() == []
    alarms.pass_time(21 * MINUTE)
    assert len(alarms.said()) == 3


def test_without_a_policy_in_force_the_log_has_it_and_nothing_breaks(
    world: World, alarms: Alarms
) -> None:
    stuck(world)
    alarms.policy = None
    alarms.pass_time(5 * MINUTE)
    assert alarms.said() == []
    alarms.policy = Policy.model_validate({**DOCUMENT, **CHANNELS})
    alarms.pass_time(6 * MINUTE)
    assert len(alarms.said()) == 1


# Where no channel takes it


def test_without_a_security_channel_the_audit_channel_is_told(
    world: World, make_alarms: Callable[..., Alarms]
) -> None:
    alarms = make_alarms(audit_channel=AUDIT)
    stuck(world)
    alarms.pass_time(2 * MINUTE)
    assert len(alarms.said(AUDIT)) == 1


def test_without_any_channel_people_are_told(
    world: World, make_alarms: Callable[..., Alarms]
) -> None:
    alarms = make_alarms(drift={"repair": False})
    stuck(world)
    alarms.pass_time(2 * MINUTE)
    assert len(alarms.direct(CLEO)) == len(alarms.direct(DAN)) == 1


@both_databases
def test_an_alarm_that_an_archived_channel_does_not_take_goes_to_people(
    world: World, alarms: Alarms
) -> None:
    stuck(world)
    alarms.slack.archive(SECURITY)
    alarms.pass_time(5 * MINUTE)
    assert alarms.said() == []
    for user in (CLEO, DAN):
        (said,) = alarms.direct(user)
        assert "late by 2 min" in said
        assert "does not take messages (is_archived)" in said
    (event,) = alarms.events("alarm.sent_to_people")
    assert event["people"] == [CLEO, DAN]
    alarms.pass_time(7 * MINUTE)
    assert len(alarms.direct(CLEO)) == 2
    world.eks.faults.clear()
    alarms.pass_time(10 * MINUTE)
    assert "EKS has confirmed the removal" in alarms.direct(CLEO)[-1]


@both_databases
def test_an_alarm_for_a_channel_that_others_read_goes_to_people(
    world: World, alarms: Alarms
) -> None:
    stuck(world)
    alarms.slack.share(SECURITY)
    alarms.pass_time(5 * MINUTE)
    assert alarms.said() == []
    for user in (CLEO, DAN):
        (said,) = alarms.direct(user)
        assert "late by 2 min" in said
        assert "is shared with another organisation" in said
    (event,) = alarms.events("alarm.sent_to_people")
    assert event["people"] == [CLEO, DAN]
    assert event["error"] == "shared_with_others"


def test_an_alarm_goes_to_people_where_the_bot_may_not_look_who_reads_the_channel(
    world: World, alarms: Alarms
) -> None:
    stuck(world)
    lacking = {"channels:read", "groups:read"}
    alarms.slack.app.scopes = tuple(one for one in alarms.slack.app.scopes if one not in lacking)
    alarms.pass_time(5 * MINUTE)
    assert alarms.said() == []
    for user in (CLEO, DAN):
        (said,) = alarms.direct(user)
        assert "late by 2 min" in said
        assert "`channels:read` or `groups:read`" in said
    (event,) = alarms.events("alarm.sent_to_people")
    assert event["error"] == "missing_scope"
    refused = alarms.slack.rejections
    assert {(one.method, one.error) for one in refused} == {("conversations.info", "missing_scope")}
    refused.clear()


def test_an_alarm_that_waits_for_slack_goes_to_nobody_else(world: World, alarms: Alarms) -> None:
    stuck(world)
    alarms.slack.faults.add("chat.postMessage", ratelimited=30, times=3)
    alarms.pass_time(8 * MINUTE)
    assert len(alarms.said()) == 1
    assert alarms.direct(CLEO) == []
    assert alarms.events("alarm.sent_to_people") == []


def test_an_alarm_that_reaches_nobody_is_said_in_the_log_once(
    world: World, alarms: Alarms, capsys: pytest.CaptureFixture[str]
) -> None:
    stuck(world)
    alarms.people = ()
    alarms.slack.archive(SECURITY)
    alarms.pass_time(9 * MINUTE)
    assert capsys.readouterr().out.count("an alarm reaches nobody") == 1


# Clusters that are gone


def test_a_cluster_that_was_deleted_is_alarmed_of_thrice_and_then_told_to_be_gone(
    world: World, alarms: Alarms
) -> None:
    grant_id = world.active("view", "a")
    world.eks.delete_cluster(LAB)
    world.clock.advance(HOUR)
    world.round()
    alarms.pass_time(31 * MINUTE)
    assert len(alarms.said()) == 3
    assert "If that is still so" in alarms.said()[0]
    assert f"eks-access forget {grant_id} --reason" in alarms.said()[0]
    alarms.pass_time(23 * HOUR, step=30 * MINUTE)
    assert len(alarms.said()) == 3
    alarms.pass_time(2 * HOUR, step=30 * MINUTE)
    assert world.state(grant_id) is GrantState.ENDED
    assert "AWS has not known it for a day" in alarms.said()[-1]
    alarms.pass_time(48 * HOUR, step=HOUR)
    assert len(alarms.said()) == 4
    assert len(alarms.events("removal.cluster_gone")) == 1
    assert alarms.events("removal.confirmed") == []


def test_a_role_that_is_gone_is_alarmed_of_daily_after_the_first_day_with_what_ends_it(
    world: World, alarms: Alarms
) -> None:
    grant_id = world.active("view", "a")
    world.eks.faults.deny("DescribeAccessEntry")
    world.clock.advance(HOUR)
    world.round()
    alarms.pass_time(30 * MINUTE)
    alarms.pass_time(24 * HOUR - 30 * MINUTE, step=30 * MINUTE)
    first_day = len(alarms.said())
    assert first_day == 26
    assert "eks-access forget" not in alarms.said()[-2]
    alarms.pass_time(3 * 24 * HOUR, step=HOUR)
    assert len(alarms.said()) == first_day + 3
    assert f"eks-access forget {grant_id} --reason" in alarms.said()[-1]
    assert world.state(grant_id) is GrantState.REVOKING


def test_alarms_go_on_as_ever_where_a_cluster_that_was_unknown_is_refused_by_then(
    world: World, alarms: Alarms
) -> None:
    world.active("view", "a")
    world.eks.delete_cluster(LAB)
    world.clock.advance(HOUR)
    world.round()
    alarms.pass_time(30 * MINUTE)
    alarms.pass_time(5 * HOUR, step=30 * MINUTE)
    assert len(alarms.said()) == 3
    world.eks.create_cluster(LAB)
    world.eks.faults.server_error("DescribeAccessEntry", times=None)
    alarms.pass_time(20 * HOUR, step=HOUR)
    assert len(alarms.said()) > 3, "nothing was proven, so it is not silent"
