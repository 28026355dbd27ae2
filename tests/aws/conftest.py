"""The local EKS, started once; the environment of a bot that uses it for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.aws.clients import EksClients
from bot.core.model import Cluster
from bot.sandbox.eks import EksStandIn

ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"


@pytest.fixture(scope="session")
def local_eks() -> Iterator[EksStandIn]:
    with EksStandIn(account=ACCOUNT) as eks:
        yield eks


@pytest.fixture
def eks(local_eks: EksStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[EksStandIn]:
    """An EKS with a cluster `lab` here and `prod` in another account, and nothing on them."""
    local_eks.reset()
    local_eks.create_cluster("lab", "eu-west-1")
    local_eks.create_cluster("prod", "eu-central-1", OTHER_ACCOUNT)
    for name, value in local_eks.environment().items():
        monkeypatch.setenv(name, value)
    # The region of a call is the cluster's, not the environment's.
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    yield local_eks
    local_eks.faults.clear()


@pytest.fixture
def lab() -> Cluster:
    return Cluster("lab", "eu-west-1", ACCOUNT)


@pytest.fixture
def prod() -> Cluster:
    """A cluster of another account, reached by a role there."""
    role = f"arn:aws:iam::{OTHER_ACCOUNT}:role/eks-access-bot"
    return Cluster("prod", "eu-central-1", OTHER_ACCOUNT, role)


@pytest.fixture
def clients(eks: EksStandIn) -> EksClients:
    """Clients as the bot makes them, in an environment that leads to the local EKS."""
    assert eks.endpoint_url
    return EksClients()
