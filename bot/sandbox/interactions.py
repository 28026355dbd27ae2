"""What a person does in Slack, end to end: the client's own checks, the payload, the answer.

Every method gives an `Outcome`. `LookupError` and `ValueError` mean that the person could not have
done this in Slack's client: no such button, an option that is not offered. `forge=True` does it
anyway, as somebody who talks to Slack's servers with a client of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox import payloads, slack_elements, slack_limits
from bot.sandbox.delivery import Courier, Delivery
from bot.sandbox.response_urls import ResponseUrls
from bot.sandbox.slack_admin import ManagedWorkspace
from bot.sandbox.slack_model import Channel, Json, Person, SlackError
from bot.sandbox.slack_shown import Message, View
from bot.sandbox.submissions import Submissions

ValuesGiven = Mapping[str, Mapping[str, object]]


@dataclass
class Outcome:
    """How an act ended, as the person sees it.

    `acknowledged`: the app answered in time, or nothing had to be sent. `latency`: seconds to the
    acknowledgement. `error`: `operation_timeout`, `dispatch_failed`, `unknown_command`,
    `not_in_channel`, `not_configured`, `invalid_command_response`, `invalid_view_response`,
    `invalid_options`. `errors`: of a submission, by block id. `text` and `blocks`: of a command's
    acknowledgement. `options`, `option_groups`: of a suggestion.
    """

    acknowledged: bool = True
    latency: float | None = None
    error: str | None = None
    text: str | None = None
    blocks: list[Json] | None = None
    errors: dict[str, str] = field(default_factory=dict)
    options: list[Json] = field(default_factory=list)
    option_groups: list[Json] | None = None
    message: Message | None = None
    view: View | None = None
    delivery: Delivery | None = None


class Interactions:
    """People's acts upon a workspace whose app is reached by `courier`."""

    def __init__(
        self, workspace: ManagedWorkspace, courier: Courier, response_urls: ResponseUrls
    ) -> None:
        self._workspace = workspace
        self._courier = courier
        self._response_urls = response_urls
        self._submissions = Submissions(workspace)

    def command(self, person_id: str, line: str, channel_id: str | None = None) -> Outcome:
        """Type a slash command; by default in the direct messages with the bot."""
        workspace = self._workspace
        name, _, text = line.strip().partition(" ")
        known = [command["command"] for command in workspace.app.commands]
        if name not in known or "commands" not in workspace.app.scopes:
            return Outcome(acknowledged=False, error="unknown_command")
        with workspace.lock:
            person = workspace.people[person_id]
            channel = self._channel(channel_id) if channel_id else workspace.open_dm(person_id)
            if person_id not in channel.members:
                return Outcome(acknowledged=False, error="not_in_channel")
            address, response_url = self._response_urls.new(person_id, channel.id, None)
            payload = payloads.command(
                workspace,
                person,
                channel,
                name=name,
                text=text.strip(),
                response_url=address,
                trigger_id=workspace.new_trigger(person_id),
            )
        outcome = self._deliver("slash_commands", payload)
        answer = _latest(outcome)
        if isinstance(answer, str):
            answer = {"text": answer}
        if outcome.acknowledged and answer:
            try:
                with workspace.lock:
                    outcome.message = self._response_urls.apply(response_url, answer)
            except SlackError as error:
                workspace.reject("command response", error.error, error.messages, answer)
                outcome.error = "invalid_command_response"
            outcome.text, outcome.blocks = answer.get("text"), answer.get("blocks")
        return outcome

    def say(
        self, person_id: str, channel_id: str, text: str, thread_ts: str | None = None
    ) -> Outcome:
        """Post a message as this person."""
        workspace = self._workspace
        with workspace.lock:
            channel = self._channel(channel_id)
            if person_id not in channel.members:
                return Outcome(acknowledged=False, error="not_in_channel")
            if channel.is_archived:
                return Outcome(acknowledged=False, error="is_archived")
            message = workspace.say(person_id, channel_id, text, thread_ts=thread_ts)
            kind = "message.groups" if channel.is_private else "message.channels"
            kind = "message.im" if channel.is_im else kind
            if kind in workspace.app.events and workspace.app.user_id in channel.members:
                types = {"message.im": "im", "message.groups": "group"}
                event = message.to_slack() | {
                    "channel": channel_id,
                    "channel_type": types.get(kind, "channel"),
                    "event_ts": message.ts,
                }
                self._courier.emit(event)
        return Outcome(message=message)

    def click(
        self,
        person_id: str,
        message: Message,
        action_id: str,
        *,
        value: object = None,
        block_id: str | None = None,
        state: ValuesGiven | None = None,
        forge: bool = False,
    ) -> Outcome:
        """Use an element in a message, or in an old copy of it.

        For a button, `value` is sent in place of its own: a forged click.
        """
        workspace = self._workspace
        with workspace.lock:
            person = workspace.people[person_id]
            channel = self._channel(message.channel)
            if not forge:
                self._must_see(person, channel, message)
            block, element = self._element(message.all_blocks(), action_id, block_id, forge=forge)
            self._put(message.all_blocks(), message.values, state or {}, forge=forge)
            action = self._action(block, element, value, (), forge=forge)
            _remember(message.values, block, element, action)
            address, _ = self._response_urls.new(person_id, channel.id, message)
            payload = payloads.block_actions(
                workspace,
                person,
                payloads.message_origin(message, channel),
                action=action,
                trigger_id=workspace.new_trigger(person_id),
                response_url=address,
            )
        return self._interact(payload)

    def view_action(
        self,
        person_id: str,
        view: View,
        action_id: str,
        *,
        value: object = None,
        block_id: str | None = None,
        state: ValuesGiven | None = None,
        forge: bool = False,
    ) -> Outcome:
        """Use an element in a modal or in Home that dispatches when it is used."""
        workspace = self._workspace
        with workspace.lock:
            block, element = self._element(view.all_blocks(), action_id, block_id, forge=forge)
            if block["type"] == "input" and not block.get("dispatch_action") and not forge:
                raise ValueError(f"{action_id} sends nothing: its block has no dispatch_action")
            self.fill(view, state or {}, forge=forge)
            suggested = view.suggested.get((block["block_id"], action_id), ())
            action = self._action(block, element, value, suggested, forge=forge)
            _remember(view.values, block, element, action)
            payload = payloads.block_actions(
                workspace,
                workspace.people[person_id],
                payloads.view_origin(view),
                action=action,
                trigger_id=workspace.new_trigger(person_id, view.id),
                response_url=None,
            )
        return self._interact(payload)

    def fill(self, view: View, state: ValuesGiven, *, forge: bool = False) -> None:
        """Put values into a view's elements without sending anything."""
        with self._workspace.lock:
            self._put(view.all_blocks(), view.values, state, view.suggested, forge=forge)
            self._workspace.changed("home" if view.type == "home" else "modal")

    def suggest(
        self,
        person_id: str,
        place: View | Message,
        action_id: str,
        query: str,
        *,
        block_id: str | None = None,
    ) -> Outcome:
        """Type into an external select. Below its `min_query_length` (3) nothing is sent."""
        workspace = self._workspace
        with workspace.lock:
            block, element = slack_elements.find(place.all_blocks(), action_id, block_id)
            if "external" not in element["type"]:
                raise ValueError(f"{action_id} is a {element['type']} and asks for no options")
            if len(query) < element.get("min_query_length", 3):
                return Outcome()
            if isinstance(place, View):
                origin = payloads.view_origin(place)
            else:
                origin = payloads.message_origin(place, self._channel(place.channel))
            payload = payloads.block_suggestion(
                workspace,
                workspace.people[person_id],
                origin,
                action_id=action_id,
                block_id=block["block_id"],
                query=query,
            )
        outcome = self._interact(payload)
        if not outcome.acknowledged:
            return outcome
        answer = _latest(outcome)
        problems = slack_limits.options_problems(answer)
        if problems:
            workspace.reject("block_suggestion", "invalid_options", problems, {"answer": answer})
            outcome.error = "invalid_options"
            return outcome
        outcome.options = list(answer.get("options", ()))
        outcome.option_groups = answer.get("option_groups")
        if isinstance(place, View):
            with workspace.lock:
                known = place.suggested.setdefault((block["block_id"], action_id), [])
                known += slack_elements.options(answer)
        return outcome

    def submit(
        self, person_id: str, view: View, state: ValuesGiven | None = None, *, forge: bool = False
    ) -> Outcome:
        """Press a modal's submit button; the client first asks for what is missing."""
        workspace = self._workspace
        with workspace.lock:
            self.fill(view, state or {}, forge=forge)
            if not forge:
                errors = slack_elements.problems_before_sending(view.all_blocks(), view.values)
                if errors:
                    return Outcome(errors=errors, view=view)
                if view.source.get("submit") is None:
                    raise LookupError("this modal has no submit button")
            payload = payloads.view_submission(
                workspace,
                workspace.people[person_id],
                view,
                workspace.new_trigger(person_id, view.id),
            )
        outcome = self._interact(payload)
        if outcome.acknowledged:
            outcome.error, outcome.errors = self._submissions.apply(view, _latest(outcome))
        outcome.view = workspace.view(view.id)
        return outcome

    def close(self, person_id: str, view: View, *, clear: bool = False) -> Outcome:
        """Close a modal, or all of them; those with `notify_on_close` tell the app."""
        workspace = self._workspace
        with workspace.lock:
            person = workspace.people[person_id]
            stack = list(workspace.modals.get(person_id, ()))
            clear = clear or bool(view.source.get("clear_on_close"))
            going = stack if clear else [one for one in stack if one is view]
            told = [
                payloads.view_closed(workspace, person, one, cleared=clear)
                for one in reversed(going)
                if one.source.get("notify_on_close")
            ]
            workspace.close_modals(person_id, going)
        outcome = Outcome()
        for payload in told:
            outcome = self._interact(payload)
        return outcome

    def open_home(self, person_id: str, tab: str = "home") -> Outcome:
        """Open the Home tab, or with `tab="messages"` the direct messages; emits the event."""
        workspace = self._workspace
        with workspace.lock:
            channel = workspace.open_dm(person_id)
            event: Json = {
                "type": "app_home_opened",
                "user": person_id,
                "channel": channel.id,
                "event_ts": workspace.new_ts(),
                "tab": tab,
            }
            view = workspace.homes.get(person_id)
            if view is not None and tab == "home":
                event["view"] = view.to_slack()
        workspace.emit(event)
        return Outcome(view=view)

    # What several of these need

    def _channel(self, channel_id: str) -> Channel:
        channel = self._workspace.channels.get(channel_id)
        if channel is None:
            raise LookupError(f"there is no channel {channel_id}")
        return channel

    def _must_see(self, person: Person, channel: Channel, message: Message) -> None:
        if message.deleted:
            raise LookupError(f"the message {message.ts} was deleted")
        if not self._workspace.may_see(person, channel):
            raise LookupError(f"{person.id} cannot see {channel.id}")
        if message.ephemeral_to not in (None, person.id):
            raise LookupError(f"only {message.ephemeral_to} sees this message")

    def _element(
        self, blocks: list[Json], action_id: str, block_id: str | None, *, forge: bool
    ) -> tuple[Json, Json]:
        try:
            return slack_elements.find(blocks, action_id, block_id)
        except LookupError:
            if not forge:
                raise
        text = {"type": "plain_text", "text": "forged", "emoji": True}
        block = {"type": "actions", "block_id": block_id or "forged"}
        return block, {"type": "button", "action_id": action_id, "text": text}

    def _action(
        self,
        block: Json,
        element: Json,
        value: object,
        suggested: Any,
        *,
        forge: bool,
    ) -> Json:
        action: Json = {
            "type": element["type"],
            "action_id": element["action_id"],
            "block_id": block["block_id"],
            "action_ts": self._workspace.new_ts(),
        }
        if element["type"] == "button":
            keys = ("text", "value", "style", "url")
            action |= {key: element[key] for key in keys if key in element}
            return action if value is None else action | {"value": value}
        return action | slack_elements.chosen(element, value, suggested, forge=forge)

    def _put(
        self,
        blocks: list[Json],
        values: dict[str, dict[str, Json]],
        state: ValuesGiven,
        suggested: Mapping[tuple[str, str], list[Json]] | None = None,
        *,
        forge: bool = False,
    ) -> None:
        for block_id, actions in state.items():
            for action_id, value in actions.items():
                _, element = slack_elements.find(blocks, action_id, block_id)
                known = (suggested or {}).get((block_id, action_id), ())
                held = slack_elements.chosen(element, value, known, forge=forge)
                values.setdefault(block_id, {})[action_id] = held

    def _interact(self, payload: Json) -> Outcome:
        if not self._workspace.app.interactivity:
            return Outcome(acknowledged=False, error="not_configured")
        return self._deliver("interactive", payload)

    def _deliver(self, kind: str, payload: Json) -> Outcome:
        delivery = self._courier.deliver(kind, payload)
        error = delivery.attempts[-1].error
        return Outcome(error is None, delivery.latency, error, delivery=delivery)


def _latest(outcome: Outcome) -> Any:
    return outcome.delivery.attempts[-1].payload if outcome.delivery is not None else None


def _remember(values: dict[str, dict[str, Json]], block: Json, element: Json, action: Json) -> None:
    kind = element["type"]
    if kind not in slack_elements.STATELESS:
        key = slack_elements.SELECTED[kind]
        held = {"type": kind, key: action[key]}
        values.setdefault(block["block_id"], {})[element["action_id"]] = held
