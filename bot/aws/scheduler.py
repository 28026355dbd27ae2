"""One schedule at EventBridge Scheduler: observe it, and make one change to it.

Source: the EventBridge Scheduler API Reference, and its User Guide, "Using universal targets".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError, NoCredentialsError, ProfileNotFound

from bot.aws.errors import NO_ANSWER, asking, how, refused_credentials
from bot.core.backstop import (
    DELETE_ENTRY,
    EVENT_AGE,
    Create,
    Remove,
    Schedule,
    Step,
    Update,
    expression,
    input_of,
)
from bot.core.errors import AwsProblem, PermanentAwsProblem, TemporaryAwsProblem
from bot.core.model import Cluster
from bot.core.names import partition_of

_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_GONE = "ResourceNotFoundException"
_NO_GROUP = "Schedule group "  # the same code for a schedule and for its group: the words tell
_AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
_NEVER = datetime.min.replace(tzinfo=UTC)


def observe(client: Any, cluster: Cluster, group: str, name: str) -> Schedule | None:
    """The schedule as EventBridge Scheduler shows it now, or None. Raises AwsProblem.

    One that is not of the form in which the bot makes them differs from every schedule wanted.
    """
    with _translated(cluster, group, "read schedules"):
        try:
            shown = client.get_schedule(GroupName=group, Name=name)
        except ClientError as error:
            if _is_gone(error):
                return None
            raise
        return _schedule(shown, cluster)


def apply(client: Any, cluster: Cluster, step: Step) -> None:
    """Make one change. Raises AwsProblem; a lost answer may hide a change that was made."""
    schedule = step.schedule
    match step:
        case Create():
            with _translated(cluster, schedule.group, "make schedules"):
                client.create_schedule(**_form(schedule, cluster))
        case Update():
            with _translated(cluster, schedule.group, "change its schedules"):
                try:
                    client.update_schedule(**_form(schedule, cluster))
                except ClientError as error:
                    if not _is_gone(error):
                        raise
                    raise TemporaryAwsProblem(
                        "schedule_gone",
                        f"The backstop for {cluster.name} went while the bot was changing it. The "
                        "bot makes it anew by itself.",
                    ) from error
        case Remove():
            with _translated(cluster, schedule.group, "delete its schedules"):
                try:
                    client.delete_schedule(GroupName=schedule.group, Name=schedule.name)
                except ClientError as error:
                    if not _is_gone(error):
                        raise


def names(client: Any, cluster: Cluster, group: str, prefix: str) -> list[str]:
    """The names of the schedules of a group that begin so. Raises AwsProblem."""
    with _translated(cluster, group, "list schedules"):
        pages = client.get_paginator("list_schedules").paginate(GroupName=group, NamePrefix=prefix)
        return [one["Name"] for page in pages for one in page["Schedules"]]


def _form(schedule: Schedule, cluster: Cluster) -> dict[str, Any]:
    return {
        "Name": schedule.name,
        "GroupName": schedule.group,
        "Description": "Ends access that eks-access gave, if the bot does not.",
        "ScheduleExpression": expression(schedule.at),
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "State": "ENABLED",
        "Target": {
            "Arn": _target(cluster),
            "RoleArn": schedule.role,
            "Input": input_of(schedule),
            "RetryPolicy": {"MaximumEventAgeInSeconds": int(EVENT_AGE.total_seconds())},
        },
    }


def _schedule(shown: dict[str, Any], cluster: Cluster) -> Schedule:
    target = shown["Target"]
    at = _AT.fullmatch(shown["ScheduleExpression"])
    whole = (
        target["Arn"] == _target(cluster)
        and shown.get("ScheduleExpressionTimezone") == "UTC"
        and shown.get("State") == "ENABLED"
        and shown.get("ActionAfterCompletion") == "DELETE"
        and shown["FlexibleTimeWindow"] == {"Mode": "OFF"}
    )
    hit = _read_input(target.get("Input", ""))
    return Schedule(
        name=shown["Name"],
        group=shown["GroupName"],
        at=datetime.fromisoformat(f"{at[1]}+00:00") if at and whole else _NEVER,
        role=target["RoleArn"],
        cluster=str(hit.get("ClusterName", "")),
        principal_arn=str(hit.get("PrincipalArn", "")),
    )


def _read_input(text: str) -> dict[str, Any]:
    try:
        hit = json.loads(text)
    except ValueError:
        return {}
    return hit if isinstance(hit, dict) else {}


def _target(cluster: Cluster) -> str:
    return f"arn:{partition_of(cluster.region)}:scheduler:::{DELETE_ENTRY}"


def _is_gone(error: ClientError) -> bool:
    """Whether the schedule is not there (and not its group)."""
    details = error.response["Error"]
    return details["Code"] == _GONE and not details.get("Message", "").startswith(_NO_GROUP)


@contextmanager
def _translated(cluster: Cluster, group: str, doing: str) -> Iterator[None]:
    """Raise AwsProblem for whatever boto3 raises. `doing` ends "AWS does not let the bot …"."""
    try:
        yield
    except ClientError as error:
        refused = refused_credentials(error.response["Error"]["Code"], cluster)
        raise asking(refused or _problem(error, cluster, group, doing), error) from error
    except (NoCredentialsError, ProfileNotFound) as error:
        raise TemporaryAwsProblem(
            "no_credentials",
            "The bot has no AWS credentials, so it can set no backstop. "
            "Whoever runs the bot gives it a role; docs/aws.md says where it comes from.",
        ) from error
    except NO_ANSWER as error:
        raise TemporaryAwsProblem(
            "aws_unreachable",
            f"EventBridge Scheduler {how(error)} for {cluster.name} ({type(error).__name__}), so "
            "the backstop is not set. The bot tries again by itself.",
        ) from error


def _problem(error: ClientError, cluster: Cluster, group: str, doing: str) -> AwsProblem:
    code = error.response["Error"]["Code"]
    message = error.response["Error"].get("Message", "")
    place = f"in {cluster.region} of account {cluster.account}"
    if code in _DENIED and error.operation_name == "AssumeRole":
        return PermanentAwsProblem(
            "role_denied",
            f"AWS does not let the bot assume `{cluster.assume_role}`, the role that reaches "
            f"{cluster.name} ({code}). Whoever runs the bot lets it do so, and that role trust it.",
        )
    if code in _DENIED:
        return PermanentAwsProblem(
            "backstop_denied",
            f"AWS does not let the bot {doing} {place} ({code}). Without its backstop no access is "
            "given. Whoever runs the bot grants its role that permission, and `iam:PassRole` on "
            "the backstop's role; docs/aws.md lists what it needs.",
        )
    if code == _GONE:
        return PermanentAwsProblem(
            "no_schedule_group",
            f"There is no schedule group `{group}` {place}. Without its backstop no access is "
            "given. Whoever runs the bot makes it: `aws scheduler create-schedule-group --name "
            f"{group} --region {cluster.region}`.",
        )
    if code == "ValidationException":
        return PermanentAwsProblem(
            "backstop_refused",
            f"EventBridge Scheduler refuses the backstop for {cluster.name}: {message} Whoever "
            "runs the bot looks at `backstop` in the policy file and at the role it names.",
        )
    if code == "ServiceQuotaExceededException":
        return PermanentAwsProblem(
            "backstop_quota",
            f"EventBridge Scheduler takes no more schedules {place} ({code}). Without its backstop "
            "no access is given. Whoever runs the bot asks AWS for a higher quota.",
        )
    return TemporaryAwsProblem(
        "aws_fault",
        f"EventBridge Scheduler could not do this for {cluster.name} just now ({code}), so the "
        "backstop is not set. The bot tries again by itself.",
    )
