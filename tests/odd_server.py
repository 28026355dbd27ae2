"""A server that answers every call with the same bytes, and then closes: no HTTP library would."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

HALF = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n"
ODD_ANSWERS = {
    "half a body": HALF + b'{"ok": tr',
    "half an error": HALF.replace(b"200 OK", b"503 Service Unavailable") + b"{",
    "no status line": b"SSH-2.0-OpenSSH_9.6\r\n",
    "no status": b"HTTP/1.1 abc OK\r\n\r\n",
    "a line without an end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
    "too many headers": b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n",
    "no UTF-8": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\xfe\xff\xfe",
    "HTML": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
    "nothing": b"",
}
"""What stands between the bot and a service, or a service that dies, may answer with."""


@contextmanager
def odd_server(answer: bytes) -> Iterator[str]:
    """The URL of a server on this machine that answers so, whatever it is asked."""

    def serve() -> None:
        while True:
            try:
                asked, _ = listener.accept()
            except OSError:
                return  # closed
            with asked:
                asked.settimeout(10)
                try:
                    _read(asked)
                    asked.sendall(answer)
                except OSError:
                    continue

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _read(asked: socket.socket) -> None:
    """Read one whole call: to close before that would reset the connection."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += (more := asked.recv(65536))
        if not more:
            return
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(lengths[0].partition(b":")[2]) if lengths else 0
    while len(body) < length:
        body += (more := asked.recv(65536))
        if not more:
            return
