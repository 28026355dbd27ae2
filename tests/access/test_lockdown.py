"""Lockdown: while it is on nothing new is granted, by anybody and however it comes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from desk import ANA, BEN, DAN, EVE, HOUR, PLATFORM, Desk
from sqlalchemy import event

from bot.access import end, lockdown
from bot.access.extend import extend
from bot.access.submit import submit
from bot.core import lifecycle
from bot.core.errors import Conflict, DirectoryUnavailable, DomainError, InvalidInput, Refused
from bot.core.lifecycle import OPERATOR
from bot.core.model import Ask, EndReason, GrantState, RequestState
from bot.store import audit, grants, lockdowns
from bot.store.database import Database

BOTH = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
REASON = "Stolen laptop, INC-77"


def lock(desk: Desk, *, by: str = OPERATOR, reason: str = REASON, revoking: bool = False) -> Any:
    with desk.database.transaction() as tx:
        return lockdown.begin(tx, by=by, reason=reason, revoking=revoking, now=desk.clock())


def unlock(desk: Desk) -> Any:
    with desk.database.transaction() as tx:
        return lockdown.end(tx, by=OPERATOR, now=desk.clock())


def activate(desk: Desk, request_id: str) -> None:
    """As the access loop does once EKS was read back."""
    with desk.database.transaction() as tx:
        active, _ = lifecycle.confirm(grants.get(tx, request_id), desk.clock())
        grants.change(tx, active, expected=GrantState.PROVISIONING)


@BOTH
def test_nothing_is_asked_for_approved_or_extended_while_it_is_on(desk: Desk) -> None:
    waiting = desk.ask("payments")
    live = desk.ask("dev", who=DAN, level="view", cluster="lab")
    activate(desk, live.id)
    lock(desk)
    with desk.refuses(Refused, "lockdown") as refused:
        desk.ask("billing")
    assert REASON in refused.value.sentence
    with desk.refuses(Refused, "lockdown"):
        desk.ask("dev", level="view", cluster="lab")
    with desk.refuses(Refused, "lockdown"):
        desk.approve(waiting.id)
    with (
        desk.refuses(Refused, "lockdown"),
        desk.database.transaction() as tx,
    ):
        extend(tx, desk.facts(), live.id, by=DAN, more=HOUR, reason="")


def test_denying_cancelling_and_returning_go_on(desk: Desk) -> None:
    denied, taken_back = desk.ask("payments"), desk.ask("billing")
    live = desk.ask("dev", level="view", cluster="lab")
    lock(desk)
    assert desk.deny(denied.id).state is RequestState.DENIED
    assert desk.cancel(taken_back.id).state is RequestState.CANCELLED
    assert desk.give_back(live.id).end_reason is EndReason.RETURNED


def test_it_is_over_when_somebody_ends_it(desk: Desk) -> None:
    waiting = desk.ask("payments")
    lock(desk)
    unlock(desk)
    assert desk.approve(waiting.id).state is RequestState.APPROVED
    with desk.database.reading() as tx:
        assert lockdowns.current(tx) is None


@BOTH
def test_with_revoking_everything_live_is_revoked_and_what_ends_already_is_left(
    desk: Desk,
) -> None:
    live = [desk.ask("dev", who=who, level="view", cluster="lab").id for who in (ANA, BEN, DAN)]
    activate(desk, live[0])
    desk.give_back(live[2], who=DAN)
    _, revoked = lock(desk, revoking=True)
    assert sorted(one.id for one in revoked) == sorted(live[:2])
    reasons = {one: grant.end_reason for one in live if (grant := desk.grant(one))}
    assert reasons == {
        live[0]: EndReason.REVOKED,
        live[1]: EndReason.REVOKED,
        live[2]: EndReason.RETURNED,
    }


@BOTH
def test_it_can_be_on_once(desk: Desk) -> None:
    lock(desk)
    with pytest.raises(Conflict, match="on already"):
        lock(desk)
    unlock(desk)
    with pytest.raises(Conflict, match="not on"):
        unlock(desk)
    lock(desk)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_it_needs_a_reason(desk: Desk, reason: str) -> None:
    with desk.refuses(InvalidInput, "bad_reason"):
        lock(desk, reason=reason)


def test_the_audit_trail_has_both_ends(desk: Desk) -> None:
    lock(desk, by=EVE)
    unlock(desk)
    with desk.database.reading() as tx:
        ended, begun = audit.latest(tx, 2)
    assert (begun.action, begun.actor, begun.details["reason"]) == ("lockdown.begun", EVE, REASON)
    assert (ended.action, ended.actor) == ("lockdown.ended", OPERATOR)


def may(desk: Desk, who: str) -> None:
    with desk.database.reading() as tx:
        lockdown.ensure_may_change(tx, desk.facts(), who)


def test_only_its_owners_turn_it_on_from_slack(desk: Desk) -> None:
    with pytest.raises(Refused, match="eks-access lockdown on"):
        may(desk, DAN)  # the policy names nobody
    desk.document["lockdown"] = {"owners": {"groups": [PLATFORM]}}
    may(desk, DAN)
    with pytest.raises(Refused, match="none of them"):
        may(desk, BEN)
    desk.leave(PLATFORM, DAN)
    with pytest.raises(Refused, match="none of them"):
        may(desk, DAN)
    desk.become(EVE, is_guest=True)
    with pytest.raises(Refused, match="guest"):
        may(desk, EVE)
    desk.become(EVE, is_guest=False)
    del desk.membership[PLATFORM]
    with pytest.raises(DirectoryUnavailable):
        may(desk, EVE)


def break_glass(desk: Desk, who: str) -> None:
    with desk.database.transaction() as tx:
        lockdown.ensure_may_break_glass(tx, desk.facts(), who)


def test_break_glass_is_for_the_named_group_alone_meanwhile(desk: Desk) -> None:
    break_glass(desk, BEN)  # no lockdown: nothing is said here
    lock(desk)
    with pytest.raises(Refused, match="Lockdown"):
        break_glass(desk, DAN)
    desk.document["lockdown"] = {
        "owners": {"users": [EVE]},
        "break_glass": {"groups": [PLATFORM]},
    }
    break_glass(desk, DAN)
    with pytest.raises(Refused, match="Lockdown"):
        break_glass(desk, BEN)


@pytest.fixture
def replica(database_url: str) -> Iterator[Database]:
    """The store as another process sees it."""
    with contextlib.closing(Database(database_url)) as database:
        yield database


@BOTH
def test_a_grant_on_its_way_is_revoked_too_and_none_slips_in_behind(
    desk: Desk, replica: Database
) -> None:
    """The lockdown begins while another replica has granted and not yet committed."""
    granted, locking = Event(), Event()

    def grant_slowly() -> str:
        with replica.transaction() as tx:
            ask = Ask("lab", "view", ("dev",), timedelta(hours=1), reason="looking")
            request = submit(tx, desk.facts(), ANA, ask)
            granted.set()
            locking.wait(5)
            return request.id

    def lock_everything() -> Any:
        granted.wait(5)
        locking.set()
        return lock(desk, revoking=True)

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.submit(grant_slowly), threads.submit(lock_everything)
        request_id, (_, revoked) = first.result(20), second.result(20)
    assert [one.id for one in revoked] == [request_id]
    with pytest.raises(DomainError, match="Lockdown"):
        desk.ask("dev", who=BEN, level="view", cluster="lab")


def test_an_operators_lockdown_is_ended_by_an_operator_alone(desk: Desk) -> None:
    """It may be the answer to the stolen Slack account of a lockdown owner."""
    lock(desk)
    with (
        desk.refuses(Refused, "operators_lockdown"),
        desk.database.transaction() as tx,
    ):
        lockdown.end(tx, by=EVE, now=desk.clock())
    unlock(desk)
    lock(desk, by=EVE)
    unlock(desk)


@BOTH
def test_one_that_is_on_is_widened_to_what_is_live(desk: Desk) -> None:
    live = desk.ask("dev", level="view", cluster="lab")
    lock(desk)
    widened, revoked = lock(desk, by=EVE, revoking=True)
    assert [one.id for one in revoked] == [live.id]
    assert (widened.began_by, widened.revoking) == (OPERATOR, True)
    with pytest.raises(Conflict, match="on already"):
        lock(desk, revoking=True)


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_a_grant_that_ends_in_between_keeps_no_other_from_being_revoked(
    desk: Desk, replica: Database
) -> None:
    """It is returned after the lockdown has read what is live, and before it locks the grant."""
    first, second = (desk.ask("dev", who=who, level="view", cluster="lab").id for who in (ANA, BEN))
    read, returned = Event(), Event()

    def hold(_: object, __: object, statement: str, *___: object) -> None:
        if "FOR UPDATE" in statement and not read.is_set():
            read.set()
            returned.wait(5)

    event.listen(desk.database.engine, "before_cursor_execute", hold)

    def give_back() -> None:
        read.wait(5)
        with replica.transaction() as tx:
            end.give_back(tx, first, ANA, desk.clock())
        returned.set()

    with ThreadPoolExecutor(2) as threads:
        other = threads.submit(give_back)
        _, revoked = threads.submit(lambda: lock(desk, revoking=True)).result(20)
        other.result(20)
    assert [one.id for one in revoked] == [second]
    reasons = [grant.end_reason for one in (first, second) if (grant := desk.grant(one))]
    assert reasons == [EndReason.RETURNED, EndReason.REVOKED]
