"""Clients of EKS and of what the bot uses beside it, made once for an account and region.

Measured (facts of the platform): the first client costs some 80 ms and 12 MB, a further one of the
same session 3 ms. Clients are safe to share between threads; making them is not, hence the lock.

A cluster's name says nothing of its account: credentials of another one, with a cluster of that
name in it, would give access there, and read what still stands here as gone. So before the bot's
own credentials reach a cluster, STS has said whose they are. A role to assume has its account in
its ARN, which is held against the cluster's when the policy is read.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
from aws_assume_role_lib import aws_assume_role_lib
from botocore.config import Config
from botocore.session import get_session

from bot.aws.errors import WRONG_ACCOUNT, translated
from bot.core.errors import TemporaryAwsProblem
from bot.core.model import Cluster

if TYPE_CHECKING:
    from mypy_boto3_eks.client import EKSClient

MAX_CONNECTIONS = 32

# The longest one call can take: three times (5 + 10) s and the pauses between.
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=5,
    read_timeout=10,
    max_pool_connections=MAX_CONNECTIONS,
    user_agent_extra="eks-access",
)
# botocore refreshes within 15 minutes of the end, so a session of 15 minutes would be assumed
# anew on every call; chained roles are capped at an hour.
_ASSUMED_FOR = timedelta(hours=1)


SESSION_NAME = "eks-access"
"""How the bot's sessions are called in CloudTrail."""


class EksClients:
    """Clients by cluster, under the cluster's role where it names one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str | None, boto3.Session] = {}
        self._clients: dict[tuple[str, str | None, str], Any] = {}
        self._own_account: str | None = None

    def for_cluster(self, cluster: Cluster) -> EKSClient:
        """The EKS client that reaches the cluster.

        Raises AwsProblem where there is nothing to make one with (no credentials, no such profile),
        and where they are not known to be of the cluster's account.
        """
        self._ensure_account(cluster)
        client: EKSClient = self._client("eks", cluster)
        return client

    def scheduler_for(self, cluster: Cluster) -> Any:
        """The client of EventBridge Scheduler in the cluster's account and region.

        Raises AwsProblem as above.
        """
        self._ensure_account(cluster)
        return self._client("scheduler", cluster)

    def iam_for(self, cluster: Cluster) -> Any:
        """The client of IAM in the cluster's account. Raises AwsProblem as above."""
        self._ensure_account(cluster)
        return self._client("iam", cluster)

    def _ensure_account(self, cluster: Cluster) -> None:
        """Raise AwsProblem unless the cluster's account is the one that the client will act in.

        Only what does not fit is asked about again. STS is asked outside the lock, so that no other
        thread waits while it is mute.
        """
        if cluster.assume_role is not None or self._own_account == cluster.account:
            return
        self._own_account = self._account_reached(cluster)
        _ensure_same(self._own_account, cluster)

    def prove_account(self, cluster: Cluster) -> None:
        """Have STS say again which account the way to the cluster leads to.

        Raises AwsProblem where it does not, or where that is not the cluster's.
        """
        _ensure_same(self._account_reached(cluster), cluster)

    def _account_reached(self, cluster: Cluster) -> str:
        sts = self._client("sts", cluster)
        with translated(cluster, "", "ask STS whose its credentials are"):
            return str(sts.get_caller_identity()["Account"])

    def _client(self, service: str, cluster: Cluster) -> Any:
        key = (service, cluster.assume_role, cluster.region)
        with self._lock, translated(cluster, "", "make a client"):
            client = self._clients.get(key)
            if client is None:
                make: Any = self._session(cluster).client
                client = self._clients[key] = make(
                    service, region_name=cluster.region, config=_CONFIG
                )
            return client

    def _session(self, cluster: Cluster) -> boto3.Session:
        role = cluster.assume_role
        session = self._sessions.get(role)
        if session is None:
            # This session also makes, out of sight, the clients that ask STS for credentials.
            core = get_session()
            core.set_default_client_config(_CONFIG)
            # STS is asked in a region too, and the environment need not name one.
            session = boto3.Session(botocore_session=core, region_name=cluster.region)
            if role is not None:
                session = aws_assume_role_lib.assume_role(
                    session,
                    role,
                    RoleSessionName=SESSION_NAME,
                    DurationSeconds=_ASSUMED_FOR,
                    validate=False,
                )
            self._sessions[role] = session
        return session


def _ensure_same(account: str, cluster: Cluster) -> None:
    if account != cluster.account:
        raise TemporaryAwsProblem(
            WRONG_ACCOUNT,
            f"{cluster.name} is in account {cluster.account}, and the bot's AWS credentials "
            f"are of account {account}, so it can neither give nor end access there. Whoever "
            f"runs the bot gives it a role of {cluster.account}, or names one as "
            "`assume_role`.",
        )
