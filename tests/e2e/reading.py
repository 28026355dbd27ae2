"""What a person reads, for the tests to wait for."""

from __future__ import annotations

from bot.sandbox.eks import Entry
from bot.sandbox.humans import Human
from bot.sandbox.slack_shown import Message
from bot.sandbox.stage import LAB_ACCOUNT, PRODUCTION_ACCOUNT, Stage

PATIENCE_SECONDS = 25
"""How long to wait for what comes by itself: far longer than it takes, for a busy machine."""

PAYMENTS = "C02PAYMENTS"
PLATFORM = "C01PLATFORM"
GENERAL = "C00GENERAL"


def words(message: Message) -> str:
    """Everything a message says: its text and whatever is in its blocks, without bold."""
    return f"{message.text} {message.blocks}".replace("*", "")


def wait_told(stage: Stage, person: Human, said: str, channel: str = GENERAL) -> Message:
    """The first message that says it, to the person alone or in the channel."""

    def found() -> Message | None:
        seen = [*person.dm, *person.sees(channel)]
        return next((one for one in seen if said in words(one)), None)

    message = stage.slack.wait(found, PATIENCE_SECONDS)
    assert message is not None
    return message


def wait_card(stage: Stage, person: Human, channel: str, number: int = 1) -> Message:
    """The `number`th card of a channel."""

    def cards() -> list[Message]:
        return [one for one in person.sees(channel) if is_card(one)]

    stage.slack.wait(lambda: len(cards()) >= number, PATIENCE_SECONDS)
    return cards()[number - 1]


def is_card(message: Message) -> bool:
    return message.ephemeral_to is None and message.thread_ts in (None, message.ts)


def wait_card_says(stage: Stage, card: Message, said: str) -> None:
    stage.slack.wait(lambda: said.lower() in words(card).lower(), PATIENCE_SECONDS)


def request_id(card: Message) -> str:
    """The id a card is about."""
    return card.text.rpartition("(")[2].rstrip(")")


def production_entry(stage: Stage, name: str = "ana") -> Entry | None:
    """Somebody's access entry on prod-eu."""
    arn = f"arn:aws:iam::{PRODUCTION_ACCOUNT}:role/eks-jit/{name}"
    return stage.eks.entry("prod-eu", arn, "eu-central-1", PRODUCTION_ACCOUNT)


def lab_entry(stage: Stage, name: str = "ana") -> Entry | None:
    """Somebody's access entry on modern-access-lab."""
    arn = f"arn:aws:iam::{LAB_ACCOUNT}:role/eks-jit/{name}"
    return stage.eks.entry("modern-access-lab", arn, account=LAB_ACCOUNT)


def given(entry: Entry | None) -> dict[str, tuple[str, ...]]:
    """Policy name → namespaces; () is the whole cluster."""
    if entry is None:
        return {}
    return {one.policy: tuple(sorted(one.namespaces)) for one in entry.associations}


def ask_payments(person: Human, *, level: str = "edit", length: str = "1h") -> None:
    """Ask for something that Ben decides."""
    answer = person.command(
        f"/eks-access request prod-eu {level} --namespace payments --for {length} "
        "--ticket PAY-1 Clearing a stuck job",
        GENERAL,
    )
    assert answer.acknowledged


def revoke(person: Human, card: Message, reason: str = "") -> None:
    """Revoke by the button of a card and its form."""
    assert person.click(card, "revoke").acknowledged
    assert person.wait_modal(PATIENCE_SECONDS).callback_id == "revoke"
    assert person.submit(reason=reason).acknowledged
