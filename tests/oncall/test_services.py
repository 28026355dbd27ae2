"""Several on-call services and schedules, asked together for one decision."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from bot.core.oncall import OnCall
from bot.oncall import OnCallServices
from bot.sandbox.local_opsgenie import user

A, B, PLATFORM = ("pagerduty", ("PAAAA",)), ("pagerduty", ("PBBBB",)), ("opsgenie", ("platform",))


@pytest.fixture
def services(local, pagerduty, opsgenie) -> OnCallServices:
    """Ana on call by PAAAA, Ben by the Opsgenie schedule."""
    local.pagerduty.put_user("PANA", "ana@example.com")
    local.pagerduty.put_on_call("PANA", "PAAAA")
    local.opsgenie.put_schedule("platform", "platform")
    local.opsgenie.put_on_call("platform", user("ben@example.com"))
    return OnCallServices({"pagerduty": pagerduty, "opsgenie": opsgenie})


def test_each_is_answered_for_by_itself(services):
    found = services.facts([A, B, PLATFORM])
    assert set(found) == {A, B, PLATFORM}
    assert found[A].emails == {"ana@example.com"}
    assert found[B] == OnCall()
    assert found[PLATFORM].emails == {"ben@example.com"}


def test_nothing_is_asked_where_there_is_nothing_to_ask(local, services):
    assert services.facts([]) == {}
    assert not local.pagerduty.calls


def test_one_that_is_away_takes_nothing_from_the_other(local, services):
    local.pagerduty.fail(drop=True)
    found = services.facts([A, PLATFORM])
    assert not found[A].available
    assert found[PLATFORM].available


def test_one_that_is_slow_is_asked_while_the_other_is(local, services):
    first, second = local.pagerduty.fail(hold=True), local.opsgenie.fail(hold=True)
    with ThreadPoolExecutor(1) as pool:
        facts = pool.submit(services.facts, [A, PLATFORM])
        assert first.reached.wait(10)
        assert second.reached.wait(10)
        first.release()
        second.release()
        assert all(one.available for one in facts.result(10).values())
