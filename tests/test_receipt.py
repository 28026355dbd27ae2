"""When a payload was received, told where it is handled."""

from __future__ import annotations

import time
from threading import Event

from bot import receipt
from bot.receipt import ReceivingPool


def test_the_wait_for_a_thread_counts() -> None:
    go_on = Event()
    with ReceivingPool(1) as pool:
        pool.submit(go_on.wait, 30)
        moment = pool.submit(lambda: time.monotonic() - receipt.seconds_since())
        submitted = time.monotonic()
        go_on.set()
        assert moment.result(30) <= submitted


def test_each_payload_has_a_moment_of_its_own() -> None:
    with ReceivingPool(1) as pool:
        first = pool.submit(lambda: time.monotonic() - receipt.seconds_since()).result(30)
        between = time.monotonic()
        second = pool.submit(lambda: -receipt.seconds_since() + time.monotonic()).result(30)
    assert first <= between <= second


def test_what_nobody_noted_was_received_just_now() -> None:
    assert receipt.seconds_since() == 0
