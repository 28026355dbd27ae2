"""The forms of break-glass as Slack views: breaking it, and reviewing it afterwards.

What a form offers is a help and no rule: what comes back is read as something anybody could have
made up, and the policy decides.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.access.post_review import LONGEST
from bot.core.ask_checks import MOST_REASON_LETTERS
from bot.core.durations import format_duration
from bot.core.glass_choices import GlassChoices
from bot.core.model import AccessRequest, Grant
from bot.slack import blocks, inputs, phrases
from bot.slack.blocks import Block, View
from bot.slack.fields import cluster_field, level_field
from bot.slack.text import listed, mention_channel, safe

BREAK_GLASS_CALLBACK = "break_glass"
REVIEW_CALLBACK = "review"


def glass_modal(choices: GlassChoices, instead_of: str | None) -> View:
    """The form, filled in with what was entered, and what will be told and owed.

    `private_metadata` holds the id of the waiting request that it takes the place of, if it does;
    whose that is, is decided from the store when the answer comes.
    """
    shown = [
        blocks.section(
            "break-glass",
            ":rotating_light: *Access at once, without an approval.* For when waiting does harm.",
        ),
        cluster_field(choices.clusters, choices.cluster),
    ]
    if choices.cluster is not None:
        shown += _level(choices)
    if choices.level is not None:
        shown.append(blocks.context("allows", *_allows(choices)))
        if not choices.level.only_cluster:
            element = inputs.text(
                "namespaces", ", ".join(choices.entered.namespaces), inputs.NAMESPACES_LIMIT
            )
            hint = "With commas between."
            entered = choices.entered
            shown += [
                inputs.field("namespaces", "Namespaces", element, hint=hint, optional=True),
                inputs.whole_cluster(entered.cluster, entered.level, ticked=entered.whole_cluster),
            ]
        durations = inputs.durations(choices.max_duration, choices.entered.duration)
        offered = [option["value"] for option in durations["options"]]
        shown.append(inputs.field(inputs.marked("duration", *offered), "For how long", durations))
    reason = inputs.text("reason", choices.entered.reason, MOST_REASON_LETTERS, multiline=True)
    shown += [
        inputs.field(
            "reason", "What is wrong?", reason, hint="Everybody who is told reads this now."
        ),
        blocks.section("told", *_told(choices)),
    ]
    return blocks.modal(
        BREAK_GLASS_CALLBACK,
        "Break glass",
        shown,
        submit="Break glass",
        private_metadata=instead_of,
    )


def review_modal(request: AccessRequest, grant: Grant, names: Mapping[str, str]) -> View:
    """What was done, and was it justified? Both are required.

    `private_metadata` holds the request id, to know which break-glass is meant; who may review it,
    and whether it has been, is decided from the store when the answer comes.
    """
    who = phrases.person(request.requester, names)
    shown = [
        blocks.section(
            "request",
            f"{who} had {phrases.subject(request)} by break-glass "
            f"for {format_duration(request.duration)}.",
            f"Ended {phrases.removal(grant)}.",
        ),
        blocks.quote("asked", request.reason),
        inputs.field(
            "findings",
            "What was done?",
            inputs.text("findings", "", LONGEST, multiline=True),
            hint="It stays on record; CloudTrail and the cluster's audit log show what was called.",
        ),
        inputs.field(
            "justified",
            "Was it justified?",
            {
                "type": "radio_buttons",
                "action_id": "justified",
                "options": [
                    blocks.option("Justified", "justified"),
                    blocks.option("Not justified", "unjustified"),
                ],
            },
        ),
    ]
    return blocks.modal(
        REVIEW_CALLBACK, "Review", shown, submit="Record it", private_metadata=request.id
    )


def _level(choices: GlassChoices) -> list[Block]:
    levels = inputs.choosable(choices.levels)
    if not levels:
        return [blocks.context("none", "Break-glass gives you no level there.")]
    return [level_field(levels, choices.entered.cluster, choices.entered.level)]


def _allows(choices: GlassChoices) -> list[str]:
    if choices.cluster is None or choices.level is None:
        return []
    names = choices.entered.namespaces
    ticked = choices.entered.whole_cluster
    open_place = not names and not ticked and not choices.level.only_cluster
    place = "in the whole cluster, or in the namespaces you name" if open_place else None
    return phrases.allows(choices.level.access(choices.cluster, names), place)


def _told(choices: GlassChoices) -> list[str]:
    if choices.cluster is None:
        return ["Security and the owners of the cluster are told at once, and a review is owed."]
    places = listed([mention_channel(channel) for channel in choices.told], 5)
    name = safe(choices.cluster.name, 110)
    return [
        f"*Security and the owners of {name} are told now*, in {places}. "
        f"A review by somebody else is due within {format_duration(choices.within)}."
    ]
