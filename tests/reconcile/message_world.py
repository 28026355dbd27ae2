"""A store, the local Slack workspace and the message loop between them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from desk import ANA, BEN, CLEO, DAN, EVE, Desk
from slack_sdk import WebClient
from sqlalchemy import Connection, select

from bot.core import lifecycle
from bot.core.model import AccessRequest, EndReason, Grant
from bot.reconcile.messages import MessageReconciler, Project, Projection
from bot.sandbox.slack_server import SlackWorkspace
from bot.sandbox.slack_shown import Message
from bot.slack.people import Directory
from bot.slack.projection import project
from bot.store import grants, requests, tables
from bot.store.claims import Claims
from bot.store.database import Database

PAY, BILL, AUDIT = "C01PAY", "C02BILL", "C0AUDIT"


def furnish(slack: SlackWorkspace) -> None:
    """The people and channels of the desk's policy."""
    for user in (ANA, BEN, CLEO, DAN, EVE):
        slack.add_person(user, user[3:].lower())
    for channel in (PAY, BILL, AUDIT):
        slack.add_channel(channel, channel.lower())


def projected(
    request: AccessRequest, *state: Any, audit_channel: str | None = AUDIT, **more: Any
) -> Projection:
    """The bot's own messages, with an audit channel and names only as Slack shows ids."""
    return project(request, *state, names={}, audit_channel=audit_channel, **more)


class MessageWorld:
    """`shown` are the ids of requests whose messages were brought up to date."""

    def __init__(self, desk: Desk, slack: SlackWorkspace) -> None:
        self.desk = desk
        self.slack = slack
        self.clock = desk.clock
        self.shown: list[str] = []
        desk.rules["billing"]["approval"]["channel"] = BILL
        self.loop = self.fresh_loop()

    def fresh_loop(
        self,
        view: Project = projected,
        *,
        database: Database | None = None,
        timeout: float = 5,
        note: Callable[[Connection], None] = lambda _: None,
    ) -> MessageReconciler:
        """A loop that knows nothing but the store, as after a restart or in another replica."""
        client = WebClient(
            self.slack.bot_token,
            base_url=self.slack.api_url,
            timeout=timeout,  # type: ignore[arg-type] # urllib takes parts of seconds
            retry_handlers=[],
        )
        store = database or self.desk.database
        return MessageReconciler(
            store,
            client,
            Claims(store),
            view,
            unfit=Directory(client).unfit,
            shown=lambda request: self.shown.append(request.id),
            clock=self.clock,
            note=note,
        )

    def round(self) -> None:
        """Bring each request up to date that is due now, once."""
        for request_id in self.loop.due():
            self.loop.reconcile(request_id)

    def settle(self, most: int = 40) -> None:
        """Let rounds pass, and time up to the next one, until no message waits to be sent."""
        for _ in range(most):
            self.round()
            waiting = self.waiting()
            if not waiting:
                return
            self.clock.advance(max((min(waiting) - self.clock()).total_seconds(), 0))
        raise AssertionError(f"after {most} rounds messages wait: {self.slack.dump()}")

    def waiting(self) -> list[datetime]:
        """When to try again what could not be sent."""
        query = select(tables.requests.c.messages_due_at).where(
            tables.requests.c.messages_attempts > 0
        )
        with self.desk.database.reading() as tx:
            return list(tx.scalars(query))

    def next_look(self, request_id: str) -> datetime | None:
        query = select(tables.requests.c.messages_due_at)
        with self.desk.database.reading() as tx:
            return tx.scalar(query.where(tables.requests.c.id == request_id))

    def look_again(self, request_id: str) -> None:
        with self.desk.database.transaction() as tx:
            requests.touch(tx, request_id)
        self.settle()

    # What becomes of a grant, as the access loop stores it

    def confirm(self, request_id: str) -> None:
        self._change(request_id, lambda grant: lifecycle.confirm(grant, self.clock())[0])

    def revoke(self, request_id: str, reason: EndReason, problem: str | None = None) -> None:
        self._change(
            request_id,
            lambda grant: lifecycle.revoke(
                grant, self.clock(), reason, by=lifecycle.BOT, problem=problem
            )[0],
        )

    def end(self, request_id: str) -> None:
        self._change(request_id, lambda grant: lifecycle.end(grant, self.clock())[0])

    def _change(self, request_id: str, step: Callable[[Grant], Grant]) -> None:
        with self.desk.database.transaction() as tx:
            before = grants.get(tx, request_id)
            grants.change(tx, step(before), expected=before.state)
            requests.touch(tx, request_id)

    # What people see

    def all(self, channel: str) -> list[Message]:
        with self.slack.lock:
            return list(self.slack.messages.get(channel, ()))

    def cards(self, channel: str = PAY) -> list[Message]:
        """The messages that stand in a channel by themselves."""
        return [one for one in self.all(channel) if one.thread_ts in (None, one.ts)]

    def card(self, channel: str = PAY) -> Message:
        [card] = self.cards(channel)
        return card

    def replies(self, channel: str = PAY) -> list[Message]:
        return [one for one in self.all(channel) if one.thread_ts not in (None, one.ts)]

    def direct(self, user: str = ANA) -> list[Message]:
        """The direct messages to somebody that are no replies."""
        dm = self.slack.dm(user)
        return self.cards(dm.id) if dm is not None else []

    def news(self, user: str = ANA) -> list[Message]:
        """The replies to them."""
        dm = self.slack.dm(user)
        return self.replies(dm.id) if dm is not None else []

    def calls(self, *methods: str) -> list[str]:
        """The Web API calls of these methods (none: all) that came through."""
        with self.slack.lock:
            return [c.method for c in self.slack.calls if not methods or c.method in methods]
