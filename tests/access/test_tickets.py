"""Access that hangs on a ticket: given only while the ticket is open, ended when it closes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from desk import ANA, BEN, HOUR, Desk
from sqlalchemy import select, update

from bot.access import review, tickets
from bot.access.submit import submit
from bot.access.tickets import LOOK_EVERY, TicketWatch
from bot.core.errors import DirectoryUnavailable, DomainError, PolicyUnavailable, Refused
from bot.core.model import AccessRequest, Ask, EndReason, GrantState
from bot.core.policy import Policy
from bot.core.tickets import CLOSED, OPEN, TicketStatus
from bot.store import tables
from bot.store.database import Database

BOTH = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
UNKNOWN = TicketStatus.unknown("Jira shows the bot no issue `PAY-9`.")
SILENT = TicketStatus.unavailable("Jira does not answer.")
URL = "https://jira.example.com/browse/{ticket}"


@pytest.fixture
def desk(database: Database) -> Desk:
    desk = Desk(database)
    desk.document["tickets"] = {"url": URL, "check": "jira"}
    desk.rules["payments"] |= {"ticket": "^PAY-[0-9]+$", "ends_with_ticket": True}
    desk.rules["lab"] |= {"ticket": "^PAY-[0-9]+$", "ends_with_ticket": True}
    return desk


def ask(desk: Desk, status: TicketStatus | None, cluster: str = "lab") -> AccessRequest:
    """Ask for what is automatic, while the ticket's service says `status`."""
    level, namespace = ("view", "dev") if cluster == "lab" else ("edit", "payments")
    wish = Ask(cluster, level, (namespace,), HOUR, ticket="PAY-1", reason="a stuck job")
    with desk.database.transaction() as tx:
        return submit(tx, replace(desk.facts(), ticket=status), ANA, wish)


@BOTH
@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (CLOSED, Refused, "ticket_not_open"),
        (UNKNOWN, Refused, "ticket_not_open"),
        (SILENT, DirectoryUnavailable, "ticket_unavailable"),
        (None, DirectoryUnavailable, "ticket_unknown"),
    ],
)
def test_nothing_is_given_unless_the_ticket_is_said_to_be_open(
    desk: Desk, status: TicketStatus | None, error: type[DomainError], code: str
) -> None:
    with desk.refuses(error, code):
        ask(desk, status)
    assert ask(desk, OPEN).ends_with_ticket


def test_a_rule_that_does_not_hang_on_it_asks_nobody(desk: Desk) -> None:
    policy = Policy.model_validate(desk.document)
    payments = Ask("prod-eu", "edit", ("payments",), ticket="PAY-1")
    assert tickets.ticket_to_check(policy, payments) == ("jira", "PAY-1")
    assert tickets.ticket_to_check(policy, replace(payments, ticket=None)) is None
    assert tickets.ticket_to_check(policy, replace(payments, level="view")) is not None
    desk.rules["payments"]["ends_with_ticket"] = False
    assert tickets.ticket_to_check(Policy.model_validate(desk.document), payments) is None


def test_it_is_asked_again_at_the_approval(desk: Desk) -> None:
    waiting = ask(desk, OPEN, "prod-eu")
    with desk.refuses(DirectoryUnavailable, "ticket_unknown"):
        desk.approve(waiting.id)  # its facts know nothing of the ticket


class Service:
    """What the service says, and how often it was asked."""

    def __init__(self) -> None:
        self.says = OPEN
        self.asked: list[tuple[str, str]] = []

    def __call__(self, service: str, ticket: str) -> TicketStatus:
        self.asked.append((service, ticket))
        return self.says


@pytest.fixture
def service() -> Service:
    return Service()


def watch(desk: Desk, service: Service, **changes: Any) -> TicketWatch:
    told: list[None] = []
    return TicketWatch(
        desk.database,
        changes.get("policy", lambda: Policy.model_validate(desk.document)),
        service,
        changed=lambda: told.append(None),
        clock=desk.clock,
    )


def look(loop: TicketWatch) -> list[str]:
    due = loop.due()
    for one in due:
        loop.work(one)
    return due


@BOTH
def test_live_access_ends_when_its_ticket_closes(desk: Desk, service: Service) -> None:
    request, loop = ask(desk, OPEN), watch(desk, service)
    assert look(loop) == [request.id]
    assert look(loop) == [], "not asked again at once"
    service.says = CLOSED
    desk.clock.advance(LOOK_EVERY)
    look(loop)
    grant = desk.grant(request.id)
    assert grant is not None
    assert (grant.state, grant.end_reason) == (GrantState.REVOKING, EndReason.TICKET_CLOSED)
    assert ("bot", "grant.revoking") in desk.actions(request.id)
    desk.clock.advance(LOOK_EVERY)
    assert look(loop) == []
    assert service.asked == [("jira", "PAY-1")] * 2


