"""Suspension: nothing new for one person, by whatever way, and what they have ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event

import pytest
from desk import ANA, BEN, CLEO, DAN, EVE, LEADS, PLATFORM, RESPONDERS, SECURITY, Desk
from sqlalchemy import event

from bot.access import delegate, end, lockdown, question, suspension
from bot.access.start import begin as begin_access
from bot.access.submit import submit
from bot.access.suspension import Suspended
from bot.core.errors import Conflict, InvalidInput, Refused
from bot.core.lifecycle import OPERATOR
from bot.core.model import Ask, EndReason, GrantState, RequestState
from bot.core.suspension import Suspension
from bot.store import audit, delegations, suspensions
from bot.store.database import Database

BOTH = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
REASON = "Stolen laptop, INC-77"
HOUR = timedelta(hours=1)


def suspend(desk: Desk, who: str = ANA, *, by: str = OPERATOR, reason: str = REASON) -> Suspended:
    with desk.database.transaction() as tx:
        return suspension.begin(tx, who, by=by, reason=reason, now=desk.clock())


def let_in(desk: Desk, who: str = ANA, *, by: str = OPERATOR) -> Suspension:
    with desk.database.transaction() as tx:
        return suspension.end(tx, who, by=by, now=desk.clock())


def name_deputy(desk: Desk, owner: str, deputy: str) -> None:
    with desk.database.transaction() as tx:
        delegate.begin(tx, desk.facts(), owner, deputy, desk.clock() + timedelta(days=1))


def held(desk: Desk) -> list[tuple[str, str]]:
    with desk.database.reading() as tx:
        return [(one.owner, one.deputy) for one in delegations.holding(tx, desk.clock())]


@pytest.fixture
def delegable(desk: Desk) -> Desk:
    for name in ("payments", "vault"):
        desk.rules[name]["approval"]["delegation"] = {"longest": "7d"}
    return desk


@BOTH
def test_whoever_is_suspended_gets_nothing_new(desk: Desk) -> None:
    desk.document["break_glass"] = [
        {
            "clusters": ["prod-*"],
            "levels": ["edit"],
            "responders": {"groups": [RESPONDERS]},
            "max_duration": "1h",
            "review": {"owners": {"groups": [SECURITY]}, "within": "24h"},
        }
    ]
    suspend(desk)
    with desk.refuses(Refused, "suspended") as refused:
        desk.ask("payments")
    assert REASON not in refused.value.sentence
    with desk.refuses(Refused, "suspended"):
        desk.ask("dev", level="view", cluster="lab")
    with desk.refuses(Refused, "suspended"):
        desk.break_glass()
    assert desk.ask("payments", who=DAN).state is RequestState.PENDING


@BOTH
def test_what_is_live_is_revoked_and_what_waits_is_closed(desk: Desk) -> None:
    live = desk.ask("dev", level="view", cluster="lab")
    desk.confirm(live.id)
    booked = desk.ask("dev", level="view", cluster="lab", start_at=desk.clock() + HOUR)
    waiting = desk.ask("payments")
    other = desk.ask("dev", who=DAN, level="view", cluster="lab")
    done = suspend(desk, by=EVE)
    assert [one.id for one in done.revoked] == [live.id, booked.id]
    assert [one.id for one in done.closed] == [waiting.id]
    ending = desk.grant(live.id)
    assert ending is not None
    assert (ending.state, ending.end_reason) == (GrantState.REVOKING, EndReason.REVOKED)
    closed = desk.request(waiting.id)
    assert (closed.state, closed.decided_by) == (RequestState.DENIED, EVE)
    untouched = desk.grant(other.id)
    assert untouched is not None
    assert untouched.state is GrantState.PROVISIONING


def test_no_extension_is_given(desk: Desk) -> None:
    """Also where what is live was, by a mistake of ours, left."""
    live = desk.ask("dev", level="view", cluster="lab")
    desk.confirm(live.id)
    with desk.database.transaction() as tx:
        suspensions.begin(tx, ANA, by=OPERATOR, reason=REASON, now=desk.clock())
    with desk.refuses(Refused, "suspended"):
        desk.extend(live.id)


def test_what_was_approved_for_later_does_not_begin(desk: Desk) -> None:
    booked = desk.ask("dev", level="view", cluster="lab", start_at=desk.clock() + HOUR)
    with desk.database.transaction() as tx:
        suspensions.begin(tx, ANA, by=OPERATOR, reason=REASON, now=desk.clock())
    desk.clock.advance(HOUR)
    with desk.database.transaction() as tx:
        grant = begin_access(tx, desk.facts(), booked.id)
    assert (grant.state, grant.end_reason) == (GrantState.ENDED, EndReason.NOT_BEGUN)


@BOTH
def test_what_they_approved_does_not_count_any_more(desk: Desk) -> None:
    request = desk.ask("vault")
    desk.approve(request.id, BEN)
    suspend(desk, BEN)
    with desk.refuses(Refused, "suspended"):
        desk.approve(request.id, BEN)
    assert desk.approve(request.id, CLEO).state is RequestState.PENDING
    assert desk.approve(request.id, DAN).state is RequestState.APPROVED


def test_they_decide_nothing_and_end_nothing_of_others(desk: Desk) -> None:
    desk.document["lockdown"] = {"owners": {"users": [BEN]}}
    live, waiting = desk.ask("dev", level="view", cluster="lab"), desk.ask("payments")
    suspend(desk, BEN)
    with desk.refuses(Refused, "suspended"):
        desk.deny(waiting.id, BEN)
    with desk.refuses(Refused, "suspended"):
        desk.take_away(live.id, BEN)
    with desk.refuses(Refused, "suspended"), desk.database.transaction() as tx:
        lockdown.ensure_may_change(tx, desk.facts(), BEN)
    with desk.refuses(Refused, "suspended"), desk.database.transaction() as tx:
        suspension.ensure_may_suspend(tx, desk.facts(), BEN)
    with desk.refuses(Refused, "suspended"), desk.database.transaction() as tx:
        question.ask(tx, desk.facts(), waiting.id, BEN, "Why?")


def test_giving_back_and_cancelling_go_on(desk: Desk) -> None:
    """They take away, and a suspension in the store alone must not keep anybody from it."""
    live, waiting = desk.ask("dev", level="view", cluster="lab"), desk.ask("payments")
    with desk.database.transaction() as tx:
        suspensions.begin(tx, ANA, by=OPERATOR, reason=REASON, now=desk.clock())
    assert desk.give_back(live.id).end_reason is EndReason.RETURNED
    assert desk.cancel(waiting.id).state is RequestState.CANCELLED


@BOTH
def test_deputies_of_theirs_end_and_they_are_nobodys_deputy(delegable: Desk) -> None:
    desk = delegable
    name_deputy(desk, BEN, DAN)
    name_deputy(desk, CLEO, BEN)
    name_deputy(desk, CLEO, EVE)
    done = suspend(desk, BEN)
    assert [(one.owner, one.deputy) for one in done.delegations] == [(BEN, DAN), (CLEO, BEN)]
    assert held(desk) == [(CLEO, EVE)]
    for owner, deputy, code in ((BEN, DAN, "suspended"), (CLEO, BEN, "no_deputy")):
        with desk.refuses(Refused, code):
            name_deputy(desk, owner, deputy)
    with desk.database.reading() as tx:
        ended = [one for one in audit.latest(tx, 10) if one.action == "delegation.ended"]
    assert {(one.actor, one.details["owner"]) for one in ended} == {
        (OPERATOR, BEN),
        (OPERATOR, CLEO),
    }


def test_what_a_deputy_approved_for_them_counts_no_more(delegable: Desk) -> None:
    """A deputy may have been named from the stolen account, and have approved before it was."""
    desk = delegable
    desk.leave(LEADS, BEN)
    desk.rules["vault"]["approval"]["owners"] = {"users": [BEN], "groups": [LEADS, PLATFORM]}
    desk.leave(PLATFORM, DAN)
    name_deputy(desk, BEN, DAN)
    request = desk.ask("vault")
    desk.approve(request.id, DAN)
    suspend(desk, BEN)
    assert desk.approve(request.id, CLEO).state is RequestState.PENDING


@BOTH
def test_it_is_over_when_somebody_ends_it_and_nothing_comes_back(desk: Desk) -> None:
    live = desk.ask("payments")
    desk.approve(live.id)
    suspend(desk, by=EVE)
    let_in(desk, by=DAN)
    assert desk.ask("payments").state is RequestState.PENDING
    ended = desk.grant(live.id)
    assert ended is not None
    assert ended.end_reason is EndReason.REVOKED
    with desk.database.reading() as tx:
        over, begun, *_ = [
            one for one in audit.latest(tx, 20) if one.action.startswith("suspension.")
        ]
    assert (begun.actor, begun.action) == (EVE, "suspension.begun")
    assert begun.details == {"person": ANA, "reason": REASON}
    assert (over.actor, over.action, over.details["person"]) == (DAN, "suspension.ended", ANA)


@BOTH
def test_a_person_is_suspended_once(desk: Desk) -> None:
    suspend(desk)
    with desk.refuses(Conflict, "already_suspended"):
        suspend(desk, by=EVE)
    let_in(desk)
    with desk.refuses(Conflict, "not_suspended"):
        let_in(desk)
    suspend(desk)
    suspend(desk, BEN)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_it_needs_a_reason(desk: Desk, reason: str) -> None:
    with desk.refuses(InvalidInput, "bad_reason"):
        suspend(desk, reason=reason)


def test_nobody_suspends_themselves(desk: Desk) -> None:
    with desk.refuses(Refused, "own_suspension"):
        suspend(desk, EVE, by=EVE)


def test_an_operators_suspension_is_ended_by_an_operator_alone(desk: Desk) -> None:
    """It may be the answer to the stolen account of somebody who may end suspensions."""
    suspend(desk)
    with desk.refuses(Refused, "operators_suspension"):
        let_in(desk, by=EVE)
    let_in(desk)
    suspend(desk, by=EVE)
    let_in(desk, by=DAN)


def test_only_owners_of_lockdown_suspend_from_slack(desk: Desk) -> None:
    def may(who: str) -> None:
        with desk.database.reading() as tx:
            suspension.ensure_may_suspend(tx, desk.facts(), who)

    with pytest.raises(Refused, match="eks-access suspend"):
        may(DAN)  # the policy names nobody
    desk.document["lockdown"] = {"owners": {"groups": [PLATFORM]}}
    may(DAN)
    with pytest.raises(Refused, match="none of them"):
        may(BEN)


@pytest.fixture
def replica(database_url: str) -> Iterator[Database]:
    """The store as another process sees it."""
    with contextlib.closing(Database(database_url)) as database:
        yield database


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_a_grant_on_its_way_is_revoked_too(desk: Desk, replica: Database) -> None:
    """The suspension begins while another replica has granted and not yet committed.

    On SQLite whoever writes is alone. That replica commits once the suspension waits for it, or has
    read what is live without having waited.
    """
    granted, suspending = Event(), Event()

    def waits(_: object, __: object, statement: str, *___: object) -> None:
        if "pg_advisory_xact_lock(" in statement:
            suspending.set()

    def has_read(_: object, __: object, statement: str, *___: object) -> None:
        if "FROM grants" in statement:
            suspending.set()

    event.listen(desk.database.engine, "before_cursor_execute", waits)
    event.listen(desk.database.engine, "after_cursor_execute", has_read)

    def grant_slowly() -> str:
        with replica.transaction() as tx:
            ask = Ask("lab", "view", ("dev",), HOUR, reason="looking")
            request = submit(tx, desk.facts(), ANA, ask)
            granted.set()
            suspending.wait(20)
            return request.id

    def suspend_meanwhile() -> Suspended:
        granted.wait(20)
        return suspend(desk)

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.submit(grant_slowly), threads.submit(suspend_meanwhile)
        request_id, done = first.result(40), second.result(40)
    assert [one.id for one in done.revoked] == [request_id]


@BOTH
def test_a_return_just_before_a_revoke_evades_nothing(desk: Desk) -> None:
    live = desk.ask("dev", level="view", cluster="lab")
    desk.confirm(live.id)
    desk.document["lockdown"] = {"owners": {"users": [EVE]}}
    desk.give_back(live.id)
    noted = desk.take_away(live.id, EVE, "Odd calls")
    assert (noted.state, noted.end_reason) == (GrantState.REVOKING, EndReason.RETURNED)
    assert desk.actions(live.id)[-1] == (EVE, "grant.revoked_late")
    with desk.refuses(Refused, "no_rule"):
        desk.ask("dev", level="view", cluster="lab")
    with pytest.raises(Conflict):
        desk.take_away(live.id, EVE)
    desk.gone(live.id)
    with pytest.raises(Conflict):
        desk.take_away(live.id, EVE)
    desk.clock.advance(timedelta(hours=25))
    assert desk.ask("dev", level="view", cluster="lab").state is RequestState.APPROVED


@pytest.mark.parametrize("passed", [HOUR, 25 * HOUR])
def test_what_ended_is_noted_for_a_day(desk: Desk, passed: timedelta) -> None:
    live = desk.ask("dev", level="view", cluster="lab")
    desk.confirm(live.id)
    desk.document["lockdown"] = {"owners": {"users": [EVE]}}
    desk.gone(live.id)
    desk.clock.advance(passed)
    if passed > 24 * HOUR:
        with desk.refuses(Conflict, "already_ended"):
            desk.take_away(live.id, EVE)
        return
    assert desk.take_away(live.id, EVE).end_reason is EndReason.EXPIRED
    with desk.refuses(Refused, "no_rule"):
        desk.ask("dev", level="view", cluster="lab")


def test_what_a_lockdown_ended_can_be_noted_too(desk: Desk) -> None:
    live = desk.ask("dev", level="view", cluster="lab")
    desk.document["lockdown"] = {"owners": {"users": [EVE]}}
    with desk.database.transaction() as tx:
        lockdown.begin(tx, by=OPERATOR, reason=REASON, revoking=True, now=desk.clock())
    desk.take_away(live.id, EVE)
    with desk.database.transaction() as tx:
        lockdown.end(tx, by=OPERATOR, now=desk.clock())
    with desk.refuses(Refused, "no_rule"):
        desk.ask("dev", level="view", cluster="lab")


def test_a_break_glass_returned_just_before_a_revoke_is_not_broken_again(desk: Desk) -> None:
    desk.document["break_glass"] = [
        {
            "clusters": ["prod-*"],
            "levels": ["edit"],
            "responders": {"groups": [RESPONDERS]},
            "max_duration": "1h",
            "review": {"owners": {"groups": [SECURITY]}, "within": "24h"},
        }
    ]
    glass = desk.break_glass()
    desk.confirm(glass.id)
    desk.give_back(glass.id)
    desk.take_away(glass.id, EVE)
    assert desk.break_glass("billing").state is RequestState.PENDING


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_of_a_return_and_a_revoke_at_once_the_revoke_is_noted_whichever_comes_first(
    desk: Desk, replica: Database
) -> None:
    live = desk.ask("dev", level="view", cluster="lab")
    desk.document["lockdown"] = {"owners": {"users": [EVE]}}
    returned, revoking = Event(), Event()

    def give_back() -> None:
        with replica.transaction() as tx:
            end.give_back(tx, live.id, ANA, desk.clock())
            returned.set()
            revoking.wait(5)

    def revoke() -> None:
        returned.wait(5)
        revoking.set()
        desk.take_away(live.id, EVE)

    with ThreadPoolExecutor(2) as threads:
        for one in [threads.submit(give_back), threads.submit(revoke)]:
            one.result(20)
    with desk.refuses(Refused, "no_rule"):
        desk.ask("dev", level="view", cluster="lab")
