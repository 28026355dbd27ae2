"""Where a bot can be while it is killed, by name.

A point is reached when a call of the bot's, or a transaction, is held there by what it talks to:
the local EKS, the local Slack, or the database. The bot itself is as it is. What happens to a call
after its caller was killed is part of the point: it is lost, it arrives late, or it was done and
nobody is left to hear so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import store_holds
from bot_process import until
from kill_world import CLUSTER, Case

from bot.sandbox.eks_faults import Call

HELD_SECONDS = 600.0


class Fate(Enum):
    """What becomes of a held call."""

    LOST = "on its way, and lost"
    LATE = "on its way, and arrives after the restart"
    DONE = "done, and not answered"


class Held(Protocol):
    """Something that is held for a bot that will come there."""

    def reached(self) -> bool:
        """Whether the bot is there."""

    def killed(self) -> None:
        """The bot was killed there; a new one is not started yet."""

    def restarted(self) -> None:
        """A new bot is being started."""


class Hold(Protocol):
    def lay(self, case: Case) -> Held: ...


@dataclass(frozen=True)
class Eks:
    """A call to EKS about the requester's entry; with `after` the first that follows that one."""

    operation: str
    fate: Fate
    after: str | None = None

    def lay(self, case: Case) -> Held:
        return _HeldAtEks(self, case)

    @property
    def crosses(self) -> str | None:
        """A write that may take effect twice: late, and by a bot that did not see it yet.

        Associating anew with the same scope changes nothing; making or deleting anew is refused.
        """
        late = self.fate is Fate.LATE and self.operation == ASSOCIATE
        return self.operation if late else None


class _HeldAtEks:
    def __init__(self, hold: Eks, case: Case) -> None:
        self._hold = hold
        self._case = case
        self._eks = case.world.stage.eks
        self._before: int | None = None  # how many calls there were before it was laid
        self._end: Callable[[], None] = lambda: None
        if hold.after is None:
            self._lay()
        else:
            self._end = self._eks.subscribe(self._follow)

    def _follow(self, call: Call) -> None:
        if call.operation == self._hold.after and call.principal == self._case.principal:
            self._end()
            self._lay()

    def _lay(self) -> None:
        self._before = len(self._eks.calls)
        where = {"cluster": CLUSTER, "principal": self._case.principal}
        operation, faults = self._hold.operation, self._eks.faults
        if self._hold.fate is Fate.DONE:
            faults.lose_answer(operation, hold=HELD_SECONDS, **where)
            return
        faults.delay(HELD_SECONDS, operation, **where)
        if self._hold.fate is Fate.LOST:
            faults.drop(operation, **where)

    def reached(self) -> bool:
        if self._before is None:
            return False
        done = self._hold.fate is Fate.DONE
        held = [
            call
            for call in self._eks.calls[self._before :]
            if (call.operation, call.principal) == (self._hold.operation, self._case.principal)
        ]
        return any(call.status == 200 and not call.answered if done else True for call in held)

    def killed(self) -> None:
        if self._hold.fate is not Fate.LATE:
            self._eks.faults.clear()

    def restarted(self) -> None:
        """Let a late call arrive once the new bot has begun to look there."""
        if self._hold.fate is Fate.LATE:
            known = len(self._eks.calls_of(principal=self._case.principal))
            until(
                lambda: len(self._eks.calls_of(principal=self._case.principal)) > known,
                self._case.world.all_logs,
            )
            self._eks.faults.clear()


@dataclass(frozen=True)
class Slack:
    """A call of Slack's Web API, or `response_url`; with `after`, once EKS has got that call."""

    method: str
    fate: Fate
    after: str | None = None

    def lay(self, case: Case) -> Held:
        return _HeldAtSlack(self, case)


class _HeldAtSlack:
    def __init__(self, hold: Slack, case: Case) -> None:
        self._slack = case.world.stage.slack
        self._end: Callable[[], None] = lambda: None
        self._hold = hold
        self._principal = case.principal
        self._fault = None
        if hold.after is None:
            self._lay()
        else:
            self._end = case.world.stage.eks.subscribe(self._follow)

    def _follow(self, call: Call) -> None:
        if call.operation == self._hold.after and call.principal == self._principal:
            self._end()
            self._lay()

    def _lay(self) -> None:
        after = self._hold.fate is Fate.DONE
        lost = self._hold.fate is Fate.LOST
        self._fault = self._slack.faults.add(self._hold.method, hold=True, drop=lost, after=after)

    def reached(self) -> bool:
        return self._fault is not None and self._fault.reached.is_set()

    def killed(self) -> None:
        if self._hold.fate is not Fate.LATE:
            self._release()

    def restarted(self) -> None:
        if self._hold.fate is Fate.LATE:
            self._release()

    def _release(self) -> None:
        assert self._fault is not None
        self._fault.release()
        self._slack.faults.clear()


@dataclass(frozen=True)
class Store:
    """A transaction that is about to do this. `when` may say `{arn}` and `{who}`."""

    moment: str
    table: str
    when: str
    at_commit: bool = False

    def lay(self, case: Case) -> Held:
        when = self.when.format(arn=case.principal, who=case.ana.id)
        world = case.world
        return _HeldInStore(
            store_holds.hold(
                world.database, self.moment, self.table, when, at_commit=self.at_commit
            )
        )


class _HeldInStore:
    def __init__(self, hold: store_holds.PostgresqlHold | store_holds.SqliteHold) -> None:
        self._hold = hold
        self.reached = hold.reached

    def killed(self) -> None:
        self._hold.lift()

    def restarted(self) -> None:
        pass


