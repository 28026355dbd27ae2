"""What the planner does with what it sees, case by case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from bot.core.model import Access, AccessScope, Standing
from bot.core.planner import (
    DEPLOYMENT_TAG,
    GRANT_TAG,
    STANDARD,
    STORE_TAG,
    Associate,
    AssociationRecord,
    Blocked,
    CreateEntry,
    DeleteEntry,
    DesiredEntry,
    Disassociate,
    EntryRecord,
    ObservedEntry,
    Obstacle,
    Owner,
    Plan,
    SetGroups,
    plan,
    satisfied,
    union,
)

VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
EDIT = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"
ARN = "arn:aws:eks:eu-west-1:111122223333:access-entry/lab/role/111122223333/ana/1"
OTHER_ARN = ARN[:-1] + "2"
OURS = {
    DEPLOYMENT_TAG: "acme",
    GRANT_TAG: "7K3-QMX",
    STORE_TAG: "0a1b",
    "team": "platform",
}
OWNER = Owner("acme", "0a1b")


def without(tags: Mapping[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key != name}


CLUSTER = AccessScope.cluster()
NOTHING = DesiredEntry()

Scopes = Mapping[str, AccessScope]


def ns(*names: str) -> AccessScope:
    return AccessScope.of(names)


A, B, AB = ns("a"), ns("b"), ns("a", "b")


def desired(policies: Scopes | None = None, groups: Iterable[str] = ()) -> DesiredEntry:
    return DesiredEntry(policies or {}, frozenset(groups))


def entry(
    policies: Scopes | None = None,
    *,
    groups: Iterable[str] = (),
    tags: Mapping[str, str] = OURS,
    kind: str = STANDARD,
    arn: str = ARN,
) -> ObservedEntry:
    return ObservedEntry(arn, kind, tags, policies or {}, frozenset(groups))


def foreign(policies: Scopes | None = None, **more: object) -> ObservedEntry:
    return entry(policies, tags={"owner": "terraform"}, **more)  # type: ignore[arg-type] # as above


def record(
    associations: Mapping[str, AssociationRecord | AccessScope] | None = None,
    *,
    created: bool = True,
    arn: str | None = ARN,
    **more: object,
) -> EntryRecord:
    """What was read back; a bare scope stands for a confirmed association."""
    rows = {
        policy: AssociationRecord(row, confirmed=True) if isinstance(row, AccessScope) else row
        for policy, row in (associations or {}).items()
    }
    return EntryRecord(created=created, arn=arn, associations=rows, **more)  # type: ignore[arg-type] # as there


def planned(
    wanted: DesiredEntry,
    observed: ObservedEntry | None,
    known: EntryRecord,
    standing: Standing = Standing.REFUSE,
) -> Plan:
    return plan(wanted, observed, known, owner=OWNER, standing=standing)


def groups(*names: str) -> frozenset[str]:
    return frozenset(names)


# The union of live grants


@pytest.mark.parametrize(
    ("grants", "whole"),
    [
        ([], NOTHING),
        ([Access(VIEW, A)], desired({VIEW: A})),
        ([Access(VIEW, A), Access(VIEW, A)], desired({VIEW: A})),
        ([Access(VIEW, A), Access(VIEW, B)], desired({VIEW: AB})),
        ([Access(VIEW, A), Access(EDIT, B)], desired({VIEW: A, EDIT: B})),
        ([Access(VIEW, A), Access(VIEW, CLUSTER)], desired({VIEW: CLUSTER})),
        ([Access(VIEW, CLUSTER), Access(VIEW, A)], desired({VIEW: CLUSTER})),
        ([Access(VIEW, CLUSTER), Access(EDIT, A)], desired({VIEW: CLUSTER, EDIT: A})),
        ([Access(None, CLUSTER, groups("g"))], desired(groups="g")),
        (
            [Access(None, CLUSTER, groups("g")), Access(VIEW, A, groups("h"))],
            desired({VIEW: A}, "gh"),
        ),
        ([Access(VIEW, ns("dev-*")), Access(VIEW, A)], desired({VIEW: ns("dev-*", "a")})),
    ],
)
def test_the_desired_state_is_the_union_of_grants(
    grants: list[Access], whole: DesiredEntry
) -> None:
    assert union(grants) == whole
    assert union(reversed(grants)) == whole
    assert whole.empty is (not grants)


# An entry of our own


def test_where_nothing_is_and_nothing_is_wanted_nothing_is_done() -> None:
    assert planned(NOTHING, None, EntryRecord()) == Plan(reset_record=True)


def test_the_first_grant_creates_the_entry_and_associates() -> None:
    first = planned(desired({VIEW: A, EDIT: B}, "g"), None, EntryRecord())
    assert first.actions == (CreateEntry(groups("g")), Associate(EDIT, B), Associate(VIEW, A))
    assert first.removals == ()


OWN_CASES = {
    "what is as it should be is left alone": (desired({VIEW: A}), {VIEW: A}, (), ()),
    "a second policy is added": (desired({VIEW: A, EDIT: B}), {VIEW: A}, (), (Associate(EDIT, B),)),
    "a second namespace is added": (desired({VIEW: AB}), {VIEW: A}, (), (Associate(VIEW, AB),)),
    "the whole cluster is added": (
        desired({VIEW: CLUSTER}),
        {VIEW: A},
        (),
        (Associate(VIEW, CLUSTER),),
    ),
    "a namespace that no grant gives any more goes": (
        desired({VIEW: A}),
        {VIEW: AB},
        (Associate(VIEW, A),),
        (),
    ),
    "the cluster scope goes and leaves a namespace": (
        desired({VIEW: A}),
        {VIEW: CLUSTER},
        (Associate(VIEW, A),),
        (),
    ),
    "a scope that loses and gains is a removal": (
        desired({VIEW: B}),
        {VIEW: A},
        (Associate(VIEW, B),),
        (),
    ),
    "a policy that no grant gives any more goes before another comes": (
        desired({EDIT: A}),
        {VIEW: A},
        (Disassociate(VIEW),),
        (Associate(EDIT, A),),
    ),
    "what is narrowed goes before what is widened": (
        desired({EDIT: AB, VIEW: A}),
        {EDIT: A, VIEW: AB},
        (Associate(VIEW, A),),
        (Associate(EDIT, AB),),
    ),
    "an association somebody took away comes back": (
        desired({VIEW: A}),
        {},
        (),
        (Associate(VIEW, A),),
    ),
    "the last grant takes the entry with it": (NOTHING, {VIEW: A}, (DeleteEntry(),), ()),
}


@pytest.mark.parametrize("case", OWN_CASES)
def test_our_own_entry_follows_the_grants(case: str) -> None:
    wanted, shown, removals, additions = OWN_CASES[case]
    # What is recorded is what was there before, or what should be where somebody removed it.
    done = planned(wanted, entry(shown), record(shown or wanted.policies))
    assert (done.removals, done.additions) == (removals, additions)
    assert (done.blocked, done.forget, done.reset_record) == ((), frozenset(), False)


def test_an_own_association_that_somebody_widened_is_narrowed_again() -> None:
    widened = planned(desired({VIEW: A}), entry({VIEW: CLUSTER}), record({VIEW: A}))
    assert widened.removals == (Associate(VIEW, A),)


def test_a_recorded_association_that_is_gone_and_unwanted_is_forgotten() -> None:
    gone = planned(desired({EDIT: A}), entry({EDIT: A}), record({VIEW: A, EDIT: A}))
    assert (gone.actions, gone.forget) == ((), {VIEW})


@pytest.mark.parametrize(
    ("wanted", "shown", "own", "removals", "additions"),
    [
        ("g", "", "", (), (SetGroups(groups("g"), groups("g")),)),
        ("gh", "g", "g", (), (SetGroups(groups("g", "h"), groups("g", "h")),)),
        ("g", "gh", "gh", (SetGroups(groups("g"), groups("g")),), ()),
        ("h", "g", "g", (SetGroups(groups("h"), groups("h")),), ()),
        ("g", "g", "g", (), ()),
        ("g", "gx", "g", (), ()),
        ("gh", "gx", "g", (), (SetGroups(groups("g", "h", "x"), groups("g", "h")),)),
        ("", "gx", "g", (SetGroups(groups("x"), groups()),), ()),
        ("x", "x", "", (), ()),
    ],
)
def test_groups_follow_the_grants_and_those_of_others_stay(
    wanted: str, shown: str, own: str, removals: object, additions: object
) -> None:
    done = planned(
        desired({VIEW: A}, wanted),
        entry({VIEW: A}, groups=shown),
        record({VIEW: A}, kubernetes_groups=frozenset(own)),
    )
    assert (done.removals, done.additions) == (removals, additions)


def test_an_entry_of_ours_to_which_others_added_stays_without_our_part() -> None:
    shown = entry({VIEW: A, EDIT: B}, groups="gx")
    known = record({VIEW: A}, kubernetes_groups=groups("g"))
    left = planned(NOTHING, shown, known)
    assert left.removals == (Disassociate(VIEW), SetGroups(groups("x"), groups()))
    assert left.additions == ()


def test_an_association_of_others_on_our_entry_is_an_obstacle_for_that_policy_alone() -> None:
    shown = entry({VIEW: A, EDIT: B})
    mixed = planned(desired({VIEW: AB, EDIT: A}), shown, record({VIEW: A}))
    assert mixed.actions == (Associate(VIEW, AB),)
    assert mixed.blocked == (Blocked(Obstacle.FOREIGN_ASSOCIATION, EDIT, "b"),)
    assert mixed.blocks(Access(EDIT, A)) is not None
    assert mixed.blocks(Access(VIEW, A)) is None
    assert mixed.blocks(Access(None, CLUSTER, groups("g"))) is None


# Entries of others


STANDING_ENTRIES = {
    "made by Terraform": {"owner": "terraform"},
    "of the cluster's creator": {},
    "of another deployment of this bot": {DEPLOYMENT_TAG: "another"},
}


@pytest.mark.parametrize("tags", STANDING_ENTRIES.values(), ids=STANDING_ENTRIES.keys())
@pytest.mark.parametrize("shown", [{}, {EDIT: B}, {VIEW: CLUSTER}])
def test_standing_access_is_refused_whole_and_untouched(
    tags: Mapping[str, str], shown: Scopes
) -> None:
    refused = planned(desired({VIEW: A}), entry(shown, tags=tags, groups="x"), EntryRecord())
    assert refused == Plan(blocked=(Blocked(Obstacle.FOREIGN_ENTRY),))
    assert refused.blocks(Access(VIEW, A)) == Blocked(Obstacle.FOREIGN_ENTRY)
    assert refused.blocks(Access(None, CLUSTER, groups("g"))) is not None


@pytest.mark.parametrize("standing", Standing)
@pytest.mark.parametrize("tags", [OURS | {STORE_TAG: "another"}, without(OURS, STORE_TAG)])
def test_an_entry_of_another_store_is_neither_taken_away_nor_built_upon(
    tags: Mapping[str, str], standing: Standing
) -> None:
    shown = entry({VIEW: B}, tags=tags)
    assert planned(NOTHING, shown, EntryRecord(), standing) == Plan()
    refused = planned(desired({EDIT: A}), shown, EntryRecord(), standing)
    assert refused == Plan(blocked=(Blocked(Obstacle.ANOTHER_STORE),))


def test_an_entry_of_a_store_that_was_adopted_is_our_own() -> None:
    owner = Owner("acme", "0a1b", frozenset({"another", ""}))
    for tags in (OURS | {STORE_TAG: "another"}, without(OURS, STORE_TAG)):
        shown = entry({VIEW: B}, tags=tags)
        found = plan(NOTHING, shown, EntryRecord(), owner=owner, standing=Standing.REFUSE)
        assert found == Plan(removals=(DeleteEntry(),), reset_record=True)


def test_standing_access_without_any_grant_is_nobodys_obstacle() -> None:
    assert planned(NOTHING, foreign({VIEW: A}), EntryRecord()) == Plan()


@pytest.mark.parametrize("standing", Standing)
@pytest.mark.parametrize("kind", ["EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "HYBRID_LINUX"])
def test_an_entry_of_another_type_is_never_touched(standing: Standing, kind: str) -> None:
    shown = foreign(kind=kind, groups=["system:nodes"])
    refused = planned(desired({VIEW: A}, "g"), shown, EntryRecord(), standing)
    assert refused == Plan(blocked=(Blocked(Obstacle.WRONG_TYPE, detail=kind),))


AUGMENT_CASES = {
    "a policy that is not there yet is added": (
        desired({VIEW: A}),
        {EDIT: B},
        {},
        (),
        (Associate(VIEW, A),),
        (),
    ),
    "one that is there is left as it is": (
        desired({VIEW: A}),
        {VIEW: B},
        {},
        (),
        (),
        (Blocked(Obstacle.FOREIGN_ASSOCIATION, VIEW, "b"),),
    ),
    "even where it gives as much already": (
        desired({VIEW: A}),
        {VIEW: CLUSTER},
        {},
        (),
        (),
        (Blocked(Obstacle.FOREIGN_ASSOCIATION, VIEW, "cluster"),),
    ),
    "what we added follows the grants": (
        desired({VIEW: A}),
        {VIEW: AB, EDIT: B},
        {VIEW: AB},
        (Associate(VIEW, A),),
        (),
        (),
    ),
    "only what we added is taken away": (
        NOTHING,
        {VIEW: A, EDIT: B},
        {VIEW: A},
        (Disassociate(VIEW),),
        (),
        (),
    ),
    "groups cannot be shared": (
        desired({VIEW: A}, "g"),
        {},
        {},
        (),
        (Associate(VIEW, A),),
        (Blocked(Obstacle.FOREIGN_GROUPS),),
    ),
}


@pytest.mark.parametrize("case", AUGMENT_CASES)
def test_standing_access_is_augmented_where_the_cluster_allows_it(case: str) -> None:
    wanted, shown, own, removals, additions, blocked = AUGMENT_CASES[case]
    done = planned(wanted, foreign(shown, groups="x"), record(own, created=False), Standing.AUGMENT)
    assert (done.removals, done.additions, done.blocked) == (removals, additions, blocked)


def test_groups_that_cannot_be_shared_keep_only_those_grants_from_being_given() -> None:
    blocked = planned(desired({VIEW: A}, "g"), foreign(), record(created=False), Standing.AUGMENT)
    assert blocked.blocks(Access(VIEW, A, groups("g"))) is not None
    assert blocked.blocks(Access(VIEW, A)) is None


def test_what_was_added_to_standing_access_goes_also_once_that_is_refused() -> None:
    gone = planned(desired({EDIT: A}), foreign({VIEW: A}), record({VIEW: A}, created=False))
    assert gone.removals == (Disassociate(VIEW),)
    assert gone.blocked == (Blocked(Obstacle.FOREIGN_ENTRY),)


def test_an_entry_of_ours_whose_tag_was_removed_is_no_longer_ours_but_our_part_goes() -> None:
    shown = entry({VIEW: A, EDIT: B}, groups="g", tags={})
    known = record({VIEW: A}, kubernetes_groups=groups("g"))
    gone = planned(NOTHING, shown, known)
    assert gone.removals == (Disassociate(VIEW), SetGroups(groups(), groups()))
    assert DeleteEntry() not in gone.actions


def test_an_entry_that_is_no_longer_tagged_as_ours_is_never_deleted() -> None:
    gone = planned(NOTHING, entry({VIEW: A}, tags={}), record({VIEW: A}, deleting=True))
    assert gone.actions == (Disassociate(VIEW),)


def test_an_unconfirmed_association_with_another_scope_is_somebody_elses() -> None:
    known = record({VIEW: AssociationRecord(A)}, created=False)
    faster = planned(desired({VIEW: A}), foreign({VIEW: B}), known, Standing.AUGMENT)
    assert faster.actions == ()
    assert faster.blocked == (Blocked(Obstacle.FOREIGN_ASSOCIATION, VIEW, "b"),)
    assert faster.forget == {VIEW}


def test_an_unconfirmed_association_with_the_intended_scope_is_ours() -> None:
    known = record({VIEW: AssociationRecord(A)}, created=False)
    made = planned(NOTHING, foreign({VIEW: A}), known, Standing.AUGMENT)
    assert made.removals == (Disassociate(VIEW),)


def test_a_scope_of_ours_that_shows_late_is_still_ours() -> None:
    row = AssociationRecord(AB, in_flight=True, earlier={A: True})
    late = planned(desired({VIEW: AB}), entry({VIEW: A}), record({VIEW: row}))
    assert late.actions == (Associate(VIEW, AB),)
    assert late.blocked == ()


# Entries that are not the one we knew


def test_an_entry_tagged_as_ours_that_the_store_does_not_know_goes_whole() -> None:
    orphan = planned(NOTHING, entry({VIEW: CLUSTER}, groups="g"), EntryRecord())
    assert orphan == Plan(removals=(DeleteEntry(),), reset_record=True)


def test_nothing_is_built_upon_an_entry_that_the_store_does_not_know() -> None:
    orphan = planned(desired({VIEW: A}), entry({VIEW: A}), EntryRecord())
    assert orphan == Plan(removals=(DeleteEntry(),), reset_record=True)
    assert orphan.changes(Access(VIEW, A)), "what it shows is not relied upon"


@pytest.mark.parametrize(
    "shown",
    [
        entry({VIEW: CLUSTER}, tags={DEPLOYMENT_TAG: "acme"}),
        entry({VIEW: CLUSTER}, kind="EC2_LINUX"),
    ],
)
def test_our_deployments_tag_alone_put_on_somebody_elses_entry_does_not_delete_it(
    shown: ObservedEntry,
) -> None:
    assert planned(NOTHING, shown, EntryRecord()).actions == ()
    assert planned(desired({VIEW: A}), shown, EntryRecord()).actions == ()


@pytest.mark.parametrize("shown", [{}, {EDIT: B}])
def test_an_entry_with_our_tag_that_the_bot_did_not_make_is_somebody_elses(shown: Scopes) -> None:
    """Others copy the deployment's tag; what the store knows nothing of is not ours by it alone."""
    theirs = entry(shown, tags={DEPLOYMENT_TAG: "acme"})
    refused = planned(desired({VIEW: A}), theirs, EntryRecord())
    assert refused == Plan(blocked=(Blocked(Obstacle.FOREIGN_ENTRY),))


