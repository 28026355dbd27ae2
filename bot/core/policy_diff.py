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
from bot.core.policy_compare import expanded, level_gains, rule_gains
from bot.core.policy_diff_break_glass import break_glass_changes
from bot.core.policy_diff_people import changes_of_people
from bot.core.policy_diff_words import NEW, Change, merged
from bot.core.window_states import states_of
from bot.core.windows import Window

_WHOLE = "the whole cluster"


@dataclass(frozen=True, slots=True)
class Kind:
    """People who are all treated alike: a named user or anybody, in these groups."""

    user: str | None
    groups: frozenset[str]

    def admitted(self, owners: Owners | None) -> bool:
        if owners is None:
            return True
        return self.user in owners.users or not self.groups.isdisjoint(owners.groups)

    def within(self, other: Kind) -> bool:
        """Whether whoever is of the other kind is of this one too."""
        return self.user in (None, other.user) and self.groups <= other.groups

    def __str__(self) -> str:
        groups = listed(sorted(self.groups), "and")
        if self.user is None:
            return groups or "anybody"
        return f"{self.user} in {groups}" if groups else self.user


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
                diff.done[key] = list(_changes(diff, mine, theirs, old_level, new_level))
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
    old_level: Level | None,
    new_level: Level | None,
) -> Iterator[Change]:
    """The changes at one place by kind of people, without those that a wider kind has too."""
    states = diff.states_of(rule.when for rule in (*old, *new) if rule.when is not None)
    told: list[tuple[Kind, Change]] = []
    for kind in _kinds(diff, old, new):
        mine = [rule for rule in old if kind.admitted(diff.requesters(rule))]
        theirs = [rule for rule in new if kind.admitted(diff.requesters(rule))]
        for state in states:
            for before in _ways(mine, state):
                for after in _ways(theirs, state):
                    if not _together(before, after):
                        continue
                    change = _compared(diff, before, after, old_level, new_level)
                    if change is None or any(
                        wider.within(kind) and replace(known, who="", when="") == change
                        for wider, known in told
                    ):
                        continue
                    when = _moment(states, state, before, after)
                    told.append((kind, replace(change, who=str(kind), when=when)))
    yield from (change for _, change in told)


def _kinds(diff: _Diff, old: Sequence[Rule], new: Sequence[Rule]) -> Iterator[Kind]:
    """The kinds of people to try, the widest first."""
    mine = [people for rule in old if (people := diff.requesters(rule)) is not None]
    theirs = [people for rule in new if (people := diff.requesters(rule)) is not None]
    groups_old = sorted(frozenset().union(*(people.groups for people in mine)))
    groups_new = sorted(frozenset().union(*(people.groups for people in theirs)))
    users = sorted(frozenset().union(*(people.users for people in (*mine, *theirs))))
    groups = {frozenset({one}) for one in (*groups_old, *groups_new)}
    groups |= {frozenset({one, other}) for one in groups_old for other in groups_new}
    ordered = [frozenset[str](), *sorted(groups, key=lambda some: (len(some), sorted(some)))]
    for user in (None, *users):
        for some in ordered:
            yield Kind(user, some)


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


def _compared(
    diff: _Diff, before: _Way, after: _Way, old_level: Level | None, new_level: Level | None
) -> Change | None:
    gained = _gains(before.rule, after.rule, old_level, new_level, diff.known)
    lost = _gains(after.rule, before.rule, new_level, old_level, diff.known)
    if not gained and not lost:
        return None
    return Change(gained, lost, "", (), "", (), _said(before.rule), _said(after.rule))


def _gains(
    old: Rule | None,
    new: Rule | None,
    old_level: Level | None,
    new_level: Level | None,
    known: Membership,
) -> tuple[str, ...]:
    if new is None or new_level is None:
        return ()
    if old is None or old_level is None:
        return (NEW,)
    return (*level_gains(old_level, new_level), *rule_gains(old, new, known))


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
