"""Whether rules can be approved, reminded of, escalated, delegated and automatic as they say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bot.core.approvals import enough_owners
from bot.core.break_glass import BREAK_GLASS
from bot.core.decide import requirements_of
from bot.core.durations import format_duration
from bot.core.model import Requirement
from bot.core.names import listed
from bot.core.policy import Policy
from bot.core.policy_approval import Approval, Automatic
from bot.core.policy_problems import Location, Problem, approval_rules, error, same_person, warning
from bot.core.rule_choice import DEFAULT_DURATION


def approval_errors(policy: Policy) -> Iterator[Problem]:
    """What keeps requests under a rule from ever being decided or given as the rule says."""
    yield from _reserved_names(policy)
    yield from _parts_named_alike(policy)
    yield from _too_few_owners(policy)
    yield from _after_the_lapse(policy)
    yield from _ends_with_no_ticket(policy)


def approval_warnings(policy: Policy) -> Iterator[Problem]:
    """What of a rule's approval can have no effect."""
    yield from _enough_only_later(policy)
    yield from _never_approved(policy)
    yield from _nobody_new(policy)
    yield from _no_deputies(policy)
    yield from _caps_without_effect(policy)
    yield from _unmapped_requesters(policy)
    yield from _check_of_no_ticket(policy)


def _reserved_names(policy: Policy) -> Iterator[Problem]:
    keys = {
        part.key: ("rules", index, "approval", "also", place, "name")
        for index, rule in enumerate(policy.rules)
        if isinstance(rule.approval, Approval)
        for place, part in enumerate(requirements_of(rule.name, rule.approval)[1:])
    }
    for index, rule in enumerate(policy.rules):
        at: Location = ("rules", index, "name")
        if rule.name == BREAK_GLASS:
            yield error(
                at,
                f"A rule cannot be called `{BREAK_GLASS}`: under that name the audit trail keeps "
                "access that was taken without approval.",
                "Give it another name.",
            )
        elif rule.name in keys:
            yield error(
                at,
                f"`{rule.name}` is also how a part of another rule is called.",
                "Approvals are kept by these names: give one of the two another.",
                keys[rule.name],
            )


def _parts_named_alike(policy: Policy) -> Iterator[Problem]:
    for at, rule, approval in approval_rules(policy):
        first: dict[str, int] = {}
        for place, part in enumerate(approval.also):
            if part.name in first:
                yield error(
                    (*at, "also", place, "name"),
                    f"Rule {rule.name} has two parts called `{part.name}`.",
                    "Approvals are kept by this name: give each part its own.",
                    (*at, "also", first[part.name], "name"),
                )
            first.setdefault(part.name, place)


def _places(at: Location, approval: Approval) -> list[Location]:
    """Where the number of owners required stands, for each part of the approval."""
    return [
        (*at, "required"),
        *((*at, "also", place, "required") for place in range(len(approval.also))),
    ]


def _fixed(parts: tuple[Requirement, ...]) -> list[Requirement]:
    """The parts whose owners are named one by one; a group may have any number of members."""
    return [part for part in parts if not part.everybody.groups]


def _too_few_owners(policy: Policy) -> Iterator[Problem]:
    for at, rule, approval in approval_rules(policy):
        parts = requirements_of(rule.name, approval)
        places = _places(at, approval)
        short = False
        for place, part in zip(places, parts, strict=True):
            named = len(part.everybody.users)
            if not part.everybody.groups and named < part.required:
                short = True
                yield error(
                    place,
                    f"{part.required} owners must approve, and the rule names {named}.",
                    "Name more owners, or a user group, or require fewer.",
                )
        fixed = _fixed(parts)
        if not short and not enough_owners(fixed, (), {}):
            needed = sum(part.required for part in fixed)
            named = len(frozenset().union(*(part.everybody.users for part in fixed)))
            yield error(
                (*at, "also"),
                f"{needed} people must approve, each for one part, and rule {rule.name} names "
                f"{named} of whom nobody counts twice.",
                "Name more owners, or a user group, or require fewer.",
            )


def _after_the_lapse(policy: Policy) -> Iterator[Problem]:
    for at, _, approval in approval_rules(policy):
        later = {"remind_after": approval.remind_after}
        if approval.escalate is not None:
            later["escalate"] = approval.escalate.after
        for key, after in later.items():
            if after is not None and after >= approval.lapse_after:
                yield error(
                    (*at, key),
                    f"`{key}` would come when the request has lapsed.",
                    "Make it shorter than `lapse_after`, which is 1 h where it does not stand.",
                )


