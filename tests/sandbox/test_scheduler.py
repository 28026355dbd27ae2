"""The local EventBridge Scheduler: what it takes, what it refuses, and what it fires."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bot.sandbox.eks import EksStandIn
from bot.sandbox.hand_clock import HandClock

ACCOUNT, REGION = "111122223333", "eu-west-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/eks-access-backstop"
ANA = f"arn:aws:iam::{ACCOUNT}:role/eks-jit/ana"
OURS = {"eks-access:deployment": "acme-prod", "eks-access:grant": "7K3-QMX"}
SHIPPED = json.loads(
    (Path(__file__).parents[2] / "deploy" / "backstop-policy.json").read_text(encoding="utf-8")
)
AT_TEN = "at(2026-01-05T10:00:00)"


@pytest.fixture(scope="module")
def local_eks() -> Iterator[EksStandIn]:
    with EksStandIn(account=ACCOUNT) as eks:
        yield eks


@pytest.fixture
def eks(local_eks: EksStandIn) -> EksStandIn:
    """A cluster `lab`, a group of schedules, and the backstop's role as it is shipped; at nine."""
    local_eks.reset()
    local_eks.create_cluster("lab")
    local_eks.scheduler.clock = HandClock()
    local_eks.scheduler.create_group("eks-access", REGION, ACCOUNT)
    local_eks.scheduler.put_role(ROLE, SHIPPED)
    return local_eks


@pytest.fixture
def client(eks: EksStandIn) -> Any:
    return eks.client("scheduler")


def form(name: str = "ana", **more: Any) -> dict[str, Any]:
    target = {
        "Arn": "arn:aws:scheduler:::aws-sdk:eks:deleteAccessEntry",
        "RoleArn": ROLE,
        "Input": json.dumps({"ClusterName": "lab", "PrincipalArn": ANA}),
        **more.pop("target", {}),
    }
    return {
        "Name": name,
        "GroupName": "eks-access",
        "ScheduleExpression": AT_TEN,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": target,
        **more,
    }


def pass_time(eks: EksStandIn, by: timedelta = timedelta(hours=1)) -> None:
    clock = eks.scheduler.clock
    assert isinstance(clock, HandClock)
    clock.advance(by)
    eks.scheduler.fire_due()


def test_a_schedule_is_shown_as_it_was_made(client: Any) -> None:
    made = client.create_schedule(**form())
    assert made["ScheduleArn"] == f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/eks-access/ana"
    shown = client.get_schedule(Name="ana", GroupName="eks-access")
    assert shown["ScheduleExpression"] == AT_TEN
    assert shown["ScheduleExpressionTimezone"] == "UTC"
    assert shown["State"] == "ENABLED"
    assert shown["Target"]["RoleArn"] == ROLE


def test_an_update_replaces_the_whole_schedule(client: Any) -> None:
    client.create_schedule(**form(State="DISABLED"))
    client.update_schedule(**form(ScheduleExpression="at(2026-01-05T11:00:00)"))
    shown = client.get_schedule(Name="ana", GroupName="eks-access")
    assert shown["ScheduleExpression"] == "at(2026-01-05T11:00:00)"
    assert shown["State"] == "ENABLED"


def test_a_long_list_comes_in_pages(client: Any) -> None:
    for number in range(103):
        client.create_schedule(**form(f"lab-{number:03}"))
    client.create_schedule(**form("other"))
    pages = client.get_paginator("list_schedules").paginate(
        GroupName="eks-access", NamePrefix="lab-"
    )
    assert len([one for page in pages for one in page["Schedules"]]) == 103


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"ScheduleExpression": "at(2026-01-05 10:00)"}, "ValidationException"),
        ({"ScheduleExpression": "at(2026-01-05T08:00:00)"}, "ValidationException"),
        ({"FlexibleTimeWindow": {"Mode": "NEVER"}}, "ValidationException"),
        ({"GroupName": "nobodys"}, "ResourceNotFoundException"),
        ({"target": {"RoleArn": ROLE + "x"}}, "ValidationException"),
        ({"target": {"RoleArn": ROLE.replace("1111", "2222")}}, "ValidationException"),
        ({"target": {"Arn": "arn:aws:scheduler:::aws-sdk:eks:nothing"}}, "ValidationException"),
        ({"target": {"Input": "{"}}, "ValidationException"),
        (
            {"target": {"Input": json.dumps({"clusterName": "lab", "principalArn": ANA})}},
            "ValidationException",
        ),
        ({"target": {"RetryPolicy": {"MaximumEventAgeInSeconds": 86_400}}}, None),
    ],
)
def test_what_the_service_refuses_is_refused(
    client: Any, wrong: dict[str, Any], code: str | None
) -> None:
    if code is None:
        client.create_schedule(**form(**wrong))
        return
    with pytest.raises(ClientError) as caught:
        client.create_schedule(**form(**wrong))
    assert caught.value.response["Error"]["Code"] == code


