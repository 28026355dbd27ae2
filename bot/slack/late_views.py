"""What people read of a removal that is late, and of an alarm that no channel took. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.core.durations import format_duration
from bot.core.gone import GONE_AFTER
from bot.core.model import AccessRequest, EndReason, Grant
from bot.core.removal import FIRST_DAY, by_hand, due, lag
from bot.reconcile import slack_errors
from bot.reconcile.late_removals import LateRemoval
from bot.slack import blocks, phrases
from bot.slack.blocks import Message
from bot.slack.cards import problem
from bot.slack.text import code, count, date, mention, mention_channel, safe
from bot.store.announcements import Announcement

_MOST_BY_HAND = 3


def late_alarm(late: LateRemoval) -> Message:
    """Whose access it is, how long it has outlived its end, why, and what can be done by hand."""
    request, grant = late.request, late.grant
    length = format_duration(late.late_by)
    text = (
        f":rotating_light: {_who(request)} may still have {phrases.subject(request)}: its removal "
        f"is *late by {length}*."
    )
    to_end = due(grant)
    lines = [f"It was to end {date(to_end, 'second')}."] if to_end else []
    again = f"This is alarm {late.number}; they go on until EKS confirms the removal."
    lines.append(f"The bot keeps trying. {again}")
    lines += _forgetting(late)
    name = safe(grant.cluster.name, 100)
    hand = (
        f"By hand, in account {safe(grant.cluster.account, 20)} ({name}). Look first: go on only "
        f"if the entry has the tag {code('eks-access:deployment')} of this bot."
    )
    return Message(
        text,
        [
            blocks.section("late", text, *lines),
            *problem(grant),
            blocks.section("hand", hand),
            blocks.commands("commands", *late.commands),
            _small(request),
        ],
    )


def _forgetting(late: LateRemoval) -> list[str]:
    """What becomes of access on a cluster that is not there any more, and what ends the alarms."""
    grant = late.grant
    forget = (
        "take it out of the policy file, then run "
        f"{code(f'eks-access forget {grant.id} --reason …')}."
    )
    if late.unknown_since is not None:
        return [
            f"AWS has not known this cluster since {date(late.unknown_since)}, in the right "
            f"account. If that is still so {date(late.unknown_since + GONE_AFTER)}, the access "
            f"ends with the cluster, and I'll say so. To end it now, {forget}"
        ]
    if late.late_by < FIRST_DAY:
        return []
    return [
        "After the first day there is one alarm a day. If the cluster, its account or the role "
        f"that reaches it is gone for good, {forget}"
    ]


def late_over(request: AccessRequest, grant: Grant) -> Message:
    """That a removal which was late is confirmed, with both times and what lies between."""
    to_end, ended = due(grant), grant.ended_at
    if grant.end_reason is EndReason.CLUSTER_GONE:
        return _over_with_cluster(request, grant)
    late_by = format_duration(lag(grant) or timedelta())
    text = (
        f":white_check_mark: {_who(request)} no longer has {phrases.subject(request)}: EKS has "
        f"confirmed the removal, *{late_by} late*."
    )
    times = ""
    if to_end is not None and ended is not None:
        times = f"It was to end {date(to_end, 'second')} and was gone {date(ended, 'second')}."
    return Message(text, [blocks.section("over", text, times), _small(request)])


def _over_with_cluster(request: AccessRequest, grant: Grant) -> Message:
    why = phrases.why_ending(grant, {})
    text = (
        f":white_check_mark: {_who(request)} no longer has {phrases.subject(request)}: {why}. "
        "There are no more alarms."
    )
    return Message(text, [blocks.section("over", text), _small(request)])


def unstored_alarm(late: Sequence[Grant], since: datetime, now: datetime) -> Message:
    """That access is past its end and cannot be removed, because the store takes no writes."""
    text = (
        ":rotating_light: My database has taken no writes since "
        f"{date(since, 'second')}, so I can't end access. "
        f"*{count(len(late), 'grant')} past the end* may still work:"
    )
    lines = [
        f"• {mention(one.requester)} on {safe(one.cluster.name, 100)}, "
        f"{code(one.principal_arn.rpartition(':')[2])}, late by {_late_by(one, now)} "
        f"({code(one.id)})"
        for one in late
    ]
    remedy = (
        "Whoever runs the bot has to get the database to take writes again; the bot's log has its "
        "error. I keep trying, and I'll remove the access within seconds once it works."
    )
    shown = late[:_MOST_BY_HAND]
    hand = f"Until then, remove it by hand, in each cluster's account (the first {len(shown)}):"
    commands = [
        line
        for one in shown
        for line in by_hand(one, [other for other in late if other.id != one.id], alone=False)
    ]
    return Message(
        text,
        [
            blocks.section("unstored", text),
            *blocks.sections("late", lines, most=2, rest="grant"),
            blocks.section("remedy", remedy),
            blocks.section("hand", hand),
            blocks.commands("commands", *commands),
        ],
    )


def instead_of_channel(alarm: Announcement) -> Message:
    """An alarm for people, with the reason why it comes to them."""
    line = f"You read this because {_silenced(alarm)} or name another channel in the policy file."
    return Message(alarm.text, [*alarm.blocks, blocks.context("instead", line)])


def _silenced(alarm: Announcement) -> str:
    """Why nothing is posted in a channel, and what would mend it."""
    channel = mention_channel(alarm.channel)
    match alarm.problem:
        case slack_errors.SHARED:
            return (
                f"{channel} is shared with another organisation, so I post nothing there. "
                "Stop sharing it,"
            )
        case slack_errors.LACKING:
            return (
                f"I lack {code('channels:read')} or {code('groups:read')}, so I cannot know who "
                f"reads {channel} and post nothing there. Give the app both scopes,"
            )
    return f"{channel} does not take messages ({safe(alarm.problem or 'refused', 60)}). Fix that,"


def _late_by(grant: Grant, now: datetime) -> str:
    to_end = due(grant)
    return format_duration(now - to_end) if to_end is not None else "0 min"


def _who(request: AccessRequest) -> str:
    return safe(request.requester_name, phrases.NAME_LIMIT)


def _small(request: AccessRequest) -> blocks.Block:
    return blocks.context("id", f"req {request.id} · {code(f'/eks-access status {request.id}')}")
