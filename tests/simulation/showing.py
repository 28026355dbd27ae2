"""Does Slack show the truth? Read as a person would: the newest copy of each request's messages."""

from __future__ import annotations

import re
from collections.abc import Collection

from bot.sandbox.slack_admin import ManagedWorkspace
from bot.sandbox.slack_shown import Message
from tests.simulation.scene import AUDIT
from tests.simulation.shadow import Violation
from tests.simulation.store_reading import GrantRow, RequestRow, Snapshot

_ALARM = re.compile(
    r"its removal is \*late by |has confirmed the removal, \*|There are no more alarms\."
)
_DIRECT = {
    "PENDING": "Nothing is granted yet",
    "DENIED": "denied",
    "CANCELLED": "took back",
    "LAPSED": "Nobody decided",
    "ACTIVE": "is active until",
    "ENDED": "has ended",
    "FAILED": "could not be given",
    "EXTENDED": "goes on: it was extended",
}
_OF_EXTENSION = {
    "PENDING": "The access you have ends when",
    "ACTIVE": "is extended until",
    "FAILED": "could not be extended",
}


def verify_slack(
    snapshot: Snapshot,
    slack: ManagedWorkspace,
    posted: Collection[tuple[str, str]],
    *,
    audit_known: bool,
    clock_went_back: bool,
    unproven: Collection[str],
) -> None:
    """Each card and direct message shows the state that the store has. Raises Violation.

    `audit_known`: there was a policy in force all the time, which names the audit channel. A
    process that never had one cannot know where to post the cards of automatic requests, nor of
    one that was posted as the last process died; `posted` are those stored, as (request, channel).
    Where
    `clock_went_back`, what was written of an end that seemed to have passed stands until it does.
    Of access to clusters that are gone, and `unproven` to be so, nothing need be shown yet.
    """
    for request in snapshot.requests.values():
        if request.cluster in unproven:
            continue
        state = _state(request, snapshot.grants.get(request.id))
        if state in {"ACTIVE", "PENDING"} and clock_went_back:
            continue
        for channel in request.channels or (AUDIT,):
            if request.channels or audit_known or (request.id, channel) in posted:
                _verify(slack, channel, request, f"*{state}*")
        direct = slack.dm(request.requester)
        if direct is None:
            raise Violation("cards", f"nothing was written to {request.requester}")
        if not slack.people[request.requester].deleted:
            extension = _OF_EXTENSION if request.extends is not None else {}
            _verify(slack, direct.id, request, (_DIRECT | extension)[state])
    if slack.rejections:
        raise Violation("cards", f"Slack would reject what was sent: {slack.rejections[0]}")


def _state(request: RequestRow, grant: GrantRow | None) -> str:
    if grant is None:
        return request.state
    if grant.state != "ENDED":
        return grant.state
    return {"failed": "FAILED", "superseded": "EXTENDED"}.get(str(grant.reason), "ENDED")


def _verify(slack: ManagedWorkspace, channel: str, request: RequestRow, shown: str) -> None:
    roots = _roots(slack, channel, request)
    if not roots:
        raise Violation("cards", f"{channel} has no message about {request.id} ({request.state})")
    if shown not in roots[-1].all_text:
        raise Violation(
            "cards", f"{channel} does not say {shown!r} of {request.id}: {roots[-1].all_text!r}"
        )


def _roots(slack: ManagedWorkspace, channel: str, request: RequestRow) -> list[Message]:
    """The messages of a request that stand in a channel by themselves, the oldest first.

    Without alarms about a removal that is late, which are messages of their own.
    """
    return [
        one
        for one in slack.messages[channel]
        if one.thread_ts in (None, one.ts)
        and one.ephemeral_to is None
        and f"req {request.id}" in one.all_text
        and not _ALARM.search(one.all_text)
    ]
