"""A local PagerDuty: who is on call, and incidents.

GET /oncalls         paginated, filtered and included as PagerDuty's OpenAPI document says
GET /incidents/{id}  by id or by number

Source: PagerDuty's OpenAPI document; "Pagination"; "Errors"; "Authentication".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from bot.sandbox.local_service import LocalService, answered

KEY = "local+PagerDuty_key-1"
VERSION = "application/vnd.pagerduty+json;version=2"
PAGE, LARGEST_PAGE, MOST_RECORDS = 25, 100, 10_000


@dataclass(frozen=True, slots=True)
class Duty:
    """Somebody on call. Without a schedule they stand in the escalation policy themselves."""

    user: str
    schedule: str | None
    level: int
    policy: str
    start: datetime | None
    end: datetime | None

    def now(self, time: datetime) -> bool:
        began = self.start is None or self.start <= time
        return began and (self.end is None or time < self.end)


class LocalPagerDuty(LocalService):
    """`duties` are who is on call; the clock tells which of them now."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(KEY)
        self._clock = clock
        self.emails: dict[str, str] = {}
        self.duties: list[Duty] = []
        self.incidents: dict[str, dict[str, Any]] = {}

    def put_user(self, user: str, email: str) -> None:
        """Add a user, or change their email address."""
        self.emails[user] = email

    def put_on_call(
        self,
        user: str,
        schedule: str | None,
        *,
        level: int = 1,
        policy: str = "P0POLICY",
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> None:
        """Put a user on call; without a time for ever."""
        if user not in self.emails:
            raise ValueError(f"there is no user {user}")
        self.duties.append(Duty(user, schedule, level, policy, start, end))

    def put_incident(self, incident: str, number: int, status: str = "triggered") -> None:
        """Add an incident, or change its status: `triggered`, `acknowledged` or `resolved`."""
        self.incidents[incident] = {
            "id": incident,
            "type": "incident",
            "summary": f"[#{number}] Something is on fire.",
            "incident_number": number,
            "status": status,
        }

    def refuse(self, request: Request, path: str) -> Response | None:
        del path
        if request.headers.get("authorization") != f"Token token={self.key}":
            return _error(401, 2006, "Authentication failed")
        if request.headers.get("accept") != VERSION:
            # PagerDuty answers in the version of the key's own age; nobody should rely on that.
            return _error(406, 2002, "Arguments Caused Error")
        return None

    def answer(self, request: Request, path: str) -> Response:
        if path == "/oncalls":
            return self._oncalls(request)
        if path.startswith("/incidents/"):
            name = path.removeprefix("/incidents/")
            for one in list(self.incidents.values()):
                if name in {one["id"], str(one["incident_number"])}:
                    return answered({"incident": one})
        return _error(404, 2100, "Not Found")

    def _oncalls(self, request: Request) -> Response:
        asked = request.query_params
        try:
            limit = min(int(asked.get("limit", PAGE)), LARGEST_PAGE)
            offset = int(asked.get("offset", 0))
        except ValueError:
            return _error(400, 2001, "Invalid Input Provided")
        if limit < 1 or offset < 0 or offset + limit > MOST_RECORDS:
            return _error(400, 2001, "Invalid Input Provided")
        schedules = asked.getlist("schedule_ids[]")
        found = [one for one in list(self.duties) if one.now(self._clock())]
        if schedules:
            found = [one for one in found if (one.schedule or "null") in schedules]
        if asked.get("earliest") == "true":
            earliest: dict[object, Duty] = {}
            for one in sorted(found, key=lambda duty: duty.start.timestamp() if duty.start else 0):
                earliest.setdefault((one.policy, one.level, one.user), one)
            found = list(earliest.values())
        with_users = "users" in asked.getlist("include[]")
        page = found[offset : offset + limit]
        return answered(
            {
                "oncalls": [self._entry(one, with_users=with_users) for one in page],
                "limit": limit,
                "offset": offset,
                "more": offset + limit < len(found),
                "total": None,
            }
        )

    def _entry(self, duty: Duty, *, with_users: bool) -> dict[str, Any]:
        user = _reference(duty.user, "user_reference")
        if with_users:
            user |= {"type": "user", "email": self.emails[duty.user]}
        schedule = duty.schedule and _reference(duty.schedule, "schedule_reference")
        return {
            "user": user,
            "schedule": schedule,
            "escalation_policy": _reference(duty.policy, "escalation_policy_reference"),
            "escalation_level": duty.level,
            "start": duty.start and duty.start.isoformat(),
            "end": duty.end and duty.end.isoformat(),
        }


def _reference(name: str, kind: str) -> dict[str, Any]:
    return {"id": name, "type": kind, "summary": name}


def _error(status: int, code: int, message: str) -> Response:
    return answered({"error": {"message": message, "code": code, "errors": []}}, status)
