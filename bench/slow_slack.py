"""How soon the bot acknowledges while each call of Slack's Web API takes two seconds."""

from __future__ import annotations

from datetime import timedelta

from bot.sandbox.humans import Human
from bot.sandbox.interactions import Outcome
from bot.sandbox.slack_shown import Message
from bot.sandbox.stage import Stage

DELAY_SECONDS = 2.0
ROUNDS = 50
_MINUTE = timedelta(minutes=1)
_ASK = "/eks-access request prod-eu view --namespace payments --for 30m --ticket PAY-1 Measuring"
_LINES = (_ASK, "/eks-access mine", "/eks-access")
_BUTTONS = ("approve", "deny", "ask")


def acknowledgements(stage: Stage, ana: Human, ben: Human) -> tuple[list[float], list[float]]:
    """Seconds to the acknowledgement of each command and of each click, 150 of either.

    Commands that store something, that ask and that open the form; clicks that decide, that open a
    form and that come too late. All count, whatever the answer to them will be.
    """
    card = _card(stage, ana, ben)
    fault = stage.slack.faults.add("*", times=None, delay=DELAY_SECONDS)
    commands: list[float] = []
    clicks: list[float] = []
    try:
        for _ in range(ROUNDS):
            stage.advance(_MINUTE)  # one person may do only so much in a minute
            commands += [_latency(ana.command(line)) for line in _LINES]
            clicks += [_latency(ben.click(card, action)) for action in _BUTTONS]
    finally:
        stage.slack.faults.clear()
    if stage.slack.faults.hit["views.open"] == 0 or fault.times is not None:
        raise RuntimeError("Slack was not slow")
    return commands, clicks


def _card(stage: Stage, ana: Human, ben: Human) -> Message:
    """An old copy of a card, with its buttons as they were."""
    known = len(ben.sees("C02PAYMENTS"))
    ana.command(_ASK)

    def new_card() -> Message | None:
        seen = ben.sees("C02PAYMENTS")[known:]
        return next((one for one in seen if one.has("approve")), None)

    card = stage.slack.wait(new_card, 10)
    if card is None:
        raise RuntimeError("the card did not come")
    return card.copy_as_seen()


def _latency(outcome: Outcome) -> float:
    if not outcome.acknowledged or outcome.latency is None:
        raise RuntimeError(f"not acknowledged: {outcome.error}")
    return outcome.latency
