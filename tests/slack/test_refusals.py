"""Refusals that are remembered: whose, of what, and for how long."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.errors import PolicyUnavailable, Refused
from bot.policy_file import LoadedPolicy, load_policy
from bot.sandbox.hand_clock import HandClock
from bot.sandbox.stage import sandbox_policy
from bot.slack.refusals import Refusals
from bot.store.inbox import Kind

REFUSED = Refused("not_owner", "You are no owner of it.")
ONE, OTHER = {"request_id": "7K3-QMX"}, {"request_id": "7K3-QMY"}


class Policy:
    """A policy file as it is in force; None is a bot that has had no good one."""

    def __init__(self, loaded: LoadedPolicy) -> None:
        self.loaded: LoadedPolicy | None = loaded

    def __call__(self) -> LoadedPolicy:
        if self.loaded is None:
            raise PolicyUnavailable("no_policy", "There is no policy.")
        return self.loaded


@pytest.fixture
def policy(tmp_path) -> Policy:
    file = tmp_path / "policy.yaml"
    file.write_text(sandbox_policy())
    return Policy(load_policy(file))


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def refusals(policy: Policy, clock: HandClock) -> Refusals:
    kept = Refusals(policy, clock)
    kept.remember(Kind.REVOKE, "U03CLEO", ONE, REFUSED)
    return kept


def test_for_a_minute_the_same_is_refused_as_before(refusals: Refusals, clock: HandClock) -> None:
    clock.advance(59)
    with pytest.raises(Refused, match=r"no owner of it\. .* a minute") as again:
        refusals.ensure_not_refused(Kind.REVOKE, "U03CLEO", ONE)
    assert again.value.code == REFUSED.code
    refusals.remember(Kind.REVOKE, "U03CLEO", ONE, again.value)
    clock.advance(1)
    refusals.ensure_not_refused(Kind.REVOKE, "U03CLEO", ONE)


def test_another_person_kind_or_request_is_decided(refusals: Refusals) -> None:
    refusals.ensure_not_refused(Kind.REVOKE, "U02BEN", ONE)
    refusals.ensure_not_refused(Kind.REVOKE, "U03CLEO", OTHER)
    refusals.ensure_not_refused(Kind.RETURN, "U03CLEO", ONE)
    refusals.ensure_not_refused(Kind.LOCKDOWN, "U03CLEO", {"on": True})


def test_under_another_policy_it_is_decided_anew(refusals: Refusals, policy: Policy) -> None:
    assert policy.loaded is not None
    policy.loaded = replace(policy.loaded, digest="another")
    refusals.ensure_not_refused(Kind.REVOKE, "U03CLEO", ONE)
    policy.loaded = None
    refusals.ensure_not_refused(Kind.REVOKE, "U03CLEO", ONE)


def test_whoever_may_not_do_something_is_known_for_a_minute(
    refusals: Refusals, clock: HandClock
) -> None:
    late = Refused("too_late", "It is too late.")
    refusals.remember(Kind.REQUEST, "U02BEN", ONE, late)
    assert not refusals.has_refused("U02BEN")
    refusals.remember(Kind.APPROVE, "U02BEN", ONE, REFUSED)
    assert refusals.has_refused("U02BEN")
    assert not refusals.has_refused("U02BEN", frozenset({Kind.REVOKE}))
    assert not refusals.has_refused("U01ANA")
    clock.advance(60)
    assert not refusals.has_refused("U02BEN")


@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.REVOKE, Kind.LOCKDOWN, Kind.SUSPEND}))
def test_what_is_limited_or_asks_nobody_is_decided_each_time(
    refusals: Refusals, kind: Kind
) -> None:
    refusals.remember(kind, "U02BEN", ONE, REFUSED)
    refusals.ensure_not_refused(kind, "U02BEN", ONE)
