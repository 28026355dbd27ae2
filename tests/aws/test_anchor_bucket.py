"""Anchors in a bucket with Object Lock: written under a lock, and all versions read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer

from bot.aws.anchor_bucket import AnchorBucket
from bot.core.audit_anchors import anchors_in
from bot.core.audit_chain import Head
from bot.core.errors import TemporaryAwsProblem

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
YEAR = timedelta(days=365)
HEAD = Head(1234, "ab" * 32)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a local S3."""
    local = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    local.start()
    host, port = local.get_host_and_port()
    yield f"http://{host}:{port}"
    local.stop()


@pytest.fixture
def environment(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that leads to the local S3."""
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def s3(environment: None, name: str):
    """A client of the local S3, with an empty bucket."""
    del environment  # it only has to be set
    client = boto3.Session().client("s3")
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return client


@pytest.fixture
def name() -> str:
    """A bucket's name that no other test has."""
    return f"audit-{uuid4()}"


def bucket(name: str, mode: str = "COMPLIANCE") -> AnchorBucket:
    return AnchorBucket(name, mode=mode, keep=YEAR)


def test_an_anchor_is_read_back_from_its_key(s3, name) -> None:
    bucket(name).put("acme-prod", HEAD, NOW)
    (anchor,) = bucket(name).anchors("acme-prod")
    assert (anchor.position, anchor.hash, anchor.deployment) == (*HEAD, "acme-prod")
    key = f"acme-prod/000000001234-{HEAD.hash}.txt"
    assert anchor.source == f"s3://{name}/{key}"
    body = s3.get_object(Bucket=name, Key=key)["Body"].read().decode()
    (said,) = anchors_in(body.splitlines(), "its text")
    assert (said.position, said.hash, said.deployment) == (*HEAD, "acme-prod")


@pytest.mark.parametrize("mode", ["COMPLIANCE", "GOVERNANCE"])
def test_an_anchor_is_locked_until_its_time(s3, name, mode) -> None:
    bucket(name, mode).put("acme-prod", HEAD, NOW)
    (version,) = s3.list_object_versions(Bucket=name)["Versions"]
    held = s3.head_object(Bucket=name, Key=version["Key"])
    assert held["ObjectLockMode"] == mode
    assert held["ObjectLockRetainUntilDate"] == NOW + YEAR
    with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=name, Key=version["Key"], VersionId=version["VersionId"])


def test_what_is_hidden_by_a_delete_marker_or_a_newer_version_still_counts(s3, name) -> None:
    bucket(name).put("acme-prod", HEAD, NOW)
    (version,) = s3.list_object_versions(Bucket=name)["Versions"]
    s3.delete_object(Bucket=name, Key=version["Key"])
    assert "Contents" not in s3.list_objects_v2(Bucket=name)
    assert [one.hash for one in bucket(name).anchors("acme-prod")] == [HEAD.hash]


def test_only_anchors_of_the_deployment_are_read(s3, name) -> None:
    bucket(name).put("acme-prod", HEAD, NOW)
    bucket(name).put("acme-prod-2", Head(5, "cd" * 32), NOW)
    s3.put_object(Bucket=name, Key="acme-prod/README.txt", Body=b"no anchor")
    far = f"acme-prod/{'9' * 30}-{HEAD.hash}.txt"  # further than any position can be
    s3.put_object(Bucket=name, Key=far, Body=b"no anchor")
    assert [one.position for one in bucket(name).anchors("acme-prod")] == [1234]


@pytest.mark.usefixtures("environment")
def test_a_bucket_that_is_not_there_is_told_with_the_remedy() -> None:
    with pytest.raises(TemporaryAwsProblem) as put:
        bucket("elsewhere").put("acme-prod", HEAD, NOW)
    assert "could not put into the audit bucket elsewhere (NoSuchBucket)" in put.value.sentence
    assert "docs/audit.md" in put.value.sentence
    with pytest.raises(TemporaryAwsProblem, match="could not list what is in"):
        list(bucket("elsewhere").anchors("acme-prod"))


@pytest.mark.usefixtures("environment")
def test_an_s3_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(TemporaryAwsProblem, match="EndpointConnectionError"):
        bucket("any").put("acme-prod", HEAD, NOW)
