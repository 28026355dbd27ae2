"""The HTTP server of the local EKS: moto's server, with access entries, faults and a record.

EKS requests go to `AccessEntryResponse` with a backend of this server's own, and those of
EventBridge Scheduler to one that fires; every other service is moto's, shared by the whole process,
and of these STS is met by faults too.
"""

from __future__ import annotations

import copy
import functools
import io
import json
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from urllib.parse import parse_qsl

from moto.core.base_backend import BackendDict
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.utils import get_service_model
from moto.eks.models import Cluster
from moto.iam.models import get_account_id_from, iam_backends
from moto.moto_server.werkzeug_app import (
    BackendRequest,
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.sts.models import sts_backends
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.wrappers import Response

from bot.sandbox import eks_rules as rules
from bot.sandbox.eks_backend import AccessEntryBackend, access_entry_not_found
from bot.sandbox.eks_faults import AccessDenied, Answer, Call, Drop, Faults, Propagation
from bot.sandbox.eks_models import AccessEntry
from bot.sandbox.eks_responses import AccessEntryResponse, url_paths
from bot.sandbox.foreign import another_site
from bot.sandbox.local_iam import Permit, asked_by
from bot.sandbox.scheduler import LocalScheduler
from bot.sandbox.scheduler_server import SchedulerApplication

_PATHS = [re.compile(pattern.format("")) for pattern in url_paths]
_ACCESS_KEY = re.compile(r"Credential=([A-Z0-9]{20})/")
_SIGNED_FOR_STS = re.compile(r"Credential=[^/,]+/[0-9]+/[^/,]+/sts/aws4_request")
_SIGNED_FOR_EKS = re.compile(r"Credential=[^/,]+/[0-9]+/[^/,]+/eks/aws4_request")


@dataclass
class _Before:
    """What reads still see of an entry: `entry` as it was (None: not there), `reads` times."""

    entry: AccessEntry | None
    reads: int


class PropagatingBackend(AccessEntryBackend):
    """Access entries whose writes are seen late where a fault says so."""

    def __init__(self, region_name: str, account_id: str, **options: Any) -> None:
        super().__init__(region_name, account_id, **options)
        self._before: dict[tuple[str, str], _Before] = {}

    def add_cluster(self, name: str, authentication_mode: str, creator: str | None) -> None:
        """Make a cluster without what CreateCluster spends a tenth of a second on checking."""
        if name in self.clusters:
            raise ValueError(f"There is a cluster {name} in {self.region_name} already.")
        principal = rules.parse_principal_arn(creator, self.partition) if creator else None
        self.clusters[name] = Cluster(
            name=name,
            role_arn=f"arn:{self.partition}:iam::{self.account_id}:role/eks-cluster-role",
            resources_vpc_config={"subnetIds": ["subnet-1", "subnet-2"]},
            account_id=self.account_id,
            region_name=self.region_name,
            aws_partition=self.partition,
            version="1.34",
        )
        self.cluster_count += 1
        self.configure_access(name, authentication_mode, principal)

    def delete_cluster(self, name: str) -> Cluster:
        self._before = {key: old for key, old in self._before.items() if key[0] != name}
        return super().delete_cluster(name)

    def hold_back(
        self, cluster_name: str, principal_arn: str, before: AccessEntry | None, reads: int
    ) -> None:
        """Let the next `reads` reads see `before`, or what they already see of older times."""
        key = (cluster_name, principal_arn)
        known = self._before.get(key)
        self._before[key] = _Before(known.entry if known else before, reads)

    def _seen_entry(self, cluster_name: str, principal_arn: str) -> AccessEntry:
        self._entries(cluster_name)
        known, entry = self._read((cluster_name, principal_arn))
        if not known:
            return super()._seen_entry(cluster_name, principal_arn)
        if entry is None:
            raise access_entry_not_found(cluster_name)
        return entry

    def _seen_entries(self, cluster_name: str, *, first_page: bool) -> dict[str, AccessEntry]:
        seen = dict(super()._seen_entries(cluster_name, first_page=first_page))
        for key in [key for key in self._before if key[0] == cluster_name]:
            _, entry = self._read(key, count=first_page)
            if entry is None:
                seen.pop(key[1], None)
            else:
                seen[key[1]] = entry
        return seen

    def _read(self, key: tuple[str, str], *, count: bool = True) -> tuple[bool, AccessEntry | None]:
        before = self._before.get(key)
        if before is None:
            return False, None
        if count:
            before.reads -= 1
            if before.reads <= 0:
                del self._before[key]
        return True, copy.copy(before.entry)


class StandInResponse(AccessEntryResponse):
    """One EKS request, met by faults, recorded, and answered one at a time."""

    def __init__(self, server: EksServer) -> None:
        super().__init__(server.backends)
        self._server = server
        self._operation: str | None = None

    def _get_action(self) -> str:
        """The operation. moto asks five times a request, and would match the path each time."""
        if not self._operation:
            self._operation = super()._get_action()
        return self._operation

    @property
    def eks_backend(self) -> PropagatingBackend:
        return self._server.backend(self.current_account, self.region)

    def answer(self, request: BackendRequest) -> tuple[int, dict[str, Any], str | bytes]:
        """Do what the request asks: status, headers, body. Raises ConnectionAbortedError."""
        self.setup_class(request, request.raw_url, request.headers)
        malformed = self._malformed(request)
        if malformed is not None:
            return _error(malformed)
        server = self._server
        call = self._call()
        server.record(call)
        seconds, fault, released = server.faults.take(call.operation, call.cluster, call.principal)
        call.fault = fault.kind if fault else None
        if seconds:
            released.wait(seconds)
        effect = fault.effect if fault else None
        if isinstance(effect, Drop) and not effect.applied:
            raise ConnectionAbortedError
        status, headers, body = self._act(call, effect)
        server.on_call(call)
        if isinstance(effect, Drop):
            released.wait(effect.hold)
            raise ConnectionAbortedError
        return status, headers, body

    def _malformed(self, request: BackendRequest) -> Answer | None:
        """What to answer where the request has no operation's form, in words of our own."""
        operation = self._get_action()
        if not operation:
            return Answer(404, "UnknownOperationException", "Unknown operation")
        try:
            json.loads(request.data or b"{}")
        except ValueError as error:
            return Answer(400, "SerializationException", str(error))
        shape = get_service_model("eks").operation_model(operation).input_shape
        missing = [name for name in shape.required_members if name not in self.params]
        if missing:
            message = f"The request is missing {', '.join(missing)}"
            return Answer(400, "InvalidParameterException", message)
        return None

    def _act(self, call: Call, effect: object) -> tuple[int, dict[str, Any], str | bytes]:
        with self._server.changed:
            if isinstance(effect, Answer):
                answer = _error(effect)
            elif isinstance(effect, AccessDenied) or not self._is_permitted(call):
                answer = _error(Answer(403, "AccessDeniedException", self._denial(call)))
            else:
                answer = self._apply(call)
            status, headers, _ = answer
            call.status = status
            call.error = headers.get("x-amzn-ErrorType") or headers.get("X-Amzn-ErrorType")
            call.answered = not isinstance(effect, Drop)
            self._server.changed.notify_all()
        return answer

    def _apply(self, call: Call) -> tuple[int, dict[str, Any], str | bytes]:
        before = None
        if call.cluster and call.principal:
            before = self.eks_backend.entry_or_none(call.cluster, call.principal)
        status, headers, body = self.call_action()
        if status == 200 and call.cluster and call.principal:  # noqa: PLR2004 (HTTP OK)
            faults = self._server.faults
            reads = faults.take_propagation(call.operation, call.cluster, call.principal)
            if reads:
                call.fault = Propagation.__name__
                self.eks_backend.hold_back(call.cluster, call.principal, before, reads)
        return status, dict(headers), body

    def _call(self) -> Call:
        session = self.caller_session()
        return Call(
            at=self._server.clock(),
            operation=self._get_action(),
            account=self.current_account,
            region=self.region,
            cluster=self._get_param("clusterName") or self._get_param("name"),
            principal=self._get_param("principalArn"),
            params=dict(self.params),
            access_key=self.access_key,
            session_name=session.session_name if session else None,
            user_agent=str(self.headers.get("User-Agent", "")),
        )

    def _denial(self, call: Call) -> str:
        """Source of the form: EKS User Guide, "Troubleshooting IAM"."""
        return (
            f"User: {self.caller_arn()} is not authorized to perform: eks:{call.operation} "
            f"on resource: {self._resource(call)}"
        )

    def _is_permitted(self, call: Call) -> bool:
        action, resource = f"eks:{call.operation}", self._resource(call)
        return self._server.permit(asked_by(self.access_key, self.partition, action, resource))

    def _resource(self, call: Call) -> str:
        """The ARN of what the call acts on, in the caller's own account."""
        place = f"arn:{self.partition}:eks:{call.region}:{call.account}"
        resource = f"{place}:cluster/{call.cluster}" if call.cluster else "*"
        if call.principal and call.operation != "CreateAccessEntry":
            entry = self.eks_backend.entry_or_none(call.cluster or "", call.principal)
            resource = entry.access_entry_arn if entry else resource
        return resource


class EksServer:
    """An HTTP server on 127.0.0.1 with all of moto, and EKS as this project needs it.

    `account` is who a caller with unknown keys is. `changed` guards the state of EKS and is
    notified with every call received, every call answered, and a reset.
    """

    def __init__(
        self,
        account: str,
        port: int,
        clock: Callable[[], datetime],
        backend_options: dict[str, Any],
    ) -> None:
        self.account = account
        self.clock = clock
        self.faults = Faults()
        self.changed = threading.Condition(threading.RLock())
        self.calls: list[Call] = []
        self.on_call: Callable[[Call], None] = lambda _: None
        self.permit: Permit = lambda _: True
        factory = functools.partial(PropagatingBackend, clock=clock, **backend_options)
        self.backends: BackendDict[PropagatingBackend] = BackendDict(
            cast("type[PropagatingBackend]", factory), "eks"
        )
        self.scheduler = LocalScheduler(
            clock, self.changed, entry=self._entry_held, delete=self._delete_entry
        )
        self._schedules = SchedulerApplication(
            self.scheduler, self.faults, self.changed, record=self.record, clock=clock
        )
        self._moto = DomainDispatcherApplication(cast("Any", self._app))
        self._http: BaseWSGIServer = make_server(
            "127.0.0.1", port, self, threaded=True, request_handler=_QuietHandler
        )
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.02,), name="local-eks", daemon=True
        )

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Let go of what is held open, stop answering and close the socket."""
        self.faults.clear()
        self.scheduler.stop()
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()

    def backend(self, account: str, region: str) -> PropagatingBackend:
        """The EKS of one account and region. Raises KeyError for a region AWS does not have."""
        return self.backends[account][region]

    def touched(self) -> list[PropagatingBackend]:
        """Every account and region whose EKS was touched."""
        return [cast("PropagatingBackend", b) for _, _, b in self.backends.iter_backends()]

    def reset(self) -> None:
        """Forget clusters, entries, faults and calls."""
        self.faults.clear()
        with self.changed:
            self.backends.clear()
            self.scheduler.reset()
            self.calls.clear()
            self.changed.notify_all()

    def record(self, call: Call) -> None:
        """Keep a call that was received."""
        with self.changed:
            self.calls.append(call)
            self.changed.notify_all()

    def assume(self, role_arn: str, session_name: str) -> dict[str, str]:
        """Credentials of a session of a role, as STS AssumeRole issues them."""
        partition = role_arn.split(":")[1]
        session = sts_backends[self.account][partition].assume_role(
            region_name="us-east-1",
            role_session_name=session_name,
            role_arn=role_arn,
            policy="",
            duration=3600,
            external_id="",
        )
        return {
            "aws_access_key_id": session.access_key_id,
            "aws_secret_access_key": session.secret_access_key,
            "aws_session_token": session.session_token,
        }

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Serve one WSGI request, if no web site has a browser send it."""
        problem = another_site(
            environ.get("HTTP_HOST", ""),
            environ.get("HTTP_ORIGIN"),
            environ.get("HTTP_SEC_FETCH_SITE"),
            pages_of_its_own=None,
        )
        if problem is not None:
            return Response(f"{problem}\n", 403)(environ, start_response)
        signature = environ.get("HTTP_AUTHORIZATION", "")
        match = _ACCESS_KEY.search(signature)
        if not _is_known(match.group(1) if match else ""):
            environ.setdefault("HTTP_X_MOTO_ACCOUNT_ID", self.account)
        if _SIGNED_FOR_EKS.search(signature):
            # moto reads its own folder from disk at every request to find the service by its name.
            return self._eks(environ, start_response)
        if _SIGNED_FOR_STS.search(signature):
            return self._sts(environ, start_response)
        return self._moto(environ, start_response)

    def _entry_held(
        self, account: str, region: str, cluster: str, principal: str
    ) -> tuple[str, dict[str, str]] | None:
        """An entry's ARN and tags, for the permissions of who would delete it."""
        entry = self.backend(account, region).entry_or_none(cluster, principal)
        return (entry.access_entry_arn, dict(entry.tags)) if entry is not None else None

    def _delete_entry(self, account: str, region: str, cluster: str, principal: str) -> None:
        """Take an entry away on behalf of EventBridge Scheduler. It is a call like any other."""
        self.backend(account, region).delete_access_entry(cluster, principal)
        call = Call(
            at=self.scheduler.clock(),
            operation="DeleteAccessEntry",
            account=account,
            region=region,
            cluster=cluster,
            principal=principal,
            params={"clusterName": cluster, "principalArn": principal},
            access_key="",
            session_name=None,
            user_agent="AmazonEventBridgeScheduler",
            status=200,
            answered=True,
        )
        self.record(call)
        self.on_call(call)

    def _app(self, service: Any) -> Any:
        own = {"eks": self._eks, "scheduler": self._schedules}
        return own.get(service) or create_backend_app(service)

    def _sts(self, environ: dict[str, Any], start_response: Any) -> Any:
        """What moto's STS answers, unless a fault that names the operation meets the call."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        asked = dict(parse_qsl(body.decode()))
        operation = asked.get("Action", "")
        seconds, fault, released = self.faults.take(
            operation, None, asked.get("RoleArn"), named=True
        )
        effect = fault.effect if fault else None
        if isinstance(effect, AccessDenied) or not self._may_assume(environ, asked):
            effect = Answer(
                403, "AccessDenied", f"It is not authorized to perform: sts:{operation}"
            )
        if seconds:
            released.wait(seconds)
        if isinstance(effect, Drop):
            released.wait(effect.hold)
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError
        if isinstance(effect, Answer):
            told = f"<Code>{effect.code}</Code><Message>{effect.message}</Message>"
            text = f"<ErrorResponse><Error>{told}</Error></ErrorResponse>"
            return Response(text, effect.status, mimetype="text/xml")(environ, start_response)
        return self._moto(environ, start_response)

    def _may_assume(self, environ: dict[str, Any], asked: dict[str, str]) -> bool:
        """Whether the caller may do this at STS. All but AssumeRole needs no permission."""
        role = asked.get("RoleArn", "")
        if asked.get("Action") != "AssumeRole" or not role.startswith("arn:"):
            return True
        key = _ACCESS_KEY.search(environ["HTTP_AUTHORIZATION"])
        name = asked.get("RoleSessionName", "")
        partition = role.split(":")[1]
        return key is None or self.permit(asked_by(key[1], partition, "sts:AssumeRole", role, name))

    def _eks(self, environ: dict[str, Any], start_response: Any) -> Any:
        request = BackendRequest(environ)
        if not any(pattern.match(request.raw_path) for pattern in _PATHS):
            message = f"There is no {request.method} {request.raw_path} here."
            answer = _error(Answer(501, "NotImplemented", message))
        else:
            try:
                answer = StandInResponse(self).answer(request)
            except ConnectionAbortedError:
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                raise
        status, headers, body = answer
        headers.pop("status", None)
        return Response(body, status, headers)(environ, start_response)


class _QuietHandler(MotoRequestHandler):
    """A request handler that writes no line for each request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing; the calls are recorded."""


def _is_known(access_key: str) -> bool:
    account = get_account_id_from(access_key)
    if account != DEFAULT_ACCOUNT_ID:
        return True
    partitions = list(iam_backends[account].values())
    return any(access_key in iam.access_keys for iam in partitions)


def _error(answer: Answer) -> tuple[int, dict[str, Any], str | bytes]:
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": answer.code}
    headers |= answer.headers
    return answer.status, headers, json.dumps({"message": answer.message})