@pytest.mark.parametrize(
    "known",
    [
        record({VIEW: A}, kubernetes_groups=groups("g")),
        record({VIEW: A}, created=False),
        record({VIEW: A}, in_flight=True, deleting=True),
    ],
)
def test_an_entry_that_took_the_place_of_the_one_we_knew_is_not_ours(known: EntryRecord) -> None:
    shown = foreign({VIEW: A}, groups="g", arn=OTHER_ARN)
    refused = planned(desired({VIEW: A}), shown, known)
    assert refused == Plan(blocked=(Blocked(Obstacle.FOREIGN_ENTRY),), reset_record=True)
    assert planned(NOTHING, shown, known) == Plan(reset_record=True)


def test_somebody_elses_entry_where_ours_was_about_to_be_made_is_not_ours() -> None:
    known = record(arn=None, in_flight=True, kubernetes_groups=groups("g"))
    shown = foreign(groups="g")
    assert planned(NOTHING, shown, known) == Plan(reset_record=True)
    refused = planned(desired({VIEW: A}), shown, known)
    assert refused == Plan(blocked=(Blocked(Obstacle.FOREIGN_ENTRY),), reset_record=True)


def test_the_record_of_an_entry_that_is_gone_is_void_and_the_entry_is_made_anew() -> None:
    again = planned(desired({VIEW: A}), None, record({VIEW: A, EDIT: A}))
    assert again.reset_record
    assert again.actions == (CreateEntry(groups()), Associate(VIEW, A))


