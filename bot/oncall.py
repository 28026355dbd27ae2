"""Who is on call now, asked of PagerDuty or Opsgenie: the first level of the named schedules alone.

A whole escalation policy never counts, nor does anybody who only would be told later. What a
service does not say plainly it has not said: then nobody is on call, with a problem for a person.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot import services
from bot.core.names import quoted
from bot.core.oncall import OnCall, OnCallFacts, Schedules
from bot.kept import Kept
from bot.web import PATIENCE, PROBLEM_KEPT, JsonWeb, NotThere, Service, WebProblem

KEPT = timedelta(seconds=60)
"""How long an answer is used. Whoever goes off call may count for so much longer."""

PAGE = 100
MOST_PAGES = 20
"""Two thousand entries, which is more than the first level of a few schedules can have."""

_FIRST_LEVEL = 1
_AT_ONCE = 0
_AT_A_TIME = 8

Clock = Callable[[], datetime]
People = Iterator[tuple[str, str | None]]


class OnCallService(ABC):
    """A service that knows who is on call, with its answers kept for a minute. Thread-safe.

    `service` is None where its key is not set: then it says so when asked. `patience` is JsonWeb's.
    """

    name: str
    key_variable: str
    schedule_id: re.Pattern[str]

    def __init__(self, service: Service | None, *, clock: Clock, patience: float) -> None:
        self._web = JsonWeb(service, patience=patience) if service is not None else None
        self._kept = Kept(self._ask, lasts=_lasts, clock=clock)

    def on_call(self, schedules: Collection[str]) -> OnCall:
        """Who is on call first by at least one of the schedules of these ids. Never raises."""
        return self._kept.get(frozenset(schedules))

    def close(self) -> None:
        """Close the connections."""
        if self._web is not None:
            self._web.close()

    @abstractmethod
    def _people(self, web: JsonWeb, schedules: list[str]) -> People:
        """Ids and addresses, some of them twice. Raises WebProblem and ValidationError."""

    def _ask(self, schedules: frozenset[str]) -> OnCall:
        beginning = f"{self.name} did not say who is on call"
        if self._web is None:
            return _unknown(
                f"{beginning}: {self.key_variable} is not set. Tell whoever runs this bot: "
                "docs/oncall.md says what to set."
            )
        for one in sorted(schedules):
            if not self.schedule_id.fullmatch(one):
                return _unknown(
                    f"{beginning}: {quoted(one)} is no id of a schedule. Tell whoever runs this "
                    f"bot: Correct the schedules of {self.name} in the policy file."
                )
        try:
            # Without a schedule the question would be about everybody.
            found = list(self._people(self._web, sorted(schedules))) if schedules else []
        except NotThere:
            return _unknown(
                f"{beginning}: it has no schedule {' or '.join(map(quoted, sorted(schedules)))}. "
                f"Tell whoever runs this bot: Correct the schedules of {self.name} in the policy "
                "file, and see that the key may read them."
            )
        except WebProblem as problem:
            return _unknown(problem.told(beginning))
        except ValidationError:
            return _unknown(self._web.malformed().told(beginning))
        return OnCall(
            frozenset(email for _, text in found if text and (email := _plain(text))),
            frozenset(one for one, _ in found),
        )


class PagerDuty(OnCallService):
    """`GET /oncalls`, of which entries at escalation level 1 by a named schedule count.

    Source: PagerDuty's OpenAPI document, "List all of the on-calls"; "Pagination". Without `since`
    and `until` it answers for now.
    """

    name = "PagerDuty"
    key_variable = "PAGERDUTY_TOKEN"
    # `null` would ask for those who stand in an escalation policy without any schedule.
    schedule_id = re.compile(r"[A-Z0-9]{1,64}")

    def __init__(
        self, url: str, token: str | None, *, clock: Clock, patience: float = PATIENCE
    ) -> None:
        service = services.pagerduty(url, token) if token else None
        super().__init__(service, clock=clock, patience=patience)

    def _people(self, web: JsonWeb, schedules: list[str]) -> People:
        offset = 0
        for _ in range(MOST_PAGES):
            page = _Page.model_validate(
                web.get(
                    "/oncalls",
                    [
                        *(("schedule_ids[]", one) for one in schedules),
                        ("include[]", "users"),
                        ("earliest", "true"),
                        ("limit", str(PAGE)),
                        ("offset", str(offset)),
                    ],
                )
            )
            for entry in page.oncalls:
                by_schedule = entry.schedule is not None and entry.schedule.id in schedules
                if by_schedule and entry.escalation_level == _FIRST_LEVEL:
                    yield entry.user.id, entry.user.email
            if not page.more:
                return
            if not page.oncalls:
                break
            offset += len(page.oncalls)
        raise web.malformed("lists more people than can be on call")


class Opsgenie(OnCallService):
    """`GET /v2/schedules/{id}/on-calls`, of which those count who are told at once.

    They stand in the schedule themselves, or an escalation in it tells them after 0 minutes. A team
    counts for nobody. `flat=true` would list whole escalations, and so is not asked for. Source:
    Opsgenie's documentation, "Who is On Call API"; that `escalationTime` is the time from the alert
    on is read out of its example [?].
    """

    name = "Opsgenie"
    key_variable = "OPSGENIE_API_KEY"
    schedule_id = re.compile(r"[A-Za-z0-9-]{1,64}")

    def __init__(
        self, url: str, key: str | None, *, clock: Clock, patience: float = PATIENCE
    ) -> None:
        service = services.opsgenie(url, key) if key else None
        super().__init__(service, clock=clock, patience=patience)

    def _people(self, web: JsonWeb, schedules: list[str]) -> People:
        for schedule in schedules:
            answer = web.get(
                f"/v2/schedules/{quote(schedule, safe='')}/on-calls",
                [("scheduleIdentifierType", "id"), ("flat", "false")],
            )
            data = _OnCalls.model_validate(answer).data
            if data.parent.id != schedule:
                raise web.malformed("answers for another schedule")
            if data.parent.enabled:
                yield from _told_at_once(data.participants)


class OnCallServices:
    """Every on-call service there is, by the name that the policy file gives it. Thread-safe."""

    def __init__(self, services_by_name: Mapping[str, OnCallService]) -> None:
        self._services = services_by_name

    def facts(self, schedules: Collection[Schedules]) -> OnCallFacts:
        """Who is on call by each of these, all asked at once. Never raises."""
        if not schedules:
            return {}
        wanted = sorted(set(schedules))
        # One after the other, services that are silent would add their silences up.
        with ThreadPoolExecutor(min(len(wanted), _AT_A_TIME)) as pool:
            return dict(zip(wanted, pool.map(self._one, wanted), strict=True))

    def close(self) -> None:
        """Close the connections."""
        for service in self._services.values():
            service.close()

    def _one(self, schedules: Schedules) -> OnCall:
        name, ids = schedules
        return self._services[name].on_call(ids)


class _Answer(BaseModel):
    """Part of what a service answers; what is not named here is not looked at."""

    model_config = ConfigDict(strict=True, frozen=True)


class _Schedule(_Answer):
    id: str


class _User(_Answer):
    id: str
    email: str | None = None


class _Entry(_Answer):
    escalation_level: int
    schedule: _Schedule | None
    user: _User


class _Page(_Answer):
    oncalls: list[_Entry]
    more: bool


class _Parent(_Answer):
    id: str
    enabled: bool


class _Participant(_Answer):
    """`name` is a user's email address."""

    id: str
    type: str
    name: str = ""
    minutes: int | None = Field(None, alias="escalationTime")
    participants: list[_Participant] = Field([], alias="onCallParticipants")


class _Schedules(_Answer):
    parent: _Parent = Field(alias="_parent")
    participants: list[_Participant] = Field([], alias="onCallParticipants")


class _OnCalls(_Answer):
    data: _Schedules


def _told_at_once(participants: list[_Participant]) -> People:
    for one in participants:
        if one.type == "user":
            yield one.id, one.name
        elif one.type == "escalation":
            for told in one.participants:
                if told.type == "user" and told.minutes == _AT_ONCE:
                    yield told.id, told.name


def _lasts(answer: OnCall) -> timedelta:
    return KEPT if answer.available else PROBLEM_KEPT


def _unknown(problem: str) -> OnCall:
    return OnCall(available=False, problem=problem)


def _plain(text: str) -> str | None:
    """The address in lower case, or None where it names nobody.

    ASCII alone: in lower case the Kelvin sign is a `k`, and an address with it somebody else's.
    """
    name, _, domain = text.rpartition("@")
    return text.lower() if text.isascii() and name and domain else None
