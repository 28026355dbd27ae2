"""What is done to the bots during a soak, and when."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bot.sandbox.eks_faults import Faults
from tests.soak.bots import BotProcess
from tests.soak.relay import HOST, Connect, Relay

SILENT_CONNECTIONS = 300
_THROTTLED_SHARE = 0.7


@dataclass(frozen=True)
class Event:
    """Something that is wrong for so many seconds. `red`: readiness has to say so."""

    name: str
    seconds: float
    red: bool = True
    store_away: bool = False


FAILOVER = Event("failover", 60, store_away=True)
LONG_FAILOVER = Event("long failover", 240, store_away=True)
SILENT = Event("300 silent connections", 90, red=False)
MUTE_SLACK = Event("mute Slack", 90)
THROTTLING = Event("EKS throttles", 120, red=False)

PLAN: Sequence[Event] = (
    FAILOVER,
    SILENT,
    FAILOVER,
    MUTE_SLACK,
    LONG_FAILOVER,
    THROTTLING,
    FAILOVER,
    FAILOVER,
)
"""Half of the throttled calls, and none that ends access for good, would not be worth a red light:
the bot can end access, and does. Neither are silent connections."""


@contextmanager
def failover(store: Relay, primary: Connect, standby: Connect) -> Iterator[None]:
    """The store's name leads to the standby, and back.

    On the way there sessions are cut, as where the primary dies. On the way back they stay open and
    keep reading, as where an old answer of DNS is in use.
    """
    store.switch(standby, cut=True)
    try:
        yield
    finally:
        store.switch(primary, cut=False)


@contextmanager
def silent_connections(bots: Sequence[BotProcess]) -> Iterator[None]:
    """So many connections to each bot's HTTP port that say nothing."""
    with ExitStack() as stack:
        for bot in bots:
            for _ in range(SILENT_CONNECTIONS):
                stack.enter_context(socket.create_connection((HOST, bot.port), timeout=5))
        yield


@contextmanager
def mute(slack: Relay) -> Iterator[None]:
    """Slack takes connections and answers nothing, on those that are open too."""
    slack.mute(silent=True)
    try:
        yield
    finally:
        slack.mute(silent=False)


@contextmanager
def throttling(faults: Faults, chance: random.Random) -> Iterator[None]:
    """Seven of ten seconds, by chance, EKS answers every call that it takes too many."""
    ending = threading.Event()

    def throttle() -> None:
        while not ending.is_set():
            if chance.random() < _THROTTLED_SHARE:
                faults.throttle(times=None)
            ending.wait(1)
            faults.clear()

    thread = threading.Thread(target=throttle, name="throttling", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


@dataclass(frozen=True)
class Struck:
    """An event, and from when to when it was (`time.time`)."""

    event: Event
    since: float
    until: float


def play(
    plan: Sequence[Event],
    seconds: float,
    make: Callable[[Event], object],
    say: Callable[[str], None],
) -> list[Struck]:
    """Let each event of the plan be for its time, with equal pauses around them."""
    pause = (seconds - sum(one.seconds for one in plan)) / (len(plan) + 1)
    struck = []
    for event in plan:
        time.sleep(pause)
        say(f"{event.name}, for {event.seconds:.0f} s")
        since = time.time()
        with make(event):  # type: ignore[attr-defined]  # a context manager of above
            time.sleep(event.seconds)
        struck.append(Struck(event, since, time.time()))
        say(f"{event.name} is over")
    time.sleep(pause)
    return struck
