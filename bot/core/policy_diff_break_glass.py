"""Who gains or loses break-glass by a change of the policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from bot.core.cluster_classes import break_glass_by_class
from bot.core.durations import format_duration
from bot.core.names import listed
from bot.core.oncall import Schedules
from bot.core.people import Membership
from bot.core.policy import BreakGlass, Level, Policy
from bot.core.policy_compare import break_glass_gains, expanded
from bot.core.policy_diff_kinds import Kind, Told, compared, kinds_to_try
from bot.core.policy_diff_words import Change

_MOST_SILENT = 4


@dataclass(frozen=True, slots=True)
class _Token:
    """A fact about somebody: in a group; on call, by the service's id or by an email domain."""

    kind: str
    name: str
    schedules: Schedules | None = None

    def __str__(self) -> str:
        if self.schedules is None:
            return self.name
        service, ids = self.schedules
        by = f"as {self.name}" if self.kind == "id" else f"at {self.name}"
        return f"on call at {service} {listed(ids, 'and')} {by}"


def break_glass_changes(old: Policy, new: Policy, known: Membership) -> Iterator[Change]:
    """The changes of who may break glass, on what, for how long and with whose review."""
    for clusters in break_glass_by_class(old, new):
        for name in dict.fromkeys((*new.levels, *old.levels)):
            old_level, new_level = old.levels.get(name), new.levels.get(name)
            before = [one for one in clusters.old if old_level and name in one.levels]
            after = [one for one in clusters.new if new_level and name in one.levels]
            domains = (old.principals.email_domains, new.principals.email_domains)
            if old_level == new_level and _alike(before, after) and domains[0] == domains[1]:
                continue
            mine = [_Entry(one, frozenset(domains[0]), known) for one in before]
            theirs = [_Entry(one, frozenset(domains[1]), known) for one in after]
            for change in _changes(mine, theirs, (old_level, new_level), known):
                yield replace(change, clusters=clusters.clusters, level=name)


def _alike(old: Sequence[BreakGlass], new: Sequence[BreakGlass]) -> bool:
    def keys(entries: Sequence[BreakGlass]) -> list[object]:
        return [(one.responders, one.max_duration, one.max_live, one.review) for one in entries]

    return keys(old) == keys(new)


class _Entry:
    """An entry with the facts that let somebody use it."""

    def __init__(self, entry: BreakGlass, domains: frozenset[str], known: Membership) -> None:
        self.entry = entry
        responders = entry.responders
        always = expanded(responders.owners, known)
        self.users = always.users
        self.groups = _in_groups(always.groups)
        self.services: dict[Schedules, tuple[dict[str, str], frozenset[_Token]]] = {}
        for name, service in responders.services.items():
            key = (name, service.schedules)
            by_email = frozenset(_Token("email", domain, key) for domain in domains)
            self.services[key] = (dict(service.users), by_email)
        fallback = responders.fallback
        owners = expanded(fallback.owners, known) if fallback is not None else None
        self.fallback_users = owners.users if owners is not None else frozenset[str]()
        self.fallback_groups = _in_groups(owners.groups) if owners is not None else frozenset()

    def admits(self, kind: Kind[_Token], silent: frozenset[Schedules]) -> bool:
        if kind.user in self.users or not self.groups.isdisjoint(kind.facts):
            return True
        for key, (mapped, by_email) in self.services.items():
            if key in silent:
                continue
            ids = {_Token("id", known, key) for known, user in mapped.items() if user == kind.user}
            if not ids.isdisjoint(kind.facts):
                return True
            if kind.user not in mapped.values() and not by_email.isdisjoint(kind.facts):
                return True
        if silent.isdisjoint(self.services):
            return False
        return kind.user in self.fallback_users or not self.fallback_groups.isdisjoint(kind.facts)

    @property
    def facts(self) -> frozenset[_Token]:
        found = self.groups | self.fallback_groups
        for key, (mapped, by_email) in self.services.items():
            found |= by_email | {_Token("id", known, key) for known in mapped}
        return found

    @property
    def named(self) -> frozenset[str]:
        mapped = (users.values() for users, _ in self.services.values())
        return self.users.union(self.fallback_users, *mapped)


def _in_groups(groups: frozenset[str]) -> frozenset[_Token]:
    return frozenset(_Token("group", group) for group in groups)


def _changes(
    old: Sequence[_Entry],
    new: Sequence[_Entry],
    levels: tuple[Level | None, Level | None],
    known: Membership,
) -> Iterator[Change]:
    def more(this: BreakGlass, that: BreakGlass) -> list[str]:
        return break_glass_gains(this, that, known)

    told = Told[_Token]()
    users = frozenset[str]().union(*(one.named for one in (*old, *new)))
    facts_old = frozenset[_Token]().union(*(one.facts for one in old))
    facts_new = frozenset[_Token]().union(*(one.facts for one in new))
    for kind in kinds_to_try(users, facts_old, facts_new):
        for silent in _silences(old, new):
            before = next((one.entry for one in old if one.admits(kind, silent)), None)
            after = next((one.entry for one in new if one.admits(kind, silent)), None)
            change = compared(before, after, levels, more, _said)
            if change is not None:
                names = listed(sorted(name for name, _ in silent), "and")
                when = f"while {names} does not answer" if silent else ""
                told.add(kind, replace(change, break_glass=True), who=_named(kind), when=when)
    yield from told


def _named(kind: Kind[_Token]) -> str:
    facts = listed(sorted(map(str, kind.facts)), "and")
    return ", ".join(filter(None, [kind.user, facts])) or "anybody"


def _silences(old: Sequence[_Entry], new: Sequence[_Entry]) -> Iterator[frozenset[Schedules]]:
    """Which services may not answer: any of them together, as long as they are few."""
    services = sorted(frozenset().union(*(one.services for one in (*old, *new))))
    most = len(services) if len(services) <= _MOST_SILENT else 1
    for number in range(most + 1):
        yield from map(frozenset, combinations(services, number))
    if most < len(services):
        yield frozenset(services)


def _said(entry: BreakGlass | None) -> str:
    if entry is None:
        return "nothing"
    length, within = format_duration(entry.max_duration), format_duration(entry.review.within)
    return f"break-glass up to {length}, reviewed within {within}"
