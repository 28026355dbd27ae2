"""The `sandbox` command: with the page until it is interrupted, or the story by itself."""

from __future__ import annotations

import signal
import sys
import threading
import time
import webbrowser

from bot.logs import configure_logs
from bot.sandbox.stage import Stage, furnish
from bot.sandbox.story import BrokenError, tell


def play(*, port: int, headless: bool) -> int:
    """Run the sandbox. Returns the exit code: 0, or 1 where the story did not hold."""
    configure_logs("ERROR" if headless else "WARNING")
    begun = time.monotonic()
    try:
        with Stage(port=0 if headless else port) as stage:
            furnish(stage)
            stage.start_bot()
            _say(f"Ready in {time.monotonic() - begun:.1f} s.")
            return _story(stage) if headless else _page(stage)
    except OSError as error:
        _say(f"Port {port} cannot be used ({error.strerror}). Try `eks-access sandbox --port 0`.")
        return 2


def _story(stage: Stage) -> int:
    try:
        tell(stage, _say)
    except (BrokenError, AssertionError, LookupError) as error:
        _say(f"  ✗ {error}")
        return 1
    _say("\nAll held.")
    return 0


def _page(stage: Stage) -> int:
    _say(
        f"The workspace is at {stage.slack.url}/\n"
        "Be Ana and type /eks-access; be Ben and approve; watch EKS at the side.\n"
        f"Its policy file is {stage.policy_file}: what you change in it holds at once.\n"
        "A warning about legacy-eu is part of it: that cluster has no access entries. "
        "Stop with Ctrl-C."
    )
    if sys.stdout.isatty():
        webbrowser.open(f"{stage.slack.url}/")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    _say("Stopping.")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
