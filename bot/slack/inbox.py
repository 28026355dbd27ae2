"""Carrying out what people asked for: each stored command or click, once, and an answer to each.

The listener has stored the item and acknowledged it. Here Slack is asked who the people are *now*,
the use case runs in one transaction together with the item's own change of state, and the person
is told. A crash in between leaves an item that the next worker takes up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from slack_sdk import WebClient
from sqlalchemy import Connection

from bot.core.errors import (
    Conflict,
    DirectoryUnavailable,
    DomainError,
    PolicyUnavailable,
    Refused,
    StoreUnavailable,
)
from bot.core.ids import is_id
from bot.core.model import AuditEvent
from bot.policy_file import LoadedPolicy
from bot.reconcile.backoff import pause
from bot.reconcile.slack_errors import NO_ANSWER, Delayed, delayed_by
from bot.slack.blocks import Message
from bot.slack.call_budget import Limited
from bot.slack.carry_out import carry_out, give_back, revoke
from bot.slack.fact_finder import FactFinder
from bot.slack.refusals import REMEMBERED, Refusals, is_about_the_person, refused_again
from bot.slack.replies import error_reply, not_done_reply, note, waiting_reply
from bot.slack.response_url import respond
from bot.store import audit, inbox, requests
from bot.store.claims import Claims
from bot.store.database import Database
from bot.store.due import LONGEST_PAUSE
from bot.store.inbox import Item, ItemState, Kind

log = structlog.get_logger(__name__)

ANSWER_WITHIN = timedelta(minutes=30)
"""How long a response_url lives. After that an answer goes to the person as a direct message."""

GIVE_UP_AFTER = timedelta(hours=2)
"""How long an answer that Slack does not take is tried. What it tells stands in the store."""

ACT_WITHIN = timedelta(minutes=10)
"""How old a request or a decision may be when it is acted on: people have moved on since."""

_WORTH_SAYING = timedelta(seconds=3)
"""From how long a wait for Slack on it is said that what was asked for is not lost."""

_BATCH = 100
_MOST_TRIES = 5


class InboxWorker:
    """The loop that empties the inbox. Safe to call from several threads.

    `changed` is called after each commit that the other loops should look at.
    """

    def __init__(
        self,
        database: Database,
        claims: Claims,
        client: WebClient,
        facts: FactFinder,
        policy: Callable[[], LoadedPolicy],
        *,
        refusals: Refusals,
        changed: Callable[[], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._claims = claims
        self._client = client
        self._policy = policy
        self._facts = facts
        self._refusals = refusals
        self._changed = changed
        self._clock = clock

    def due(self, beside: int = 0) -> list[int]:
        """Ids of the items to work on now, without those that have workers of their own.

        `beside` is how many more to list than a batch, here and in the two below.
        """
        return self._due(inbox.ORDINARY, beside)

    def due_revoking(self, beside: int = 0) -> list[int]:
        """Ids of what takes access away from others, to work on now; it waits for no request."""
        return self._due(inbox.REVOKING, beside)

    def due_giving_back(self, beside: int = 0) -> list[int]:
        """Ids of what is given or taken back, to work on now; it waits for no question to Slack."""
        return self._due(inbox.GIVING_BACK, beside)

    def _due(self, kinds: frozenset[Kind], beside: int) -> list[int]:
        with self._database.reading() as tx:
            return inbox.due(tx, self._clock(), _BATCH + beside, kinds)

    def work(self, item_id: int) -> None:
        """Work on one item, unless another worker is at it."""
        with self._claims.claim(f"inbox:{item_id}") as still_held:
            if still_held is None:
                return
            with self._database.reading() as tx:
                item = inbox.get(tx, item_id)
            if item.state is ItemState.NEW:
                self._carry_out(item)
                with self._database.reading() as tx:
                    item = inbox.get(tx, item_id)
            if item.state is ItemState.ANSWERING:
                self._answer(item)

    def _carry_out(self, item: Item) -> None:
        try:
            self._do_or_refuse(item)
        except StoreUnavailable:
            raise
        except Exception as error:
            reference = f"inbox-{item.id}"
            log.exception("cannot carry out", reference=reference, kind=item.kind)
            self._fail(item, reference, error)
        self._changed()

    def _do_or_refuse(self, item: Item) -> None:
        try:
            self._do(item)
        except StoreUnavailable:
            raise
        except Limited as error:
            if not self._wait_for_slack(item, error.after):
                self._refuse(item, error)
        except DomainError as error:
            passing = error.code == "try_again" or (
                item.kind in inbox.NEVER_LIMITED and isinstance(error, DirectoryUnavailable)
            )
            if not passing or not self._try_again(item):
                self._refuse(item, error)
                if isinstance(error, Refused):
                    self._refusals.remember(item.kind, item.actor, item.document, error)

    def _wait_for_slack(self, item: Item, after: timedelta) -> bool:
        """Put the item off until Slack may be asked; False where that is too late to act on it."""
        now = self._clock()
        if now + after > item.received_at + ACT_WITHIN and not (
            item.kind in inbox.NEVER_LIMITED and item.attempts < _MOST_TRIES
        ):
            return False
        with self._database.transaction() as tx:
            inbox.later(tx, item, now + min(after, LONGEST_PAUSE / 2), now)
        if item.attempts == 0 and after >= _WORTH_SAYING and item.response_url:
            told = waiting_reply(after)
            try:
                respond(item.response_url, told.text, told.blocks)
            except (Delayed, *NO_ANSWER) as error:
                log.warning("Slack did not take a word", item=item.id, error=type(error).__name__)
        return True

    def _try_again(self, item: Item) -> bool:
        """Put the item off for a moment; False where it was tried often enough."""
        if item.attempts >= _MOST_TRIES:
            return False
        now = self._clock()
        with self._database.transaction() as tx:
            inbox.later(tx, item, now + pause(item.attempts + 1), now)
        return True

    def _fail(self, item: Item, reference: str, error: Exception) -> None:
        """A fault of the bot's own: what takes access away is tried again, and none is silent."""
        if item.kind in inbox.NEVER_LIMITED and self._try_again(item):
            return
        now = self._clock()
        request_id = item.document.get("request_id")
        known = isinstance(request_id, str) and is_id(request_id)
        with self._database.transaction() as tx:
            told = not_done_reply(reference, _without_slack(item))
            inbox.carried_out(tx, item, _answer(told, good=False), now)
            failed = AuditEvent(
                at=now,
                actor=item.actor,
                action=f"{item.kind.value}.failed",
                request_id=request_id if known and _exists(tx, request_id) else None,
                # What the error says may hold anything; the log has it, masked.
                details={"reference": reference, "error": type(error).__name__},
            )
            audit.record(tx, [failed])

    def _do(self, item: Item) -> None:
        """Carry the item out, in one transaction. Raises DomainError where it cannot be."""
        if item.kind in inbox.GIVING_BACK:
            # Who gives access back, or wants it no longer, needs neither a policy nor a directory.
            now = self._clock()
            with self._database.transaction() as tx:
                answer = _answer(note(give_back(tx, item, now)), good=True)
                inbox.carried_out(tx, item, answer, now)
            return
        self._refusals.ensure_not_refused(item.kind, item.actor, item.document)
        if item.kind is Kind.REVOKE:
            # Neither does this wait for either: what is not told now is done without.
            with self._facts.of_revoking(item) as revoking, self._database.transaction() as tx:
                answer = _answer(note(revoke(tx, revoking, item)), good=True)
                inbox.carried_out(tx, item, answer, revoking.now)
            return
        late = self._clock() - item.received_at > ACT_WITHIN
        if late and not inbox.takes_away(item.kind, item.document):
            raise Refused(
                "too_late",
                "This came to be looked at too late to be acted on. Nothing was changed; "
                "do it again if it should still be done.",
            )
        self._ensure_not_refused_again(item)
        with self._facts.of(item) as facts, self._database.transaction() as tx:
            if self._policy().digest != facts.digest:
                raise Conflict("try_again", "The policy changed just now. Nothing was changed.")
            answer = _answer(carry_out(tx, facts, item), good=True)
            inbox.carried_out(tx, item, answer, facts.now)

    def _ensure_not_refused_again(self, item: Item) -> None:
        """Raise Refused where somebody who was just refused would be by what Slack told then, too.

        Each try would cost look-ups, which the approvals of others need. What is kept serves to
        refuse by, and for nothing else: whatever it allows is taken back and decided by new facts.
        """
        if item.kind not in inbox.ORDINARY or not self._refusals.has_refused(item.actor):
            return
        facts = self._facts.kept(item, REMEMBERED)
        if facts is None:
            return
        try:
            with self._database.trying() as tx:
                carry_out(tx, facts, item)
        except StoreUnavailable:
            raise
        except DomainError as error:
            if isinstance(error, Refused) and is_about_the_person(error):
                raise refused_again(error) from error

    def _refuse(self, item: Item, error: DomainError) -> None:
        """Nothing is done, and that is on record too."""
        now = self._clock()
        request_id = item.document.get("request_id")
        with self._database.transaction() as tx:
            told = error_reply(error, _without_slack(item) if _unanswered(error) else "")
            inbox.carried_out(tx, item, _answer(told, good=False), now)
            audit.record(
                tx,
                [
                    AuditEvent(
                        at=now,
                        actor=item.actor,
                        action=f"{item.kind.value}.refused",
                        request_id=request_id if _exists(tx, request_id) else None,
                        details={"code": error.code, "asked": dict(item.document)},
                    )
                ],
            )

    def _answer(self, item: Item) -> None:
        """Tell the person. Where Slack does not take it, try again for a time."""
        now = self._clock()
        answer = item.answer or {}
        after = timedelta()
        try:
            sent = self._send(item, answer, now)
        except (Delayed, *NO_ANSWER) as error:
            delayed = delayed_by(error)
            after = delayed.after or after
            log.warning("Slack did not take an answer", item=item.id, error=str(delayed))
            sent = now - item.received_at > GIVE_UP_AFTER
        except Exception:
            if now - item.received_at <= GIVE_UP_AFTER:
                raise  # the loop tells of it, and tries it again
            log.exception("an answer is given up", item=item.id)
            sent = True
        with self._database.transaction() as tx:
            if sent:
                inbox.answered(tx, item.id)
            else:
                inbox.later(tx, item, now + max(pause(item.attempts + 1), after), now)

    def _send(self, item: Item, answer: Mapping[str, Any], now: datetime) -> bool:
        if item.response_url and now - item.received_at < ANSWER_WITHIN:
            status = respond(item.response_url, answer["text"], answer["blocks"])
            if status < 400:  # noqa: PLR2004 - HTTP's own border
                return True
            if status >= 500:  # noqa: PLR2004
                return False
        elif item.response_url is None and answer["good"] and item.kind is not Kind.SUSPEND:
            return True  # a form: its request's direct message is the answer
        self._client.chat_postMessage(
            channel=item.actor, text=answer["text"], blocks=answer["blocks"]
        )
        return True


def _answer(message: Message, *, good: bool) -> dict[str, Any]:
    return {"text": message.text, "blocks": message.blocks, "good": good}


def _unanswered(error: DomainError) -> bool:
    """Whether it failed because something does not answer, and not because somebody may not."""
    return isinstance(error, DirectoryUnavailable | PolicyUnavailable)


def _without_slack(item: Item) -> str:
    """How the same is done at the command line, for what must not wait; else ""."""
    match item.kind:
        case Kind.REVOKE | Kind.RETURN:
            command = f"eks-access revoke {item.document.get('request_id', 'ID')}"
        case Kind.LOCKDOWN if item.document.get("on"):
            command = "eks-access lockdown on --reason …"
        case Kind.SUSPEND:
            command = f"eks-access suspend {item.document['person']} --reason …"
        case _:
            return ""
    return f"Whoever runs the bot does it without Slack: `{command}`."


def _exists(tx: Connection, request_id: str | None) -> bool:
    try:
        return request_id is not None and bool(requests.get(tx, request_id))
    except DomainError:
        return False
