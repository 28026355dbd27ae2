"""The composition root: all is built and joined here, and the clock that decides is read here."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from prometheus_client import CollectorRegistry
from slack_sdk import WebClient
from slack_sdk.signature import SignatureVerifier
from sqlalchemy import Connection

from bot.access.post_review import OwedReviews
from bot.access.tickets import TicketWatch
from bot.access.waiting import WaitingRequests
from bot.aws.anchor_bucket import AnchorBucket
from bot.aws.clients import EksClients
from bot.core.audit_chain import Head
from bot.core.errors import PolicyUnavailable, StoreUnavailable, reason
from bot.core.model import Cluster
from bot.core.policy import Policy
from bot.http import Readiness, SignedApp, build_http
from bot.http_server import HttpServer
from bot.jobs import Jobs, Loop
from bot.metrics import build_registry
from bot.oncall import OnCallServices, Opsgenie, PagerDuty
from bot.policy_file import PolicySource
from bot.reconcile.access import AccessReconciler
from bot.reconcile.adoption import AdoptionAlarm
from bot.reconcile.anchors import Anchors
from bot.reconcile.announcements import Announcer
from bot.reconcile.audit import AuditSealer
from bot.reconcile.backstop import BackstopKeeper
from bot.reconcile.drift_reports import DriftReporter
from bot.reconcile.drift_scan import CALLS_PER_SECOND, DriftScanner
from bot.reconcile.late_removals import LateRemovals
from bot.reconcile.late_unstored import LateUnstored
from bot.reconcile.memory import StoreMemory
from bot.reconcile.messages import MessageReconciler
from bot.reconcile.slack_errors import problem_of
from bot.reconcile.sweep import Sweep
from bot.reconcile.unheard import Unheard
from bot.settings import Settings
from bot.slack.alarm_people import alarm_people
from bot.slack.blocks import Message
from bot.slack.connection import SocketModeConnection
from bot.slack.desk import Desk
from bot.slack.drift_views import drift_found, standing_digest
from bot.slack.fact_finder import FactFinder
from bot.slack.glass_desk import GlassDesk
from bot.slack.gone_groups import GoneGroups
from bot.slack.inbox import InboxWorker
from bot.slack.late_views import instead_of_channel, late_alarm, late_over, unstored_alarm
from bot.slack.listeners import Listeners
from bot.slack.people import Directory
from bot.slack.policy_watch import PolicyWatch, channels
from bot.slack.projector import Projector
from bot.slack.refusals import Refusals
from bot.slack.sources import Sources
from bot.slack.starts import Starts
from bot.slack.store_views import made_due, unsure, went_back
from bot.store import announcements, lockdowns
from bot.store import inbox as inbox_store
from bot.store.claims import Claims
from bot.store.database import Database
from bot.store.never_due import Found
from bot.store.stores import Strangers
from bot.store.watch import StoreWatch
from bot.tickets import Jira, PagerDutyIncidents, TicketServices

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]

ACCESS_WORKERS = 16
_OTHER_WORKERS = 4
_ANCHOR_SECONDS = 5.0
_STORE_SECONDS = 5.0


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Given:
    """What a caller gives in place of what the bot makes for itself, to run it without threads.

    `in_background` makes what carries out work that nobody waits for, as ThreadPoolExecutor does.
    `monotonic` gives seconds that never go back, by which Slack's limits are kept.
    """

    database: Database | None = None
    clients: EksClients | None = None
    slack: WebClient | None = None
    in_background: Callable[[int, str], Executor] = ThreadPoolExecutor
    drift_calls_per_second: float = CALLS_PER_SECOND
    monotonic: Callable[[], float] = time.monotonic


class Bot:
    """The running bot. `start` returns at once; `stop` lets what is under way finish."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock = utc_now,
        given: Given = Given(),
    ) -> None:
        self.clock = clock
        self.database = given.database or Database(settings.database_url.get_secret_value())
        self.policy = PolicySource(settings.config)
        self._client = given.slack or _slack_client(settings)
        self._claims = Claims(self.database)
        self._directory = Directory(self._client, now=given.monotonic)
        self._clients = given.clients or EksClients()
        self._tickets, self._on_call = _services(settings, clock)
        self._memory = self._remember(audit_bucket(settings))
        self._sweep = Sweep(self.database, announce=self._say_made_due, clock=clock)
        self._sealer = AuditSealer(self.database, self._claims, clock=clock)
        refusals = Refusals(self.policy.soon, clock)
        self._memory.forgets.append(refusals.forget)
        desk, facts = self._desk(), self._fact_finder(refusals)
        self.listeners = self._listeners(settings, given, desk, refusals)
        self._inbox_loops = self._build_inbox(facts, refusals)
        self._access_loop, self._backstop_loop = self._build_entries()
        self._message_loop, outbox = self._build_messages(desk.glass)
        waiting, tickets, reviews, starts = self._build_requests(facts)
        self.loops = (
            Loop("store memory", self._memory.due, self._memory.work, workers=1),
            Loop("never due", self._sweep.due, self._sweep.work, workers=1),
            *self._inbox_loops,
            self._access_loop,
            self._backstop_loop,
            self._message_loop,
            outbox,
            waiting,
            tickets,
            *self._build_drift(settings, given),
            *self._build_alarms(),
            reviews,
            starts,
            Loop("audit", self._sealer.due, self._sealer.seal, workers=1),
        )
        self._jobs = Jobs(self.loops, clock=utc_now)
        self.policy_watch = PolicyWatch(self.database, self.policy, clock=clock)
        self._look_at_policy = self._jobs.every(1.0, "policy", self.policy_watch.look)
        self._jobs.every(_ANCHOR_SECONDS, "anchors", self._anchor)
        self._connection = self._connect(settings) if settings.socket_mode else None
        self._store_watch = StoreWatch(self.database)
        http = build_http(self.readiness, self._signals(), self._signed_app(settings))
        self.http = HttpServer(http, settings.http_address, settings.http_port)

    def start(self) -> None:
        """Start the loops first: removing access must not wait for Slack."""
        self.http.start()
        self._jobs.start()

    def stop(self) -> None:
        """Take nothing new, finish what is under way, close everything."""
        if self._connection is not None:
            self._connection.close()
        self.http.stop()
        self.listeners.close()
        self._scanner.close()
        self._jobs.stop()
        self._tickets.close()
        self._anchor(end=True)
        self._on_call.close()
        self._store_watch.close()
        self.database.close()

    def abandon(self) -> None:
        """Close what is open and finish nothing; for the simulation, which never starts one."""
        self.http.stop()
        self.listeners.close()
        self._scanner.close()
        self._tickets.close()
        self._on_call.close()
        self._store_watch.close()

    def readiness(self) -> Readiness:
        """Whether the bot can do its work now, part by part: it is done, and not only tried."""
        problems = {"store": self._store_watch.look().problem, "policy": None}
        try:
            self.policy.current()
        except PolicyUnavailable as error:
            problems["policy"] = reason(error)
        for loop in self.loops:
            problems[f"loop {loop.name}"] = loop.health.problem(utc_now())
        if self._connection is not None:
            code = self._connection.problem
            problems["slack"] = None if code is None else f"{problem_of(code).sentence} ({code})"
        with suppress(StoreUnavailable):  # of which another part tells
            if problems["store"] is None:
                problems["adoption"] = self._adoption.problem()
        return Readiness(problems)

    def read_policy_again(self) -> None:
        """Have the policy file read now, also if it seems unchanged. Returns at once."""
        self.policy.read_again()
        self._look_at_policy()

    def wake(self) -> None:
        """Let every loop look now, because the store was changed or time was moved."""
        self._wake_all()

    def _taken_in_since(self, moment: datetime) -> int:
        with self.database.reading() as tx:
            return inbox_store.taken_in_since(tx, moment)

    def _wake_inbox(self) -> None:
        for loop in self._inbox_loops:
            loop.wake()

    def _wake_messages(self) -> None:
        self._message_loop.wake()

    def _wake_all(self) -> None:
        self._jobs.wake_all()

    def _then_messages(self, work: Callable[[int], None]) -> Callable[[int], None]:
        def reconcile(entry_id: int) -> None:
            work(entry_id)
            self._backstop_loop.wake()
            self._message_loop.wake()
            # Not the audit loop: its own ticks are soon enough, and seal many events at once.

        return reconcile

    def _then_access(self, work: Callable[[int], None]) -> Callable[[int], None]:
        def keep(entry_id: int) -> None:
            work(entry_id)
            self._access_loop.wake()

        return keep

    def _remember(self, bucket: AnchorBucket | None) -> StoreMemory:
        """The memory of the store, and the anchors that it begins with."""
        memory = StoreMemory(
            self.database,
            clock=self.clock,
            announce=self._say_went_back,
            anchored=lambda head: self._anchored(bucket, head),
        )
        self._anchors = Anchors(self.database, self._policy, bucket, clock=self.clock)
        memory.forgets.append(self._anchors.forget)
        return memory

    def _fact_finder(self, refusals: Refusals) -> FactFinder:
        return FactFinder(
            self.database,
            self._directory,
            self.policy.current,
            ticket=self._tickets.status,
            on_call=self._on_call.facts,
            clock=self.clock,
            refused=refusals.has_refused,
            policy_soon=self.policy.soon,
        )

    def _desk(self) -> Desk:
        sources = Sources(
            self.database,
            self._directory,
            self.policy.current,
            on_call=self._on_call.facts,
            clock=self.clock,
        )
        return Desk(sources, self._clients)

    def _listeners(
        self, settings: Settings, given: Given, desk: Desk, refusals: Refusals
    ) -> Listeners:
        return Listeners(
            self.database,
            self._client,
            self._directory,
            desk,
            bot_token=settings.bot_token(),
            signing_secret=None if settings.socket_mode else settings.signing_secret(),
            refusals=refusals,
            wake=self._wake_inbox,
            clock=self.clock,
            in_background=given.in_background,
        )

    def _signed_app(self, settings: Settings) -> SignedApp | None:
        """What payloads over HTTP are for; None in Socket Mode."""
        if settings.socket_mode:
            return None
        return SignedApp(self.listeners.app, SignatureVerifier(settings.signing_secret()))

    def _connect(self, settings: Settings) -> SocketModeConnection:
        connection = SocketModeConnection(
            self.listeners.app,
            settings.app_token(),
            settings.slack_api_url,
            others=self._taken_in_since,
            clock=self.clock,
        )
        self._jobs.every(1.0, "socket", connection.tend)
        return connection

    def _build_inbox(self, facts: FactFinder, refusals: Refusals) -> tuple[Loop, Loop, Loop]:
        """One loop for each queue of what people asked for."""
        worker = InboxWorker(
            self.database,
            self._claims,
            self._client,
            facts,
            self.policy.current,
            refusals=refusals,
            changed=self._wake_all,
            clock=self.clock,
        )
        return (
            _batched("inbox", worker.due, worker.work),
            _batched("revoking", worker.due_revoking, worker.work),
            _batched("giving back", worker.due_giving_back, worker.work),
        )

    def _build_entries(self) -> tuple[Loop, Loop]:
        """What keeps access entries and their schedules right."""
        access = AccessReconciler(
            self.database,
            self._clients,
            self._claims,
            clock=self.clock,
            repair=self._repair,
            memory=self._memory,
            named=self._named,
        )
        keeper = BackstopKeeper(
            self.database, self._clients, self._claims, clock=self.clock, named=self._named
        )
        return (
            _batched(
                "access", access.due, self._then_messages(access.reconcile), workers=ACCESS_WORKERS
            ),
            _batched("backstops", keeper.due, self._then_access(keeper.keep)),
        )

    def _build_messages(self, glass: GlassDesk) -> tuple[Loop, Loop]:
        """What keeps Slack right: the messages of requests, and the outbox."""
        messages = MessageReconciler(
            self.database,
            self._client,
            self._claims,
            Projector(self._directory, glass, self._policy),
            unfit=self._directory.unfit,
            shown=lambda request: self.listeners.show_change(request.requester),
            clock=self.clock,
            note=self._memory.note,
        )
        announcer = Announcer(
            self.database, self._client, self._claims, unfit=self._directory.unfit, clock=self.clock
        )
        return (
            _batched("messages", messages.due, messages.reconcile),
            Loop("announcements", announcer.due, announcer.post, workers=_OTHER_WORKERS),
        )

    def _build_requests(self, facts: FactFinder) -> tuple[Loop, Loop, Loop, Loop]:
        """What time makes of requests: `waiting`, `tickets`, `reviews` and `starts`."""
        waiting = WaitingRequests(self.database, changed=self._wake_messages, clock=self.clock)
        tickets = TicketWatch(
            self.database,
            self._policy_in_force,
            self._tickets.status,
            changed=self._wake_all,
            clock=self.clock,
        )
        owed = OwedReviews(self.database, changed=self._wake_messages, clock=self.clock)
        starts = Starts(
            self.database,
            self._claims,
            facts,
            self.policy.current,
            changed=self._wake_all,
            clock=self.clock,
        )
        self._memory.forgets += [tickets.forget, starts.forget]
        return (
            _batched("waiting", waiting.due, waiting.work, workers=1),
            Loop("tickets", tickets.due, tickets.work, workers=1),
            _batched("reviews", owed.due, owed.work, workers=1),
            _batched("starts", starts.due, starts.work),
        )

    def _build_drift(self, settings: Settings, given: Given) -> tuple[Loop, Loop]:
        self._scanner = DriftScanner(
            self.database,
            self._clients,
            self._claims,
            self._policy_in_force,
            every=timedelta(minutes=settings.drift_minutes),
            clock=self.clock,
            calls_per_second=given.drift_calls_per_second,
        )
        reporter = DriftReporter(
            self.database,
            self._claims,
            self._policy_in_force,
            found=drift_found,
            digest=standing_digest,
            clock=self.clock,
        )
        self._memory.forgets += [self._scanner.forget, reporter.forget]
        return (
            Loop("drift", self._scanner.due, self._scanner.scan, workers=_OTHER_WORKERS),
            Loop("drift reports", reporter.due, reporter.report, workers=1),
        )

    def _build_alarms(self) -> tuple[Loop, Loop, Loop, Loop]:
        late = LateRemovals(
            self.database,
            self._claims,
            self._policy_in_force,
            alarm=late_alarm,
            over=late_over,
            people=self._alarm_people,
            clock=self.clock,
        )
        unheard = Unheard(
            self.database,
            self._claims,
            people=self._alarm_people,
            instead=instead_of_channel,
            clock=self.clock,
        )
        gone = GoneGroups(
            self.database,
            self._claims,
            self._directory,
            self._policy_in_force,
            clock=self.clock,
        )
        self._adoption = AdoptionAlarm(
            self.database,
            self._claims,
            self._policy_in_force,
            self._say_unsure,
            clock=self.clock,
        )
        self._memory.forgets += [late.forget, unheard.forget, gone.forget, self._adoption.forget]
        return (
            Loop("adoption", self._adoption.due, self._adoption.tell, workers=1),
            Loop("late removals", late.due, late.tell, workers=1),
            Loop("unheard alarms", unheard.due, unheard.tell, workers=1),
            Loop("gone groups", gone.due, gone.look, workers=1),
        )

    def _alarm_people(self) -> tuple[str, ...]:
        return alarm_people(self.policy, self._directory)

    def _signals(self) -> CollectorRegistry:
        """The metrics, and the job that tells people what comes of a store that is away."""
        unstored = LateUnstored(
            self._store_watch,
            self._client,
            self._policy_in_force,
            people=self._alarm_people,
            unfit=self._directory.unfit,
            message=unstored_alarm,
            clock=self.clock,
        )
        self._jobs.every(_STORE_SECONDS, "store", unstored.look)
        return build_registry(
            self._store_watch,
            self.loops,
            self.clock,
            self._connection,
            counted=lambda: (self._memory.epoch, self._sweep.found),
        )

    def _anchor(self, *, end: bool = False) -> None:
        """Write the audit head down; at the end also what was done last."""
        if not end:
            self._anchors.look()  # its job tells of a store that is away, ever more seldom
            return
        try:
            self._sealer.seal()
            self._anchors.finish()
        except StoreUnavailable as error:
            log.warning("the audit head was not anchored", cause=str(error.__cause__))

    def _anchored(self, bucket: AnchorBucket | None, head: Head) -> Head | None:
        """The last of the bucket's anchors that are not before the store's head.

        None where there is none. Raises AwsProblem.
        """
        policy = self._policy()
        if bucket is None or policy is None:
            return None
        later = bucket.anchors(policy.deployment, after=head.position - 1)
        last = max(later, key=lambda one: one.position, default=None)
        return Head(last.position, last.hash) if last is not None else None

    def _say_went_back(self, tx: Connection, key: str, ended: Sequence[str], now: datetime) -> None:
        self._say(tx, f"{announcements.WENT_BACK}{key}", went_back(ended), now)

    def _say_made_due(self, tx: Connection, found: Sequence[Found], now: datetime) -> None:
        # Once a day, however often: what it is about is in the log and in the audit trail.
        self._say(tx, f"{announcements.MADE_DUE}{now.date()}", made_due(found), now)

    def _say_unsure(self, tx: Connection, key: str, found: Strangers, now: datetime) -> bool:
        return self._say(tx, key, unsure(found.number, self.database.place), now)

    def _say(self, tx: Connection, key: str, said: Message, now: datetime) -> bool:
        """Announce it to those who look after the bot. False where nothing of it was new."""
        policy = self._policy()
        new = [
            announcements.announce(
                tx, key=key, channel=channel, text=said.text, blocks=said.blocks, now=now
            )
            for channel in (channels(policy) if policy is not None else ())
        ]
        return any(new)

    def _policy(self) -> Policy | None:
        """The policy in force, where there is one, for what grants nothing."""
        try:
            return self.policy.soon().policy
        except PolicyUnavailable:
            return None

    def _policy_in_force(self) -> Policy:
        """As `_policy`, for loops; raises PolicyError. None of them waits for a file for long."""
        return self.policy.soon().policy

    def _named(self, cluster: Cluster) -> Cluster | None:
        """The cluster as the policy in force names it, where it does."""
        policy = self._policy()
        return policy.clusters_by_name.get(cluster.name) if policy is not None else None

    def _repair(self) -> bool:
        """Whether what others took away is made anew: not while nothing is to be granted."""
        try:
            repair = self._policy_in_force().drift.repair
        except PolicyUnavailable:
            return False
        with self.database.reading() as tx:
            return repair and lockdowns.current(tx) is None


