"""Words that several messages share: who, what access, where, how long, how it ended.

Everything here is mrkdwn unless its name says plain. Sources of words about access policies: EKS
User Guide, "Review access policy permissions".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from bot.core.durations import format_duration
from bot.core.lifecycle import BOT, OPERATOR
from bot.core.model import (
    Access,
    AccessRequest,
    AccessScope,
    EndReason,
    Grant,
    GrantState,
    Owners,
    RequestState,
    Review,
    Verdict,
)
from bot.core.removal import due, never_given
from bot.core.removal import lag as removal_lag
from bot.slack.channels import is_channel
from bot.slack.text import (
    code,
    count,
    date,
    listed,
    mention,
    mention_channel,
    mention_group,
    plain,
    safe,
    size,
)

NAME_LIMIT = 40
OPERATOR_LIMIT = 120
_NAMES_SHOWN = 3
_POLICY_LIMIT = 60
# `{where}` is "in this namespace" or the like.
_ALLOWS = {
    "AmazonEKSClusterAdminPolicy": "ClusterAdmin can do everything {where}.",
    "AmazonEKSAdminPolicy": (
        "Admin can change most things {where}, roles and role bindings too, read secrets and "
        "exec into pods."
    ),
    "AmazonEKSEditPolicy": (
        "Edit can change workloads, read secrets, exec into pods and act as service accounts "
        "{where}."
    ),
    "AmazonEKSViewPolicy": "View can read {where}, without secrets, and change nothing.",
    "AmazonEKSAdminViewPolicy": (
        "AdminView can read everything {where}, secrets too, and change nothing."
    ),
    "AmazonEKSSecretReaderPolicy": "SecretReader can read the secrets {where}.",
}


_RESERVED = re.compile(r"\b(?:bot|operator|eks-access|security|approved)\b", re.IGNORECASE)


def is_running(grant: Grant, now: datetime) -> bool:
    """Whether the access can be used at `now`."""
    return grant.state is GrantState.ACTIVE and now < grant.ends_at


def time_left(grant: Grant, now: datetime) -> str:
    """How long running access still lasts, in whole minutes."""
    minutes = (grant.ends_at - now) // timedelta(minutes=1)
    left = format_duration(timedelta(minutes=minutes)) if minutes else "less than a minute"
    return f"*{left} left*"


def person(user_id: str | None, names: Mapping[str, str]) -> str:
    """Who did something: the name, or a mention where the name is not known."""
    if user_id is None or user_id == BOT:
        return "the bot"
    if user_id == OPERATOR:
        return "an operator"
    name = safe(names.get(user_id, ""), NAME_LIMIT)
    if not name or _RESERVED.search(name):
        return mention(user_id)  # nobody is called what the bot calls itself or an operator
    return name


def people(user_ids: Iterable[str], names: Mapping[str, str], most: int = 10) -> str:
    return listed([person(user_id, names) for user_id in user_ids], most)


def plain_name(request: AccessRequest, names: Mapping[str, str]) -> str:
    """The requester's name for a slot that cannot mention; the id where there is no name."""
    name = names.get(request.requester, "") or request.requester_name
    return plain(name, NAME_LIMIT) or plain(request.requester, NAME_LIMIT)


def owners(requirement_owners: Owners, requester: str) -> str:
    """Who may review, as mentions: they are notified where the message is new to them.

    The requester is left out, because nobody reviews an own request. Of a channel all members are
    owners: its id stands among the groups.
    """
    groups = [
        f"the members of {mention_channel(group)}" if is_channel(group) else mention_group(group)
        for group in sorted(requirement_owners.groups)
    ]
    users = [mention(user) for user in sorted(requirement_owners.users) if user != requester]
    return listed(groups + users) or "nobody who may decide"


def all_owners(request: AccessRequest) -> str:
    """The owners of every rule the request needs who were asked, each once."""
    everybody = Owners()
    for one in request.requirements:
        everybody = everybody.union(request.asked_of(one))
    return owners(everybody, request.requester)


def in_channels(request: AccessRequest) -> str:
    """Where the owners were asked: " in #payments and #platform"; "" where none had to be."""
    channels = dict.fromkeys(channel for channel, _ in asked_in(request))
    return (
        f" in {listed([mention_channel(channel) for channel in channels], 5)}" if channels else ""
    )


def asked_in(request: AccessRequest) -> list[tuple[str, Owners]]:
    """The channels in which owners were asked so far, each with those it concerns."""
    asked: dict[str, Owners] = {}
    for one in request.requirements:
        places = [one.channel]
        if one.escalation is not None and request.escalated(one):
            places.append(one.escalation.channel)
        for channel in places:
            asked[channel] = asked.get(channel, Owners()).union(request.asked_of(one))
    return list(asked.items())


