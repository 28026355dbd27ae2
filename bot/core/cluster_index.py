"""Which of very many rules are about a cluster, and which cluster a mistyped name means.

A thousand rules and ten thousand clusters are usual for whoever writes a rule for each team. A
decision must not look at each of them; what is found is the same as if it had.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping

from bot.core.model import Cluster
from bot.core.names import nearest
from bot.core.patterns import Patterns, is_glob

Labels = frozenset[tuple[str, str]]

_FEW_NAMES = 50
_MOST_LOOKED_AT = 40
_MOST_VOTES = 20_000


class ClusterIndex:
    """The places of those selectors, in the order they were given, that select a cluster.

    `selectors` are, for each place, names and globs on one hand and sets of labels on the other.
    """

    def __init__(self, selectors: Iterable[tuple[Iterable[str], Iterable[Labels]]]) -> None:
        named: defaultdict[str, list[int]] = defaultdict(list)
        globs: defaultdict[str, list[int]] = defaultdict(list)
        labelled: defaultdict[Labels, list[int]] = defaultdict(list)
        for place, (patterns, labels) in enumerate(selectors):
            for pattern in patterns:
                (globs if is_glob(pattern) else named)[pattern].append(place)
            for wanted in labels:
                labelled[wanted].append(place)
        self._named: Mapping[str, list[int]] = dict(named)
        self._globs = [(_before_wildcards(glob), glob, places) for glob, places in globs.items()]
        self._patterns: dict[str, Patterns] = {}
        self._labelled = _by_rarest(labelled)

    def places(self, cluster: Cluster) -> tuple[int, ...]:
        """Where the selectors stand that select this cluster, each once, in order."""
        found = set(self._named.get(cluster.name, ()))
        for beginning, glob, places in self._globs:
            if cluster.name.startswith(beginning) and self._covers(glob, cluster.name):
                found.update(places)
        held = cluster.labels.items()
        for label in held:
            for wanted, places in self._labelled.get(label, ()):
                if wanted <= held:
                    found.update(places)
        return tuple(sorted(found))

    def _covers(self, glob: str, name: str) -> bool:
        pattern = self._patterns.get(glob)
        if pattern is None:
            pattern = self._patterns[glob] = Patterns([glob])
        return pattern.cover(name)


class NearNames:
    """As `names.nearest` among `names`, also where they are so many that it would take long.

    Names are told apart by their pairs of letters. Of those that share the rarest pairs with what
    was typed, the likeliest few are looked at closely.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._having: defaultdict[str, list[str]] = defaultdict(list)
        if len(names) > _FEW_NAMES:
            for name in names:
                for pair in _pairs(name):
                    self._having[pair].append(name)

    def nearest(self, word: str) -> str | None:
        """The name that `word` most likely means, or None."""
        if len(self._names) <= _FEW_NAMES:
            return nearest(word, self._names)
        votes: Counter[str] = Counter()
        counted = 0
        for having in sorted((self._having.get(pair, []) for pair in _pairs(word)), key=len):
            counted += len(having)
            if votes and counted > _MOST_VOTES:
                break
            votes.update(having)
        return nearest(word, [name for name, _ in votes.most_common(_MOST_LOOKED_AT)])


def _before_wildcards(glob: str) -> str:
    return glob.partition("*")[0].partition("?")[0]


def _by_rarest(
    labelled: Mapping[Labels, list[int]],
) -> dict[tuple[str, str], list[tuple[Labels, list[int]]]]:
    """Each set of labels under that one of them which the fewest sets have."""
    number = Counter(label for labels in labelled for label in labels)
    found: defaultdict[tuple[str, str], list[tuple[Labels, list[int]]]] = defaultdict(list)
    for labels, places in labelled.items():
        found[min(labels, key=lambda label: (number[label], label))].append((labels, places))
    return dict(found)


def _pairs(name: str) -> set[str]:
    text = f" {name[:200].lower()} "
    return {text[at : at + 2] for at in range(len(text) - 1)}
