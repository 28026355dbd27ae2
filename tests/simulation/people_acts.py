"""What people do: they ask, click, type, return, and are let into groups or put out of them."""

from __future__ import annotations

from typing import Any

from bot.access import end, lockdown
from bot.core.errors import Conflict
from bot.core.model import EndReason
from bot.sandbox import payloads
from tests.simulation.life import Life, act
from tests.simulation.scene import Json
from tests.simulation.shadow import Violation


@act("ask")
def ask(  # noqa: PLR0917 - the words of the command, in its order
    life: Life, who: str, cluster: str, level: str, namespaces: list[str], minutes: int
) -> None:
    """Type the command that asks for access."""
    where = _where(namespaces)
    line = f"request {cluster} {level} {where}--for {minutes}m a stuck job"
    life.oracle.said[(who, "ask", None)] += 1
    _command(life, who, line)


@act("break glass")
def break_glass(  # noqa: PLR0917 - the words of the command, in its order
    life: Life, who: str, cluster: str, level: str, namespaces: list[str], minutes: int
) -> None:
    """Type the command of those who are on call."""
    where = _where(namespaces)
    life.oracle.said[(who, "break glass", None)] += 1
    _command(life, who, f"break-glass {cluster} {level} {where}--for {minutes}m all is down")


def _where(namespaces: list[str]) -> str:
    return f"-n {','.join(namespaces)} " if namespaces else "--whole-cluster "


@act("type")
def typed(life: Life, what: str, who: str, number: int) -> None:
    """Type a command about a request: approve, deny, cancel, return, revoke, review."""
    request_id = life.request_id(number)
    if request_id is not None:
        life.oracle.said[(who, what, request_id)] += 1
        more = {"deny": " not now", "review": " justified restarted what hung"}
        _command(life, who, f"{what} {request_id}{more.get(what, '')}")


@act("extend")
def extend(life: Life, who: str, number: int, minutes: int) -> None:
    """Ask for more time."""
    request_id = life.request_id(number)
    if request_id is not None:
        life.oracle.said[(who, "extend", request_id)] += 1
        _command(life, who, f"extend {request_id} {minutes}m still stuck")


@act("click")
def click(life: Life, what: str, who: str, number: int) -> None:
    """Click a button that acts at once, on whatever copy of the message there is."""
    request_id = life.request_id(number)
    if request_id is None:
        return
    life.oracle.said[(who, what, request_id)] += 1
    person = life.slack.people[who]
    channel = life.slack.open_dm(who)
    address, _ = life.urls.new(who, channel.id, None)
    action = {
        "type": "button",
        "action_id": what,
        "block_id": "decide",
        "value": request_id,
        "text": {"type": "plain_text", "text": what},
        "action_ts": life.slack.new_ts(),
    }
    body = payloads.block_actions(
        life.slack,
        person,
        {"container": {"type": "message", "channel_id": channel.id}, "channel": {"id": channel.id}},
        action=action,
        trigger_id=life.slack.new_trigger(who),
        response_url=address,
    )
    _send(life, body)


@act("submit")
def submit(life: Life, what: str, who: str, number: int) -> None:
    """Send the form of a denial or an extension, forged or not."""
    request_id = life.request_id(number)
    if request_id is None:
        return
    life.oracle.said[(who, what, request_id)] += 1
    text = {"type": "plain_text_input", "value": "not now"}
    option = {"value": "30m", "text": {"type": "plain_text", "text": "30 min"}}
    values: Json = {"reason": {"reason": text}}
    if what == "extend":
        values["duration"] = {"duration": {"type": "static_select", "selected_option": option}}
    body = {
        "type": "view_submission",
        "team": {"id": life.slack.team.id, "domain": life.slack.team.domain},
        "user": payloads.user(life.slack.people[who]),
        "api_app_id": life.slack.app.id,
        "trigger_id": life.slack.new_trigger(who),
        "view": {
            "id": "V01",
            "type": "modal",
            "callback_id": what,
            "private_metadata": request_id,
            "state": {"values": values},
        },
    }
    _send(life, body)


@act("again")
def again(life: Life) -> None:
    """The last payload comes once more: sent again by Slack, or replayed."""
    if life.last_payload is not None:
        _send(life, life.last_payload)


@act("operator revokes")
def operator_revokes(life: Life, number: int) -> None:
    """`eks-access revoke` ends a grant, as the command line does."""
    request_id = life.request_id(number)
    known = request_id is not None and request_id in life.oracle.now.grants
    if not known or life.stage.troubles.kind is not None:
        return
    life.oracle.said[("operator", "revoke", request_id)] += 1
    try:
        with life.operators.transaction() as tx:
            end.revoke(tx, request_id, EndReason.REVOKED, "operator", life.clock())
    except Conflict:
        return


@act("lockdown")
def lock_down(life: Life, on: bool, revoking: bool) -> None:
    """`eks-access lockdown on` or `off`; `revoking` ends what is live, too."""
    now = life.clock()
    if life.stage.troubles.kind is not None:
        return  # as the command says
    try:
        with life.operators.transaction() as tx:
            if on:
                lockdown.begin(tx, by="operator", reason="an alarm", revoking=revoking, now=now)
            else:
                lockdown.end(tx, by="operator", now=now)
    except Conflict:
        return
    life.oracle.locked_down = on
    life.oracle.said[("operator", "revoke", None)] += on and revoking
    life.counts[f"met: lockdown {'on' if on else 'off'}"] += 1


@act("person")
def person(life: Life, who: str, what: str) -> None:
    """Slack says something else of somebody: deactivated, a guest, or a member again."""
    fields = {
        "deactivated": {"deleted": True},
        "guest": {"is_restricted": True},
        "member": {"deleted": False, "is_restricted": False},
    }[what]
    life.slack.change_person(who, **fields)


@act("group")
def group(life: Life, group_id: str, users: list[str]) -> None:
    """A user group gets other members."""
    life.slack.set_group(group_id, users)


@act("group gone")
def group_gone(life: Life, group_id: str, gone: bool) -> None:
    """A user group is disabled, or enabled again."""
    life.slack.disable_group(group_id, disabled=gone)


def _command(life: Life, who: str, text: str) -> None:
    person = life.slack.people[who]
    channel = life.slack.open_dm(who)
    address, _ = life.urls.new(who, channel.id, None)
    body = payloads.command(
        life.slack,
        person,
        channel,
        name="/eks-access",
        text=text,
        response_url=address,
        trigger_id=life.slack.new_trigger(who),
    )
    _send(life, body)


def _send(life: Life, payload: Json) -> None:
    """Hand the payload over; what is acknowledged as taken is stored (invariants 8 and 9)."""
    life.last_payload = payload
    calls, asked = life.stage.slack_transport.calls, len(life.eks.calls)
    answer: Any = None
    with life.work_of_the_bot():
        answer = life.process.dispatch(payload)
    if answer is None:
        return  # it crashed, and Slack has no acknowledgement
    if answer.status != 200:
        raise Violation(9, f"no acknowledgement: {answer.status} {answer.body}")
    if life.stage.slack_transport.calls != calls or len(life.eks.calls) != asked:
        raise Violation(9, "the acknowledgement waited for Slack or for AWS")
    process = life.process
    with life.work_of_the_bot():
        process.afterwards()
    # A click has no room for an answer in its acknowledgement: that comes afterwards.
    told = answer.body or life.stage.slack_transport.calls != calls
    if life.process is process and not told and not life.reader.taken(payload["trigger_id"]):
        raise Violation(9, f"acknowledged, and not stored: {payload}")