def _batched(
    name: str,
    due: Callable[[int], Sequence[Any]],
    work: Callable[[Any], None],
    workers: int = _OTHER_WORKERS,
) -> Loop:
    """A loop whose `due` lists a batch, and as many more as it is told."""
    return Loop(name, due, work, workers=workers, batched=True)


def audit_bucket(settings: Settings) -> AnchorBucket | None:
    """The bucket for anchors of the audit trail, where one is set."""
    if settings.audit_bucket is None:
        return None
    keep = timedelta(days=settings.audit_keep_days)
    return AnchorBucket(settings.audit_bucket, mode=settings.audit_lock, keep=keep)


def _services(settings: Settings, clock: Clock) -> tuple[TicketServices, OnCallServices]:
    """Who tells of tickets, and who of people on call."""
    pagerduty_key, pagerduty_url = settings.pagerduty_key(), settings.pagerduty_api_url
    opsgenie = Opsgenie(settings.opsgenie_api_url, settings.opsgenie_key(), clock=clock)
    return (
        TicketServices(
            Jira(settings.jira_url, settings.jira_email, settings.jira_key(), clock=clock),
            PagerDutyIncidents(pagerduty_url, pagerduty_key, clock=clock),
        ),
        OnCallServices(
            {
                "pagerduty": PagerDuty(pagerduty_url, pagerduty_key, clock=clock),
                "opsgenie": opsgenie,
            }
        ),
    )


def _slack_client(settings: Settings) -> WebClient:
    # No handler that sleeps after a 429: the loops wait as long as Slack asks, and work meanwhile.
    return WebClient(settings.bot_token(), base_url=settings.slack_api_url, timeout=10)
