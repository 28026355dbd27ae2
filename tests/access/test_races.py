"""Two clicks at the same moment, on two replicas: one outcome, and everybody is told the truth."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier, Event, Thread
from typing import Any

import pytest
from desk import ANA, BEN, CLEO, DAN, ENGINEERS, EVE, HOUR, Desk, person
from sqlalchemy import Connection, event, text

from bot.access import break_glass, end, lockdown, post_review, review
from bot.access.extend import extend
from bot.access.submit import submit
from bot.core.errors import Conflict, DomainError, Refused
from bot.core.model import Ask, EndReason, GrantState, RequestState
from bot.store import entries, grants, requests
from bot.store.database import Database

BOTH = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
POSTGRESQL = pytest.mark.parametrize("database_kind", ["postgresql"])

Act = Callable[[Connection], Any]


@pytest.fixture
def replica(database_url: str) -> Iterator[Database]:
    """The store as another process sees it."""
    with contextlib.closing(Database(database_url)) as database:
        yield database


def at_once(desk: Desk, *acts: Act) -> list[Any]:
    """Each act in a transaction of its own, all begun at the same moment."""
    start = Barrier(len(acts))

    def run(act: Act) -> Any:
        start.wait(10)
        try:
            with desk.database.transaction() as tx:
                return act(tx)
        except DomainError as error:
            return error

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(run, acts))


def in_turn(
    desk: Desk, replica: Database, first: Act, second: Act, *, at: str = "person:"
) -> tuple[Any, Any]:
    """The second begins when the first has done its work and not yet committed it.

    It waits for the first at the request's row or at the lock whose name begins with `at`, or,
    where it does not, it is done before that.
    """
    outcome: list[Any] = []
    on_its_way = Event()

    def asks_for_the_row(
        _: object, __: object, statement: str, values: object, *___: object
    ) -> None:
        locks = "pg_advisory_xact_lock(" in statement and at in repr(values)
        if "FOR UPDATE" in statement or locks:
            on_its_way.set()

    def run() -> None:
        try:
            with replica.transaction() as tx:
                outcome.append(second(tx))
        except DomainError as error:
            outcome.append(error)
        finally:
            on_its_way.set()

    event.listen(replica.engine, "before_cursor_execute", asks_for_the_row)
    other = Thread(target=run)
    with desk.database.transaction() as tx:
        mine = first(tx)
        other.start()
        assert on_its_way.wait(10)
    other.join(10)
    return mine, outcome[0]


def approving(desk: Desk, request_id: str, who: str) -> Act:
    return lambda tx: review.approve(tx, desk.facts(), request_id, who)


def denying(desk: Desk, request_id: str, who: str) -> Act:
    return lambda tx: review.deny(tx, desk.facts(), request_id, who, "not now")


def codes(outcomes: list[Any]) -> list[str]:
    return sorted(one.code for one in outcomes if isinstance(one, DomainError))


@BOTH
def test_two_owners_who_approve_at_once_make_one_grant(desk: Desk) -> None:
    for _ in range(5):
        request = desk.ask()
        outcomes = at_once(
            desk, approving(desk, request.id, BEN), approving(desk, request.id, CLEO)
        )
        assert codes(outcomes) == ["already_decided"]
        assert desk.state(request.id) is RequestState.APPROVED
        assert [action for _, action in desk.actions(request.id)].count("request.approved") == 1
        assert len(desk.reviews(request.id)) == 1
    assert desk.count("grants") == 5


@BOTH
def test_an_owner_who_clicks_twice_at_once_is_counted_once(desk: Desk) -> None:
    for number in range(5):
        request = desk.ask("vault", level="edit" if number % 2 else "view")
        outcomes = at_once(desk, *[approving(desk, request.id, BEN)] * 3)
        assert codes(outcomes) == ["already_reviewed"] * 2
        assert desk.state(request.id) is RequestState.PENDING
        desk.cancel(request.id)


@BOTH
def test_of_approve_and_deny_at_once_one_holds(desk: Desk) -> None:
    for _ in range(8):
        request = desk.ask()
        outcomes = at_once(desk, approving(desk, request.id, BEN), denying(desk, request.id, CLEO))
        assert codes(outcomes) == ["already_decided"]
        state = desk.state(request.id)
        assert (desk.grant(request.id) is not None) == (state is RequestState.APPROVED)
        assert len(desk.reviews(request.id)) == 1


@BOTH
def test_a_decision_a_cancellation_and_the_end_of_its_time_at_once_have_one_outcome(
    desk: Desk,
) -> None:
    for _ in range(5):
        request = desk.ask()
        outcomes = at_once(
            desk,
            approving(desk, request.id, BEN),
            partial(end.cancel, request_id=request.id, by=ANA, now=desk.clock()),
            partial(end.lapse, request_id=request.id, now=desk.clock() + HOUR),
        )
        assert len(codes(outcomes)) == 2
        state = desk.state(request.id)
        assert (desk.grant(request.id) is not None) == (state is RequestState.APPROVED)
        assert len(desk.actions(request.id)) in (2, 3)


@POSTGRESQL
@pytest.mark.parametrize("first", ["approve", "deny"])
def test_the_second_click_waits_for_the_first_and_is_told_what_became_of_it(
    desk: Desk, replica: Database, first: str
) -> None:
    request = desk.ask()
    approve, deny = approving(desk, request.id, BEN), denying(desk, request.id, CLEO)
    acts = (approve, deny) if first == "approve" else (deny, approve)
    _, refused = in_turn(desk, replica, *acts)
    assert isinstance(refused, Conflict)
    assert refused.code == "already_decided"
    assert desk.state(request.id).value == {"approve": "APPROVED", "deny": "DENIED"}[first]


@POSTGRESQL
def test_the_two_last_approvals_at_once_are_both_counted(desk: Desk, replica: Database) -> None:
    """Neither may see only itself, or the request would hang with all the approvals it needs."""
    request = desk.ask("vault")
    in_turn(desk, replica, approving(desk, request.id, BEN), approving(desk, request.id, DAN))
    assert len(desk.reviews(request.id)) == 2
    assert desk.state(request.id) is RequestState.APPROVED


@POSTGRESQL
def test_access_given_back_twice_at_once_is_given_back_once(desk: Desk, replica: Database) -> None:
    request = desk.ask()
    desk.approve(request.id)
    now = desk.clock()
    back = partial(end.give_back, request_id=request.id, by=ANA, now=now)
    revoked = partial(
        end.revoke, grant_id=request.id, reason=EndReason.REVOKED, by="operator", now=now
    )
    _, second = in_turn(desk, replica, back, revoked)
    assert isinstance(second, Conflict)
    grant = desk.grant(request.id)
    assert grant is not None
    assert (grant.state, grant.end_reason) == (GrantState.REVOKING, EndReason.RETURNED)
    assert [action for _, action in desk.actions(request.id)].count("grant.revoking") == 1


@BOTH
def test_a_double_click_on_submit_makes_one_request(desk: Desk) -> None:
    ask = Ask("prod-eu", "edit", ("payments",), HOUR, reason="a stuck job")
    for _ in range(5):
        outcomes = at_once(desk, *[lambda tx: submit(tx, desk.facts(), ANA, ask)] * 3)
        refused = codes(outcomes)
        assert len(refused) == 2
        assert set(refused) <= {"already_waiting", "try_again"}
        [made] = [one for one in outcomes if not isinstance(one, DomainError)]
        desk.cancel(made.id)


@BOTH
def test_first_grants_of_several_people_at_once_are_all_made(desk: Desk) -> None:
    asked = [desk.ask("payments", who=who).id for who in (ANA, DAN, EVE)]
    asked.append(desk.ask("payments", who=ANA, level="view").id)
    outcomes = at_once(desk, *[approving(desk, request_id, BEN) for request_id in asked])
    for request_id, outcome in zip(asked, outcomes, strict=True):
        if isinstance(outcome, DomainError):  # the same new entry at the same moment
            assert outcome.code == "try_again"
            desk.approve(request_id)
    assert {desk.state(request_id) for request_id in asked} == {RequestState.APPROVED}
    assert desk.count("entries") == 3


DAN_TOO = "U10DANTOO"


@POSTGRESQL
@pytest.mark.parametrize("kind", ["request", "break-glass"])
def test_of_two_accounts_on_one_principal_at_once_one_is_refused(
    desk: Desk, replica: Database, kind: str
) -> None:
    """The template puts both on the role of Dan; neither is known to the file by name."""
    with_break_glass(desk, DAN, DAN_TOO)
    desk.people[DAN_TOO] = person(DAN_TOO, email="dan@example.org")
    desk.membership[ENGINEERS] |= {DAN_TOO}
    ask = Ask("prod-eu", "edit", ("payments",), HOUR, reason="it is down")

    def asking(who: str) -> Act:
        if kind == "request":
            return partial(submit_for, desk, who, ask)
        return lambda tx: break_glass.begin(tx, desk.facts(), who, ask)

    def a_second_before(tx: Connection) -> Any:
        made = asking(DAN)(tx)
        desk.clock.advance(1)  # or the two would stumble over one id
        return made

    _, refused = in_turn(desk, replica, a_second_before, asking(DAN_TOO), at="principal:")
    assert isinstance(refused, Refused)
    assert refused.code == "principal_of_another"
    assert desk.count("requests") == 1


@BOTH
def test_of_many_accounts_on_one_principal_at_once_one_asks(desk: Desk) -> None:
    accounts = [f"U1{number}DAN" for number in range(4)]
    for account in accounts:
        desk.people[account] = person(account, email="dan@example.org")
        desk.membership[ENGINEERS] |= {account}
    asks = [Ask("prod-eu", "edit", ("payments",), HOUR, reason=f"job {one}") for one in range(4)]
    acts = [partial(submit_for, desk, who, ask) for who, ask in zip(accounts, asks, strict=True)]
    outcomes = at_once(desk, *acts)
    assert len(codes(outcomes)) == 3
    assert set(codes(outcomes)) <= {"principal_of_another", "try_again"}
    assert desk.count("requests") == 1


@BOTH
def test_requests_at_once_do_not_together_pass_a_cap(desk: Desk) -> None:
    """An automatic rule gives once in 24 hours: each must see what the others were given."""
    desk.rules["lab"]["approval"] = {"automatic": {"per_day": 1}}
    owners = {"channel": "C01PAY", "owners": {"users": [BEN]}}
    desk.document["rules"].append(desk.rules["lab"] | {"name": "lab asked", "approval": owners})
    for who in (ANA, CLEO, DAN):
        asks = [
            Ask("lab", "view", (f"ns-{number}",), HOUR, reason="a stuck job") for number in range(4)
        ]
        acts = [partial(submit_for, desk, who, ask) for ask in asks]
        made = [one for one in at_once(desk, *acts) if not isinstance(one, DomainError)]
        states = [desk.state(one.id) for one in made]
        assert states.count(RequestState.APPROVED) == 1
        assert set(states) <= {RequestState.APPROVED, RequestState.PENDING}


def submit_for(desk: Desk, who: str, ask: Ask, tx: Connection) -> Any:
    return submit(tx, desk.facts(), who, ask)


# Break-glass


def with_break_glass(desk: Desk, *responders: str) -> None:
    desk.document["security_channel"] = "C0SECURITY"
    desk.document["break_glass"] = [
        {
            "clusters": ["prod-*"],
            "levels": ["edit"],
            "responders": {"users": list(responders or (ANA,))},
            "max_duration": "1h",
            "review": {"owners": {"users": [BEN, DAN]}, "within": "24h"},
        }
    ]


def breaking(desk: Desk, **more: Any) -> Act:
    ask = Ask("prod-eu", "edit", ("payments",), reason="it is down")
    return lambda tx: break_glass.begin(tx, desk.facts(), ANA, ask, **more)


def reviewing(desk: Desk, request_id: str, who: str, *, justified: bool) -> Act:
    return lambda tx: post_review.review(
        tx, desk.facts(), request_id, who, justified=justified, findings="as I saw it"
    )


@POSTGRESQL
def test_of_two_break_glass_at_once_for_the_same_one_is_given(
    desk: Desk, replica: Database
) -> None:
    with_break_glass(desk)
    given, refused = in_turn(desk, replica, breaking(desk), breaking(desk))
    assert given.state is RequestState.APPROVED
    assert isinstance(refused, Conflict)
    assert refused.code == "already_broken"
    assert desk.count("post_reviews") == desk.count("grants") == 1


@BOTH
def test_a_break_glass_and_an_approval_of_what_it_replaces_leave_one_grant(desk: Desk) -> None:
    with_break_glass(desk)
    waiting = desk.ask()
    at_once(desk, breaking(desk, instead_of=waiting.id), approving(desk, waiting.id, BEN))
    assert desk.count("grants") == 1
    state = desk.state(waiting.id)
    assert state in {RequestState.CANCELLED, RequestState.APPROVED}
    assert desk.count("post_reviews") == (1 if state is RequestState.CANCELLED else 0)


@BOTH
def test_of_two_reviews_at_once_one_counts_and_the_other_is_told(desk: Desk) -> None:
    with_break_glass(desk)
    request = desk.break_glass()
    desk.gone(request.id)
    outcomes = at_once(
        desk,
        reviewing(desk, request.id, BEN, justified=True),
        reviewing(desk, request.id, DAN, justified=False),
    )
    [told] = [one for one in outcomes if isinstance(one, Conflict)]
    assert told.code == "already_reviewed"
    [given] = [one for one in outcomes if not isinstance(one, Conflict)]
    owed = desk.owed(request.id)
    assert owed is not None
    assert (owed.reviewer, owed.justified) == (given.reviewer, given.justified)
    assert [one for _, one in desk.actions(request.id)].count("break_glass.reviewed") == 1


@BOTH
def test_two_replicas_that_remind_at_once_remind_once(desk: Desk) -> None:
    with_break_glass(desk)
    request = desk.break_glass()
    desk.gone(request.id)
    desk.clock.advance(12 * HOUR.total_seconds())
    taking: Act = partial(post_review.take_steps, request_id=request.id, now=desk.clock())
    outcomes = at_once(desk, taking, taking, taking)
    assert sorted(map(len, outcomes)) == [0, 0, 1]
    assert [one for _, one in desk.actions(request.id)].count("break_glass.review_reminded") == 1


@BOTH
def test_a_review_and_its_reminder_at_once_are_both_what_they_say(desk: Desk) -> None:
    with_break_glass(desk)
    request = desk.break_glass()
    desk.gone(request.id)
    desk.clock.advance(12 * HOUR.total_seconds())
    taking: Act = partial(post_review.take_steps, request_id=request.id, now=desk.clock())
    at_once(desk, taking, reviewing(desk, request.id, BEN, justified=True))
    owed = desk.owed(request.id)
    assert owed is not None
    assert not owed.open
    assert desk.take_steps(request.id) == ()


@POSTGRESQL
@pytest.mark.parametrize("how", ["lockdown", "revoke"])
def test_revoking_several_waits_for_a_row_before_it_holds_what_is_waited_for(
    desk: Desk, replica: Database, how: str
) -> None:
    """The access loop stores the state of a grant, then when to look at its entry again."""
    first = desk.ask()
    desk.approve(first.id)
    desk.confirm(first.id)
    second = desk.extend(first.id) if how == "revoke" else desk.ask("vault")
    desk.approve(second.id)
    if how == "lockdown":
        desk.approve(second.id, DAN)
    now = desk.clock()

    def revoke_both() -> None:
        with replica.transaction() as tx:
            if how == "lockdown":
                lockdown.begin(tx, by="operator", reason="all stop", revoking=True, now=now)
            else:
                end.revoke_whole(tx, first.id, EndReason.REVOKED, "operator", now)

    other = Thread(target=revoke_both)
    with desk.database.transaction() as tx:
        requests.get_locked(tx, second.id)
        entry_id = grants.entry_of(tx, second.id)
        assert entry_id is not None
        other.start()
        wait_until_one_waits(desk.database)
        entries.wake(tx, entry_id, now)
    other.join(10)
    for one in (first, second):
        grant = desk.grant(one.id)
        assert grant is not None
        assert grant.state is GrantState.REVOKING


@POSTGRESQL
@pytest.mark.parametrize("given", ["automatically", "by approval", "once more"])
@pytest.mark.parametrize("how", ["return", "revoke", "operator"])
def test_an_end_that_races_an_extension_ends_that_too(
    desk: Desk, replica: Database, given: str, how: str
) -> None:
    """The line is read while the extension is not committed yet, and does not show it."""
    if given == "by approval":
        first = desk.ask()
        desk.approve(first.id)
        desk.confirm(first.id)
        extending = approving(desk, desk.extend(first.id).id, BEN)
    else:
        desk.document["lockdown"] = {"owners": {"users": [BEN]}}
        first = desk.ask(cluster="lab", level="view")
        desk.confirm(first.id)
        if given == "once more":
            first = desk.extend(first.id)
            desk.confirm(first.id)
        extending = partial(
            extend, facts=desk.facts(), grant_id=first.id, by=ANA, more=HOUR, reason=""
        )
    now = desk.clock()
    ending: dict[str, Act] = {
        "return": partial(end.give_back, request_id=first.id, by=ANA, now=now),
        "revoke": partial(end.take_away, facts=desk.facts().revoking(BEN), request_id=first.id),
        "operator": partial(
            end.revoke_whole,
            grant_id=first.id,
            reason=EndReason.REVOKED,
            by="operator",
            now=now,
        ),
    }
    extended, ended = in_turn(desk, replica, extending, ending[how])
    assert extended.state is RequestState.APPROVED
    assert ended.id == extended.id
    with desk.database.reading() as tx:
        assert {one.state for one in grants.live(tx)} == {GrantState.REVOKING}


def wait_until_one_waits(database: Database) -> None:
    """Wait until somebody waits for a row; PostgreSQL tells nobody of it."""
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    end_of_patience = time.monotonic() + 10
    while time.monotonic() < end_of_patience:
        with database.reading() as tx:
            if tx.scalar(waiting):
                return
    raise AssertionError("nobody waits")


@POSTGRESQL
def test_what_is_revoked_while_it_is_asked_for_again_is_not_given_anew(
    desk: Desk, replica: Database
) -> None:
    """Whoever asks sees that they still have it, or that it was revoked: one of the two."""
    first = desk.ask("a", cluster="lab", level="view")
    assert first.state is RequestState.APPROVED
    revoke = partial(
        end.revoke, grant_id=first.id, reason=EndReason.REVOKED, by="operator", now=desk.clock()
    )
    revoked: list[Any] = []

    def meanwhile(_: object, __: object, statement: str, *___: object) -> None:
        if "lockdowns" in statement and "revoking_since" in statement and not revoked:
            with desk.database.transaction() as tx:
                revoked.append(revoke(tx))

    event.listen(replica.engine, "after_cursor_execute", meanwhile)
    ask = Ask("lab", "view", ("a",), HOUR, reason="once more")
    with (
        pytest.raises(Conflict, match="You have exactly this already"),
        replica.transaction() as tx,
    ):
        submit(tx, desk.facts(), ANA, ask)
    assert [one.state for one in revoked] == [GrantState.REVOKING]
    assert desk.count("grants") == 1
