"""A local Opsgenie: schedules, and who is on call by them.

GET /v2/schedules                all of them
GET /v2/schedules/{id}/on-calls  nested, or with `flat=true` the names of everybody below

Source: Opsgenie's documentation, "Who is On Call API"; "Response".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response

from bot.sandbox.local_service import LocalService, answered

KEY = "0c1d2e3f-1111-2222-3333-44445555aaaa"

Participant = dict[str, Any]


class LocalOpsgenie(LocalService):
    """`schedules` maps an id to `_parent` and `onCallParticipants`. `hidden` ones answer 403."""

    def __init__(self) -> None:
        super().__init__(KEY)
        self.schedules: dict[str, dict[str, Any]] = {}
        self.hidden: set[str] = set()

    def put_schedule(self, schedule: str, name: str, *, enabled: bool = True) -> None:
        """Add a schedule by which nobody is on call."""
        parent = {"id": schedule, "name": name, "enabled": enabled}
        self.schedules[schedule] = {"_parent": parent, "onCallParticipants": []}

    def put_on_call(self, schedule: str, *participants: Participant) -> None:
        """Put a user, a team or an escalation on call: see `user`, `team`, `escalation`."""
        self.schedules[schedule]["onCallParticipants"] += participants

    def refuse(self, request: Request, path: str) -> Response | None:
        del path
        if request.headers.get("authorization") != f"GenieKey {self.key}":
            return _answer(401, message="Could not authenticate")
        return None

    def answer(self, request: Request, path: str) -> Response:
        if path == "/v2/schedules":
            return _answer(200, data=[one["_parent"] for one in self.schedules.values()])
        _, _, rest = path.partition("/v2/schedules/")
        name, _, tail = rest.partition("/")
        if request.query_params.get("scheduleIdentifierType", "id") == "name":
            known = {one["_parent"]["name"]: id_ for id_, one in self.schedules.items()}
            name = known.get(name, "")
        if name in self.hidden:
            return _answer(403, message="You are not authorized", code=40301)
        if tail != "on-calls" or name not in self.schedules:
            return _answer(404, message=f"No schedule exists with id [{name}]")
        schedule = self.schedules[name]
        if request.query_params.get("flat") == "true":
            names = list(dict.fromkeys(_names(schedule["onCallParticipants"])))
            data = {"_parent": schedule["_parent"], "onCallRecipients": names}
            return _answer(200, data=data)
        return _answer(200, data=schedule)


def user(email: str, **fields: Any) -> Participant:
    """A user, by the email address that is their name."""
    return {"id": f"user-{email}", "name": email, "type": "user", **fields}


def team(name: str, *members: Participant, **fields: Any) -> Participant:
    """A team with everybody in it."""
    return {**_named(name, "team"), "onCallParticipants": list(members), **fields}


def escalation(name: str, *steps: Participant) -> Participant:
    """An escalation: participants with `escalationTime` and `notifyType`."""
    return {**_named(name, "escalation"), "onCallParticipants": list(steps)}


def _named(name: str, kind: str) -> Participant:
    return {"id": str(uuid4()), "name": name, "type": kind}


def _names(participants: list[Participant]) -> Iterator[str]:
    for one in participants:
        if one["type"] == "user":
            yield one["name"]
        yield from _names(one.get("onCallParticipants", []))


def _answer(status: int, **body: Any) -> Response:
    return answered({**body, "took": 0.001, "requestId": str(uuid4())}, status)
