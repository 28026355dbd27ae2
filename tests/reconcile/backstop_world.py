"""The world of the access loop, with a backstop: the loop that keeps it, and what it shows."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from entry_world import (
    ACCOUNT,
    DEPLOYMENT,
    DOCUMENT,
    LAB,
    MINUTE,
    REGION,
    World,
    person,
    role,
)
from sqlalchemy import func, select

from bot.aws.clients import EksClients
from bot.core.backstop import Schedule, name_of
from bot.core.policy import Policy
from bot.reconcile.access import AccessReconciler
from bot.reconcile.backstop import BackstopKeeper
from bot.sandbox.eks import EksStandIn
from bot.sandbox.scheduler import Fired, Stored
from bot.store import backstops, grants, tables
from bot.store.claims import Claims
from bot.store.database import Database

GROUP = "eks-access"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/eks-access-backstop"
AFTER = 10 * MINUTE
BACKSTOP: dict[str, Any] = {
    "role": "arn:aws:iam::{account}:role/eks-access-backstop",
    "group": GROUP,
    "after": "10m",
}
POLICY = Policy.model_validate({**DOCUMENT, "backstop": BACKSTOP})


def role_policy() -> dict[str, Any]:
    """The permissions of the backstop's role, as the project ships them, for this deployment."""
    file = Path(__file__).parents[2] / "deploy" / "backstop-policy.json"
    text = file.read_text(encoding="utf-8").replace("acme-prod", DEPLOYMENT)
    loaded: dict[str, Any] = json.loads(text.replace("111122223333", ACCOUNT))
    return loaded


class BackstopWorld(World):
    """`round` lets both loops look, the access loop first; `alive` False: the bot never comes back.

    What the local EventBridge Scheduler has due is fired at each move of the clock.
    """

    def __init__(
        self, database: Database, eks: EksStandIn, clients: EksClients, policy: Policy = POLICY
    ) -> None:
        super().__init__(database, eks, clients, policy)
        scheduler = eks.scheduler
        scheduler.clock = self.clock
        scheduler.create_group(GROUP, REGION, ACCOUNT)
        scheduler.put_role(ROLE, role_policy())
        self.clock.subscribe(scheduler.fire_due)
        self.keeper = self.fresh_keeper()

    def fresh_keeper(self) -> BackstopKeeper:
        return BackstopKeeper(
            self.database,
            self.clients,
            Claims(self.database),
            clock=self.clock,
            named=lambda cluster: self.policy.clusters_by_name.get(cluster.name),
        )

    def restart(self) -> None:
        """Loops that know nothing but the store."""
        self.bot = self.fresh_bot()
        self.keeper = self.fresh_keeper()

    def round(self, bot: AccessReconciler | None = None) -> None:
        super().round(bot)
        self.keep()

    def keep(self) -> None:
        """Look once at each backstop that is due now."""
        for entry_id in self.keeper.due():
            self.keeper.keep(entry_id)

    def quiet(self, most: int = 60) -> None:
        """Let rounds pass, and time up to the next one, until no backstop is being tried again."""
        self.settle(most)
        for _ in range(most):
            self.round()
            with self.database.reading() as tx:
                open_ = tx.scalar(
                    select(func.count())
                    .select_from(tables.backstops)
                    .where(tables.backstops.c.attempts > 0)
                )
                due = tx.scalar(
                    select(func.min(tables.backstops.c.due_at)).where(
                        tables.backstops.c.attempts > 0
                    )
                )
            if not open_ and not self.keeper.due() and not self.bot.due():
                return
            if due is not None and due > self.clock():
                self.clock.advance(due - self.clock())
        raise AssertionError("the backstops do not come to rest")

    def next_due(self) -> datetime:
        with self.database.reading() as tx:
            kept = tx.scalar(select(func.min(tables.backstops.c.due_at)))
        due = super().next_due()
        return min(due, kept) if kept is not None else due

    # What is so

    def schedules(self) -> dict[str, datetime]:
        """Principal → when its entry is deleted, as EventBridge Scheduler holds it."""
        return {one.hit["PrincipalArn"].rpartition("/")[2]: one.at for one in self.held()}

    def writes(self) -> list[str]:
        """The changes asked of EKS and of EventBridge Scheduler, oldest first."""
        reads = ("Describe", "Get", "List")
        return [one.operation for one in self.eks.calls if not one.operation.startswith(reads)]

    def live_of(self, who: str) -> int:
        """How many grants of a person have not ended."""
        with self.database.reading() as tx:
            return len(grants.live(tx, requester=person(who).id))

    def held(self) -> tuple[Stored, ...]:
        return self.eks.scheduler.schedules()

    def fired(self) -> list[Fired]:
        return self.eks.scheduler.fired

    def known(self, who: str = "ana", cluster: str = LAB) -> Schedule | None:
        """The schedule that the store knows of."""
        name = name_of(DEPLOYMENT, cluster, role(who), self.identity)
        with self.database.reading() as tx:
            entry_id = tx.scalar(
                select(tables.backstops.c.entry_id).where(tables.backstops.c.name == name)
            )
            kept = backstops.find(tx, entry_id) if entry_id is not None else None
        return kept.known.schedule if kept is not None and kept.known is not None else None

    def audit(self) -> list[str]:
        """What the audit trail says of backstops, oldest first."""
        with self.database.reading() as tx:
            events = tx.execute(select(tables.audit_events.c.action).order_by("id")).scalars()
            return [one for one in events if one.startswith("backstop.")]