def test_a_ticket_that_is_hidden_or_deleted_ends_it_once_it_is_surely_so(
    desk: Desk, service: Service
) -> None:
    request, loop = ask(desk, OPEN), watch(desk, service)
    for says, state in (
        (UNKNOWN, GrantState.PROVISIONING),
        (OPEN, GrantState.PROVISIONING),
        (UNKNOWN, GrantState.PROVISIONING),
        (UNKNOWN, GrantState.REVOKING),
    ):
        service.says = says
        look(loop)
        desk.clock.advance(LOOK_EVERY)
        grant = desk.grant(request.id)
        assert grant is not None
        assert grant.state is state


@pytest.mark.parametrize("says", [SILENT, UNKNOWN])
def test_what_the_service_does_not_say_ends_nothing(
    desk: Desk, service: Service, says: TicketStatus
) -> None:
    request, loop = ask(desk, OPEN), watch(desk, service)
    service.says = says
    look(loop)
    grant = desk.grant(request.id)
    assert grant is not None
    assert grant.gives_access


def broken() -> Policy:
    raise PolicyUnavailable("policy_broken", "The policy file has errors.")


@BOTH
def test_the_service_that_was_asked_before_is_asked_whatever_the_policy_says_now(
    desk: Desk, service: Service
) -> None:
    request = ask(desk, OPEN)
    assert desk.request(request.id).ticket_service == "jira"
    for tickets_now in ({"url": URL, "check": "pagerduty"}, {"url": URL}):
        desk.document["tickets"] = tickets_now
        look(watch(desk, service))
    look(watch(desk, service, policy=broken))
    assert service.asked == [("jira", "PAY-1")] * 3
    service.says = CLOSED
    look(watch(desk, service, policy=broken))
    grant = desk.grant(request.id)
    assert grant is not None
    assert grant.end_reason is EndReason.TICKET_CLOSED


@BOTH
def test_what_is_approved_hangs_on_the_service_of_the_policy_at_the_click(
    desk: Desk, service: Service
) -> None:
    waiting = ask(desk, OPEN, "prod-eu")
    desk.document["tickets"] = {"url": URL, "check": "pagerduty"}
    with desk.database.transaction() as tx:
        review.approve(tx, replace(desk.facts(), ticket=OPEN), waiting.id, BEN)
    assert desk.request(waiting.id).ticket_service == "pagerduty"
    look(watch(desk, service))
    assert service.asked == [("pagerduty", "PAY-1")]


def without_its_service(desk: Desk, request_id: str) -> None:
    """As a version of before left it."""
    rows = tables.requests
    document = rows.c.document
    with desk.database.transaction() as tx:
        kept = dict(tx.scalars(select(document).where(rows.c.id == request_id)).one())
        del kept["ticket_service"]
        tx.execute(update(rows).where(rows.c.id == request_id).values(document=kept))


def test_of_a_request_from_before_the_policys_service_is_asked(
    desk: Desk, service: Service
) -> None:
    request = ask(desk, OPEN)
    without_its_service(desk, request.id)
    look(watch(desk, service, policy=broken))
    assert service.asked == []
    assert desk.grant(request.id) is not None
    look(watch(desk, service))
    assert service.asked == [("jira", "PAY-1")]


def test_a_clock_that_goes_back_looks_again(desk: Desk, service: Service) -> None:
    ask(desk, OPEN)
    loop = watch(desk, service)
    look(loop)
    desk.clock.advance(-timedelta(hours=1))
    assert len(look(loop)) == 1


def test_access_without_such_a_rule_is_left_alone(desk: Desk, service: Service) -> None:
    desk.rules["lab"]["ends_with_ticket"] = False
    ask(desk, None)
    del desk.rules["lab"]["ticket"]
    desk.ask("dev", who=BEN, level="view", cluster="lab")
    assert look(watch(desk, service)) == []


class Watched(str):
    """An id that calls `compared` whenever it is compared with another."""

    __slots__ = ("compared",)
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        self.compared()
        return str.__eq__(self, other)


def test_a_grant_may_be_looked_at_while_the_loop_looks_for_more(
    desk: Desk, service: Service
) -> None:
    ask(desk, OPEN)
    loop = watch(desk, service)

    def work(grant_id: str) -> None:
        with suppress(DomainError):
            loop.work(grant_id)  # one that is no longer there

    with ThreadPoolExecutor(1) as other:
        gone = Watched("000-000")
        gone.compared = lambda: None
        work(gone)
        # While the loop goes through what it knows, another thread adds to that, or waits.
        gone.compared = lambda: wait([other.submit(work, "000-001")], 0.5)
        assert len(loop.due()) == 1
