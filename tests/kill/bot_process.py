"""`eks-access run` as a process of its own, which can be killed as the kernel kills.

It is launched as the command, or forked from a process that has the command's modules already: to
read those is most of what a start costs, and no point at which a bot is killed lies in it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TextIO

from forked_bot import run_bot

from bot.sandbox.stage import LAB_ACCOUNT, Stage

COMMAND = Path(sys.executable).with_name("eks-access")
PATIENCE_SECONDS = 120
"""How long to wait for what comes by itself: far longer than it takes, for a busy machine."""


_BETWEEN_LOOKS_SECONDS = 0.05

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(["bot.cli"])


class _Process(Protocol):
    """A process, as multiprocessing has it."""

    @property
    def pid(self) -> int | None: ...
    @property
    def exitcode(self) -> int | None: ...
    def join(self, timeout: float | None = None) -> None: ...


class _Command:
    """The command as a process."""

    def __init__(self, environment: Mapping[str, str], log: int) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [COMMAND, "run"], env=dict(environment), stdout=subprocess.DEVNULL, stderr=log
        )
        self.pid = self._process.pid

    @property
    def exitcode(self) -> int | None:
        return self._process.poll()

    def join(self, timeout: float | None = None) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)


def _started(environment: Mapping[str, str], *, forked: bool) -> tuple[_Process, TextIO]:
    """A bot, and its log."""
    reader, writer = _forking.Pipe(duplex=False)
    with reader, writer:
        if forked:
            process = _forking.Process(target=run_bot, args=(dict(environment), writer))
            process.start()
            return process, os.fdopen(os.dup(reader.fileno()))
        return _Command(environment, writer.fileno()), os.fdopen(os.dup(reader.fileno()))


class BotProcess:
    """A running bot. Its log is read along.

    `launched` and `started` are when it was launched and when its loops ran, by `time.monotonic`.
    """

    def __init__(self, environment: Mapping[str, str], *, forked: bool = False) -> None:
        self.launched = time.monotonic()
        self.started: float | None = None
        self.lines: list[str] = []
        self._read = threading.Condition()
        self._process, self._log = _started(environment, forked=forked)
        self._reader = threading.Thread(target=self._follow, daemon=True)
        self._reader.start()

    @property
    def log(self) -> str:
        with self._read:
            return "".join(self.lines)

    def wait_logged(self, event: str) -> None:
        """Wait until the log has this event: `started`, once the loops run.

        Raises AssertionError with the log where it ends instead.
        """

        def logged() -> bool:
            return any(f'"{event}"' in line for line in self.lines)

        with self._read:
            self._read.wait_for(lambda: logged() or self._gone(), PATIENCE_SECONDS)
            assert logged(), "".join(self.lines)

    def count_logged(self, event: str) -> int:
        """How often the log has this event."""
        return sum(json.loads(line)["event"] == event for line in self.log.splitlines())

    def kill(self) -> None:
        """End it at once; it learns nothing of it."""
        self._signal(signal.SIGKILL)
        self._process.join()
        assert self._process.exitcode == -signal.SIGKILL
        self._close()

    def stop(self) -> int:
        """End it in good order. Returns its exit code."""
        self._signal(signal.SIGTERM)
        self._process.join(PATIENCE_SECONDS)
        code = self._process.exitcode
        self.discard()
        assert code is not None, self.log
        return code

    def discard(self) -> None:
        """End it if it still runs."""
        if self._process.exitcode is None:
            self._signal(signal.SIGKILL)
            self._process.join()
        self._close()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def _gone(self) -> bool:
        return not self._reader.is_alive()

    def _close(self) -> None:
        self._reader.join()
        self._log.close()

    def _follow(self) -> None:
        for line in self._log:
            with self._read:
                self.lines.append(line)
                if self.started is None and '"started"' in line:
                    self.started = time.monotonic()
                self._read.notify_all()
        with self._read:
            self._read.notify_all()


def environment_of(stage: Stage) -> dict[str, str]:
    """What a bot's own environment says, so that it runs in this sandbox."""
    return {
        **os.environ,
        **stage.eks.environment(LAB_ACCOUNT),
        "SLACK_BOT_TOKEN": stage.slack.bot_token,
        "SLACK_APP_TOKEN": stage.slack.app_token,
        "SLACK_API_URL": stage.slack.api_url,
        "DATABASE_URL": stage.database_url,
        "EKS_ACCESS_CONFIG": str(stage.policy_file),
        "EKS_ACCESS_HTTP_PORT": "0",
    }


def until(
    true: Callable[[], object], said: Callable[[], object], seconds: float = PATIENCE_SECONDS
) -> None:
    """Look again and again until it is true: nothing here is told what another process commits.

    Raises AssertionError with what is `said` where it does not come to be.
    """
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, said()
        time.sleep(_BETWEEN_LOOKS_SECONDS)