def subject(request: AccessRequest) -> str:
    """What is asked for: `*edit* on *prod-eu* / `payments``."""
    where = namespaces_short(request.access.scope)
    return f"*{safe(request.level, 60)}* on *{safe(request.cluster.name, 110)}* / {where}"


def length(request: AccessRequest) -> str:
    """How long it is asked for: "for 1 h", or of an extension "by 1 h, to 3 h in all"."""
    more = format_duration(request.duration)
    if request.extends is None:
        return f"for {more}"
    return f"by {more}, to {format_duration(request.already + request.duration)} in all"


def wish(request: AccessRequest) -> str:
    """What is asked, behind "asks" or "asked": "for … for 1 h", "to extend … by 1 h, to 3 h …"."""
    verb = "for" if request.extends is None else "to extend"
    return f"{verb} {subject(request)} {length(request)}"


def what(request: AccessRequest) -> str:
    """What is asked, without its length: the access, or more time on it."""
    return subject(request) if request.extends is None else f"more time on {subject(request)}"


def subject_plain(request: AccessRequest, limit: int = 60) -> str:
    """The same without markup. Namespaces that do not fit in `limit` units are counted instead."""
    scope = request.access.scope
    where = "whole cluster" if scope.is_cluster else ", ".join(sorted(scope.namespaces))
    if size(where) > limit:
        where = count(len(scope.namespaces), "namespace")
    return f"{plain(request.level, 30)} on {plain(request.cluster.name, 100)} / {plain(where)}"


def namespaces_short(scope: AccessScope) -> str:
    if scope.is_cluster:
        return "whole cluster"
    names = sorted(scope.namespaces)
    shown = [code(name, 70) for name in names[:_NAMES_SHOWN]]
    return listed([*shown, *names[_NAMES_SHOWN:]], _NAMES_SHOWN)  # the others are only counted


def namespaces_rest(scope: AccessScope) -> list[str]:
    """One line for each namespace, where `namespaces_short` does not show them all."""
    if len(scope.namespaces) <= _NAMES_SHOWN:
        return []
    return [code(name, 70) for name in sorted(scope.namespaces)]


def where(scope: AccessScope) -> str:
    if scope.is_cluster:
        return "in the whole cluster"
    if len(scope.namespaces) == 1:
        return "in this namespace"
    return f"in these {len(scope.namespaces):,} namespaces"


def allows(access: Access, place: str | None = None) -> list[str]:
    """What the access lets somebody do, in plain words: by what EKS gives, never by its label.

    `place` says where, in place of the scope: "in the namespaces you name".
    """
    lines = []
    place = place or where(access.scope)
    if access.policy_arn is not None:
        policy = access.policy_arn.rpartition("/")[2]
        words = _ALLOWS.get(policy)
        if words is None:
            shown = code(policy, _POLICY_LIMIT)
            lines.append(f"{shown} applies {place}. Look up what it allows.")
        else:
            lines.append(words.format(where=place))
    if access.kubernetes_groups:
        groups = listed([code(group, 70) for group in sorted(access.kubernetes_groups)])
        lines.append(f"It joins the Kubernetes groups {groups}: what the cluster's RBAC binds.")
    patterns = [name for name in sorted(access.scope.namespaces) if "*" in name]
    if patterns:
        shown = listed([code(name, 70) for name in patterns], _NAMES_SHOWN)
        lines.append(f"{shown}: every namespace that matches, also those made later.")
    return lines


def principal(arn: str) -> str:
    """An IAM principal as people name it: `role/eks-jit/ana` in account 111122223333."""
    parts = arn.split(":", 5)
    if len(parts) < 6:  # noqa: PLR2004 - an ARN has six parts
        return code(arn, 200)
    return f"{code(parts[5], 200)} in account {safe(parts[4], 20)}"


def approvers(request: AccessRequest, reviews: Iterable[Review], names: Mapping[str, str]) -> str:
    """Who approved: "Ben Ito and Cleo Roux", or the rule that needs nobody."""
    by = approved_by(reviews, names)
    if by:
        return by
    if request.decided_by not in {None, BOT}:
        return person(request.decided_by, names)
    return f"rule {listed([f'*{safe(rule, 60)}*' for rule in request.rules], 5)}, automatically"


def approved_by(reviews: Iterable[Review], names: Mapping[str, str]) -> str:
    """Who approved so far: "Ben Ito and Cleo Roux for Dan Okafor"; "" where nobody did."""
    said_yes = [one for one in reviews if one.verdict is Verdict.APPROVE]
    return listed([_reviewer(one, names) for one in said_yes])


def denied_by(request: AccessRequest, reviews: Iterable[Review], names: Mapping[str, str]) -> str:
    """Who denied the request, and in whose place."""
    said_no = [one for one in reviews if one.reviewer == request.decided_by]
    return _reviewer(said_no[0], names) if said_no else person(request.decided_by, names)