# Writes that are not to be seen yet


def test_a_creation_in_flight_is_waited_for_and_never_deleted_blindly() -> None:
    known = record(arn=None, in_flight=True)
    assert planned(NOTHING, None, known) == Plan(unsettled=True)
    assert planned(NOTHING, None, record(arn=None)) == Plan(reset_record=True)


def test_a_creation_in_flight_keeps_its_record_while_it_is_tried_again() -> None:
    known = record(arn=None, in_flight=True)
    again = planned(desired({VIEW: A}), None, known)
    assert again == Plan(additions=(CreateEntry(groups()), Associate(VIEW, A)))


def test_what_no_grant_gives_may_still_come_with_an_entry_that_is_not_to_be_seen_yet() -> None:
    known = record(
        {
            VIEW: AssociationRecord(AB, in_flight=True),
            EDIT: AssociationRecord(A, in_flight=True),
        },
        arn=None,
        in_flight=True,
        kubernetes_groups=groups("g", "h"),
    )
    less = planned(desired({VIEW: A}, "g"), None, known)
    assert less.removals == ()
    assert less.unsettled
    assert not less.reset_record


@pytest.mark.parametrize(
    "known",
    [
        record({VIEW: AssociationRecord(AB, in_flight=True)}, arn=None, in_flight=True),
        record({EDIT: AssociationRecord(A, in_flight=True)}, arn=None, in_flight=True),
        record(arn=None, in_flight=True, kubernetes_groups=groups("g", "h")),
    ],
)
def test_each_of_them_alone_keeps_it_unsettled(known: EntryRecord) -> None:
    assert planned(desired({VIEW: A}, "g"), None, known).unsettled
    assert not planned(desired({VIEW: AB, EDIT: A}, "gh"), None, known).unsettled


