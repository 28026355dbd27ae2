"""Twenty people a minute who ask for access, and an owner who approves what waits for one."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from bot.sandbox.slack_server import SlackWorkspace
from bot.sandbox.stage import LAB_ACCOUNT

CLUSTER = "lab"
GENERAL, OWNERS_CHANNEL = "C00GENERAL", "C01OWNERS"
OWNER = "U00OWNER"
A_MINUTE = 20
APPROVED_EVERY = 4
_LENGTHS = ("1m", "90s", "2m")

POLICY = f"""\
deployment: soak
audit_channel: C0AUDIT
security_channel: C0SECURITY
clusters:
  - {{name: {CLUSTER}, region: eu-west-1, account: "{LAB_ACCOUNT}"}}
levels:
  view: {{policy: AmazonEKSViewPolicy}}
  edit: {{policy: AmazonEKSEditPolicy}}
principals:
  template: "arn:aws:iam::{{account}}:role/eks-jit/{{email_name}}"
  email_domains: [example.com]
drift: {{repair: true}}
rules:
  - name: readers
    clusters: ["*"]
    levels: [view]
    namespaces: [default]
    approval: automatic
    max_duration: 8h
  - name: editors
    clusters: ["*"]
    levels: [edit]
    namespaces: [default]
    approval: {{channel: {OWNERS_CHANNEL}, owners: {{users: [{OWNER}]}}}}
    max_duration: 8h
"""


@dataclass
class Load:
    """People who ask, one after the other, each for themselves and once.

    `taken` are those whose command the bot took; `told` those whom it told at once that it cannot;
    `failed` those to whom Slack said that the app did not answer.
    """

    slack: SlackWorkspace
    chance: random.Random
    taken: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    approved: set[str] = field(default_factory=set)

    def furnish(self) -> None:
        """The channels, and the owner."""
        for channel, name in (
            (GENERAL, "general"),
            (OWNERS_CHANNEL, "owners"),
            ("C0AUDIT", "audit"),
            ("C0SECURITY", "security"),
        ):
            self.slack.add_channel(channel, name)
        self.slack.add_person(OWNER, "owner")
        for channel in (GENERAL, OWNERS_CHANNEL):
            self.slack.join(channel, OWNER)

    def start(self) -> None:
        """Begin."""
        self._ending = threading.Event()
        self._acting = ThreadPoolExecutor(16, "people")
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._ask_on, self._approve_on)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Nobody asks any more."""
        self._ending.set()
        for thread in self._threads:
            thread.join()
        self._acting.shutdown()

    def _ask_on(self) -> None:
        number = 0
        while not self._ending.wait(60 / A_MINUTE):
            number += 1
            level = "edit" if number % APPROVED_EVERY == 0 else "view"
            self._acting.submit(self._ask, f"U1{number:05}", level, self.chance.choice(_LENGTHS))

    def _ask(self, person: str, level: str, length: str) -> None:
        self.slack.add_person(person, f"ana{person[2:]}")
        self.slack.join(GENERAL, person)
        line = f"/eks-access request {CLUSTER} {level} --namespace default --for {length} Looking"
        answer = self.slack.human(person).command(line, GENERAL)
        if not answer.acknowledged:
            self.failed.append(person)
        else:
            (self.told if answer.text else self.taken).append(person)

    def _approve_on(self) -> None:
        owner = self.slack.human(OWNER)
        while not self._ending.wait(1):
            for card in owner.sees(OWNERS_CHANNEL):
                top = card.ephemeral_to is None and card.thread_ts in (None, card.ts)
                if top and "pending" in card.text.lower() and card.ts not in self.approved:
                    self.approved.add(card.ts)
                    self._acting.submit(owner.click, card, "approve")