def _reviewer(review: Review, names: Mapping[str, str]) -> str:
    """Who reviewed, and for whom where they did so as a deputy."""
    who = person(review.reviewer, names)
    return f"{who} for {people(review.deputy_of, names)}" if review.deputy_of else who


def lag(length: timedelta) -> str:
    """How much later something was confirmed: "1 s later"."""
    shown = _seconds(length)
    return f"{shown} later" if shown else "within a second"


def _after_its_end(length: timedelta) -> str:
    shown = _seconds(length)
    return f"{shown} after its end" if shown else "within a second of its end"


def _seconds(length: timedelta) -> str:
    """The length of time to the second; "" where it is none."""
    seconds = max(0, round(length.total_seconds()))
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds} s" if seconds else ""
    return format_duration(timedelta(seconds=seconds))


def why_ending(grant: Grant, names: Mapping[str, str]) -> str:
    """Why access ends or ended: "its time was over", "returned by Ana Ruiz"."""
    by = person(grant.ended_by, names)
    return {
        EndReason.RETURNED: f"returned by {by}",
        EndReason.REVOKED: f"revoked by {by}",
        EndReason.SUPERSEDED: "extended",
        EndReason.TICKET_CLOSED: "its ticket is no longer open",
        EndReason.REMOVED: "somebody else took it away at EKS",
        EndReason.CLUSTER_GONE: (
            "its cluster is gone: AWS has not known it for a day"
            if grant.ended_by == BOT
            else f"its cluster is gone, says {by}"
        ),
        EndReason.NOT_BEGUN: "it was no longer allowed when it was to start",
        EndReason.FAILED: "it could not be given",
    }.get(grant.end_reason or EndReason.EXPIRED, "its time was over")


def never_began(grant: Grant) -> bool:
    """Whether access for later ended before its start, so that nothing was given or taken away."""
    return grant.state is GrantState.ENDED and never_given(grant)


def removal(grant: Grant) -> str:
    """When an ended grant was to end, and how long AWS took to confirm: both were read back.

    Of one whose access goes on under an extension, only when that took over.
    """
    if grant.ended_at is None:
        raise ValueError("a grant that has ended has the time at which it did")
    to_end = due(grant)
    if to_end is None:
        return date(grant.ended_at, "second")
    if grant.end_reason is EndReason.CLUSTER_GONE:
        return f"{date(grant.ended_at, 'second')} · there was no cluster to read back"
    return f"{date(to_end, 'second')} · removal confirmed {lag(grant.ended_at - to_end)}"


def proof(grant: Grant) -> list[str]:
    """When EKS was read to have the access, and when to have it no more, with what lies between."""
    if grant.confirmed_at is None:
        return []
    lines = [f"Access confirmed {date(grant.confirmed_at, 'second')}"]
    late = removal_lag(grant)
    if grant.end_reason is EndReason.CLUSTER_GONE:
        return [*lines, "Removal not read back: the cluster no longer existed"]
    if grant.ended_at is not None and late is not None:
        lines.append(f"Absence confirmed {date(grant.ended_at, 'second')}, {_after_its_end(late)}")
    return lines


_OVER = {EndReason.FAILED: "failed", EndReason.SUPERSEDED: "extended"}


def state(request: AccessRequest, grant: Grant | None) -> str:
    """Where a request stands, in one word: pending, granting, active, removing, ended and so on."""
    if grant is None:
        return str(request.state.value).lower()
    match grant.state:
        case GrantState.PROVISIONING:
            return "granting"
        case GrantState.REVOKING:
            return "removing"
        case GrantState.ENDED:
            otherwise = "not begun" if never_began(grant) else "ended"
            return _OVER.get(grant.end_reason or EndReason.EXPIRED, otherwise)
        case other:
            return str(other.value).lower()


def standing(request: AccessRequest, grant: Grant | None) -> str:
    """Where a request stands, in one phrase with its time, for lists."""
    if grant is None:
        lapses = is_open(request) and request.lapses_at is not None
        moment = request.lapses_at if lapses else request.decided_at
        before = ", lapses" if lapses else ""
    else:
        moment, before = {
            GrantState.ACTIVE: (grant.ends_at, " until"),
            GrantState.SCHEDULED: (grant.starts_at, ", starts"),
            GrantState.ENDED: (grant.ended_at, ""),
        }.get(grant.state, (None, ""))
    return f"{state(request, grant)}{before} {date(moment)}" if moment else state(request, grant)


def can_be_asked_again(request: AccessRequest, grant: Grant | None) -> bool:
    """Whether it is over and nothing took over from it."""
    if grant is not None:
        return grant.state is GrantState.ENDED and grant.end_reason is not EndReason.SUPERSEDED
    return request.state not in {RequestState.PENDING, RequestState.APPROVED}


def is_open(request: AccessRequest) -> bool:
    return request.state is RequestState.PENDING
