"""Ending before the time: cancelled, lapsed, returned, revoked."""

from __future__ import annotations

import pytest
from desk import ANA, BEN, HOUR, Desk

from bot.access import end
from bot.core.errors import Conflict, DomainError, NotFound, Refused
from bot.core.model import EndReason, GrantState, RequestState
from bot.store import entries, grants, messages

BOTH = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])


def approved(desk: Desk) -> str:
    request = desk.ask()
    desk.approve(request.id)
    return request.id


def at_rest(desk: Desk) -> None:
    """Nothing is due: both loops have done their work."""
    with desk.database.transaction() as tx:
        for entry_id in entries.due(tx, desk.clock(), 100):
            entry = entries.get(tx, entry_id, desk.clock())
            entries.rest(tx, entry, None, attempts=0, problem=None)
        for request_id in messages.due(tx, desk.clock(), 100):
            messages.rest(tx, messages.backlog(tx, request_id), None, attempts=0, now=desk.clock())


# Cancelling


@BOTH
def test_the_requester_takes_a_waiting_request_back(desk: Desk) -> None:
    request = desk.ask()
    assert desk.cancel(request.id).state is RequestState.CANCELLED
    assert desk.grant(request.id) is None
    assert desk.actions(request.id)[-1] == (ANA, "request.cancelled")


def test_nobody_else_takes_it_back_not_even_an_owner(desk: Desk) -> None:
    request = desk.ask()
    with desk.refuses(Conflict, "not_yours"):
        desk.cancel(request.id, BEN)


def test_what_was_approved_is_returned_and_not_cancelled(desk: Desk) -> None:
    request_id = approved(desk)
    with desk.refuses(Conflict, "already_decided") as raised:
        desk.cancel(request_id)
    assert f"/eks-access return {request_id}" in raised.value.sentence


def test_it_is_taken_back_once(desk: Desk) -> None:
    request = desk.ask()
    desk.cancel(request.id)
    with desk.refuses(Conflict, "already_decided"):
        desk.cancel(request.id)


# Lapsing


@BOTH
def test_a_request_lapses_once_its_time_is_over_and_not_before(desk: Desk) -> None:
    request = desk.ask()
    desk.clock.advance(HOUR.total_seconds() - 1)
    with desk.refuses(Conflict, "not_due"):
        desk.lapse(request.id)
    desk.clock.advance(1)
    assert desk.lapse(request.id).state is RequestState.LAPSED
    assert desk.actions(request.id)[-1] == ("bot", "request.lapsed")
    with desk.refuses(Conflict, "already_decided"):
        desk.lapse(request.id)


def test_what_was_decided_does_not_lapse(desk: Desk) -> None:
    request_id = approved(desk)
    desk.clock.advance(HOUR)
    with desk.refuses(Conflict, "already_decided"):
        desk.lapse(request_id)


# Returning and revoking


@BOTH
def test_the_holder_returns_access_and_both_loops_are_woken(desk: Desk) -> None:
    request_id = approved(desk)
    at_rest(desk)
    desk.clock.advance(60)
    desk.give_back(request_id)
    grant = desk.grant(request_id)
    assert grant is not None
    assert (grant.state, grant.end_reason) == (GrantState.REVOKING, EndReason.RETURNED)
    assert (grant.ended_by, grant.revoking_since) == (ANA, desk.clock())
    assert desk.actions(request_id)[-1] == (ANA, "grant.revoking")
    with desk.database.reading() as tx:
        assert entries.due(tx, desk.clock(), 10) == [grants.entry_of(tx, request_id)]
        assert messages.due(tx, desk.clock(), 10) == [request_id]


def test_nobody_else_returns_it_not_even_an_owner(desk: Desk) -> None:
    request_id = approved(desk)
    with desk.refuses(Refused, "not_yours"):
        desk.give_back(request_id, BEN)


def test_what_gave_no_access_is_not_returned(desk: Desk) -> None:
    request = desk.ask()
    with desk.refuses(Conflict, "nothing_to_return"):
        desk.give_back(request.id)
    desk.deny(request.id)
    with desk.refuses(Conflict, "nothing_to_return"):
        desk.give_back(request.id)


def test_it_is_returned_once(desk: Desk) -> None:
    request_id = approved(desk)
    desk.give_back(request_id)
    with desk.refuses(Conflict, "already_revoking"):
        desk.give_back(request_id)


def test_nobody_returns_what_does_not_exist(desk: Desk) -> None:
    with desk.refuses(NotFound, "unknown_request"):
        desk.give_back("000-000")


@BOTH
def test_an_operator_revokes_and_it_is_on_record(desk: Desk) -> None:
    request_id = approved(desk)
    with desk.database.transaction() as tx:
        end.revoke(tx, request_id, EndReason.REVOKED, "operator", desk.clock())
    grant = desk.grant(request_id)
    assert grant is not None
    assert (grant.end_reason, grant.ended_by) == (EndReason.REVOKED, "operator")
    assert desk.actions(request_id)[-1] == ("operator", "grant.revoking")


def test_what_ended_or_never_was_is_not_revoked(desk: Desk) -> None:
    waiting = desk.ask("billing")
    for request_id in (waiting.id, "000-000"):
        with (
            desk.refuses(
                DomainError, "unknown_grant" if request_id == waiting.id else "unknown_request"
            ),
            desk.database.transaction() as tx,
        ):
            end.revoke(tx, request_id, EndReason.REVOKED, "operator", desk.clock())


def test_a_second_end_does_not_change_the_first_reason(desk: Desk) -> None:
    request_id = approved(desk)
    desk.give_back(request_id)
    with desk.refuses(Conflict, "already_revoking"), desk.database.transaction() as tx:
        end.revoke(tx, request_id, EndReason.REVOKED, "operator", desk.clock())
