"""What a rule gives without a review is counted where it begins, however it came to be given."""

from __future__ import annotations

from datetime import timedelta

import pytest
from desk import ANA, BEN, EVE, HOUR, Desk

from bot.access.start import begin
from bot.core.errors import Conflict, Refused
from bot.core.model import GrantState, RequestState
from bot.store.database import Database

DAY = timedelta(days=1)
BOTH = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])


@pytest.fixture
def desk(database: Database) -> Desk:
    """`lab` gives two hours a day by itself; `shop` once, beside `billing`, which EVE owns."""
    desk = Desk(database)
    desk.rules["lab"]["approval"] = {"automatic": {"time_per_day": "2h"}}
    shop = desk.rules["lab"] | {"name": "shop", "clusters": ["prod-*"], "levels": ["edit"]}
    shop |= {"namespaces": ["shop"], "approval": {"automatic": {"per_day": 1}}}
    desk.document["rules"].append(shop)
    return desk


@BOTH
def test_what_was_booked_ahead_counts_on_the_day_on_which_it_begins(desk: Desk) -> None:
    day = desk.clock() + 10 * DAY
    first = desk.ask("dev", level="view", cluster="lab", start_at=day)
    assert first.state is RequestState.APPROVED
    desk.clock.advance(5 * DAY)
    with desk.refuses(Refused, "no_rule"):
        desk.ask("dev", level="view", cluster="lab", start_at=day + 3 * HOUR)
    assert desk.ask("dev", level="view", cluster="lab").state is RequestState.APPROVED
    later = desk.ask("dev", level="view", cluster="lab", start_at=day + DAY)
    assert later.state is RequestState.APPROVED


def test_a_cap_that_came_to_be_lower_holds_at_the_start(desk: Desk) -> None:
    day = desk.clock() + DAY
    booked = desk.ask("dev", level="view", cluster="lab", start_at=day)
    desk.rules["lab"]["approval"] = {"automatic": {"time_per_day": "1h"}}
    desk.clock.advance(DAY)
    with desk.database.transaction() as tx:
        assert begin(tx, desk.facts(), booked.id).state is GrantState.ENDED


def test_what_a_rule_gave_beside_one_with_owners_counts_too(desk: Desk) -> None:
    both = desk.ask("shop", "billing")
    assert desk.approve(both.id, EVE).state is RequestState.APPROVED
    with desk.refuses(Refused, "no_rule") as refused:
        desk.ask("shop", "billing", duration=HOUR)
    assert "at most once in 24 hours" in refused.value.sentence
    desk.clock.advance(DAY)
    assert desk.ask("shop", "billing").state is RequestState.PENDING


def test_the_same_is_not_given_by_itself_twice_at_the_same_time(desk: Desk) -> None:
    """Revoking the one would leave the other, which gives the same."""
    first = desk.ask("dev", level="view", cluster="lab", duration=HOUR)
    desk.confirm(first.id)
    with desk.refuses(Conflict, "already_live") as refused:
        desk.ask("dev", level="view", cluster="lab", duration=HOUR)
    assert f"/eks-access extend {first.id} 1h" in refused.value.sentence
    assert f"Unauthorized, your role was made again: `/eks-access return {first.id}`" in str(
        refused.value.sentence
    )
    desk.ask("dev", who=BEN, level="view", cluster="lab", duration=HOUR)
    desk.give_back(first.id, ANA)
    desk.ask("dev", level="view", cluster="lab", duration=HOUR)
