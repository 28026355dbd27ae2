"""HTTP to the local EventBridge Scheduler, met by the same faults as the local EKS."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from moto.iam.models import get_account_id_from
from werkzeug.wrappers import Request, Response

from bot.sandbox.eks_faults import AccessDenied, Answer, Call, Drop, Faults
from bot.sandbox.scheduler import LocalScheduler, Refused

_CREDENTIAL = re.compile(r"Credential=(\w+)/\d{8}/([a-z0-9-]+)/scheduler/")
_OPERATIONS = {
    "POST": "CreateSchedule",
    "PUT": "UpdateSchedule",
    "GET": "GetSchedule",
    "DELETE": "DeleteSchedule",
}
_REQUIRED = ("FlexibleTimeWindow", "ScheduleExpression", "Target")


class SchedulerApplication:
    """A WSGI application that answers for one LocalScheduler.

    `record` keeps each call that was received; `changed` guards what is held, and is notified.
    """

    def __init__(
        self,
        scheduler: LocalScheduler,
        faults: Faults,
        changed: threading.Condition,
        *,
        record: Callable[[Call], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._scheduler = scheduler
        self._faults = faults
        self._changed = changed
        self._record = record
        self._clock = clock

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Serve one WSGI request."""
        request = Request(environ)
        call = self._call(request)
        if call is None:
            message = f"There is no {request.method} {request.path} here."
            return _error(Answer(501, "NotImplemented", message))(environ, start_response)
        self._record(call)
        seconds, fault, released = self._faults.take(call.operation, call.cluster, call.principal)
        call.fault = fault.kind if fault else None
        if seconds:
            released.wait(seconds)
        effect = fault.effect if fault else None
        if isinstance(effect, Drop) and not effect.applied:
            _cut(environ)
        response = self._act(call, effect)
        if isinstance(effect, Drop):
            released.wait(effect.hold)
            _cut(environ)
        return response(environ, start_response)

    def _act(self, call: Call, effect: object) -> Response:
        with self._changed:
            refusal = _refusal(call, effect)
            answer: dict[str, Any] = {}
            if refusal is None:
                try:
                    answer = self._scheduler.answer(
                        call.operation, call.account, call.region, dict(call.params)
                    )
                except Refused as refused:
                    refusal = refused.answer
            call.error = refusal.code if refusal is not None else None
            response = _error(refusal) if refusal is not None else _good(answer)
            call.status = response.status_code
            call.answered = not isinstance(effect, Drop)
            self._changed.notify_all()
        return response

    def _call(self, request: Request) -> Call | None:
        """The call that a request is; None where it has no operation's form."""
        scope = _CREDENTIAL.search(request.headers.get("Authorization", ""))
        path = request.path.strip("/").split("/")
        operation = _OPERATIONS.get(request.method)
        if path == ["schedules"] and operation == "GetSchedule":
            operation = "ListSchedules"
        elif len(path) != 2 or path[0] != "schedules":  # noqa: PLR2004 (the word and the name)
            operation = None
        if scope is None or operation is None:
            return None
        try:
            body = json.loads(request.get_data() or b"{}")
        except ValueError:
            return None
        params = {**body, **dict(parse_qsl(request.query_string.decode()))}
        if operation != "ListSchedules":
            params["Name"] = path[1]
        hit = _hit(body)
        return Call(
            at=self._clock(),
            operation=operation,
            account=request.headers.get("X-Moto-Account-Id") or get_account_id_from(scope[1]),
            region=scope[2],
            cluster=hit.get("ClusterName"),
            principal=hit.get("PrincipalArn"),
            params=params,
            access_key=scope[1],
            session_name=None,
            user_agent=request.headers.get("User-Agent", ""),
        )


def _hit(body: Any) -> dict[str, Any]:
    """The parameters of DeleteAccessEntry, where the request names them."""
    try:
        hit = json.loads(body["Target"]["Input"])
    except (KeyError, TypeError, ValueError):
        return {}
    return hit if isinstance(hit, dict) else {}


def _refusal(call: Call, effect: object) -> Answer | None:
    """Why the call is not carried out: a fault, or its form."""
    if isinstance(effect, Answer):
        return effect
    if isinstance(effect, AccessDenied):
        return Answer(403, "AccessDeniedException", _denial(call))
    missing = [name for name in _REQUIRED if name not in call.params]
    if missing and call.operation in {"CreateSchedule", "UpdateSchedule"}:
        return Answer(400, "ValidationException", f"Missing: {', '.join(missing)}")
    return None


def _denial(call: Call) -> str:
    """Source of the form: IAM User Guide, "Troubleshoot access denied error messages"."""
    place = f"arn:aws:scheduler:{call.region}:{call.account}"
    group = call.params.get("GroupName") or call.params.get("groupName") or "default"
    return (
        f"User: arn:aws:sts::{call.account}:assumed-role/sandbox is not authorized to perform: "
        f"scheduler:{call.operation} on resource: {place}:schedule/{group}/"
        f"{call.params.get('Name', '*')}"
    )


def _good(answer: dict[str, Any]) -> Response:
    return Response(json.dumps(answer), 200, content_type="application/json")


def _error(answer: Answer) -> Response:
    body = json.dumps({"Message": answer.message})
    headers = {"x-amzn-ErrorType": answer.code, **answer.headers}
    return Response(body, answer.status, headers, content_type="application/json")


def _cut(environ: dict[str, Any]) -> None:
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError
