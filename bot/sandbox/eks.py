"""A local Amazon EKS: moto over HTTP, with access entries, for trying the bot and testing it.

    with EksStandIn(account="111122223333") as eks:
        eks.create_cluster("modern-access-lab", region="eu-west-1")
        … point AWS_ENDPOINT_URL at eks.endpoint_url, or use eks.environment() …
        eks.entries("modern-access-lab", region="eu-west-1")

Accounts: whoever calls with keys that moto did not issue is in `account`. Keys from STS
AssumeRole belong to the account of the role that was assumed, which need not exist; so a bot
whose cluster names a role in another account lands there by itself, and so does `client()`.

Each stand-in has an EKS of its own, and an EventBridge Scheduler that fires. The other AWS services
(STS, IAM, …) are moto's and shared by all stand-ins of a process.

Rules and messages, with their sources and what is unconfirmed, are in `eks_rules`; faults and
the form of a recorded call in `eks_faults`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import boto3

from bot.sandbox.eks_faults import Call, Faults

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from bot.sandbox.eks_backend import AccessEntryBackend
    from bot.sandbox.eks_models import AccessEntry
    from bot.sandbox.local_iam import Permit
    from bot.sandbox.scheduler import LocalScheduler

DEFAULT_ACCOUNT = "123456789012"
DEFAULT_REGION = "eu-west-1"


@dataclass(frozen=True, slots=True)
class Association:
    """An access policy on an entry. No `namespaces` means the whole cluster."""

    policy_arn: str
    namespaces: tuple[str, ...]
    associated_at: datetime
    modified_at: datetime

    @property
    def policy(self) -> str:
        """The policy's name, such as AmazonEKSViewPolicy."""
        return self.policy_arn.rpartition("/")[2]

    @property
    def scope(self) -> str:
        """`cluster` or `namespace`."""
        return "namespace" if self.namespaces else "cluster"


@dataclass(frozen=True, slots=True)
class Entry:
    """An access entry as EKS really holds it, whatever faults make callers see.

    `dead` is true where moto's IAM knew the principal when the entry was made and does not now,
    or knows another one under its name. EKS answers 401 to that one, and nothing in
    DescribeAccessEntry tells.
    """

    cluster: str
    region: str
    account: str
    principal_arn: str
    type: str
    username: str
    kubernetes_groups: tuple[str, ...]
    tags: Mapping[str, str]
    arn: str
    created_at: datetime
    modified_at: datetime
    associations: tuple[Association, ...]
    dead: bool


def utc_now() -> datetime:
    """The clock where no other is given."""
    return datetime.now(UTC)


