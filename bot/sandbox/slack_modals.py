"""Modals, Home tabs and the triggers that open them: Slack's "Views" and "Trigger IDs"."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.sandbox import slack_elements
from bot.sandbox.slack_model import AppSettings, Json, SlackError, Team
from bot.sandbox.slack_shown import View
from bot.sandbox.workspace import Clock, Workspace, kept, utc_now

TRIGGER_LIFE = timedelta(seconds=3)
MAX_STACK = 3


@dataclass
class Trigger:
    """A `trigger_id`: it lives three seconds and opens one view. `view_id`: pressed inside it."""

    person: str
    expires: datetime
    view_id: str | None = None
    used: bool = False


class WorkspaceWithViews(Workspace):
    """A workspace with the views part: modal stacks, Home tabs, triggers."""

    def __init__(
        self,
        *,
        team: Team | None = None,
        app: AppSettings | None = None,
        clock: Clock = utc_now,
    ) -> None:
        super().__init__(team=team, app=app, clock=clock)
        self.triggers: dict[str, Trigger] = {}

    def new_trigger(self, person_id: str, view_id: str | None = None) -> str:
        with self.lock:
            trigger_id = f"{next(self._ids)}.{self.epoch()}.{secrets.token_hex(16)}"
            self.triggers[trigger_id] = Trigger(person_id, self.clock() + TRIGGER_LIFE, view_id)
            return trigger_id

    def use_trigger(self, trigger_id: str) -> Trigger:
        """Spend a trigger. Raises `SlackError` for one unknown, spent or too old."""
        with self.lock:
            trigger = self.triggers.get(trigger_id)
            if trigger is None:
                raise SlackError("invalid_trigger_id")
            if trigger.used:
                raise SlackError("exchanged_trigger_id")
            if self.clock() >= trigger.expires:
                raise SlackError("expired_trigger_id")
            trigger.used = True
            return trigger

    def new_view(
        self, person_id: str, source: Json, stack: Sequence[View] = (), view_id: str | None = None
    ) -> View:
        """A view object, not yet shown. Raises `duplicate_external_id`."""
        external_id = source.get("external_id")
        if external_id and any(
            view.external_id == external_id and view.id != view_id for view in self.all_views()
        ):
            raise SlackError("duplicate_external_id")
        new_id = view_id or self.new_id("V")
        blocks = slack_elements.with_ids(source["blocks"], self.new_block_id)
        return View(
            new_id,
            person_id,
            {**source, "blocks": blocks},
            self.new_hash(),
            stack[0].id if stack else new_id,
            stack[-1].id if stack else None,
            self.team.id,
            self.app.id,
            self.app.bot_id,
            slack_elements.initial_values(blocks),
        )

    def new_hash(self) -> str:
        return f"{self.epoch()}.{secrets.token_hex(4)}"

    def open_modal(self, person_id: str, source: Json) -> View:
        """Show a modal as the root of the person's stack, in place of what is open."""
        with self.lock:
            view = self.new_view(person_id, source)
            self.modals[person_id] = [view]
            self.changed("modal")
            return view

    def push_modal(self, person_id: str, source: Json) -> View:
        with self.lock:
            stack = self.modals.get(person_id, [])
            if not stack:
                raise SlackError("not_found")
            if len(stack) >= MAX_STACK:
                raise SlackError("push_limit_reached")
            view = self.new_view(person_id, source, stack)
            stack.append(view)
            self.changed("modal")
            return view

    def update_view(self, view: View, source: Json) -> View:
        """Replace a view's content. What people typed stays where block and action id stay."""
        with self.lock:
            fresh = self.new_view(view.user, source, view_id=view.id)
            view.source, view.hash = fresh.source, fresh.hash
            view.values = kept(fresh.values, view.values)
            self.changed("home" if view.type == "home" else "modal")
            return view

    def publish_home(self, person_id: str, source: Json) -> View:
        with self.lock:
            old = self.homes.get(person_id)
            if old is not None:
                return self.update_view(old, source)
            view = self.new_view(person_id, source)
            self.homes[person_id] = view
            self.changed("home")
            return view

    def close_modals(self, person_id: str, views: Sequence[View]) -> None:
        with self.lock:
            gone = {view.id for view in views}
            stack = [view for view in self.modals.get(person_id, ()) if view.id not in gone]
            if stack:
                self.modals[person_id] = stack
            else:
                self.modals.pop(person_id, None)
            self.changed("modal")
