"""Who is told of an alarm where no channel can be: those who look after the bot."""

from __future__ import annotations

from bot.core.errors import PolicyUnavailable
from bot.core.model import Owners
from bot.core.policy import Policy
from bot.policy_file import PolicySource
from bot.slack.people import Directory

MOST_PEOPLE = 10


def alarm_people(source: PolicySource, directory: Directory) -> tuple[str, ...]:
    """The owners of lockdown, or else the reviewers of break-glass: at most ten people.

    Groups that Slack does not tell now are left out.
    """
    try:
        owners = _owners(source.current().policy)
    except PolicyUnavailable:
        return ()
    groups = directory.membership_to_show(owners.groups)
    people = owners.users.union(*groups.values())
    return tuple(sorted(people))[:MOST_PEOPLE]


def _owners(policy: Policy) -> Owners:
    if policy.lockdown is not None:
        return policy.lockdown.owners.owners
    owners = Owners()
    for entry in policy.break_glass:
        owners = owners.union(entry.review.owners.owners)
    return owners
