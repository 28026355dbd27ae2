"""What Slack is asked of who is who: once for all who wait, within its limits, new after an event.

Over HTTP against the local Slack, whose log of calls is what is counted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import pytest
from slack_sdk import WebClient

from bot.core.errors import DirectoryUnavailable
from bot.core.people import Gone
from bot.sandbox.slack_server import SlackWorkspace
from bot.slack.call_budget import PUBLISHED, WINDOW_SECONDS, CallBudget, Limited
from bot.slack.people import MAX_AGE, Directory

PAY, PAY_CHANNEL = "S02PAY", "C01PAY"
BEN, CLEO = "U02BEN", "U03CLEO"
GROUPS = [f"S9{number:03}" for number in range(40)]
NOW = timedelta()
PATIENCE = 30


class Seconds:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def slack() -> Iterator[SlackWorkspace]:
    """A workspace with Ben and Cleo, a group and a channel of theirs, and forty more groups."""
    with SlackWorkspace() as workspace:
        workspace.add_person(BEN, "ben")
        workspace.add_person(CLEO, "cleo")
        workspace.add_channel(PAY_CHANNEL, "pay")
        workspace.add_group(PAY, "pay", users=[BEN])
        for number, group in enumerate(GROUPS):
            workspace.add_group(group, f"group-{number}", users=[BEN])
        yield workspace


@pytest.fixture
def directory(slack: SlackWorkspace, seconds: Seconds) -> Directory:
    client = WebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[])
    return Directory(client, now=seconds)


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(40) as pool:
        yield pool


def asked(slack: SlackWorkspace, method: str = "usergroups.users.list") -> int:
    with slack.lock:
        return sum(call.method == method for call in slack.calls)


def members(
    directory: Directory, age: timedelta = NOW, *, urgent: bool = False, group: str = PAY
) -> frozenset[str]:
    return directory.asking(age, urgent=urgent).membership([group])[group]


def begun(pool: ThreadPoolExecutor, work: Callable[[], frozenset[str]]) -> Future[frozenset[str]]:
    """The work, on a thread that has begun."""
    running = threading.Event()

    def run() -> frozenset[str]:
        running.set()
        return work()

    future = pool.submit(run)
    assert running.wait(PATIENCE)
    return future


# One call for all


def test_whoever_comes_while_a_call_is_under_way_shares_the_next_one(
    slack: SlackWorkspace, directory: Directory, seconds: Seconds, aside: ThreadPoolExecutor
) -> None:
    held = slack.faults.add("usergroups.users.list", hold=True)
    first = begun(aside, lambda: members(directory))
    assert held.reached.wait(PATIENCE)
    others = []
    for _ in range(20):  # each a moment after the one before
        seconds.now += 1
        asking = directory.asking()
        others.append(begun(aside, lambda one=asking: one.membership([PAY])[PAY]))
    slack.set_group(PAY, [CLEO])  # after the first call was sent, and before the others came
    held.release()
    assert first.result(PATIENCE) <= {BEN, CLEO}
    assert {one.result(PATIENCE) for one in others} == {frozenset({CLEO})}
    assert asked(slack) == 2


def test_whoever_asked_before_the_call_was_sent_shares_it(
    slack: SlackWorkspace, directory: Directory, seconds: Seconds, aside: ThreadPoolExecutor
) -> None:
    """A click that was received two seconds ago takes what a call of one second ago tells."""
    askings = [directory.asking() for _ in range(20)]
    seconds.now += 1
    held = slack.faults.add("usergroups.users.list", hold=True)
    waiting = [begun(aside, lambda one=one: one.membership([PAY])[PAY]) for one in askings]
    assert held.reached.wait(PATIENCE)
    held.release()
    assert {one.result(PATIENCE) for one in waiting} == {frozenset({BEN})}
    assert asked(slack) == 1
    seconds.now += 1
    assert members(directory, timedelta(seconds=1.5)) == {BEN}  # received before the call
    assert asked(slack) == 1
    assert members(directory, timedelta(seconds=0.5)) == {BEN}  # received after it
    assert asked(slack) == 2


def test_what_decides_is_never_older_than_the_click_nor_than_half_a_minute(
    slack: SlackWorkspace, directory: Directory, seconds: Seconds
) -> None:
    members(directory)
    slack.groups[PAY].users = [CLEO]  # and no event says so
    seconds.now += 5
    assert members(directory, MAX_AGE) == {BEN}  # a request
    assert members(directory) == {CLEO}  # a click
    slack.groups[PAY].users = []
    seconds.now += MAX_AGE.total_seconds() + 1
    assert members(directory, timedelta(hours=1)) == frozenset()  # a click that waited for an hour


def test_people_are_asked_for_once_too(
    slack: SlackWorkspace, directory: Directory, aside: ThreadPoolExecutor
) -> None:
    askings = [directory.asking() for _ in range(20)]
    held = slack.faults.add("users.info", hold=True)
    told = [aside.submit(one.person, BEN) for one in askings]
    assert held.reached.wait(PATIENCE)
    held.release()
    assert {one.result(PATIENCE).name for one in told} == {"Ben"}
    assert asked(slack, "users.info") == 1


def test_a_failure_is_told_to_all_who_wait_and_kept_for_nobody(
    slack: SlackWorkspace, directory: Directory, aside: ThreadPoolExecutor
) -> None:
    askings = [directory.asking() for _ in range(5)]
    held = slack.faults.add("usergroups.users.list", hold=True, error="internal_error")
    waiting = [begun(aside, lambda one=one: one.membership([PAY])[PAY]) for one in askings]
    assert held.reached.wait(PATIENCE)
    held.release()
    errors = [one.exception(PATIENCE) for one in waiting]
    assert any(isinstance(error, DirectoryUnavailable) for error in errors)
    assert members(directory) == {BEN}


# What an event makes new


def test_an_event_makes_a_group_new(slack: SlackWorkspace, directory: Directory) -> None:
    assert members(directory, MAX_AGE) == {BEN}
    slack.set_group(PAY, [CLEO])
    directory.forget_group(PAY)
    assert members(directory, MAX_AGE) == {CLEO}


def test_a_call_that_was_under_way_at_the_event_is_not_kept(
    slack: SlackWorkspace, directory: Directory, aside: ThreadPoolExecutor
) -> None:
    held = slack.faults.add("usergroups.users.list", hold=True, after=True)
    early = begun(aside, lambda: members(directory, MAX_AGE))
    assert held.reached.wait(PATIENCE)  # Slack has read it, and its answer is on the way
    slack.set_group(PAY, [CLEO])
    directory.forget_group(PAY)
    held.release()
    assert early.result(PATIENCE) == {BEN}
    assert members(directory, MAX_AGE) == {CLEO}


# Groups that are gone


@pytest.mark.parametrize("change", ["disable_group", "delete_group"])
def test_nobody_is_in_a_group_that_is_gone_and_slack_is_asked_no_oftener(
    slack: SlackWorkspace, directory: Directory, change: str
) -> None:
    getattr(slack, change)(PAY)
    told = directory.asking().membership([PAY, GROUPS[0]])
    assert told == {PAY: frozenset(), GROUPS[0]: {BEN}}
    assert isinstance(told[PAY], Gone)
    assert told[PAY].why == "is disabled or deleted in Slack"
    members(directory, MAX_AGE)
    assert asked(slack) == 2


def test_a_group_that_is_enabled_again_has_its_members(
    slack: SlackWorkspace, directory: Directory
) -> None:
    slack.disable_group(PAY)
    assert members(directory, MAX_AGE) == frozenset()
    slack.disable_group(PAY, disabled=False)
    directory.forget_group(PAY)
    assert members(directory, MAX_AGE) == {BEN}


def test_a_plan_without_user_groups_has_nobody_in_them(
    slack: SlackWorkspace, directory: Directory
) -> None:
    slack.faults.add("usergroups.users.list", error="plan_upgrade_required")
    told = directory.asking().membership([PAY])[PAY]
    assert isinstance(told, Gone)
    assert "the workspace's plan has no user groups" in told.why


# Budgets


def test_ordinary_questions_leave_the_reserve_to_what_must_not_wait(
    slack: SlackWorkspace, directory: Directory, seconds: Seconds
) -> None:
    slack.rate_limits = True
    allowance = PUBLISHED["usergroups_users_list"]
    ordinary = allowance.a_minute - allowance.reserved
    for group in GROUPS[:ordinary]:
        members(directory, group=group)
    with pytest.raises(Limited) as limited:
        members(directory, group=GROUPS[ordinary])
    assert limited.value.after == timedelta(seconds=WINDOW_SECONDS)
    for group in GROUPS[ordinary : allowance.a_minute]:
        assert members(directory, urgent=True, group=group) == {BEN}
    assert [call.error for call in slack.calls if call.error] == []
    seconds.now += WINDOW_SECONDS
    slack.rate_limits = False
    assert members(directory, group=GROUPS[ordinary]) == {BEN}


def test_without_a_reserve_left_what_is_urgent_takes_what_is_half_a_minute_old(
    directory: Directory, seconds: Seconds
) -> None:
    for group in GROUPS[: PUBLISHED["usergroups_users_list"].a_minute]:
        members(directory, urgent=True, group=group)
    seconds.now += 20
    assert members(directory, urgent=True, group=GROUPS[0]) == {BEN}
    with pytest.raises(Limited):
        members(directory, group=GROUPS[0])  # an approval never
    seconds.now += 20
    with pytest.raises(Limited):
        members(directory, urgent=True, group=GROUPS[0])


def test_slack_is_left_alone_for_as_long_as_it_says(
    slack: SlackWorkspace, directory: Directory, seconds: Seconds
) -> None:
    slack.faults.add("usergroups.users.list", ratelimited=90)
    with pytest.raises(Limited) as limited:
        members(directory)
    assert limited.value.after == timedelta(seconds=90)
    seconds.now += 89
    with pytest.raises(Limited) as limited:
        members(directory, urgent=True)
    assert limited.value.after == timedelta(seconds=1)
    assert slack.faults.hit["usergroups.users.list"] == 1
    assert asked(slack) == 1
    seconds.now += 1
    assert members(directory) == {BEN}


def test_channels_have_a_budget_as_groups_have(directory: Directory, seconds: Seconds) -> None:
    allowance = PUBLISHED["conversations_info"]
    for _ in range(allowance.a_minute - allowance.reserved):
        members(directory, group=PAY_CHANNEL)
        seconds.now += 0.5
    with pytest.raises(Limited):
        members(directory, group=PAY_CHANNEL)
    assert BEN in members(directory, urgent=True, group=PAY_CHANNEL)


def test_no_minute_sees_more_calls_than_the_limit(seconds: Seconds) -> None:
    budget, method = CallBudget(seconds), "usergroups_users_list"
    taken: list[float] = []
    for _ in range(400):
        try:
            budget.take(method, reserved=True)
        except Limited:
            pass
        else:
            taken.append(seconds.now)
        seconds.now += 0.7
    most = PUBLISHED[method].a_minute
    assert len(taken) > 4 * most - 5
    assert all(later - taken[at] >= 60 for at, later in enumerate(taken[most:]))


def test_a_group_that_may_not_be_asked_about_is_waited_for_unless_it_is_urgent(
    slack: SlackWorkspace, directory: Directory
) -> None:
    slack.faults.add("usergroups.users.list", ratelimited=30)
    with pytest.raises(Limited):
        directory.asking().membership_as_told([PAY])
    urgent = directory.asking(urgent=True)
    assert urgent.membership_as_told([PAY]) == {}
    assert urgent.limited is not None
