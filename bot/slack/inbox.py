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
from pydantic import TypeAdapter
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.webhook import WebhookClient
from sqlalchemy import Connection

from bot.access import end, question, review
from bot.access.extend import extend
from bot.access.facts import Facts
from bot.access.submit import submit
from bot.core.decide import groups_needed
from bot.core.errors import Conflict, DomainError, Refused, StoreUnavailable
from bot.core.model import Ask, AuditEvent, RequestState
from bot.policy_file import LoadedPolicy
from bot.reconcile.backoff import pause
from bot.slack.blocks import Message
from bot.slack.people import Directory
from bot.slack.replies import error_reply, fault_reply, note
from bot.store import audit, inbox, requests
from bot.store.claims import Claims
from bot.store.database import Database
from bot.store.inbox import Item, ItemState, Kind

log = structlog.get_logger(__name__)

ANSWER_WITHIN = timedelta(minutes=30)
"""How long a response_url lives. After that an answer goes to the person as a direct message."""

GIVE_UP_AFTER = timedelta(hours=2)
"""How long an answer that Slack does not take is tried. What it tells stands in the store."""

ACT_WITHIN = timedelta(minutes=10)
"""How old a request or a decision may be when it is acted on: people have moved on since."""

_BATCH = 100
_MOST_TRIES = 5

ask_adapter = TypeAdapter(Ask)


