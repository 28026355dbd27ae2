"""`eks-access policy explain`: one request or break-glass, decided by a policy file alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from bot.cli_exit import FINDING, GOOD, Json, fail
from bot.cli_policy_input import Groups, loaded, members_in, moment_of
from bot.console_policy import Explained, explanation_json, explanation_text
from bot.core import names
from bot.core.break_glass import groups_for_break_glass, schedules_for
from bot.core.decide import groups_needed
from bot.core.durations import parse_duration
from bot.core.errors import InvalidInput, Refused
from bot.core.explain import (
    Explanation,
    assumed_membership,
    explain,
    explain_break_glass,
    groups_of_requesters,
)
from bot.core.ids import parse_id
from bot.core.model import Ask, Person
from bot.core.oncall import OnCall, OnCallFacts
from bot.core.policy import Policy
from bot.core.principals import principal_for
from bot.core.rule_choice import ANY_RULE, Spent

_HOME = "T0HOME"
_NONE = "none"
_DOWN = "down"


def explain_request(
    file: Path,
    *,
    user: Annotated[str, typer.Option(help="Who asks: a Slack user id.")],
    cluster: Annotated[str, typer.Option(help="The cluster's name.")],
    level: Annotated[str, typer.Option(help="The level asked for.")],
    namespace: Annotated[
        list[str] | None, typer.Option(help="A namespace; several times for several.")
    ] = None,
    whole_cluster: Annotated[
        bool, typer.Option("--whole-cluster", help="The whole cluster, not some namespaces.")
    ] = False,
    duration: Annotated[str | None, typer.Option("--for", help="How long: `2h`.")] = None,
    ticket: Annotated[str | None, typer.Option(help="The ticket.")] = None,
    at: Annotated[str | None, typer.Option(help="A later start: 2026-12-24T08:00Z.")] = None,
    reason: Annotated[str, typer.Option(help="The reason.")] = "Trying out the policy",
    break_glass: Annotated[
        bool, typer.Option("--break-glass", help="Without approval, as an emergency.")
    ] = False,
    member_of: Annotated[
        list[str] | None,
        typer.Option(help="A group the person is in; `none` for none. Several times for several."),
    ] = None,
    email: Annotated[str | None, typer.Option(help="Their confirmed email address.")] = None,
    on_call: Annotated[
        list[str] | None,
        typer.Option(help="Who is on call: `pagerduty:ID`, `pagerduty:EMAIL`, `pagerduty:down`."),
    ] = None,
    overdue: Annotated[
        list[str] | None, typer.Option(help="A review of theirs that is overdue, by its id.")
    ] = None,
    used: Annotated[
        list[str] | None,
        typer.Option(help="What a rule gave them in 24 hours: `lab readers=3` or `…=3,8h`."),
    ] = None,
    revoked: Annotated[
        str | None, typer.Option(help="Access of theirs there that others revoked lately, by id.")
    ] = None,
    groups: Groups = None,
    now: Annotated[str | None, typer.Option(help="When it is asked, if not now.")] = None,
    as_json: Json = False,
) -> None:
    """The decision on a request, and each reason, rule by rule. Exits 1 where it is refused."""
    try:
        ask = Ask(
            cluster=cluster,
            level=level,
            namespaces=tuple(one for given in namespace or () for one in given.split(",") if one),
            duration=parse_duration(duration) if duration is not None else None,
            start_at=moment_of(at, "--at"),
            ticket=ticket,
            reason=reason,
            whole_cluster=whole_cluster,
        )
        person = Person(names.check_user_id(user), _HOME, user, email, email_confirmed=True)
        member = _member_of(member_of)
        spent = dict(_spent(one) for one in used or ())
        if revoked is not None:
            spent[ANY_RULE] = Spent(revoked=parse_id(revoked))
    except InvalidInput as error:
        fail(error.sentence)
    policy = loaded(file)
    moment = moment_of(now, "--now") or datetime.now(UTC)
    needed = groups_for_break_glass(policy, ask) if break_glass else groups_needed(policy, ask)
    membership, assumed = assumed_membership(
        needed,
        user,
        asked=groups_of_requesters(policy, ask, break_glass=break_glass),
        member_of=member,
        known=members_in(groups),
    )
    said = _assumptions(assumed)
    if break_glass:
        facts, silent = _on_call(policy, ask, on_call or ())
        said += silent
        found = explain_break_glass(
            policy, ask, person, membership, facts, team_id=_HOME, overdue=tuple(overdue or ())
        )
    else:
        found = explain(policy, ask, person, membership, moment, team_id=_HOME, usage=spent)
    shown = _with_principal(
        policy, person, ask, found, now=moment, said=said, break_glass=break_glass
    )
    if as_json:
        typer.echo(json.dumps(explanation_json(shown), indent=2))
    else:
        typer.echo(explanation_text(shown))
    if found.decision is None:
        raise typer.Exit(2)
    raise typer.Exit(GOOD if shown.may_be_made else FINDING)


def _with_principal(
    policy: Policy,
    person: Person,
    ask: Ask,
    found: Explanation,
    *,
    now: datetime,
    said: Iterable[str],
    break_glass: bool,
) -> Explained:
    """The explanation with the IAM principal, as far as the words given tell it."""
    arn = problem = None
    cluster = policy.clusters_by_name.get(ask.cluster)
    assumed = tuple(said)
    by_map = person.id in policy.principals.users or policy.principals.template is None
    if found.decision is not None and found.decision.allowed and cluster is not None:
        if by_map or person.email is not None:
            try:
                arn = principal_for(policy, person, cluster).arn
            except Refused as error:
                problem = error.sentence
        else:
            words = "that their email address leads to an IAM principal. `--email` shows which."
            assumed = (*assumed, words)
    return Explained(
        ask=ask,
        user=person.id,
        now=now,
        break_glass=break_glass,
        explanation=found,
        assumed=assumed,
        principal=arn,
        principal_problem=problem,
    )


def _member_of(given: list[str] | None) -> frozenset[str] | None:
    """The groups somebody is in; None where nothing was said."""
    if given is None:
        return None
    return frozenset(
        one if one.startswith(("C", "G")) else names.check_group_id(one)
        for one in given
        if one != _NONE
    )


def _spent(text: str) -> tuple[str, Spent]:
    rule, _, amount = text.rpartition("=")
    times, _, length = amount.partition(",")
    if not rule or not times.isdecimal():
        fail(f"`--used {text}` is not understood. Write `--used 'lab readers=3'`, or `=3,8h`.")
    return rule, Spent(int(times), parse_duration(length) if length else timedelta())


def _on_call(policy: Policy, ask: Ask, given: Iterable[str]) -> tuple[OnCallFacts, list[str]]:
    """What each service asked says, by the options; and what had to be taken for granted."""
    people: dict[str, set[str]] = {}
    for one in given:
        service, colon, who = one.partition(":")
        if service not in ("pagerduty", "opsgenie") or not colon or not who:
            fail(f"`--on-call {one}` is not understood. Write for example `pagerduty:PXYZ789`.")
        people.setdefault(service, set()).add(who)
    facts: dict[tuple[str, tuple[str, ...]], OnCall] = {}
    said = []
    for service, schedules in sorted(schedules_for(policy, ask)):
        told = people.get(service)
        if told is None:
            said.append(f"that {service} answers and nobody is on call. `--on-call` says who is.")
        everybody = told or set()
        facts[service, schedules] = OnCall(
            emails=frozenset(one.lower() for one in everybody if "@" in one),
            ids=frozenset(one for one in everybody if "@" not in one) - {_DOWN, _NONE},
            available=_DOWN not in everybody,
        )
    return facts, said


def _assumptions(groups: Iterable[str]) -> list[str]:
    every = sorted(groups)
    have = "has" if len(every) == 1 else "have"
    named = names.listed(every, "and")
    return [f"that {named} {have} members enough. `--groups` says who they are."] if named else []
