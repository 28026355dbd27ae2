"""Who may be given what and by whom, worked out a second time from the policy file's plain data.

Short on purpose, and written from docs/policy rather than from the bot's code: the first rule that
fits each namespace, its owners, distinct people, never the requester nor their principal.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bot.sandbox.slack_admin import ManagedWorkspace
from tests.simulation.scene import TEAM, role
from tests.simulation.store_reading import RequestRow

_UNITS = {"m": 60, "h": 3600}


@dataclass(frozen=True)
class Needs:
    """The rules that a request needs; None of them: it may not be given at all."""

    rules: tuple[Mapping[str, Any], ...] | None

    @property
    def automatic(self) -> bool:
        return bool(self.rules) and all(one["approval"] == "automatic" for one in self.rules or ())

    @property
    def longest(self) -> timedelta:
        return min((length(one["max_duration"]) for one in self.rules or ()), default=timedelta())


def length(text: str) -> timedelta:
    """A length of time as the policy file has it, such as `30m`."""
    return timedelta(seconds=int(text[:-1]) * _UNITS[text[-1]])


def needs(
    document: Mapping[str, Any],
    request: RequestRow,
    slack: ManagedWorkspace,
    *,
    asks_first: bool = False,
    after_revocation: bool = False,
) -> Needs:
    """The rules that decide the request, by this document and the groups as they are now.

    `asks_first`: it is a break-glass by somebody who owes a review, which somebody approves.
    `after_revocation`: what was revoked lately is given by no automatic rule, so the next decides.
    """
    if request.cluster not in {one["name"] for one in document["clusters"]}:
        return Needs(None)
    if request.break_glass:
        return _needs_on_call(document, request, slack, asks_first=asks_first)
    found: list[Mapping[str, Any]] = []
    for namespace in request.namespaces or (None,):
        rule = next(
            (
                one
                for one in document["rules"]
                if any(fnmatch.fnmatchcase(request.cluster, name) for name in one["clusters"])
                and request.level in one["levels"]
                and _covers(one, namespace)
                and _may_ask(one, request.requester, slack)
                and not (after_revocation and one["approval"] == "automatic")
            ),
            None,
        )
        if rule is None:
            return Needs(None)
        if rule not in found:
            found.append(rule)
    return Needs(tuple(found))


def _needs_on_call(
    document: Mapping[str, Any], request: RequestRow, slack: ManagedWorkspace, *, asks_first: bool
) -> Needs:
    for entry in document["break_glass"]:
        if request.level in entry["levels"] and owns(request.requester, entry["responders"], slack):
            review = {"owners": entry["review"]["owners"], "required": 1}
            rule = {"name": "break-glass", "max_duration": entry["max_duration"]}
            return Needs((rule | {"approval": review if asks_first else "automatic"},))
    return Needs(None)


def is_member(user: str, slack: ManagedWorkspace) -> bool:
    """Whether somebody is a full member of the workspace now."""
    person = slack.people[user]
    outside = person.is_restricted or person.is_ultra_restricted or person.is_stranger
    return not (person.deleted or person.is_bot or outside) and person.team_id == TEAM


def owns(user: str, owners: Mapping[str, Iterable[str]], slack: ManagedWorkspace) -> bool:
    """Whether somebody is among owners, now. Through a group that is disabled nobody is."""
    groups = [slack.groups[one] for one in owners.get("groups", ())]
    members = {one for group in groups if not group.disabled for one in group.users}
    return user in owners.get("users", ()) or user in members


def may_decide(
    user: str, request: RequestRow, rule: Mapping[str, Any], slack: ManagedWorkspace, setting: Any
) -> bool:
    """Whether somebody's word counts for this rule and request, now."""
    return (
        rule["approval"] != "automatic"
        and user != request.requester
        and role(user, setting) != request.principal
        and is_member(user, slack)
        and owns(user, rule["approval"]["owners"], slack)
    )


def may_revoke(
    document: Mapping[str, Any], user: str, request: RequestRow, slack: ManagedWorkspace
) -> bool:
    """Whether somebody owns the place, or reviews the break-glass.

    Not whether they are a full member: where Slack does not tell, revoking goes on without it.
    """
    asking = [
        one
        for one in document["rules"]
        if one["approval"] != "automatic"
        and any(fnmatch.fnmatchcase(request.cluster, name) for name in one["clusters"])
    ]
    places = request.namespaces or (None,)
    near = [one for one in asking if any(_covers(one, place) for place in places)] or asking
    return any(owns(user, one["approval"]["owners"], slack) for one in near) or (
        request.break_glass and may_review(document, user, slack)
    )


def may_review(document: Mapping[str, Any], user: str, slack: ManagedWorkspace) -> bool:
    """Whether somebody is among those who look at break-glass afterwards."""
    return any(owns(user, one["review"]["owners"], slack) for one in document["break_glass"])


def _covers(rule: Mapping[str, Any], namespace: str | None) -> bool:
    if rule.get("scope") == "cluster":
        return True
    patterns = rule.get("namespaces", ())
    return namespace is not None and any(fnmatch.fnmatchcase(namespace, one) for one in patterns)


def _may_ask(rule: Mapping[str, Any], user: str, slack: ManagedWorkspace) -> bool:
    return "requesters" not in rule or owns(user, rule["requesters"], slack)
