"""What is really at EKS and who put it there, kept by watching every change, and judged.

The oracle's own book: it learns of the bot's writes from the stand-in, of the others' from the
simulation, and of what may be given from rows that it reads itself. It knows nothing of plans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from bot.sandbox.eks import Entry
from tests.simulation.scene import DEPLOYMENT
from tests.simulation.store_reading import GrantRow

TAG, STORE_TAG = "eks-access:deployment", "eks-access:store"
SECOND_STORE = "a second store"
BOT, OTHERS, ORPHAN, OPEN = "bot", "others", "orphan", "whose it is, is open"
Key = tuple[str, str]
Scope = frozenset[str] | None
"""Namespaces; an empty set is the whole cluster, None is nothing."""


class Violation(AssertionError):
    """An invariant of the design does not hold. `number` is its number there, or a word."""

    def __init__(self, number: int | str, message: str) -> None:
        super().__init__(f"invariant {number}: {message}")
        self.number = str(number)
        self._made_of = number, message

    def __reduce__(self) -> tuple[type[Violation], tuple[int | str, str]]:
        """One that a process sends to another is made anew of what it was made of."""
        return Violation, self._made_of


@dataclass
class Book:
    """One entry: who made it, which parts are whose, and what others' parts looked like.

    `contested` are policies that others took from the bot, so that whose they are is open.
    """

    made_by: str
    theirs: Entry | None = None
    policies: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    contested: set[str] = field(default_factory=set)
    tampered: bool = False


def covers(scope: Scope, other: Scope) -> bool:
    """Whether `scope` gives all that `other` gives."""
    if other is None:
        return True
    if scope is None:
        return False
    return not scope or (bool(other) and other <= scope)


def union(scopes: Iterable[frozenset[str]]) -> Scope:
    """What several scopes give together."""
    found = list(scopes)
    if not found:
        return None
    return frozenset() if not all(found) else frozenset().union(*found)


class Shadow:
    """The books of all entries. `entry` looks at EKS itself; `grants` at the store, now.

    `touched` are the entries that others ever changed.
    """

    def __init__(
        self,
        entry: Callable[[str, str], Entry | None],
        grants: Callable[[], Iterable[GrantRow]],
        clock: Callable[[], datetime],
        standing: Mapping[str, str],
    ) -> None:
        self._entry = entry
        self._grants = grants
        self._clock = clock
        self._standing = standing
        self.books: dict[Key, Book] = {}
        self._at_start: tuple[GrantRow, ...] = ()
        self._late = False
        self.touched: set[Key] = set()
        self._over: set[str] = set()

    def begin(self) -> None:
        """The bot begins a piece of work. What gave access then may be acted upon until its end."""
        now = self._clock()
        self._at_start = tuple(one for one in self._given_by() if one.gives(now))

    # Others

    def others(
        self, key: Key, *, orphan: bool = False, taken: frozenset[str] = frozenset()
    ) -> None:
        """Somebody else changed the entry: from now on their part stays as it is.

        `taken` are policies of the bot's that they changed before it had read them back.
        """
        self.touched.add(key)
        entry = self._entry(*key)
        book = self.books.get(key)
        if entry is None:
            self.books.pop(key, None)
            if book is not None and book.made_by == BOT:
                self.books[key] = Book("nobody", tampered=True)
            return
        if book is None or book.made_by == "nobody":
            book = Book(ORPHAN if orphan else OTHERS)
            self.books[key] = book
        shown = {one.policy for one in entry.associations}
        for policy in shown - book.policies.keys():
            book.policies[policy] = OTHERS
        for policy in [policy for policy in book.policies if policy not in shown]:
            if book.policies.pop(policy) == BOT:
                book.contested.add(policy)
        for group in set(entry.kubernetes_groups) - book.groups.keys():
            book.groups[group] = OTHERS
        for group in [group for group in book.groups if group not in entry.kubernetes_groups]:
            del book.groups[group]
        book.contested |= taken
        book.tampered = book.made_by == BOT or BOT in book.policies.values()
        book.theirs = self._foreign_part(entry, book)

    def went_back(
        self, own: Mapping[Key, tuple[frozenset[str], frozenset[str]]], over: set[str]
    ) -> None:
        """The store forgot what came last. `own` is what it knows to be the bot's, by entry.

        The grants `over` had ended, and give nothing any more, whatever the store says of them.
        """
        self._over |= over
        for key, book in self.books.items():
            self.touched.add(key)
            book.tampered = True
            if book.made_by != BOT:
                continue
            if key not in own:
                book.made_by = ORPHAN
            policies, groups = own.get(key, (frozenset(), frozenset()))
            given = {policy for policy, whose in book.policies.items() if whose == BOT}
            book.contested |= given - policies
            mine = {group for group, whose in book.groups.items() if whose == BOT}
            book.groups |= dict.fromkeys(mine - groups, OPEN)
        for grant in self._grants():
            self.touched.add((grant.cluster, grant.principal))

    def cluster_gone(self, cluster: str) -> None:
        """A cluster is deleted, and with it all its entries."""
        for key in [key for key in self.books if key[0] == cluster]:
            self.touched.add(key)
            del self.books[key]

    # The bot

    def bot_wrote(
        self, operation: str, params: Mapping[str, Any], before: Entry | None, *, late: bool
    ) -> None:
        """The bot changed an entry: judge it, and keep the book. Raises Violation.

        `late`: it was sent some time ago and given up, and may be covered no more by now.
        """
        self._late = late
        key = (params["clusterName"], params["principalArn"])
        after = self._entry(*key)
        book = self.books.get(key)
        if book is not None and book.made_by == "nobody":
            book = None
        if operation == "CreateAccessEntry":
            self._created(key, after)
        elif book is None or before is None:
            raise Violation(3, f"{operation} changed {key}, of which nobody knows")
        elif operation == "DeleteAccessEntry":
            self._deleted(key, book, before)
        elif operation == "UpdateAccessEntry":
            self._regrouped(key, book, before, after)
        else:
            self._associated(key, book, params["policyArn"].rpartition("/")[2], before, after)

    def struck(self, key: Key, at: datetime) -> None:
        """A schedule of the bot's, due `at`, deleted the entry. Raises Violation.

        One that AWS carries out late may hit what was given after its time; the bot mends that.
        """
        book = self.books.get(key)
        if book is None or book.made_by in {OTHERS, "nobody"}:
            raise Violation(3, f"a schedule deleted the entry at {key}, which others made")
        others = OTHERS in {*book.policies.values(), *book.groups.values()}
        if book.made_by == BOT and others and not book.tampered:
            raise Violation(3, f"a schedule deleted {key} with what others put on it")
        for grant in self._of(key):
            known = grant.confirmed_at is not None and grant.confirmed_at < at
            if known and grant.state == "ACTIVE" and grant.gives(self._clock()):
                raise Violation(4, f"a schedule took from {key} what the active {grant.id} gives")
        self.touched.add(key)
        self.books[key] = Book("nobody", tampered=True)

    def alone(self, key: Key) -> bool:
        """Whether there is an entry of the bot's with nothing of others on it."""
        entry, book = self._entry(*key), self.books.get(key)
        if entry is None or book is None:
            return False
        others = OTHERS in {*book.policies.values(), *book.groups.values()}
        taken = any(one.policy in book.contested for one in entry.associations) or any(
            book.groups.get(one) == OPEN for one in entry.kubernetes_groups
        )
        ours = book.made_by == BOT and entry.tags.get(TAG) == DEPLOYMENT
        return ours and not others and not taken

    def verify_others(self, key: Key) -> None:
        """What others put there is bit for bit what it was. Raises Violation."""
        book = self.books[key]
        if book.theirs is None:
            return
        entry = self._entry(*key)
        shown = None if entry is None else self._foreign_part(entry, book)
        if shown != book.theirs:
            raise Violation(3, f"what others put at {key} was {book.theirs} and is {shown}")

    def _created(self, key: Key, after: Entry | None) -> None:
        if after is None or after.tags.get(TAG) != DEPLOYMENT:
            raise Violation(3, f"the bot made an entry at {key} without its tag")
        self._ensure_covered(key, None, after)
        self.books[key] = Book(BOT, groups=dict.fromkeys(after.kubernetes_groups, BOT))

    def _deleted(self, key: Key, book: Book, before: Entry) -> None:
        if book.made_by == OTHERS:
            raise Violation(3, f"the bot deleted an entry that others made at {key}")
        if book.made_by == BOT:
            if before.tags.get(TAG) != DEPLOYMENT:
                raise Violation(3, f"the bot deleted {key}, whose tag others took away")
            if OTHERS in {*book.policies.values(), *book.groups.values()}:
                raise Violation(3, f"the bot deleted {key} with what others put on it")
            self._ensure_not_needed(key, before, None)
        del self.books[key]

    def _associated(
        self, key: Key, book: Book, policy: str, before: Entry, after: Entry | None
    ) -> None:
        whose = book.policies.get(policy)
        if whose == OTHERS and policy not in book.contested:
            raise Violation(3, f"the bot changed {policy} at {key}, which others put there")
        grows = not covers(_scope(before, policy), _scope(after, policy))
        foreign = book.made_by == OTHERS or before.tags.get(TAG) != DEPLOYMENT
        if grows and before.tags.get(STORE_TAG) == SECOND_STORE:
            raise Violation(3, f"the bot added {policy} at {key} to an entry of another store")
        if grows and foreign and self._standing[key[0]] != "augment":
            raise Violation(3, f"the bot added {policy} to standing access at {key}")
        self._ensure_covered(key, before, after)
        self._ensure_not_needed(key, before, after)
        if _scope(after, policy) is None:
            book.policies.pop(policy, None)
        else:
            book.policies[policy] = BOT
        book.contested.discard(policy)

    def _regrouped(self, key: Key, book: Book, before: Entry, after: Entry | None) -> None:
        if book.made_by == OTHERS:
            raise Violation(3, f"the bot changed the groups of standing access at {key}")
        shown = set(after.kubernetes_groups) if after else set()
        lost = {one for one, whose in book.groups.items() if whose == OTHERS} - shown
        if lost:
            raise Violation(3, f"the bot took {lost} at {key}, which others put there")
        self._ensure_covered(key, before, after)
        self._ensure_not_needed(key, before, after)
        book.groups = {group: book.groups.get(group, BOT) for group in shown}

    # Judging

    def _ensure_covered(self, key: Key, before: Entry | None, after: Entry | None) -> None:
        """What is new is given by grants that may give access now (invariants 1 and 2)."""
        if after is None or self._late:
            return
        now = self._clock()
        live = [one for one in self._given_by(key) if one.gives(now)]
        live += [one for one in self._at_start if (one.cluster, one.principal) == key]
        for association in after.associations:
            scope = frozenset(association.namespaces)
            if covers(_scope(before, association.policy), scope):
                continue
            given = union(one.namespaces for one in live if one.policy == association.policy)
            if not covers(given, scope):
                raise Violation(
                    1,
                    f"at {key} the bot put {association.policy} on {_named(scope)}; live grants "
                    f"give {_named(given)}",
                )
        groups = set(after.kubernetes_groups) - set(before.kubernetes_groups if before else ())
        given_groups = {group for one in live for group in one.groups}
        if not groups <= given_groups:
            raise Violation(1, f"at {key} the bot put the groups {groups - given_groups}")

    def _ensure_not_needed(self, key: Key, before: Entry, after: Entry | None) -> None:
        """What went is given by no active grant (invariant 4)."""
        now = self._clock()
        for grant in self._of(key):
            if grant.state != "ACTIVE" or not grant.gives(now):
                continue
            had = _given(grant, before)
            if had and not _given(grant, after):
                raise Violation(4, f"the bot took from {key} what the active {grant.id} gives")

    def _given_by(self, key: Key | None = None) -> list[GrantRow]:
        """The grants, without those that were over before the store went back."""
        found = self._of(key) if key is not None else self._grants()
        return [one for one in found if one.id not in self._over]

    def _of(self, key: Key) -> list[GrantRow]:
        return [one for one in self._grants() if (one.cluster, one.principal) == key]

    def _foreign_part(self, entry: Entry, book: Book) -> Entry | None:
        """The entry without what is the bot's on it; None where the rest says nothing."""
        theirs = tuple(
            one
            for one in entry.associations
            if book.policies.get(one.policy) == OTHERS and one.policy not in book.contested
        )
        groups = tuple(
            sorted(one for one in entry.kubernetes_groups if book.groups.get(one) == OTHERS)
        )
        if book.made_by == OTHERS:
            return replace(entry, associations=theirs, kubernetes_groups=groups)
        if not theirs and not groups:
            return None
        return replace(
            entry, associations=theirs, kubernetes_groups=groups, modified_at=entry.created_at
        )


def _scope(entry: Entry | None, policy: str) -> Scope:
    for one in entry.associations if entry is not None else ():
        if one.policy == policy:
            return frozenset(one.namespaces)
    return None


def _given(grant: GrantRow, entry: Entry | None) -> bool:
    if entry is None or not grant.groups <= set(entry.kubernetes_groups):
        return False
    return grant.policy is None or covers(_scope(entry, grant.policy), grant.namespaces)


def _named(scope: Scope) -> str:
    if scope is None:
        return "nothing"
    return ", ".join(sorted(scope)) or "the whole cluster"
