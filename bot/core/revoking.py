"""Who may take somebody else's access away: those who own the place, and security.

Pure. Decided at the click, by the policy in force then.
"""

from __future__ import annotations

from datetime import datetime

from bot.core.break_glass import approvals_near
from bot.core.model import AccessRequest, Owners, Person, Reason
from bot.core.people import Membership, belongs, not_full_member
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


def may_revoke(
    policy: Policy,
    request: AccessRequest,
    owed: PostReview | None,
    clicker: Person,
    *,
    membership: Membership,
    now: datetime,
    team_id: str,
) -> Reason | None:
    """Why this person may not revoke the access, or None where they may.

    Raises DirectoryUnavailable where it hangs on a group nobody answered for.
    """
    outsider = not_full_member(clicker, team_id)
    if outsider is not None:
        return outsider
    if belongs(clicker.id, revokers(policy, request, owed, now), membership):
        return None
    return Reason(
        "not_owner",
        f"You own nothing that {request.id} reaches, so nothing was changed. Owners of the place "
        "and security can revoke it, and whoever has it can return it.",
    )
