"""A failover that loses the last commits under the running bot gives nothing anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from reading import (
    GENERAL,
    PATIENCE_SECONDS,
    PAYMENTS,
    ask_payments,
    given,
    production_entry,
    request_id,
    wait_card,
    wait_told,
    words,
)

from bot.sandbox.stage import Stage, sandbox_policy
from bot.store import drift
from tests.store_set_back import SetBack

SECURITY = "C0SECURITY"


def scanned(stage: Stage, cluster: str) -> object:
    assert stage.bot is not None
    with stage.bot.database.reading() as tx:
        return {one.cluster: one.scanned_at for one in drift.scans(tx)}.get(cluster)


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_what_was_revoked_is_not_given_anew_where_the_store_goes_back(
    make_stage: Callable[..., Stage],
    database_url: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """With `drift: {repair: true}`, an owner's revoke that is lost, and the next scan."""
    store = SetBack(database_url, lambda: request.getfixturevalue("postgresql"), tmp_path)
    policy = f"{sandbox_policy()}\ndrift: {{repair: true}}\n"
    stage = make_stage(database_url=database_url, policy=policy)
    stage.start_bot()
    ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    ben.click(card, "approve")
    wait_told(stage, ana, "is active until")
    stage.advance(timedelta(minutes=1))

    store.keep()
    ben.command(f"/eks-access revoke {request_id(card)}", GENERAL)
    assert stage.eks.wait_for(lambda: production_entry(stage) is None, PATIENCE_SECONDS)
    wait_told(stage, ana, "has ended: revoked by")
    store.go_back()

    cleo = stage.slack.human("U03CLEO")
    assert stage.slack.wait(
        lambda: any("went back to an earlier state" in words(one) for one in cleo.sees(SECURITY)),
        PATIENCE_SECONDS,
    )
    wait_told(stage, ana, "somebody else took it away at EKS")
    before = scanned(stage, "prod-eu")
    stage.advance(timedelta(minutes=16))
    assert stage.eks.wait_for(lambda: scanned(stage, "prod-eu") != before, PATIENCE_SECONDS)
    stage.stop_bot()
    assert given(production_entry(stage)) == {}
