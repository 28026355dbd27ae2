"""Access ends even where the bot never comes back, and only that of the one person it is for."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from threading import Event, Thread

import pytest
from backstop_world import AFTER, ROLE, BackstopWorld
from entry_world import (
    ACCOUNT,
    HOUR,
    LAB,
    MINUTE,
    OPEN,
    REGION,
    ROOT,
    TERRAFORM,
    VIEW,
    World,
    role,
)
from sqlalchemy import event, select

from bot.core.errors import StoreUnavailable
from bot.core.model import EndReason, GrantState
from bot.core.planner import DEPLOYMENT_TAG, GRANT_TAG
from bot.core.removal import LATE_AFTER
from bot.metrics import build_registry
from bot.reconcile.backstop import BackstopKeeper
from bot.store import tables
from bot.store.claims import Claims
from bot.store.database import Database
from bot.store.watch import StoreWatch

SECOND = timedelta(seconds=1)

both_databases = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])


@both_databases
def test_where_the_bot_never_comes_back_access_ends_shortly_after_its_end(
    backed: BackstopWorld,
) -> None:
    grant_id = backed.active("view", "a")
    backed.quiet()
    assert backed.schedules() == {"ana": backed.grant(grant_id).ends_at + AFTER}
    # From here on nothing of the bot runs any more.
    backed.clock.advance(HOUR + AFTER - SECOND)
    assert backed.given() == {VIEW: ("a",)}
    backed.clock.advance(SECOND)
    assert backed.entry() is None
    assert [one.outcome for one in backed.fired()] == ["deleted"]
    assert backed.schedules() == {}


def test_a_bot_that_comes_back_after_all_finds_the_access_ended(backed: BackstopWorld) -> None:
    grant_id = backed.active("view", "a")
    backed.quiet()
    backed.clock.advance(HOUR + AFTER)
    backed.restart()
    backed.quiet()
    assert backed.grant(grant_id).end_reason is EndReason.EXPIRED
    assert backed.state(grant_id) is GrantState.ENDED
    assert backed.known() is None
    assert backed.audit() == ["backstop.set", "backstop.set", "backstop.removed"]


def test_a_schedule_stands_before_anything_is_asked_of_eks(backed: BackstopWorld) -> None:
    backed.ask("view", "a")
    backed.settle()
    writes = backed.writes()
    assert writes.index("CreateSchedule") < writes.index("CreateAccessEntry")
    reads = [call.operation for call in backed.eks.calls]
    assert reads.index("GetSchedule", reads.index("CreateSchedule")) < reads.index(
        "CreateAccessEntry"
    )


def test_no_access_is_given_while_its_schedule_cannot_be_made(backed: BackstopWorld) -> None:
    backed.eks.faults.server_error("CreateSchedule", times=None)
    grant_id = backed.ask("view", "a")
    for _ in range(12):
        backed.round()
        backed.clock.advance(10 * SECOND)
    assert backed.entry() is None
    grant = backed.grant(grant_id)
    assert grant.state is GrantState.PROVISIONING
    assert "the backstop is not set" in (grant.problem or "")
    assert in_trouble(backed) == 1
    backed.eks.faults.clear()
    backed.quiet()
    assert backed.state(grant_id) is GrantState.ACTIVE
    assert backed.grant(grant_id).problem is None
    assert in_trouble(backed) == 0


def test_the_scheduler_is_left_alone_for_as_long_as_it_asks(backed: BackstopWorld) -> None:
    backed.eks.faults.throttle("CreateSchedule", headers={"Retry-After": "45"})
    backed.ask("view", "a")
    backed.round()
    with backed.database.reading() as tx:
        due = tx.scalar(select(tables.backstops.c.due_at))
    assert due is not None
    assert due - backed.clock() == timedelta(seconds=45)


def in_trouble(world: BackstopWorld) -> float | None:
    """What Prometheus reads."""
    registry = build_registry(StoreWatch(world.database), [], world.clock)
    return registry.get_sample_value("eks_access_backstop_problems")


@pytest.mark.parametrize("operation", ["GetSchedule", "CreateSchedule"])
def test_access_whose_schedule_is_forbidden_fails_and_says_why(
    backed: BackstopWorld, operation: str
) -> None:
    fault = backed.eks.faults.deny(operation)
    grant_id = backed.ask("view", "a")
    backed.settle()
    grant = backed.grant(grant_id)
    assert grant.end_reason is EndReason.FAILED
    assert "Without its backstop no access is given" in (grant.problem or "")
    assert "CreateAccessEntry" not in backed.writes()
    fault.remaining = 0
    again = backed.active("view", "a")
    assert backed.state(again) is GrantState.ACTIVE


def test_access_fails_where_the_group_of_schedules_is_not_there(backed: BackstopWorld) -> None:
    backed.eks.scheduler.delete_group("eks-access", REGION, ACCOUNT)
    grant_id = backed.ask("view", "a")
    backed.settle()
    problem = backed.grant(grant_id).problem or ""
    assert "aws scheduler create-schedule-group --name eks-access --region eu-west-1" in problem


def test_access_fails_where_the_role_cannot_be_assumed(backed: BackstopWorld) -> None:
    backed.eks.scheduler.reset()
    backed.eks.scheduler.create_group("eks-access", REGION, ACCOUNT)
    grant_id = backed.ask("view", "a")
    backed.settle()
    problem = backed.grant(grant_id).problem or ""
    assert "must allow AWS EventBridge Scheduler to assume the role" in problem
    assert backed.entry() is None


# In step with what people do


def test_an_extension_moves_the_schedule_before_the_end_moves(backed: BackstopWorld) -> None:
    grant_id = backed.active("view", "a")
    backed.quiet()
    first_end = backed.grant(grant_id).ends_at
    backed.clock.advance(30 * MINUTE)
    backed.eks.faults.server_error("UpdateSchedule", times=3)
    longer = backed.extend(grant_id)
    backed.round()
    backed.round()
    assert backed.state(longer) is GrantState.PROVISIONING
    assert backed.state(grant_id) is GrantState.ACTIVE
    assert backed.schedules() == {"ana": first_end + AFTER}
    backed.quiet()
    assert backed.state(longer) is GrantState.ACTIVE
    assert backed.state(grant_id) is GrantState.ENDED
    assert backed.schedules() == {"ana": first_end + HOUR + AFTER}
    backed.clock.advance(first_end + AFTER - backed.clock())
    assert backed.given() == {VIEW: ("a",)}
    backed.clock.advance(HOUR)
    assert backed.entry() is None


def test_an_extension_that_never_gets_its_schedule_leaves_the_first_end(
    backed: BackstopWorld,
) -> None:
    grant_id = backed.active("view", "a")
    backed.quiet()
    backed.eks.faults.server_error("UpdateSchedule", times=None)
    longer = backed.extend(grant_id)
    for _ in range(100):
        backed.round()
        backed.clock.advance(MINUTE)
    assert backed.grant(longer).end_reason is EndReason.FAILED
    assert backed.grant(grant_id).end_reason is EndReason.EXPIRED
    assert backed.entry() is None


@both_databases
def test_what_is_returned_is_removed_first_and_its_schedule_afterwards(
    backed: BackstopWorld,
) -> None:
    grant_id = backed.active("view", "a")
    backed.quiet()
    backed.give_back(grant_id)
    backed.quiet()
    writes = backed.writes()
    assert writes.index("DeleteAccessEntry") < writes.index("DeleteSchedule")
    assert backed.entry() is None
    assert backed.held() == ()
    backed.clock.advance(24 * HOUR)
    assert backed.fired() == []


@pytest.mark.parametrize("operation", ["GetSchedule", "DeleteSchedule"])
def test_a_schedule_that_cannot_be_deleted_holds_no_removal_up_and_is_tried_again(
    backed: BackstopWorld, operation: str
) -> None:
    grant_id = backed.active("view", "a")
    backed.quiet()
    fault = backed.eks.faults.deny(operation)
    backed.give_back(grant_id)
    backed.settle()
    assert backed.state(grant_id) is GrantState.ENDED
    assert backed.grant(grant_id).problem is None
    for _ in range(5):
        backed.round()
        backed.clock.advance(MINUTE)
    assert backed.schedules() != {}
    fault.remaining = 0
    backed.quiet()
    assert backed.schedules() == {}


def test_the_schedule_is_for_the_last_end_of_all_that_the_entry_gives(
    backed: BackstopWorld,
) -> None:
    first = backed.active("view", "a", length=HOUR)
    later = backed.active("edit", "b", length=3 * HOUR)
    backed.quiet()
    assert backed.schedules() == {"ana": backed.grant(later).ends_at + AFTER}
    backed.give_back(later)
    backed.quiet()
    assert backed.schedules() == {"ana": backed.grant(first).ends_at + AFTER}


def test_each_person_has_a_schedule_of_their_own(backed: BackstopWorld) -> None:
    backed.active("view", "a", who="ana")
    backed.active("view", "a", who="ben", length=2 * HOUR)
    backed.quiet()
    assert backed.schedules().keys() == {"ana", "ben"}
    backed.clock.advance(HOUR + AFTER)
    assert backed.entry("ana") is None
    assert backed.given("ben") == {VIEW: ("a",)}


def test_a_removal_that_is_late_brings_the_schedule_nearer(backed: BackstopWorld) -> None:
    grant_id = backed.active("view", "a", length=8 * HOUR)
    backed.quiet()
    backed.eks.faults.deny("DeleteAccessEntry")
    backed.give_back(grant_id)
    since = backed.clock()
    while backed.clock() < since + LATE_AFTER + MINUTE:
        backed.round()
        backed.clock.advance(10 * SECOND)
    assert backed.schedules() == {"ana": since + AFTER}
    # EventBridge Scheduler runs under another role, which is not refused.
    backed.clock.advance(AFTER)
    assert backed.entry() is None
    backed.settle()
    assert backed.state(grant_id) is GrantState.ENDED


# Nobody else's


def test_an_entry_that_somebody_made_in_the_meantime_is_out_of_its_reach(
    backed: BackstopWorld,
) -> None:
    backed.active("view", "a")
    backed.quiet()
    backed.eks.client("eks").delete_access_entry(clusterName=LAB, principalArn=role("ana"))
    backed.eks.put_entry(LAB, role("ana"), tags=TERRAFORM, policies={ROOT: ()})
    with backed.untouched():
        backed.clock.advance(HOUR + AFTER)
    assert [one.outcome for one in backed.fired()] == ["denied"]


def test_an_entry_of_another_deployment_is_out_of_its_reach(backed: BackstopWorld) -> None:
    backed.active("view", "a")
    backed.quiet()
    backed.eks.client("eks").delete_access_entry(clusterName=LAB, principalArn=role("ana"))
    tags = {DEPLOYMENT_TAG: "another", GRANT_TAG: "7K3-QMX"}
    backed.eks.put_entry(LAB, role("ana"), tags=tags, policies={VIEW: ()})
    with backed.untouched():
        backed.clock.advance(HOUR + AFTER)
    assert [one.outcome for one in backed.fired()] == ["denied"]


def test_a_schedule_names_one_cluster_and_one_principal(backed: BackstopWorld) -> None:
    backed.active("view", "a")
    (held,) = backed.held()
    assert held.hit == {"ClusterName": LAB, "PrincipalArn": role("ana")}
    assert held.form["Target"]["RoleArn"] == ROLE
    assert held.form["ActionAfterCompletion"] == "DELETE"
    assert held.form["FlexibleTimeWindow"] == {"Mode": "OFF"}


def test_access_beside_standing_access_has_no_schedule_that_would_take_that(
    backed: BackstopWorld,
) -> None:
    backed.eks.put_entry(OPEN, role("ana"), tags=TERRAFORM, policies={ROOT: ()})
    grant_id = backed.active("view", "a", cluster=OPEN)
    backed.quiet()
    assert backed.state(grant_id) is GrantState.ACTIVE
    assert backed.held() == ()


def test_a_schedule_goes_once_somebody_puts_something_of_theirs_on_the_entry(
    backed: BackstopWorld,
) -> None:
    grant_id = backed.active("view", "a")
    backed.quiet()
    backed.eks.client("eks").associate_access_policy(
        clusterName=LAB,
        principalArn=role("ana"),
        policyArn=f"arn:aws:eks::aws:cluster-access-policy/{ROOT}",
        accessScope={"type": "cluster"},
    )
    backed.look_again(grant_id)
    backed.quiet()
    assert backed.held() == ()
    assert backed.state(grant_id) is GrantState.ACTIVE


def test_what_ends_is_removed_without_making_room_for_what_has_no_schedule_yet(
    backed: BackstopWorld,
) -> None:
    """The old access narrowed to the new would give the new, before anything ends it."""
    old = backed.active("view", "a")
    backed.quiet()
    backed.eks.faults.server_error("UpdateSchedule", times=None)
    new = backed.ask("view", "b", length=4 * HOUR)
    backed.give_back(old)
    for _ in range(6):
        backed.round()
        entry = backed.entry()
        shown = [one.namespaces for one in entry.associations] if entry is not None else []
        assert ("b",) not in shown
        backed.clock.advance(SECOND)
    assert backed.state(old) is GrantState.ENDED
    assert backed.state(new) is GrantState.PROVISIONING
    backed.eks.faults.clear()
    backed.quiet()
    assert backed.state(new) is GrantState.ACTIVE


def test_an_extension_whose_end_passed_while_the_bot_was_away_gives_nothing(
    backed: BackstopWorld,
) -> None:
    grant_id = backed.active("view", "a")
    backed.quiet()
    backed.clock.advance(HOUR - 5 * MINUTE)
    longer = backed.extend(grant_id, MINUTE)
    backed.clock.advance(7 * MINUTE)
    before = len(backed.writes())
    backed.quiet()
    assert backed.entry() is None
    assert "CreateAccessEntry" not in backed.writes()[before:]
    grant = backed.grant(longer)
    assert (grant.state, grant.confirmed_at) == (GrantState.ENDED, None)
    assert "Its time was over" in (grant.problem or "")


def test_a_name_with_group_in_it_is_no_schedule_group(backed: BackstopWorld) -> None:
    grant_id = backed.ask("view", "a", who="group-lead")
    backed.quiet()
    assert backed.state(grant_id) is GrantState.ACTIVE
    assert list(backed.schedules()) == ["group-lead"]


def test_a_schedule_that_goes_while_it_is_being_moved_is_made_anew(backed: BackstopWorld) -> None:
    backed.active("view", "a")
    backed.quiet()
    backed.eks.faults.answer(
        404,
        "ResourceNotFoundException",
        "Schedule lab-of-somebody does not exist.",
        operation="UpdateSchedule",
        times=1,
    )
    later = backed.ask("view", "b", length=4 * HOUR)
    backed.quiet()
    assert backed.state(later) is GrantState.ACTIVE


# What others do to schedules, and time


def test_a_schedule_that_somebody_took_away_is_made_again(backed: BackstopWorld) -> None:
    grant_id = backed.active("view", "a")
    backed.quiet()
    (held,) = backed.held()
    backed.eks.scheduler.take(held.name)
    backed.clock.advance(11 * MINUTE)
    backed.look_again(grant_id)
    backed.quiet()
    (again,) = backed.held()
    assert again.at == held.at


def test_a_schedule_that_somebody_moved_is_moved_back(backed: BackstopWorld) -> None:
    grant_id = backed.active("view", "a")
    backed.quiet()
    (held,) = backed.held()
    form = {**held.form, "State": "DISABLED"}
    backed.eks.client("scheduler").update_schedule(**form)
    backed.clock.advance(11 * MINUTE)
    backed.look_again(grant_id)
    backed.quiet()
    assert backed.held()[0].form["State"] == "ENABLED"


def test_a_late_strike_on_access_given_anew_is_repaired(backed: BackstopWorld) -> None:
    """The bot is away, its removal late; a strike that is under way hits what it gives next."""
    backed.active("view", "a")
    backed.quiet()
    (under_way,) = backed.held()
    backed.eks.faults.deny("DeleteAccessEntry")
    backed.eks.scheduler.take(under_way.name)  # it has left the list, and was not carried out yet
    backed.clock.advance(HOUR + AFTER)
    backed.round()
    again = backed.ask("view", "a", length=2 * HOUR)
    backed.eks.faults.clear()
    backed.settle()
    backed.quiet()
    assert backed.state(again) is GrantState.ACTIVE
    backed.clock.advance(MINUTE)
    backed.eks.scheduler.strike(under_way)
    assert backed.entry() is None
    backed.look_again(again)
    backed.quiet()
    assert backed.state(again) is GrantState.ACTIVE
    assert backed.given() == {VIEW: ("a",)}


def test_new_access_of_the_same_person_takes_the_schedule_over(backed: BackstopWorld) -> None:
    first = backed.active("view", "a")
    backed.quiet()
    backed.eks.faults.deny("DeleteSchedule")
    backed.give_back(first)
    backed.settle()
    second = backed.active("view", "b", length=3 * HOUR)
    backed.quiet()
    assert backed.schedules() == {"ana": backed.grant(second).ends_at + AFTER}
    backed.clock.advance(HOUR + AFTER)
    assert backed.given() == {VIEW: ("b",)}


def test_an_unchanged_schedule_is_not_asked_for_again_and_again(backed: BackstopWorld) -> None:
    grant_id = backed.active("view", "a")
    backed.quiet()
    before = len(backed.eks.calls_of("GetSchedule"))
    for _ in range(5):
        backed.look_again(grant_id)
        backed.quiet()
    assert len(backed.eks.calls_of("GetSchedule")) == before


def test_without_a_backstop_no_schedule_is_made(world: World) -> None:
    world.active("view", "a")
    assert world.eks.calls_of("GetSchedule", "CreateSchedule") == []


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_both_loops_at_one_entry_at_the_same_moment_do_not_block_each_other(
    backed: BackstopWorld, database_url: str
) -> None:
    """The keeper, then the access loop, are about to change the entry and its backstop."""
    grant_id = backed.ask("view", "a")
    backed.bot.reconcile(*backed.bot.due())
    [entry_id] = backed.keeper.due()
    about_to, go_on, changed, outcome = Event(), Event(), Event(), []

    def keep() -> None:
        with contextlib.closing(Database(database_url)) as other:
            event.listen(other.engine, "before_cursor_execute", keeper_before)
            event.listen(other.engine, "after_cursor_execute", keeper_after)
            keeper = BackstopKeeper(other, backed.clients, Claims(other), clock=backed.clock)
            try:
                keeper.keep(entry_id)
                outcome.append("kept")
            except StoreUnavailable as error:
                outcome.append(str(error.__cause__))

    def keeper_before(_: object, __: object, statement: str, *___: object) -> None:
        if statement.startswith("UPDATE entries"):
            about_to.set()
            assert go_on.wait(10)

    def keeper_after(_: object, __: object, statement: str, *___: object) -> None:
        if statement.startswith("UPDATE entries"):
            changed.set()

    def access_before(_: object, __: object, statement: str, *___: object) -> None:
        if statement.startswith("UPDATE entries SET due_at=CASE"):
            go_on.set()
            assert changed.wait(10)

    keeping = Thread(target=keep)
    keeping.start()
    assert about_to.wait(10)
    event.listen(backed.database.engine, "before_cursor_execute", access_before)
    backed.bot.reconcile(entry_id)
    event.remove(backed.database.engine, "before_cursor_execute", access_before)
    keeping.join(10)
    assert outcome == ["kept"]
    backed.quiet()
    assert backed.state(grant_id) is GrantState.ACTIVE
