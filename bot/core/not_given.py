"""Why access was not given, in words for the person who asked."""

from __future__ import annotations

from bot.core.durations import format_duration
from bot.core.model import Grant, GrantState
from bot.core.planner import Blocked, Obstacle


def in_time(grant: Grant) -> str:
    """What is said of a grant that was not given before it had to be."""
    if grant.ends_at < grant.provision_by:
        return (
            "Its time was over before it could take effect, so nothing more was given. Ask again; "
            "if it stays so, tell whoever runs the bot."
        )
    waited = format_duration(grant.provision_by - (grant.starts_at or grant.created_at))
    if grant.state is GrantState.SCHEDULED:
        return (
            f"It could not be decided anew within {waited} of its start, so it does not begin. "
            "Ask again; if it stays so, tell whoever runs the bot."
        )
    return (
        f"{grant.cluster.name} did not show the access within {waited}, so I take it back. "
        "Ask again; if it stays so, tell whoever runs the bot."
    )


def because(blocked: Blocked, cluster: str, principal_arn: str) -> str:
    """What is said of a grant that what others put on the entry stands in the way of."""
    role = principal_arn.rsplit("/", 1)[-1]
    untouched = "I changed nothing of it. The owners of the cluster can add the access there."
    match blocked.obstacle:
        case Obstacle.FOREIGN_ENTRY:
            return (
                f"{cluster} already has an access entry for `{role}` that somebody else manages. "
                f"{untouched}"
            )
        case Obstacle.ANOTHER_STORE:
            return (
                f"{cluster} already has an access entry for `{role}` that eks-access made from "
                "another database. I changed nothing of it. Tell whoever runs the bot: "
                "`eks-access drift` lists such entries."
            )
        case Obstacle.WRONG_TYPE:
            return (
                f"{cluster} has an access entry for `{role}` of type {blocked.detail}, which takes "
                f"no access policies. {untouched}"
            )
        case Obstacle.FOREIGN_ASSOCIATION:
            policy = (blocked.policy_arn or "").rsplit("/", 1)[-1]
            return (
                f"On {cluster}, `{role}` already has {policy} ({blocked.detail}) from an "
                f"association that somebody else manages. {untouched}"
            )
        case Obstacle.FOREIGN_GROUPS:
            return (
                f"On {cluster}, the Kubernetes groups of `{role}` are managed by somebody else. "
                f"{untouched}"
            )
