"""Make Slack what the store says, one request at a time.

Render, compare with what was last sent, post or update, store where it stands. A crash between
posting and storing may post twice; an old copy's buttons work all the same, because a click is
decided from the store.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from sqlalchemy import Connection

from bot.core.errors import DirectoryUnavailable, StoreUnavailable
from bot.core.lifecycle import BOT
from bot.core.model import AccessRequest, AuditEvent, Grant, Review
from bot.core.post_review import PostReview
from bot.reconcile.backoff import pause, worth_telling
from bot.reconcile.slack_errors import (
    NO_ANSWER,
    REFUSED,
    STALE,
    Delayed,
    code_of,
    delayed_by,
    problem_of,
)
from bot.store import audit, grants, messages, post_reviews, requests
from bot.store.claims import Claims
from bot.store.database import Database
from bot.store.messages import Posted

log = structlog.get_logger(__name__)

_BATCH = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """One message that should stand in Slack.

    `key` and `recipient` (a channel, or a person for a direct message) tell it from the request's
    others. `thread` is the key of the message under which it is a reply; `once` says that it is
    news: posted when it is new, left as it is afterwards, and not needed where the message it
    replies to has just been posted and says the same. `unsaid` is news that it does not say.
    `never_new` is brought up to date where it stands, and not posted where it does not.
    """

    key: str
    recipient: str
    text: str
    blocks: list[dict[str, Any]] = field(hash=False)
    thread: str | None = None
    once: bool = False
    unsaid: bool = False
    never_new: bool = False

    @property
    def digest(self) -> str:
        content = json.dumps([self.text, self.blocks], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Projection:
    """All messages of a request, and when time alone will change them."""

    wanted: tuple[Wanted, ...]
    changes_at: datetime | None


class Project(Protocol):
    """The view: what the messages of a request are. `unreachable`: channel → Slack's error.

    `standing` are the messages that are in Slack now, as (key, recipient). `questions` are the
    `request.asked` and `request.answered` events of the request, oldest first; `owed` is the review
    that a break-glass owes.
    """

    def __call__(
        self,
        request: AccessRequest,
        reviews: Sequence[Review],
        grant: Grant | None,
        *,
        unreachable: Mapping[str, str],
        standing: Collection[tuple[str, str]],
        questions: Sequence[AuditEvent],
        owed: PostReview | None,
        now: datetime,
    ) -> Projection: ...


class MessageReconciler:
    """The loop that keeps Slack equal to the store. Safe to call from several threads.

    `shown` is called with a request whose messages were brought up to date. `unfit` says why
    nothing may be posted to a channel, or None; it raises DirectoryUnavailable where that is not
    known. `note` remembers what the store said before people are shown it, see StoreMemory.
    """

    def __init__(
        self,
        database: Database,
        client: WebClient,
        claims: Claims,
        project: Project,
        *,
        unfit: Callable[[str], str | None],
        shown: Callable[[AccessRequest], None],
        clock: Callable[[], datetime],
        note: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._client = client
        self._claims = claims
        self._project = project
        self._unfit = unfit
        self._shown = shown
        self._clock = clock
        self._note = note
        # What Slack has taken and the store has not, by request: it is not sent again while the
        # store takes no writes.
        self._unstored: dict[str, list[Posted]] = {}

    def due(self, beside: int = 0) -> list[str]:
        """Ids of the requests whose messages to look at now: `beside` more than a batch."""
        with self._database.reading() as tx:
            return messages.due(tx, self._clock(), _BATCH + beside)

    def reconcile(self, request_id: str) -> None:
        """Bring one request's messages up to date, unless another worker is at it."""
        with self._claims.claim(f"messages:{request_id}") as still_held:
            if still_held is not None:
                self._round(request_id)

    def _round(self, request_id: str) -> None:
        self._store(request_id)
        with self._database.reading() as tx:
            backlog = messages.backlog(tx, request_id)
            request = requests.get(tx, request_id)
            reviews = requests.reviews_of(tx, request_id)
            grant = grants.find(tx, request_id)
            questions = audit.questions(tx, request_id)
            owed = post_reviews.find(tx, request_id) if request.break_glass else None
            posted = {(one.key, one.recipient): one for one in messages.of_request(tx, request_id)}
            self._note(tx)
        unreachable = {one.recipient: one.problem for one in posted.values() if one.problem}
        delayed: Delayed | None = None
        refused = False
        changes_at = None
        try:
            projection = self._project(
                request,
                reviews,
                grant,
                unreachable=unreachable,
                standing={at for at, one in posted.items() if one.ts is not None},
                questions=questions,
                owed=owed,
                now=self._clock(),
            )
            changes_at = projection.changes_at
            fresh: set[tuple[str, str]] = set()
            for wanted in projection.wanted:
                try:
                    refused |= not self._bring(request, wanted, posted, fresh)
                except Delayed as error:
                    delayed = error
                except StoreUnavailable:
                    raise
                except Exception as error:  # noqa: BLE001 - told; the other messages are sent
                    delayed = _fault(request_id, backlog, error)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - told
            delayed = _fault(request_id, backlog, error)
        self._rest(backlog, changes_at, delayed, again=refused)
        if delayed is None:
            self._shown(request)

    def _rest(
        self,
        backlog: messages.Backlog,
        changes_at: datetime | None,
        delayed: Delayed | None,
        *,
        again: bool,
    ) -> None:
        attempts = backlog.attempts + 1 if delayed or again else 0
        if delayed is not None and worth_telling(attempts):
            known = problem_of(str(delayed))
            tell = log.error if known.stays else log.warning
            tell(
                "Slack did not take a message",
                request=backlog.request_id,
                error=str(delayed),
                said=known.sentence,
                tries=attempts,
            )
        due_at, now = changes_at, self._clock()
        if attempts:
            asked = delayed.after if delayed and delayed.after else timedelta()
            due_at = now + max(pause(attempts), asked)
        with self._database.transaction() as tx:
            messages.rest(tx, backlog, due_at, attempts=attempts, now=now)

    def _bring(
        self,
        request: AccessRequest,
        wanted: Wanted,
        posted: dict[tuple[str, str], Posted],
        fresh: set[tuple[str, str]],
    ) -> bool:
        """Post or update one message. False where Slack refuses it. Raises Delayed."""
        at = (wanted.key, wanted.recipient)
        thread = posted.get((wanted.thread, wanted.recipient)) if wanted.thread else None
        known = posted.get(at)
        if known is not None and known.ts is not None:
            if wanted.once or known.digest == wanted.digest:
                return True
            if self._update(request, wanted, known):
                posted[at] = replace(known, digest=wanted.digest)
                return True
            known = None
        if wanted.never_new or (known is not None and wanted.once):
            return True
        if wanted.thread and (thread is None or thread.ts is None):
            return True  # what it would reply to is not there, and is retried by itself
        said_above = wanted.once and not wanted.unsaid
        if said_above and wanted.thread and (wanted.thread, wanted.recipient) in fresh:
            said = Posted(wanted.key, wanted.recipient, None, None, wanted.digest)
            self._put(request.id, said)
            posted[at] = said
            return True
        new = self._post(request, wanted, known, thread)
        posted[at] = new
        fresh.add(at)
        return new.ts is not None

    def _update(self, request: AccessRequest, wanted: Wanted, known: Posted) -> bool:
        """Change a message where it stands. False where it is gone. Raises Delayed."""
        try:
            self._client.chat_update(
                channel=str(known.channel),
                ts=str(known.ts),
                text=wanted.text,
                blocks=wanted.blocks,
            )
        except SlackApiError as error:
            code = code_of(error)
            if code not in STALE and code not in REFUSED:
                raise delayed_by(error) from error
            log.warning("a message is posted anew", request=request.id, error=code)
            with self._database.transaction() as tx:
                messages.forget(tx, request.id, known)
            return False
        except NO_ANSWER as error:
            raise delayed_by(error) from error
        self._put(request.id, replace(known, digest=wanted.digest))
        return True

    def _post(
        self, request: AccessRequest, wanted: Wanted, known: Posted | None, thread: Posted | None
    ) -> Posted:
        problem = self._problem_of(wanted.recipient)
        if problem is not None:
            return self._refused(request, wanted, known, problem)
        try:
            answer = self._client.chat_postMessage(
                channel=wanted.recipient,
                text=wanted.text,
                blocks=wanted.blocks,
                thread_ts=thread.ts if thread else None,
                unfurl_links=False,
                unfurl_media=False,
            )
        except SlackApiError as error:
            code = code_of(error)
            if code == "thread_not_found" and thread is not None:
                # What it replies to is gone: that is posted anew, and then this beneath it.
                with self._database.transaction() as tx:
                    messages.forget(tx, request.id, thread)
            if code not in REFUSED:
                raise delayed_by(error) from error
            return self._refused(request, wanted, known, code)
        except NO_ANSWER as error:
            raise delayed_by(error) from error
        new = Posted(wanted.key, wanted.recipient, answer["channel"], answer["ts"], wanted.digest)
        self._put(request.id, new)
        return new

    def _problem_of(self, recipient: str) -> str | None:
        """Why nothing may be posted to a channel, though Slack would take it. Raises Delayed."""
        if not recipient.startswith(("C", "G")):
            return None
        try:
            return self._unfit(recipient)
        except DirectoryUnavailable as error:
            raise Delayed(error.code) from error

    def _refused(
        self, request: AccessRequest, wanted: Wanted, known: Posted | None, code: str
    ) -> Posted:
        """Record that Slack refuses a message, and look again soon, so that people are told."""
        new = Posted(wanted.key, wanted.recipient, None, None, wanted.digest, code)
        if known is None or known.problem != code:
            now = self._clock()
            log.warning(
                "Slack refuses a message",
                request=request.id,
                recipient=wanted.recipient,
                error=code,
            )
            with self._database.transaction() as tx:
                messages.put(tx, request.id, new)
                audit.record(
                    tx,
                    [
                        AuditEvent(
                            at=now,
                            actor=BOT,
                            action="message.refused",
                            request_id=request.id,
                            cluster=request.cluster.name,
                            details={"recipient": wanted.recipient, "error": code},
                        )
                    ],
                )
        return new

    def _put(self, request_id: str, posted: Posted) -> None:
        self._unstored.setdefault(request_id, []).append(posted)
        self._store(request_id)

    def _store(self, request_id: str) -> None:
        """Store what Slack has taken of a request, before anything more is sent."""
        if request_id in self._unstored:
            with self._database.transaction() as tx:
                for posted in self._unstored[request_id]:
                    messages.put(tx, request_id, posted)
            del self._unstored[request_id]


def _fault(request_id: str, backlog: messages.Backlog, error: Exception) -> Delayed:
    """The delay after a fault of the bot's own, which goes to the log."""
    if worth_telling(backlog.attempts + 1):
        log.error(
            "cannot render or send a message of a request", request=request_id, exc_info=error
        )
    return Delayed("internal_error")
