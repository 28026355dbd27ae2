"""A thousand grants that end in the same second: `python -m bench.many_ends [DATABASE_URL]`.

20 clusters and 50 people, each call to AWS 100 ms slow. The bot is a process of its own, with
messages to send and everything else that it does; it is compared with bare boto3 in a process of
its own, which makes the same calls for as many entries with the same number of workers. Time goes
to the last confirmed removal. The bot brings cards up to date after it; that time is said too.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import boto3
from botocore.config import Config
from sqlalchemy import func, select, update

from bench.restart import bot_process
from bot.access.facts import Facts
from bot.access.submit import submit
from bot.core.model import Ask, EndReason, GrantState, Person
from bot.logs import configure_logs
from bot.policy_file import load_policy
from bot.sandbox.eks import EksStandIn
from bot.sandbox.stage import LAB_ACCOUNT, Stage
from bot.store import migrate
from bot.store.database import Database
from bot.store.tables import entries, grants, requests
from bot.wiring import ACCESS_WORKERS

CLUSTERS = 20
PEOPLE = 50
DELAY_SECONDS = 0.1
_PATIENCE_SECONDS = 300
_BEFORE_THE_END = timedelta(seconds=8)
_NAMES = [f"lab-{number:02}" for number in range(CLUSTERS)]
_USERS = [f"U{number:08}" for number in range(PEOPLE)]
_REGION = "eu-west-1"


def main() -> None:
    """Compare once, and print seconds and calls."""
    if sys.argv[1:2] == ["bare"]:
        _bare()
        return
    configure_logs("ERROR")
    url = next(iter(sys.argv[1:]), None)
    with Stage(policy=_policy(), database_url=url) as stage:
        for number, user in enumerate(_USERS):
            stage.slack.add_person(user, f"person.{number}")
        for name in _NAMES:
            stage.eks.create_cluster(name, _REGION, LAB_ACCOUNT)
        bare, bare_calls = _bare_boto3(stage.eks)
        with closing(Database(stage.database_url)) as database:
            bot, told, bot_calls = _bot(stage, database)
    _say("bare boto3", bare, bare_calls)
    _say("the bot", bot, bot_calls)
    sys.stdout.write(f"{'all is told':12}{told:8.1f} s\n")
    sys.stdout.write(f"ratio {bot / bare:.2f}, with {ACCESS_WORKERS} workers\n")


def _policy() -> str:
    clusters = "".join(
        f'  - {{name: {name}, region: {_REGION}, account: "{LAB_ACCOUNT}"}}\n' for name in _NAMES
    )
    principals = "".join(f"    {user}: {_principal(user)}\n" for user in _USERS)
    return f"""
deployment: bench
clusters:
{clusters}
levels: {{view: {{policy: AmazonEKSViewPolicy}}}}
principals:
  users:
{principals}
rules:
  - name: lab
    clusters: ["lab-*"]
    levels: [view]
    namespaces: [default]
    approval: automatic
    max_duration: 8h
