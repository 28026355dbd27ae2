"""The use cases as people meet them: who asks, who clicks, what Slack and the policy say."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import func, select

from bot.access import break_glass, end, post_review, review
from bot.access.extend import extend
from bot.access.facts import Facts
from bot.access.submit import submit
from bot.core import lifecycle
from bot.core.errors import DomainError
from bot.core.model import (
    AccessRequest,
    Ask,
    AuditEvent,
    EndReason,
    Grant,
    Person,
    RequestState,
    Review,
)
from bot.core.oncall import OnCall, Schedules
from bot.core.policy import Policy
from bot.core.post_review import PostReview
from bot.sandbox.hand_clock import HandClock
from bot.store import audit, grants, post_reviews, requests, tables
from bot.store.database import Database

E = TypeVar("E", bound=DomainError)

TEAM = "T01ACME"
ACCOUNT = "444455556666"
HOUR = timedelta(hours=1)
ANA, BEN, CLEO, DAN, EVE = "U01ANA", "U02BEN", "U03CLEO", "U04DAN", "U05EVE"
LEADS, PLATFORM, ENGINEERS = "S02LEADS", "S03PLATFORM", "S01ENG"
RESPONDERS, SECURITY = "S04RESPOND", "S05SECURITY"


def rule(name: str, *namespaces: str, owners: dict[str, Any], **more: Any) -> dict[str, Any]:
    approval = {"channel": "C01PAY", "owners": owners, "lapse_after": "1h"}
    approval |= more.pop("approval", {})
    return {
        "name": name,
        "clusters": ["prod-*"],
        "levels": ["view", "edit"],
        "namespaces": list(namespaces),
        "requesters": {"groups": [ENGINEERS]},
        "approval": approval,
        "max_duration": "4h",
        **more,
    }


POLICY: dict[str, Any] = {
    "deployment": "acme-test",
    "clusters": [
        {"name": "prod-eu", "region": "eu-central-1", "account": ACCOUNT},
        {"name": "lab", "region": "eu-west-1", "account": "111122223333"},
    ],
    "levels": {
        "view": {"policy": "AmazonEKSViewPolicy"},
        "edit": {"policy": "AmazonEKSEditPolicy"},
    },
    "principals": {
        "users": {
            ANA: "arn:aws:iam::{account}:role/eks-jit/ana",
            BEN: "arn:aws:iam::{account}:role/eks-jit/ben",
            CLEO: "arn:aws:iam::{account}:role/eks-jit/cleo",
        },
        "template": "arn:aws:iam::{account}:role/eks-jit/{email_name}",
        "email_domains": ["example.com", "example.org"],
    },
    "rules": [
        rule("payments", "payments", owners={"users": [BEN], "groups": [LEADS]}),
        rule("billing", "billing", owners={"users": [EVE], "groups": [PLATFORM]}),
        rule("vault", "vault", owners={"groups": [LEADS, PLATFORM]}, approval={"required": 2}),
        {
            "name": "lab",
            "clusters": ["lab"],
            "levels": ["view"],
            "namespaces": ["*"],
            "approval": "automatic",
            "max_duration": "8h",
        },
    ],
}


def person(user: str, **changes: Any) -> Person:
    name = user[3:].lower()
    known = Person(user, TEAM, name, f"{name}@example.com", email_confirmed=True)
    return replace(known, **changes)


class Desk:
    """`people`, `membership` and `document` (the policy file) are what is so at the moment."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = HandClock()
        self.document = copy.deepcopy(POLICY)
        self.people = {user: person(user) for user in (ANA, BEN, CLEO, DAN, EVE)}
        self.membership: dict[str, frozenset[str]] = {
            ENGINEERS: frozenset({ANA, BEN, CLEO, DAN, EVE}),
            LEADS: frozenset({BEN, CLEO}),
            PLATFORM: frozenset({DAN, EVE}),
            RESPONDERS: frozenset({ANA}),
            SECURITY: frozenset({EVE}),
        }
        self.on_call: dict[Schedules, OnCall] = {}

    def facts(self) -> Facts:
        policy = Policy.model_validate(self.document)
        return Facts(
            policy,
            "digest",
            TEAM,
            self.people,
            self.membership,
            self.clock(),
            on_call=self.on_call,
        )

    def become(self, user: str, **changes: Any) -> None:
        """Change what Slack says of somebody."""
        self.people[user] = replace(self.people[user], **changes)

    def leave(self, group: str, user: str) -> None:
        self.membership[group] -= {user}

    @property
    def rules(self) -> dict[str, dict[str, Any]]:
        """The rules of the policy file, to be changed."""
        return {one["name"]: one for one in self.document["rules"]}

    # What people do

    def ask(
        self,
        *namespaces: str,
        who: str = ANA,
        level: str = "edit",
        cluster: str = "prod-eu",
        **more: Any,
    ) -> AccessRequest:
        values = {"duration": 2 * HOUR, "reason": "a stuck job", **more}
        ask = Ask(cluster, level, namespaces or ("payments",), **values)
        with self.database.transaction() as tx:
            return submit(tx, self.facts(), who, ask)

    def extend(self, request_id: str, who: str = ANA, more: timedelta = HOUR) -> AccessRequest:
        with self.database.transaction() as tx:
            return extend(tx, self.facts(), request_id, by=who, more=more, reason="it still runs")

    def approve(self, request_id: str, who: str = BEN) -> AccessRequest:
        with self.database.transaction() as tx:
            return review.approve(tx, self.facts(), request_id, who)

    def deny(self, request_id: str, who: str = BEN, reason: str = "not now") -> AccessRequest:
        with self.database.transaction() as tx:
            return review.deny(tx, self.facts(), request_id, who, reason)

    def cancel(self, request_id: str, who: str = ANA) -> AccessRequest:
        with self.database.transaction() as tx:
            return end.cancel(tx, request_id, who, self.clock())

    def lapse(self, request_id: str) -> AccessRequest:
        with self.database.transaction() as tx:
            return end.lapse(tx, request_id, self.clock())

    def give_back(self, request_id: str, who: str = ANA) -> Grant:
        with self.database.transaction() as tx:
            return end.give_back(tx, request_id, who, self.clock())

    def break_glass(
        self,
        *namespaces: str,
        who: str = ANA,
        level: str = "edit",
        instead_of: str | None = None,
        **more: Any,
    ) -> AccessRequest:
        ask = Ask("prod-eu", level, namespaces or ("payments",), **{"reason": "it is down", **more})
        with self.database.transaction() as tx:
            return break_glass.begin(tx, self.facts(), who, ask, instead_of=instead_of)

    def post_review(
        self,
        request_id: str,
        who: str = EVE,
        findings: str = "restarted it",
        *,
        justified: bool = True,
    ) -> PostReview:
        with self.database.transaction() as tx:
            return post_review.review(
                tx, self.facts(), request_id, who, justified=justified, findings=findings
            )

    def take_steps(self, request_id: str) -> tuple[str, ...]:
        with self.database.transaction() as tx:
            return post_review.take_steps(tx, request_id, self.clock())

    def take_away(self, request_id: str, who: str = BEN, why: str = "") -> Grant:
        with self.database.transaction() as tx:
            return end.take_away(tx, self.facts().revoking(who), request_id, why)

    def confirm(self, request_id: str) -> None:
        """EKS shows the access."""
        self._becomes(request_id, lambda grant: lifecycle.confirm(grant, self.clock()))

    def gone(self, request_id: str) -> None:
        """The access is taken away, and EKS shows that it is gone."""
        grant = self.grant(request_id)
        if grant is not None and grant.gives_access:
            self._becomes(
                request_id,
                lambda live: lifecycle.revoke(
                    live, self.clock(), EndReason.EXPIRED, by=lifecycle.BOT
                ),
            )
        self._becomes(request_id, lambda grant: lifecycle.end(grant, self.clock()))

    def _becomes(
        self, request_id: str, change: Callable[[Grant], tuple[Grant, tuple[AuditEvent, ...]]]
    ) -> None:
        with self.database.transaction() as tx:
            grant = grants.get(tx, request_id)
            changed, events = change(grant)
            grants.change(tx, changed, expected=grant.state)
            audit.record(tx, events)

    # What is so

    def owed(self, request_id: str) -> PostReview | None:
        with self.database.reading() as tx:
            return post_reviews.find(tx, request_id)

    def request(self, request_id: str) -> AccessRequest:
        with self.database.reading() as tx:
            return requests.get(tx, request_id)

    def state(self, request_id: str) -> RequestState:
        return self.request(request_id).state

    def grant(self, request_id: str) -> Grant | None:
        with self.database.reading() as tx:
            return grants.find(tx, request_id)

    def reviews(self, request_id: str) -> tuple[Review, ...]:
        with self.database.reading() as tx:
            return requests.reviews_of(tx, request_id)

    def actions(self, request_id: str) -> list[tuple[str, str]]:
        """Who did what, oldest first."""
        with self.database.reading() as tx:
            return [(one.actor, one.action) for one in audit.of_request(tx, request_id)]

    def snapshot(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table."""
        with self.database.reading() as tx:
            return {
                table.name: sorted(map(tuple, tx.execute(select(table))), key=repr)
                for table in tables.metadata.sorted_tables
            }

    def count(self, table: str) -> int:
        with self.database.reading() as tx:
            return tx.scalar(select(func.count()).select_from(tables.metadata.tables[table])) or 0

    @contextmanager
    def refuses(self, kind: type[E], code: str) -> Iterator[pytest.ExceptionInfo[E]]:
        """The block raises this error and changes nothing at all."""
        before = self.snapshot()
        with pytest.raises(kind) as raised:
            yield raised
        assert raised.value.code == code, raised.value.sentence
        assert self.snapshot() == before


Act = Callable[[Desk], object]