class EksStandIn:
    """An EKS on 127.0.0.1, with the faults that are asked of it and a record of its calls.

    `account` is the account of callers with unknown keys; `port` 0 takes any that is free.
    `clock` gives aware UTC. `access_entries_per_cluster` is EKS's quota.
    `require_existing_principals` makes CreateAccessEntry refuse what moto's IAM does not know.
    `honour_client_tokens` decides what a CreateAccessEntry repeated with its token answers: the
    entry it made, or 409; EKS's answer is undocumented. [?]
    """

    def __init__(
        self,
        *,
        account: str = DEFAULT_ACCOUNT,
        port: int = 0,
        clock: Callable[[], datetime] = utc_now,
        access_entries_per_cluster: int = 3000,
        require_existing_principals: bool = False,
        honour_client_tokens: bool = True,
    ) -> None:
        # moto takes a third of a second to import, which only a stand-in that runs shall cost.
        from bot.sandbox.eks_server import EksServer  # noqa: PLC0415

        self.account = account
        self._server = EksServer(
            account=account,
            port=port,
            clock=clock,
            backend_options={
                "access_entries_per_cluster": access_entries_per_cluster,
                "require_existing_principals": require_existing_principals,
                "honour_client_tokens": honour_client_tokens,
            },
        )
        self._server.on_call = self._tell
        self._subscribers: list[Callable[[Call], None]] = []
        self._sessions: dict[str, boto3.Session] = {}
        self._sessions_lock = threading.Lock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Answer from now on."""
        self._server.start()

    def stop(self) -> None:
        """Close connections that a fault holds open, and the server."""
        self._server.stop()

    def reset(self) -> None:
        """Forget this EKS's clusters, entries, faults and calls; the endpoint and keys stay."""
        self._server.reset()

    @property
    def endpoint_url(self) -> str:
        """The base URL of all AWS services here: `http://127.0.0.1:PORT`."""
        return self._server.endpoint_url

    @property
    def application(self) -> WSGIApplication:
        """What serves the endpoint, for a caller in this process that needs no socket.

        A dropped connection is a ConnectionAbortedError, after a call of `shutdown` on the
        request's `werkzeug.socket`.
        """
        return self._server

    @property
    def faults(self) -> Faults:
        """The faults to meet calls to come."""
        return self._server.faults

    def permit(self, permit: Permit) -> None:
        """Let `permit` say who may do what at EKS, and who may assume which role. Else anybody may.

        It is asked in a server thread and must not call over HTTP.
        """
        self._server.permit = permit

    @property
    def scheduler(self) -> LocalScheduler:
        """The schedules that are held, what came of them, and the hand of who sets them up."""
        return self._server.scheduler

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every call received so far, oldest first."""
        with self._server.changed:
            return tuple(self._server.calls)

    def calls_of(
        self, *operations: str, cluster: str | None = None, principal: str | None = None
    ) -> list[Call]:
        """The calls of these operations (none: all), narrowed to a cluster and a principal."""
        return [
            call
            for call in self.calls
            if (not operations or call.operation in operations)
            and cluster in {None, call.cluster}
            and principal in {None, call.principal}
        ]

    def writes(self) -> list[Call]:
        """The calls that ask EKS for a change."""
        reads = ("Describe", "List")
        return [
            call
            for call in self.calls
            if not call.operation.startswith(reads) and "Schedule" not in call.operation
        ]

    def wait_for(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Wait until `predicate` holds; it is tried again whenever a call comes or is answered.

        Returns what it last gave. It runs while nothing changes, and must not call over HTTP.
        """
        with self._server.changed:
            return self._server.changed.wait_for(predicate, timeout)

    def subscribe(self, told: Callable[[Call], None]) -> Callable[[], None]:
        """Have `told` called, in a server thread, after each call that was carried out.

        Returns what ends it. `told` must be quick and must not raise.
        """
        self._subscribers.append(told)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._subscribers.remove(told)

        return unsubscribe

    def backend(
        self, region: str = DEFAULT_REGION, account: str | None = None
    ) -> AccessEntryBackend:
        """The EKS of one account and region, for changes by somebody else's hand.

        What is called on it follows EKS's rules, is no recorded call, and meets no fault.
        """
        return self._server.backend(account or self.account, region)

    def create_cluster(
        self,
        name: str,
        region: str = DEFAULT_REGION,
        account: str | None = None,
        authentication_mode: str = "API",
        creator: str | None = None,
    ) -> None:
        """Make a cluster. A `creator` (principal ARN) gets its ClusterAdmin entry, as in EKS.

        `authentication_mode` is API, API_AND_CONFIG_MAP or CONFIG_MAP. Raises ValueError where
        there is one of that name.
        """
        with self._server.changed:
            backend = self._server.backend(account or self.account, region)
            backend.add_cluster(name, authentication_mode, creator)
            self._server.changed.notify_all()

    def delete_cluster(
        self, name: str, region: str = DEFAULT_REGION, account: str | None = None
    ) -> None:
        """Take a cluster away, with its entries."""
        with self._server.changed:
            self._server.backend(account or self.account, region).delete_cluster(name)
            self._server.changed.notify_all()

    def put_entry(
        self,
        cluster: str,
        principal_arn: str,
        region: str = DEFAULT_REGION,
        account: str | None = None,
        *,
        type: str = "STANDARD",  # noqa: A002 (EKS's own word)
        kubernetes_groups: Iterable[str] = (),
        tags: Mapping[str, str] | None = None,
        policies: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        """Make an entry by somebody else's hand, under EKS's rules, without a recorded call.

        `policies` maps a policy's name to namespaces; none of them means the whole cluster.
        """
        with self._server.changed:
            backend = self._server.backend(account or self.account, region)
            backend.create_access_entry(
                cluster,
                principal_arn,
                kubernetes_groups=list(kubernetes_groups),
                tags=dict(tags or {}),
                type_=type,
            )
            for policy, names in (policies or {}).items():
                namespaces = list(names)
                backend.associate_access_policy(
                    cluster,
                    principal_arn,
                    f"arn:{backend.partition}:eks::aws:cluster-access-policy/{policy}",
                    {"type": "namespace" if namespaces else "cluster", "namespaces": namespaces},
                )
            self._server.changed.notify_all()

    def authentication_mode(
        self, cluster: str, region: str = DEFAULT_REGION, account: str | None = None
    ) -> str | None:
        """The cluster's authentication mode, or None where there is no such cluster."""
        with self._server.changed:
            config = self._server.backend(account or self.account, region).access_configs.get(
                cluster
            )
            return config.authentication_mode if config is not None else None

    def entries(
        self, cluster: str, region: str = DEFAULT_REGION, account: str | None = None
    ) -> tuple[Entry, ...]:
        """What the cluster really holds now, by principal.

        Empty where there is no such cluster, or it is in CONFIG_MAP mode and no entry counts.
        """
        with self._server.changed:
            backend = self._server.backend(account or self.account, region)
            config = backend.access_configs.get(cluster)
            if config is None or config.authentication_mode == "CONFIG_MAP":
                return ()
            held = backend.access_entries[cluster]
            return tuple(_entry(backend, held[arn]) for arn in sorted(held))

    def entry(
        self,
        cluster: str,
        principal_arn: str,
        region: str = DEFAULT_REGION,
        account: str | None = None,
    ) -> Entry | None:
        """The principal's entry as the cluster really holds it, or None."""
        held = self.entries(cluster, region, account)
        return next((entry for entry in held if entry.principal_arn == principal_arn), None)

    def all_entries(self) -> Iterator[Entry]:
        """What every cluster in every account and region really holds now."""
        with self._server.changed:
            where = [
                (cluster, backend.region_name, backend.account_id)
                for backend in self._server.touched()
                for cluster in backend.clusters
            ]
        for cluster, region, account in where:
            yield from self.entries(cluster, region, account)

    def credentials(
        self, account: str | None = None, role: str = "sandbox", session_name: str = "sandbox"
    ) -> dict[str, str]:
        """Keys of a session of `role` in `account`, named as boto3's Session takes them."""
        return self._server.assume(
            f"arn:aws:iam::{account or self.account}:role/{role}", session_name
        )

    def environment(
        self, account: str | None = None, region: str = DEFAULT_REGION
    ) -> dict[str, str]:
        """Variables that point the AWS CLI or a bot here, as somebody in `account`."""
        keys = {name.upper(): value for name, value in self.credentials(account).items()}
        return {
            **keys,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(
        self, service: str, region: str = DEFAULT_REGION, account: str | None = None, **options: Any
    ) -> Any:
        """A boto3 client of this endpoint, as a session named `sandbox` in `account`."""
        account = account or self.account
        with self._sessions_lock:
            if account not in self._sessions:
                keys: dict[str, Any] = {**self.credentials(account)}
                self._sessions[account] = boto3.Session(**keys)
            session: Any = self._sessions[account]
            return session.client(
                service, region_name=region, endpoint_url=self.endpoint_url, **options
            )

    def _tell(self, call: Call) -> None:
        for told in list(self._subscribers):
            told(call)


def _entry(backend: AccessEntryBackend, entry: AccessEntry) -> Entry:
    return Entry(
        cluster=entry.cluster_name,
        region=backend.region_name,
        account=backend.account_id,
        principal_arn=entry.principal_arn,
        type=entry.type,
        username=entry.username,
        kubernetes_groups=tuple(entry.kubernetes_groups),
        tags=dict(entry.tags),
        arn=entry.access_entry_arn,
        created_at=entry.created_at,
        modified_at=entry.modified_at,
        associations=tuple(
            Association(
                policy_arn=association.policy_arn,
                namespaces=tuple(association.access_scope["namespaces"]),
                associated_at=association.associated_at,
                modified_at=association.modified_at,
            )
            for _, association in sorted(entry.associated_access_policies.items())
        ),
        dead=backend.is_dead(entry),
    )
