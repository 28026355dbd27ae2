"""Whether break-glass and lockdown can work: who may, who is told, who looks at it afterwards."""

from __future__ import annotations

from collections.abc import Iterator

from bot.core.durations import format_duration
from bot.core.names import listed
from bot.core.policy import BreakGlass, Policy
from bot.core.policy_break_glass import Responders
from bot.core.policy_problems import Location, Problem, error, same_person, warning
from bot.core.policy_reach import Reach


def break_glass_errors(policy: Policy) -> Iterator[Problem]:
    """What would let a break-glass go unseen, or let nobody be recognised."""
    if policy.break_glass and policy.security_channel is None:
        yield error(
            ("break_glass",),
            "Break-glass raises its alarm in the security channel, and the file names none.",
            "Add `security_channel: C…` at the top of the file.",
        )
    for at, entry in _entries(policy):
        yield from _unrecognised(policy, at, entry)
        within, remind = entry.review.within, entry.review.remind_after
        if remind is not None and remind >= within:
            yield error(
                (*at, "review", "remind_after"),
                "`remind_after` would come when the review is overdue.",
                "Make it shorter than `within`.",
            )


def break_glass_warnings(policy: Policy, reach: Reach) -> Iterator[Problem]:
    """What of break-glass and lockdown can have no effect, or leaves nobody at a bad moment."""
    for at, entry in _entries(policy):
        yield from _nobody_while_silent(at, entry.responders)
        yield from _own_reviewers(policy, at, entry)
        yield from _review_times(at, entry)
    yield from _never_used(policy, reach)
    yield from _lockdown(policy)


def _entries(policy: Policy) -> Iterator[tuple[Location, BreakGlass]]:
    for index, entry in enumerate(policy.break_glass):
        yield ("break_glass", index), entry


def _unrecognised(policy: Policy, at: Location, entry: BreakGlass) -> Iterator[Problem]:
    for name, service in entry.responders.services.items():
        if not service.users and not policy.principals.email_domains:
            yield error(
                (*at, "responders", name),
                f"Nobody on call at {name} could be recognised: no user is mapped, and no email "
                "domain is trusted.",
                f"Add `users: {{ID: U…}}` here with {name}'s user ids, or `email_domains` under "
                "`principals`.",
            )


def _nobody_while_silent(at: Location, responders: Responders) -> Iterator[Problem]:
    if responders.fallback is not None and not responders.services:
        yield warning(
            (*at, "responders", "fallback"),
            "The fallback counts while an on-call service does not answer, and none is asked.",
            "Name them under `users` or `groups` instead.",
        )
    nobody = not responders.users and not responders.groups and responders.fallback is None
    for name in responders.services if nobody else ():
        yield warning(
            (*at, "responders", name),
            f"While {name} does not answer nobody can break glass here.",
            "Add `fallback: {groups: [S…]}` with the user group that may then.",
        )


def _own_reviewers(policy: Policy, at: Location, entry: BreakGlass) -> Iterator[Problem]:
    owners = entry.review.owners.owners
    if entry.review.escalate is not None:
        owners = owners.union(entry.review.escalate.owners.owners)
    if owners.groups:
        return
    on_call = [one.users.values() for one in entry.responders.services.values()]
    stuck = [
        user
        for user in sorted({*entry.responders.users}.union(*on_call))
        if not owners.users - same_person(policy, user)
    ]
    if stuck:
        yield warning(
            (*at, "review", "owners"),
            f"Nobody could review a break-glass of {listed(stuck, 'and')}: nobody reviews their "
            "own.",
            "Name more owners of the review.",
        )


def _review_times(at: Location, entry: BreakGlass) -> Iterator[Problem]:
    review = entry.review
    if review.within < entry.max_duration:
        yield warning(
            (*at, "review", "within"),
            f"The review is due after {format_duration(review.within)}, while access may still "
            f"last up to {format_duration(entry.max_duration)}.",
            "Make `within` longer than `max_duration`.",
        )
    if review.escalate is not None and review.escalate.after <= review.reminds_after:
        yield warning(
            (*at, "review", "escalate"),
            f"Others are asked to review after {format_duration(review.escalate.after)}, before "
            f"the owners are reminded after {format_duration(review.reminds_after)}.",
            "Make `after` longer, or `remind_after` shorter.",
        )
    if review.escalate is not None:
        later, owners = review.escalate.owners.owners, review.owners.owners
        if later.users <= owners.users and later.groups <= owners.groups:
            yield warning(
                (*at, "review", "escalate", "owners"),
                "Everybody who is asked to review after a while may do so already.",
                "Name others, or take `escalate` out.",
            )


def _never_used(policy: Policy, reach: Reach) -> Iterator[Problem]:
    for index, entry in enumerate(policy.break_glass):
        for place, earlier in enumerate(policy.break_glass[:index]):
            hidden = (
                not reach.reached(entry) & ~reach.reached(earlier)
                and set(entry.levels) <= set(earlier.levels)
                and _admits_all_of(earlier.responders, entry.responders)
            )
            if hidden:
                yield warning(
                    ("break_glass", index),
                    "This entry is never used: an earlier one covers its clusters and levels and "
                    "lets the same people break glass.",
                    "Move it up, or take it out.",
                    ("break_glass", place),
                )
                break


def _admits_all_of(earlier: Responders, later: Responders) -> bool:
    mine, theirs = earlier.owners, later.owners
    services = all(earlier.services.get(name) == one for name, one in later.services.items())
    fallback = later.fallback is None or later.fallback == earlier.fallback
    return theirs.users <= mine.users and theirs.groups <= mine.groups and services and fallback


def _lockdown(policy: Policy) -> Iterator[Problem]:
    if policy.lockdown is None:
        return
    if policy.security_channel is None:
        yield warning(
            ("lockdown",),
            "A lockdown is announced in the security channel, and the file names none.",
            "Add `security_channel: C…` at the top of the file.",
        )
    if policy.lockdown.break_glass is not None and not policy.break_glass:
        yield warning(
            ("lockdown", "break_glass"),
            "These people may break glass in a lockdown, and the file has no `break_glass`.",
            "Add `break_glass`, or take this out.",
        )