def test_what_is_there_is_not_made_again_and_what_is_not_is_not_changed(client: Any) -> None:
    calls = {
        "ResourceNotFoundException": [
            lambda: client.update_schedule(**form()),
            lambda: client.get_schedule(Name="ana", GroupName="eks-access"),
            lambda: client.delete_schedule(Name="ana", GroupName="eks-access"),
        ],
        "ConflictException": [lambda: [client.create_schedule(**form()) for _ in range(2)]],
    }
    for code, some in calls.items():
        for call in some:
            with pytest.raises(ClientError) as caught:
                call()
            assert caught.value.response["Error"]["Code"] == code


# Firing


def test_at_its_time_it_deletes_the_bots_entry_and_itself(eks: EksStandIn, client: Any) -> None:
    eks.put_entry("lab", ANA, tags=OURS)
    client.create_schedule(**form())
    pass_time(eks, timedelta(minutes=59, seconds=59))
    assert eks.entry("lab", ANA) is not None
    pass_time(eks, timedelta(seconds=1))
    assert eks.entry("lab", ANA) is None
    assert eks.scheduler.schedules() == ()
    assert [call.user_agent for call in eks.calls_of("DeleteAccessEntry")] == [
        "AmazonEventBridgeScheduler"
    ]


@pytest.mark.parametrize(
    "tags", [{}, {"managed-by": "terraform"}, OURS | {"eks-access:deployment": "another"}]
)
def test_the_shipped_role_deletes_no_entry_without_the_deployments_tag(
    eks: EksStandIn, client: Any, tags: dict[str, str]
) -> None:
    eks.put_entry("lab", ANA, tags=tags)
    client.create_schedule(**form())
    pass_time(eks)
    assert eks.entry("lab", ANA) is not None
    assert [one.outcome for one in eks.scheduler.fired] == ["denied"]


def test_the_shipped_role_deletes_no_entry_of_another_principal(
    eks: EksStandIn, client: Any
) -> None:
    admin = f"arn:aws:iam::{ACCOUNT}:role/platform-admins"
    eks.put_entry("lab", admin, tags=OURS)
    hit = json.dumps({"ClusterName": "lab", "PrincipalArn": admin})
    client.create_schedule(**form(target={"Input": hit}))
    pass_time(eks)
    assert eks.entry("lab", admin) is not None


def test_a_disabled_schedule_fires_nothing(eks: EksStandIn, client: Any) -> None:
    eks.put_entry("lab", ANA, tags=OURS)
    client.create_schedule(**form(State="DISABLED"))
    pass_time(eks)
    assert eks.entry("lab", ANA) is not None


def test_it_fires_by_itself_where_time_does_not_stand_still() -> None:
    clock = HandClock()
    with EksStandIn(account=ACCOUNT) as eks:
        eks.scheduler.clock = clock
        eks.create_cluster("lab")
        eks.scheduler.create_group("eks-access", REGION, ACCOUNT)
        eks.scheduler.put_role(ROLE, SHIPPED)
        eks.scheduler.run()
        eks.put_entry("lab", ANA, tags=OURS)
        eks.client("scheduler").create_schedule(**form())
        clock.advance(timedelta(hours=1))
        assert eks.wait_for(lambda: bool(eks.scheduler.fired), 5)
        assert eks.entry("lab", ANA) is None


def test_a_policy_that_is_not_understood_is_not_taken(eks: EksStandIn) -> None:
    statement = {"Effect": "Deny", "Action": "eks:DeleteAccessEntry", "Resource": "*"}
    with pytest.raises(ValueError, match="not understood"):
        eks.scheduler.put_role(ROLE, {"Statement": [statement]})
