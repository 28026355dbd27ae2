"""Who may take somebody else's access away: those who own the place, and security.

Pure. Decided at the click, by the policy in force then. Revoking never hangs on what does not
answer: without a policy it is decided by what was kept with the grant, and where Slack does not
describe somebody, by their Slack user id alone.
"""

from __future__ import annotations

from datetime import datetime

from bot.core.break_glass import approvals_near
from bot.core.model import AccessRequest, Grant, Owners, Person, Reason
from bot.core.people import Membership, belongs, gone_words, not_full_member
from bot.core.policy import Policy
from bot.core.post_review import PostReview, reviewers_now


def revokers(
    policy: Policy, request: AccessRequest, owed: PostReview | None, now: datetime
) -> Owners:
    """Owners of the rules that cover the place, and those who may lock the bot down.

    Of a break-glass also the owners of its review, which is `owed`.
    """
    found = Owners()
    for approval in approvals_near(policy, request.ask):
        found = found.union(approval.owners.owners)
        for part in approval.also:
            found = found.union(part.owners.owners)
    if policy.lockdown is not None:
        found = found.union(policy.lockdown.owners.owners)
    if owed is not None:
        found = found.union(reviewers_now(policy, request, owed, now))
    return found


def revokers_now(
    policy: Policy | None,
    request: AccessRequest,
    grant: Grant | None,
    owed: PostReview | None,
    now: datetime,
) -> Owners:
    """As `revokers`; with no policy in force, as it was when the access was given."""
    if policy is not None:
        return revokers(policy, request, owed, now)
    found = grant.revokers if grant is not None else Owners()
    for one in request.requirements:
        found = found.union(one.owners)
    return found.union(owed.owners_at(now)) if owed is not None else found


def may_revoke(
    owners: Owners,
    request: AccessRequest,
    clicker_id: str,
    clicker: Person | None,
    *,
    membership: Membership,
    team_id: str | None,
) -> Reason | None:
    """Why this person may not revoke the access, or None where they may.

    `owners` are `revokers_now`. `clicker` and `team_id` are None where Slack does not tell them.
    Then an owner is believed to be a full member still: whoever is deactivated clicks nothing, and
    the worst is that access ends. Raises DirectoryUnavailable where it hangs on a group nobody
    answered for.
    """
    if clicker is not None:
        outsider = not_full_member(clicker, team_id if team_id is not None else clicker.team_id)
        if outsider is not None:
            return outsider
    if belongs(clicker_id, owners, membership):
        return None
    return Reason(
        "not_owner",
        f"You own nothing that {request.id} reaches, so nothing was changed. Owners of the place "
        "and security can revoke it, and whoever has it can return it."
        + gone_words(owners, membership, "what it reaches"),
    )
