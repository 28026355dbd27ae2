"""A real bot that may be killed at any moment, and what must be so after it was started again.

What is right is said here from the rows of the store, the entries of EKS and the messages in Slack
themselves; nothing of the planner or of the projection is asked.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, NamedTuple, Self

from bot_process import PATIENCE_SECONDS, BotProcess, environment_of, until
from sqlalchemy import text

from bot.sandbox.humans import Human
from bot.sandbox.interactions import Outcome
from bot.sandbox.slack_shown import Message
from bot.sandbox.stage import LAB_ACCOUNT, Stage
from bot.store import migrate
from bot.store.audit_verify import verify
from bot.store.database import Database

CLUSTER = "lab"
CHANNEL = "C01OWNERS"
OWNERS = "S01OWNERS"
STANDING_OWNER = "U0STANDING"
GENERAL = "C00GENERAL"
POLICY = f"""\
deployment: kill
audit_channel: C0AUDIT
security_channel: C0SECURITY
clusters:
  - {{name: {CLUSTER}, region: eu-west-1, account: "{LAB_ACCOUNT}"}}
levels:
  view: {{policy: AmazonEKSViewPolicy}}
  edit: {{policy: AmazonEKSEditPolicy}}
principals:
  template: "arn:aws:iam::{{account}}:role/eks-jit/{{email_name}}"
  email_domains: [example.com]
lockdown: {{owners: {{groups: [{OWNERS}]}}}}
rules:
  - name: readers
    clusters: ["*"]
    levels: [view]
    namespaces: [default]
    approval: automatic
    max_duration: 8h
  - name: editors
    clusters: ["*"]
    levels: [edit]
    namespaces: [default]
    approval: {{channel: {CHANNEL}, owners: {{groups: [{OWNERS}]}}}}
    max_duration: 8h
"""


class Writes(NamedTuple):
    """How often a write took effect at EKS."""

    created: int
    associated: int
    deleted: int


NOTHING = Writes(0, 0, 0)
GIVEN = Writes(1, 1, 0)
TAKEN = Writes(1, 1, 1)
OPERATIONS = ("CreateAccessEntry", "AssociateAccessPolicy", "DeleteAccessEntry")
MOST_COPIES = 2
"""A message may have been posted twice, and nothing else may have happened twice."""


@dataclass(frozen=True)
class Expected:
    """How a request of a case ends: its state and its grant's, and what the card says."""

    request: str
    grant: tuple[str, str | None] | None
    card: str