def _ends_with_no_ticket(policy: Policy) -> Iterator[Problem]:
    for index, rule in enumerate(policy.rules):
        if not rule.ends_with_ticket:
            continue
        at = ("rules", index, "ends_with_ticket")
        if rule.ticket is None:
            yield error(
                at,
                f"Access under rule {rule.name} ends with its ticket, and the rule asks for none.",
                'Add `ticket: "^[A-Z]+-[0-9]+$"` with the form of your tickets.',
            )
        if policy.tickets is None or policy.tickets.check is None:
            yield error(
                at,
                f"Access under rule {rule.name} ends with its ticket, and nothing says where "
                "tickets are looked up.",
                "Add `check: jira` or `check: pagerduty` under `tickets`.",
            )


def _enough_only_later(policy: Policy) -> Iterator[Problem]:
    for at, rule, approval in approval_rules(policy):
        parts = requirements_of(rule.name, approval)
        first = replace(parts[0], escalation=None)
        before = _fixed((first, *parts[1:]))
        if approval.escalate is None or first.owners.groups or enough_owners(before, (), {}):
            continue
        if enough_owners(_fixed(parts), (), {}):
            yield warning(
                (*at, "escalate"),
                f"Before the escalation rule {rule.name} has too few owners for what it requires, "
                f"so every request waits for {format_duration(approval.escalate.after)}.",
                "Name more owners, or require fewer.",
            )


def _never_approved(policy: Policy) -> Iterator[Problem]:
    for at, rule, approval in approval_rules(policy):
        if rule.requesters is None or rule.requesters.groups:
            continue
        parts = requirements_of(rule.name, approval)
        fixed = _fixed(parts)
        stuck = [
            user
            for user in rule.requesters.users
            if not enough_owners(fixed, same_person(policy, user), {})
        ]
        if stuck and enough_owners(fixed, (), {}):
            yield warning(
                (*at, "owners"),
                f"Nobody could approve what {listed(stuck, 'and')} may ask for here: nobody "
                "approves their own request.",
                "Name more owners.",
            )


def _nobody_new(policy: Policy) -> Iterator[Problem]:
    for at, rule, approval in approval_rules(policy):
        if approval.escalate is None:
            continue
        later, owners = approval.escalate.owners.owners, approval.owners.owners
        if later.users <= owners.users and later.groups <= owners.groups:
            yield warning(
                (*at, "escalate", "owners"),
                f"Everybody whom rule {rule.name} asks as well after a while is an owner already.",
                "Name others, or take `escalate` out; `remind_after` asks the same people again.",
            )


def _no_deputies(policy: Policy) -> Iterator[Problem]:
    for at, rule, approval in approval_rules(policy):
        terms = approval.delegation
        if terms is None or terms.to is None or terms.to.groups:
            continue
        parts = requirements_of(rule.name, approval)
        if all(set(terms.to.users) <= part.everybody.users for part in parts):
            yield warning(
                (*at, "delegation", "to"),
                f"Whoever may be a deputy under rule {rule.name} is an owner already, and an "
                "owner decides in their own place only.",
                "Name others, or take `to` out: then any full member may be a deputy.",
            )


def _caps_without_effect(policy: Policy) -> Iterator[Problem]:
    for index, rule in enumerate(policy.rules):
        if not isinstance(rule.approval, Automatic):
            continue
        most = rule.approval.automatic.time_per_day
        usual = min(DEFAULT_DURATION, rule.max_duration)
        if most is not None and most < usual:
            yield warning(
                ("rules", index, "approval", "automatic", "time_per_day"),
                f"Rule {rule.name} gives at most {format_duration(most)} in 24 hours, and a "
                f"request that says no length is for {format_duration(usual)}: it is passed over "
                "for each of them.",
                "Make it longer, or `max_duration` shorter.",
            )


def _unmapped_requesters(policy: Policy) -> Iterator[Problem]:
    if policy.principals.template is not None:
        return
    named = [
        (("rules", index, "requesters", "users"), rule.requesters.users)
        for index, rule in enumerate(policy.rules)
        if rule.requesters is not None
    ]
    named += [
        (("break_glass", index, "responders", "users"), entry.responders.users)
        for index, entry in enumerate(policy.break_glass)
    ]
    for at, users in named:
        for place, user in enumerate(users):
            if user not in policy.principals.users:
                yield warning(
                    (*at, place),
                    f"{user} is mapped to no IAM principal, so there is nothing that could be "
                    "given access.",
                    f"Add `{user}: …` under `principals: users:`.",
                )


def _check_of_no_ticket(policy: Policy) -> Iterator[Problem]:
    checks = policy.tickets is not None and policy.tickets.check is not None
    if checks and not any(rule.ends_with_ticket for rule in policy.rules):
        yield warning(
            ("tickets", "check"),
            "No rule has `ends_with_ticket`, so no ticket is ever looked up.",
            "Add `ends_with_ticket: true` to the rules that mean it, or take `check` out.",
        )
