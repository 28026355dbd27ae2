"""The local Slack workspace, served: Web API, Socket Mode, response URLs and the control API.

One thread holds one event loop for as long as the workspace is open. The HTTP server in it can be
killed and started again on the same port, as Slack's own may go away and come back.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Self, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from bot.sandbox import slack_chat, slack_directory, slack_views
from bot.sandbox.control import Control
from bot.sandbox.delivery import ACK_SECONDS, Courier, Delivery
from bot.sandbox.foreign import LoopbackOnly, NoOtherSite
from bot.sandbox.http_delivery import HttpDelivery
from bot.sandbox.humans import Human
from bot.sandbox.interactions import Interactions
from bot.sandbox.response_urls import ResponseUrls
from bot.sandbox.serving import CuttableProtocol, EventServer
from bot.sandbox.slack_admin import ManagedWorkspace
from bot.sandbox.slack_api import WebApi
from bot.sandbox.slack_files import Files
from bot.sandbox.slack_model import AppSettings, Team
from bot.sandbox.socket_mode import SocketMode
from bot.sandbox.workspace import Clock, utc_now

T = TypeVar("T")

HOST = "127.0.0.1"


class SlackWorkspace(ManagedWorkspace):
    """A Slack workspace on loopback, for as long as it is entered.

    `port` 0 takes a free one. `clock` gives aware UTC times for message times, trigger and
    response URL lives, redelivery and rate limits; a clock with `subscribe(callback)` wakes the
    redelivery when it is moved, for any other call `tick()`. `wire_clock` gives epoch seconds for
    HTTP signatures. `ack_seconds` is real time. `http_url`: deliver there over signed HTTP instead
    of Socket Mode. `extra_routes` are served beside its own, to this machine only.
    """

    def __init__(
        self,
        *,
        team: Team | None = None,
        app: AppSettings | None = None,
        clock: Clock = utc_now,
        wire_clock: Callable[[], float] = time.time,
        port: int = 0,
        ack_seconds: float = ACK_SECONDS,
        ping_seconds: float = 20,
        http_url: str | None = None,
        extra_routes: Sequence[BaseRoute] = (),
    ) -> None:
        super().__init__(team=team, app=app, clock=clock)
        self.port = port
        self._wire_clock = wire_clock
        self._ping_seconds = ping_seconds
        self._extra_routes = [_guarded(route) for route in extra_routes]
        self._stopping = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: EventServer | None = None
        self._serving: asyncio.Task[None] | None = None
        self.sockets = SocketMode(self)
        self.courier = Courier(self, self.sockets, ack_seconds)
        self.files = Files(self)
        self._response_urls = ResponseUrls(self)
        self.interactions = Interactions(self, self.courier, self._response_urls)
        self._control = Control(self, self.interactions, self.sockets, self.courier)
        self.on_event = self.courier.emit
        if http_url is not None:
            self.deliver_over_http(http_url)
        subscribe = getattr(clock, "subscribe", None)
        if subscribe is not None:
            subscribe(self.tick)

    @property
    def api_url(self) -> str:
        """The Web API's base, as `SLACK_API_URL` and `WebClient(base_url=…)` take it."""
        return f"{self.url}/api/"

    @property
    def bot_token(self) -> str:
        return self.app.bot_token

    @property
    def app_token(self) -> str:
        return self.app.app_token

    @property
    def signing_secret(self) -> str:
        return self.app.signing_secret

    @property
    def deliveries(self) -> list[Delivery]:
        """Everything sent to the app, oldest first, with attempts and latencies."""
        return self.courier.deliveries

    @property
    def http(self) -> HttpDelivery:
        """The signed HTTP delivery. Raises `RuntimeError` in Socket Mode."""
        if self.courier.http is None:
            raise RuntimeError("this workspace delivers over Socket Mode")
        return self.courier.http

    def human(self, person_id: str) -> Human:
        """Be somebody. Raises `KeyError` for a person who is not there."""
        return Human(self, self.interactions, self.people[person_id])

    def deliver_over_http(self, url: str) -> HttpDelivery:
        """Deliver to this Request URL from now on."""
        http = HttpDelivery(url, self.app.signing_secret, self._wire_clock)
        self.courier.http = http
        return http

    def tick(self) -> None:
        """Say that the clock was moved."""
        self.courier.tick()

    def disconnect(self, reason: str = "refresh_requested", *, grace: float = 10) -> int:
        """Tell the app's connections to go, as Slack does every few hours; how many were told."""
        return self.sockets.disconnect(reason, grace=grace)

    def drop_connections(self) -> int:
        """Cut the app's connections without a word; how many there were."""
        return self.sockets.drop()

    def wait_connected(self, connections: int = 1, timeout: float = 5) -> None:
        """Wait until the app has this many connections open."""
        self.wait(lambda: len(self.sockets.connections) >= connections, timeout)

    # Serving

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Serve. Raises `OSError` where the port is taken."""
        ready = threading.Event()

        def run() -> None:
            loop = asyncio.new_event_loop()
            self._loop = loop
            loop.call_soon(ready.set)
            try:
                loop.run_forever()
            finally:
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.run_until_complete(loop.shutdown_default_executor())
                loop.close()

        self._thread = threading.Thread(target=run, name="slack-workspace", daemon=True)
        self._thread.start()
        ready.wait()
        self.sockets.loop = self.courier.loop = self._loop
        try:
            self.revive()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything: connections, streams, deliveries under way, the thread."""
        with self._stopping:
            if self._loop is None or self._thread is None:
                return
            self.faults.clear()
            self._run(self._end(force=False))
            self._run(self.courier.stop())
            self.sockets.loop = self.courier.loop = None
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop = self._thread = None
            self.courier.close()

    def kill(self) -> None:
        """Take the server away at once, connections and all. State stays; see `revive`."""
        self._run(self._end(force=True))

    def revive(self) -> None:
        """Serve (again), on the same port as before if there was one."""
        self._run(self._begin())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise RuntimeError("the workspace is not open")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _begin(self) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, self.port))
        except OSError:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        self.url = f"http://{HOST}:{self.port}"
        config = uvicorn.Config(
            self._application(),
            http=CuttableProtocol,
            ws="websockets-sansio",
            ws_ping_interval=self._ping_seconds,
            ws_ping_timeout=self._ping_seconds,
            lifespan="off",
            access_log=False,
            log_config=None,
            log_level="critical",
        )
        self._server = EventServer(config)
        self._control.open(asyncio.get_running_loop())
        self._serving = asyncio.get_running_loop().create_task(
            self._server.serve(sockets=[listener])
        )
        ready = self._server.ready
        self._serving.add_done_callback(lambda _: ready.set())
        await ready.wait()

    async def _end(self, *, force: bool) -> None:
        if self._server is None or self._serving is None:
            return
        self._control.end_streams()
        self._server.force_exit = force
        self._server.ending.set()
        with contextlib.suppress(asyncio.CancelledError):
            await self._serving
        self._server = self._serving = None

    def _application(self) -> Starlette:
        methods = (
            slack_chat.METHODS
            | slack_directory.METHODS
            | slack_views.METHODS
            | self.files.methods()
            | self.sockets.methods()
        )
        routes: list[BaseRoute] = [
            *self._extra_routes,  # first, because some lie under the control API's own path
            *WebApi(self, methods).routes(),
            *self.sockets.routes(),
            *self._response_urls.routes(),
            *self.files.routes(),
            *self._control.routes(),
        ]
        return Starlette(routes=routes, middleware=[Middleware(NoOtherSite)])


def _guarded(route: BaseRoute) -> BaseRoute:
    """The route, for this machine's own browser alone."""
    if not isinstance(route, Route | WebSocketRoute | Mount):
        raise TypeError(f"a {type(route).__name__} cannot be guarded")
    route.app = LoopbackOnly(route.app)
    return route
