"""An incident within Slack's published limits: `make bench-lookups`. Measured, never asserted.

In one minute 100 people ask, owners approve 30 requests, and 5 people break glass. The local Slack
refuses what is over its limits, as Slack does.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import yaml
from sqlalchemy import func, select

from bot.logs import configure_logs
from bot.sandbox.humans import Human
from bot.sandbox.stage import Stage, furnish, sandbox_policy
from bot.slack.call_budget import PUBLISHED
from bot.store import grants, requests
from bot.store.database import Database
from bot.store.tables import audit_events

ASKING, APPROVALS, BREAKING = 100, 30, 5
SECONDS = 60.0
PATIENCE_SECONDS = 400.0
_ASK = "/eks-access request prod-eu view --namespace payments --for 30m --ticket PAY-1 Measuring"
_BREAK_GLASS = "/eks-access break-glass prod-eu cluster-admin --for 30m Measuring"
_ASKERS = [f"U5{number:03}" for number in range(ASKING)]
_EARLIER = [f"U6{number:03}" for number in range(APPROVALS)]
_RESPONDERS = [f"U7{number:03}" for number in range(BREAKING)]


def main() -> None:
    """Run the minute once, wait for what it left to do, and print how long each took."""
    configure_logs("ERROR")
    policy = yaml.safe_load(sandbox_policy())
    people = [*_ASKERS, *_EARLIER, *_RESPONDERS]
    role = "arn:aws:iam::{{account}}:role/eks-jit/{}"
    policy["principals"]["users"] |= {one: role.format(one.lower()) for one in people}
    with Stage(policy=yaml.safe_dump(policy, sort_keys=False)) as stage:
        furnish(stage)
        for one in people:
            stage.slack.add_person(one, one.lower())
            stage.slack.join("C00GENERAL", one)
        stage.slack.set_group("S04RESPOND", _RESPONDERS)
        bot = stage.start_bot()
        waiting = _ask_before(stage, bot.database)
        stage.advance(timedelta(minutes=2))
        stage.slack.rate_limits = True
        begun = _minute(stage, waiting)
        took = _all_done(bot.database, begun)
        _print(stage, bot.database, took)


def _ask_before(stage: Stage, database: Database) -> list[str]:
    """Requests that wait for an owner when the minute begins: their ids."""
    for one in _EARLIER:
        stage.slack.human(one).command(_ASK)
        stage.advance(timedelta(seconds=2))

    def ids() -> list[str]:
        with database.reading() as tx:
            found = [requests.of_requester(tx, one) for one in _EARLIER]
        return [of_one[0].id for of_one in found if of_one]

    _wait(lambda: len(ids()) == APPROVALS)
    return ids()


def _minute(stage: Stage, waiting: list[str]) -> dict[str, datetime]:
    """Who asks or which request is approved → when."""
    owners = [stage.slack.human(one) for one in ("U02BEN", "U03CLEO")]
    acts: list[tuple[float, str, Human, str]] = []
    for chosen, typed in ((_ASKERS, _ASK), (_RESPONDERS, _BREAK_GLASS)):
        for at, one in _spread(chosen):
            acts.append((at, one, stage.slack.human(one), typed))
    for number, (at, request) in enumerate(_spread(waiting)):
        acts.append((at, request, owners[number % 2], f"/eks-access approve {request}"))
    started, begun = time.monotonic(), {}
    for at, what, who, typed in sorted(acts, key=lambda act: act[0]):
        time.sleep(max(0.0, started + at - time.monotonic()))
        begun[what] = stage.clock()
        who.command(typed)
    return begun


def _spread(what: list[str]) -> Iterator[tuple[float, str]]:
    """Evenly over the minute."""
    for number, one in enumerate(what):
        yield (number + 0.5) * SECONDS / len(what), one


def _all_done(database: Database, begun: dict[str, datetime]) -> dict[str, float]:
    """Seconds from each act to its decision in the store; what never came is left out."""

    def decided() -> dict[str, float]:
        with database.reading() as tx:
            asked = {one: requests.of_requester(tx, one) for one in (*_ASKERS, *_RESPONDERS)}
            at = {one: own[0].created_at for one, own in asked.items() if own}
            for grant in grants.live(tx):
                if grant.requester in _RESPONDERS and grant.confirmed_at:
                    at[f"{grant.requester} confirmed"] = grant.confirmed_at
            for request in begun.keys() - {*_ASKERS, *_RESPONDERS}:
                for review in requests.reviews_of(tx, request):
                    at[request] = review.at
        since = {what: begun[what.removesuffix(" confirmed")] for what in at}
        return {what: (at[what] - since[what]).total_seconds() for what in at}

    _wait(lambda: len(decided()) == len(begun) + BREAKING)
    return decided()


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done() and time.monotonic() < deadline:
        time.sleep(0.5)


def _print(stage: Stage, database: Database, took: dict[str, float]) -> None:
    rows = {
        "requests": [took[one] for one in _ASKERS if one in took],
        "approvals": [took[one] for one in took if not one.startswith("U")],
        "break-glass decided": [took[one] for one in _RESPONDERS if one in took],
        "break-glass confirmed": [took[one] for one in took if one.endswith("confirmed")],
    }
    sys.stdout.write(f"{'':22} {'times':>6} {'median':>8} {'max':>8}   (s)\n")
    for name, seconds in rows.items():
        figures = f"{statistics.median(seconds):8.2f} {max(seconds):8.2f}" if seconds else "none"
        sys.stdout.write(f"{name:22} {len(seconds):6} {figures}\n")
    with database.reading() as tx:
        refused = select(func.count()).where(audit_events.c.action.like("%.refused"))
        sys.stdout.write(f"refused: {tx.scalar(refused)}\n")
    names = {name.replace("_", "."): name for name in PUBLISHED}
    with stage.slack.lock:
        calls = [(one.method, one.error) for one in stage.slack.calls]
    made = Counter(method for method, _ in calls if method.replace("_", ".") in names)
    limited = Counter(method for method, error in calls if error == "ratelimited")
    for method, number in sorted(made.items()):
        sys.stdout.write(f"{method}: {number} calls, {limited[method]} refused by Slack\n")


if __name__ == "__main__":
    main()
