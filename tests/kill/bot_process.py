"""`eks-access run` as a process of its own, which can be killed as the kernel kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bot.sandbox.stage import LAB_ACCOUNT, Stage

COMMAND = Path(sys.executable).with_name("eks-access")
PATIENCE_SECONDS = 120
"""How long to wait for what comes by itself: far longer than it takes, for a busy machine."""


class BotProcess:
    """A running bot. Its log is read along.

    `launched` and `started` are when it was launched and when its loops ran, by `time.monotonic`.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.launched = time.monotonic()
        self.started: float | None = None
        self.lines: list[str] = []
        self._read = threading.Condition()
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [COMMAND, "run"],
            env=dict(environment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
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
        self._process.send_signal(signal.SIGKILL)
        assert self._process.wait() == -signal.SIGKILL
        self._close()

    def stop(self) -> int:
        """End it in good order. Returns its exit code."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(PATIENCE_SECONDS)
        finally:
            self.discard()

    def discard(self) -> None:
        """End it if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._close()

    def _gone(self) -> bool:
        return not self._reader.is_alive()

    def _close(self) -> None:
        self._reader.join()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _follow(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
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
        time.sleep(0.02)
