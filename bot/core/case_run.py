"""What a policy makes of a case, held against what the case expects. Pure, as the decisions are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.approvals import unmet
from bot.core.break_glass import evaluate_break_glass, schedules_for
from bot.core.decide import evaluate
from bot.core.durations import format_duration
from bot.core.errors import DirectoryUnavailable, Refused
from bot.core.model import (
    AccessRequest,
    Ask,
    Decision,
    Delegation,
    Person,
    Principal,
    Reason,
    Requirement,
)
from bot.core.names import listed
from bot.core.oncall import OnCall, OnCallFacts
from bot.core.people import Membership
from bot.core.policy import BreakGlass, Policy
from bot.core.policy_cases import TEAM, Case, CaseFile, CaseReview, Expected, ExpectedPart
from bot.core.post_review import may_post_review, post_review_of
from bot.core.principals import possible_principals, principal_for
from bot.core.review import may_review, reviewer_seats
from bot.core.rule_choice import ANY_RULE, Spent

_ID = "7K3-QMX"
_DOWN = "down"


@dataclass(frozen=True, slots=True)
class Came:
    """What came of a case: an outcome in the words of `Expected`, and all that can be looked at."""

    outcome: str
    reasons: tuple[Reason, ...] = ()
    decision: Decision | None = None
    principal: str | None = None
    entry: BreakGlass | None = None
    counts_for: tuple[str, ...] = ()
    enough: bool | None = None


def run_case(policy: Policy, file: CaseFile, case: Case, now: datetime) -> tuple[str, ...]:
    """What is otherwise than the case expects, in sentences; nothing where it holds."""
    return tuple(_differences(case.expect, came_of(policy, file, case, now)))


def came_of(policy: Policy, file: CaseFile, case: Case, now: datetime) -> Came:
    """What the policy makes of the case at this moment."""
    try:
        return _Scene(policy, file, case, now).came()
    except DirectoryUnavailable as error:
        return Came("undecided", (Reason(error.code, error.sentence),))


class _Scene:
    """One case, with what is so in it."""

    def __init__(self, policy: Policy, file: CaseFile, case: Case, now: datetime) -> None:
        self.policy, self.file, self.case, self.now = policy, file, case, now
        self.membership: Membership = {
            group: frozenset(file.person_called(one).id for one in members)
            for group, members in file.groups.items()
            if group not in case.unanswered
        }
        request = case.request
        self.ask = Ask(
            cluster=request.cluster,
            level=request.level,
            namespaces=request.namespaces,
            duration=request.duration,
            start_at=request.at,
            ticket=request.ticket,
            reason=request.reason,
            whole_cluster=request.whole_cluster,
        )
        self.requester = file.person_called(case.person)
        self.usage = {rule: Spent(used.times, used.length) for rule, used in case.used.items()}
        if case.revoked:
            self.usage[ANY_RULE] = Spent(revoked=case.revoked)
        waited = case.review.waited if case.review is not None else None
        after = case.later_review.after if case.later_review is not None else None
        self.asked_at = now - (waited or after or timedelta())

    def came(self) -> Came:
        asked = self._asked()
        if self.case.review is not None:
            return self._reviewed(asked, self.case.review)
        if self.case.later_review is not None:
            return self._reviewed_later(asked)
        return asked

    def _asked(self) -> Came:
        decision, entry = self._decided()
        if not decision.allowed:
            return Came("refused", decision.reasons, decision)
        cluster = self.policy.clusters_by_name[self.ask.cluster]
        try:
            principal = principal_for(self.policy, self.requester, cluster).arn
        except Refused as error:
            return Came("refused", (Reason(error.code, error.sentence),), decision)
        outcome = "automatic" if decision.automatic else "approval"
        return Came(outcome, decision.reasons, decision, principal, entry)

    def _decided(self) -> tuple[Decision, BreakGlass | None]:
        if self.case.break_glass:
            return evaluate_break_glass(
                self.policy,
                self.ask,
                self.requester,
                self.membership,
                self._on_call(),
                team_id=TEAM,
                overdue=self.case.overdue,
                live=self.case.live,
            )
        decision = evaluate(
            self.policy,
            self.ask,
            self.requester,
            self.membership,
            self.asked_at,
            team_id=TEAM,
            usage=self.usage,
        )
        return decision, None

    def _on_call(self) -> OnCallFacts:
        told = self.case.on_call if self.case.on_call is not None else self.file.on_call
        facts = {}
        for service, schedules in schedules_for(self.policy, self.ask):
            people = told.get(service)
            if people is None:
                continue
            named = () if people == _DOWN else people
            facts[service, schedules] = OnCall(
                emails=frozenset(one.lower() for one in named if "@" in one),
                ids=frozenset(one for one in named if "@" not in one),
                available=people != _DOWN,
            )
        return facts

    def _request(self, asked: Came) -> AccessRequest:
        """The request as it is stored when it is made. Needs one that was allowed."""
        decision = asked.decision
        if decision is None or decision.access is None or asked.principal is None:
            raise ValueError("the request is refused, so there is nothing to review")
        return AccessRequest(
            id=_ID,
            requester=self.requester.id,
            requester_name=self.requester.name,
            cluster=self.policy.clusters_by_name[self.ask.cluster],
            level=self.ask.level,
            namespaces=tuple(sorted(set(self.ask.namespaces))),
            duration=decision.duration,
            reason=self.ask.reason,
            ticket=self.ask.ticket,
            start_at=self.ask.start_at,
            principal=Principal(asked.principal),
            access=decision.access,
            rules=decision.rules,
            requirements=decision.requirements,
            created_at=self.asked_at,
            lapses_at=self.asked_at + decision.lapse_after,
            break_glass=self.case.break_glass,
        )

    def _reviewed(self, asked: Came, review: CaseReview) -> Came:
        if asked.outcome == "refused":
            return asked
        request = self._request(asked)
        clicker = self.file.person_called(review.by)
        delegations = tuple(
            Delegation(
                number,
                self.file.person_called(one.owner).id,
                self.file.person_called(one.deputy).id,
                self.now - one.ago,
                self.now - one.ago + one.lasts,
            )
            for number, one in enumerate(review.deputies)
        )
        decision = may_review(
            self.policy,
            request,
            clicker,
            self._principal_of(clicker, request),
            self.membership,
            self.now,
            team_id=TEAM,
            delegations=delegations,
            usage=self.usage,
            break_glass=asked.decision if self.case.break_glass else None,
        )
        words = [*review.approved_by, *([review.by] if decision.allowed else ())]
        parts: tuple[Requirement, ...] = decision.requirements or request.requirements
        seats = {
            person.id: reviewer_seats(
                self.policy,
                request,
                person.id,
                parts,
                membership=self.membership,
                delegations=delegations,
                now=self.now,
            )
            for person in map(self.file.person_called, words)
        }
        return Came(
            "allowed" if decision.allowed else "refused",
            decision.reasons,
            asked.decision,
            asked.principal,
            counts_for=decision.rules,
            enough=not unmet(parts, seats),
        )

    def _principal_of(self, person: Person, request: AccessRequest) -> str | None:
        try:
            return principal_for(self.policy, person, request.cluster).arn
        except Refused:
            return None

    def _reviewed_later(self, asked: Came) -> Came:
        later = self.case.later_review
        if asked.outcome == "refused" or asked.entry is None or later is None:
            return asked
        request = self._request(asked)
        clicker = self.file.person_called(later.by)
        refusal = may_post_review(
            self.policy,
            request,
            post_review_of(asked.entry, request.id, self.asked_at),
            clicker,
            possible_principals(self.policy, clicker, request.cluster),
            membership=self.membership,
            now=self.now,
            team_id=TEAM,
        )
        outcome = "allowed" if refusal is None else "refused"
        reasons = () if refusal is None else (refusal,)
        return Came(outcome, reasons, asked.decision, asked.principal, asked.entry)


def _differences(expected: Expected, came: Came) -> Iterator[str]:
    said = " ".join(reason.sentence for reason in came.reasons)
    codes = [reason.code for reason in came.reasons]
    if came.outcome != expected.outcome:
        why = f" ({listed(codes, 'and')}): {said}" if codes else ""
        yield f"expected {expected.outcome}, and it is {came.outcome}{why}"
    if expected.code is not None and expected.code not in codes:
        yield f"expected the reason {expected.code}, and it is {listed(codes, 'and') or 'none'}"
    if expected.says is not None and expected.says not in said:
        yield f"expected it to say {expected.says!r}, and it says {said!r}"
    if came.decision is not None:
        yield from _of_decision(expected, came.decision)
    yield from _other("principal", expected.principal, came.principal)
    yield from _other("counts_for", expected.counts_for, came.counts_for)
    yield from _other("enough", expected.enough, came.enough)


def _of_decision(expected: Expected, decision: Decision) -> Iterator[str]:
    yield from _other("rules", expected.rules, decision.rules)
    for name in ("duration", "max_duration", "lapse_after"):
        wanted, is_ = getattr(expected, name), getattr(decision, name)
        if wanted is not None and wanted != is_:
            yield f"expected {name} {format_duration(wanted)}, and it is {format_duration(is_)}"
    access = decision.access.policy_arn if decision.access is not None else None
    groups = sorted(decision.access.kubernetes_groups) if decision.access is not None else []
    given = ", ".join(filter(None, [(access or "").rpartition("/")[2], *groups]))
    yield from _other("access", expected.access, given)
    yield from _other("shown_in", expected.shown_in, decision.shown_in)
    yield from _other("ends_with_ticket", expected.ends_with_ticket, decision.ends_with_ticket)
    if expected.requires is not None:
        yield from _of_requirements(expected.requires, decision.requirements)


def _of_requirements(
    expected: tuple[ExpectedPart, ...], requirements: tuple[Requirement, ...]
) -> Iterator[str]:
    keys = [f"{one.rule} / {one.part}" if one.part else one.rule for one in expected]
    found = [one.key for one in requirements]
    if keys != found:
        yield f"expected the approvals {listed(keys, 'and')}, and they are {listed(found, 'and')}"
        return
    for key, wanted, one in zip(keys, expected, requirements, strict=True):
        yield from _other(f"{key}: required", wanted.required, one.required)
        yield from _other(f"{key}: channel", wanted.channel, one.channel)
        owners = {*one.owners.users, *one.owners.groups}
        if wanted.owners is not None and set(wanted.owners) != owners:
            named = listed(sorted(owners), "and")
            yield f"expected {key}: owners {listed(wanted.owners, 'and')}, and they are {named}"


def _other(what: str, wanted: object, is_: object) -> Iterator[str]:
    if wanted is not None and wanted != is_:
        yield f"expected {what} {_shown(wanted)}, and it is {_shown(is_)}"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return listed(map(str, value), "and") or "none"
    return str(value) if value not in (None, "") else "none"
