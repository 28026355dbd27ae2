"""Access that hangs on a ticket, asked of a local Jira: it ends when the ticket closes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import yaml
from reading import (
    GENERAL,
    PATIENCE_SECONDS,
    PAYMENTS,
    given,
    production_entry,
    request_id,
    wait_card,
    wait_card_says,
    wait_told,
    words,
)

from bot.sandbox.stage import Stage, sandbox_policy

ASK = "/eks-access request prod-eu edit --namespace payments --for 2h --ticket {} A stuck job"


def policy() -> str:
    loaded = yaml.safe_load(sandbox_policy())
    loaded["tickets"]["check"] = "jira"
    for rule in loaded["rules"]:
        if rule["name"] == "payments":
            rule["ends_with_ticket"] = True
    return yaml.safe_dump(loaded, sort_keys=False)


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    stage = make_stage(policy=policy())
    stage.start_bot()
    return stage


def test_access_ends_when_its_ticket_closes(stage: Stage) -> None:
    ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
    ana.command(ASK.format("PAY-1423"))
    card = wait_card(stage, ben, PAYMENTS)
    ben.click(card, "approve")
    wait_card_says(stage, card, "active until")
    assert given(production_entry(stage)) == {"AmazonEKSEditPolicy": ("payments",)}

    stage.services.jira.put_issue("PAY-1423", "done")
    stage.clock.advance(timedelta(seconds=31))
    wait_card_says(stage, card, "its ticket is no longer open")
    assert stage.eks.wait_for(lambda: production_entry(stage) is None, PATIENCE_SECONDS)
    wait_told(stage, ana, "its ticket is no longer open")
    ben.command(f"/eks-access status {request_id(card)}", GENERAL)
    told = words(wait_told(stage, ben, f"{request_id(card)}: ", GENERAL))
    assert "its ticket is no longer open" in told.lower()


@pytest.mark.parametrize(
    ("ticket", "said"),
    [
        ("PAY-1400", "is closed, and this access is given only while its ticket is open"),
        ("PAY-9999", "shows the bot no issue"),
    ],
)
def test_a_ticket_that_is_not_open_gives_nothing(stage: Stage, ticket: str, said: str) -> None:
    ana = stage.slack.human("U01ANA")
    ana.command(ASK.format(ticket))
    wait_told(stage, ana, said)
    assert ana.sees(PAYMENTS) == []


def test_a_ticket_that_closed_while_the_request_waited_stops_the_approval(stage: Stage) -> None:
    ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
    ana.command(ASK.format("PAY-1423"))
    card = wait_card(stage, ben, PAYMENTS)
    stage.services.jira.put_issue("PAY-1423", "done")
    stage.clock.advance(timedelta(seconds=31))
    ben.click(card, "approve")
    wait_told(stage, ben, "is closed, and this access is given only", PAYMENTS)
    assert production_entry(stage) is None
    ben.click(card, "deny")
    stage.slack.wait(lambda: ben.modal is not None, PATIENCE_SECONDS)


def test_a_silent_jira_gives_nothing_and_ends_nothing(stage: Stage) -> None:
    ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
    ana.command(ASK.format("PAY-1423"))
    card = wait_card(stage, ben, PAYMENTS)
    ben.click(card, "approve")
    wait_card_says(stage, card, "active until")
    stage.services.jira.fail(status=503)
    stage.clock.advance(timedelta(minutes=2))
    ana.command(ASK.format("PAY-1423").replace("edit", "view"))
    wait_told(stage, ana, "Without that nothing is granted")
    assert given(production_entry(stage)) == {"AmazonEKSEditPolicy": ("payments",)}
