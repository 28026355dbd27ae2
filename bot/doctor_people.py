"""Whether the people, user groups and deciding channels of the policy file are there in Slack.

Every id is looked up, whatever key it stands under: one that is wrong under `lockdown` would be
found in the night in which it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bot.core.policy import Policy
from bot.core.policy_approval import OwnerPeople
from bot.core.policy_fields import Outside
from bot.core.policy_names import is_deciding, places_of
from bot.doctor_result import Result, Status, count, listed
from bot.doctor_slack import Slack, SlackSays, approvals, remedy
from bot.reconcile.slack_errors import GROUP_GONE
from bot.slack.people import person_of

_AT_ONCE = 4
"""How many people are looked up at once; Slack allows some hundred a minute."""

_MAY_BE_EMPTY = frozenset({"requesters", "to"})
"""Keys under which a group without members keeps nobody from deciding."""

Began = Callable[[str], None]
Members = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class _Problem:
    """Why somebody can do nothing here."""

    sentence: str
    remedy: str
    unknown: bool = False


def results(slack: Slack, policy: Policy, began: Began) -> Iterator[Result]:
    """Whether each id names somebody in Slack, and whether enough people own each rule."""
    people = places_of(policy, Outside.PERSON)
    problems = _problems(slack, people, began)
    yield from _people(people, problems)
    members: dict[str, frozenset[str]] = {}
    for group, places in places_of(policy, Outside.GROUP).items():
        began(f"user group {group}")
        yield _group(slack, group, places, members)
    for channel, places in places_of(policy, Outside.CHANNEL).items():
        if any(is_deciding(keys) for keys in places):
            began(f"members of {channel}")
            yield _members_of(slack, channel, members)
    for name, owners, required in _owners(policy):
        yield _enough(name, owners, required, members, problems)
    yield from _without_principal(policy, members)


def _problems(slack: Slack, people: Iterable[str], began: Began) -> Mapping[str, _Problem]:
    def look(user: str) -> tuple[str, _Problem | None]:
        began(f"person {user}")
        return user, _problem(slack, user)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return {user: found for user, found in pool.map(look, people) if found is not None}


def _problem(slack: Slack, user: str) -> _Problem | None:
    try:
        shown = slack.ask("users_info", user=user)["user"]
    except SlackSays as says:
        sentence = f"Slack does not describe {user} ({says.code})."
        return _Problem(sentence, remedy(slack, says), unknown=True)
    if not person_of(shown).is_in(slack.team_id):
        return _Problem(f"{user} is of another organisation.", "Name somebody of yours.")
    kinds = {
        "deleted": "deactivated",
        "is_bot": "a bot",
        "is_restricted": "a guest",
        "is_ultra_restricted": "a guest",
    }
    for key, kind in kinds.items():
        if shown.get(key):
            return _Problem(f"{user} is {kind}.", "Take the id out of the policy file.")
    return None


def _people(
    people: Mapping[str, list[tuple[str, ...]]], problems: Mapping[str, _Problem]
) -> Iterator[Result]:
    """A result for each person who can do nothing, and one for all the others.

    Somebody who left and is still mapped to a principal keeps nothing from working.
    """
    for user, problem in problems.items():
        only_mapped = all(keys[0] == "principals" for keys in people[user])
        status = Status.NOTE if only_mapped and not problem.unknown else Status.FINDING
        message = f"{problem.sentence} It is at {_at(people[user])} in the policy file."
        yield Result(f"person {user}", status, message, problem.remedy)
    good = len(people) - len(problems)
    if good:
        members = "is a full member" if good == 1 else "are full members"
        who = count(good, "person", "people")
        yield Result("people", Status.OK, f"{who} in the policy file {members} of the workspace.")


def _group(
    slack: Slack,
    group: str,
    places: list[tuple[str, ...]],
    members: dict[str, frozenset[str]],
) -> Result:
    """Whether the group has members; they are put into `members`."""
    check = f"user group {group}"
    try:
        members[group] = frozenset(slack.ask("usergroups_users_list", usergroup=group)["users"])
    except SlackSays as says:
        why = GROUP_GONE.get(says.code)
        so = f"It {why}, so nobody counts through it" if why else "Slack does not say who is in it"
        message = f"{so} ({says.code}). It is at {_at(places)}."
        return Result(check, Status.FINDING, message, remedy(slack, says))
    if members[group]:
        return Result(check, Status.OK, f"It has {count(len(members[group]), 'member')}.")
    quiet = all(_MAY_BE_EMPTY & set(keys) for keys in places)
    status = Status.NOTE if quiet else Status.FINDING
    message = f"Nobody is in it. It is at {_at(places)}."
    return Result(check, status, message, "Add people to it in Slack.")


def _members_of(slack: Slack, channel: str, members: dict[str, frozenset[str]]) -> Result:
    """Whether Slack says who is in a channel whose members decide; they go into `members`."""
    check = f"members of {channel}"
    try:
        page = slack.ask("conversations_members", channel=channel)["members"]
    except SlackSays as says:
        message = f"Slack does not say who is in it ({says.code})."
        return Result(check, Status.FINDING, message, remedy(slack, says))
    members[channel] = frozenset(page)
    message = f"Its members decide here; it has {len(page)} at least."
    if not _joinable(slack, channel):
        return Result(check, Status.OK, message)
    return Result(
        check,
        Status.NOTE,
        f"{message} It is public: everybody here can join it, and then decides.",
        "Make it private in Slack, or name a user group as owners.",
    )


def _joinable(slack: Slack, channel: str) -> bool:
    """Whether everybody can join it; where Slack does not say, that is told of the channel."""
    try:
        return not slack.ask("conversations_info", channel=channel)["channel"].get("is_private")
    except SlackSays:
        return False


def _owners(policy: Policy) -> Iterator[tuple[str, OwnerPeople, int]]:
    """Each rule, and each further part of its approval, with its owners and how many must."""
    for name, approval in approvals(policy):
        yield name, approval.owners, approval.required
        for part in approval.also:
            yield f"{name}, part {part.name}", part.owners, part.required


def _enough(
    name: str,
    owners: OwnerPeople,
    required: int,
    members: Members,
    problems: Mapping[str, _Problem],
) -> Result:
    """Whether enough people own it. Members of groups are not looked at one by one."""
    named = owners.owners
    unable = [problems[user].sentence for user in sorted(named.users & problems.keys())]
    able = (named.users - problems.keys()).union(*(members.get(g, ()) for g in named.groups))
    message = f"{count(len(able), 'person', 'people')} can approve, and {required} must."
    if len(able) >= required and not unable:
        return Result(f"owners of {name}", Status.OK, message)
    return Result(
        f"owners of {name}",
        Status.FINDING,
        " ".join([message, *unable]),
        "Correct the rule's owners in the policy file, or their groups in Slack.",
    )


def _without_principal(policy: Policy, members: Members) -> Iterator[Result]:
    """Who may ask by a rule that names them, and is no IAM principal."""
    if policy.principals.template is not None:
        return
    asking: set[str] = set()
    for rule in policy.rules:
        if rule.requesters is not None:
            asking.update(rule.requesters.users)
            asking.update(*(members.get(group, ()) for group in rule.requesters.groups))
    missing = sorted(asking - policy.principals.users.keys())
    if missing:
        who = count(len(missing), "person who may ask is", "people who may ask are")
        yield Result(
            "principals",
            Status.NOTE,
            f"{who} mapped to no IAM principal: {listed(missing)}.",
            "Add them under `principals: users:` if they are to get access.",
        )


def _at(places: list[tuple[str, ...]]) -> str:
    return listed(list(dict.fromkeys(f"`{'.'.join(keys)}`" for keys in places)))
