"""Made-up payloads: the envelope is Slack's, what a person or a forger controls is anything.

One `random.Random` draws them all. What a client of Slack's own could never send, such as an event
without its user, is left out: nobody is there to be answered.
"""

from __future__ import annotations

import json
import random
from typing import Any

from tests.simulation.scene import CLUSTERS, EVERYBODY, LEVELS, NAMESPACES, TEAM, Json

_WORDS = (
    "request",
    "break-glass",
    "mine",
    "pending",
    "who",
    "status",
    "extend",
    "return",
    "approve",
    "deny",
    "cancel",
    "clusters",
    "help",
    "delegate",
    "--namespace",
    "--for",
    "--at",
    "--ticket",
    "-n",
    "—for",
    "--",
    "2h",
    "30m",
    "0m",
    "-1h",
    "999999999999h",
    "1e9h",
    "14:30",
    "25:99",
    "tomorrow",
    "2026-13-45T99:00Z",
    "131-K0G",
    "131K0G",
    "lIO-oO1",
    "PAY-1423",
    *CLUSTERS,
    *LEVELS,
    *NAMESPACES,
    "kube-system",
    "*",
    "a,b,,c",
    "because",
    "“curly”",
    '"open',
    "`code`",
    "<!channel>",
    "<@U01ANA>",
    "&lt;!here&gt;",
    "<https://evil.example|click>",
    "*bold*",
    "\u202eright to left",
    "\u200b",
    "a\u0301",
    "🥊",
    "\x00",
    "\x1b[31m",
    "\ud83d",
    "'; DROP TABLE requests; --",
    "%s%n",
    "{0}",
    "${HOME}",
    "\uff21\uff24\uff2d\uff29\uff2e",  # ADMIN, full width
    "\u0131",  # i without its dot
    "٣h",
    "\n",
    "\t",
)
_ACTIONS = (
    "approve",
    "deny",
    "ask",
    "answer",
    "cancel",
    "return",
    "revoke",
    "extend",
    "request",
    "again",
    "review",
    "cluster",
    "level",
    "namespaces",
    "nobody-knows-this",
)
_CALLBACKS = (
    "request",
    "deny",
    "revoke",
    "extend",
    "question",
    "answer",
    "notice",
    "loading",
    "nobody-knows-this",
)
_FIELDS = ("cluster", "level", "namespaces", "duration", "reason", "ticket", "question", "start")
_KEYS = ("value", "selected_option", "selected_options", "type", "selected_date_time", "text")
_EVENTS = ("app_home_opened", "user_change", "subteam_updated", "member_joined_channel", "message")
_LONG = 100_000


