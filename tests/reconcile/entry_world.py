"""A store, the local EKS and the access loop between them, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from bot.access import end
from bot.access.extend import extend
from bot.access.facts import Facts
from bot.access.submit import submit
from bot.aws.clients import EksClients
from bot.core.model import Ask, EndReason, Grant, GrantState, Person
from bot.core.planner import DEPLOYMENT_TAG, GRANT_TAG, STORE_TAG
from bot.core.policy import Policy
from bot.reconcile.access import AccessReconciler
from bot.sandbox.eks import EksStandIn, Entry
from bot.sandbox.hand_clock import HandClock
from bot.store import audit, grants, stores, tables
from bot.store.claims import Claims
from bot.store.database import Database

ACCOUNT = "111122223333"
REGION = "eu-west-1"
TEAM = "T01ACME"
DEPLOYMENT = "acme-test"
TERRAFORM = {"managed-by": "terraform"}
LAB, OPEN, OLD, GHOST = "lab", "open", "old", "ghost"
VIEW, EDIT = "AmazonEKSViewPolicy", "AmazonEKSEditPolicy"
ROOT = "AmazonEKSClusterAdminPolicy"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PROPAGATION = timedelta(seconds=30)
UNSETTLED = {GrantState.PROVISIONING, GrantState.REVOKING}

Given = dict[str, tuple[str, ...]]


def automatic(name: str, **where: Any) -> dict[str, Any]:
    levels = {"levels": ["view", "edit"], "namespaces": ["*"]}
    return {
        "name": name,
        "clusters": ["*"],
        "approval": "automatic",
        "max_duration": "8h",
        **(where or levels),
    }


DOCUMENT: dict[str, Any] = {
    "deployment": DEPLOYMENT,
    "clusters": [
        {"name": LAB, "region": REGION, "account": ACCOUNT},
        {"name": OPEN, "region": REGION, "account": ACCOUNT, "standing": "augment"},
        {"name": OLD, "region": REGION, "account": ACCOUNT},
        {"name": GHOST, "region": REGION, "account": ACCOUNT},
    ],
    "levels": {
        "view": {"policy": VIEW},
        "edit": {"policy": EDIT},
        "root": {"policy": ROOT, "scope": "cluster"},
        "deployer": {"kubernetes_groups": ["deployers"], "scope": "cluster"},
        "operator": {"kubernetes_groups": ["operators", "deployers"], "scope": "cluster"},
    },
    "principals": {
        "template": "arn:aws:iam::{account}:role/eks-jit/{email_name}",
        "email_domains": ["example.com"],
    },
    "rules": [
        automatic("namespaces"),
        automatic("clusters", levels=["view", "root", "deployer", "operator"], scope="cluster"),
    ],
}
POLICY = Policy.model_validate(DOCUMENT)


def person(name: str) -> Person:
    return Person(f"U{name.upper()}", TEAM, name, email=f"{name}@example.com", email_confirmed=True)


def role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/eks-jit/{name}"


class World:
    """`policy` is that of the deployment; `clock` stands still until it is moved.

    Unless it is `new`, the store gave access before stores had identities, so entries without one
    may be its own.
    """

    def __init__(
        self,
        database: Database,
        eks: EksStandIn,
        clients: EksClients,
        policy: Policy = POLICY,
        *,
        new: bool = False,
    ) -> None:
        self.database = database
        self.eks = eks
        self.clients = clients
        self.policy = policy
        self.clock = HandClock()
        with database.transaction() as tx:
            stores.ensure_identity(tx)
            if not new:
                stores.adopt(tx, policy.deployment, [""])
        self.bot = self.fresh_bot()

    @property
    def identity(self) -> str:
        with self.database.reading() as tx:
            return stores.owner(tx, self.policy.deployment).store or ""

    def tags(self, grant_id: str) -> dict[str, str]:
        """Those of an entry that the bot made from its store on account of a grant."""
        return {DEPLOYMENT_TAG: DEPLOYMENT, GRANT_TAG: grant_id, STORE_TAG: self.identity}

    def fresh_bot(self, database: Database | None = None) -> AccessReconciler:
        """A loop that knows nothing but the store, as after a restart or in another replica."""
        store = database or self.database
        return AccessReconciler(
            store,
            self.clients,
            Claims(store),
            clock=self.clock,
            repair=lambda: self.policy.drift.repair,
            named=lambda cluster: self.policy.clusters_by_name.get(cluster.name),
        )

    # What people do

    def ask(
        self,
        level: str = "view",
        *namespaces: str,
        who: str = "ana",
        cluster: str = LAB,
        length: timedelta = HOUR,
    ) -> str:
        """Ask for access that a rule gives at once. Returns the grant's id."""
        whole = not namespaces and self.policy.levels[level].scope != "cluster"
        ask = Ask(cluster, level, namespaces, length, reason="a stuck job", whole_cluster=whole)
        facts = Facts(self.policy, "digest", TEAM, {person(who).id: person(who)}, {}, self.clock())
        with self.database.transaction() as tx:
            return submit(tx, facts, person(who).id, ask).id

    def give_back(self, grant_id: str) -> None:
        with self.database.transaction() as tx:
            end.give_back(tx, grant_id, grants.get(tx, grant_id).requester, self.clock())

    def revoke(self, grant_id: str) -> None:
        with self.database.transaction() as tx:
            end.revoke(tx, grant_id, EndReason.REVOKED, "operator", self.clock())

    def extend(self, grant_id: str, by: timedelta = HOUR) -> str:
        """Ask for the same again, as an extension. Returns the id of the new grant."""
        holder = person(self.grant(grant_id).principal_arn.rpartition("/")[2])
        facts = Facts(self.policy, "digest", TEAM, {holder.id: holder}, {}, self.clock())
        with self.database.transaction() as tx:
            return extend(tx, facts, grant_id, by=holder.id, more=by, reason="longer").id

    # What the loop does

    def round(self, bot: AccessReconciler | None = None) -> None:
        """Reconcile each entry that is due now, once."""
        for entry_id in (bot or self.bot).due():
            (bot or self.bot).reconcile(entry_id)

    def settle(self, most: int = 60) -> None:
        """Let rounds pass, and time up to the next one, until no grant waits for anything."""
        for _ in range(most):
            self.round()
            if not self.unsettled():
                return
            self.clock.advance(max(self.next_due() - self.clock(), timedelta()))
        raise AssertionError(f"after {most} rounds there still are {self.unsettled()}")

    def active(self, level: str = "view", *namespaces: str, **more: Any) -> str:
        """Ask, and let the loop give it."""
        grant_id = self.ask(level, *namespaces, **more)
        self.settle()
        assert self.grant(grant_id).state is GrantState.ACTIVE, self.grant(grant_id)
        return grant_id

    def look_again(self, grant_id: str) -> None:
        """Have the grant's entry looked at, as anything that concerns it does."""
        with self.database.transaction() as tx:
            tx.execute(
                tables.entries.update()
                .where(tables.entries.c.id == grants.entry_of(tx, grant_id))
                .values(due_at=self.clock())
            )
        self.settle()

    # What is so

    def grant(self, grant_id: str) -> Grant:
        with self.database.reading() as tx:
            return grants.get(tx, grant_id)

    def state(self, grant_id: str) -> GrantState:
        return self.grant(grant_id).state

    def unsettled(self) -> list[Grant]:
        with self.database.reading() as tx:
            return list(grants.live(tx, states=UNSETTLED))

    def next_due(self) -> datetime:
        with self.database.reading() as tx:
            due = tx.scalar(select(func.min(tables.entries.c.due_at)))
        assert due is not None, "nothing is due, and there is something to do"
        return due

    def actions(self, grant_id: str) -> list[str]:
        with self.database.reading() as tx:
            return [event.action for event in audit.of_request(tx, grant_id)]

    def entry(self, who: str = "ana", cluster: str = LAB) -> Entry | None:
        """The entry as EKS really holds it."""
        return self.eks.entry(cluster, role(who))

    def given(self, who: str = "ana", cluster: str = LAB) -> Given | None:
        """Policy name → namespaces, () for the whole cluster; None where there is no entry."""
        entry = self.entry(who, cluster)
        if entry is None:
            return None
        return {one.policy: tuple(sorted(one.namespaces)) for one in entry.associations}

    def wanted(self, who: str = "ana", cluster: str = LAB) -> tuple[Given, set[str]]:
        """The union of a person's live grants, by counting: policies with namespaces, groups."""
        policies: dict[str, set[str]] = {}
        whole: set[str] = set()
        groups: set[str] = set()
        with self.database.reading() as tx:
            live = grants.live(tx, requester=person(who).id, cluster=cluster)
        for grant in live:
            if grant.state is not GrantState.ACTIVE:
                continue
            groups |= grant.access.kubernetes_groups
            if grant.access.policy_arn is not None:
                name = grant.access.policy_arn.rpartition("/")[2]
                policies.setdefault(name, set()).update(grant.access.scope.namespaces)
                if not grant.access.scope.namespaces:
                    whole.add(name)
        return {
            name: () if name in whole else tuple(sorted(spaces))
            for name, spaces in policies.items()
        }, groups

    def assert_union(self, who: str = "ana", cluster: str = LAB) -> None:
        """What EKS holds for somebody without standing access is what their live grants give."""
        policies, groups = self.wanted(who, cluster)
        entry = self.entry(who, cluster)
        if not policies and not groups:
            assert entry is None
            return
        assert entry is not None
        assert self.given(who, cluster) == policies
        assert set(entry.kubernetes_groups) == groups
        assert entry.tags[DEPLOYMENT_TAG] == DEPLOYMENT
        assert entry.tags[GRANT_TAG]

    def writes(self) -> list[str]:
        """The changes asked of EKS, oldest first."""
        return [call.operation for call in self.eks.writes()]

    @contextmanager
    def untouched(self, who: str = "ana", cluster: str = LAB) -> Iterator[None]:
        """The entry is bit for bit the same at the end of the block."""
        before = self.entry(who, cluster)
        assert before is not None
        yield
        after = self.entry(who, cluster)
        assert after is not None
        assert asdict(after) == asdict(before)
