"""HTTP without sockets: the bot's real requests, answered by the stand-ins in the same process.

botocore and slack_sdk build, sign and parse as ever. Where they would send, botocore's event
`before-send` and urllib's installed opener hand the request to the stand-ins' own applications.
A life has thousands of calls; over sockets each would cost more than all else together.
"""

from __future__ import annotations

import http.client
import io
import json
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from starlette.applications import Starlette

from bot.aws.clients import EksClients
from bot.core.model import Cluster
from bot.sandbox.eks import EksStandIn
from tests.simulation.boundary import Boundary

AWS_BEFORE, AWS_AFTER = "aws asked", "aws answered"
_READS = frozenset(
    {
        "DescribeAccessEntry",
        "ListAssociatedAccessPolicies",
        "ListAccessEntries",
        "GetSchedule",
        "ListSchedules",
    }
)
HALF = "half"
_DENIED = "AccessDeniedException"
SLACK_BEFORE, SLACK_AFTER = "slack asked", "slack answered"


@dataclass(frozen=True)
class Exchange:
    """One call of the bot to AWS and what it saw. `answer` None: it saw no answer."""

    operation: str
    params: Mapping[str, Any]
    status: int | None
    answer: Mapping[str, Any] | None


@dataclass(frozen=True)
class UnderWay:
    """A write that the bot gave up waiting for, and that has not reached AWS yet."""

    operation: str
    params: Mapping[str, Any]
    environ: dict[str, Any]
    body: bytes


class _Body(io.BytesIO):
    """What botocore reads an answer's body from."""

    def stream(self, amt: int | None = None, **_: Any) -> Iterator[bytes]:
        while chunk := self.read(amt):
            yield chunk


class _Socket:
    def shutdown(self, _: int) -> None:
        """The connection that a fault cuts."""