class World:
    """Slack, EKS and a store, with one bot or several: `processes`, oldest first.

    `forked`: they are forked, and not launched as the command, see `bot_process`.
    """

    migrate = True

    def __init__(self, database_url: str | None = None, *, forked: bool = False) -> None:
        self._forked = forked
        self.stage = Stage(policy=POLICY, database_url=database_url)
        self._numbers = itertools.count(1)
        self._lists_before = 0
        self.processes: list[BotProcess] = []

    def __enter__(self) -> Self:
        self.stage.__enter__()
        slack = self.stage.slack
        for channel, name in (
            (GENERAL, "general"),
            (CHANNEL, "owners"),
            ("C0AUDIT", "audit"),
            ("C0SECURITY", "security"),
        ):
            slack.add_channel(channel, name)
        # Never nobody: another replica may go by what it read before the first case began.
        slack.add_person(STANDING_OWNER, "standing")
        slack.add_group(OWNERS, "owners", users=[STANDING_OWNER])
        self.stage.eks.create_cluster(CLUSTER, "eu-west-1", LAB_ACCOUNT)
        self.database = Database(self.stage.database_url)
        if self.migrate:
            migrate.upgrade(self.database)
        return self

    def __exit__(self, *error: object) -> None:
        for process in self.processes:
            process.discard()
        self.database.close()
        self.stage.__exit__(*error)

    @property
    def process(self) -> BotProcess:
        (process,) = self.processes
        return process

    def start(self, processes: int = 1) -> None:
        """Start so many bots more, and wait until they are ready and the cluster was read whole."""
        launched_at = self.now()
        self.launch(processes)
        self.wait_ready()
        self._wait_scanned(launched_at)

    def launch(self, processes: int = 1) -> None:
        """Start so many bots more."""
        self._lists_before = self._lists()
        environment = environment_of(self.stage)
        self.processes += [BotProcess(environment, forked=self._forked) for _ in range(processes)]

    def scan(self) -> None:
        """Have the cluster read whole once more, as when its time has come."""
        before = self.now()
        with self.database.transaction() as tx:
            tx.execute(text("UPDATE drift_scans SET due_at = scanned_at"))
        self._wait_scanned(before)

    def _wait_scanned(self, since: Any) -> None:
        scanned = "SELECT count(*) FROM drift_scans WHERE scanned_at > :since"
        until(lambda: self.scalar(scanned, since=since), self.all_logs)

    def wait_ready(self) -> None:
        """Wait until Slack reaches all bots, and one has begun to read the cluster whole.

        It has listed the entries by then, so that none of a case that begins now is among those
        that it goes through, a few in a second.
        """
        for process in self.processes:
            process.wait_logged("started")
        self.stage.slack.wait_connected(len(self.processes), timeout=PATIENCE_SECONDS)
        assert self.stage.eks.wait_for(
            lambda: self._lists() > self._lists_before, PATIENCE_SECONDS
        ), self.all_logs()

    def _lists(self) -> int:
        calls = self.stage.eks.calls_of("ListAccessEntries")
        return sum(call.status == HTTPStatus.OK for call in calls)

    def kill(self, *processes: BotProcess) -> None:
        """Kill these, or the one there is."""
        for process in processes or (self.process,):
            process.kill()
            self.processes.remove(process)
        self.stage.slack.wait(
            lambda: len(self.stage.slack.sockets.connections) <= len(self.processes), 10
        )

    def begin(self) -> Case:
        """A case with a requester and an owner of its own."""
        number = next(self._numbers)
        ids = f"U1{number:03}", f"U2{number:03}"
        for person_id, name in zip(ids, ("ana", "ben"), strict=True):
            self.stage.slack.add_person(person_id, f"{name}{number}")
            for channel in (GENERAL, CHANNEL):
                self.stage.slack.join(channel, person_id)
        case = Case(self, *(self.stage.slack.human(person_id) for person_id in ids))
        self.set_owners(case.ben)
        return case

    def set_owners(self, *owners: Human) -> None:
        """Let these decide, and nobody else."""
        self.stage.slack.set_group(OWNERS, [owner.id for owner in owners])

    def now(self) -> Any:
        """The time, in the form in which the store of this kind compares it."""
        now = datetime.now(UTC)
        return f"{now:%Y-%m-%d %H:%M:%S.%f}" if self.database.is_sqlite else now

    def rows(self, statement: str, **values: Any) -> list[Any]:
        with self.database.reading() as tx:
            return list(tx.execute(text(statement), values))

    def scalar(self, statement: str, **values: Any) -> Any:
        with self.database.reading() as tx:
            return tx.scalar(text(statement), values)

    def all_logs(self) -> str:
        return "\n".join(process.log for process in self.processes)

    def chain_findings(self) -> list[str]:
        """What is wrong with the audit trail as a whole."""
        with closing(Database(self.stage.database_url)) as database:
            report = verify(database)
        return [str(one) for one in report.findings]


