"""What on a cluster's access entries is the bot's, and what others put there.

For showing alone: nothing is decided by it. The entries are read while the bot works on, so it is
called others' only where the store knew nothing of it, neither before the reading nor after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bot.core.planner import DEPLOYMENT_TAG, EntryRecord, ObservedEntry

Seen = Sequence[tuple[str, ObservedEntry]]
"""Access entries with the ARNs of their principals."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the store knows the bot to have put at one principal, as which deployment."""

    record: EntryRecord
    deployment: str

    def made(self, observed: ObservedEntry) -> bool:
        """Whether this is the entry that the bot made, and not another in its place."""
        tagged = observed.tags.get(DEPLOYMENT_TAG) == self.deployment
        same = self.record.arn in {None, observed.arn}
        return self.record.created and tagged and same


@dataclass(frozen=True, slots=True)
class Roster:
    """The entries of a cluster, as far as they were read.

    `others` are entries that the bot did not make, without what it added to them. `by_hand` are
    those of its own, with nothing but what was added to them by others. The numbers say how many
    entries of each kind were not read; `problem` is what AWS said where it did not answer.
    """

    others: Seen = ()
    by_hand: Seen = ()
    others_unread: int = 0
    own_unread: int = 0
    problem: str | None = None


def sorted_out(
    entries: Mapping[str, ObservedEntry],
    before: Mapping[str, Known],
    after: Mapping[str, Known],
) -> Roster:
    """Which of the entries, by principal, are others', and what others added to the bot's own.

    `before` and `after` are what the store knew by principal when the reading began and ended.
    """
    others, by_hand = [], []
    for principal, entry in entries.items():
        known = [each[principal] for each in (before, after) if principal in each]
        foreign = _foreign(entry, known)
        if not any(one.made(entry) for one in known):
            others.append((principal, foreign))
        elif foreign.policies or foreign.kubernetes_groups:
            by_hand.append((principal, foreign))
    return Roster(tuple(others), tuple(by_hand))


def _foreign(entry: ObservedEntry, known: Sequence[Known]) -> ObservedEntry:
    """The entry with only those policies and groups on it that the bot did not put there."""
    policies = dict(entry.policies)
    groups = entry.kubernetes_groups
    for one in known:
        theirs = one.record.foreign_policies(entry)
        policies = {arn: scope for arn, scope in policies.items() if arn in theirs}
        groups &= one.record.foreign_groups(entry)
    return replace(entry, policies=policies, kubernetes_groups=groups)
