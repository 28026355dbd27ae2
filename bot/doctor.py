"""Whether a set-up can work: the database, the policy file, Slack, other services, each cluster.

Everything is asked of the real thing and nothing is changed. Each answer is a `Result` with the
remedy beside it, so that the operator reads one line and knows what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from bot import doctor_people, doctor_roles, doctor_services, doctor_slack
from bot.aws import access_entries, scheduler
from bot.aws.clients import EksClients
from bot.aws.errors import no_entries, translated
from bot.core import backstop
from bot.core.drift import Kind
from bot.core.errors import AwsProblem, StoreUnavailable
from bot.core.model import BackstopTerms, Cluster
from bot.core.policy import Policy
from bot.doctor_result import Result, Status, count, one_line
from bot.logs import cause_without_secrets
from bot.policy_file import PolicyError, load_policy, size_of
from bot.settings import Settings
from bot.store import drift, migrate
from bot.store.database import Database
from bot.store.faults import TOLD_BY_THE_DRIVER
from bot.store.pooler import ensure_own_sessions

if TYPE_CHECKING:
    from mypy_boto3_eks.client import EKSClient
    from mypy_boto3_eks.type_defs import ClusterTypeDef

_CLUSTERS_AT_ONCE = 8
_WITHOUT_ENTRIES = "CONFIG_MAP"


def examine(settings: Settings, began: Callable[[str], None]) -> Iterator[Result]:
    """Make every check that can be made. `began` is told each one's name, from any thread."""
    began("database")
    yield _database(settings)
    began("policy file")
    policy, result = _policy(settings.config)
    yield result
    began("slack")
    yield doctor_slack.connection(settings)
    slack, result = doctor_slack.bot_token(settings, policy)
    yield result
    yield from doctor_services.answers(settings, policy, began)
    if policy is None:
        return
    if slack is not None:
        yield from doctor_slack.channels(slack, policy, began)
        yield from doctor_people.results(slack, policy, began)
    clients = EksClients()
    yield from _clusters(clients, policy, began)
    yield from doctor_roles.results(clients, policy, began)


def _database(settings: Settings) -> Result:
    database = Database(settings.database_url.get_secret_value())
    file = database.engine.url.database
    try:
        if database.is_sqlite and file is not None and not Path(file).exists():
            return Result("database", Status.NOTE, f"`eks-access run` will make {database.place}.")
        ensure_own_sessions(database)
        problems = migrate.check(database)
        strange = 0 if problems else _of_another_store(database)
    except StoreUnavailable as error:
        cause = cause_without_secrets(error) if error.code in TOLD_BY_THE_DRIVER else ""
        remedy = "Compare DATABASE_URL with where the database is." if cause else ""
        return Result("database", Status.FINDING, one_line(f"{error.sentence} {cause}"), remedy)
    finally:
        database.close()
    if problems:
        return Result("database", Status.FINDING, " ".join(problems))
    if strange:
        entries = count(strange, "access entry", "access entries")
        return Result(
            "database",
            Status.FINDING,
            f"The bot found {entries} of this deployment made from another database than "
            f"{database.place}.",
            "`eks-access adopt` lists them and says what to do.",
        )
    kind = "SQLite, for one process" if database.is_sqlite else "PostgreSQL"
    return Result("database", Status.OK, f"{database.place}: {kind}, at revision {migrate.head()}.")


def _of_another_store(database: Database) -> int:
    with database.reading() as tx:
        return drift.open_by_kind(tx).get(Kind.ANOTHER_STORE, 0)


def _policy(file: Path) -> tuple[Policy | None, Result]:
    try:
        policy = load_policy(file).policy
    except PolicyError as problem:
        first, *rest = problem.findings
        are = "is" if len(rest) == 1 else "are"
        more = f" There {are} {count(len(rest), 'more finding')}." if rest else ""
        return None, Result(
            "policy file",
            Status.FINDING,
            f"{first}{more} The clusters, channels and owners it names were not looked at.",
            f"`eks-access policy check {file}` lists everything.",
        )
    message = f"{file} has no errors: {size_of(policy)}."
    return policy, Result("policy file", Status.OK, message)


def _clusters(
    clients: EksClients, policy: Policy, began: Callable[[str], None]
) -> Iterator[Result]:
    def look(cluster: Cluster) -> list[Result]:
        began(f"cluster {cluster.name}")
        found = [_cluster(clients, cluster)]
        if cluster.backstop is not None:
            found.append(_backstop(clients, cluster, cluster.backstop, policy.deployment))
        return found

    with ThreadPoolExecutor(_CLUSTERS_AT_ONCE) as pool:
        for results in pool.map(look, policy.clusters_by_name.values()):
            yield from results


def _cluster(clients: EksClients, cluster: Cluster) -> Result:
    check = f"cluster {cluster.name}"
    try:
        client = clients.for_cluster(cluster)
        described = _describe(client, cluster)
        held = len(access_entries.principals(client, cluster))
    except AwsProblem as problem:
        said = cause_without_secrets(problem) if problem.code == "access_denied" else ""
        return Result(check, Status.FINDING, one_line(f"{problem.sentence} {said}"))
    message = f"It has {count(held, 'access entry', 'access entries')}"
    if described is None:
        return Result(
            check,
            Status.NOTE,
            f"{message}; its mode was not checked.",
            "Allow eks:DescribeCluster to have it checked; the bot works without.",
        )
    mode = described.get("accessConfig", {}).get("authenticationMode", "not told")
    if mode == _WITHOUT_ENTRIES:  # whatever the listing answered
        return Result(check, Status.FINDING, one_line(no_entries(cluster).sentence))
    return Result(check, Status.OK, f"{message}, in authentication mode {mode}.")


def _backstop(
    clients: EksClients, cluster: Cluster, terms: BackstopTerms, deployment: str
) -> Result:
    check = f"backstop of {cluster.name}"
    try:
        client = clients.scheduler_for(cluster)
        beginning = backstop.prefix(deployment, cluster.name)
        number = len(scheduler.names(client, cluster, terms.group, beginning))
    except AwsProblem as problem:
        said = cause_without_secrets(problem) if problem.code == "backstop_denied" else ""
        return Result(check, Status.FINDING, one_line(f"{problem.sentence} {said}"))
    return Result(
        check,
        Status.OK,
        f"Schedule group `{terms.group}` has {count(number, 'schedule', 'schedules')} for it. "
        "Whether its role can be assumed shows with the first grant.",
    )


def _describe(client: EKSClient, cluster: Cluster) -> ClusterTypeDef | None:
    """The cluster, or None where the bot may not describe it. Raises AwsProblem."""
    try:
        with translated(cluster, "", "describe the cluster"):
            return client.describe_cluster(name=cluster.name)["cluster"]
    except AwsProblem as problem:
        if problem.code == "access_denied":
            return None
        raise
