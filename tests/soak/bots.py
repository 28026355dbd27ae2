"""Three bots as processes of their own, with what their health says second by second."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.soak.relay import HOST

_COMMAND = Path(sys.executable).with_name("eks-access")
_BETWEEN_LOOKS_SECONDS = 1.0
_ANSWER_WITHIN_SECONDS = 10.0  # see judge.ANSWER_SECONDS
_STOP_WITHIN_SECONDS = 60.0


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        return int(taken.getsockname()[1])


@dataclass(frozen=True)
class Look:
    """What readiness said at a moment (`time.time`): its parts that are not well."""

    at: float
    ready: bool
    unwell: tuple[str, ...]


@dataclass
class BotProcess:
    """`eks-access run`, with its log in a file and its readiness asked every second."""

    environment: Mapping[str, str]
    log: Path
    port: int = field(default_factory=_free_port)
    looks: list[Look] = field(default_factory=list)

    def start(self) -> None:
        """Launch it, and begin to look."""
        environment = {**self.environment, "EKS_ACCESS_HTTP_PORT": str(self.port)}
        with self.log.open("w") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [_COMMAND, "run"], env=environment, stdout=subprocess.DEVNULL, stderr=log
            )
        self._ending = threading.Event()
        self._looking = threading.Thread(target=self._look_on, name="looking", daemon=True)
        self._looking.start()

    def stop(self) -> int | None:
        """End it in good order. Returns its exit code, or None where it had to be killed."""
        self._ending.set()
        self._looking.join()
        self._process.terminate()
        try:
            return self._process.wait(_STOP_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return None

    def wait_ready(self, seconds: float) -> None:
        """Wait until it is ready. Raises AssertionError with what it logged."""
        deadline = time.monotonic() + seconds
        while not (self.looks and self.looks[-1].ready):
            assert time.monotonic() < deadline, self.log.read_text()
            self._ending.wait(_BETWEEN_LOOKS_SECONDS)

    def events(self) -> Counter[tuple[str, str]]:
        """How often each event was logged at each level."""
        counted: Counter[tuple[str, str]] = Counter()
        for line in self.log.read_text().splitlines():
            with suppress(ValueError, KeyError, TypeError):
                said: dict[str, Any] = json.loads(line)
                counted[str(said["level"]), str(said["event"])] += 1
        return counted

    def first_look(self, since: float, *, ready: bool) -> float | None:
        """Seconds from then until it was first seen ready, or not ready."""
        found = (one.at - since for one in self.looks if one.at >= since and one.ready is ready)
        return next(found, None)

    def _look_on(self) -> None:
        while not self._ending.wait(_BETWEEN_LOOKS_SECONDS):
            self.looks.append(self._look())

    def _look(self) -> Look:
        at = time.time()
        try:
            url = f"http://{HOST}:{self.port}/readyz"
            with urllib.request.urlopen(url, timeout=_ANSWER_WITHIN_SECONDS) as answer:
                return Look(at, answer.status == HTTPStatus.OK, ())
        except urllib.error.HTTPError as error:
            with error:
                return Look(at, False, _unwell(error.read()))
        except (OSError, TimeoutError) as error:
            return Look(at, False, (type(error).__name__,))


def _unwell(body: bytes) -> tuple[str, ...]:
    try:
        parts: dict[str, Any] = json.loads(body)
    except ValueError:
        return ("no JSON",)
    return tuple(name for name, well in parts.items() if well is not True)


def environment(values: Mapping[str, str]) -> dict[str, str]:
    """The environment of a bot: this process's own and these."""
    return {**os.environ, **values}