def test_an_association_in_flight_is_waited_for_and_never_taken_blindly() -> None:
    row = AssociationRecord(A, in_flight=True)
    back = planned(desired({EDIT: A}), entry({EDIT: A}), record({VIEW: row, EDIT: A}))
    assert back == Plan(unsettled=True)


def test_a_scope_in_flight_is_narrowed_though_the_old_one_still_shows() -> None:
    row = AssociationRecord(AB, confirmed=True, in_flight=True, earlier={A: False})
    back = planned(desired({VIEW: A}), entry({VIEW: A}), record({VIEW: row}))
    assert back.removals == (Associate(VIEW, A),)


def test_a_narrowing_is_not_believed_while_the_wider_scope_may_still_come() -> None:
    row = AssociationRecord(A, confirmed=True, in_flight=True, earlier={A: False, AB: True})
    again = planned(desired({VIEW: A}), entry({VIEW: A}), record({VIEW: row}))
    assert again.removals == (Associate(VIEW, A),)
    row = AssociationRecord(A, confirmed=True, in_flight=True, earlier={A: False, AB: False})
    assert planned(desired({VIEW: A}), entry({VIEW: A}), record({VIEW: row})).actions == ()


def test_a_scope_that_was_not_there_before_shows_that_the_last_write_took_effect() -> None:
    row = AssociationRecord(A, in_flight=True, earlier={AB: True})
    assert planned(desired({VIEW: A}), entry({VIEW: A}), record({VIEW: row})).actions == ()


