"""A pooler in transaction mode, as PgBouncer is: each transaction gets whichever session is free.

It speaks PostgreSQL's protocol ("Message Formats"): it answers the start of a connection with what
the server told its own first session, and hands every message up to a ReadyForQuery outside of a
transaction to one session of the server, the last one that was given back.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SSL, _GSS = 80877103, 80877104
_IDLE = b"I"
_ENDS_A_TURN = b"QS"


class _Wire:
    """One connection, message by message."""

    def __init__(self, wire: socket.socket) -> None:
        self.wire = wire

    def exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = self.wire.recv(length - len(data))
            if not more:
                raise ConnectionError
            data += more
        return data

    def startup(self) -> bytes:
        head = self.exactly(4)
        return head + self.exactly(struct.unpack("!i", head)[0] - 4)

    def message(self) -> bytes:
        head = self.exactly(5)
        return head + self.exactly(struct.unpack("!i", head[1:])[0] - 4)

    def until_ready(self) -> list[bytes]:
        messages = [self.message()]
        while messages[-1][:1] != b"Z":
            messages.append(self.message())
        return messages


class _Pooler:
    def __init__(self, file: str) -> None:
        self._file = file
        self._free: list[_Wire] = []
        self._lock = threading.Lock()
        self._greeting = b""
        self._all: list[socket.socket] = []

    def serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                self._all.append(client)
                threading.Thread(target=self._one, args=(_Wire(client),), daemon=True).start()

    def close(self) -> None:
        for wire in self._all:
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)
            wire.close()

    def _one(self, client: _Wire) -> None:
        with suppress(OSError):
            startup = client.startup()
            while struct.unpack("!i", startup[4:8])[0] in {_SSL, _GSS}:
                client.wire.sendall(b"N")
                startup = client.startup()
            self._give_back(self._take(startup))
            client.wire.sendall(self._greeting)
            while True:
                self._transaction(client, startup)

    def _transaction(self, client: _Wire, startup: bytes) -> None:
        message = client.message()
        if message[:1] == b"X":
            raise ConnectionError
        server = self._take(startup)
        state = b""
        while state != _IDLE:
            server.wire.sendall(message)
            if message[:1] in _ENDS_A_TURN:
                answer = server.until_ready()
                state = answer[-1][5:6]
                if state == _IDLE:
                    self._give_back(server)
                client.wire.sendall(b"".join(answer))
            if state != _IDLE:
                message = client.message()

    def _take(self, startup: bytes) -> _Wire:
        with self._lock:
            if self._free:
                return self._free.pop()
        wire = socket.socket(socket.AF_UNIX)
        self._all.append(wire)
        wire.connect(self._file)
        wire.sendall(startup)
        server = _Wire(wire)
        self._greeting = b"".join(server.until_ready())
        return server

    def _give_back(self, server: _Wire) -> None:
        with self._lock:
            self._free.append(server)


@contextmanager
def transaction_pooler(file: str) -> Iterator[int]:
    """The port of a pooler before the server that listens on a file."""
    pooler = _Pooler(file)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=pooler.serve, args=(listener,), daemon=True)
        serving.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            pooler.close()
            serving.join()
