"""The server behind the bot's own HTTP port, which gives way to nobody who only holds on to it.

Whatever is sent to the port, it takes so many files, so much memory and so many threads and no
more, and the rest is there for EKS and the store. Uvicorn bounds neither how many connect nor how
long a request may take to come, and asyncio's own accept loop repeats and logs a lack of files
without end; so both are done here.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import resource
import socket
import threading

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from bot.logs import ThrottledWarning
from bot.settings import SettingsError

log = structlog.get_logger(__name__)

MAX_CONNECTIONS = 64
"""More than Slack and probes ever have open. Each holds a file, and up to 1 MB of a body."""

ANSWERED_WITHIN_SECONDS = 10.0
"""How long a connection has until a whole request came and was answered. Slack waits 3 seconds; a
probe waits 1 unless it is told otherwise."""

STOP_WITHIN_SECONDS = 3
"""How long a stop waits for requests under way: Slack waits no longer for an answer either."""

_QUEUE = 128
_BETWEEN_LOOKS_SECONDS = 0.02
_WITHOUT_FILES_SECONDS = 1.0


class _Connection(H11Protocol):
    """A connection for one request, which ends where none comes and is answered in time."""

    since = 0.0
    """When it began, by the event loop's clock."""

    _deadline: asyncio.TimerHandle | None = None

    def __init__(self, server: _Server) -> None:
        super().__init__(server.config, server.server_state, server.lifespan.state)
        self._patience = server.patience

    @property
    def idle(self) -> bool:
        """Whether the bot waits for the other side, and not the other side for the bot."""
        cycle = self.cycle
        return cycle is None or cycle.more_body or cycle.response_complete or self.flow.write_paused

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.since = self.loop.time()
        # Abort, because a close would wait for a client that does not read what it was sent.
        self._deadline = self.loop.call_later(self._patience, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._deadline is not None:
            self._deadline.cancel()


class _Server(uvicorn.Server):
    """Uvicorn, with a loop of its own that accepts connections one by one."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket, patience: float) -> None:
        super().__init__(config)
        self.patience = patience
        self._listener = listener
        self._closed_for_others = ThrottledWarning(
            log, "too many connections to the HTTP port; the ones idle longest are closed"
        )
        self._no_files = ThrottledWarning(log, "no connection to the HTTP port can be accepted")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        del sockets
        await self.lifespan.startup()
        self.servers: list[asyncio.base_events.Server] = []
        self._accepting = asyncio.create_task(self._accept())
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._accepting.cancel()
        self._listener.close()
        await super().shutdown(sockets)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(self._listener)
            except ConnectionError:
                continue  # it was gone before it was taken
            except OSError as error:
                self._no_files.warn(cause=error.strerror)
                await asyncio.sleep(_WITHOUT_FILES_SECONDS)
                continue
            await self._make_room()
            with contextlib.suppress(OSError):
                await loop.connect_accepted_socket(lambda: _Connection(self), accepted)

    async def _make_room(self) -> None:
        """Wait until there is room for one more, closing what has been idle longest.

        Where all are being answered, the next of them makes room.
        """
        connections = self.server_state.connections
        while len(connections) >= MAX_CONNECTIONS:
            idle = [one for one in connections if isinstance(one, _Connection) and one.idle]
            if not idle:
                await asyncio.sleep(_BETWEEN_LOOKS_SECONDS)
                continue
            self._closed_for_others.warn(most=MAX_CONNECTIONS)
            min(idle, key=lambda one: one.since).transport.abort()
            await asyncio.sleep(0)  # it leaves `connections` in the loop's next round


class HttpServer:
    """An application served in a thread. `port` 0 takes a free one; `port` then tells which.

    `host` is an IP address; `::` takes IPv4 as well. A connection has `patience`, in seconds, until
    a request on it came whole and was answered. Raises SettingsError where the address cannot be
    taken.
    """

    def __init__(
        self, app: ASGIApp, host: str, port: int, *, patience: float = ANSWERED_WITHIN_SECONDS
    ) -> None:
        config = uvicorn.Config(
            app,
            ws="none",  # what is upgraded would no longer count as a connection
            log_config=None,
            access_log=False,
            lifespan="off",
            # One request each: who sends the next before the last is answered would never be idle.
            headers=[("connection", "close")],
            timeout_graceful_shutdown=STOP_WITHIN_SECONDS,
        )
        self._socket = _listening(host, port)
        self._server = _Server(config, self._socket, patience)
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.run, name="http", daemon=True)

    def start(self) -> None:
        """Serve. The socket listens already, so nobody is turned away until the thread runs."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is under way and stop."""
        self._server.should_exit = True
        if self._thread.ident is None:
            self._socket.close()  # it was never started
            return
        self._thread.join(timeout=2 * STOP_WITHIN_SECONDS)


def raise_file_limit() -> None:
    """Let this process open as many files as it may at most; by default many systems let it 1,024.

    Where the system allows no such number, all stays as it is.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _listening(host: str, port: int) -> socket.socket:
    six = ipaddress.ip_address(host).version == 6  # noqa: PLR2004 - the protocol's own number
    try:
        listener = socket.create_server(
            (host, port),
            family=socket.AF_INET6 if six else socket.AF_INET,
            backlog=_QUEUE,
            dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        # The class adds its own words to what the system says.
        why = (error.strerror or "").partition(" (while")[0]
        if error.errno == errno.EADDRNOTAVAIL:
            raise SettingsError(
                f"This host does not have the address {host} ({why}). Set EKS_ACCESS_HTTP_HOST to "
                "one that it has, or to 0.0.0.0 for all of them."
            ) from error
        raise SettingsError(
            f"Port {port} cannot be used ({why}). Stop what uses it, or set "
            "EKS_ACCESS_HTTP_PORT to another."
        ) from error
    listener.setblocking(False)
    return listener