class AwsTransport:
    """Takes over what the bot's clients of EKS and of EventBridge Scheduler send.

    `late` is how many of the next writes to keep: the bot sees a timeout, and `arrive` lets them
    reach AWS. `half` is of how many of the next answers one half comes. `slow` passes the seconds
    to `pass_time` while the next call is under way. `asking` is told before a call reaches AWS,
    `told` what the bot saw of it. What comes from the roles in `refused` (None: with the bot's own
    credentials) is denied; `reached_by` are those by which something came through.
    """

    def __init__(self, eks: EksStandIn, boundary: Boundary) -> None:
        self._eks = eks
        self._boundary = boundary
        self._params: Mapping[str, Any] = {}
        self.refused: set[str | None] = set()
        self.reached_by: set[str | None] = set()
        self.late = 0
        self.slow = 0.0
        self.half = 0
        self.under_way: list[UnderWay] = []
        self.asking: Callable[[str, Mapping[str, Any], bool], None] = lambda *_: None
        self.pass_time: Callable[[float], None] = lambda _: None
        self.told: Callable[[Exchange], None] = lambda _: None

    def take_over(self, clients: EksClients, cluster: Cluster) -> None:
        """Answer what the clients of this cluster send; without botocore's own repetitions.

        So each failure reaches the loop. That the clients do repeat calls is a test of its own.
        """
        for service, client in (
            ("eks", clients.for_cluster(cluster)),
            ("scheduler", clients.scheduler_for(cluster)),
        ):
            if cluster.assume_role is not None and service == "eks":
                with suppress(ClientError):  # here alone a role's credentials are asked for
                    client.list_access_entries(clusterName=cluster.name)
            events = client.meta.events
            events.unregister(f"needs-retry.{service}", unique_id=f"retry-config-{service}")
            sends = partial(self._send, cluster.assume_role)
            events.register_first(f"before-send.{service}", sends)
            events.register(f"before-parameter-build.{service}", self._note)

    def reset(self) -> None:
        """Forget what a life left behind."""
        self.late, self.half, self.slow = 0, 0, 0.0
        self.under_way.clear()
        self.asking = lambda *_: None
        self.told = lambda _: None
        self.pass_time = lambda _: None
        self.refused.clear()
        self.reached_by.clear()

    def arrive(self) -> None:
        """Let the writes that are under way reach AWS."""
        arrived, self.under_way = self.under_way, []
        self._deliver(arrived)

    def _arrive_at(self, params: Mapping[str, Any]) -> None:
        """Let what is under way at an entry or schedule arrive before a later write to it.

        The bot relies on that order; where EKS should break it, the scan for drift puts it right.
        """
        sent = [one for one in self.under_way if _place(one.params) == _place(params)]
        self.under_way = [one for one in self.under_way if one not in sent]
        self._deliver(sent)

    def _deliver(self, calls: list[UnderWay]) -> None:
        for call in calls:
            self._boundary.met["aws: arrived late"] += 1
            self.asking(call.operation, call.params, True)
            with suppress(ConnectionAbortedError):
                self._ask(call.environ, call.body)

    def _note(self, params: Mapping[str, Any], **_: Any) -> None:
        self._params = dict(params)

    def _send(self, role: str | None, event_name: str, request: Any, **_: Any) -> AWSResponse:
        operation = event_name.rpartition(".")[2]
        params = self._params
        self._boundary.reach(AWS_BEFORE)
        if role in self.refused:
            self._boundary.met["aws: the role is refused"] += 1
            self.told(Exchange(operation, params, 403, {}))
            headers = {"Content-Type": "application/json", "x-amzn-ErrorType": _DENIED}
            body = json.dumps({"message": f"not authorized to perform {operation}"}).encode()
            return AWSResponse(request.url, 403, headers, _Body(body))
        self.reached_by.add(role)
        if self.slow:
            seconds, self.slow = self.slow, 0.0
            self._boundary.met["aws: slow"] += 1
            self.pass_time(seconds)
        environ, body = _environ(request)
        if self.late and operation not in _READS:
            self.late -= 1
            self._boundary.met["aws: timed out, still under way"] += 1
            self.under_way.append(UnderWay(operation, params, environ, body))
            self.told(Exchange(operation, params, None, None))
            raise ReadTimeoutError(endpoint_url=request.url)
        if operation not in _READS:
            self._arrive_at(params)
        self.asking(operation, params, False)
        try:
            status, headers, answer = self._ask(environ, body)
        except ConnectionAbortedError as error:
            self.told(Exchange(operation, params, None, None))
            self._boundary.reach(AWS_AFTER)
            raise ConnectionClosedError(endpoint_url=request.url) from error
        if self.half and status == HTTPStatus.OK:
            self.half -= 1
            self._boundary.met["aws: half an answer"] += 1
            self.told(Exchange(operation, params, None, None))
            self._boundary.reach(AWS_AFTER)
            return AWSResponse(request.url, status, headers, _Body(answer[: len(answer) // 2]))
        parsed = json.loads(answer) if answer else {}
        self.told(Exchange(operation, params, status, parsed))
        self._boundary.reach(AWS_AFTER)
        return AWSResponse(request.url, status, headers, _Body(answer))

    def _ask(self, environ: dict[str, Any], body: bytes) -> tuple[int, dict[str, str], bytes]:
        started: list[Any] = []
        environ["wsgi.input"] = io.BytesIO(body)
        environ["werkzeug.socket"] = _Socket()
        chunks = self._eks.application(environ, lambda *what: started.extend(what))
        answer = b"".join(chunks)
        return int(started[0].split()[0]), dict(started[1]), answer


def _place(params: Mapping[str, Any]) -> tuple[Any, ...]:
    """The entry or the schedule that a write changes."""
    names = ("clusterName", "principalArn", "GroupName", "Name")
    return tuple(params.get(name) for name in names)


def _environ(request: Any) -> tuple[dict[str, Any], bytes]:
    """A request of botocore's as WSGI has it."""
    parts = urlsplit(request.url)
    body = request.body or b""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "PATH_INFO": unquote(parts.path),
        "RAW_URI": f"{parts.path}?{parts.query}" if parts.query else parts.path,
        "REQUEST_URI": f"{parts.path}?{parts.query}" if parts.query else parts.path,
        "QUERY_STRING": parts.query,
        "SCRIPT_NAME": "",
        "SERVER_NAME": parts.hostname,
        "SERVER_PORT": str(parts.port or 80),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "HTTP_HOST": parts.netloc,
        "CONTENT_LENGTH": str(len(body)),
    }
    for name, value in request.headers.items():
        text = value.decode() if isinstance(value, bytes) else str(value)
        key = name.upper().replace("-", "_")
        environ[key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"] = text
    return environ, body


class _Cut:
    """The connection of a request, as the stand-in's fault cuts it."""

    def __init__(self) -> None:
        self.cut = False

    def abort(self) -> None:
        self.cut = True


class SlackTransport(urllib.request.BaseHandler):
    """Answers what urllib would send to `base`: the Web API and response URLs.

    `calls` counts them, so that an acknowledgement can be shown to wait for none. `odd` are the
    next answers that are none: "half" breaks off, all else is the Retry-After of a 429. `refuses`
    is the error with which Slack answers every call to its Web API, until it is taken away.
    """

    handler_order = 1

    def __init__(self, base: str, application: Starlette, boundary: Boundary) -> None:
        self._netloc = urlsplit(base).netloc
        self._application = application
        self._boundary = boundary
        self.calls = 0
        self.odd: list[str] = []
        self.refuses: str | None = None
        self.asked_to_wait: Callable[[str], None] = lambda _: None

    def serve(self, application: Starlette) -> None:
        """Answer with this application from now on."""
        self._application = application
        self.calls = 0

    def https_open(self, request: urllib.request.Request) -> Any:
        if request.host != self._netloc:
            raise OSError(f"the simulation knows no host {request.host}")
        self.calls += 1
        self._boundary.reach(SLACK_BEFORE)
        odd = self.odd.pop(0) if self.odd else None
        if odd is not None:
            what = "half an answer" if odd == HALF else "odd Retry-After"
            self._boundary.met[f"slack: {what}"] += 1
        if self.refuses is not None and urlsplit(request.full_url).path.startswith("/api/"):
            self._boundary.met[f"slack: refuses for good ({self.refuses})"] += 1
            body = json.dumps({"ok": False, "error": self.refuses}).encode()
            status, headers, cut = 200, [("Content-Type", "application/json")], False
        elif odd in {None, HALF}:
            status, headers, body, cut = self._ask(request)
        else:
            self.asked_to_wait(odd)
            body = b'{"ok": false, "error": "ratelimited"}'
            status, headers, cut = 429, [("Retry-After", odd)], False
        self._boundary.reach(SLACK_AFTER)
        if odd == HALF:
            raise http.client.IncompleteRead(body[: len(body) // 2], len(body))
        if cut:
            raise http.client.RemoteDisconnected("the simulated Slack cut the connection")
        message = Message()
        for name, value in headers:
            message[name] = value
        answer = urllib.request.addinfourl(io.BytesIO(body), message, request.full_url, status)
        answer.msg = http.client.responses.get(status, "")  # type: ignore[attr-defined]
        return answer

    def _ask(
        self, request: urllib.request.Request
    ) -> tuple[int, list[tuple[str, str]], bytes, bool]:
        parts = urlsplit(request.full_url)
        transport = _Cut()
        given = [*request.header_items(), *request.unredirected_hdrs.items()]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.get_method(),
            "scheme": "http",
            "path": unquote(parts.path),
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), str(value).encode()) for name, value in given],
            "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 1),
            "state": {"transport": transport},
        }
        sent: list[dict[str, Any]] = []
        data = request.data if isinstance(request.data, bytes) else b""

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": data, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        _run(self._application(scope, receive, send))
        body = b"".join(one.get("body", b"") for one in sent[1:])
        headers = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
        return int(sent[0]["status"]), headers, body, transport.cut


def _run(work: Any) -> None:
    """Carry a coroutine out that waits for nothing."""
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise RuntimeError("the stand-in waits, and the simulation has nobody to wake it")


@contextmanager
def installed(transport: SlackTransport) -> Iterator[None]:
    """Have everything that urllib opens go through the transport."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        transport,
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    urllib.request.install_opener(opener)
    try:
        yield
    finally:
        urllib.request.install_opener(None)  # type: ignore[arg-type] # urllib's own default