class Fuzz(random.Random):
    """Draws payloads. The same seed draws the same."""

    def actor(self) -> str:
        if self.random() < 0.6:
            return self.choice(EVERYBODY)
        return f"U{self.randrange(10**6):06d}"

    def text(self) -> str:
        """What somebody types: words of the grammar, and what has no business there."""
        kind = self.random()
        if kind < 0.01:
            return "a" * _LONG
        if kind < 0.08:
            return "".join(chr(self.randrange(1, 0x2FFF)) for _ in range(self.randrange(60)))
        if kind < 0.4:
            return self._likely()
        words = [self.choice(_WORDS) for _ in range(self.randrange(9))]
        return self.choice((" ", " ", " ", "  ", "\u00a0")).join(words)

    def _likely(self) -> str:
        """A command that may well be right, so that what follows is met too."""
        word = self.choice(("request", "request", "approve", "deny", "extend", "return", "status"))
        if word != "request":
            return f"{word} 131-K{self.randrange(32):X}G {self.choice(_WORDS)}"
        where = (
            f"--namespace {self.choice(NAMESPACES)}" if self.random() < 0.8 else "--whole-cluster"
        )
        cluster, level = self.choice(CLUSTERS), self.choice(("view", "edit", "admin", "edti"))
        reason = " ".join(self.choice(_WORDS) for _ in range(self.randrange(1, 6)))
        long = self.choice(("2h", "30m", "1h", self.choice(_WORDS)))
        return f"request {cluster} {level} {where} --for {long} {reason}"

    def json(self, depth: int = 3) -> Any:
        """Any JSON."""
        kind = self.randrange(9 if depth else 6)
        if kind > 6:
            return {self.choice(_KEYS): self.json(depth - 1) for _ in range(self.randrange(4))}
        if kind > 5:
            return [self.json(depth - 1) for _ in range(self.randrange(4))]
        scalars = (None, True, self.randrange(-(2**70), 2**70), 1e308, "", self.text()[:3000])
        return scalars[kind]

    def command(self, trigger: str, url: str) -> Json:
        return {
            "token": "t",
            "team_id": self._team(),
            "channel_id": "C01PAY",
            "user_id": self.actor(),
            "command": "/eks-access",
            "text": self.text(),
            "api_app_id": "A01",
            "response_url": url,
            "trigger_id": trigger,
        }

    def click(self, trigger: str, url: str) -> Json:
        action: Json = {
            "type": "button",
            "action_id": self.choice(_ACTIONS),
            "block_id": self.choice(("decide", "cluster", "x")),
            "value": self._id() if self.random() < 0.5 else self.json(1),
            "action_ts": "1.1",
        }
        if self.random() < 0.3:
            action |= {"type": "static_select", "selected_option": self.json(2)}
            action.pop("value")
        body = self._from("block_actions") | {
            "trigger_id": trigger,
            "response_url": url,
            "actions": [action],
            "container": {"type": "message", "message_ts": "1.1", "channel_id": "C01PAY"},
        }
        if action["action_id"] in {"cluster", "level", "namespaces"}:
            body |= {"view": self._view(self.choice(_CALLBACKS))}
        return body

    def submission(self, trigger: str, _: str) -> Json:
        return self._from("view_submission") | {
            "trigger_id": trigger,
            "view": self._view(self.choice(_CALLBACKS[:4])),
        }

    def suggestion(self, *_: str) -> Json:
        return self._from("block_suggestion") | {
            "action_id": "cluster",
            "block_id": "cluster",
            "value": self.text()[:200],
            "view": self._view("request"),
        }

    def event(self, *_: str) -> Json:
        kind = self.choice(_EVENTS)
        user = self.choice(EVERYBODY)  # Slack tells of nobody else
        event: Json = {"type": kind, "user": user, "channel": "C01PAY", "event_ts": "1.1"}
        event |= {self.choice(("tab", "text", "view", "subtype")): self.json(1)}
        if kind == "user_change":
            event["user"] = {"id": user, "profile": self.json(2)}
        return {
            "type": "event_callback",
            "team_id": TEAM,
            "api_app_id": "A01",
            "event_id": f"Ev{self.randrange(10**9)}",
            "event": event,
        }

    def body(self, trigger: str, url: str) -> bytes:
        """The body of an HTTP request: a payload, a damaged one, or noise."""
        kind = self.random()
        if kind < 0.2:
            return self.randbytes(self.randrange(3000))
        made = self.choice((self.command, self.click, self.submission, self.event))(trigger, url)
        text = json.dumps(made)
        if kind < 0.5:
            at = self.randrange(len(text))
            text = text[:at] + self.choice(("", "{", '"', "\x00", "[" * 2000)) + text[at:]
        if self.random() < 0.1:
            text = json.dumps(self.json())
        return (f"payload={text}" if self.random() < 0.5 else text).encode(errors="replace")

    def _from(self, kind: str) -> Json:
        return {
            "type": kind,
            "team": {"id": self._team(), "domain": "acme"},
            "user": {"id": self.actor(), "team_id": self._team(), "name": self.text()[:80]},
            "api_app_id": "A01",
            "token": "t",
        }

    def _view(self, callback: str) -> Json:
        values = {
            field: {field: self.json(2)} if self.random() < 0.9 else self.json(1)
            for field in _FIELDS
            if self.random() < 0.8
        }
        if self.random() < 0.3:
            option = {"value": self.choice((*CLUSTERS, *LEVELS, "2h"))}
            values[self.choice(_FIELDS)] = {self.choice(_FIELDS): {"selected_option": option}}
        state = {"values": values} if self.random() < 0.95 else self.json(2)
        return {
            "id": f"V{self.randrange(10**6)}",
            "hash": "1.abc",
            "type": "modal",
            "callback_id": callback,
            "private_metadata": self._id() if self.random() < 0.6 else self.text()[:3000],
            "state": state,
            "blocks": [],
        }

    def _id(self) -> str:
        return f"131-K{self.choice('0123456789ABCDEFGHJKMNPQRSTVWXYZ')}G"

    def _team(self) -> str:
        return TEAM if self.random() < 0.9 else "T09OTHER"
