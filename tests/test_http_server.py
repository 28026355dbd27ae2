"""The server of the bot's own HTTP port: what nobody can exhaust by only holding on to it."""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator

import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.http import Readiness, build_http
from bot.http_server import MAX_CONNECTIONS, HttpServer
from bot.settings import SettingsError

IMPATIENT = 0.2
"""Seconds that a connection has in these tests; no assertion is about how long it took."""


def get(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@contextlib.contextmanager
def serving(app: ASGIApp, host: str = "127.0.0.1", **options: float) -> Iterator[HttpServer]:
    server = HttpServer(app, host, 0, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def health(readiness: Callable[[], Readiness] = lambda: Readiness({})) -> Starlette:
    return build_http(readiness, CollectorRegistry(), None)


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side ends it, within some seconds."""
    connection.settimeout(20)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def is_dripped_on_until_it_ends(connection: socket.socket, begin: bytes) -> bool:
    """Send one byte after the other. Whether the other side ends it before all of them."""
    connection.settimeout(0.02)
    try:
        connection.sendall(begin)
        for _ in range(500):
            with contextlib.suppress(TimeoutError):
                return connection.recv(1) == b""
            connection.sendall(b"x")
    except ConnectionError:
        return True
    return False


def test_the_oldest_silent_connections_are_closed_and_a_probe_is_answered() -> None:
    with serving(health()) as server, contextlib.ExitStack() as opened:
        address = ("127.0.0.1", server.port)
        silent = [
            opened.enter_context(socket.create_connection(address, timeout=20))
            for _ in range(MAX_CONNECTIONS + 8)
        ]
        assert get(server.port, "/healthz") == (200, b"ok\n")
        assert all(is_closed(one) for one in silent[:8])
        silent[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert silent[-1].recv(100).startswith(b"HTTP/1.1 200"), "one of the newest was closed"


def test_one_that_is_being_answered_is_not_closed_for_others() -> None:
    asked, go_on = threading.Event(), threading.Event()

    def readiness() -> Readiness:
        asked.set()
        go_on.wait(30)
        return Readiness({"store": None})

    with serving(health(readiness)) as server, contextlib.ExitStack() as opened:
        address = ("127.0.0.1", server.port)
        first = opened.enter_context(socket.create_connection(address, timeout=20))
        first.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert asked.wait(20)
        for _ in range(2 * MAX_CONNECTIONS):
            opened.enter_context(socket.create_connection(address, timeout=20))
        assert get(server.port, "/healthz") == (200, b"ok\n")
        go_on.set()
        assert first.recv(100).startswith(b"HTTP/1.1 200")


def test_who_sends_many_requests_at_once_is_answered_once_and_makes_room() -> None:
    """A connection that always has a next request would never be idle, and keep others out."""
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with (
        serving(health()) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as eager,
    ):
        eager.sendall(request * 20)
        answered = b"".join(iter(lambda: eager.recv(65_536), b""))
    assert answered.count(b"HTTP/1.1 200") == 1
    assert b"connection: close" in answered


@pytest.mark.parametrize(
    "begin",
    [
        b"GET /healthz HTTP/1.1\r\nX: ",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        b"Content-Length: 900000\r\n\r\n",
    ],
    ids=["headers", "body", "another protocol"],
)
def test_a_request_that_comes_byte_by_byte_is_not_waited_for(begin: bytes) -> None:
    async def read(request: Request) -> Response:
        with contextlib.suppress(Exception):
            await request.body()
        return PlainTextResponse("read\n")

    app = Starlette(routes=[Route("/", read, methods=["POST"])])
    with serving(app, patience=IMPATIENT) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as slow:
            assert is_dripped_on_until_it_ends(slow, begin)
        with socket.create_connection(("127.0.0.1", server.port)) as silent:
            assert is_closed(silent)


def test_who_does_not_read_the_answer_is_not_waited_for() -> None:
    over = threading.Event()

    async def much(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200})
        for _ in range(2):  # the second waits until the first was read
            await send({"type": "http.response.body", "body": b"x" * 50_000_000, "more_body": True})
        over.set()

    with (
        serving(much, patience=IMPATIENT) as server,
        socket.create_connection(("127.0.0.1", server.port)) as mute,
    ):
        mute.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert over.wait(20)


def test_probes_take_few_threads_and_few_connections_of_the_store() -> None:
    went_in, go_on = threading.Semaphore(0), threading.Event()

    def readiness() -> Readiness:
        went_in.release()
        go_on.wait(30)
        return Readiness({"store": None})

    with serving(health(readiness)) as server, contextlib.ExitStack() as opened:
        for _ in range(20):
            one = opened.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            one.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert went_in.acquire(timeout=20)
        assert went_in.acquire(timeout=20)
        assert get(server.port, "/healthz")[0] == 200
        assert not went_in.acquire(timeout=0.5)
        go_on.set()


OUT_OF_FILES = """
import os, resource, sys
from prometheus_client import CollectorRegistry
from bot.http import Readiness, build_http
from bot.http_server import HttpServer
from bot.logs import configure_logs

configure_logs()
server = HttpServer(build_http(lambda: Readiness({}), CollectorRegistry(), None), "127.0.0.1", 0)
server.start()
print(server.port, flush=True)
sys.stdin.readline()
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True:
        taken.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    print("taken", flush=True)
sys.stdin.readline()
for one in taken:
    os.close(one)
print("free", flush=True)
sys.stdin.readline()
server.stop()
"""


def test_where_no_file_is_left_the_log_says_so_once_and_it_goes_on_afterwards() -> None:
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", textwrap.dedent(OUT_OF_FILES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None

    def go_on() -> str:
        process.stdin.write("\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    try:
        port = int(process.stdout.readline())
        assert get(port, "/healthz")[0] == 200  # its modules are read by now
        assert go_on() == "taken"
        with contextlib.ExitStack() as opened:
            for _ in range(20):
                opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            first = process.stderr.readline()
            assert "Too many open files" in first
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(2.5)  # in which it tries again, as often as it does
            assert go_on() == "free"
            assert get(port, "/healthz")[0] == 200
        rest = process.communicate("\n", timeout=30)[1]
    finally:
        process.kill()
        process.wait()
    assert "Too many open files" not in rest


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this host has no IPv6")
def test_all_addresses_of_ipv6_are_those_of_ipv4_too() -> None:
    with serving(health(), "::") as server:
        assert get(server.port, "/healthz")[0] == 200
        assert get(server.port, "/healthz", "::1")[0] == 200


def test_an_address_of_another_host_is_named_with_the_variable_that_sets_it() -> None:
    with pytest.raises(SettingsError, match=r"192\.0\.2\.1 .*EKS_ACCESS_HTTP_HOST"):
        HttpServer(health(), "192.0.2.1", 0)