def test_a_removal_that_may_still_come_is_written_over() -> None:
    row = AssociationRecord(A, confirmed=True, removing=True)
    again = planned(desired({VIEW: A}), entry({VIEW: A}), record({VIEW: row}))
    assert again.additions == (Associate(VIEW, A),)
    assert again.changes(Access(VIEW, A)), "nothing is called active upon it"


def test_groups_in_flight_are_taken_back_though_they_are_not_to_be_seen() -> None:
    known = record({VIEW: A}, kubernetes_groups=groups("g"), in_flight=True)
    back = planned(desired({VIEW: A}), entry({VIEW: A}), known)
    assert back.removals == (SetGroups(groups(), groups()),)


def test_groups_that_were_about_to_be_taken_away_are_still_ours() -> None:
    known = record({VIEW: A}, earlier_groups={"g": False})
    again = planned(desired({VIEW: A}), entry({VIEW: A}, groups="gx"), known)
    assert again.removals == (SetGroups(groups("x"), groups()),)
    assert planned(NOTHING, entry(groups="g"), known).removals == (DeleteEntry(),)


def test_nothing_is_built_upon_an_entry_that_is_about_to_go() -> None:
    going = planned(desired({VIEW: A}), entry({VIEW: A}), record({VIEW: A}, deleting=True))
    assert going == Plan(removals=(DeleteEntry(),))


