"""The local EKS and the real clients for it, started once; a store and a loop for each test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "access"))
sys.path.insert(0, str(Path(__file__).parent))

from backstop_world import BackstopWorld
from desk import Desk
from entry_world import ACCOUNT, LAB, OLD, OPEN, POLICY, World
from message_world import MessageWorld, furnish

from bot.aws.clients import EksClients
from bot.core.policy import Policy
from bot.sandbox.eks import EksStandIn
from bot.sandbox.slack_server import SlackWorkspace
from bot.store.database import Database


@pytest.fixture
def database_kind() -> str:
    """SQLite, except where a test asks for both kinds by parametrising this."""
    return "sqlite"


@pytest.fixture(scope="session")
def local_eks() -> Iterator[EksStandIn]:
    with EksStandIn(account=ACCOUNT) as eks:
        yield eks


@pytest.fixture(scope="session")
def clients(local_eks: EksStandIn) -> EksClients:
    """The bot's clients, without the repetitions botocore makes by itself.

    So each failure reaches the loop, and no test sleeps through botocore's pauses. That the
    clients do repeat calls is a test of its own.
    """
    made = EksClients()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in local_eks.environment().items():
            environment.setenv(name, value)
        client = made.for_cluster(POLICY.clusters_by_name[LAB])
        scheduler = made.scheduler_for(POLICY.clusters_by_name[LAB])
    client.meta.events.unregister("needs-retry.eks", unique_id="retry-config-eks")
    scheduler.meta.events.unregister("needs-retry.scheduler", unique_id="retry-config-scheduler")
    return made


@pytest.fixture
def eks(local_eks: EksStandIn) -> Iterator[EksStandIn]:
    """An EKS with empty clusters: `lab`, `open` (standing: augment) and `old` (CONFIG_MAP)."""
    local_eks.reset()
    local_eks.create_cluster(LAB)
    local_eks.create_cluster(OPEN)
    local_eks.create_cluster(OLD, authentication_mode="CONFIG_MAP")
    yield local_eks
    local_eks.faults.clear()


@pytest.fixture
def world(database: Database, eks: EksStandIn, clients: EksClients) -> World:
    return World(database, eks, clients)


@pytest.fixture
def backed(database: Database, eks: EksStandIn, clients: EksClients) -> BackstopWorld:
    """The world with a backstop."""
    return BackstopWorld(database, eks, clients)


@pytest.fixture
def make_world(
    database: Database, eks: EksStandIn, clients: EksClients
) -> Callable[[Policy], World]:
    return lambda policy: World(database, eks, clients, policy)


@pytest.fixture
def messages(database: Database) -> Iterator[MessageWorld]:
    """The message loop between a store and a local Slack workspace."""
    desk = Desk(database)
    with SlackWorkspace(clock=desk.clock) as slack:
        furnish(slack)
        yield MessageWorld(desk, slack)
        assert slack.rejections == [], "Slack would reject what was sent"
