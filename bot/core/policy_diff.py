"""Who gains or loses what by a change of the policy: by person, cluster, level, namespace.

Compared is what a person can have at one place and moment, not the text of the rules. Places are
finite in number: clusters that the same rules cover are one, and so are namespaces that the same
patterns cover. Of people it matters who is named and which groups they are in, and never more than
two groups: one that lets them ask under the old rule, and one under the new. Where it cannot be
shown that nobody gains, it is told as a gain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from bot.core.cluster_classes import Covering, rules_by_class
from bot.core.durations import format_duration
from bot.core.model import Owners
from bot.core.names import listed
from bot.core.namespace_classes import kinds_of
from bot.core.people import Membership
from bot.core.policy import Level, Policy, Rule
from bot.core.policy_approval import Approval, Automatic
from bot.core.policy_compare import expanded, rule_gains
from bot.core.policy_diff_break_glass import break_glass_changes
from bot.core.policy_diff_kinds import Kind, Told, compared, kinds_to_try
from bot.core.policy_diff_people import changes_of_people
from bot.core.policy_diff_words import Change, merged
from bot.core.window_states import states_of
from bot.core.windows import Window

_WHOLE = "the whole cluster"


@dataclass(frozen=True, slots=True)
class _Way:
    """How one comes to access: a rule, those before it whose limits have to be used up."""

    rule: Rule | None
    used_up: tuple[Rule, ...] = ()


@dataclass
class _Diff:
    """One comparison. `known` are the members of groups, as far as they are told."""

    old: Policy
    new: Policy
    known: Membership
    states: dict[frozenset[Window], tuple[frozenset[Window], ...]] = field(default_factory=dict)
    done: dict[tuple[object, ...], list[Change]] = field(default_factory=dict)

    def states_of(self, windows: Iterable[Window]) -> tuple[frozenset[Window], ...]:
        key = frozenset(windows)
        if key not in self.states:
            self.states[key] = states_of(key)
        return self.states[key]

    def requesters(self, rule: Rule) -> Owners | None:
        return None if rule.requesters is None else expanded(rule.requesters.owners, self.known)


def policy_diff(old: Policy, new: Policy, known: Membership | None = None) -> tuple[Change, ...]:
    """Every gain and loss, equal ones of several clusters and namespaces put together.

    `known` are the members of user groups and channels where they are told: then people are named
    in place of those groups.
    """
    diff = _Diff(old, new, known or {})
    found: list[Change] = []
    for clusters in rules_by_class(old, new):
        found += _on_clusters(diff, clusters)
    found += break_glass_changes(old, new, diff.known)
    found += changes_of_people(old, new, diff.known)
    return merged(found)


def _on_clusters(diff: _Diff, clusters: Covering[Rule]) -> Iterator[Change]:
    for name in dict.fromkeys((*diff.new.levels, *diff.old.levels)):
        old_level, new_level = diff.old.levels.get(name), diff.new.levels.get(name)
        before = [rule for rule in clusters.old if old_level and name in rule.levels]
        after = [rule for rule in clusters.new if new_level and name in rule.levels]
        if old_level == new_level and _alike(before, after):
            continue
        patterns = {one for rule in (*before, *after) if rule.namespaces for one in rule.namespaces}
        kinds = kinds_of(patterns)
        if not kinds.complete:
            yield _not_compared(clusters.clusters, name)
        for place in (None, *kinds.examples):
            mine = _covering(before, old_level, place)
            theirs = _covering(after, new_level, place)
            if old_level == new_level and _alike(mine, theirs):
                continue
            # The same rules meet on many clusters and in many namespaces.
            key = (name, *map(id, mine), None, *map(id, theirs))
            if key not in diff.done:
                diff.done[key] = list(_changes(diff, mine, theirs, (old_level, new_level)))
            for change in diff.done[key]:
                where = _called(place, mine, theirs)
                yield replace(change, clusters=clusters.clusters, level=name, namespaces=where)


def _not_compared(clusters: tuple[str, ...], level: str) -> Change:
    words = "the namespace patterns overlap in too many ways to compare them all"
    return Change(("perhaps more",), (), "anybody", clusters, level, ("*",), "", words)


def _covering(rules: Iterable[Rule], level: Level | None, place: str | None) -> list[Rule]:
    if level is not None and level.only_cluster and place is not None:
        return []
    return [rule for rule in rules if rule.covers_namespace(place)]


def _alike(old: Sequence[Rule], new: Sequence[Rule]) -> bool:
    return [_key(rule) for rule in old] == [_key(rule) for rule in new]


def _key(rule: Rule) -> tuple[object, ...]:
    """All that counts of a rule where it covers; its name counts where limits are kept by it."""
    return (
        rule.namespaces,
        rule.scope,
        rule.requesters,
        rule.approval,
        rule.max_duration,
        rule.ticket,
        rule.ends_with_ticket,
        rule.when,
        rule.name if _limited(rule) else None,
    )


def _limited(rule: Rule) -> bool:
    return isinstance(rule.approval, Automatic) and rule.approval.automatic.limited


def _changes(
    diff: _Diff,
    old: Sequence[Rule],
    new: Sequence[Rule],
    levels: tuple[Level | None, Level | None],
) -> Iterator[Change]:
    """The changes at one place by kind of people, without those that a wider kind has too."""

    def more(this: Rule, that: Rule) -> list[str]:
        return rule_gains(this, that, diff.known)

    states = diff.states_of(rule.when for rule in (*old, *new) if rule.when is not None)
    told = Told[str]()
    mine = [people for rule in old if (people := diff.requesters(rule)) is not None]
    theirs = [people for rule in new if (people := diff.requesters(rule)) is not None]
    users = frozenset[str]().union(*(people.users for people in (*mine, *theirs)))
    groups_old = frozenset[str]().union(*(people.groups for people in mine))
    groups_new = frozenset[str]().union(*(people.groups for people in theirs))
    for kind in kinds_to_try(users, groups_old, groups_new):
        admitted_old = [rule for rule in old if _admits(kind, diff.requesters(rule))]
        admitted_new = [rule for rule in new if _admits(kind, diff.requesters(rule))]
        for state in states:
            for before in _ways(admitted_old, state):
                for after in _ways(admitted_new, state):
                    change = None
                    if _together(before, after):
                        change = compared(before.rule, after.rule, levels, more, _said)
                    if change is not None:
                        when = _moment(states, state, before, after)
                        told.add(kind, change, who=_named(kind), when=when)
    yield from told


def _admits(kind: Kind[str], owners: Owners | None) -> bool:
    if owners is None:
        return True
    return kind.user in owners.users or not kind.facts.isdisjoint(owners.groups)


def _named(kind: Kind[str]) -> str:
    groups = listed(sorted(kind.facts), "and")
    if kind.user is None:
        return groups or "anybody"
    return f"{kind.user} in {groups}" if groups else kind.user


def _ways(rules: Sequence[Rule], open_now: frozenset[Window]) -> Iterator[_Way]:
    """What may decide for somebody whom all the rules admit, by how their limits are used up."""
    used_up: tuple[Rule, ...] = ()
    for rule in rules:
        if rule.when is not None and rule.when not in open_now:
            continue
        yield _Way(rule, used_up)
        if not _limited(rule):
            return
        used_up = (*used_up, rule)
    yield _Way(None, used_up)


def _together(old: _Way, new: _Way) -> bool:
    """Whether limits can be used up as both ways need it. They are kept by the rule's name."""
    spent_old = {rule.name: rule for rule in old.used_up}
    spent_new = {rule.name: rule for rule in new.used_up}
    pairs = [
        (spent[rule.name], rule)
        for rule, spent in ((old.rule, spent_new), (new.rule, spent_old))
        if rule is not None and rule.name in spent
    ]
    return all(_used_up_sooner(this, that) for this, that in pairs)