class InboxWorker:
    """The loop that empties the inbox. Safe to call from several threads.

    `changed` is called after each commit that the other loops should look at.
    """

    def __init__(
        self,
        database: Database,
        claims: Claims,
        client: WebClient,
        directory: Directory,
        policy: Callable[[], LoadedPolicy],
        *,
        changed: Callable[[], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._claims = claims
        self._client = client
        self._directory = directory
        self._policy = policy
        self._changed = changed
        self._clock = clock

    def due(self) -> list[int]:
        """Ids of the items to work on now, without those that give something back."""
        with self._database.reading() as tx:
            return inbox.due(tx, self._clock(), _BATCH, giving_back=False)

    def due_back(self) -> list[int]:
        """Ids of the cancellations and returns to work on now: they wait behind nothing else."""
        with self._database.reading() as tx:
            return inbox.due(tx, self._clock(), _BATCH, giving_back=True)

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
        except Exception:
            reference = f"inbox-{item.id}"
            log.exception("cannot carry out", reference=reference, kind=item.kind)
            with self._database.transaction() as tx:
                answer = _answer(fault_reply(reference), good=False)
                inbox.carried_out(tx, item, answer, self._clock())
        self._changed()

    def _do_or_refuse(self, item: Item) -> None:
        try:
            self._do(item)
        except StoreUnavailable:
            raise
        except DomainError as error:
            if error.code != "try_again" or item.attempts >= _MOST_TRIES:
                self._refuse(item, error)
                return
            with self._database.transaction() as tx:
                inbox.later(tx, item, self._clock() + pause(item.attempts + 1))

    def _do(self, item: Item) -> None:
        """Carry the item out, in one transaction. Raises DomainError where it cannot be."""
        if item.kind in inbox.GIVING_BACK:
            # Who gives access back, or wants it no longer, needs neither a policy nor a directory.
            now = self._clock()
            with self._database.transaction() as tx:
                answer = _answer(note(_give_back(tx, item, now)), good=True)
                inbox.carried_out(tx, item, answer, now)
            return
        if self._clock() - item.received_at > ACT_WITHIN:
            raise Refused(
                "too_late",
                "This came to be looked at too late to be acted on. Nothing was changed; "
                "do it again if it should still be done.",
            )
        facts = self._facts(item)
        with self._database.transaction() as tx:
            if self._policy().digest != facts.digest:
                raise Conflict("try_again", "The policy changed just now. Nothing was changed.")
            answer = _answer(note(_use_case(tx, facts, item)), good=True)
            inbox.carried_out(tx, item, answer, facts.now)

    def _facts(self, item: Item) -> Facts:
        """Ask Slack, now, everything that deciding the item needs."""
        loaded = self._policy()
        people = {item.actor}
        groups: frozenset[str] = frozenset()
        if item.kind is Kind.REQUEST:
            groups = groups_needed(loaded.policy, _ask(item))
        elif item.kind is Kind.EXTEND:
            with self._database.reading() as tx:
                groups = groups_needed(
                    loaded.policy, requests.get(tx, item.document["request_id"]).ask
                )
        elif item.kind in (Kind.APPROVE, Kind.DENY):
            with self._database.reading() as tx:
                request = requests.get(tx, item.document["request_id"])
                reviews = requests.reviews_of(tx, request.id)
            people |= {request.requester, *(one.reviewer for one in reviews)}
            groups = groups_needed(loaded.policy, request.ask)
        team_id = self._directory.team_id()
        if item.team_id is not None and item.team_id != team_id:
            raise Refused(
                "other_organisation",
                "You are signed in to another organisation, and only members of this one can use "
                "the bot. Nothing was changed.",
            )
        return Facts(
            policy=loaded.policy,
            digest=loaded.digest,
            team_id=team_id,
            people=self._directory.people(people),
            membership=self._directory.membership(groups),
            now=self._clock(),
        )

    def _refuse(self, item: Item, error: DomainError) -> None:
        """Nothing is done, and that is on record too."""
        now = self._clock()
        request_id = item.document.get("request_id")
        with self._database.transaction() as tx:
            inbox.carried_out(tx, item, _answer(error_reply(error), good=False), now)
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
        try:
            sent = self._send(item, answer, now)
        except (SlackApiError, SlackClientError, OSError) as error:
            log.warning("Slack did not take an answer", item=item.id, error=type(error).__name__)
            sent = now - item.received_at > GIVE_UP_AFTER
        with self._database.transaction() as tx:
            if sent:
                inbox.answered(tx, item.id)
            else:
                inbox.later(tx, item, now + pause(item.attempts + 1))

    def _send(self, item: Item, answer: Mapping[str, Any], now: datetime) -> bool:
        if item.response_url and now - item.received_at < ANSWER_WITHIN:
            response = WebhookClient(item.response_url).send(
                text=answer["text"],
                blocks=answer["blocks"],
                response_type="ephemeral",
                replace_original=False,
            )
            if response.status_code < 400:  # noqa: PLR2004 - HTTP's own border
                return True
            if response.status_code >= 500 or response.status_code == 429:  # noqa: PLR2004
                return False
        elif item.response_url is None and answer["good"]:
            return True  # a form: its request's direct message is the answer
        self._client.chat_postMessage(
            channel=item.actor, text=answer["text"], blocks=answer["blocks"]
        )
        return True


def _use_case(  # noqa: PLR0911 - one answer for each kind
    tx: Connection, facts: Facts, item: Item
) -> str:
    """Do what the item asks for. Returns the sentence that tells the person."""
    document, actor = item.document, item.actor
    match item.kind:
        case Kind.REQUEST:
            request = submit(tx, facts, actor, _ask(item))
            if request.state is RequestState.APPROVED:
                return (
                    f"Request {request.id} needs nobody's approval. Access is being set up; a "
                    "direct message brings the commands once EKS confirms it."
                )
            return (
                f"Request {request.id} is with its owners. A direct message tells you what "
                f"becomes of it; `/eks-access cancel {request.id}` takes it back."
            )
        case Kind.APPROVE:
            request = review.approve(tx, facts, document["request_id"], actor)
            if request.state is RequestState.APPROVED:
                return f"You approved {request.id}. Access is being set up."
            return f"Your approval of {request.id} is counted. It needs more of its owners."
        case Kind.DENY:
            request = review.deny(tx, facts, document["request_id"], actor, document["reason"])
            return f"You denied {request.id}. The requester reads your reason."
        case Kind.EXTEND:
            more = timedelta(seconds=document["seconds"])
            request = extend(
                tx,
                facts,
                document["request_id"],
                by=actor,
                more=more,
                reason=document["reason"],
            )
            if request.state is RequestState.APPROVED:
                return f"{document['request_id']} is extended; {request.id} takes over from it."
            return (
                f"Request {request.id} to extend {document['request_id']} is with its owners. "
                "The access ends as it was going to, unless they approve in time."
            )
        case Kind.ASK:
            request = question.ask(tx, facts, document["request_id"], actor, document["question"])
            return f"Your question about {request.id} is in the thread of its card."
        case Kind.CANCEL | Kind.RETURN:
            return _give_back(tx, item, facts.now)


def _give_back(tx: Connection, item: Item, now: datetime) -> str:
    """Cancel a request or return access. Returns the sentence that tells the person."""
    request_id = item.document["request_id"]
    if item.kind is Kind.CANCEL:
        end.cancel(tx, request_id, item.actor, now)
        return f"Request {request_id} is cancelled."
    end.give_back(tx, request_id, item.actor, now)
    return (
        f"{request_id} is being removed. A direct message says when EKS has confirmed that it is "
        "gone."
    )


def _ask(item: Item) -> Ask:
    return ask_adapter.validate_python(dict(item.document))


def _answer(message: Message, *, good: bool) -> dict[str, Any]:
    return {"text": message.text, "blocks": message.blocks, "good": good}


def _exists(tx: Connection, request_id: str | None) -> bool:
    try:
        return request_id is not None and bool(requests.get(tx, request_id))
    except DomainError:
        return False
