"""Tell people when the policy file changed for the worse, and when it is good again.

Each change goes to the log and the audit trail. A refused one is also announced, because while the
last good policy holds nobody notices that the file is broken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime

import structlog
from sqlalchemy import Connection

from bot.core.errors import PolicyUnavailable
from bot.core.lifecycle import BOT
from bot.core.model import AuditEvent
from bot.core.policy import Policy
from bot.policy_file import PolicyError, PolicyEvent, PolicySource
from bot.slack import blocks
from bot.slack.blocks import Message
from bot.slack.text import code, count
from bot.store import announcements, audit
from bot.store.announcements import POLICY_REFUSED
from bot.store.database import Database

log = structlog.get_logger(__name__)

_RESTORED = "policy.restored:"
_FIRST_FINDINGS = 5


class PolicyWatch:
    """Call it at intervals, from one thread."""

    def __init__(
        self, database: Database, source: PolicySource, *, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._source = source
        self._clock = clock
        self._untold: list[PolicyEvent] = []
        self._without = False

    def look(self) -> None:
        """Note what happened to the file since the last call. Raises StoreUnavailable.

        What could not be stored is stored by the next call.
        """
        policy = None
        try:
            policy = self._source.current().policy
            self._without = False
        except PolicyUnavailable:
            if not self._without:
                log.error("there is no policy in force, so nothing is granted")  # noqa: TRY400 - no fault of ours
            self._without = True
        for change in self._source.take_events():
            report = change.problem.report if change.problem else None
            tell = log.info if report is None else log.error
            tell("policy", change=change.kind, digest=change.digest, findings=report)
            self._untold.append(change)
        while self._untold:
            with self._database.transaction() as tx:
                self._tell(tx, self._untold[0], policy)
            del self._untold[0]

    def _tell(self, tx: Connection, change: PolicyEvent, policy: Policy | None) -> None:
        now = self._clock()
        report = change.problem.report if change.problem else None
        details = {"digest": change.digest, "findings": report}
        audit.record(tx, [AuditEvent(now, BOT, f"policy.{change.kind}", details=details)])
        if policy is None:
            return  # where to say it is not known either
        if change.problem is not None:
            # Once for what is wrong, under the policy that holds; again if it recurs another day.
            wrong = hashlib.sha256((report or "").encode()).hexdigest()
            key = f"{POLICY_REFUSED}{(change.digest or '')[:16]}:{wrong[:16]}:{now.date()}"
            _announce(tx, policy, key, refused(change.problem), now)
            return
        before = announcements.newest(tx, POLICY_REFUSED)
        if before is not None:
            key = _RESTORED + before.key.removeprefix(POLICY_REFUSED)
            _announce(tx, policy, key, restored(), now)


def channels(policy: Policy) -> tuple[str, ...]:
    """Where those who look after the bot are told: the audit channel and the security channel."""
    named = (policy.audit_channel, policy.security_channel)
    return tuple(dict.fromkeys(channel for channel in named if channel is not None))


def refused(problem: PolicyError) -> Message:
    """The alarm about a file that cannot come into force, with its first findings."""
    text = (
        ":warning: The policy file was changed and cannot come into force. "
        "The last good policy holds: what it allows is still granted, and access ends on time."
    )
    found = problem.findings
    shown = [
        blocks.sentence(
            f"finding:{number}",
            f"{f'Line {one.line}: ' if one.line else ''}{one.message} {one.remedy}",
        )
        for number, one in enumerate(found[:_FIRST_FINDINGS])
    ]
    more = len(found) - len(shown)
    rest = f"{count(more, 'more finding')}. " if more else ""
    remedy = f"{rest}All of them: {code(f'eks-access policy check {problem.path}')}"
    return Message(text, [blocks.section("policy", text), *shown, blocks.context("remedy", remedy)])


def restored() -> Message:
    """What is said once a file without errors holds again."""
    text = ":white_check_mark: The policy file is without errors again, and is in force."
    return Message(text, [blocks.section("policy", text)])


def _announce(tx: Connection, policy: Policy, key: str, message: Message, now: datetime) -> None:
    for channel in channels(policy):
        announcements.announce(
            tx, key=key, channel=channel, text=message.text, blocks=message.blocks, now=now
        )