class Case:
    """One requester's life with one owner. `found` collects what the act answered."""

    def __init__(self, world: World, ana: Human, ben: Human) -> None:
        self.world = world
        self.ana = ana
        self.ben = ben
        self.principal = f"arn:aws:iam::{LAB_ACCOUNT}:role/eks-jit/{ana.person.name}"

    def begin(self, act: Callable[[Case], Outcome]) -> Future[Outcome]:
        """Do something that is answered only when the bot is let go."""
        acting = ThreadPoolExecutor(1)
        future = acting.submit(act, self)
        acting.shutdown(wait=False)
        return future

    # What people do

    def ask_reader(self, length: str = "1h") -> Outcome:
        line = f"/eks-access request {CLUSTER} view --namespace default --for {length} Looking"
        return self.ana.command(line, GENERAL)

    def ask_editor(self) -> Outcome:
        line = f"/eks-access request {CLUSTER} edit --namespace default --for 1h Mending"
        return self.ana.command(line, GENERAL)

    def do(self, words: str, who: Human | None = None) -> Outcome:
        """A command about the first request: `{}` stands for its id."""
        return (who or self.ana).command(f"/eks-access {words.format(self.ids()[0])}", GENERAL)

    def approve(self) -> Outcome:
        return self.ben.click(self.cards(self.ids()[0])[0], "approve")

    # What is so

    def ids(self) -> list[str]:
        """The requests of the requester, oldest first."""
        found = self.world.rows(
            "SELECT id FROM requests WHERE requester = :who ORDER BY created_at", who=self.ana.id
        )
        return [str(row.id) for row in found]

    def cards(self, request_id: str) -> list[Message]:
        """The cards of a request, wherever they stand."""
        slack = self.world.stage.slack
        with slack.lock:
            return [
                message
                for channel in (CHANNEL, "C0AUDIT")
                for message in slack.messages.get(channel, ())
                if message.text.endswith(f"({request_id})")
                and message.ephemeral_to is None
                and message.thread_ts in (None, message.ts)
            ]

    def wait_right(self, *expected: Expected, writes: Writes, crosses: str | None = None) -> None:
        """Wait until nothing is wrong. Raises AssertionError with what is.

        The operation that `crosses` may have taken effect once more.
        """
        until(
            lambda: not self.wrong(expected, writes, crosses),
            lambda: (
                f"wrong: {self.wrong(expected, writes, crosses)}\n\n"
                f"{self.world.all_logs()}\n{self.world.stage.slack.dump()}"
            ),
        )

    def wrong(
        self, expected: tuple[Expected, ...], writes: Writes, crosses: str | None
    ) -> list[str]:
        """Everything that is not as it should be, in words."""
        return [
            *self._wrong_requests(expected),
            *self._wrong_at_eks(writes, crosses),
            *self._wrong_messages(expected),
            *self._undone(),
        ]

    def _wrong_requests(self, expected: tuple[Expected, ...]) -> list[str]:
        found = self.world.rows(
            "SELECT r.id, r.state, g.state AS grant_state, g.end_reason FROM requests r "
            "LEFT JOIN grants g ON g.id = r.id WHERE r.requester = :who ORDER BY r.created_at",
            who=self.ana.id,
        )
        seen = [
            (row.state, (row.grant_state, row.end_reason) if row.grant_state else None)
            for row in found
        ]
        wanted = [(one.request, one.grant) for one in expected]
        wrong = [] if seen == wanted else [f"the store has {seen} and not {wanted}"]
        for row in found:
            told = self.world.rows(
                "SELECT action FROM audit_events WHERE request_id = :id", id=row.id
            )
            counted = Counter(one.action for one in told)
            wrong += [f"{row.id}: {n} x {action}" for action, n in counted.items() if n > 1]
        return wrong

    def _wrong_at_eks(self, writes: Writes, crosses: str | None) -> list[str]:
        """EKS equals the union of the active grants, by exactly these writes that took effect."""
        given = self.world.rows(
            "SELECT r.level FROM grants g JOIN requests r ON r.id = g.id "
            "WHERE g.principal_arn = :arn AND g.state = 'ACTIVE'",
            arn=self.principal,
        )
        wanted = {f"AmazonEKS{row.level.title()}Policy": ("default",) for row in given}
        entry = self.world.stage.eks.entry(CLUSTER, self.principal)
        seen = {one.policy: one.namespaces for one in entry.associations} if entry else {}
        wrong = [] if seen == wanted else [f"EKS has {seen}, the store says {wanted}"]
        if entry is not None and not wanted:
            wrong.append("there is an entry, and no active grant")
        calls = self.world.stage.eks.calls_of(principal=self.principal)
        done = Counter(one.operation for one in calls if one.status == 200)
        counted = Writes(*(done[operation] for operation in OPERATIONS))
        twice = Writes(
            *(n + (operation == crosses) for operation, n in zip(OPERATIONS, writes, strict=True))
        )
        if counted not in {writes, twice}:
            wrong.append(f"written {counted}, not {writes}")
        return wrong

    def _wrong_messages(self, expected: tuple[Expected, ...]) -> list[str]:
        wrong = []
        for request_id, one in zip(self.ids(), expected, strict=False):
            cards = self.cards(request_id)
            known = {
                row.ts
                for row in self.world.rows(
                    "SELECT ts FROM messages WHERE request_id = :id AND key = 'card'", id=request_id
                )
            }
            if not 1 <= len(cards) <= MOST_COPIES:
                wrong.append(f"{len(cards)} cards")
            said = [card.text for card in cards if card.ts in known]
            if not (len(said) == 1 and f": {one.card}" in said[0]):
                wrong.append(f"the card says {said} and not {one.card}")
        return wrong

    def _undone(self) -> list[str]:
        """What still waits to be done for this requester, or to be sealed."""
        queries = {
            "an item in the inbox": "inbox WHERE state <> 'DONE'",
            "an entry": "entries WHERE attempts > 0 AND principal_arn = :arn",
            "a message": "requests WHERE messages_attempts > 0 AND requester = :who",
            "an announcement": "announcements WHERE due_at IS NOT NULL",
            "an event without a seal": "audit_unsealed",
        }
        values = {"arn": self.principal, "who": self.ana.id}
        return [
            f"undone: {name}"
            for name, query in queries.items()
            if self.world.rows(
                f"SELECT 1 FROM {query}",  # noqa: S608 - from above
                **{key: value for key, value in values.items() if f":{key}" in query},
            )
        ]
