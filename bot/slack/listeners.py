"""What arrives from Slack: read it, store what changes something, acknowledge, then do the rest.

Nothing here waits for AWS or for Slack's Web API before the acknowledgement, and nothing that can
fail runs in the listener after it: an exception there would take the acknowledgement back.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime
from http import HTTPStatus
from typing import Any

import structlog
from slack_bolt import Ack, App
from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot import receipt
from bot.access.limits import ensure_not_too_many
from bot.core.errors import DomainError, InvalidInput
from bot.core.ids import parse_id
from bot.reconcile.slack_errors import Delayed, code_of, problem_of
from bot.slack import commands, stored
from bot.slack.blocks import Message
from bot.slack.delegate_command import OpenDelegation
from bot.slack.delegations import DELEGATE_CALLBACK
from bot.slack.desk import Desk
from bot.slack.form_state import FormErrors
from bot.slack.glass_form import BREAK_GLASS_CALLBACK, REVIEW_CALLBACK
from bot.slack.homes import Homes
from bot.slack.inputs import WHOLE_CLUSTER
from bot.slack.modals import (
    DENY_CALLBACK,
    EXTEND_CALLBACK,
    REVOKE_CALLBACK,
    loading_modal,
    notice_modal,
)
from bot.slack.people import Directory
from bot.slack.questions import ANSWER_CALLBACK, QUESTION_CALLBACK
from bot.slack.refusals import Refusals
from bot.slack.replies import NEEDED_RIGHTS, error_reply, fault_reply, help_reply, note
from bot.slack.request_form import REQUEST_CALLBACK
from bot.slack.response_url import respond
from bot.slack.suspend_command import OpenSuspension
from bot.slack.suspensions import SUSPEND_CALLBACK
from bot.store import inbox
from bot.store.database import Database
from bot.store.inbox import Kind

log = structlog.get_logger(__name__)

# Bolt's default of five, shared with lazy listeners, leaves the sixth busy click unacknowledged.
LISTENER_THREADS = 32

# What follows an acknowledgement: as many, because a form has three seconds to be opened in, and
# must not wait behind answers that wait for a slow Slack or EKS.
AFTERWARDS_THREADS = 32

_SLACK_WAITS_SECONDS = 3.0
_STORE_WITHIN_SECONDS = 2.5
"""What is not stored so soon after its receipt never is: the rest is for the acknowledgement."""

Body = dict[str, Any]

_TOO_SLOW = (
    "Slack took too long to open the form, so nothing was changed. Try it again, or type it: "
    "`/eks-access help` has the forms."
)


_TAKEN_LATE = (
    "Slack may have said that this failed. It did not: I took it a little late and am "
    "working on it. Don't send it again; the answer follows."
)


class Listeners:
    """The Bolt app and what it calls. `wake` is called after each item put into the inbox."""

    def __init__(
        self,
        database: Database,
        client: WebClient,
        directory: Directory,
        desk: Desk,
        *,
        bot_token: str,
        signing_secret: str | None,
        refusals: Refusals,
        wake: Callable[[], None],
        clock: Callable[[], datetime],
        in_background: Callable[[int, str], Executor] = ThreadPoolExecutor,
    ) -> None:
        self._database = database
        self._client = client
        self._directory = directory
        self._refusals = refusals
        self._wake = wake
        self._clock = clock
        self._desk = desk
        self._listening = in_background(LISTENER_THREADS, "slack-listener")
        self._homes = Homes(client, desk.home, clock=clock, in_background=in_background)
        self._afterwards = in_background(AFTERWARDS_THREADS, "slack-afterwards")
        self.app = App(
            # A client with a token would draw a warning, because there is an `authorize`.
            client=WebClient(base_url=client.base_url),
            signing_secret=signing_secret,
            # Socket Mode authenticates the connection; only HTTP payloads are signed.
            request_verification_enabled=signing_secret is not None,
            authorize=_authorize(bot_token),
            process_before_response=True,
            listener_executor=self._listening,
        )
        self._register()

    def close(self) -> None:
        """Let what runs finish, then end the threads."""
        self._listening.shutdown(wait=True)
        self._afterwards.shutdown(wait=True)
        self._homes.close()

    def show_change(self, requester: str) -> None:
        """Bring App Homes up to date after a change to this person's request, in the background."""
        self._homes.changed(requester)

    def _register(self) -> None:
        app = self.app
        app.command("/eks-access")(self._command)
        app.action("approve")(self._click(Kind.APPROVE))
        app.action("cancel")(self._click(Kind.CANCEL))
        app.action("return")(self._click(Kind.RETURN))
        app.action("revoke")(self._opens(self._desk.revocation))
        app.action("deny")(self._opens(self._desk.denial))
        app.action("ask")(self._opens(self._desk.question))
        app.action("answer")(self._opens(self._desk.answer_form))
        app.action("request")(self._request_clicked)
        app.action("again")(self._again_clicked)
        app.action("break_glass")(self._break_glass_clicked)
        app.action("review")(self._opens(self._desk.glass.review))
        app.action("extend")(self._opens(self._desk.extension))
        app.action("connect")(self._opens(self._desk.connection))
        app.view(BREAK_GLASS_CALLBACK)(self._takes(Kind.BREAK_GLASS, self._read_break_glass))
        app.view(REVIEW_CALLBACK)(self._takes(Kind.REVIEW, stored.submitted_review))
        app.view(REQUEST_CALLBACK)(self._form_submitted)
        app.view(DENY_CALLBACK)(self._takes(Kind.DENY, stored.submitted_denial))
        app.view(REVOKE_CALLBACK)(self._takes(Kind.REVOKE, stored.submitted_revocation))
        app.view(EXTEND_CALLBACK)(self._takes(Kind.EXTEND, stored.submitted_extension))
        app.view(QUESTION_CALLBACK)(self._takes(Kind.ASK, stored.submitted_question))
        app.view(ANSWER_CALLBACK)(self._takes(Kind.ANSWER, stored.submitted_answer))
        app.view(DELEGATE_CALLBACK)(self._takes(Kind.DELEGATE, stored.submitted_delegation))
        app.view(SUSPEND_CALLBACK)(self._takes(Kind.SUSPEND, stored.submitted_suspension))
        app.options("cluster")(self._suggest_clusters)
        for choice in ("cluster", "level", "namespaces", WHOLE_CLUSTER, "duration", "start"):
            app.action(choice)(self._form_changed)
        app.event("app_home_opened")(self._home_opened)
        app.event("user_change")(self._person_changed)
        app.event("subteam_members_changed")(self._members_changed)
        app.event("subteam_updated")(self._group_changed)
        app.event("member_joined_channel")(self._channel_changed)
        app.event("member_left_channel")(self._channel_changed)
        # What has no meaning for the bot is acknowledged, so that Slack does not send it again.
        app.event(re.compile(".*"))(_nothing)
        app.action(re.compile(".*"))(_acknowledge)

    # Commands

    def _command(self, ack: Ack, body: Body) -> None:
        try:
            command = commands.parse(_typed(body))
            self._dispatch(ack, body, command)
        except commands.UnknownCommand as error:
            self._unknown(ack, body, error)
        except DomainError as error:
            _say(ack, error_reply(error))
        except Exception:
            log.exception("cannot take a command", reference=(reference := self._reference()))
            _say(ack, fault_reply(reference))

    def _unknown(self, ack: Ack, body: Body, error: commands.UnknownCommand) -> None:
        if error.near not in NEEDED_RIGHTS:
            _say(ack, error_reply(error))
            return
        # Whether it is for this person, Slack has to be asked.
        user_id = body["user_id"]
        self._later(lambda: self._tell(body, self._desk.help.unknown(error, user_id)))
        ack()

    def _dispatch(self, ack: Ack, body: Body, command: commands.Command) -> None:
        to_store = stored.stored(command)
        if to_store is not None:
            self._accept(ack, body, *to_store)
            return
        match command:
            case commands.Help(str(topic)):
                _say(ack, help_reply(topic))
            case commands.OpenForm():
                user_id = body["user_id"]
                self._later(lambda: self._open_form(body, lambda: self._desk.form.opened(user_id)))
                ack()
            case OpenDelegation(until):
                user_id = body["user_id"]
                self._later(
                    lambda: self._open_form(body, lambda: self._desk.delegation(user_id, until))
                )
                ack()
            case OpenSuspension(reason):
                user_id = body["user_id"]
                self._later(
                    lambda: self._open_form(body, lambda: self._desk.suspension(user_id, reason))
                )
                ack()
            case _:
                user_id = body["user_id"]
                self._later(lambda: self._tell(body, self._desk.answer(command, user_id)))
                ack()

    # Clicks

    def _click(self, kind: Kind) -> Callable[..., None]:
        def clicked(ack: Ack, body: Body) -> None:
            try:
                document = {"request_id": parse_id(str(body["actions"][0].get("value", "")))}
                self._accept(ack, body, kind, document)
            except DomainError as error:
                self._tell_later(body, error_reply(error))
                ack()
            except Exception:
                log.exception("cannot take a click", reference=(reference := self._reference()))
                self._tell_later(body, fault_reply(reference))
                ack()

        return clicked

    def _opens(self, form: Callable[[str, str], Body]) -> Callable[..., None]:
        """A click that opens the form for the request its button names, and this person."""

        def open_form(body: Body) -> None:
            try:
                request_id = parse_id(str(body["actions"][0].get("value", "")))
                view = form(request_id, body["user"]["id"])
                self._client.views_open(trigger_id=body["trigger_id"], view=view)
            except DomainError as error:
                self._tell(body, error_reply(error))
            except SlackApiError as error:
                log.warning("Slack opened no form", error=error.response.get("error"))
                self._tell(body, note(_no_form(error)))

        def clicked(ack: Ack, body: Body) -> None:
            self._later(lambda: open_form(body))
            ack()

        return clicked

    # Forms

    def _request_clicked(self, ack: Ack, body: Body) -> None:
        user_id = body["user"]["id"]
        self._later(lambda: self._open_form(body, lambda: self._desk.form.opened(user_id)))
        ack()

    def _again_clicked(self, ack: Ack, body: Body) -> None:
        def form() -> Body:
            request_id = parse_id(str(body["actions"][0].get("value", "")))
            return self._desk.again(body["user"]["id"], request_id)

        self._later(lambda: self._open_form(body, form))
        ack()

    def _break_glass_clicked(self, ack: Ack, body: Body) -> None:
        def form() -> Body:
            value = body["actions"][0].get("value")
            instead_of = parse_id(str(value)) if value else None
            return self._desk.glass.opened(body["user"]["id"], instead_of)

        self._later(lambda: self._open_form(body, form))
        ack()

    def _open_form(self, body: Body, form: Callable[[], Body]) -> None:
        # The trigger lives three seconds, so something is opened before anything is looked up.
        try:
            opened = self._client.views_open(trigger_id=body["trigger_id"], view=loading_modal())
        except SlackApiError as error:
            log.warning("Slack opened no form", error=error.response.get("error"))
            self._tell(body, note(_no_form(error)))
            return
        try:
            view = form()
        except DomainError as error:
            view = notice_modal(error.sentence)
        self._client.views_update(view_id=opened["view"]["id"], view=view)

    def _form_changed(self, ack: Ack, body: Body) -> None:
        is_latest = self._desk.form.chosen_in(str(body["view"]["id"]))
        self._later(lambda: self._draw_form_again(body, is_latest))
        ack()

    def _draw_form_again(self, body: Body, is_latest: Callable[[], bool]) -> None:
        shown = body["view"]
        form = self._desk.glass if _is_glass(body) else self._desk.form
        view = form.redrawn(body["user"]["id"], shown)
        try:
            self._client.views_update(view_id=shown["id"], hash=shown["hash"], view=view)
        except SlackApiError as error:
            match error.response.get("error"):
                case "hash_conflict" if is_latest():
                    # An earlier choice was drawn meanwhile, and knows nothing of this one.
                    self._client.views_update(view_id=shown["id"], view=view)
                case "hash_conflict" | "not_found":
                    pass  # a later choice is drawn, or the form is closed
                case _:
                    raise

    def _takes(self, kind: Kind, read: Callable[[Body], stored.Document]) -> Callable[..., None]:
        """A form whose `view` `read` turns into what is stored."""

        def submitted(ack: Ack, body: Body) -> None:
            self._submitted(ack, body, kind, read)

        return submitted

    def _form_submitted(self, ack: Ack, body: Body) -> None:
        def read(view: Body) -> stored.Document:
            return stored.request(self._desk.form.read(body["user"]["id"], view))

        self._submitted(ack, body, Kind.REQUEST, read)

    def _read_break_glass(self, view: Body) -> stored.Document:
        instead_of = str(view.get("private_metadata") or "")
        ask = self._desk.glass.read(view)
        return stored.break_glass(ask, parse_id(instead_of) if instead_of else None)

    def _submitted(
        self, ack: Ack, body: Body, kind: Kind, read: Callable[[Body], stored.Document]
    ) -> None:
        try:
            self._accept(ack, body, kind, read(body["view"]))
        except FormErrors as found:
            ack(response_action="errors", errors=found.by_block)
        except InvalidInput as error:
            if error.field is None:
                ack(response_action="update", view=notice_modal(error.sentence))
            else:
                ack(response_action="errors", errors={error.field: error.sentence[:2000]})
        except DomainError as error:
            ack(response_action="update", view=notice_modal(error.sentence))
        except Exception:
            log.exception("cannot take a form", reference=(reference := self._reference()))
            ack(response_action="update", view=notice_modal(fault_reply(reference).text))

    def _suggest_clusters(self, ack: Ack, body: Body) -> None:
        try:
            user_id, query = body["user"]["id"], str(body.get("value", ""))
            form = self._desk.glass if _is_glass(body) else self._desk.form
            options = form.suggested(user_id, query)
        except DomainError:
            options = []
        ack(options=options)

    # Events

    def _home_opened(self, event: Body) -> None:
        if event.get("tab", "home") == "home":
            self._homes.opened(event["user"])

    def _person_changed(self, event: Body) -> None:
        self._directory.forget_person(_text(event, "user", "id"))

    def _members_changed(self, event: Body) -> None:
        self._user_group_changed(_text(event, "subteam_id"))

    def _group_changed(self, event: Body) -> None:
        self._user_group_changed(_text(event, "subteam", "id"))

    def _user_group_changed(self, group_id: str) -> None:
        """Whoever was just refused may be in it now.

        Of channels, which people join and leave as often as they like, nothing is concluded: a
        refusal is over after a minute anyway.
        """
        self._directory.forget_group(group_id)
        self._refusals.forget()

    def _channel_changed(self, event: Body) -> None:
        self._directory.forget_group(_text(event, "channel"))

    # What they have in common

    def _accept(self, ack: Ack, body: Body, kind: Kind, document: Mapping[str, Any]) -> None:
        """Commit, then acknowledge. Raises DomainError before the acknowledgement.

        What Slack would say has failed is not stored: the commit comes in time or not at all. One
        that was begun in time and ended late counts, and the person is told.
        """
        # A click's own `user.team_id` is the person's; the payload's `team` may be ours even where
        # the person is an outsider over Slack Connect. A command tells only the latter.
        user = body.get("user") or {"id": body["user_id"], "team_id": body.get("team_id")}
        self._refusals.ensure_not_refused(kind, user["id"], document)
        now = self._clock()
        with self._database.transaction(left=_time_to_store) as tx:
            if kind not in inbox.NEVER_LIMITED:
                ensure_not_too_many(tx, user["id"], now)
            inbox.add(
                tx,
                kind,
                actor=user["id"],
                team_id=user.get("team_id"),
                document=document,
                response_url=body.get("response_url"),
                trigger_id=body.get("trigger_id"),
                now=now,
            )
        self._wake()
        if receipt.seconds_since() > _SLACK_WAITS_SECONDS:
            self._tell_later(body, note(_TAKEN_LATE))
        ack()

    def _later(self, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except Exception:
                log.exception("cannot answer in Slack")

        self._afterwards.submit(guarded)

    def _tell_later(self, body: Body, message: Message) -> None:
        self._later(lambda: self._tell(body, message))

    def _tell(self, body: Body, message: Message) -> None:
        """Answer where it was typed or clicked, for that person alone; else by a direct message."""
        url = body.get("response_url")
        with contextlib.suppress(Delayed):
            if url and respond(url, message.text, message.blocks) < HTTPStatus.BAD_REQUEST:
                return
        user_id = body["user"]["id"] if "user" in body else body["user_id"]
        self._client.chat_postMessage(channel=user_id, text=message.text, blocks=message.blocks)

    def _reference(self) -> str:
        """What the person can quote and an operator can find in the log."""
        return f"fault-{self._clock():%Y%m%dT%H%M%S%f}"


def _time_to_store() -> float:
    return _STORE_WITHIN_SECONDS - receipt.seconds_since()


def _text(event: Body, *path: str) -> str:
    """The text at a place in an event; "" where there is none, which is the id of nothing."""
    found: Any = event
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""


def _typed(body: Body) -> str:
    """What the person typed after the command. Slack sends `&`, `<` and `>` as entities."""
    text = str(body.get("text", ""))
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _is_glass(body: Body) -> bool:
    """Whether a choice was made in the form for break-glass."""
    view = body.get("view")
    return isinstance(view, dict) and view.get("callback_id") == BREAK_GLASS_CALLBACK


def _authorize(bot_token: str) -> Callable[..., AuthorizeResult]:
    """Bolt's authorization without a call to Slack: there is one team and one token."""

    def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id, bot_token=bot_token)

    return authorize


def _no_form(error: SlackApiError) -> str:
    """Why no form was opened, for the person: Slack was slow, or it says no until somebody acts."""
    known = problem_of(code_of(error))
    if not known.stays:
        return _TOO_SLOW
    return (
        f"Slack does not open the form ({code_of(error)}), so nothing was changed. {known.sentence}"
    )


def _say(ack: Ack, message: Message) -> None:
    ack(text=message.text, blocks=message.blocks, response_type="ephemeral")


def _acknowledge(ack: Ack) -> None:
    ack()


def _nothing() -> None:
    """An event that changes nothing the bot keeps."""
