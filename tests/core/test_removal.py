"""Whether access ended when it was to end, and when people are told that it did not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core import removal
from bot.core.model import Access, AccessScope, Cluster, EndReason, Grant, GrantState
from bot.core.removal import AlarmTimes

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
EDIT = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"
ANA = "arn:aws:iam::111122223333:role/eks-jit/ana"
ENDS = NOW + HOUR
TIMES = AlarmTimes()

ACTIVE = Grant(
    id="7K3-QMX",
    requester="U01ANA",
    cluster=Cluster("lab", "eu-west-1", "111122223333"),
    principal_arn=ANA,
    access=Access(VIEW, AccessScope.of(["a"])),
    duration=HOUR,
    created_at=NOW,
    provision_by=NOW + 15 * MINUTE,
    ends_at=ENDS,
    state=GrantState.ACTIVE,
    confirmed_at=NOW,
)


def revoking(since: datetime = ENDS, reason: EndReason = EndReason.EXPIRED) -> Grant:
    return replace(ACTIVE, state=GrantState.REVOKING, revoking_since=since, end_reason=reason)


def ended(at: datetime, since: datetime = ENDS, reason: EndReason = EndReason.EXPIRED) -> Grant:
    return replace(revoking(since, reason), state=GrantState.ENDED, ended_at=at)


def test_the_lag_counts_from_the_end_even_where_the_bot_was_away_then() -> None:
    assert removal.lag(ended(ENDS + 5 * HOUR + SECOND, since=ENDS + 5 * HOUR)) == 5 * HOUR + SECOND


def test_the_lag_of_what_was_returned_counts_from_the_return() -> None:
    back = NOW + 20 * MINUTE
    assert removal.lag(ended(back + 2 * SECOND, back, EndReason.RETURNED)) == 2 * SECOND


@pytest.mark.parametrize("grant", [ACTIVE, revoking()])
def test_what_is_not_confirmed_to_be_gone_has_no_lag_yet(grant: Grant) -> None:
    assert removal.lag(grant) is None


def test_what_was_never_given_or_goes_on_under_an_extension_has_no_lag() -> None:
    later = replace(ended(NOW, NOW, EndReason.REVOKED), starts_at=NOW + HOUR)
    assert removal.lag(later) is None
    assert removal.lag(ended(NOW, NOW, EndReason.NOT_BEGUN)) is None
    assert removal.lag(ended(NOW, NOW, EndReason.SUPERSEDED)) is None


@pytest.mark.parametrize(
    ("grant", "to_end"),
    [
        (replace(ACTIVE, state=GrantState.SCHEDULED, starts_at=NOW), ACTIVE.provision_by),
        (replace(ACTIVE, state=GrantState.PROVISIONING), ACTIVE.provision_by),
        (replace(ACTIVE, state=GrantState.PROVISIONING, ends_at=NOW + MINUTE), NOW + MINUTE),
        (ACTIVE, ENDS),
        (revoking(ENDS), ENDS),
        (revoking(NOW + 5 * MINUTE, EndReason.RETURNED), NOW + 5 * MINUTE),
    ],
    ids=lambda value: value.state.value if isinstance(value, Grant) else "",
)
def test_a_grant_past_its_end_is_late_in_every_live_state(grant: Grant, to_end: datetime) -> None:
    """Where nothing can be stored its state stays as it is, and that must not hide it."""
    assert removal.late_at(grant) == to_end + 2 * MINUTE
    assert removal.late(grant, to_end + 2 * MINUTE)
    assert not removal.late(grant, to_end + 2 * MINUTE - SECOND)


def test_what_has_ended_is_not_late() -> None:
    assert removal.late_at(ended(ENDS)) is None
    assert not removal.late(ended(ENDS), ENDS + 24 * HOUR)


def test_a_removal_that_began_late_has_a_moment_to_be_done() -> None:
    back = ENDS + 5 * HOUR
    assert removal.late(ACTIVE, back)
    assert removal.late_at(revoking(since=back)) == back + removal.TRYING


@pytest.mark.parametrize(
    ("late_by", "number"),
    [
        (119 * SECOND, 0),
        (2 * MINUTE, 1),
        (9 * MINUTE, 1),
        (10 * MINUTE, 2),
        (30 * MINUTE, 3),
        (89 * MINUTE, 3),
        (90 * MINUTE, 4),
        (150 * MINUTE, 5),
        (24 * HOUR, 26),
        (48 * HOUR - SECOND, 26),
        (48 * HOUR, 27),
        (72 * HOUR, 28),
    ],
)
def test_alarms_come_at_two_ten_and_thirty_minutes_every_hour_for_a_day_and_then_daily(
    late_by: timedelta, number: int
) -> None:
    assert TIMES.number(late_by) == number
    assert TIMES.late(late_by) is (number > 0)


@given(
    after=st.lists(st.integers(1, 10_000), min_size=1, max_size=5, unique=True).map(sorted),
    every=st.integers(300, 10_000),
    seconds=st.integers(0, 200_000),
)
def test_an_alarm_never_counts_backwards_and_never_skips_one(
    after: list[int], every: int, seconds: int
) -> None:
    times = AlarmTimes(tuple(timedelta(seconds=one) for one in after), timedelta(seconds=every))
    now, next_ = (times.number(timedelta(seconds=one)) for one in (seconds, seconds + 1))
    assert now <= next_ <= now + 1
    assert (now == 0) == (seconds < after[0])


def test_a_removal_is_late_from_its_end_while_it_is_tried() -> None:
    assert removal.late_by(revoking(), ENDS + 5 * MINUTE, since=NOW) == 5 * MINUTE


def test_access_that_nobody_even_begins_to_remove_is_late_too() -> None:
    assert removal.late_by(ACTIVE, ENDS + 5 * MINUTE, since=NOW) == 5 * MINUTE
    assert removal.late_by(ACTIVE, ENDS - SECOND, since=NOW) == timedelta()


def test_access_that_was_to_be_given_up_is_late_too() -> None:
    giving = replace(ACTIVE, state=GrantState.PROVISIONING)
    given_up = giving.provision_by
    assert removal.late_by(giving, given_up + 5 * MINUTE, since=NOW) == 5 * MINUTE
    assert removal.late_by(giving, given_up - SECOND, since=NOW) == timedelta()


def test_a_bot_that_was_away_at_the_end_removes_first_and_calls_it_late_only_then() -> None:
    back = ENDS + 5 * HOUR
    just_begun = revoking(since=back)
    assert removal.late_by(just_begun, back + SECOND, since=back) == timedelta()
    assert removal.late_by(ACTIVE, back + SECOND, since=back) == timedelta()
    late = removal.late_by(just_begun, back + removal.TRYING, since=back)
    assert late == 5 * HOUR + removal.TRYING


@pytest.mark.parametrize(
    "grant",
    [
        ended(ENDS),
        replace(ACTIVE, state=GrantState.SCHEDULED),
        revoking(ENDS, EndReason.SUPERSEDED),
    ],
)
def test_what_is_gone_or_not_to_go_is_never_late(grant: Grant) -> None:
    assert removal.late_by(grant, ENDS + 24 * HOUR, since=NOW) == timedelta()


# By hand


def words(*others: Grant, alone: bool = True, grant: Grant = ACTIVE) -> list[str]:
    return [" ".join(one) for one in removal.by_hand(grant, others, alone=alone)]


def other(policy: str) -> Grant:
    return replace(ACTIVE, id="8K3-QMX", access=Access(policy, AccessScope.of(["b"])))


def test_by_hand_the_entry_is_looked_at_before_it_goes() -> None:
    entry = f"--region eu-west-1 --cluster-name lab --principal-arn {ANA}"
    assert words() == [
        f"aws eks describe-access-entry {entry}",
        f"aws eks delete-access-entry {entry}",
    ]


def test_by_hand_nothing_goes_that_others_put_there_or_somebody_still_needs() -> None:
    for found in (words(alone=False), words(other(EDIT))):
        assert not any("delete" in one for one in found)
        assert found[1].startswith("aws eks disassociate-access-policy")
        assert found[1].endswith(f"--policy-arn {VIEW}")


def test_by_hand_a_policy_that_another_grant_gives_as_well_is_only_looked_at() -> None:
    found = words(other(VIEW))
    assert [one.split()[2] for one in found] == [
        "describe-access-entry",
        "list-associated-access-policies",
    ]
