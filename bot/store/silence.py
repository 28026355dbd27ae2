"""A session of PostgreSQL that does not wait for ever for a server that says nothing.

The server breaks off what takes too long by itself, and TCP tells where its host is gone. Neither
helps where its process is frozen, as by SIGSTOP, a debugger, a paused container or a disk that does
not answer: the kernel still acknowledges all that is sent.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import psycopg


class ListeningConnection(psycopg.Connection):
    """Closes itself and raises OperationalError where the server is silent for too long."""

    most_silence: float | None = None
    """Seconds, more than the server may take for a statement. None waits for ever."""

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
        return super().wait(self._listening(gen), *args, **kwargs)

    def _listening(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """As `gen`, which psycopg also wakes, with nothing, a few times a second."""
        heard = time.monotonic()
        try:
            state = next(gen)
            while True:
                ready = yield state
                if ready:
                    heard = time.monotonic()
                elif self.most_silence is not None and time.monotonic() - heard > self.most_silence:
                    self.close()
                    raise psycopg.OperationalError("the server says nothing")
                state = gen.send(ready)
        except StopIteration as done:
            return done.value
