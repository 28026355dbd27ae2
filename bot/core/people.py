"""Who somebody is: a full member of the installed workspace, a member of a user group or channel.

`Membership` maps the id of a Slack user group, or of a channel whose members own something, to the
ids of its members, as Slack said at this moment. One that is missing from it was not answered for:
granting fails closed. One that is Gone has nobody, until somebody brings it back: whoever is named
beside it still counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Self

from bot.core.errors import DirectoryUnavailable
from bot.core.model import Owners, Person, Reason

Membership = Mapping[str, Collection[str]]

SUSPENDED = (
    "You are suspended here: you get no new access and decide nothing. You can still return or "
    "cancel what is yours. Talk to your security team; they can end it."
)
"""What a suspended person is told. Why they are suspended, security tells them."""


class Gone(frozenset[str]):
    """The members of a group or channel through which nobody counts. `why` is said of it."""

    why: str

    def __new__(cls, why: str) -> Self:
        nobody = super().__new__(cls)
        nobody.why = why
        return nobody


def gone(people: Owners, membership: Membership) -> dict[str, str]:
    """The groups and channels of `people` that are Gone, and why."""
    known = {group: membership.get(group) for group in sorted(people.groups)}
    return {group: one.why for group, one in known.items() if isinstance(one, Gone)}


def gone_words(people: Owners, membership: Membership, place: str) -> str:
    """A space and what there is to say of those that are gone; "" where none is.

    `place` is where the policy names them, such as `rule payments`.
    """
    return "".join(
        f" {'User group' if group.startswith('S') else 'Channel'} {group} {why}, so nobody counts "
        f"through it in {place}. A Slack admin can change that, or whoever keeps the policy file "
        "can name others."
        for group, why in gone(people, membership).items()
    )


def not_full_member(person: Person, team_id: str) -> Reason | None:
    """Why this person may neither ask nor review, or None. `team_id` is the installed workspace.

    Whether they are suspended is in `person`, from the store.
    """
    if not person.is_in(team_id):
        return Reason(
            "other_organisation",
            "Your Slack account belongs to another organisation. Only full members of this "
            "workspace can ask for access or review it: ask with an account of your own here.",
        )
    if person.suspended:
        return Reason("suspended", SUSPENDED)
    if person.deleted:
        return Reason(
            "deactivated",
            "Your Slack account is deactivated, so it can neither ask for access nor review it. "
            "The admins of this workspace can activate it again.",
        )
    if person.is_bot:
        return Reason(
            "is_bot",
            "A bot can neither ask for access nor review it. Ask as the person who needs it.",
        )
    if person.is_guest:
        return Reason(
            "is_guest",
            "You are a guest in this workspace, and guests can neither ask for access nor review "
            "it. Ask a full member of your team to do it.",
        )
    return None


def belongs(user: str, people: Owners, membership: Membership) -> bool:
    """Whether the Slack user id `user` is among `people`.

    Raises DirectoryUnavailable where that hangs on a group nobody answered for.
    """
    if surely_belongs(user, people, membership):
        return True
    _ensure_known(people, membership)
    return False


def surely_belongs(user: str, people: Owners, membership: Membership) -> bool:
    """As `belongs`, with unknown groups taken as empty: for suggestions, never for a decision."""
    return user in people.users or any(user in membership.get(group, ()) for group in people.groups)


def enough_others(
    people: Owners, excluded: Collection[str], needed: int, membership: Membership
) -> tuple[bool, int]:
    """Whether `people` without `excluded` are at least `needed`, and how many were counted.

    Raises DirectoryUnavailable where it hangs on a group nobody answered for.
    """
    known = set(people.users).union(*(membership.get(group, ()) for group in people.groups))
    others = len(known - set(excluded))
    if others < needed:
        _ensure_known(people, membership)
    return others >= needed, others


def _ensure_known(people: Owners, membership: Membership) -> None:
    unknown = sorted(group for group in people.groups if group not in membership)
    if unknown:
        raise DirectoryUnavailable(
            "group_unknown",
            f"Slack did not say who is in the user group {unknown[0]}, so nothing was decided and "
            "nothing was granted. Try again in a minute; if it stays so, tell whoever runs this "
            "bot that Slack's user groups cannot be read.",
        )
