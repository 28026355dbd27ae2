"""One life: a story carried out step by step against the real bot, and judged after each step.

A story is plain JSON: a setting and a list of steps, each `[name, *arguments]`. What the steps do
is in the modules of `ACTS`; whatever has more to try adds steps there. Requests are named by their
place in the order of creation, so that a story stays meaningful when steps are left out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bot.core.errors import StoreUnavailable
from bot.sandbox.eks_faults import Fault as EksFault
from bot.sandbox.scheduler import Stored
from bot.sandbox.slack_faults import Fault as SlackFault
from bot.store import entries, stores
from bot.store.database import Database
from tests.simulation.approvals import is_member
from tests.simulation.boundary import SimulatedCrash, Unforeseen
from tests.simulation.oracle import Oracle
from tests.simulation.process import Process
from tests.simulation.scene import CLUSTERS, Json, changed, furnish_eks, furnish_slack, text_of
from tests.simulation.shadow import Violation
from tests.simulation.showing import verify_slack
from tests.simulation.stage import SLACK, Stage
from tests.simulation.store_reading import StoreReader
from tests.simulation.store_troubles import Copies

TICK = timedelta(milliseconds=500)
ALLOWED = timedelta(minutes=5)
"""How long everything may take to be right once faults have ended: pauses grow to a minute, and a
write that was cut off by a crash is waited for a minute and a half."""

GONE_HOURS = 26
"""After so long a cluster that AWS does not know is taken to be gone."""

MOST_ASKED = timedelta(hours=1)
"""How long a pause that Slack asks for is kept to, at most."""

_ROUNDS = 200
_MOST_ITEMS = 40


@dataclass
class Story:
    """`seed` is where it came from."""

    seed: int
    setting: Json
    steps: list[list[Any]]

    def dump(self) -> str:
        """One line a step, as `load` reads it."""
        head = json.dumps({"seed": self.seed, "setting": self.setting})
        return "\n".join([head, *(json.dumps(step) for step in self.steps)])

    @classmethod
    def load(cls, text: str) -> Story:
        head, *steps = [json.loads(line) for line in text.splitlines() if line.strip()]
        return cls(head["seed"], head["setting"], steps)


@dataclass
class Outcome:
    """How a life went. `broken` is the invariant that does not hold, at step `at`."""

    counts: Counter[str]
    broken: Violation | None = None
    at: int = 0
    trace: list[str] = field(default_factory=list)


Act = Callable[..., None]
ACTS: dict[str, Act] = {}


def act(name: str) -> Callable[[Act], Act]:
    """Register a kind of step."""

    def register(function: Act) -> Act:
        ACTS[name] = function
        return function

    return register


class Life:
    """What the acts work with: the stage, the bot's process, Slack, and the oracle."""

    def __init__(
        self, stage: Stage, story: Story, database: Database, url: str, copies: Copies
    ) -> None:
        self.stage = stage
        self.story = story
        self.setting = dict(story.setting)
        self.database = database
        self.boundary = stage.boundary
        self.clock = stage.clock
        self.eks = stage.eks
        self.counts: Counter[str] = Counter()
        self.trace: list[str] = []
        furnish_eks(self.eks)
        self.slack, self.urls = stage.new_slack()
        furnish_slack(self.slack)
        self.variant = "good"
        self.reader = StoreReader(url)
        self.copies = copies
        copies.leave = self._leave_store
        self.operators = Database(url)
        with self.operators.transaction() as tx:
            stores.ensure_identity(tx)  # as a first start leaves it
        self.second: Database | None = None
        self.oracle = Oracle(self.setting, self.reader, self.eks, self.slack, self.clock)
        self.laid_aws: list[tuple[str, EksFault]] = []
        self.laid_slack: list[tuple[str, SlackFault, int]] = []
        self.last_payload: Json | None = None
        self.propagating = False
        self.was_without_policy = False
        self.clock_went_back = False
        self.slack_waits_until = self.clock()
        self._found: Violation | None = None
        stage.aws.asking = self.oracle.asked
        stage.aws.told = self.oracle.told
        stage.aws.pass_time = lambda seconds: self.clock.move(timedelta(seconds=seconds))
        stage.listen(self._carried_out)
        stage.slack_transport.asked_to_wait = self._asked_to_wait
        self._strikes: list[tuple[datetime, Stored]] = []
        if self.setting["backstop"]:
            self.clock.passed = self._fire_schedules
        self.write_policy("good")
        self.process = self._new_process()
        self.slack.on_event = self._tell_the_bot
        self.watch_policy()

    def close(self) -> None:
        self.process.close()
        self.reader.close()
        self.operators.close()
        if self.second is not None:
            self.second.close()

    def _leave_store(self) -> None:
        self.reader.leave()
        self.operators.close()

    # The process

    def _tell_the_bot(self, event: Json) -> None:
        """An event of Slack's, which reaches the bot at once."""
        self.process.hear(event)

    def rebirth(self) -> None:
        """The process is gone; a new one knows nothing but the store."""
        self.process.close()
        self.boundary.revive()
        self.database.close()  # a dead process holds no connection, and so no lock
        self.process = self._new_process()
        self.oracle.document = None  # a new process has no last good policy
        self.watch_policy()

    def _new_process(self) -> Process:
        return Process(
            self.database,
            self.stage.clients,
            policy_file=self.stage.policy_file,
            slack_url=f"{SLACK}/api/",
            bot_token=self.slack.app.bot_token,
            clock=self.clock,
        )

    def write_policy(self, variant: str) -> None:
        """Replace the policy file, as it should be: by a rename."""
        self.variant = variant
        text = text_of(self.setting, variant)
        if text is None:
            self.stage.policy_file.unlink(missing_ok=True)
            return
        made = self.stage.policy_file.with_suffix(".new")
        made.write_text(text)
        made.rename(self.stage.policy_file)

    def watch_policy(self) -> None:
        """The bot looks at the file; what is broken never comes into force."""
        with self.work_of_the_bot():
            self.process.watch_policy()
        good = changed(self.setting, self.variant)
        if good is not None:
            self.oracle.document = good
        self.was_without_policy |= self.oracle.document is None

    @contextmanager
    def work_of_the_bot(self, *, judged: bool = True) -> Iterator[None]:
        """What the bot does in this block may crash it or find its store away, and is judged."""
        crashed = False
        if judged:
            self.oracle.begin()
        try:
            with self.boundary.watching():
                yield
        except SimulatedCrash:
            crashed = True
        except StoreUnavailable:
            self.counts["met: the store was away"] += 1
        except Violation:
            raise
        except Unforeseen:
            pass  # a loop tells of it and goes on with the next item
        except Exception as error:
            raise Violation("no unhandled exception", f"{type(error).__name__}: {error}") from error
        if judged:
            self.judge()
        if crashed:
            self.counts["met: restart after a crash"] += 1
            self.rebirth()

    def judge(self) -> None:
        if self._found is not None:
            raise self._found
        if self.stage.errors:
            raise Violation("no unhandled exception", f"the log says {self.stage.errors[0]}")
        self.oracle.look()

    def _carried_out(self, call: Any) -> None:
        try:
            self.oracle.carried_out(call)
        except Violation as found:
            # Raised here it would look to the bot like a failed call.
            self._found = self._found or found

    def _asked_to_wait(self, retry_after: str) -> None:
        """Slack asked for a pause; what is no number of seconds, or too many, is not believed."""
        seconds = float(retry_after) if retry_after.replace(".", "").isdigit() else 0
        until = self.clock() + min(timedelta(seconds=seconds), MOST_ASKED)
        self.slack_waits_until = max(self.slack_waits_until, until)

    def _fire_schedules(self) -> None:
        """EventBridge Scheduler carries out what is due, as late as the setting says."""
        scheduler, now = self.eks.scheduler, self.clock()
        for due in [one for one in scheduler.schedules() if one.at <= now]:
            scheduler.take(due.name)
            self._strikes.append((due.at + timedelta(seconds=self.setting["strikes_after"]), due))
        for strike in [one for one in self._strikes if one[0] <= now]:
            self._strikes.remove(strike)
            try:
                self.oracle.struck(scheduler.strike(strike[1]), strike[1].at)
            except Violation as found:
                self._found = self._found or found

    # Loops and time

    def tick(self, loops: tuple[str, ...] | None = None) -> bool:
        """Let the loops look once, and half a second pass. False where a crash cut it short."""
        loops = loops or self.process.loops
        started, before = self.clock(), self._disturbed()
        process = self.process
        for loop in loops:
            items: list[Any] = []
            with self.work_of_the_bot(judged=False):
                items = list(process.due(loop))
            for item in items[:_MOST_ITEMS]:
                if self.process is not process:
                    return False
                with self.work_of_the_bot():
                    process.work(loop, item)
            if self.process is not process:
                return False
        if "drift" in loops:  # Homes are judged by nobody, and so few are enough
            with self.work_of_the_bot(judged=False):
                process.publish_homes()
            if self.process is not process:
                return False
        undisturbed = self._disturbed() == before and self.stage.troubles.kind is None
        if undisturbed and {"access", "waiting"} <= set(loops):
            self.oracle.after_tick(started)
        self.clock.move(TICK)
        return True

    def _disturbed(self) -> int:
        """Grows with each fault that meets the bot."""
        return self.boundary.met.total() + self.counts["met: the store was away"]

    def move(self, by: timedelta) -> None:
        """Let time pass; what was under way arrives at EKS, as it does within half a minute."""
        if by > timedelta(seconds=10):
            self.settle_eks()
        self.clock.move(by)

    def settle_eks(self) -> None:
        """What is under way arrives, and EKS shows everything as it is."""
        self.stage.aws.arrive()
        if self.propagating:
            for _ in range(12):
                for cluster in set(CLUSTERS) - self.oracle.gone.keys():
                    self.eks.backend().list_access_entries(cluster)
            self.propagating = False
        if self._found is not None:
            raise self._found

    def calm(self, *, slack: bool = True) -> None:
        """Faults end; soon everything must be right. Raises Violation.

        Without `slack`, Slack goes on as it is, and what it is asked or told need not be right.
        """
        scopes_come = slack and self.stage.slack_transport.refuses == "missing_scope"
        self.end_faults(slack=slack)
        if self.stage.aws.refused and self.variant != "good":
            self.write_policy("good")  # nothing else says how clusters are reached now
            self.watch_policy()
        if scopes_come:
            # What the bot may see of channels it keeps for a minute that does not pass here.
            self.rebirth()
        self._wake_tampered()
        began = self.clock()
        for round_ in range(_ROUNDS):
            self.tick()
            if round_ == 1:
                self.settle_eks()
            due = self._next_due(slack=slack)
            if due is None:
                break
            if self.clock() - max(began, self.slack_waits_until) > ALLOWED:
                raise Violation(
                    2, f"not at rest {ALLOWED} after the last fault: {self._unrest(slack=slack)}"
                )
            self.clock.move(min(max(due - self.clock(), timedelta()), ALLOWED))
        else:
            raise Violation(2, f"not at rest after {_ROUNDS} rounds: {self._unrest(slack=slack)}")
        self.settle_eks()
        self.oracle.look()
        self.oracle.at_rest()
        if not slack:
            self.counts["calm: access was right without Slack"] += 1
            return
        verify_slack(
            self.oracle.now,
            self.slack,
            self.reader.posted(),
            audit_known=not self.was_without_policy,
            clock_went_back=self.clock_went_back,
            unproven=self.oracle.unproven,
        )
        self.counts["calm: everything was right"] += 1

    def end_faults(self, *, slack: bool = True) -> None:
        """Nothing goes wrong from here on, until a step lays something again."""
        self.boundary.disarm()
        self.stage.troubles.end()
        self.stage.aws.late, self.stage.aws.half, self.stage.aws.slow = 0, 0, 0.0
        self.eks.faults.clear()
        self._count_faults()
        if not slack:
            return
        self.stage.slack_transport.odd.clear()
        self.slack.faults.clear()
        self.stage.slack_transport.refuses = None
        for channel in list(self.slack.channels.values()):
            if channel.is_archived:
                self.slack.unarchive(channel.id)

    def _count_faults(self) -> None:
        for kind, fault in self.laid_aws:
            self.counts[f"met: {kind}"] += fault.hits
        for kind, slack_fault, times in self.laid_slack:
            self.counts[f"met: {kind}"] += times - (slack_fault.times or 0)
        self.laid_aws.clear()
        self.laid_slack.clear()

    def _wake_tampered(self) -> None:
        """Have the bot look at entries that others changed, as looking for drift does."""
        tampered = [key for key, book in self.oracle.shadow.books.items() if book.tampered]
        for cluster, principal in tampered:
            self.oracle.shadow.books[cluster, principal].tampered = False
            query = "SELECT id FROM entries WHERE cluster = ? AND principal_arn = ?"
            for (entry_id,) in self.reader.rows(query, cluster, principal):
                with self.operators.transaction() as tx:
                    entries.wake(tx, entry_id, self.clock())

    def _next_due(self, *, slack: bool) -> Any:
        """When the next thing that is not right yet is looked at; None: all is at rest."""
        snapshot = self.oracle.now
        if not self._unrest(slack=slack):
            return None
        now = self.clock()
        times = self._looks_due()
        if not slack:
            return min(times, default=now)
        times += snapshot.inbox_due
        times += [one.due_at for one in snapshot.requests.values() if one.due_at is not None]
        times += [
            one.lapses_at
            for one in snapshot.requests.values()
            if one.state == "PENDING" and one.lapses_at is not None
        ]
        return min((time for time in times), default=now)

    def _unrest(self, *, slack: bool) -> list[str]:
        snapshot, now = self.oracle.now, self.clock()
        found = [
            f"grant {one.id} {one.state}"
            for one in snapshot.grants.values()
            if one.cluster not in self.oracle.unproven
            and (
                one.state in {"PROVISIONING", "REVOKING"}
                or (one.state == "ACTIVE" and one.ends_at <= now)
            )
        ]
        if any(time <= now for time in self._looks_due()):
            found.append("an entry or a backstop is due")
        return found + self._untold() if slack else found

    def _looks_due(self) -> list[datetime]:
        """When the next looks at entries and backstops are due, but of clusters that are gone."""
        snapshot = self.oracle.now
        return [
            at
            for at, cluster in (*snapshot.entries_due, *snapshot.backstops_due)
            if cluster not in self.oracle.unproven
        ]

    def _untold(self) -> list[str]:
        """What Slack is still to be asked or told."""
        snapshot, now = self.oracle.now, self.clock()
        found = [
            f"inbox {item} {state}"
            for item, (state, who) in snapshot.inbox.items()
            # To others Slack brings no direct message, and an answer to them is given up in time.
            if state == "NEW" or is_member(who, self.slack)
        ]
        for one in snapshot.requests.values():
            # Slack takes nothing for somebody who is deactivated, however often it is tried.
            tried = one.attempts and not self.slack.people[one.requester].deleted
            if tried or (one.due_at is not None and one.due_at <= now):
                found.append(f"messages of {one.id} due {one.due_at}")
            if one.state == "PENDING" and one.lapses_at is not None and one.lapses_at <= now:
                found.append(f"{one.id} lapses")
        return found

    # Naming things

    def request_id(self, number: int) -> str | None:
        """The id of a request by its place; None where there is none yet."""
        ids = list(self.oracle.now.requests)
        return ids[number % len(ids)] if ids else None

    def finish(self) -> None:
        """The end of every life: all is right, then all access ends, and all is right again.

        A Slack that refuses for good keeps no access: that ends first.
        """
        self._all_ends()
        if self.oracle.gone:
            # Looks that prove it are at most two hours apart, for a day.
            for _ in range(GONE_HOURS):
                self.move(timedelta(hours=1))
                self.tick(("access",))
            self.oracle.unproven.clear()
            self._all_ends()

    def _all_ends(self) -> None:
        if self.stage.slack_transport.refuses is not None:
            live = [one.ends_at for one in self.oracle.now.grants.values() if one.state == "ACTIVE"]
            self.move(max(max(live, default=self.clock()) - self.clock(), timedelta()))
            self.calm(slack=False)
        self.calm()
        ends = [one.ends_at for one in self.oracle.now.grants.values() if one.state == "ACTIVE"]
        ends += [
            one.lapses_at
            for one in self.oracle.now.requests.values()
            if one.state == "PENDING" and one.lapses_at is not None
        ]
        if not ends:
            return
        self.move(max(max(ends) - self.clock(), timedelta()))
        self.calm()
        left = [
            one.id
            for one in self.oracle.now.grants.values()
            if one.state != "ENDED" and one.cluster not in self.oracle.unproven
        ]
        if left:
            raise Violation(2, f"{left} did not end")


