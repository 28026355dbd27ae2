"""One schedule observed, and one step made, over EventBridge Scheduler's own protocol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.aws import scheduler
from bot.aws.clients import EksClients
from bot.core.backstop import Create, Remove, Schedule, Update, name_of, prefix
from bot.core.errors import AwsProblem, PermanentAwsProblem, TemporaryAwsProblem
from bot.core.model import Cluster
from bot.sandbox.eks import EksStandIn
from bot.sandbox.hand_clock import HandClock

ROLE = "arn:aws:iam::{}:role/eks-access-backstop"
ANA = "arn:aws:iam::{}:role/eks-jit/ana"
GROUP = "eks-access"
TEN = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)


@pytest.fixture
def clients(eks: EksStandIn, lab: Cluster, prod: Cluster) -> EksClients:
    eks.scheduler.clock = HandClock()
    for cluster in (lab, prod):
        eks.scheduler.create_group(GROUP, cluster.region, cluster.account)
        eks.scheduler.put_role(ROLE.format(cluster.account), {"Statement": []})
    return EksClients()


@pytest.fixture
def client(clients: EksClients, lab: Cluster) -> Any:
    made = clients.scheduler_for(lab)
    made.meta.events.unregister("needs-retry.scheduler", unique_id="retry-config-scheduler")
    return made


def schedule(cluster: Cluster, at: datetime = TEN) -> Schedule:
    principal = ANA.format(cluster.account)
    name = name_of("acme", cluster.name, principal, "0a1b")
    return Schedule(name, GROUP, at, ROLE.format(cluster.account), cluster.name, principal)


def observed(client: Any, cluster: Cluster) -> Schedule | None:
    return scheduler.observe(client, cluster, GROUP, schedule(cluster).name)


def test_a_schedule_is_read_back_as_it_was_made_changed_and_gone(client: Any, lab: Cluster) -> None:
    assert observed(client, lab) is None
    first, later = schedule(lab), schedule(lab, TEN.replace(hour=11))
    scheduler.apply(client, lab, Create(first))
    assert observed(client, lab) == first
    scheduler.apply(client, lab, Update(later))
    assert observed(client, lab) == later
    scheduler.apply(client, lab, Remove(later))
    assert observed(client, lab) is None


def test_removing_what_is_gone_is_fine(client: Any, lab: Cluster) -> None:
    scheduler.apply(client, lab, Remove(schedule(lab)))


def test_a_schedule_for_another_account_is_made_there(
    eks: EksStandIn, clients: EksClients, prod: Cluster
) -> None:
    scheduler.apply(clients.scheduler_for(prod), prod, Create(schedule(prod)))
    (held,) = eks.scheduler.schedules()
    assert (held.account, held.region) == (prod.account, prod.region)


def test_a_client_is_made_once_for_an_account_and_region(
    clients: EksClients, lab: Cluster, prod: Cluster
) -> None:
    assert clients.scheduler_for(lab) is clients.scheduler_for(replace(lab, name="other"))
    assert clients.scheduler_for(lab) is not clients.scheduler_for(prod)


def test_calls_end_in_bounded_time(clients: EksClients, lab: Cluster) -> None:
    config = clients.scheduler_for(lab).meta.config
    assert (config.connect_timeout, config.read_timeout) == (5, 10)


@pytest.mark.parametrize(
    "change",
    [
        {"State": "DISABLED"},
        {"ActionAfterCompletion": "NONE"},
        {"FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5}},
        {"ScheduleExpression": "at(2026-01-05T10:00:01)"},
    ],
)
def test_a_schedule_that_others_changed_is_not_the_one_wanted(
    eks: EksStandIn, client: Any, lab: Cluster, change: dict[str, Any]
) -> None:
    scheduler.apply(client, lab, Create(schedule(lab)))
    (held,) = eks.scheduler.schedules()
    client.update_schedule(**{**held.form, **change})
    assert observed(client, lab) != schedule(lab)


def test_the_names_of_one_cluster_are_told_from_those_of_others(client: Any, lab: Cluster) -> None:
    scheduler.apply(client, lab, Create(schedule(lab)))
    found = scheduler.names(client, lab, GROUP, prefix("acme", "lab"))
    assert found == [schedule(lab).name]
    assert scheduler.names(client, lab, GROUP, prefix("another", "lab")) == []


# What goes wrong


def lay(what: str) -> Callable[[EksStandIn], object]:
    return {
        "denied": lambda eks: eks.faults.deny(),
        "throttled": lambda eks: eks.faults.throttle(times=None),
        "fault": lambda eks: eks.faults.server_error(times=None),
        "cut": lambda eks: eks.faults.drop(times=None),
        "quota": lambda eks: eks.faults.answer(
            402, "ServiceQuotaExceededException", "too many", times=None
        ),
        "invalid": lambda eks: eks.faults.answer(400, "ValidationException", "no.", times=None),
    }[what]


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ("denied", PermanentAwsProblem("backstop_denied", "iam:PassRole")),
        ("throttled", TemporaryAwsProblem("aws_fault", "ThrottlingException")),
        ("fault", TemporaryAwsProblem("aws_fault", "tries again by itself")),
        ("cut", TemporaryAwsProblem("aws_unreachable", "did not answer for lab")),
        ("quota", PermanentAwsProblem("backstop_quota", "higher quota")),
        ("invalid", PermanentAwsProblem("backstop_refused", "refuses the backstop for lab: no.")),
    ],
)
def test_what_aws_says_is_told_in_words_and_sorted_by_whether_to_try_again(
    eks: EksStandIn, client: Any, lab: Cluster, what: str, problem: AwsProblem
) -> None:
    lay(what)(eks)
    for step in (Create(schedule(lab)), Update(schedule(lab)), Remove(schedule(lab))):
        with pytest.raises(type(problem)) as caught:
            scheduler.apply(client, lab, step)
        assert caught.value.code == problem.code
        assert problem.sentence in caught.value.sentence


def test_a_group_that_is_not_there_is_no_schedule_that_is_gone(
    eks: EksStandIn, client: Any, lab: Cluster
) -> None:
    eks.scheduler.delete_group(GROUP, lab.region, lab.account)
    calls: list[Callable[[], object]] = [
        lambda: observed(client, lab),
        lambda: scheduler.apply(client, lab, Remove(schedule(lab))),
        lambda: scheduler.names(client, lab, GROUP, "lab"),
    ]
    for call in calls:
        with pytest.raises(PermanentAwsProblem) as caught:
            call()
        assert caught.value.code == "no_schedule_group"
