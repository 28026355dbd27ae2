"""Stories of one access entry: what the bot, AWS, chance and other people do to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from entry_model import LONGEST_CALL, PROPAGATION, Association, Entry, Fault, World, foreign_parts
from hypothesis import strategies as st

from bot.core.model import Access, AccessScope
from bot.core.planner import STANDARD

_ENOUGH_ROUNDS = 6
VIEW, EDIT = "policy/View", "policy/Edit"
THEIRS = [AccessScope.of(["theirs"]), AccessScope.of(["theirs", "a"])]

scopes = st.sampled_from(
    [AccessScope.cluster(), *map(AccessScope.of, (["a"], ["b"], ["a", "b"], ["b", "c"]))]
)
accesses = st.one_of(
    st.builds(Access, st.sampled_from([VIEW, EDIT]), scopes),
    st.builds(
        Access,
        st.sampled_from([VIEW, None]),
        st.just(AccessScope.cluster()),
        st.sampled_from([frozenset({"g"}), frozenset({"g", "h"})]),
    ),
)
Step = tuple[Any, ...]
"""A function of the world and its further arguments."""


def round_with(world: World, faults: list[Fault]) -> None:
    before = list(foreign_parts(world.eks.truth))
    world.round(faults)
    assert list(foreign_parts(world.eks.truth)) == before


def wait(world: World, seconds: int) -> None:
    world.wait(timedelta(seconds=seconds))


def their_entry(world: World, kind: str, policies: set[str], group: str) -> None:
    if world.eks.truth is None:
        takes = kind == STANDARD
        world.eks.by_hand(
            Entry(
                world.eks.new_arn(),
                foreign=True,
                type=kind,
                groups=frozenset({group} if takes else ()),
                policies={arn: Association(THEIRS[0], True) for arn in policies if takes},
            )
        )
    elif world.eks.truth.foreign:
        world.eks.by_hand(None)


def their_association(world: World, policy_arn: str, scope: AccessScope) -> None:
    entry = world.eks.truth
    if entry is None or entry.type != STANDARD or is_orphan(world):
        return
    present = entry.policies.get(policy_arn)
    if present is None and confirmed(world, policy_arn):
        return  # taken for the bot's own, changed by hand: nothing tells the two apart
    if present is None or (present.foreign and present.scope != scope):
        world.eks.by_hand(associated(entry, policy_arn, Association(scope, foreign=True)))
    elif present.foreign:
        world.eks.by_hand(associated(entry, policy_arn, None))


def their_group(world: World, group: str) -> None:
    entry = world.eks.truth
    if entry is not None and entry.type == STANDARD and not is_orphan(world):
        world.eks.by_hand(replace(entry, groups=entry.groups ^ {group}))


def ours_removed_by_hand(world: World, policy_arn: str) -> None:
    if ours(world, policy_arn) is not None:
        world.eks.by_hand(associated(world.eks.truth, policy_arn, None))


def ours_widened_by_hand(world: World, policy_arn: str) -> None:
    if ours(world, policy_arn) is not None and confirmed(world, policy_arn):
        wide = Association(AccessScope.cluster(), foreign=False)
        world.eks.by_hand(associated(world.eks.truth, policy_arn, wide))


def our_entry_deleted_by_hand(world: World) -> None:
    if world.eks.truth is not None and not world.eks.truth.foreign:
        world.eks.by_hand(None)


def lose_the_record(world: World) -> None:
    entry = world.eks.truth
    if not list(foreign_parts(entry)):
        world.eks.by_hand(entry)
        world.lose_the_record()


def is_orphan(world: World) -> bool:
    """Whether the entry is tagged and the store knows nothing of it: then it goes whole."""
    entry = world.eks.truth
    return entry is not None and not entry.foreign and not world.keeper.record(world.now).created


def ours(world: World, policy_arn: str) -> Association | None:
    present = world.eks.truth.policies.get(policy_arn) if world.eks.truth else None
    return present if present is not None and not present.foreign else None


def confirmed(world: World, policy_arn: str) -> bool:
    known = world.keeper.record(world.now).associations.get(policy_arn)
    return known is not None and known.confirmed


def associated(entry: Entry | None, policy_arn: str, one: Association | None) -> Entry:
    assert entry is not None
    rest = {arn: other for arn, other in entry.policies.items() if arn != policy_arn}
    return replace(entry, policies=rest | ({policy_arn: one} if one else {}))


def step(function: Callable[..., None], *arguments: st.SearchStrategy[Any]) -> Any:
    return st.tuples(st.just(function), *arguments)


policies = st.sampled_from([VIEW, EDIT])
rounds = step(round_with, st.lists(st.sampled_from(Fault), max_size=3))
# What the bot itself does is drawn more often than what others do to it.
steps = st.one_of(
    step(World.grant, accesses),
    step(World.grant, accesses),
    step(World.end, st.integers(0, 3)),
    step(World.end, st.integers(0, 3)),
    rounds,
    rounds,
    rounds,
    step(wait, st.sampled_from([1, 2, 10, 31])),
    st.one_of(
        step(
            their_entry,
            st.sampled_from([STANDARD, STANDARD, "EC2_LINUX"]),
            st.sets(policies),
            st.sampled_from(["theirs-x", "theirs-y"]),
        ),
        step(their_association, policies, st.sampled_from(THEIRS)),
        step(their_group, st.sampled_from(["theirs-x", "theirs-y"])),
        step(ours_removed_by_hand, policies),
        step(ours_widened_by_hand, policies),
        step(our_entry_deleted_by_hand),
        step(lose_the_record),
    ),
)


stories = st.lists(steps, max_size=14)
lags = st.sampled_from([0, 3, 20]).map(lambda seconds: timedelta(seconds=seconds))


A, AB = Access(VIEW, AccessScope.of(["a"])), Access(VIEW, AccessScope.of(["a", "b"]))
WITH_GROUP = Access(None, AccessScope.cluster(), frozenset({"g"}))

# Stories that take chance too long to find.
TOLD: dict[str, list[Step]] = {
    "a grant ends while the entry it made is not to be seen": [
        (World.grant, A),
        (World.grant, WITH_GROUP),
        (round_with, []),
        (World.end, 1),
    ],
    "a policy is given up while its association is not to be seen": [
        (World.grant, A),
        (World.grant, Access(EDIT, AccessScope.cluster())),
        (round_with, []),
        (World.end, 1),
    ],
    "a scope is narrowed while the wider one is not to be seen": [
        (World.grant, A),
        (World.grant, AB),
        (round_with, []),
        (World.end, 1),
    ],
    "taking a group away fails": [
        (World.grant, A),
        (World.grant, WITH_GROUP),
        (round_with, []),
        (wait, 31),
        (round_with, []),
        (World.end, 1),
        (round_with, [Fault.CRASH_BEFORE]),
    ],
    "a group is given again while taking it away is not to be seen": [
        (World.grant, A),
        (World.grant, WITH_GROUP),
        (round_with, []),
        (wait, 31),
        (round_with, []),
        (World.end, 1),
        (round_with, []),
        (World.grant, WITH_GROUP),
        (round_with, []),
    ],
    "narrowing fails while the wider scope is not to be seen": [
        (World.grant, A),
        (round_with, []),
        (wait, 31),
        (round_with, []),
        (World.grant, AB),
        (round_with, []),
        (World.end, 1),
        (round_with, [Fault.REFUSED]),
    ],
    "the database is restored to before the grant": [
        (World.grant, A),
        (round_with, []),
        (lose_the_record,),
        (round_with, []),
        (wait, 2),
        (round_with, []),
    ],
    "the database is restored and the grant has ended": [
        (World.grant, A),
        (round_with, []),
        (World.end, 0),
        (lose_the_record,),
    ],
}


def tell(world: World, story: list[Step]) -> None:
    """Play the story, then let the loop run undisturbed, and check what comes of it."""
    for function, *arguments in story:
        function(world, *arguments)
    theirs = list(foreign_parts(world.eks.truth))
    for _ in range(_ENOUGH_ROUNDS):
        world.round()
        world.wait(LONGEST_CALL + PROPAGATION + timedelta(seconds=1))
    last = world.round()
    assert last is not None
    assert not last.actions, "there is still something to do"
    truth, expected = world.eks.truth, world.expected()
    assert (truth is None) == (expected is None)
    if truth is not None and expected is not None:
        assert replace(truth, arn=expected.arn) == expected
    assert list(foreign_parts(truth)) == theirs
