"""The sandbox's story, played without a page: each step says what EKS itself shows afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from bot.core.planner import GRANT_TAG
from bot.sandbox.eks import Entry
from bot.sandbox.humans import Human
from bot.sandbox.slack_shown import Message
from bot.sandbox.stage import LAB_ACCOUNT, NODE_ROLE, PRODUCTION_ACCOUNT, TERRAFORM_ROLE, Stage

ANA_IN_LAB = f"arn:aws:iam::{LAB_ACCOUNT}:role/eks-jit/ana"
ANA_IN_PRODUCTION = f"arn:aws:iam::{PRODUCTION_ACCOUNT}:role/eks-jit/ana"
CLEO_IN_PRODUCTION = f"arn:aws:iam::{PRODUCTION_ACCOUNT}:role/eks-jit/cleo"
PATIENCE_SECONDS = 10.0

Say = Callable[[str], None]


class BrokenError(Exception):
    """Something did not hold that should."""


def tell(stage: Stage, say: Say) -> None:
    """Play the story on a furnished stage with a running bot. Raises BrokenError."""
    story = _Story(stage, say)
    before = story.foreign()
    story.automatic_access()
    story.expiry()
    story.approval()
    story.overlap()
    story.early_return()
    story.denial()
    story.deputy()
    story.later()
    story.limits()
    story.refusals()
    story.break_glass()
    story.review_of_it()
    story.hold("what Terraform and the nodes have is as it was", story.foreign() == before)
    rejected = [f"{one.method}: {one.error} {one.messages}" for one in stage.slack.rejections]
    story.hold(f"Slack rejected nothing the bot sent {rejected or ''}".rstrip(), not rejected)


class _Story:
    def __init__(self, stage: Stage, say: Say) -> None:
        self._stage = stage
        self._say = say
        self._ana = stage.slack.human("U01ANA")
        self._ben = stage.slack.human("U02BEN")
        self._gia = stage.slack.human("U05GIA")
        self._cleo = stage.slack.human("U03CLEO")
        self._dan = stage.slack.human("U04DAN")
        self._iris = stage.slack.human("U07IRIS")

    def automatic_access(self) -> None:
        self._step("Ana asks for view on modern-access-lab / default, which no rule keeps from her")
        asked = time.monotonic()
        self._command(
            self._ana,
            "request modern-access-lab view --namespace default --for 30m Looking at the pods",
        )
        entry = self._lab_entry(present=True)
        self.hold(
            f"EKS shows {_shown(entry)}, {_since(asked)} after the command",
            _policies(entry) == {"AmazonEKSViewPolicy": ("default",)},
        )
        self._told(self._ana, "is active until")
        self.hold("Ana is told, with the commands that use it", self._has_commands())
        self._command(self._ana, f"status {self._latest_id()}")
        self._told(self._ana, "If you need it longer")
        self.hold("she has them again from status, with what extends it", True)

    def expiry(self) -> None:
        self._step("30 minutes pass")
        moved = time.monotonic()
        self._stage.advance(timedelta(minutes=30))
        self._lab_entry(present=False)
        self.hold(f"EKS shows no entry for role/eks-jit/ana, {_since(moved)} later", True)
        self._told(self._ana, "has ended")
        self.hold(f"Ana is told that removal is confirmed, {_since(moved)} after the end", True)

    def approval(self) -> None:
        self._step(
            "Ana asks for edit on prod-eu / payments, which Ben or the payments leads decide"
        )
        self._command(
            self._ana,
            "request prod-eu edit --namespace payments --for 2h --ticket PAY-1423 "
            "Clearing a stuck settlement job",
        )
        card = self._card("C02PAYMENTS")
        self.hold("the card is in #payments-access", True)
        self._click(self._ana, card, "approve")
        self._told(self._ana, "your own request", "C02PAYMENTS")
        self.hold("Ana clicks Approve herself and is refused", self._production() is None)
        self._click(self._gia, card, "approve")
        self._told(self._gia, "guest", "C02PAYMENTS")
        self.hold("Gia, a guest, clicks Approve and is refused", self._production() is None)
        clicked = time.monotonic()
        self._click(self._ben, card, "approve")
        entry = self._wait_production({"AmazonEKSEditPolicy": ("payments",)})
        self.hold(f"Ben approves; EKS shows {_shown(entry)}, {_since(clicked)} later", True)

    def overlap(self) -> None:
        self._step(
            "Ana asks for edit on payments-api as well, for longer; both hold, then one ends"
        )
        self._command(
            self._ana,
            "request prod-eu edit --namespace payments-api --for 4h --ticket PAY-1424 Same job",
        )
        card = self._card("C02PAYMENTS", number=2)
        self._click(self._ben, card, "approve")
        both = {"AmazonEKSEditPolicy": ("payments", "payments-api")}
        self.hold(f"EKS shows the union: {_shown(self._wait_production(both))}", True)
        self._stage.slack.wait(lambda: ": active" in card.text, PATIENCE_SECONDS)
        self.hold("the card says active, now that EKS was read back", True)
        self._stage.advance(timedelta(hours=2))
        entry = self._wait_production({"AmazonEKSEditPolicy": ("payments-api",)})
        self.hold(f"2 hours later EKS shows only what still lives: {_shown(entry)}", True)

    def early_return(self) -> None:
        self._step("Ana returns the rest early")
        clicked = time.monotonic()
        self._command(self._ana, f"return {self._latest_id()}")
        self._wait(lambda: self._production() is None, "the entry is gone")
        self.hold(f"EKS shows no entry for role/eks-jit/ana, {_since(clicked)} later", True)

    def denial(self) -> None:
        self._step("Ana asks again through the form, and Ben denies with a reason")
        self._command(self._ana, "")
        form = self._stage.slack.wait(lambda: self._form(self._ana), PATIENCE_SECONDS)
        self.hold("the form opens", form)
        self._choose("cluster", "prod-eu", lambda text: ":warning:" in text)
        self._choose("level", "view", lambda text: "View can read" in text)
        self.hold(
            "the form marks production and says who decides: one of @pay-leads and Ben",
            "<!subteam^S02PAYLEADS>" in str(self._shown_form()),
        )
        result = self._ana.submit(
            namespaces="payments",
            ticket="PAY-1425",
            reason="Reading the logs",
        )
        self.hold(f"the form is accepted {result.errors or ''}".rstrip(), not result.errors)
        card = self._card("C02PAYMENTS", number=3)
        self._click(self._ben, card, "deny")
        self._stage.slack.wait(lambda: self._ben.modal, PATIENCE_SECONDS)
        self._ben.submit(reason="The logs are in the viewer, no access needed")
        self._told(self._ana, "Ben Ito denied")
        self.hold("Ana reads who denied it, and why; EKS shows nothing", self._production() is None)

    def deputy(self) -> None:
        self._step("Ben goes away and names Dan his deputy; Ana asks, and nobody decides at first")
        until = f"{self._stage.clock() + timedelta(days=3):%Y-%m-%d}"
        self._command(self._ben, f"delegate {self._dan.id} until {until}")
        self._told(self._dan, "decides in the place of", "C02PAYMENTS")
        self.hold("the owners' channel reads who decides for Ben, and until when", True)
        self._command(
            self._ana, "request prod-eu view --namespace payments --ticket PAY-1426 A slow job"
        )
        card = self._card("C02PAYMENTS", number=4)
        self._stage.advance(timedelta(minutes=15))
        self._told(self._ben, "has waited 15 min", "C02PAYMENTS")
        self.hold("15 minutes later the owners are reminded, in the card's thread", True)
        clicked = time.monotonic()
        self._click(self._dan, card, "approve")
        entry = self._wait_production({"AmazonEKSViewPolicy": ("payments",)})
        self.hold(f"Dan approves; EKS shows {_shown(entry)}, {_since(clicked)} later", True)
        self._stage.slack.wait(lambda: ": active" in card.text, PATIENCE_SECONDS)
        self.hold("the card says for whom he did", "Dan Okafor for Ben Ito" in str(card.blocks))
        self._give_back(entry)
        self._wait(lambda: self._production() is None, "the entry is gone")

    def later(self) -> None:
        self._step("Ana asks for access that starts in two hours")
        start = (self._stage.clock() + timedelta(hours=2)).replace(second=0, microsecond=0)
        wish = "request modern-access-lab view --namespace dev-ana --for 30m"
        self._command(self._ana, f"{wish} --at {start:%Y-%m-%dT%H:%MZ} A rehearsal")
        self._told(self._ana, "It starts")
        self.hold("it is approved, and EKS shows nothing yet", self._lab() is None)
        moved = time.monotonic()
        self._stage.advance(start - self._stage.clock())
        entry = self._lab_entry(present=True)
        self.hold(
            f"then it begins by itself: {_shown(entry)}, {_since(moved)} after its time", True
        )
        self._told(self._ana, "/ `dev-ana` is active until")  # what is not confirmed is given up
        self._stage.advance(timedelta(minutes=30))
        self._lab_entry(present=False)
        self.hold("and ends 30 minutes after that", True)

    def limits(self) -> None:
        self._step("On staging a rule gives access by itself, twice within 24 hours")
        ask = "request modern-access-lab edit --namespace staging --for 30m Trying a release"
        for _ in range(2):
            self._command(self._ana, ask)
            entry = self._lab_entry(present=True)
            self._give_back(entry)
            self._lab_entry(present=False)
        self.hold(f"twice EKS shows {_shown(entry)}", True)
        self._command(self._ana, ask)
        card = self._card("C01PLATFORM", number=3)
        self.hold("the third time the platform's owners are asked", "PENDING" in str(card.blocks))
        self._click(self._cleo, card, "approve")
        entry = self._lab_entry(present=True)
        self.hold(f"Cleo approves; EKS shows {_shown(entry)}", True)
        self._give_back(entry)
        self._lab_entry(present=False)

    def refusals(self) -> None:
        self._step("What cannot be is said in a sentence")
        self._command(self._ana, "request legacy-eu view --namespace default --for 30m Trying")
        self._told(self._ana, "could not be given")
        self.hold("legacy-eu is in mode CONFIG_MAP, and Ana is told what to do about it", True)
        answer = self._ana.command("/eks-access request prod-eu edti --namespace payments Typo")
        self._told(self._ana, "edti")
        self.hold("a level that does not exist is answered with those that do", answer.acknowledged)

    def break_glass(self) -> None:
        self._step("Something is down at night; Cleo is on call in PagerDuty, Dan only behind her")
        command = "break-glass prod-eu cluster-admin --for 30m The API server is down"
        self._command(self._dan, command)
        self._told(self._dan, "not among those who may break glass")
        self.hold("Dan is refused, and told what he can do", True)
        asked = time.monotonic()
        self._command(self._cleo, command)
        entry = self._wait_production({"AmazonEKSClusterAdminPolicy": ()}, CLEO_IN_PRODUCTION)
        self.hold(f"EKS shows {_shown(entry)}, {_since(asked)} after the command", True)
        alarm = self._alarm()
        self._stage.slack.wait(lambda: ": active" in alarm.text, PATIENCE_SECONDS)
        self.hold(f"the alarm is in #security and says active, {_since(asked)} after it", True)
        self._told(self._cleo, "aws eks update-kubeconfig")
        self._told(self._cleo, "A review by somebody else is due by")
        self.hold(f"Cleo has her commands, and reads what is owed, {_since(asked)} after it", True)
        clicked = time.monotonic()
        self._click(self._iris, alarm, "revoke")
        self._iris.wait_modal()
        self._iris.submit(reason="Cleo says that it is over")
        self._wait(lambda: self._production(CLEO_IN_PRODUCTION) is None, "the entry is gone")
        self.hold(f"Iris, security, revokes it; EKS shows nothing, {_since(clicked)} later", True)

    def review_of_it(self) -> None:
        self._step("Somebody else says what was done, and until then it is remembered")
        alarm = self._alarm()
        self._stage.slack.wait(lambda: "Review…" in str(alarm.blocks), PATIENCE_SECONDS)
        self._stage.advance(timedelta(hours=24))
        self._stage.slack.wait(lambda: "REVIEW IS OVERDUE" in str(alarm.blocks), PATIENCE_SECONDS)
        self._command(self._cleo, "break-glass prod-eu edit --namespace payments Again")
        self._told(self._cleo, "has to approve first")
        entry = self._production(CLEO_IN_PRODUCTION)
        self.hold("a day later it is overdue, and Cleo's next one waits for security", not entry)
        review = f"review {alarm.text.rpartition('(')[2].rstrip(')')} justified Restarted it, INC-7"
        self._command(self._cleo, review)
        self._told(self._cleo, "somebody else reviews it")
        self._command(self._iris, review)
        self._stage.slack.wait(lambda: "Restarted it, INC-7" in str(alarm.blocks), PATIENCE_SECONDS)
        self.hold("Cleo cannot review it, Iris does, and the card keeps what she found", True)

    def foreign(self) -> tuple[Entry, ...]:
        """What others put on prod-eu."""
        held = self._stage.eks.entries("prod-eu", "eu-central-1", PRODUCTION_ACCOUNT)
        return tuple(one for one in held if one.principal_arn in (TERRAFORM_ROLE, NODE_ROLE))

    def hold(self, what: str, so: object) -> None:
        """Say that something holds, or stop the story."""
        if not so:
            raise BrokenError(what)
        self._say(f"  ✓ {what}")

    def _step(self, what: str) -> None:
        self._say(f"\n{what}.")

    def _command(self, person: Human, text: str) -> None:
        result = person.command(f"/eks-access {text}".strip(), "C00GENERAL")
        if not result.acknowledged or result.error:
            raise BrokenError(f"the command was not acknowledged: {result.error}")
        self._say(f"  /eks-access {text}".rstrip() + f"  [acknowledged in {_ms(result.latency)}]")

    def _click(self, person: Human, card: Message, action: str) -> None:
        result = person.click(card, action)
        if not result.acknowledged or result.error:
            raise BrokenError(f"the click was not acknowledged: {result.error}")
        name = person.person.real_name.split()[0]
        self._say(f"  {name} clicks {action}  [acknowledged in {_ms(result.latency)}]")

    def _card(self, channel: str, number: int = 1) -> Message:
        """The `number`th card in a channel, once it is there."""

        def cards() -> list[Message]:
            seen = self._ben.sees(channel)
            return [
                one
                for one in seen
                if one.thread_ts in (None, one.ts) and not one.ephemeral_to and "(" in one.text
            ]

        self._stage.slack.wait(lambda: len(cards()) >= number, PATIENCE_SECONDS)
        return cards()[number - 1]

    def _alarm(self) -> Message:
        """The first break-glass in the security channel."""

        def found() -> list[Message]:
            seen = self._iris.sees("C0SECURITY")
            return [one for one in seen if one.text.startswith("Break-glass:")]

        return self._stage.slack.wait(found, PATIENCE_SECONDS)[0]

    def _told(self, person: Human, words: str, channel: str | None = None) -> None:
        """Wait until the person reads `words`, in the channel or in their direct messages."""

        def read() -> bool:
            seen = [*person.dm, *person.sees(channel or "C00GENERAL")]
            return any(words in f"{one.text} {one.blocks}" for one in seen)

        self._stage.slack.wait(read, PATIENCE_SECONDS)

    def _has_commands(self) -> bool:
        said = " ".join(str(one.blocks) for one in self._ana.dm)
        return "aws eks update-kubeconfig" in said and "kubectl auth can-i" in said

    def _give_back(self, entry: Entry | None) -> None:
        """Ana returns what gave her the entry."""
        self._command(self._ana, f"return {entry.tags[GRANT_TAG] if entry else ''}")

    def _latest_id(self) -> str:
        """The newest request of which Ana has a message with the button to return it."""

        def found() -> list[str]:
            return [
                str(button["value"])
                for one in self._ana.dm
                for block in one.blocks or []
                for button in block.get("elements", [])
                if isinstance(button, dict) and button.get("action_id") == "return"
            ]

        return max(self._stage.slack.wait(found, PATIENCE_SECONDS))

    def _choose(self, name: str, value: str, drawn: Callable[[str], bool]) -> None:
        """Choose in the form, and wait until it is drawn again."""
        self._ana.choose(name, value)
        self._stage.slack.wait(lambda: drawn(str(self._shown_form())), PATIENCE_SECONDS)

    def _shown_form(self) -> object:
        return self._ana.modal.source if self._ana.modal else None

    def _form(self, person: Human) -> bool:
        modal = person.modal
        return modal is not None and modal.callback_id == "request"

    def _lab_entry(self, *, present: bool) -> Entry | None:
        def complete() -> bool:
            entry = self._lab()
            return (entry is not None and bool(entry.associations)) if present else entry is None

        self._wait(complete, "the entry appears" if present else "the entry is gone")
        return self._lab()

    def _lab(self) -> Entry | None:
        return self._stage.eks.entry("modern-access-lab", ANA_IN_LAB, account=LAB_ACCOUNT)

    def _production(self, principal: str = ANA_IN_PRODUCTION) -> Entry | None:
        return self._stage.eks.entry("prod-eu", principal, "eu-central-1", PRODUCTION_ACCOUNT)

    def _wait_production(
        self, policies: Mapping[str, tuple[str, ...]], principal: str = ANA_IN_PRODUCTION
    ) -> Entry | None:
        self._wait(
            lambda: _policies(self._production(principal)) == policies, f"EKS shows {policies}"
        )
        return self._production(principal)

    def _wait(self, predicate: Callable[[], bool], what: str) -> None:
        if not self._stage.eks.wait_for(predicate, PATIENCE_SECONDS):
            raise BrokenError(f"not so within {PATIENCE_SECONDS:.0f} s: {what}")


def _policies(entry: Entry | None) -> dict[str, tuple[str, ...]]:
    if entry is None:
        return {}
    return {one.policy: tuple(sorted(one.namespaces)) for one in entry.associations}


def _shown(entry: Entry | None) -> str:
    if entry is None:
        return "nothing"
    role = entry.principal_arn.partition(":role/")[2]
    given = ", ".join(
        f"{one.policy} on {', '.join(sorted(one.namespaces)) or 'the whole cluster'}"
        for one in entry.associations
    )
    return f"role/{role} with {given or 'no policy'}"


def _since(moment: float) -> str:
    return f"{time.monotonic() - moment:.2f} s"


def _ms(seconds: float | None) -> str:
    return "?" if seconds is None else f"{seconds * 1000:.0f} ms"
