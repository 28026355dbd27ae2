"""How `policy diff` prints who gains and loses what: lines for people, stable JSON for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.core.names import listed
from bot.core.policy_diff_words import Change

_MOST_CLUSTERS = 5


def diff_text(changes: Sequence[Change]) -> str:
    """Two lines for each change: who, where and what; how it was and how it will be."""
    if not changes:
        return "Nobody gains or loses anything."
    gains = sum(change.is_gain for change in changes)
    lines = [line for change in changes for line in _lines(change)]
    losses = len(changes) - gains
    return "\n".join([*lines, "", f"{gains} gains, {losses} losses."])


def diff_json(changes: Sequence[Change]) -> dict[str, Any]:
    """`gains` is what the exit code says. A change with both is a gain that also takes."""
    return {
        "gains": any(change.is_gain for change in changes),
        "changes": [
            {
                "kind": "gain" if change.is_gain else "loss",
                "who": change.who,
                "break_glass": change.break_glass,
                "clusters": list(change.clusters),
                "level": change.level or None,
                "namespaces": list(change.namespaces),
                "gained": list(change.gained),
                "lost": list(change.lost),
                "before": change.before,
                "after": change.after,
                "when": change.when or None,
            }
            for change in changes
        ],
    }


def _lines(change: Change) -> list[str]:
    mark = "+" if change.is_gain else "-"
    lost = f"no longer {listed(change.lost, 'and')}"
    what = listed(change.gained, "and") if change.is_gain else lost
    where = " ".join(
        filter(
            None,
            [
                "by break-glass" if change.break_glass else "",
                change.level,
                f"on {_clusters(change.clusters)}" if change.clusters else "",
                f"in {listed(change.namespaces, 'and')}" if change.namespaces else "",
                change.when,
            ],
        )
    )
    first = f"{mark} {change.who}: {what}" + (f" · {where}" if where else "")
    lines = [first, f"    {change.before or 'nothing'} → {change.after or 'nothing'}"]
    if change.gained and change.lost:
        lines.append(f"    and {lost}")
    return lines


def _clusters(names: Sequence[str]) -> str:
    if len(names) <= _MOST_CLUSTERS:
        return listed(names, "and")
    return f"{', '.join(names[:_MOST_CLUSTERS])} and {len(names) - _MOST_CLUSTERS:,} more"
