"""Which clusters each rule reaches, and which rules are never reached because earlier ones match.

A set of clusters is one integer with a bit for each cluster of the file: ten thousand clusters and
a thousand rules must not take minutes to compare.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from functools import reduce
from operator import and_, or_

from bot.core.patterns import Patterns, is_glob
from bot.core.policy import ClusterChoice, LabelSelector, Policy, Rule
from bot.core.policy_approval import Automatic


class Reach:
    """The clusters that selectors and rules of one policy reach."""

    def __init__(self, policy: Policy) -> None:
        self._rules = policy.rules
        self._by_name = {name: 1 << bit for bit, name in enumerate(policy.clusters_by_name)}
        self._sorted = sorted(self._by_name)
        self._by_label: dict[tuple[str, str], int] = {}
        for name, cluster in policy.clusters_by_name.items():
            for label in cluster.labels.items():
                self._by_label[label] = self._by_label.get(label, 0) | self._by_name[name]
        self._by_glob: dict[str, int] = {}
        self._by_rule = [self.reached(rule) for rule in policy.rules]

    def selected(self, selector: str | LabelSelector) -> int:
        """The clusters one selector matches."""
        if isinstance(selector, LabelSelector):
            return reduce(and_, (self._by_label.get(pair, 0) for pair in selector.labels.items()))
        if not is_glob(selector):
            return self._by_name.get(selector, 0)
        if selector not in self._by_glob:
            pattern = Patterns([selector])
            self._by_glob[selector] = reduce(
                or_,
                (self._by_name[name] for name in self._like(selector) if pattern.cover(name)),
                0,
            )
        return self._by_glob[selector]

    def _like(self, glob: str) -> list[str]:
        """The names that begin as the glob does, before its first wildcard."""
        prefix = glob[: min(glob.find(wildcard) % (len(glob) + 1) for wildcard in "*?")]
        begin = bisect_left(self._sorted, prefix)
        end = bisect_right(self._sorted, prefix + chr(sys.maxunicode))
        return self._sorted[begin:end]

    def reached(self, choice: ClusterChoice) -> int:
        """The clusters that any selector of a rule or of break-glass matches."""
        return reduce(or_, map(self.selected, choice.clusters))

    def hidden_by(self, index: int) -> list[int]:
        """The earlier rules that together match first whatever rule `index` covers, or none.

        Sound, not complete: a rule that is not reached may not be found where that hangs on who
        is in a user group, or on globs that only together cover another one.
        """
        rule, clusters = self._rules[index], self._by_rule[index]
        earlier = [
            place
            for place in range(index)
            if self._by_rule[place] & clusters
            and not set(self._rules[place].levels).isdisjoint(rule.levels)
            and any(_covers(self._rules[place], name) for name in rule.namespaces or (None,))
            and _admits_all_of(self._rules[place], rule)
            and _holds_whenever(self._rules[place], rule)
        ]
        hidden = all(
            not clusters & ~self._taken(earlier, level, namespace)
            for level in rule.levels
            for namespace in (rule.namespaces or (None,))
        )
        return earlier if clusters and hidden else []

    def _taken(self, places: list[int], level: str, namespace: str | None) -> int:
        """The clusters where one of these rules covers the level and the namespace pattern."""
        taken = 0
        for place in places:
            rule = self._rules[place]
            if level in rule.levels and _covers(rule, namespace):
                taken |= self._by_rule[place]
        return taken


def _covers(rule: Rule, pattern: str | None) -> bool:
    """Whether the rule surely covers all namespaces of `pattern`; None is the whole cluster."""
    if rule.scope == "cluster":
        return True
    return pattern is not None and rule.namespace_patterns.cover_namespaces_of(pattern)


def _holds_whenever(earlier: Rule, later: Rule) -> bool:
    """Whether the earlier rule is never passed over where the later one holds."""
    if isinstance(earlier.approval, Automatic) and earlier.approval.automatic.limited:
        return False
    return earlier.when is None or earlier.when.covers(later.when)


def _admits_all_of(earlier: Rule, later: Rule) -> bool:
    if earlier.requesters is None:
        return True
    if later.requesters is None:
        return False
    mine, theirs = earlier.requesters.owners, later.requesters.owners
    return theirs.users <= mine.users and theirs.groups <= mine.groups
