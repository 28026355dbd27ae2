"""The request form as a Slack view: what this person may choose, what it allows, who decides.

What the form offers is a help and no rule: `bot.slack.submissions` reads what comes back as
something anybody could have made up, and the policy decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.ask_checks import MOST_NAMESPACES, MOST_REASON_LETTERS, MOST_TICKET_LETTERS
from bot.core.choices import Choices, is_production
from bot.core.decide import requirements_of
from bot.core.durations import format_duration
from bot.core.model import Requirement
from bot.core.policy import Rule
from bot.core.policy_approval import Approval, Automatic
from bot.core.rule_choice import Spent
from bot.core.tickets import looks
from bot.slack import blocks, inputs, phrases
from bot.slack.blocks import OPTIONS, Block, View
from bot.slack.fields import cluster_field, level_field
from bot.slack.text import code, count, listed, mention_channel, plain, safe

REQUEST_CALLBACK = "request"
MOST_LISTED_NAMESPACES = 500
"""How many are offered as a list. A view holds 250,000 bytes, and this many long names half."""

_RULES_SHOWN = 10
_PATTERNS_SHOWN = 8
_PASSED_SHOWN = 5


def request_modal(choices: Choices, requester: str) -> View:
    """The request form for the Slack user id `requester`, filled in with what was entered.

    What dispatches is `cluster`, `level` and, where the rules differ by namespace or hold at some
    times only, `namespaces`, `duration` and `start`.
    """
    shown = [cluster_field(choices.clusters, choices.cluster)]
    if choices.cluster is None:
        shown.append(
            blocks.context("next", "Levels, namespaces and durations follow from the cluster.")
        )
    else:
        if is_production(choices.cluster):
            name = safe(choices.cluster.name, 110)
            shown.append(
                blocks.section("production", f":warning: *Production:* *{name}* is in production.")
            )
        shown += _level(choices)
    if choices.level is not None:
        shown += [
            blocks.context("allows", *_allows(choices)),
            *_namespaces(choices),
            _duration(choices),
            _start(choices),
            blocks.section("decides", *_who_decides(choices, requester)),
            *_passed(choices),
        ]
    shown += [_reason(choices), _ticket(choices)]
    return blocks.modal(REQUEST_CALLBACK, "Ask for access", shown, submit="Ask")


def _level(choices: Choices) -> list[Block]:
    levels = inputs.choosable(choices.levels)
    if not levels:
        return [blocks.context("none", "No rule lets you ask for anything there.")]
    entered = choices.entered
    shown = [level_field(levels, entered.cluster, entered.level)]
    if len(levels) > OPTIONS:
        shown.append(
            blocks.context("more", "Not every level fits here: `/eks-access request` takes all.")
        )
    return shown


def _allows(choices: Choices) -> list[str]:
    level, cluster, names = choices.level, choices.cluster, choices.entered.namespaces
    if level is None or cluster is None:
        return []
    place = None
    if not names and not level.only_cluster and not choices.entered.whole_cluster:
        place = "in the namespaces you name"
        if choices.whole_cluster:
            place = "in the whole cluster, or in the namespaces you name"
    what = f"*{safe(choices.entered.level, 60)}* on *{safe(cluster.name, 110)}*:"
    return [what, *phrases.allows(level.access(cluster, names), place)]


def _namespaces(choices: Choices) -> list[Block]:
    level, names = choices.level, choices.entered.namespaces
    if level is None or level.only_cluster:
        return []
    listable = not choices.globs and not choices.whole_cluster
    tells = choices.hangs_on_namespaces
    block_id = inputs.marked(
        "namespaces",
        choices.entered.cluster,
        *choices.namespaces,
        "*",
        *choices.globs,
        "whole" if choices.whole_cluster else "part",
    )
    if listable and len(choices.namespaces) <= MOST_LISTED_NAMESPACES:
        element = inputs.many("namespaces", choices.namespaces, names, most=MOST_NAMESPACES)
        return [inputs.field(block_id, "Namespaces", element, tells=tells)]
    element = inputs.text("namespaces", ", ".join(names), inputs.NAMESPACES_LIMIT)
    hints = ["With commas between."]
    if choices.whole_cluster:
        hints.append("Any namespace may be named.")
    else:
        hints.append(f"Allowed: {_patterns((*choices.namespaces, *choices.globs))}.")
    if tells:
        hints.append("Enter shows who decides about them.")
    shown = [
        inputs.field(
            block_id,
            "Namespaces",
            element,
            hint=" ".join(hints),
            optional=choices.whole_cluster,
            tells=tells,
        )
    ]
    if choices.whole_cluster:
        entered = choices.entered
        shown.append(
            inputs.whole_cluster(
                entered.cluster, entered.level, ticked=entered.whole_cluster, tells=tells
            )
        )
    return shown


def _duration(choices: Choices) -> Block:
    element = inputs.durations(choices.max_duration, choices.entered.duration)
    offered = [option["value"] for option in element["options"]]
    block_id = inputs.marked("duration", *offered)
    return inputs.field(block_id, "For how long", element, tells=choices.hangs_on_time)


def _start(choices: Choices) -> Block:
    element = inputs.moment("start", choices.entered.start_at)
    hint = "Left empty, access starts once it is approved."
    return inputs.field(
        "start", "Start", element, hint=hint, optional=True, tells=choices.hangs_on_time
    )


def _who_decides(choices: Choices, requester: str) -> list[str]:
    rules = choices.rules
    if choices.shut:
        return ["*Nobody* can give it at that time, or for so long."]
    if choices.settled and not any(isinstance(rule.approval, Approval) for rule in rules):
        names = listed([f"*{safe(rule.name, 60)}*" for rule in rules], 3)
        return [
            f"*Automatic:* nobody has to approve. {names} gives it at once, for at most "
            f"{format_duration(choices.max_duration)}.",
            *filter(None, (_limits(rule, choices.spent(rule)) for rule in rules)),
        ]
    if choices.settled:
        most = f"At most {format_duration(choices.max_duration)}."
        first = "*Who decides:*" if len(rules) == 1 else "*Who decides:* every one of these."
        lines = [_decider(rule, requester) for rule in rules]
        return [f"{first} {lines[0]}", most] if len(rules) == 1 else [first, *lines, most]
    lines = [
        f"{_places(rule)}: {_decider(rule, requester)} At most "
        f"{format_duration(rule.max_duration)}."
        for rule in rules[:_RULES_SHOWN]
    ]
    more = len(rules) - len(lines)
    return [
        "*Who decides* hangs on the namespaces:",
        *lines,
        f"… and {count(more, 'more rule')}." if more else "",
    ]


def _passed(choices: Choices) -> list[Block]:
    """Why the rules that would come first do not decide."""
    why = [reason.sentence for reason in choices.passed[:_PASSED_SHOWN]]
    return [blocks.sentence("passed", " ".join(why))] if why else []


def _limits(rule: Rule, spent: Spent) -> str:
    """How much of what an automatic rule gives in 24 hours the person has had."""
    if not isinstance(rule.approval, Automatic):
        return ""
    caps = rule.approval.automatic
    had = []
    if caps.per_day is not None:
        had.append(f"{spent.times:,} of {count(caps.per_day, 'time')}")
    if caps.time_per_day is not None:
        length = format_duration(spent.length) if spent.length else "nothing"
        had.append(f"{length} of {format_duration(caps.time_per_day)}")
    if not had:
        return ""
    return f"Of *{safe(rule.name, 60)}* you have had {' and '.join(had)} in 24 hours."


def _decider(rule: Rule, requester: str) -> str:
    approval = rule.approval
    if not isinstance(approval, Approval):
        return f"nobody has to approve (rule *{safe(rule.name, 60)}*, automatic)."
    parts = requirements_of(rule.name, approval)
    name = f"(rule *{safe(rule.name, 60)}*)"
    if len(parts) == 1:
        verb = "approves" if approval.required == 1 else "approve"
        channel = mention_channel(approval.channel)
        return f"{_approvers(parts[0], requester)} {verb}, asked in {channel} {name}."
    asked = [
        f"{_approvers(part, requester)}{f' for {safe(part.part, 60)}' if part.part else ''} in "
        f"{mention_channel(part.channel)}"
        for part in parts
    ]
    return f"{listed(asked)} approve {name}."


def _approvers(part: Requirement, requester: str) -> str:
    number = "one" if part.required == 1 else str(part.required)
    return f"{number} of {phrases.owners(part.owners, requester)}"


def _places(rule: Rule) -> str:
    if rule.namespaces is None:
        return "The whole cluster"
    return listed([code(name, 70) for name in rule.namespaces], 3)


def _patterns(names: Sequence[str]) -> str:
    return listed([plain(name, 70) for name in names], _PATTERNS_SHOWN)


def _reason(choices: Choices) -> Block:
    element = inputs.text("reason", choices.entered.reason, MOST_REASON_LETTERS, multiline=True)
    return inputs.field(
        "reason", "Reason", element, hint="Whoever decides about it, or audits it, reads this."
    )


def _ticket(choices: Choices) -> Block:
    element = inputs.text("ticket", choices.entered.ticket or "", MOST_TICKET_LETTERS)
    needing = [rule for rule in choices.rules if rule.ticket is not None]
    forms = dict.fromkeys(filter(None, (rule.ticket_pattern for rule in needing)))
    wanted = listed([looks(form, plain) for form in forms], 3)
    who = listed([plain(rule.name, 60) for rule in needing], 3)
    if not needing:
        return inputs.field("ticket", "Ticket", element, optional=True)
    # Slack itself calls the field optional, because the reason may name the ticket.
    label = f"Ticket, required by {who} here or in the reason"
    return inputs.field("ticket", label, element, hint=f"It has to {wanted}.", optional=True)
