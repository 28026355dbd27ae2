"""What the request form and that of break-glass share: the fields for a cluster and a level."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.core.choices import is_production
from bot.core.model import Cluster
from bot.slack import blocks, inputs
from bot.slack.blocks import OPTIONS, Block
from bot.slack.text import plain


def cluster_field(clusters: Sequence[Cluster], chosen: Cluster | None) -> Block:
    """Up to 100 clusters are a list; more are searched for, which asks `block_suggestion`."""
    if len(clusters) <= OPTIONS:
        options = [_cluster_option(one) for one in clusters]
        element = inputs.select("cluster", options, chosen.name if chosen else "")
    else:
        element = {
            "type": "external_select",
            "action_id": "cluster",
            "placeholder": blocks.plain_text("Type a part of its name", 150),
            "min_query_length": 0,
        }
        if chosen is not None:
            element["initial_option"] = _cluster_option(chosen)
    return inputs.field("cluster", "Cluster", element, tells=True)


def cluster_options(query: str, clusters: Iterable[Cluster]) -> list[Block]:
    """The clusters to suggest for `query`: names that begin with it, then those that hold it.

    Slack takes at most 100.
    """
    wanted = plain(query, 100).lower()
    found = [one for one in clusters if wanted in one.name.lower()]
    found.sort(key=lambda one: (not one.name.lower().startswith(wanted), one.name))
    return [_cluster_option(one) for one in found[:OPTIONS]]


def level_field(levels: Sequence[str], cluster: str, chosen: str) -> Block:
    """The levels that may be asked for on the cluster of that name: at least one."""
    options = [blocks.option(name, name) for name in levels]
    element = inputs.select("level", options, chosen)
    return inputs.field(inputs.marked("level", cluster, *levels), "Level", element, tells=True)


def _cluster_option(cluster: Cluster) -> Block:
    """One cluster to choose, which says whether it is in production."""
    words = f"{plain(cluster.name, 60)} · production" if is_production(cluster) else cluster.name
    return blocks.option(words, cluster.name)