CREATE, ASSOCIATE, DELETE = "CreateAccessEntry", "AssociateAccessPolicy", "DeleteAccessEntry"
LOOK = "DescribeAccessEntry"
OURS = "NEW.principal_arn = '{arn}'"

ASKED: dict[str, Hold] = {
    # Not by the id, which SQLite's triggers do not know before the row is there.
    "asked: not stored": Store("INSERT", "inbox", "NEW.kind IS NOT NULL"),
    "asked: stored, not acknowledged": Store(
        "INSERT", "inbox", "NEW.kind IS NOT NULL", at_commit=True
    ),
    "asked: who is this": Slack("users.info", Fate.LOST),
    "decided: not committed": Store("UPDATE", "inbox", "NEW.state = 'ANSWERING'"),
    "decided: committing": Store("UPDATE", "inbox", "NEW.state = 'ANSWERING'", at_commit=True),
    "decided: not answered": Slack("response_url", Fate.LOST),
    "decided: answered, not stored": Slack("response_url", Fate.DONE),
}
GIVING: dict[str, Hold] = {
    "giving: before the first look": Eks(LOOK, Fate.LOST),
    "giving: entry intended, not committed": Store(
        "UPDATE", "entries", f"{OURS} AND NEW.created AND NOT OLD.created"
    ),
    "giving: entry on its way and lost": Eks(CREATE, Fate.LOST),
    "giving: entry on its way and late": Eks(CREATE, Fate.LATE),
    "giving: entry made, not answered": Eks(CREATE, Fate.DONE),
    "giving: policy intended, not committed": Store("INSERT", "associations", "NEW.entry_id > 0"),
    "giving: policy on its way and lost": Eks(ASSOCIATE, Fate.LOST),
    "giving: policy on its way and late": Eks(ASSOCIATE, Fate.LATE),
    "giving: policy given, not answered": Eks(ASSOCIATE, Fate.DONE),
    "giving: before the read-back": Eks("ListAssociatedAccessPolicies", Fate.LOST),
    "giving: read back, not committed": Store(
        "UPDATE", "grants", f"{OURS} AND NEW.state = 'ACTIVE' AND OLD.state = 'PROVISIONING'"
    ),
    "giving: confirmed, committing": Store(
        "UPDATE",
        "grants",
        f"{OURS} AND NEW.state = 'ACTIVE' AND OLD.state = 'PROVISIONING'",
        at_commit=True,
    ),
    "giving: confirmed, next look not stored": Store(
        "UPDATE", "entries", f"{OURS} AND NEW.looked_at IS NOT NULL AND OLD.looked_at IS NULL"
    ),
}
TAKING: dict[str, Hold] = {
    "taking: removal intended, not committed": Store(
        "UPDATE", "entries", f"{OURS} AND NEW.deleting AND NOT OLD.deleting"
    ),
    "taking: removal on its way and lost": Eks(DELETE, Fate.LOST),
    "taking: removal on its way and late": Eks(DELETE, Fate.LATE),
    "taking: removed, not answered": Eks(DELETE, Fate.DONE),
    "taking: before the read-back": Eks(LOOK, Fate.LOST, after=DELETE),
    "taking: read back, not committed": Store(
        "UPDATE", "grants", f"{OURS} AND NEW.state = 'ENDED' AND OLD.state = 'REVOKING'"
    ),
    "taking: ended, committing": Store(
        "UPDATE",
        "grants",
        f"{OURS} AND NEW.state = 'ENDED' AND OLD.state = 'REVOKING'",
        at_commit=True,
    ),
    "taking: ended, next look not stored": Store(
        "UPDATE",
        "entries",
        f"{OURS} AND NOT NEW.deleting AND NEW.looked_at > OLD.looked_at AND EXISTS "  # noqa: S608
        "(SELECT 1 FROM grants WHERE entry_id = NEW.id AND state = 'ENDED')",
    ),
    "told: update on its way and lost": Slack("chat.update", Fate.LOST, after=DELETE),
    "told: updated, not answered": Slack("chat.update", Fate.DONE, after=DELETE),
}
EXPIRING: dict[str, Hold] = {
    "expired: not committed": Store(
        "UPDATE", "grants", f"{OURS} AND NEW.state = 'REVOKING' AND OLD.state = 'ACTIVE'"
    ),
}
POSTING: dict[str, Hold] = {
    "told: card on its way and lost": Slack("chat.postMessage", Fate.LOST),
    "told: card on its way and late": Slack("chat.postMessage", Fate.LATE),
    "told: card posted, not answered": Slack("chat.postMessage", Fate.DONE),
    "told: card posted, place not committed": Store("INSERT", "messages", "NEW.key = 'card'"),
}
UPDATING: dict[str, Hold] = {
    "told: update on its way and lost": Slack("chat.update", Fate.LOST),
    "told: update on its way and late": Slack("chat.update", Fate.LATE),
    "told: updated, not answered": Slack("chat.update", Fate.DONE),
}
EXTENDING: dict[str, Hold] = {
    "extending: before the look": Eks(LOOK, Fate.LOST),
    "extending: confirmed, not committed": Store(
        "UPDATE", "grants", f"{OURS} AND NEW.state = 'ACTIVE' AND OLD.state = 'PROVISIONING'"
    ),
    "extending: the one before, not superseded": Store(
        "UPDATE", "grants", f"{OURS} AND NEW.end_reason = 'superseded' AND OLD.state = 'ACTIVE'"
    ),
}
SEALING: dict[str, Hold] = {
    "sealing: not committed": Store("INSERT", "audit_seals", "NEW.position > 0"),
}