@pytest.mark.parametrize("shown", [entry({VIEW: A, EDIT: B}), entry({VIEW: A}, groups="x")])
def test_a_deletion_is_not_tried_again_once_others_added_to_the_entry(
    shown: ObservedEntry,
) -> None:
    left = planned(NOTHING, shown, record({VIEW: A}, deleting=True))
    assert left.actions == (Disassociate(VIEW),)


# What is relied upon


@pytest.mark.parametrize(
    ("access", "shown", "given"),
    [
        (Access(VIEW, A), None, False),
        (Access(VIEW, A), entry(), False),
        (Access(VIEW, A), entry({EDIT: A}), False),
        (Access(VIEW, A), entry({VIEW: B}), False),
        (Access(VIEW, A), entry({VIEW: AB}), True),
        (Access(VIEW, A), entry({VIEW: CLUSTER}), True),
        (Access(VIEW, CLUSTER), entry({VIEW: AB}), False),
        (Access(None, CLUSTER, groups("g")), entry(), False),
        (Access(None, CLUSTER, groups("g")), entry(groups="gh"), True),
        (Access(VIEW, A, groups("g", "h")), entry({VIEW: A}, groups="g"), False),
        (Access(VIEW, A, groups("g")), entry({VIEW: A}, groups="g"), True),
    ],
)
def test_access_is_there_once_eks_shows_all_of_it(
    access: Access, shown: ObservedEntry | None, given: bool
) -> None:
    assert satisfied(access, shown) is given


@pytest.mark.parametrize(
    ("done", "view", "grouped"),
    [
        (Plan(), False, False),
        (Plan(additions=(CreateEntry(groups()),)), True, True),
        (Plan(removals=(DeleteEntry(),)), True, True),
        (Plan(additions=(Associate(VIEW, A),)), True, False),
        (Plan(removals=(Associate(VIEW, A),)), True, False),
        (Plan(additions=(Associate(EDIT, A),)), False, False),
        (Plan(removals=(Disassociate(EDIT),)), False, False),
        (Plan(additions=(SetGroups(groups("g"), groups("g")),)), False, True),
    ],
)
def test_access_is_relied_upon_once_no_action_is_left_for_it(
    done: Plan, view: bool, grouped: bool
) -> None:
    assert done.changes(Access(VIEW, A)) is view
    assert done.changes(Access(None, CLUSTER, groups("g"))) is grouped
