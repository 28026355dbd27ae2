"""`make fuzz`: made-up payloads through the real listeners, and what they leave through the loops.

    python -m tests.simulation.fuzz [--payloads 50000] [--seed 0]

No exception is left unhandled, whatever comes is acknowledged, and Slack would take every message
that is made of it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry
from slack_sdk.signature import SignatureVerifier
from starlette.applications import Starlette

from bot.http import Readiness, SignedApp, build_http
from bot.sandbox.response_urls import ResponseUrls
from bot.sandbox.slack_admin import ManagedWorkspace
from bot.store.database import Database
from tests.simulation.payloads_fuzz import Fuzz
from tests.simulation.process import SIGNING_SECRET, Process
from tests.simulation.scene import ANA, LAB, PROD, furnish_eks, furnish_slack, text_of
from tests.simulation.stage import SLACK, Stage, stage

PAYLOADS = 50_000
_ANSWERS = frozenset({200, 400, 401, 404, 413})
_A_ROUND = 150
"""Payloads until the loops work on what they left; few enough that no limit per person is met."""

_KINDS = ("command", "click", "submission", "suggestion", "event", "body")
_WEIGHTS = (45, 17, 18, 5, 8, 7)
_SETTING = {
    "backstop": False,
    "standing": {LAB: "refuse", PROD: "augment"},
    "repair": True,
    "shared": [],
    "approvals": {
        "lab": "automatic",
        "payments": "one",
        "vault": "two",
        "whole clusters": "platform",
    },
}


class Broken(AssertionError):
    """A payload that was not taken as it should be."""


class _Fuzzing:
    def __init__(self, on: Stage, database: Database, seed: int, runner: asyncio.Runner) -> None:
        self.on = on
        self.database = database
        self.draw = Fuzz(seed)
        self.counts: Counter[str] = Counter()
        self.runner = runner
        furnish_eks(on.eks)
        self.slack: ManagedWorkspace
        self.urls: ResponseUrls
        self.slack, self.urls = on.new_slack()
        furnish_slack(self.slack)
        on.policy_file.write_text(text_of(_SETTING, "good") or "")

    def round(self, payloads: int) -> None:
        """Some payloads to one process, then its loops, until nothing is due."""
        with self._process() as process:
            ready = Readiness({"store": None})
            slack = SignedApp(process.bot.listeners.app, SignatureVerifier(SIGNING_SECRET))
            http = build_http(lambda: ready, CollectorRegistry(), slack)
            for _ in range(payloads):
                (kind,) = self.draw.choices(_KINDS, _WEIGHTS)
                self.counts[kind] += 1
                trigger, url = self._trigger()
                made = getattr(self.draw, kind)(trigger, url)
                try:
                    if kind == "body":
                        self._post(http, made)
                    else:
                        self._hand_over(process, kind, made)
                except Broken:
                    raise
                except Exception as error:
                    raise Broken(f"{kind} {made!r:.2000}: {error!r}") from error
            self._work(process)
        self._verify("the loops")
        self.on.clock.move(timedelta(minutes=2))

    def _hand_over(self, process: Process, kind: str, payload: Any) -> None:
        answer = process.dispatch(payload)
        self.counts[f"{kind}: answered {answer.status}"] += 1
        if answer.status != 200:
            raise Broken(f"{kind} was not acknowledged but answered {answer.status}: {payload!r}")
        process.afterwards()
        self._verify(f"{kind} {payload!r:.2000}")

    def _post(self, http: Starlette, body: bytes) -> None:
        now = str(int(time.time()))
        base = f"v0:{now}:".encode() + body
        good = "v0=" + hmac.new(SIGNING_SECRET.encode(), base, hashlib.sha256).hexdigest()
        kind = self.draw.choice(
            ("application/json", "application/x-www-form-urlencoded", "text/plain", "")
        )
        headers = {
            "content-type": kind,
            "x-slack-request-timestamp": self.draw.choice((now, now, now, "0", "soon")),
            "x-slack-signature": self.draw.choice((good, good, good, "v0=00", "")),
        }
        status = self.runner.run(_posted(http, headers, body))
        self.counts[f"body: answered {status}"] += 1
        if status not in _ANSWERS:
            raise Broken(f"{body!r:.2000} with {headers} was answered {status}")

    def _work(self, process: Process) -> None:
        for loop in (*process.loops, *process.loops):
            for item in process.due(loop):
                process.work(loop, item)
                self.counts[f"loop {loop}"] += 1

    def _verify(self, what: str) -> None:
        if self.on.errors:
            raise Broken(f"{what}: {self.on.errors[0]}")
        if self.slack.rejections:
            raise Broken(f"{what}: Slack would reject {self.slack.rejections[0]}")

    def _trigger(self) -> tuple[str, str]:
        channel = self.slack.open_dm(ANA)
        address, _ = self.urls.new(ANA, channel.id, None)
        return self.slack.new_trigger(ANA), address

    @contextmanager
    def _process(self) -> Iterator[Process]:
        made = Process(
            self.database,
            self.on.clients,
            policy_file=self.on.policy_file,
            slack_url=f"{SLACK}/api/",
            bot_token=self.slack.app.bot_token,
            clock=self.on.clock,
        )
        try:
            yield made
        finally:
            made.close()


async def _posted(http: Starlette, headers: dict[str, str], body: bytes) -> int:
    """The status with which the server answers such a request."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/slack/events",
        "raw_path": b"/slack/events",
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
    }
    await http(scope, receive, send)
    return int(sent[0]["status"])


def fuzz(on: Stage, payloads: int, seed: int, *, progress: bool = False) -> Counter[str]:
    """So many payloads. Raises Broken at the first that is not taken as it should be."""
    on.reset()
    with on.open(), on.database("sqlite") as (database, *_), asyncio.Runner() as runner:
        fuzzing = _Fuzzing(on, database, seed, runner)
        began, done = time.monotonic(), 0
        while done < payloads:
            fuzzing.round(min(_A_ROUND, payloads - done))
            done += min(_A_ROUND, payloads - done)
            if progress:
                passed = time.monotonic() - began
                sys.stderr.write(f"\r{done:,} of {payloads:,} payloads, {passed:.0f} s   ")
                sys.stderr.flush()
        on.reset()
        return fuzzing.counts


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.fuzz")
    parser.add_argument("--payloads", type=int, default=PAYLOADS)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.monotonic()
    with stage() as on:
        try:
            counts = fuzz(on, given.payloads, given.seed, progress=True)
        except Broken as broken:
            sys.stdout.write(f"\nseed {given.seed}: {broken}\n")
            return 1
    sys.stderr.write("\n")
    for name, number in sorted(counts.items()):
        sys.stdout.write(f"{number:>9,}  {name}\n")
    sys.stdout.write(
        f"{given.payloads:,} payloads in {time.monotonic() - began:.0f} s: no exception was left "
        "unhandled, and each was answered\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
