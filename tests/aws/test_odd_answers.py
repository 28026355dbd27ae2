"""Answers of AWS that break off or are none: the bot tries again, and says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config

from bot.aws import access_entries, scheduler
from bot.aws.anchor_bucket import AnchorBucket
from bot.aws.clients import EksClients
from bot.core.errors import TemporaryAwsProblem
from bot.core.model import Cluster
from tests.odd_server import ODD_ANSWERS, odd_server

ROLE = "arn:aws:iam::111122223333:role/ana"


@pytest.fixture(params=ODD_ANSWERS.values(), ids=ODD_ANSWERS, autouse=True)
def endpoint(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with odd_server(request.param) as url:
        for name, value in {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "unused",
            "AWS_SECRET_ACCESS_KEY": "unused",
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_MAX_ATTEMPTS": "1",
        }.items():
            monkeypatch.setenv(name, value)
        yield url


@pytest.fixture
def make_client() -> Callable[[str], Any]:
    """A client of AWS that tries once, so that no test sleeps through botocore's pauses."""
    once = Config(retries={"mode": "standard", "total_max_attempts": 1})
    return lambda service: boto3.Session().client(service, config=once)


def test_eks_did_not_answer(lab: Cluster, make_client: Callable[[str], Any]) -> None:
    client = make_client("eks")
    with pytest.raises(TemporaryAwsProblem):
        access_entries.observe(client, lab, ROLE)
    with pytest.raises(TemporaryAwsProblem):
        access_entries.principals(client, lab)


def test_sts_did_not_answer(lab: Cluster) -> None:
    with pytest.raises(TemporaryAwsProblem):
        EksClients().for_cluster(lab)


def test_the_scheduler_did_not_answer(lab: Cluster, make_client: Callable[[str], Any]) -> None:
    client = make_client("scheduler")
    with pytest.raises(TemporaryAwsProblem):
        scheduler.observe(client, lab, "group", "name")
    with pytest.raises(TemporaryAwsProblem):
        scheduler.names(client, lab, "group", "")


def test_s3_did_not_list_what_is_in_the_audit_bucket() -> None:
    bucket = AnchorBucket("audit", mode="GOVERNANCE", keep=timedelta(days=1))
    with pytest.raises(TemporaryAwsProblem):
        list(bucket.anchors("acme"))