def live(stage: Stage, story: Story) -> Outcome:
    """Carry a story out. Never raises for what is wrong with the bot: it is in the outcome."""
    stage.reset()
    with stage.database(story.setting["database"]) as (database, url, copies):
        life = Life(stage, story, database, url, copies)
        outcome = Outcome(life.counts, trace=life.trace)
        try:
            for outcome.at, step in enumerate([*story.steps, ["finish"]]):
                name, *arguments = step
                life.counts[f"step: {name}"] += 1
                ACTS[name](life, *arguments)
                life.judge()
                life.trace.append(_digest(life))
        except Violation as found:
            outcome.broken = found
        finally:
            life.end_faults()
            life.counts.update({f"met: {kind}": n for kind, n in stage.boundary.met.items()})
            gone = [one for one in life.slack.calls if one.error == "no_such_subteam"]
            life.counts["met: slack: a user group that is gone"] += len(gone)
            life.counts.update(
                {f"became: {what}": n for what, n in life.oracle.transitions.items()}
            )
            stage.reset()
            life.close()
    return outcome


def _digest(life: Life) -> str:
    """What there is after a step, in words that do not depend on random ids."""
    snapshot = life.oracle.now
    states = [f"{one.id}={one.state}" for one in snapshot.requests.values()]
    states += [f"{one.id}={one.state}:{one.ends_at:%H%M%S}" for one in snapshot.grants.values()]
    return f"{life.clock():%d %H:%M:%S.%f} {' '.join(states)}"


@act("finish")
def _finish(life: Life) -> None:
    life.finish()
