"""The bot as one process without threads: the simulation calls each loop's work itself.

Built as `bot.wiring` builds it, from the same parts; whatever `bot.wiring` adds to its loops is
added to `LOOPS` here. A new process knows nothing but the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from slack_bolt import App, BoltRequest, BoltResponse
from slack_sdk import WebClient

from bot.access.post_review import OwedReviews
from bot.access.tickets import TicketWatch
from bot.access.waiting import WaitingRequests
from bot.aws.clients import EksClients
from bot.core.errors import PolicyUnavailable
from bot.core.model import AccessRequest, AuditEvent, Grant, Review
from bot.core.policy import Policy
from bot.core.post_review import PostReview
from bot.core.tickets import TicketStatus
from bot.oncall import OnCallServices
from bot.policy_file import PolicySource
from bot.reconcile.access import AccessReconciler
from bot.reconcile.announcements import Announcer
from bot.reconcile.audit import AuditSealer
from bot.reconcile.drift_reports import DriftReporter
from bot.reconcile.drift_scan import DriftScanner
from bot.reconcile.messages import MessageReconciler, Projection
from bot.slack.desk import Desk
from bot.slack.drift_views import drift_found, standing_digest
from bot.slack.inbox import InboxWorker
from bot.slack.listeners import Listeners
from bot.slack.people import Directory
from bot.slack.policy_watch import PolicyWatch
from bot.slack.projection import project
from bot.store.claims import Claims
from bot.store.database import Database

LOOPS = (
    "giving back",
    "inbox",
    "access",
    "messages",
    "waiting",
    "announcements",
    "reviews",
    "tickets",
    "drift",
    "drift reports",
    "audit",
)
"""The names of the loops, in the order in which a calm tick runs them."""

_SCAN_EVERY = timedelta(hours=1)
_CALLS_PER_SECOND = 1e9  # the pace is kept by real time, which a simulation has no use for


class Process:
    """One running bot. `due` lists a loop's items, `work` does one of them.

    With a `signing_secret` its listeners take signed payloads alone.
    """

    def __init__(
        self,
        database: Database,
        clients: EksClients,
        *,
        policy_file: Path,
        slack_url: str,
        bot_token: str,
        clock: Callable[[], datetime],
        signing_secret: str | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self.policy = PolicySource(policy_file)
        # Without the SDK's own repetition after a pause, so that each failure reaches the loops.
        client = WebClient(bot_token, base_url=slack_url, timeout=10, retry_handlers=[])
        claims = Claims(database)
        self._directory = Directory(client)
        desk = Desk(database, self._directory, clients, self.policy.current, clock=clock)
        self._listeners = Listeners(
            database,
            client,
            self._directory,
            desk,
            self.policy.current,
            bot_token=bot_token,
            signing_secret=signing_secret,
            wake=lambda: None,
            clock=clock,
        )
        access = AccessReconciler(database, clients, claims, clock=clock, repair=self._repair)
        inbox = InboxWorker(
            database,
            claims,
            client,
            self._directory,
            self.policy.current,
            ticket=_no_tickets,
            on_call=OnCallServices({}).facts,
            changed=lambda: None,
            clock=clock,
        )
        messages = MessageReconciler(
            database, client, claims, self._projection, shown=lambda _: None, clock=clock
        )
        announcer = Announcer(database, client, claims, clock=clock)
        waiting = WaitingRequests(database, changed=lambda: None, clock=clock)
        owed = OwedReviews(database, changed=lambda: None, clock=clock)
        tickets = TicketWatch(
            database, self._in_force, _no_tickets, changed=lambda: None, clock=clock
        )
        self._scanner = DriftScanner(
            database,
            clients,
            claims,
            self._in_force,
            every=_SCAN_EVERY,
            clock=clock,
            calls_per_second=_CALLS_PER_SECOND,
        )
        reporter = DriftReporter(
            database,
            claims,
            self._in_force,
            found=drift_found,
            digest=standing_digest,
            clock=clock,
        )
        sealer = AuditSealer(database, claims, clock=clock)
        self._watch = PolicyWatch(database, self.policy, clock=clock)
        self._loops: dict[str, tuple[Callable[[], Sequence[Any]], Callable[[Any], None]]] = {
            "giving back": (inbox.due_back, inbox.work),
            "inbox": (inbox.due, inbox.work),
            "access": (access.due, access.reconcile),
            "messages": (messages.due, messages.reconcile),
            "waiting": (waiting.due, waiting.work),
            "announcements": (announcer.due, announcer.post),
            "reviews": (owed.due, owed.work),
            "tickets": (tickets.due, tickets.work),
            "drift": (self._scanner.due, self._scanner.scan),
            "drift reports": (reporter.due, reporter.report),
            "audit": (sealer.due, sealer.seal),
        }

    def close(self) -> None:
        """End the listeners' threads, none of which does anything in a simulation."""
        self._listeners.close()

    @property
    def app(self) -> App:
        """The Bolt app, as the HTTP server gets it."""
        return self._listeners.app

    def due(self, loop: str) -> Sequence[Any]:
        return self._loops[loop][0]()

    def work(self, loop: str, item: Any) -> None:
        self._loops[loop][1](item)

    def dispatch(self, payload: Mapping[str, Any]) -> BoltResponse:
        """Hand a payload to the listeners, as Socket Mode does."""
        return self._listeners.app.dispatch(BoltRequest(mode="socket_mode", body=dict(payload)))

    def watch_policy(self) -> None:
        """Look at the policy file, as a job of the bot's does every second."""
        self._watch.look()

    def _projection(
        self,
        request: AccessRequest,
        reviews: Sequence[Review],
        grant: Grant | None,
        *,
        unreachable: Mapping[str, str],
        questions: Sequence[AuditEvent],
        owed: PostReview | None,
        now: datetime,
    ) -> Projection:
        people = {request.requester, *(one.reviewer for one in reviews)}
        people = people.union(*(one.deputy_of for one in reviews))
        people |= {request.decided_by or "", (grant.ended_by if grant else None) or ""}
        people |= {*request.principal.shared_with, *(one.actor for one in questions)}
        people |= {(owed.reviewer if owed else None) or ""}
        policy = self._policy()
        return project(
            request,
            reviews,
            grant,
            names=self._directory.names({one for one in people if one.startswith("U")}),
            audit_channel=policy.audit_channel if policy else None,
            tickets=policy.tickets if policy else None,
            unreachable=unreachable,
            questions=questions,
            owed=owed,
            now=now,
        )

    def _in_force(self) -> Policy:
        return self.policy.current().policy

    def _repair(self) -> bool:
        policy = self._policy()
        return policy is not None and policy.drift.repair

    def _policy(self) -> Policy | None:
        try:
            return self.policy.current().policy
        except PolicyUnavailable:
            return None


def _no_tickets(service: str, ticket: str) -> TicketStatus:
    """The policies of the simulation name no service of tickets."""
    raise AssertionError(f"nobody asks {service} about {ticket}")
