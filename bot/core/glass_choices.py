"""What the form for break-glass may offer one person: clusters, then levels, then how long.

As in `choices`, nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from bot.core.break_glass import alarm_channels
from bot.core.model import Ask, Cluster
from bot.core.offers import clusters_under
from bot.core.policy import BreakGlass, Level, Policy

_SHORTEST = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class GlassChoices:
    """What may be chosen after what has been chosen; `entered` is without what may not be had.

    `told` are the channels that will be told, `within` is when the review is due; both hang on the
    cluster, and `max_duration` on the level too.
    """

    clusters: tuple[Cluster, ...]
    entered: Ask
    cluster: Cluster | None = None
    levels: tuple[str, ...] = ()
    level: Level | None = None
    max_duration: timedelta = timedelta()
    told: tuple[str, ...] = ()
    within: timedelta = timedelta()


def glass_choices(policy: Policy, entries: Sequence[BreakGlass], entered: Ask) -> GlassChoices:
    """The choices of somebody who may use `entries`: the first that fits is what counts."""
    clusters = clusters_under(policy, entries)
    named = [one for one in clusters if one.name == entered.cluster]
    cluster = next(iter(named or (clusters if len(clusters) == 1 else ())), None)
    if cluster is None:
        return GlassChoices(clusters, replace(entered, cluster="", level="", whole_cluster=False))
    there = [entry for entry in entries if entry.covers(cluster)]
    levels = tuple(
        level for level in policy.levels if any(level in entry.levels for entry in there)
    )
    level = entered.level if entered.level in levels else ""
    if not level and len(levels) == 1:
        level = levels[0]
    kept = replace(entered, cluster=cluster.name, level=level)
    told = alarm_channels(policy, kept)
    if not level:
        within = there[0].review.within
        return GlassChoices(clusters, kept, cluster, levels, told=told, within=within)
    entry = next(one for one in there if level in one.levels)
    given = policy.levels[level]
    length = entered.duration
    fits = length is not None and _SHORTEST <= length <= entry.max_duration
    kept = replace(
        kept,
        namespaces=() if given.only_cluster else kept.namespaces,
        duration=length if fits else None,
        whole_cluster=not given.only_cluster and kept.whole_cluster,
    )
    return GlassChoices(
        clusters, kept, cluster, levels, given, entry.max_duration, told, entry.review.within
    )