def _used_up_sooner(this: Rule, that: Rule) -> bool:
    """Whether the limits of this rule can be used up while those of that one are not."""
    if not isinstance(this.approval, Automatic):
        return False
    if not isinstance(that.approval, Automatic):
        return True
    mine, theirs = this.approval.automatic, that.approval.automatic
    fewer = mine.per_day is not None and (theirs.per_day is None or mine.per_day < theirs.per_day)
    shorter = mine.time_per_day is not None and (
        theirs.time_per_day is None or mine.time_per_day < theirs.time_per_day
    )
    return fewer or shorter


def _said(rule: Rule | None) -> str:
    """How one has access under the rule."""
    if rule is None:
        return "nothing"
    length = f"up to {format_duration(rule.max_duration)}"
    ticket = ", with a ticket" if rule.ticket else ""
    approval = rule.approval
    if not isinstance(approval, Approval):
        return f"without approval, {length}{ticket} (rule {rule.name})"
    needed = approval.required + sum(part.required for part in approval.also)
    by = "one approval" if needed == 1 else f"{needed} approvals"
    return f"with {by}, {length}{ticket} (rule {rule.name})"


def _moment(
    states: Sequence[frozenset[Window]], state: frozenset[Window], old: _Way, new: _Way
) -> str:
    words = []
    if len(states) > 1:
        shown = listed(sorted(str(window) for window in state), "and")
        words.append(f"at {shown}" if shown else "outside all windows")
    used = dict.fromkeys(rule.name for rule in (*old.used_up, *new.used_up))
    if used:
        words.append(f"with the limits of {listed(used, 'and')} used up")
    return " ".join(words)


def _called(place: str | None, old: Sequence[Rule], new: Sequence[Rule]) -> tuple[str, ...]:
    """What a kind of namespaces is called: its name, or the patterns that cover it."""
    if place is None:
        return (_WHOLE,)
    named: dict[str, None] = {}
    for rule in (*new, *old):
        if place in rule.namespace_patterns.literals:
            return (place,)
        named |= dict.fromkeys(rule.namespaces or ())
    if place.startswith("kube-"):
        return (place,)
    return tuple(glob for glob in named if "*" in glob or "?" in glob) or ("other namespaces",)
