"""A relay between the bots and a server: cut, switched to another server, or mute.

It forwards bytes and knows no protocol. A failover is a switch of the address behind it, as where a
name leads to another host; a server that is mute is one that takes connections and answers nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Self

HOST = "127.0.0.1"
_CHUNK = 65536

Connect = Callable[[], Coroutine[Any, Any, tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
"""Opens a connection to the server behind the relay."""


def over_tcp(port: int) -> Connect:
    """The server that listens on this port of this machine."""
    return lambda: asyncio.open_connection(HOST, port)


def over_socket(path: str) -> Connect:
    """The server that listens on this Unix socket."""
    return lambda: asyncio.open_unix_connection(path)


class Relay:
    """A port in front of a server, for as long as it is entered."""

    def __init__(self, server: Connect) -> None:
        self._server = server
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def switch(self, server: Connect, *, cut: bool) -> None:
        """Lead new connections to this server. Those that are open end, if `cut`, or stay."""
        self._run(self._switch(server, cut=cut))

    def mute(self, *, silent: bool) -> None:
        """Let no byte through in either direction, while connections stay and are taken."""
        self._run(self._mute(silent=silent))

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _listen(self) -> int:
        self._flowing.set()
        self._listener = await asyncio.start_server(self._accepted, HOST, 0, backlog=512)
        return int(self._listener.sockets[0].getsockname()[1])

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._flowing.wait()
                await self._join(reader, writer)
        finally:
            self._open.discard(task)
            writer.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, ahead = await self._server()
        try:
            pumps = [
                asyncio.ensure_future(self._pump(reader, ahead)),
                asyncio.ensure_future(self._pump(behind, writer)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            ahead.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while read := await source.read(_CHUNK):
            await self._flowing.wait()
            sink.write(read)
            await sink.drain()

    async def _switch(self, server: Connect, *, cut: bool) -> None:
        self._server = server
        if cut:
            await self._end_open()

    async def _mute(self, *, silent: bool) -> None:
        if silent:
            self._flowing.clear()
        else:
            self._flowing.set()

    async def _end_open(self) -> None:
        ending = list(self._open)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def _close(self) -> None:
        self._listener.close()
        await self._end_open()
