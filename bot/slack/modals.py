"""Modals as Slack views: the request form, the reason for a denial, and a sentence to read.

What a modal offers is a help and no rule: `bot.slack.submissions` reads what comes back as
something anybody could have made up, and the policy decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.core.durations import LONGEST, compact_duration, format_duration
from bot.core.model import AccessRequest, Ask, Grant
from bot.slack import blocks, phrases
from bot.slack.blocks import OPTION_VALUE_LIMIT, OPTIONS, Block, View
from bot.slack.text import date, plain, size

REQUEST_CALLBACK = "request"
DENY_CALLBACK = "deny"
EXTEND_CALLBACK = "extend"
NOTICE_CALLBACK = "notice"
LOADING_CALLBACK = "loading"

REASON_LIMIT = 3000
TICKET_LIMIT = 100
NAMESPACES_LIMIT = 3000

_STEPS = (
    *(timedelta(minutes=minutes) for minutes in (15, 30)),
    *(timedelta(hours=hours) for hours in (1, 2, 4, 8, 12)),
    *(timedelta(days=days) for days in (1, 2, 3, 7)),
)


@dataclass(frozen=True, slots=True)
class Choices:
    """What the request form offers.

    `namespaces` are offered as a list where they are few and exact names; otherwise they are typed.
    `max_duration` is the longest that any rule may allow, `duration` what is chosen at first.
    """

    clusters: tuple[str, ...]
    levels: tuple[str, ...]
    max_duration: timedelta
    duration: timedelta | None = None
    namespaces: tuple[str, ...] = ()


def request_modal(
    choices: Choices,
    *,
    state: Ask | None = None,
    errors: Mapping[str, str] | None = None,
) -> View:
    """The request form, filled in with `state`, with `errors` (block id → sentence) on top.

    Up to 100 clusters are a list; more are searched for, which asks `block_suggestion` with the
    action id `cluster`.
    """
    clusters = _choosable(choices.clusters)
    levels = _choosable(choices.levels)
    if not clusters or not levels:
        return notice_modal("The policy names no cluster and level that could be asked for here.")
    shown: list[Block] = [
        blocks.sentence(f"error:{field}", sentence) for field, sentence in (errors or {}).items()
    ][:10]
    shown += [
        _input("cluster", "Cluster", _cluster_element(clusters, state)),
        _input("level", "Level", _select("level", levels[:OPTIONS], state.level if state else "")),
        _namespaces_input(choices.namespaces, state),
        _input("duration", "For how long", _duration_element(choices, state)),
        _input(
            "reason",
            "Reason",
            _text("reason", state.reason if state else "", REASON_LIMIT, multiline=True),
            hint="The people who decide read this.",
        ),
        _input(
            "ticket",
            "Ticket",
            _text("ticket", (state.ticket or "") if state else "", TICKET_LIMIT),
            optional=True,
        ),
    ]
    if len(levels) > OPTIONS:
        shown.append(
            blocks.context("more", "Not every level fits here: `/eks-access request` takes all.")
        )
    return blocks.modal(REQUEST_CALLBACK, "Ask for access", shown, submit="Ask")


def cluster_options(query: str, names: Sequence[str], limit: int = OPTIONS) -> list[Block]:
    """The clusters to suggest for `query`: names that begin with it, then those that hold it.

    Slack takes at most 100.
    """
    wanted = plain(query, 100).lower()
    found = [name for name in _choosable(names) if wanted in name.lower()]
    found.sort(key=lambda name: (not name.lower().startswith(wanted), name))
    return [blocks.option(name, name) for name in found[: min(limit, OPTIONS)]]


def deny_modal(request: AccessRequest, names: Mapping[str, str]) -> View:
    """Why not? The reason is required.

    `private_metadata` holds the request id, to know which request is meant; who may deny it, and
    whether it can be denied, is decided from the store when the answer comes.
    """
    shown = [
        blocks.section(
            "request", f"{phrases.subject(request)} for {phrases.person(request.requester, names)}"
        ),
        blocks.quote("asked", request.reason),
        _input(
            "reason",
            "Why not?",
            _text("reason", "", REASON_LIMIT, multiline=True),
            hint="The requester reads this, in your words.",
        ),
    ]
    return blocks.modal(DENY_CALLBACK, "Deny", shown, submit="Deny", private_metadata=request.id)


def extend_modal(request: AccessRequest, grant: Grant, longest: timedelta) -> View:
    """How much longer, and why? `longest` is what the rules may still allow.

    `private_metadata` holds the request id, to know which access is meant; whose it is, and whether
    it can be extended, is decided from the store when the answer comes.
    """
    ends = f"{phrases.subject(request)} is active until {date(grant.ends_at)}."
    shown = [
        blocks.section("access", ends, "The rules that gave it decide about more time."),
        _input("duration", "How much longer?", _durations(longest, None)),
        _input(
            "reason",
            "Why?",
            _text("reason", "", REASON_LIMIT, multiline=True),
            hint="Left empty, the reason you gave before stands.",
            optional=True,
        ),
    ]
    title = "Extend your access"
    return blocks.modal(EXTEND_CALLBACK, title, shown, submit="Ask", private_metadata=request.id)


def loading_modal() -> View:
    """Opened at once, because a trigger lives three seconds; replaced when the data is there."""
    shown = [blocks.section("loading", "Loading…")]
    return blocks.modal(LOADING_CALLBACK, "Ask for access", shown)


def notice_modal(sentence: str) -> View:
    """One sentence to read, which may quote what somebody typed."""
    return blocks.modal(NOTICE_CALLBACK, "EKS access", [blocks.sentence("notice", sentence)])


def _choosable(names: Sequence[str]) -> list[str]:
    """The names that an option can hold, each once, in their order."""
    every = dict.fromkeys(name for name in names if name)
    return [name for name in every if size(name) <= OPTION_VALUE_LIMIT]


def _cluster_element(clusters: list[str], state: Ask | None) -> Block:
    chosen = state.cluster if state else ""
    if len(clusters) <= OPTIONS:
        return _select("cluster", clusters, chosen)
    element: Block = {
        "type": "external_select",
        "action_id": "cluster",
        "placeholder": blocks.plain_text("Type a part of its name", 150),
        "min_query_length": 0,
    }
    if chosen in clusters:
        element["initial_option"] = blocks.option(chosen, chosen)
    return element


def _select(action: str, names: Sequence[str], chosen: str) -> Block:
    options = [blocks.option(name, name) for name in names]
    element: Block = {"type": "static_select", "action_id": action, "options": options}
    initial = [option for option in options if option["value"] == chosen]
    if initial or len(options) == 1:
        element["initial_option"] = (initial or options)[0]
    return element


def _namespaces_input(offered: Sequence[str], state: Ask | None) -> Block:
    chosen = state.namespaces if state else ()
    hint = "Leave it empty to ask for the whole cluster."
    listable = _choosable(offered)
    exact = len(listable) == len(set(offered)) <= OPTIONS and not any(
        "*" in one for one in listable
    )
    if not listable or not exact or not set(chosen) <= set(listable):
        element = _text("namespaces", ", ".join(chosen), NAMESPACES_LIMIT)
        return _input(
            "namespaces", "Namespaces", element, hint=f"With commas between. {hint}", optional=True
        )
    options = [blocks.option(name, name) for name in listable]
    element = {"type": "multi_static_select", "action_id": "namespaces", "options": options}
    initial = [option for option in options if option["value"] in chosen]
    if initial:
        element["initial_options"] = initial
    return _input("namespaces", "Namespaces", element, hint=hint, optional=True)


def _duration_element(choices: Choices, state: Ask | None) -> Block:
    chosen = (state.duration if state else None) or choices.duration
    return _durations(choices.max_duration, chosen)


def _durations(most: timedelta, chosen: timedelta | None) -> Block:
    longest = min(most, LONGEST)
    steps = {step for step in _STEPS if step < longest} | {longest}
    if chosen is not None and timedelta() < chosen <= longest:
        steps.add(chosen)
    options = {
        step: blocks.option(format_duration(step), compact_duration(step)) for step in sorted(steps)
    }
    initial = chosen if chosen in options else max(steps & {timedelta(hours=1)} or {min(steps)})
    return {
        "type": "static_select",
        "action_id": "duration",
        "options": list(options.values()),
        "initial_option": options[initial],
    }


def _text(action: str, value: str, limit: int, *, multiline: bool = False) -> Block:
    element: Block = {"type": "plain_text_input", "action_id": action, "max_length": limit}
    if multiline:
        element["multiline"] = True
    if value:
        element["initial_value"] = value[:limit]
    return element


def _input(
    block_id: str, label: str, element: Block, *, hint: str = "", optional: bool = False
) -> Block:
    block: Block = {
        "type": "input",
        "block_id": block_id,
        "label": blocks.plain_text(label, 2000),
        "element": element,
        "optional": optional,
    }
    if hint:
        block["hint"] = blocks.plain_text(hint, 2000)
    return block
