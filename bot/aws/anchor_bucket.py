"""Anchors of the audit trail in S3, under an object lock: nobody removes one before its time.

An anchor's key holds all it says, `DEPLOYMENT/POSITION-HASH.txt`, so listing reads them all. Every
version of every object counts: a lock protects versions, and a delete marker only hides them.
Source: Amazon S3 User Guide, "Locking objects with Object Lock".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Literal

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from bot.aws.errors import NO_ANSWER
from bot.core.audit_anchors import line
from bot.core.audit_chain import Head
from bot.core.audit_findings import Anchor
from bot.core.errors import TemporaryAwsProblem

LockMode = Literal["COMPLIANCE", "GOVERNANCE"]

_KEY = re.compile(r"/([0-9]{12,18})-([0-9a-f]{64})\.txt$")
"""More digits than fit into the store's positions are no anchor of the bot's."""

_CONFIG = Config(
    # The bot waits for the last one as it stops, and has some 30 seconds for that.
    retries={"mode": "standard", "total_max_attempts": 2},
    connect_timeout=3,
    read_timeout=5,
    user_agent_extra="eks-access",
)


class AnchorBucket:
    """The bucket `name`, which has Object Lock. Each anchor is kept for `keep`, under `mode`."""

    def __init__(self, name: str, *, mode: LockMode, keep: timedelta) -> None:
        self.name = name
        self._mode = mode
        self._keep = keep
        self._made: Any = None

    def put(self, deployment: str, head: Head, now: datetime) -> None:
        """Write the head down. Raises TemporaryAwsProblem where S3 does not take it."""
        with self._translated("put into"):
            self._client().put_object(
                Bucket=self.name,
                Key=f"{deployment}/{head.position:012d}-{head.hash}.txt",
                Body=f"{line(head, deployment)}\n".encode(),
                ContentType="text/plain",
                ObjectLockMode=self._mode,
                ObjectLockRetainUntilDate=now + self._keep,
            )

    def anchors(self, deployment: str, *, after: int = -1) -> Iterator[Anchor]:
        """The anchors of a deployment, or those behind a position.

        Raises TemporaryAwsProblem where S3 does not answer.
        """
        asked = {"Bucket": self.name, "Prefix": f"{deployment}/"}
        if after >= 0:
            # Behind every key of that position: keys are sorted as their bytes are.
            asked["KeyMarker"] = f"{deployment}/{after:012d}~"
        with self._translated("list what is in"):
            pages = self._client().get_paginator("list_object_versions")
            for page in pages.paginate(**asked):
                for version in page.get("Versions", ()):
                    key = version["Key"]
                    said = _KEY.search(key)
                    if said is not None:
                        source = f"s3://{self.name}/{key}"
                        at = version["LastModified"]
                        yield Anchor(int(said[1]), said[2], source, deployment, at, fixed=True)

    def _client(self) -> Any:
        if self._made is None:
            self._made = boto3.Session().client("s3", config=_CONFIG)
        return self._made

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (ClientError, *NO_ANSWER) as error:
            code = type(error).__name__
            if isinstance(error, ClientError):
                code = error.response["Error"]["Code"]
            raise TemporaryAwsProblem(
                "anchor_bucket",
                f"The bot could not {doing} the audit bucket {self.name} ({code}). docs/audit.md "
                "tells how it is set up, and deploy/iam-policy.json what the bot may do there.",
            ) from error
