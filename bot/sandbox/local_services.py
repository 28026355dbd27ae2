"""A local PagerDuty, Opsgenie and Jira, on one port of loopback, each under a path of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount

from bot.sandbox.foreign import NoOtherSite
from bot.sandbox.local_jira import EMAIL, LocalJira
from bot.sandbox.local_opsgenie import LocalOpsgenie
from bot.sandbox.local_pagerduty import LocalPagerDuty
from bot.sandbox.serving import CuttableProtocol, EventServer

HOST = "127.0.0.1"


def utc_now() -> datetime:
    return datetime.now(UTC)


class LocalServices:
    """The three, for as long as they are entered."""

    def __init__(self, *, clock: Callable[[], datetime] = utc_now) -> None:
        self.pagerduty = LocalPagerDuty(clock)
        self.opsgenie = LocalOpsgenie()
        self.jira = LocalJira()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: EventServer | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def settings(self) -> dict[str, Any]:
        """What the environment of a bot says that asks these."""
        return {
            "PAGERDUTY_API_URL": self.pagerduty.url,
            "PAGERDUTY_TOKEN": self.pagerduty.key,
            "OPSGENIE_API_URL": self.opsgenie.url,
            "OPSGENIE_API_KEY": self.opsgenie.key,
            "JIRA_URL": self.jira.url,
            "JIRA_EMAIL": EMAIL if self.jira.cloud else None,
            "JIRA_TOKEN": self.jira.key,
        }

    def start(self) -> None:
        """Serve. It listens before this returns, so that nobody is turned away."""
        named = {"pagerduty": self.pagerduty, "opsgenie": self.opsgenie, "jira": self.jira}
        listener = socket.create_server((HOST, 0))
        for name, service in named.items():
            service.url = f"http://{HOST}:{listener.getsockname()[1]}/{name}"
        routes = [Mount(f"/{name}", app=service) for name, service in named.items()]
        config = uvicorn.Config(
            Starlette(routes=routes, middleware=[Middleware(NoOtherSite)]),
            http=CuttableProtocol,
            lifespan="off",
            access_log=False,
            log_config=None,
            log_level="critical",
        )
        self._server = EventServer(config)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._serve, args=(self._server, listener), name="local-services", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End everything, requests that are held too."""
        for service in (self.pagerduty, self.opsgenie, self.jira):
            service.mend()
        if self._thread is None or self._loop is None or self._server is None:
            return
        self._server.force_exit = True
        self._loop.call_soon_threadsafe(self._server.ending.set)
        self._thread.join()
        self._thread = self._loop = self._server = None

    def _serve(self, server: EventServer, listener: socket.socket) -> None:
        loop = self._loop
        if loop is None:
            return
        try:
            loop.run_until_complete(server.serve(sockets=[listener]))
        finally:
            loop.close()
