"""A local EventBridge Scheduler that fires: one-time schedules that delete access entries.

moto keeps schedules and never fires them. This one has no more of the service than the bot uses,
refuses what the real one refuses, and calls DeleteAccessEntry under the permissions of the role
that the schedule names. It fires what is due by its clock whenever `fire_due` is called, or by
itself after `run`.

Sources: the EventBridge Scheduler API Reference, its User Guide ("Schedule types", "Using universal
targets", "Setting up the execution role"), the IAM User Guide ("Condition operators"). `[?]` marks
what no source confirms.
"""

from __future__ import annotations

import copy
import fnmatch
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn

from bot.sandbox.eks_faults import Answer

DELETE_ENTRY = "aws-sdk:eks:deleteAccessEntry"
TICK_SECONDS = 0.2

_NAME = re.compile(r"[0-9a-zA-Z-_.]{1,64}")
_AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
_ROLE = re.compile(r"arn:aws(-[a-z]+)*:iam::(\d{12}):role/[\w+=,.@/-]+")
_EVENT_AGE = range(60, 86_401)
_PAGE = 100
_INPUT = {"ClusterName", "PrincipalArn"}


class Refused(Exception):
    """The answer to a call that cannot be carried out."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.message)
        self.answer = answer


@dataclass(slots=True)
class Stored:
    """A schedule as it is held. `form` is what CreateSchedule or UpdateSchedule was given last."""

    account: str
    region: str
    group: str
    name: str
    at: datetime
    form: dict[str, Any]
    created_at: datetime
    modified_at: datetime

    @property
    def arn(self) -> str:
        return f"arn:aws:scheduler:{self.region}:{self.account}:schedule/{self.group}/{self.name}"

    @property
    def hit(self) -> dict[str, str]:
        """What DeleteAccessEntry is called with."""
        hit: dict[str, str] = json.loads(self.form["Target"]["Input"])
        return hit


@dataclass(frozen=True, slots=True)
class Fired:
    """What came of a schedule: `deleted`, `denied`, or `not there`."""

    at: datetime
    name: str
    cluster: str
    principal_arn: str
    outcome: str


@dataclass(slots=True)
class _Place:
    """One account and region."""

    groups: dict[str, dict[str, Stored]] = field(default_factory=lambda: {"default": {}})


class LocalScheduler:
    """The schedules of every account and region. Thread-safe under `changed`.

    `entry` looks up an access entry, as (ARN, tags) or None, and `delete` takes it away; both are
    given account, region, cluster and principal, and called with `changed` held.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        changed: threading.Condition,
        *,
        entry: Callable[[str, str, str, str], tuple[str, Mapping[str, str]] | None],
        delete: Callable[[str, str, str, str], None],
    ) -> None:
        self.clock = clock
        self.fired: list[Fired] = []
        self._changed = changed
        self._entry = entry
        self._delete = delete
        self._places: dict[tuple[str, str], _Place] = {}
        self._roles: dict[str, dict[str, Any]] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    # By the hand of whoever sets up an account

    def create_group(self, name: str, region: str, account: str) -> None:
        with self._changed:
            self._place(account, region).groups.setdefault(name, {})

    def delete_group(self, name: str, region: str, account: str) -> None:
        """Take a group away, with its schedules."""
        with self._changed:
            self._place(account, region).groups.pop(name, None)

    def put_role(self, arn: str, policy: Mapping[str, Any]) -> None:
        """Make a role that EventBridge Scheduler may assume, with its permissions.

        Raises ValueError for a policy that says more than is understood here.
        """
        for statement in policy["Statement"]:
            understood = {"StringEquals", "ArnLike"}
            if statement["Effect"] != "Allow" or not statement.get("Condition", {}).keys() <= (
                understood
            ):
                raise ValueError(f"This statement is not understood here: {statement}")
        with self._changed:
            self._roles[arn] = copy.deepcopy(dict(policy))

    def schedules(self) -> tuple[Stored, ...]:
        """Every schedule that is held, by name."""
        with self._changed:
            found = [
                stored
                for place in self._places.values()
                for group in place.groups.values()
                for stored in group.values()
            ]
            return tuple(sorted(copy.deepcopy(found), key=lambda one: (one.name, one.group)))

    def put(self, stored: Stored) -> None:
        """Put a schedule back as it was, by somebody else's hand."""
        with self._changed:
            self._group(stored.account, stored.region, stored.group)[stored.name] = stored

    def take(self, name: str) -> None:
        """Take every schedule of this name away, by somebody else's hand."""
        with self._changed:
            for place in self._places.values():
                for group in place.groups.values():
                    group.pop(name, None)
            self._changed.notify_all()

    def reset(self) -> None:
        """Forget schedules, groups, roles, and what was fired."""
        with self._changed:
            self._places.clear()
            self._roles.clear()
            self.fired.clear()

    # Time

    def fire_due(self) -> None:
        """Fire what is due by the clock, and let it delete itself."""
        now = self.clock()
        with self._changed:
            for place in self._places.values():
                for group in place.groups.values():
                    for stored in [one for one in group.values() if one.at <= now]:
                        if stored.form["State"] == "ENABLED":
                            self.strike(stored)
                        if stored.form["ActionAfterCompletion"] == "DELETE":
                            del group[stored.name]

    def strike(self, stored: Stored) -> Fired:
        """Do what the schedule is for, now; also for one that has left this list since."""
        with self._changed:
            cluster, principal = stored.hit["ClusterName"], stored.hit["PrincipalArn"]
            key = (stored.account, stored.region, cluster, principal)
            found = self._entry(*key)
            outcome = "not there"
            if found is not None:
                outcome = "denied"
                if self._may_delete(stored.form["Target"]["RoleArn"], principal, *found):
                    self._delete(*key)
                    outcome = "deleted"
            fired = Fired(self.clock(), stored.name, cluster, principal, outcome)
            self.fired.append(fired)
            self._changed.notify_all()
        return fired

    def run(self) -> None:
        """Fire by itself from now on, for a clock that moves by itself."""
        self._thread = threading.Thread(target=self._tick, name="local-scheduler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _tick(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            self.fire_due()

    # The operations; each returns its JSON answer or raises Refused

    def answer(
        self, operation: str, account: str, region: str, params: dict[str, Any]
    ) -> dict[str, Any]:
        """Carry out one call, with `changed` held."""
        match operation:
            case "CreateSchedule":
                return self._put(account, region, params, new=True)
            case "UpdateSchedule":
                return self._put(account, region, params, new=False)
            case "GetSchedule":
                return _described(self._find(account, region, params))
            case "DeleteSchedule":
                stored = self._find(account, region, params)
                del self._group(account, region, stored.group)[stored.name]
                return {}
            case "ListSchedules":
                return self._list(account, region, params)
        raise Refused(Answer(501, "NotImplemented", f"There is no {operation} here."))

    def _put(
        self, account: str, region: str, params: dict[str, Any], *, new: bool
    ) -> dict[str, Any]:
        name, group_name = params["Name"], params.get("GroupName", "default")
        if not _NAME.fullmatch(name):
            _invalid(f"Value '{name}' at 'name' failed to satisfy constraint")
        group = self._group(account, region, group_name)
        form = self._form(account, params)
        now = self.clock()
        at = datetime.fromisoformat(f"{_at(form)}+00:00")
        if at <= now:
            _invalid("The schedule expression is in the past")  # [?]
        if new and name in group:
            raise Refused(Answer(409, "ConflictException", f"Schedule {name} already exists."))
        if not new:
            self._find(account, region, params)
        created_at = now if new else group[name].created_at
        stored = Stored(account, region, group_name, name, at, form, created_at, now)
        group[name] = stored
        return {"ScheduleArn": stored.arn}

    def _form(self, account: str, params: dict[str, Any]) -> dict[str, Any]:
        """What the schedule says, whole: an update resets what it leaves out to its default."""
        form = {
            "ScheduleExpressionTimezone": "UTC",
            "State": "ENABLED",
            "ActionAfterCompletion": "NONE",
            **params,
        }
        if not _at(form):
            _invalid(f"Invalid Schedule Expression {form['ScheduleExpression']}.")
        if form["FlexibleTimeWindow"].get("Mode") not in {"OFF", "FLEXIBLE"}:
            _invalid("Value at 'flexibleTimeWindow.mode' failed to satisfy constraint")
        target = form["Target"]
        if target["Arn"] != f"arn:aws:scheduler:::{DELETE_ENTRY}":
            _invalid(f"{target['Arn']} is not a supported service for a target.")
        age = target.get("RetryPolicy", {}).get("MaximumEventAgeInSeconds", 86_400)
        if age not in _EVENT_AGE:
            _invalid("Value at 'target.retryPolicy.maximumEventAgeInSeconds' failed to satisfy")
        role = _ROLE.fullmatch(target["RoleArn"])
        if role is None or role[2] != account or target["RoleArn"] not in self._roles:
            _invalid(
                "The execution role you provide must allow AWS EventBridge Scheduler to assume the "
                "role."
            )
        _check_input(target.get("Input"))
        return form

    def _find(self, account: str, region: str, params: dict[str, Any]) -> Stored:
        group_name = params.get("GroupName") or params.get("groupName") or "default"
        stored = self._group(account, region, group_name).get(params["Name"])
        if stored is None:
            message = f"Schedule {params['Name']} does not exist."
            raise Refused(Answer(404, "ResourceNotFoundException", message))
        return stored

    def _list(self, account: str, region: str, params: dict[str, Any]) -> dict[str, Any]:
        group_name = params.get("ScheduleGroup", "default")
        held = self._group(account, region, group_name)
        beginning, start = params.get("NamePrefix", ""), params.get("NextToken", "")
        named = sorted(name for name in held if name.startswith(beginning) and name >= start)
        page, rest = named[:_PAGE], named[_PAGE:]
        schedules = [
            {"Name": name, "GroupName": group_name, "State": held[name].form["State"]}
            for name in page
        ]
        return {"Schedules": schedules, **({"NextToken": rest[0]} if rest else {})}

    def _place(self, account: str, region: str) -> _Place:
        return self._places.setdefault((account, region), _Place())

    def _group(self, account: str, region: str, name: str) -> dict[str, Stored]:
        group = self._place(account, region).groups.get(name)
        if group is None:
            message = f"Schedule group {name} does not exist."
            raise Refused(Answer(404, "ResourceNotFoundException", message))
        return group

    def _may_delete(
        self, role: str, principal: str, entry_arn: str, tags: Mapping[str, str]
    ) -> bool:
        """Whether the role's policy lets it delete an entry with these tags."""
        context = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
        context["eks:principalArn"] = principal
        statements = self._roles.get(role, {"Statement": []})["Statement"]
        return any(_allows(one, "eks:DeleteAccessEntry", entry_arn, context) for one in statements)


def _allows(statement: Any, action: str, resource: str, context: Mapping[str, str]) -> bool:
    if action not in _listed(statement["Action"]):
        return False
    if not any(fnmatch.fnmatchcase(resource, one) for one in _listed(statement["Resource"])):
        return False
    conditions = statement.get("Condition", {})
    return all(
        context.get(key) in _listed(wanted)
        for key, wanted in conditions.get("StringEquals", {}).items()
    ) and all(
        any(fnmatch.fnmatchcase(context.get(key, ""), one) for one in _listed(wanted))
        for key, wanted in conditions.get("ArnLike", {}).items()
    )


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _at(form: Mapping[str, Any]) -> str | None:
    found = _AT.fullmatch(form["ScheduleExpression"])
    if found is None or form["ScheduleExpressionTimezone"] != "UTC":
        return None
    return found[1]


def _check_input(text: str | None) -> None:
    """Source of the form: what was seen of EKS's other universal targets; PascalCase members."""
    try:
        given = json.loads(text or "")
    except ValueError:
        given = None
    if not isinstance(given, dict) or given.keys() != _INPUT:
        _invalid("Invalid RequestJson provided.")  # [?] the rest of the sentence


def _described(stored: Stored) -> dict[str, Any]:
    return {
        **stored.form,
        "Arn": stored.arn,
        "Name": stored.name,
        "GroupName": stored.group,
        "CreationDate": stored.created_at.astimezone(UTC).timestamp(),
        "LastModificationDate": stored.modified_at.astimezone(UTC).timestamp(),
    }


def _invalid(message: str) -> NoReturn:
    raise Refused(Answer(400, "ValidationException", message))
