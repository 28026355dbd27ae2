"""Figures of the whole bot in the sandbox: `make bench`. They are measured, never asserted.

These machines are noisy: quote medians and ratios of one run, not single times.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from bench.restart import restarts
from bench.slow_slack import DELAY_SECONDS, acknowledgements
from bot.core.model import Grant
from bot.logs import configure_logs
from bot.sandbox.humans import Human
from bot.sandbox.slack_shown import Message
from bot.sandbox.stage import LAB_ACCOUNT, Stage, furnish
from bot.store import grants

ROUNDS = 20
ENOUGH_FOR_P99 = 100
MINUTE = timedelta(minutes=1)
ANA = f"arn:aws:iam::{LAB_ACCOUNT}:role/eks-jit/ana"
CLUSTER = "modern-access-lab"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
ASK = f"/eks-access request {CLUSTER} view --namespace default --for 1s Measuring"
BREAK_GLASS = "/eks-access break-glass prod-eu cluster-admin --for 30m Measuring"
ASK_OWNERS = (
    "/eks-access request prod-eu view --namespace payments --for 30m --ticket PAY-1 Measuring"
)


def main() -> None:
    """Run every measurement once and print a table, in milliseconds."""
    configure_logs("ERROR")
    begun = time.perf_counter()
    with Stage() as stage:
        furnish(stage)
        stage.start_bot()
        rows = [("sandbox ready", [time.perf_counter() - begun])]
        ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
        bare = [_bare_removal(stage) for _ in range(ROUNDS)]
        lives = [_life(stage, ana) for _ in range(ROUNDS)]
        clicks = [_decision(stage, ana, ben) for _ in range(ROUNDS)]
        cleo = stage.slack.human("U03CLEO")  # on call, by the local PagerDuty
        broken = [_break_glass(stage, cleo) for _ in range(ROUNDS)]
        acknowledged, active, confirmed = (list(one) for one in zip(*lives, strict=True))
        rows += [
            ("command acknowledged", acknowledged),
            ("command to confirmed access", active),
            ("break-glass to confirmed access, PagerDuty asked", broken),
            ("end to confirmed removal, by the clock alone", confirmed),
            ("click acknowledged", clicks),
            ("bare boto3: describe, list, delete, describe", bare),
        ]
    commands, clicks = _with_a_slow_slack()
    rows += [
        (f"command acknowledged, Slack {DELAY_SECONDS:g} s slow", commands),
        (f"click acknowledged, Slack {DELAY_SECONDS:g} s slow", clicks),
    ]
    launching, removing = restarts()
    rows += [
        ("restart after a kill: launch to loops running", launching),
        ("restart after a kill: loops running to confirmed removal", removing),
    ]
    _print(rows)


def _with_a_slow_slack() -> tuple[list[float], list[float]]:
    with Stage() as stage:
        furnish(stage)
        stage.start_bot()
        return acknowledgements(stage, stage.slack.human("U01ANA"), stage.slack.human("U02BEN"))


def _life(stage: Stage, ana: Human) -> tuple[float, float, float]:
    """Seconds to the acknowledgement, to access, and from its end to its confirmed removal.

    The grant lives a second of real time and ends by the clock alone: nothing wakes the bot.
    """
    stage.advance(MINUTE)  # one person may do only so much in a minute
    asked = time.perf_counter()
    answer = ana.command(ASK)
    grant_id = _wait_live(stage, lambda live: live[0].id if live else None)
    _wait_live(stage, lambda live: live and live[0].confirmed_at)
    active = time.perf_counter() - asked
    _wait_live(stage, lambda live: all(one.id != grant_id for one in live))
    if stage.bot is None:
        raise RuntimeError("the bot is not running")
    with stage.bot.database.reading() as tx:
        ended = grants.get(tx, grant_id)
    if ended.ended_at is None:
        raise RuntimeError("the grant has not ended")
    return answer.latency or 0.0, active, (ended.ended_at - ended.ends_at).total_seconds()


def _break_glass(stage: Stage, cleo: Human) -> float:
    """Seconds from a break-glass to its confirmed access, which is returned afterwards.

    What the bot remembers of PagerDuty is a minute old by then, so that it is asked each time.
    """
    stage.advance(2 * MINUTE)
    asked = time.perf_counter()
    cleo.command(BREAK_GLASS)
    grant_id = _wait_live(stage, lambda live: live[0].id if live else None)
    _wait_live(stage, lambda live: live and live[0].confirmed_at)
    took = time.perf_counter() - asked
    cleo.command(f"/eks-access return {grant_id}")
    _wait_live(stage, lambda live: all(one.id != grant_id for one in live))
    return took


def _decision(stage: Stage, ana: Human, ben: Human) -> float:
    """Seconds from a click on Approve to its acknowledgement; the grant is returned afterwards."""
    stage.advance(MINUTE)  # one person may do only so much in a minute
    before = len(ben.sees("C02PAYMENTS"))
    ana.command(ASK_OWNERS)

    def new_card() -> Message | None:
        seen = ben.sees("C02PAYMENTS")[before:]
        return next((one for one in seen if one.blocks and ": pending" in one.text), None)

    card = stage.slack.wait(new_card, 10)
    if card is None:
        raise RuntimeError("the card did not come")
    clicked = ben.click(card, "approve")
    stage.slack.wait(lambda: ": active" in card.text, 10)
    ana.command(f"/eks-access return {card.text.rpartition('(')[2].rstrip(')')}")
    stage.slack.wait(lambda: ": ended" in card.text, 10)
    return clicked.latency or 0.0


def _bare_removal(stage: Stage) -> float:
    """Seconds that boto3 needs for the calls of one removal, one after the other."""
    client = stage.eks.client("eks")
    key = {"clusterName": CLUSTER, "principalArn": ANA}
    client.create_access_entry(**key)
    client.associate_access_policy(
        **key, policyArn=VIEW, accessScope={"type": "namespace", "namespaces": ["default"]}
    )
    begun = time.perf_counter()
    client.describe_access_entry(**key)
    client.list_associated_access_policies(**key)
    client.delete_access_entry(**key)
    try:
        client.describe_access_entry(**key)
    except client.exceptions.ResourceNotFoundException:
        return time.perf_counter() - begun
    raise RuntimeError("the entry is still there")


def _wait_live(stage: Stage, look: Callable[[tuple[Grant, ...]], object]) -> str:
    """Look at the live grants again and again, tightly: the figure is what is measured."""
    if stage.bot is None:
        raise RuntimeError("the bot is not running")
    deadline = time.perf_counter() + 10
    while time.perf_counter() < deadline:
        with stage.bot.database.reading() as tx:
            found = look(grants.live(tx))
        if found:
            return str(found)
        time.sleep(0.002)
    raise RuntimeError("it did not come to be within 10 s")


def _print(rows: Sequence[tuple[str, list[float]]]) -> None:
    width = max(len(name) for name, _ in rows)
    titles = ("times", "min", "median", "p99", "max")
    head = " ".join(f"{one:>8}" for one in titles)
    sys.stdout.write(f"{'':{width}}  {head}   (ms)\n")
    for name, seconds in rows:
        figures = (min(seconds), statistics.median(seconds), _p99(seconds), max(seconds))
        shown = " ".join(" " * 8 if one is None else f"{one * 1000:8.1f}" for one in figures)
        sys.stdout.write(f"{name:{width}}  {len(seconds):8} {shown}\n")


def _p99(seconds: Sequence[float]) -> float | None:
    """What 99 of 100 stay within; None where there are too few to say it."""
    if len(seconds) < ENOUGH_FOR_P99:
        return None
    return statistics.quantiles(seconds, n=100)[98]


if __name__ == "__main__":
    main()
