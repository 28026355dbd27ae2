"""Access that hangs on a ticket: it has to be open when access is given, and ends when it closes.

Granting fails closed: where the service does not say that the ticket is open, nothing is given. For
what is live a silent service changes nothing, because access has an end of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from bot.access.end import revoke
from bot.access.facts import Facts
from bot.core.errors import Conflict, DirectoryUnavailable, PolicyUnavailable, Refused
from bot.core.lifecycle import BOT
from bot.core.model import AccessRequest, Ask, Decision, EndReason, GrantState
from bot.core.names import quoted
from bot.core.policy import Policy
from bot.core.tickets import TicketState, TicketStatus
from bot.store import grants, requests
from bot.store.database import Database

log = structlog.get_logger(__name__)

LOOK_EVERY = timedelta(seconds=30)
"""How often the ticket of live access is looked at."""

TicketQuestion = Callable[[str, str], TicketStatus]
"""Asks a service (`jira` or `pagerduty`) for the status of a ticket. Never raises."""


def ticket_to_check(policy: Policy, ask: Ask) -> tuple[str, str] | None:
    """The service and the ticket to ask it about before `ask` can be decided, if there is one."""
    if policy.tickets is None or policy.tickets.check is None or not ask.ticket:
        return None
    hangs = any(
        rule.ends_with_ticket and ask.level in rule.levels for rule in policy.rules_on(ask.cluster)
    )
    return (policy.tickets.check, ask.ticket) if hangs else None


def service_of(policy: Policy, decision: Decision) -> str | None:
    """The service that what is decided hangs on, to be kept with the request."""
    return policy.tickets.check if decision.ends_with_ticket and policy.tickets else None


def ensure_open(facts: Facts, ask: Ask, decision: Decision) -> None:
    """Raise unless the ticket is open, where what is decided hangs on it.

    Refused where it is closed or there is none of that name; DirectoryUnavailable where the service
    does not say.
    """
    if not decision.ends_with_ticket:
        return
    status = facts.ticket
    if status is not None and status.state is TicketState.OPEN:
        return
    ticket = quoted(ask.ticket or "")
    if status is None:
        raise DirectoryUnavailable(
            "ticket_unknown",
            f"Nobody was asked whether {ticket} is open, so nothing was granted. Tell whoever runs "
            "the bot: the policy needs `tickets.check`.",
        )
    if status.state is TicketState.UNAVAILABLE:
        raise DirectoryUnavailable(
            "ticket_unavailable",
            f"{status.problem} Without that nothing is granted; the same works once it answers.",
        )
    problem = status.problem or (
        f"{ticket} is closed, and this access is given only while its ticket is open. Open it "
        "again, or name another one."
    )
    raise Refused("ticket_not_open", problem)


class TicketWatch:
    """The loop that ends live access when its ticket closes. Safe to call from several threads."""

    def __init__(
        self,
        database: Database,
        policy: Callable[[], Policy],
        ask: TicketQuestion,
        *,
        changed: Callable[[], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._policy = policy
        self._ask = ask
        self._changed = changed
        self._clock = clock
        self._lock = threading.Lock()
        self._looked: dict[str, datetime] = {}
        self._unknown: set[str] = set()

    def forget(self) -> None:
        """Look at every ticket again: the store went back to an earlier state."""
        self._looked = {}
        self._unknown = set()

    def due(self) -> list[str]:
        """Ids of live grants whose ticket to look at now."""
        now = self._clock()
        with self._database.reading() as tx:
            live = requests.hanging_on_tickets(tx)
        with self._lock:
            self._looked = {one: at for one, at in self._looked.items() if one in live}
            self._unknown.intersection_update(live)
            return [one for one in live if not self._looked_lately(one, now)]

    def work(self, grant_id: str) -> None:
        """Look at the ticket of one grant, and end the access if it is closed."""
        now = self._clock()
        with self._lock:
            self._looked[grant_id] = now
        with self._database.reading() as tx:
            request = requests.get(tx, grant_id)
        if self._closed(request):
            self._end(grant_id, now)

    def _looked_lately(self, grant_id: str, now: datetime) -> bool:
        looked = self._looked.get(grant_id)
        return looked is not None and looked <= now < looked + LOOK_EVERY

    def _closed(self, request: AccessRequest) -> bool:
        service = request.ticket_service or self._service_now()
        if service is None:
            log.warning("no service to ask about the ticket of live access", request=request.id)
            return False
        status = self._ask(service, request.ticket or "")
        if status.problem:
            log.warning("ticket not told", request=request.id, problem=status.problem)
        with self._lock:
            if status.state is not TicketState.UNKNOWN_TICKET:
                self._unknown.discard(request.id)
                return status.state is TicketState.CLOSED
            # Hidden or deleted: the service answers, and access no longer hangs on anything. Said
            # once it may be an accident, said twice it is so.
            twice = request.id in self._unknown
            self._unknown.add(request.id)
            return twice

    def _service_now(self) -> str | None:
        """For requests from before the service was kept with them."""
        try:
            tickets = self._policy().tickets
        except PolicyUnavailable:
            return None
        return tickets.check if tickets is not None else None

    def _end(self, grant_id: str, now: datetime) -> None:
        try:
            with self._database.transaction() as tx:
                if grants.get(tx, grant_id).state is GrantState.REVOKING:
                    return
                revoke(tx, grant_id, EndReason.TICKET_CLOSED, BOT, now)
        except Conflict:
            return  # it ended meanwhile
        self._changed()
