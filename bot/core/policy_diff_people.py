"""Who gains or loses by a change of what is not a rule: principals, lockdown, standing entries."""

from __future__ import annotations

from collections.abc import Iterator

from bot.core.model import Owners, Standing
from bot.core.names import listed
from bot.core.people import Membership
from bot.core.policy import Policy, form_key
from bot.core.policy_compare import expanded
from bot.core.policy_diff_words import Change


def changes_of_people(old: Policy, new: Policy, known: Membership) -> Iterator[Change]:
    """The changes of principals, of who may lock down, and of clusters' standing."""
    yield from _principals(old, new)
    yield from _template(old, new)
    yield from _lockdown(old, new, known)
    yield from _standing(old, new)


def _change(gained: str, lost: str, who: str, before: str, after: str) -> Change:
    return Change(
        (gained,) if gained else (), (lost,) if lost else (), who, (), "", (), before, after
    )


def _principals(old: Policy, new: Policy) -> Iterator[Change]:
    before, after = old.principals.users, new.principals.users
    for user in dict.fromkeys((*after, *before)):
        mine, theirs = before.get(user), after.get(user)
        if mine != theirs:
            gained = "another IAM principal" if theirs else ""
            lost = "" if theirs else "the IAM principal"
            yield _change(gained, lost, user, mine or "not mapped", theirs or "not mapped")
        elif theirs is not None:
            apart = _sharing(old, user) - _sharing(new, user)
            if apart:
                names = listed(sorted(apart), "and")
                words = f"the approval of {names}"
                yield _change(words, "", user, f"one principal with {names}", "another principal")
    shared = set(new.principals.shared) - set(old.principals.shared)
    unshared = set(old.principals.shared) - set(new.principals.shared)
    for arn in sorted(shared):
        yield _change("a shared IAM principal", "", "anybody", "", arn)
    for arn in sorted(unshared):
        yield _change("", "a shared IAM principal", "anybody", arn, "")


def _sharing(policy: Policy, user: str) -> frozenset[str]:
    """Who may be on the principal of a mapped user, in some account."""
    _, *mine = form_key(policy.principals.users[user])
    return frozenset(
        other
        for (_, *theirs), users in policy.principals.users_by_key.items()
        if theirs == mine
        for other in users
    )


def _template(old: Policy, new: Policy) -> Iterator[Change]:
    before, after = old.principals, new.principals
    if before.template != after.template:
        gained = "an IAM principal by email address" if after.template else ""
        lost = "an IAM principal by email address" if before.template else ""
        yield _change(gained, lost, "anybody", before.template or "", after.template or "")
    for domain in sorted(set(after.email_domains) - set(before.email_domains)):
        yield _change("trust in their email address", "", f"anybody at {domain}", "", domain)
    for domain in sorted(set(before.email_domains) - set(after.email_domains)):
        yield _change("", "trust in their email address", f"anybody at {domain}", domain, "")


def _lockdown(old: Policy, new: Policy, known: Membership) -> Iterator[Change]:
    nobody = Owners()
    before, after = old.lockdown, new.lockdown
    pairs = (
        (
            "switching lockdown on and off",
            before.owners.owners if before else nobody,
            after.owners.owners if after else nobody,
        ),
        (
            "break-glass in a lockdown",
            before.break_glass.owners if before and before.break_glass else nobody,
            after.break_glass.owners if after and after.break_glass else nobody,
        ),
    )
    for what, mine, theirs in pairs:
        was, is_ = expanded(mine, known), expanded(theirs, known)
        for who in sorted((is_.users - was.users) | (is_.groups - was.groups)):
            yield _change(what, "", who, "", what)
        for who in sorted((was.users - is_.users) | (was.groups - is_.groups)):
            yield _change("", what, who, what, "")


def _standing(old: Policy, new: Policy) -> Iterator[Change]:
    what = "access beside what others gave"
    for name, cluster in new.clusters_by_name.items():
        was = old.clusters_by_name.get(name)
        if was is None or was.standing is cluster.standing:
            continue
        more = cluster.standing is Standing.AUGMENT
        yield Change(
            (what,) if more else (),
            () if more else (what,),
            "anybody",
            (name,),
            "",
            (),
            f"standing: {was.standing.value}",
            f"standing: {cluster.standing.value}",
        )
