"""Access ends at the word of those who may end it, however much others ask who may not."""

from __future__ import annotations

from reading import (
    GENERAL,
    PAYMENTS,
    ask_payments,
    lab_entry,
    request_id,
    wait_card,
    wait_card_says,
    wait_told,
)
from sqlalchemy import insert, select

from bot.core.ids import ALPHABET
from bot.sandbox.stage import Stage
from bot.store.tables import audit_events, requests

COMMANDS = 300
LAB = "/eks-access request modern-access-lab view --namespace default --for 1h Looking"


def other_requests(stage: Stage, like: str, number: int) -> list[str]:
    """As many more requests, long denied. Returns their ids."""
    ids = [f"0{ALPHABET[one // 32]}{ALPHABET[one % 32]}-{like[4:]}" for one in range(number)]
    assert stage.bot is not None
    with stage.bot.database.transaction() as tx:
        row = dict(tx.execute(select(requests).where(requests.c.id == like)).mappings().one())
        rows = [row | {"id": one, "state": "DENIED", "messages_due_at": None} for one in ids]
        tx.execute(insert(requests), rows)
    return ids


def events(stage: Stage, *actions: str) -> list[int]:
    """The ids of these audit events, in the order in which they happened."""
    assert stage.bot is not None
    with stage.bot.database.reading() as tx:
        of_these = select(audit_events.c.id).where(audit_events.c.action.in_(actions))
        return list(tx.scalars(of_these.order_by(audit_events.c.id)))


def test_three_hundred_commands_of_one_person_delay_nobody_who_ends_access(stage: Stage) -> None:
    ana, ben, noa, iris = (
        stage.slack.human(one) for one in ("U01ANA", "U02BEN", "U08NOA", "U07IRIS")
    )
    ana.command(LAB, GENERAL)
    lab = str(wait_told(stage, ana, "is active until").button("return")["value"])
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    ben.click(card, "approve")
    wait_told(stage, ana, "aws eks update-kubeconfig --region eu-central-1")
    others = other_requests(stage, request_id(card), COMMANDS)
    stage.slack.faults.add("users.info", times=None, hold=True)
    for one in others:
        assert noa.command(f"/eks-access revoke {one}", GENERAL).acknowledged
    stage.slack.faults.clear()
    for method in ("users.info", "usergroups.users.list"):
        stage.slack.faults.add(method, times=None, delay=0.3)

    before = len(events(stage, "revoke.refused"))
    assert before < COMMANDS / 2, "the flood has to be there still"
    for who, typed in (
        (ben, f"revoke {request_id(card)} The incident is over"),
        (ana, f"return {lab}"),
        (iris, "lockdown on A laptop was stolen"),
    ):
        assert who.command(f"/eks-access {typed}", GENERAL).acknowledged
    stage.slack.wait(lambda: len(events(stage, "grant.revoking")) == 2, timeout=50)
    stage.slack.wait(lambda: len(events(stage, "lockdown.begun")) == 1, timeout=50)

    last = max(events(stage, "grant.revoking", "lockdown.begun"))
    ahead = sum(one < last for one in events(stage, "revoke.refused")) - before
    # While these wait for Slack, the flood is answered from what Slack told it a moment ago.
    assert ahead < COMMANDS / 2, "so many of the flood went ahead"
    assert stage.eks.wait_for(lambda: lab_entry(stage) is None, 25)


def test_who_asks_the_same_again_is_answered_without_a_look_at_slack(stage: Stage) -> None:
    ana, noa = stage.slack.human("U01ANA"), stage.slack.human("U08NOA")
    ask_payments(ana)
    card = wait_card(stage, stage.slack.human("U02BEN"), PAYMENTS)
    held = stage.slack.faults.add("users.info", times=1, hold=True)
    revoke = f"/eks-access revoke {request_id(card)}"
    noa.command(revoke, GENERAL)
    assert "on its way" in noa.command(revoke, GENERAL).text
    held.release()
    wait_told(stage, noa, "You own nothing", GENERAL)
    stage.slack.faults.add("usergroups.users.list", times=None, error="internal_error")
    for _ in range(10):
        assert "less than a minute ago" in noa.command(revoke, GENERAL).text
    assert stage.slack.faults.hit["usergroups.users.list"] == 0
    assert len(events(stage, "revoke.refused")) == 1


def test_who_was_just_refused_uses_up_no_more_of_what_slack_may_be_asked(stage: Stage) -> None:
    """Somebody who owns nothing asks about one request after the other; an approval needs a group.

    Of the twenty look-ups that Slack allows a minute, a revoke of these takes three.
    """
    ana, ben, noa = (stage.slack.human(one) for one in ("U01ANA", "U02BEN", "U08NOA"))
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    first, *others = other_requests(stage, request_id(card), 8)
    noa.command(f"/eks-access revoke {first}", GENERAL)
    wait_told(stage, noa, f"You own nothing that {first} reaches", GENERAL)
    asked = looked_up(stage)
    for one in others:
        noa.command(f"/eks-access revoke {one}", GENERAL)
        wait_told(stage, noa, f"You own nothing that {one} reaches", GENERAL)
    again = looked_up(stage) - asked
    assert again <= len(others), "three of each, or once in half a minute where this takes long"
    ben.click(card, "approve")
    wait_card_says(stage, card, "active until")
    assert looked_up(stage) > asked + again, "an approval is decided by what is new"


def test_who_came_into_a_group_is_not_refused_as_before(stage: Stage) -> None:
    ana, ben, noa = (stage.slack.human(one) for one in ("U01ANA", "U02BEN", "U08NOA"))
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    ben.click(card, "approve")
    wait_card_says(stage, card, "active until")
    revoke = f"/eks-access revoke {request_id(card)}"
    noa.command(revoke, GENERAL)
    wait_told(stage, noa, "You own nothing", GENERAL)
    stage.slack.add_to_group("S02PAYLEADS", "U08NOA")
    stage.slack.wait(lambda: heard(stage, "subteam_updated"))
    noa.command(revoke, GENERAL)
    wait_card_says(stage, card, "revoked by")


def heard(stage: Stage, event: str) -> bool:
    """Whether the bot has acknowledged an event of this type."""
    return any(one.type == event and one.acknowledged for one in stage.slack.deliveries)


def looked_up(stage: Stage) -> int:
    """How often Slack was asked who is in a user group."""
    with stage.slack.lock:
        return sum(call.method == "usergroups.users.list" for call in stage.slack.calls)