"""


def _principal(user: str) -> str:
    return f"arn:aws:iam::{LAB_ACCOUNT}:role/eks-jit/{user}"


def _bare_boto3(eks: EksStandIn) -> tuple[float, Counter[str]]:
    """Seconds and calls of bare boto3, in a process of its own."""
    for name in _NAMES:
        for user in _USERS:
            policies = {"AmazonEKSViewPolicy": ["default"]}
            eks.put_entry(name, f"{_principal(user)}-bare", _REGION, policies=policies)
    before = len(eks.calls)
    eks.faults.delay(DELAY_SECONDS, times=None)
    command = [sys.executable, "-m", "bench.many_ends", "bare"]
    said = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ours
    eks.faults.clear()
    if any(eks.entries(name, _REGION) for name in _NAMES):
        raise RuntimeError("bare boto3 left an entry")
    return float(said.stdout), Counter(one.operation for one in eks.calls[before:])


def _bare() -> None:
    """Look at each entry, delete it, look again; print the seconds."""
    config = Config(max_pool_connections=2 * ACCESS_WORKERS)
    client = boto3.client("eks", region_name=_REGION, config=config)

    def remove(key: tuple[str, str]) -> None:
        which = {"clusterName": key[0], "principalArn": key[1]}
        client.describe_access_entry(**which)
        client.list_associated_access_policies(**which)
        client.delete_access_entry(**which)
        try:
            client.describe_access_entry(**which)
        except client.exceptions.ResourceNotFoundException:
            return
        raise RuntimeError("it is still there")

    keys = [(name, f"{_principal(user)}-bare") for name in _NAMES for user in _USERS]
    begun = time.perf_counter()
    with ThreadPoolExecutor(ACCESS_WORKERS) as pool:
        list(pool.map(remove, keys))
    sys.stdout.write(f"{time.perf_counter() - begun}\n")


def _bot(stage: Stage, database: Database) -> tuple[float, float, Counter[str]]:
    """Seconds from the end of all grants to the last confirmed removal and to the last message.

    And the calls to EKS since.
    """
    migrate.upgrade(database)
    _ask(stage, database)
    with bot_process(stage):
        _wait(lambda: _states(database) == {GrantState.ACTIVE: CLUSTERS * PEOPLE})
        _wait(lambda: not _messages_due(database))
        ends_at = _end_all(database)
        stage.eks.faults.delay(DELAY_SECONDS, times=None)
        before = len(stage.eks.calls)
        _wait(lambda: _states(database) == {GrantState.ENDED: CLUSTERS * PEOPLE})
        calls = Counter(one.operation for one in stage.eks.calls[before:])
        _wait(lambda: not _messages_due(database))
        told = datetime.now(UTC)
    stage.eks.faults.clear()
    if any(stage.eks.entries(name, _REGION) for name in _NAMES):
        raise RuntimeError("the bot left an entry")
    with database.reading() as tx:
        last, expired = tx.execute(
            select(func.max(grants.c.ended_at), func.count()).where(
                grants.c.end_reason == EndReason.EXPIRED.value
            )
        ).one()
    if expired != CLUSTERS * PEOPLE:
        raise RuntimeError(f"only {expired} expired")
    return (last - ends_at).total_seconds(), (told - ends_at).total_seconds(), calls


def _ask(stage: Stage, database: Database) -> None:
    """A request of everybody for every cluster, which no owner has to approve."""
    loaded = load_policy(stage.policy_file)
    team = stage.slack.team.id
    people = {
        user: Person(user, team, user, f"{user}@example.com", email_confirmed=True)
        for user in _USERS
    }
    with database.transaction() as tx:
        for name in _NAMES:
            for user in _USERS:
                now = datetime.now(UTC)
                facts = Facts(loaded.policy, loaded.digest, team, people, {}, now)
                ask = Ask(name, "view", ("default",), timedelta(hours=8), reason="Measuring")
                submit(tx, facts, user, ask)


def _end_all(database: Database) -> datetime:
    """Let all grants end in one second, soon."""
    ends_at = (datetime.now(UTC) + _BEFORE_THE_END).replace(microsecond=0)
    with database.transaction() as tx:
        tx.execute(update(grants).values(ends_at=ends_at))
        tx.execute(update(entries).values(due_at=ends_at))
    return ends_at


def _states(database: Database) -> dict[GrantState, int]:
    with database.reading() as tx:
        found = tx.execute(select(grants.c.state, func.count()).group_by(grants.c.state))
        return {GrantState(state): number for state, number in found}


def _messages_due(database: Database) -> bool:
    soon = datetime.now(UTC) + timedelta(minutes=1)
    with database.reading() as tx:
        due = select(requests.c.id).where(requests.c.messages_due_at < soon).limit(1)
        return tx.execute(due).first() is not None


def _wait(true: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + _PATIENCE_SECONDS
    while not true():
        if time.perf_counter() > deadline:
            raise RuntimeError(f"it did not come to be within {_PATIENCE_SECONDS} s")
        time.sleep(0.2)


def _say(name: str, seconds: float, calls: Counter[str]) -> None:
    made = ", ".join(f"{number:,} {operation}" for operation, number in calls.most_common())
    sys.stdout.write(f"{name:12}{seconds:8.1f} s  {made}\n")


if __name__ == "__main__":
    main()
