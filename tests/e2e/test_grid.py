"""People of an Enterprise Grid: whoever is in the installed workspace is one of ours."""

from __future__ import annotations

from typing import Any

import pytest
from reading import (
    GENERAL,
    PAYMENTS,
    ask_payments,
    request_id,
    wait_card,
    wait_card_says,
    wait_told,
)

from bot.core.model import RequestState
from bot.sandbox.stage import Stage
from bot.store import inbox, requests
from bot.store.inbox import Kind

SISTER = "T02SISTER"


@pytest.mark.parametrize("home", [SISTER, ""])
def test_somebody_whose_home_is_another_workspace_asks_and_approves(
    stage: Stage, home: str
) -> None:
    """`team_id` is their home workspace, or nothing; `enterprise_user.teams` has ours."""
    ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
    for one in ("U01ANA", "U02BEN"):
        stage.slack.change_person(one, team_id=home, teams=(SISTER, stage.slack.team.id))
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    ben.click(card, "approve")
    wait_card_says(stage, card, "active until")
    ben.command(f"/eks-access revoke {request_id(card)}", GENERAL)
    wait_card_says(stage, card, "revoked by")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"teams": (SISTER,)}, "organisation"),
        ({"teams": ()}, "organisation"),
        ({"is_restricted": True}, "guest"),
        ({"is_stranger": True}, "organisation"),
    ],
)
def test_somebody_of_the_organisation_who_is_not_in_this_workspace_is_refused(
    stage: Stage, change: dict[str, Any], says: str
) -> None:
    """Nor is a guest of it, nor whoever was met over Slack Connect, whatever teams they have."""
    ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    teams = {"teams": (SISTER, stage.slack.team.id)}
    stage.slack.change_person("U02BEN", **{"team_id": SISTER, **teams, **change})
    ben.click(card, "approve")
    wait_told(stage, ben, says, PAYMENTS)
    assert stage.bot is not None
    with stage.bot.database.reading() as tx:
        assert requests.get(tx, request_id(card)).state is RequestState.PENDING


@pytest.mark.parametrize("kind", [Kind.APPROVE, Kind.REVOKE])
def test_a_payload_of_a_workspace_that_the_person_is_not_in_is_refused(
    stage: Stage, kind: Kind
) -> None:
    ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
    stage.slack.change_person("U02BEN", team_id=SISTER, teams=(SISTER, stage.slack.team.id))
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    assert stage.bot is not None
    with stage.bot.database.transaction() as tx:
        inbox.add(
            tx,
            kind,
            actor="U02BEN",
            team_id="T09OTHER",
            document={"request_id": request_id(card)},
            response_url=None,
            now=stage.clock(),
        )
    stage.bot.wake()
    wait_told(stage, ben, "You are signed in to another organisation")
