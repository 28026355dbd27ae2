"""Driving the workspace as a person, from a test or a headless story. Everything blocks.

    alice = ws.human("U01ALICE")
    alice.command("/eks-access")                 # Outcome: .acknowledged, .latency, .text, .error
    alice.fill("cluster", "prod-eu")             # a modal is open: put a value in, send nothing
    alice.choose("level", "edit")                # use an element that dispatches
    alice.submit(reason="PAY-1423").errors       # {} when the app took it
    bob.click(bob.sees("C01PAY")[-1], "approve")

Values are as `bot.sandbox.control` says. What the person could not do in Slack's client raises
`LookupError` or `ValueError`, unless `forge=True`.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.sandbox import slack_elements
from bot.sandbox.interactions import Interactions, Outcome, ValuesGiven
from bot.sandbox.slack_model import Json, Person
from bot.sandbox.slack_shown import Message, View
from bot.sandbox.workspace import Notification, Workspace


class Human:
    """One person with a Slack client open."""

    def __init__(self, workspace: Workspace, interactions: Interactions, person: Person) -> None:
        self._workspace = workspace
        self._interactions = interactions
        self.person = person
        self.id = person.id

    def __repr__(self) -> str:
        return f"<{self.person.name} {self.id}>"

    # Looking

    def sees(self, channel_id: str) -> list[Message]:
        """The messages of a channel as this person sees them, oldest first; [] where they may not.

        Ephemeral messages to others are left out.
        """
        with self._workspace.lock:
            channel = self._workspace.channels.get(channel_id)
            if channel is None:
                raise LookupError(f"there is no channel {channel_id}")
            if not self._workspace.may_see(self.person, channel):
                return []
            return [
                message
                for message in self._workspace.messages.get(channel_id, ())
                if message.ephemeral_to in (None, self.id)
            ]

    @property
    def dm(self) -> list[Message]:
        """The direct messages with the bot, oldest first."""
        with self._workspace.lock:
            channel = self._workspace.dm(self.id)
            return [] if channel is None else self.sees(channel.id)

    @property
    def modal(self) -> View | None:
        """The modal on top, or None."""
        with self._workspace.lock:
            stack = self._workspace.modals.get(self.id)
            return stack[-1] if stack else None

    @property
    def modals(self) -> list[View]:
        """The open modals, the top one last."""
        with self._workspace.lock:
            return list(self._workspace.modals.get(self.id, ()))

    @property
    def home_view(self) -> View | None:
        """The Home tab as last published."""
        return self._workspace.homes.get(self.id)

    @property
    def notifications(self) -> list[Notification]:
        """What rang for this person, oldest first."""
        with self._workspace.lock:
            return [one for one in self._workspace.notifications if one.person == self.id]

    # Acting

    def command(self, line: str, channel: str | None = None) -> Outcome:
        """Type a slash command, by default in the direct messages with the bot."""
        return self._interactions.command(self.id, line, channel)

    def say(self, channel: str, text: str, thread_ts: str | None = None) -> Outcome:
        return self._interactions.say(self.id, channel, text, thread_ts)

    def click(
        self,
        target: Message | View,
        action_id: str,
        value: object = None,
        block_id: str | None = None,
        *,
        state: ValuesGiven | None = None,
        forge: bool = False,
    ) -> Outcome:
        """Use an element of a message, of an old copy of one, of a modal or of Home.

        For a button a `value` replaces its own. `forge` uses an element that is not there.
        """
        if isinstance(target, View):
            return self._interactions.view_action(
                self.id, target, action_id, value=value, block_id=block_id, state=state, forge=forge
            )
        return self._interactions.click(
            self.id, target, action_id, value=value, block_id=block_id, state=state, forge=forge
        )

    def wait_modal(self, timeout: float = 5) -> View:
        """The modal on top, as soon as there is one."""
        view = self._workspace.wait(lambda: self.modal, timeout)
        assert view is not None  # noqa: S101 (wait gives what is true)
        return view

    def fill(self, name: str, value: object, *, forge: bool = False) -> None:
        """Put a value into the top modal; `name` is a block id, an action id or `block/action`."""
        view = self._top()
        block_id, action_id = self._resolve(view, name)
        self._interactions.fill(view, {block_id: {action_id: value}}, forge=forge)

    def choose(self, name: str, value: object = None, *, forge: bool = False) -> Outcome:
        """Use an element of the top modal that dispatches; `name` as in `fill`."""
        view = self._top()
        block_id, action_id = self._resolve(view, name)
        return self._interactions.view_action(
            self.id, view, action_id, value=value, block_id=block_id, forge=forge
        )

    def suggest(self, name: str, query: str, *, place: View | Message | None = None) -> list[Json]:
        """Type into an external select: the options offered, those in groups too.

        Raises `AssertionError` when the app gave no valid answer.
        """
        place = place or self._top()
        block_id, action_id = self._resolve(place, name)
        outcome = self._interactions.suggest(self.id, place, action_id, query, block_id=block_id)
        if outcome.error is not None:
            raise AssertionError(f"no options: {outcome.error}")
        groups = outcome.option_groups or []
        return [*outcome.options, *(option for group in groups for option in group["options"])]

    def submit(
        self, given: Mapping[str, object] | None = None, *, forge: bool = False, **values: object
    ) -> Outcome:
        """Fill what is given and submit the top modal. Names as in `fill`.

        `given` takes names that are no Python names. `forge` sends values the modal did not offer,
        and sends though something required is missing.
        """
        view = self._top()
        for name, value in {**(given or {}), **values}.items():
            self.fill(name, value, forge=forge)
        return self._interactions.submit(self.id, view, forge=forge)

    def close(self, *, clear: bool = False) -> Outcome:
        """Close the top modal, or with `clear` all of them."""
        return self._interactions.close(self.id, self._top(), clear=clear)

    def home(self, timeout: float = 5) -> View:
        """Open Home and give the view; the first time, wait until the app has published one.

        A Home published before is given as it is: wait for what it should come to say.
        """
        self._interactions.open_home(self.id)
        view = self._workspace.wait(lambda: self.home_view, timeout)
        assert view is not None  # noqa: S101 (wait gives what is true)
        return view

    def open_dm(self) -> str:
        """Open the direct messages with the bot; the channel's id."""
        self._interactions.open_home(self.id, "messages")
        return self._workspace.open_dm(self.id).id

    def _top(self) -> View:
        view = self.modal
        if view is None:
            raise LookupError(f"{self.id} has no modal open")
        return view

    def _resolve(self, place: View | Message, name: str) -> tuple[str, str]:
        there = [
            (block["block_id"], element["action_id"])
            for block, element in slack_elements.interactive(place.all_blocks())
        ]
        found = [pair for pair in there if name in (*pair, "/".join(pair))]
        if len(found) != 1:
            names = ", ".join("/".join(pair) for pair in there) or "none"
            raise LookupError(f"{len(found)} elements are called {name}; there are: {names}")
        return found[0]
