"""Every command in every state: what it becomes, what is on record, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bot.core import lifecycle
from bot.core.errors import Conflict
from bot.core.model import (
    Access,
    AccessRequest,
    AccessScope,
    AuditEvent,
    Cluster,
    EndReason,
    Grant,
    GrantState,
    Principal,
    RequestState,
    Review,
    Verdict,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
DAY = timedelta(days=1)
ANA, BEN = "U01ANA", "U02BEN"
LAB = Cluster(name="lab", region="eu-west-1", account="111122223333")
ROLE = "arn:aws:iam::111122223333:role/eks-jit/ana"
VIEW = Access("arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy", AccessScope.of(["dev"]))


def request(state: RequestState = RequestState.PENDING, **changes: Any) -> AccessRequest:
    """Asked for at NOW, and open for an hour."""
    whole = AccessRequest(
        id="7K3-QMX",
        requester=ANA,
        requester_name="Ana Ruiz",
        cluster=LAB,
        level="view",
        namespaces=("dev",),
        duration=2 * HOUR,
        reason="Looking at a failing pod",
        ticket="LAB-1",
        start_at=None,
        principal=Principal(ROLE),
        access=VIEW,
        rules=("lab readers",),
        requirements=(),
        created_at=NOW,
        lapses_at=NOW + HOUR,
        state=state,
    )
    return replace(whole, **changes)


def grant(state: GrantState = GrantState.PROVISIONING, **changes: Any) -> Grant:
    """Approved at NOW for two hours; a later state was reached a minute later."""
    whole = Grant(
        id="7K3-QMX",
        requester=ANA,
        cluster=LAB,
        principal_arn=ROLE,
        access=VIEW,
        duration=2 * HOUR,
        created_at=NOW,
        provision_by=NOW + 15 * MINUTE,
        ends_at=NOW + 2 * HOUR + 15 * MINUTE,
        state=state,
    )
    if state is GrantState.ACTIVE:
        whole = replace(whole, confirmed_at=NOW + MINUTE, ends_at=NOW + MINUTE + 2 * HOUR)
    if state in (GrantState.REVOKING, GrantState.ENDED):
        whole = replace(whole, revoking_since=NOW + MINUTE, end_reason=EndReason.RETURNED)
    if state is GrantState.ENDED:
        whole = replace(whole, ended_at=NOW + 2 * MINUTE)
    return replace(whole, **changes)


def verdict(kind: Verdict, at: datetime, reason: str | None = None) -> Review:
    return Review("7K3-QMX", BEN, kind, at, reason)


def approve(one: AccessRequest, at: datetime) -> tuple[AccessRequest, tuple[AuditEvent, ...]]:
    decided, _, events = lifecycle.approve(one, at, by=BEN, approvers=(BEN,), digest="abc")
    return decided, events


def deny(one: AccessRequest, at: datetime) -> tuple[AccessRequest, tuple[AuditEvent, ...]]:
    return lifecycle.deny(one, verdict(Verdict.DENY, at, "Not today"))


def cancel(one: AccessRequest, at: datetime) -> tuple[AccessRequest, tuple[AuditEvent, ...]]:
    return lifecycle.cancel(one, at, by=ANA)


REQUEST_COMMANDS = {
    "approve": (approve, RequestState.APPROVED, BEN, "request.approved"),
    "deny": (deny, RequestState.DENIED, BEN, "request.denied"),
    "cancel": (cancel, RequestState.CANCELLED, ANA, "request.cancelled"),
    "lapse": (lifecycle.lapse, RequestState.LAPSED, "bot", "request.lapsed"),
}
IN_TIME = {"approve": NOW + MINUTE, "deny": NOW + MINUTE, "cancel": NOW + MINUTE}
FINAL_REQUEST_STATES = [state for state in RequestState if state is not RequestState.PENDING]


def test_there_is_a_command_for_every_final_state_of_a_request() -> None:
    assert {state for _, state, _, _ in REQUEST_COMMANDS.values()} == set(FINAL_REQUEST_STATES)


@pytest.mark.parametrize("command", REQUEST_COMMANDS)
def test_a_pending_request_is_decided_with_one_event_of_who_and_when(command: str) -> None:
    act, state, actor, action = REQUEST_COMMANDS[command]
    at = IN_TIME.get(command, NOW + HOUR)
    decided, events = act(request(), at)
    assert (decided.state, decided.decided_at, decided.decided_by) == (state, at, actor)
    (event,) = events
    assert (event.at, event.actor, event.action) == (at, actor, action)
    assert (event.request_id, event.cluster) == ("7K3-QMX", "lab")
    kept = replace(
        decided,
        state=RequestState.PENDING,
        decided_at=None,
        decided_by=None,
        decision_reason=None,
    )
    assert kept == request(), "nothing else of the request changes"


@pytest.mark.parametrize("command", REQUEST_COMMANDS)
@pytest.mark.parametrize("state", FINAL_REQUEST_STATES)
@pytest.mark.parametrize("at", [NOW + MINUTE, NOW + 2 * HOUR])
def test_a_decided_request_is_never_decided_again(
    command: str, state: RequestState, at: datetime
) -> None:
    act = REQUEST_COMMANDS[command][0]
    with pytest.raises(Conflict) as refused:
        act(request(state), at)
    assert refused.value.code == "already_decided"
    assert "7K3-QMX" in refused.value.sentence


@pytest.mark.parametrize("command", ["approve", "deny", "cancel"])
@pytest.mark.parametrize("late", [timedelta(), SECOND, 24 * HOUR])
def test_a_click_after_the_lapse_decides_nothing_though_the_row_still_says_pending(
    command: str, late: timedelta
) -> None:
    with pytest.raises(Conflict, match="has lapsed") as refused:
        REQUEST_COMMANDS[command][0](request(), NOW + HOUR + late)
    assert refused.value.code == "lapsed"


@pytest.mark.parametrize("command", ["approve", "deny", "cancel"])
def test_the_last_moment_before_the_lapse_still_counts(command: str) -> None:
    act, state, _, _ = REQUEST_COMMANDS[command]
    decided, _ = act(request(), NOW + HOUR - timedelta(microseconds=1))
    assert decided.state is state


@pytest.mark.parametrize("lapses_at", [None, NOW + HOUR])
def test_a_request_does_not_lapse_before_its_time(lapses_at: datetime | None) -> None:
    with pytest.raises(Conflict) as refused:
        lifecycle.lapse(request(lapses_at=lapses_at), NOW + HOUR - SECOND)
    assert refused.value.code == "not_due"


def test_a_request_without_a_lapse_stays_open() -> None:
    lifecycle.ensure_open(request(lapses_at=None), NOW + 1000 * HOUR)


@pytest.mark.parametrize("state", RequestState)
def test_nobody_but_the_requester_cancels(state: RequestState) -> None:
    with pytest.raises(Conflict) as refused:
        lifecycle.cancel(request(state), NOW + MINUTE, by=BEN)
    assert refused.value.code == "not_yours"


def test_cancelling_what_was_approved_says_how_to_give_it_back() -> None:
    with pytest.raises(Conflict, match=r"`/eks-access return 7K3-QMX`"):
        cancel(request(RequestState.APPROVED), NOW + MINUTE)


def test_a_denial_keeps_the_reason_for_the_requester_and_the_record() -> None:
    decided, (event,) = deny(request(), NOW + MINUTE)
    assert decided.decision_reason == event.details["reason"] == "Not today"


def test_an_approval_never_denies() -> None:
    with pytest.raises(ValueError, match="denies"):
        lifecycle.deny(request(), verdict(Verdict.APPROVE, NOW))


def test_a_new_request_is_on_record_with_all_that_was_asked() -> None:
    (event,) = lifecycle.submitted(request())
    assert (event.at, event.actor, event.action) == (NOW, ANA, "request.submitted")
    assert event.details == {
        "level": "view",
        "namespaces": ["dev"],
        "duration_seconds": 7200,
        "reason": "Looking at a failing pod",
        "ticket": "LAB-1",
        "principal": ROLE,
        "rules": ["lab readers"],
    }


def test_a_review_is_on_record_with_the_rules_it_counts_for() -> None:
    one = replace(verdict(Verdict.DENY, NOW + MINUTE, "Not today"), rules=("lab readers",))
    event = lifecycle.reviewed(request(), one)
    assert (event.at, event.actor, event.action) == (NOW + MINUTE, BEN, "request.reviewed")
    assert event.details == {"verdict": "deny", "reason": "Not today", "rules": ["lab readers"]}


def test_an_approval_is_on_record_with_who_under_which_policy() -> None:
    _, (event,) = approve(request(), NOW + MINUTE)
    assert event.details == {
        "approvers": [BEN],
        "rules": ["lab readers"],
        "policy_digest": "abc",
        "gives": {
            "requester": ANA,
            "principal": ROLE,
            "account": LAB.account,
            "region": LAB.region,
            "policy_arn": VIEW.policy_arn,
            "namespaces": ["dev"],
            "kubernetes_groups": [],
            "starts_at": None,
            "ends_at": (NOW + 16 * MINUTE + 2 * HOUR).isoformat(),
        },
    }


def test_an_approval_makes_a_grant_with_all_that_revoking_needs_and_an_end() -> None:
    at = NOW + MINUTE
    _, made, _ = lifecycle.approve(request(), at, by=BEN, approvers=(BEN,), digest="abc")
    assert made == Grant(
        id="7K3-QMX",
        requester=ANA,
        cluster=LAB,
        principal_arn=ROLE,
        access=VIEW,
        duration=2 * HOUR,
        created_at=at,
        provision_by=at + 15 * MINUTE,
        ends_at=at + 15 * MINUTE + 2 * HOUR,
        state=GrantState.PROVISIONING,
    )


def extend(one: Grant, by: timedelta, at: datetime) -> Grant:
    """An extension of `one`, approved."""
    asked = request(
        id="7K3-QMZ",
        duration=by,
        extends=one.id,
        already=one.ends_at - NOW,
        lapses_at=None,
    )
    _, made, _ = lifecycle.approve(asked, at, by="bot", approvers=(), digest="abc", extended=one)
    return made


def test_an_extension_goes_on_from_where_the_access_would_have_ended() -> None:
    active = grant(GrantState.ACTIVE)
    made = extend(active, HOUR, NOW + 30 * MINUTE)
    assert made.ends_at == active.ends_at + HOUR
    assert (made.extends, made.began_at) == (active.id, active.confirmed_at)
    confirmed, _ = lifecycle.confirm(made, NOW + 31 * MINUTE)
    assert confirmed.ends_at == active.ends_at + HOUR
    again = extend(confirmed, HOUR, NOW + 40 * MINUTE)
    assert again.began_at == active.confirmed_at, "when the first of the row was confirmed"
    assert again.ends_at == active.ends_at + 2 * HOUR


@settings(max_examples=20)
@given(
    st.integers(1, 86_400).map(lambda seconds: timedelta(seconds=seconds)),
    st.integers(0, 7_000).map(lambda seconds: timedelta(seconds=seconds)),
    st.integers(0, 899).map(lambda seconds: timedelta(seconds=seconds)),
)
def test_an_extension_never_ends_later_than_was_asked_for(
    by: timedelta, until_approved: timedelta, until_confirmed: timedelta
) -> None:
    active = grant(GrantState.ACTIVE)
    made = extend(active, by, NOW + MINUTE + until_approved)
    assume(made.created_at + until_confirmed < lifecycle.given_by(made))
    confirmed, _ = lifecycle.confirm(made, made.created_at + until_confirmed)
    assert confirmed.ends_at == made.ends_at == active.ends_at + by


def test_what_an_extension_prolongs_is_on_record() -> None:
    (event,) = lifecycle.submitted(request(extends="7K3-QMW"))
    assert event.details["extends"] == "7K3-QMW"


@pytest.mark.parametrize("state", GrantState)
def test_only_active_access_can_be_extended(state: GrantState) -> None:
    if state is GrantState.ACTIVE:
        lifecycle.ensure_extensible(grant(state), ANA, NOW + 2 * HOUR)
        return
    with pytest.raises(Conflict) as refused:
        lifecycle.ensure_extensible(grant(state), ANA, NOW + HOUR)
    assert refused.value.code == "not_active"


def test_access_that_is_over_cannot_be_extended_though_the_row_still_says_active() -> None:
    active = grant(GrantState.ACTIVE)
    with pytest.raises(Conflict) as refused:
        lifecycle.ensure_extensible(active, ANA, active.ends_at)
    assert refused.value.code == "not_active"


@pytest.mark.parametrize("state", GrantState)
def test_nobody_extends_somebody_elses_access(state: GrantState) -> None:
    with pytest.raises(Conflict) as refused:
        lifecycle.ensure_extensible(grant(state), BEN, NOW + HOUR)
    assert refused.value.code == "not_yours"


@pytest.mark.parametrize("state", GrantState)
def test_active_access_alone_is_used_and_by_whoever_has_it(state: GrantState) -> None:
    with pytest.raises(Conflict) as refused:
        lifecycle.ensure_usable(grant(state), BEN, NOW + HOUR)
    assert refused.value.code == "not_yours"
    active = grant(GrantState.ACTIVE)
    if state is GrantState.ACTIVE:
        lifecycle.ensure_usable(active, ANA, active.ends_at - MINUTE)
    with pytest.raises(Conflict) as refused:
        lifecycle.ensure_usable(grant(state), ANA, active.ends_at)
    assert refused.value.code == "not_active"


@pytest.mark.parametrize("ahead", [timedelta(), MINUTE])
def test_access_confirmed_by_a_clock_within_its_tolerance_can_be_extended(ahead: timedelta) -> None:
    lifecycle.ensure_extensible(grant(GrantState.ACTIVE), ANA, NOW + MINUTE - ahead)


def test_access_whose_clock_was_ahead_is_not_extended_before_its_end_is_set_right() -> None:
    """Its end is too late by as much, and an extension would go on from there."""
    active = grant(GrantState.ACTIVE)
    now = NOW - DAY
    with pytest.raises(Conflict) as refused:
        lifecycle.ensure_extensible(active, ANA, now)
    assert refused.value.code == "clock_was_ahead"
    mended = lifecycle.after_clock_jump(active, now)
    assert mended is not None
    shortened, _ = mended
    lifecycle.ensure_extensible(shortened, ANA, now)
    assert extend(shortened, HOUR, now).ends_at == now + 3 * HOUR


@pytest.mark.parametrize("ahead", [timedelta(), 30 * MINUTE, 90 * MINUTE, DAY])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_what_an_extension_lasts_counts_from_the_first_also_when_the_clock_was_ahead(
    ahead: timedelta, times: int
) -> None:
    """An hour passes before each extension; then the clock is set back."""
    last = grant(GrantState.ACTIVE)
    now = NOW
    for _ in range(times):
        now += HOUR
        last, _ = lifecycle.confirm(extend(last, HOUR, now), now)
    assert last.lasts == (2 + times) * HOUR
    last, _ = lifecycle.after_clock_jump(last, now - ahead) or (last, ())
    assert last.lasts == (2 + times) * HOUR
    assert extend(last, HOUR, now - ahead).began_at == last.began


def test_no_extension_began_after_it_was_confirmed() -> None:
    ahead = replace(extend(grant(GrantState.ACTIVE), HOUR, NOW), began_at=NOW + DAY)
    assert ahead.lasts < timedelta(), "unconfirmed: nobody extends it"
    confirmed, _ = lifecycle.confirm(ahead, NOW + MINUTE)
    assert confirmed.began == NOW + MINUTE


def confirm(one: Grant, at: datetime) -> tuple[Grant, tuple[AuditEvent, ...]]:
    return lifecycle.confirm(one, at)


def revoke(one: Grant, at: datetime) -> tuple[Grant, tuple[AuditEvent, ...]]:
    return lifecycle.revoke(one, at, EndReason.RETURNED, by=ANA)


GRANT_COMMANDS: dict[str, Callable[[Grant, datetime], tuple[Grant, tuple[AuditEvent, ...]]]] = {
    "confirm": confirm,
    "revoke": revoke,
    "end": lifecycle.end,
}
# What each pair leads to: the new state with its events, or the code of the refusal.
GRANT_TABLE: dict[tuple[GrantState, str], tuple[GrantState, list[tuple[str, str]]] | str] = {
    (GrantState.SCHEDULED, "confirm"): "not_provisioning",
    (GrantState.PROVISIONING, "confirm"): (GrantState.ACTIVE, [("bot", "grant.confirmed")]),
    (GrantState.ACTIVE, "confirm"): "not_provisioning",
    (GrantState.REVOKING, "confirm"): "not_provisioning",
    (GrantState.ENDED, "confirm"): "not_provisioning",
    (GrantState.SCHEDULED, "revoke"): (
        GrantState.ENDED,
        [(ANA, "grant.revoking"), ("bot", "grant.ended")],
    ),
    (GrantState.PROVISIONING, "revoke"): (GrantState.REVOKING, [(ANA, "grant.revoking")]),
    (GrantState.ACTIVE, "revoke"): (GrantState.REVOKING, [(ANA, "grant.revoking")]),
    (GrantState.REVOKING, "revoke"): "already_revoking",
    (GrantState.ENDED, "revoke"): "already_ended",
    (GrantState.SCHEDULED, "end"): "not_revoking",
    (GrantState.PROVISIONING, "end"): "not_revoking",
    (GrantState.ACTIVE, "end"): "not_revoking",
    (GrantState.REVOKING, "end"): (GrantState.ENDED, [("bot", "grant.ended")]),
    (GrantState.ENDED, "end"): "not_revoking",
}


def test_the_table_holds_every_state_and_command() -> None:
    assert set(GRANT_TABLE) == {(state, name) for state in GrantState for name in GRANT_COMMANDS}


@pytest.mark.parametrize(("state", "command"), GRANT_TABLE)
def test_a_grant_goes_only_where_the_table_says(state: GrantState, command: str) -> None:
    outcome = GRANT_TABLE[state, command]
    at = NOW + 5 * MINUTE
    if isinstance(outcome, str):
        with pytest.raises(Conflict) as refused:
            GRANT_COMMANDS[command](grant(state), at)
        assert refused.value.code == outcome
        return
    changed, events = GRANT_COMMANDS[command](grant(state), at)
    following, expected = outcome
    assert changed.state is following
    assert [(event.actor, event.action) for event in events] == expected
    for event in events:
        assert (event.at, event.request_id, event.cluster) == (at, "7K3-QMX", "lab")
        assert event.details["principal"] == ROLE
    assert changed.ends_at <= grant(state).ends_at
    assert (changed.id, changed.access, changed.cluster) == ("7K3-QMX", VIEW, LAB)


def test_the_clock_of_a_grant_starts_at_its_confirmation() -> None:
    active, (event,) = lifecycle.confirm(grant(problem="throttled"), NOW + 3 * MINUTE)
    assert active.confirmed_at == NOW + 3 * MINUTE
    assert active.ends_at == NOW + 3 * MINUTE + 2 * HOUR
    assert active.problem is None
    assert event.details["ends_at"] == active.ends_at.isoformat()
    assert event.details["lag_seconds"] == 180


@settings(max_examples=20)
@given(
    st.integers(1, 30 * 86_400).map(lambda seconds: timedelta(seconds=seconds)),
    st.integers(0, 899).map(lambda seconds: timedelta(seconds=seconds)),
)
def test_a_grant_never_ends_later_than_was_committed_before_the_first_write(
    duration: timedelta, until_confirmed: timedelta
) -> None:
    _, made, _ = lifecycle.approve(
        request(duration=duration), NOW, by="bot", approvers=(), digest="abc"
    )
    active, _ = lifecycle.confirm(made, NOW + until_confirmed)
    assert active.ends_at <= made.ends_at
    assert active.ends_at == NOW + until_confirmed + duration
    assert lifecycle.overdue(active, active.ends_at) is EndReason.EXPIRED


def test_an_end_that_was_brought_forward_before_the_confirmation_stays() -> None:
    earlier = grant(ends_at=NOW + HOUR)
    active, _ = lifecycle.confirm(earlier, NOW + MINUTE)
    assert active.ends_at == NOW + HOUR


def test_a_confirmation_that_comes_after_the_grant_was_given_up_does_not_count() -> None:
    with pytest.raises(Conflict):
        lifecycle.confirm(grant(), NOW + 15 * MINUTE)
    active, _ = lifecycle.confirm(grant(), NOW + 15 * MINUTE - SECOND)
    assert active.state is GrantState.ACTIVE


@pytest.mark.parametrize("reason", EndReason)
def test_a_revocation_keeps_who_why_and_what_went_wrong(reason: EndReason) -> None:
    revoking, (event,) = lifecycle.revoke(
        grant(GrantState.ACTIVE), NOW + HOUR, reason, by="operator", problem="denied by AWS"
    )
    assert (revoking.end_reason, revoking.ended_by) == (reason, "operator")
    assert (revoking.revoking_since, revoking.problem) == (NOW + HOUR, "denied by AWS")
    assert event.actor == "operator"
    assert event.details["reason"] == reason.value
    assert event.details["problem"] == "denied by AWS"


def test_a_removal_is_on_record_with_how_long_it_took() -> None:
    ended, (event,) = lifecycle.end(grant(GrantState.REVOKING), NOW + MINUTE + 1.5 * SECOND)
    assert ended.ended_at == NOW + MINUTE + 1.5 * SECOND
    assert event.details["lag_seconds"] == 1.5
    assert event.details["reason"] == "returned"


def test_a_grant_that_has_not_started_ends_with_nothing_to_remove() -> None:
    ended, events = revoke(grant(GrantState.SCHEDULED), NOW)
    assert (ended.revoking_since, ended.ended_at) == (NOW, NOW)
    assert events[1].details["lag_seconds"] == 0


@pytest.mark.parametrize(
    ("state", "at", "reason"),
    [
        (GrantState.ACTIVE, NOW + MINUTE + 2 * HOUR - SECOND, None),
        (GrantState.ACTIVE, NOW + MINUTE + 2 * HOUR, EndReason.EXPIRED),
        (GrantState.ACTIVE, NOW + 100 * HOUR, EndReason.EXPIRED),
        (GrantState.PROVISIONING, NOW + 15 * MINUTE - SECOND, None),
        (GrantState.PROVISIONING, NOW + 15 * MINUTE, EndReason.FAILED),
        (GrantState.SCHEDULED, NOW + 15 * MINUTE - SECOND, None),
        (GrantState.SCHEDULED, NOW + 15 * MINUTE, EndReason.FAILED),
        (GrantState.REVOKING, NOW + 100 * HOUR, None),
        (GrantState.ENDED, NOW + 100 * HOUR, None),
    ],
)
def test_time_alone_ends_what_is_over(
    state: GrantState, at: datetime, reason: EndReason | None
) -> None:
    assert lifecycle.overdue(grant(state), at) is reason


@pytest.mark.parametrize("state", GrantState)
def test_a_grant_is_due_exactly_when_time_next_changes_it(state: GrantState) -> None:
    due = lifecycle.due_at(grant(state))
    if due is None:
        assert lifecycle.overdue(grant(state), NOW + 1000 * HOUR) is None
    else:
        assert lifecycle.overdue(grant(state), due - timedelta(microseconds=1)) is None
        assert lifecycle.overdue(grant(state), due) is not None


def test_every_event_can_be_written_as_json_and_names_its_actor() -> None:

    events = [
        *lifecycle.submitted(request()),
        *approve(request(), NOW)[1],
        *deny(request(), NOW)[1],
        *confirm(grant(), NOW)[1],
        *revoke(grant(), NOW)[1],
        *lifecycle.end(grant(GrantState.REVOKING), NOW + HOUR)[1],
    ]
    for event in events:
        assert json.loads(json.dumps(event.details)) == event.details
        assert event.actor in {ANA, BEN, "bot"}
