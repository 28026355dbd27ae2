"""uvicorn for stand-ins: it starts and stops at once, and a fault can cut a connection."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

GOODBYE_SECONDS = 0.5


class CuttableProtocol(H11Protocol):
    """Puts the transport into each request's state, so that a fault can cut the connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self.app_state = {**self.app_state, "transport": transport}


class EventServer(uvicorn.Server):
    """uvicorn, waiting for an event instead of looking ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.ending = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        self.ready.set()
        await self.ending.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listener; give open connections a moment to say goodbye, unless forced."""
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        connections = list(self.server_state.connections)
        if not self.force_exit:
            for connection in connections:
                connection.shutdown()
            if self.server_state.tasks:
                await asyncio.wait(self.server_state.tasks, timeout=GOODBYE_SECONDS)
        for connection in connections:
            connection.transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)
