"""Break-glass over the real protocols: access at once, an alarm, and a review by somebody else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from reading import (
    GENERAL,
    PATIENCE_SECONDS,
    PLATFORM,
    given,
    is_card,
    production_entry,
    request_id,
    revoke,
    wait_card,
    wait_card_says,
    wait_told,
    words,
)

from bot.sandbox.humans import Human
from bot.sandbox.slack_shown import Message
from bot.sandbox.stage import Stage, sandbox_policy
from bot.store import audit

SECURITY = "C0SECURITY"
ALL_OF_IT = {"AmazonEKSClusterAdminPolicy": ()}
COMMAND = "/eks-access break-glass prod-eu cluster-admin --for 30m The API server is down"
EDIT = "/eks-access break-glass prod-eu edit --namespace payments --for 30m A job is stuck"
HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture
def cleo(stage: Stage) -> Human:
    """On call, by PagerDuty."""
    return stage.slack.human("U03CLEO")


@pytest.fixture
def dan(stage: Stage) -> Human:
    """On call at the second level, which counts for nothing."""
    return stage.slack.human("U04DAN")


@pytest.fixture
def noa(stage: Stage) -> Human:
    """A responder at any time, by user group."""
    return stage.slack.human("U08NOA")


@pytest.fixture
def iris(stage: Stage) -> Human:
    """Security: she reviews."""
    return stage.slack.human("U07IRIS")


def alarm_after(stage: Stage, who: Human, line: str) -> Message:
    """Type the command, and wait for the card in the security channel."""
    known = len(cards(who))
    assert who.command(line, GENERAL).acknowledged
    stage.slack.wait(lambda: len(cards(who)) > known, PATIENCE_SECONDS)
    return cards(who)[known]


def break_glass(stage: Stage, who: Human, line: str = COMMAND) -> Message:
    """Break glass, and wait until the card says that EKS has it. Returns the card."""
    card = alarm_after(stage, who, line)
    wait_card_says(stage, card, "ACTIVE until")
    return card


def over(stage: Stage, who: Human) -> Message:
    """A break-glass that has ended. Returns its card."""
    card = break_glass(stage, who)
    stage.advance(HALF_AN_HOUR)
    wait_card_says(stage, card, "What was done, and was it justified?")
    return card


def cards(who: Human) -> list[Message]:
    """The alarms in the security channel."""
    seen = who.sees(SECURITY)
    return [one for one in seen if is_card(one) and one.text.startswith("Break-glass:")]


def threads(who: Human) -> str:
    return " ".join(words(one) for one in who.sees(SECURITY) if one.thread_ts not in (None, one.ts))


def actions(stage: Stage) -> list[str]:
    """What is in the audit trail, newest first."""
    assert stage.bot is not None
    with stage.bot.database.reading() as tx:
        return [event.action for event in audit.latest(tx, 200)]


def test_a_break_glass_notifies_each_of_those_concerned_once(
    stage: Stage, cleo: Human, dan: Human, iris: Human
) -> None:
    """The owners of the place in their channel, security in theirs. Cleo is an owner there too."""
    break_glass(stage, cleo)
    wait_told(stage, cleo, "is active until")

    def rung(who: Human) -> list[str]:
        return [each.channel for each in who.notifications]

    assert (rung(dan), rung(iris)) == ([PLATFORM], [SECURITY])
    assert not {SECURITY, "C0AUDIT"} & set(rung(cleo))
    assert rung(cleo).count(PLATFORM) == 1


def test_whoever_is_on_call_has_access_at_once_and_everybody_concerned_is_told(
    stage: Stage, cleo: Human, iris: Human
) -> None:
    card = break_glass(stage, cleo)
    assert given(production_entry(stage, "cleo")) == ALL_OF_IT
    answer = words(wait_told(stage, cleo, "You broke glass"))
    assert "<#C0SECURITY>" in answer
    assert "<#C01PLATFORM>" in answer
    assert "A review by somebody else is due by" in answer
    wait_card_says(stage, card, "ACTIVE until")
    alarm = words(card)
    assert "Break-glass: Cleo Roux has cluster-admin on prod-eu / whole cluster" in alarm
    assert "The API server is down" in alarm
    assert "about 30 min left" in alarm
    assert "<!subteam^S05SECURITY>" in alarm
    wait_card_says(stage, wait_card(stage, iris, PLATFORM), "ACTIVE until")
    wait_told(stage, cleo, "aws eks update-kubeconfig")
    assert any(one.channel == SECURITY for one in iris.notifications)


# Who may


def test_a_responder_by_user_group_has_it_too(stage: Stage, noa: Human) -> None:
    break_glass(stage, noa, EDIT)
    assert given(production_entry(stage, "noa")) == {"AmazonEKSEditPolicy": ("payments",)}


def test_whoever_is_on_call_at_the_second_level_alone_is_refused(stage: Stage, dan: Human) -> None:
    dan.command(COMMAND, GENERAL)
    told = wait_told(stage, dan, "not among those who may break glass")
    assert "/eks-access request prod-eu cluster-admin" in words(told)
    assert production_entry(stage, "dan") is None
    assert cards(dan) == []
    assert "break_glass.refused" in actions(stage)


@pytest.mark.parametrize(
    "known_as", [{"is_email_confirmed": False}, {"email": "cleo.roux@elsewhere.com"}]
)
def test_an_address_that_is_not_confirmed_or_foreign_puts_nobody_on_call(
    stage: Stage, cleo: Human, known_as: dict[str, object]
) -> None:
    stage.services.pagerduty.put_user("PCLEO01", "cleo.roux@elsewhere.com")
    stage.services.pagerduty.put_user("PCLEO02", "cleo.roux@example.com")
    stage.services.pagerduty.put_on_call("PCLEO02", "PPLATFM")
    for name, value in known_as.items():
        assert hasattr(stage.slack.people["U03CLEO"], name)
        setattr(stage.slack.people["U03CLEO"], name, value)
    cleo.command(COMMAND, GENERAL)
    wait_told(stage, cleo, "not among those who may break glass")
    assert production_entry(stage, "cleo") is None


def test_while_pagerduty_is_down_the_fallback_may_and_the_card_says_so(
    stage: Stage, dan: Human
) -> None:
    stage.services.pagerduty.fail(status=500)
    card = break_glass(stage, dan)
    assert "PagerDuty did not say who is on call" in words(card)
    assert "whoever is in the fallback group may break glass" in words(card)


def test_while_pagerduty_is_down_nobody_may_without_a_fallback(
    make_stage: Callable[..., Stage],
) -> None:
    policy = sandbox_policy().replace("      fallback: {groups: [S01PLATFORM]}\n", "")
    stage = make_stage(policy=policy)
    stage.start_bot()
    cleo = stage.slack.human("U03CLEO")
    stage.services.pagerduty.fail(drop=True)
    cleo.command(COMMAND, GENERAL)
    wait_told(stage, cleo, "PagerDuty did not say who is on call")
    assert production_entry(stage, "cleo") is None


def test_while_slack_tells_no_user_group_whoever_is_on_call_may(stage: Stage, cleo: Human) -> None:
    stage.slack.faults.add(method="usergroups.users.list", times=100, error="internal_error")
    cleo.command(COMMAND, GENERAL)
    assert stage.eks.wait_for(lambda: given(production_entry(stage, "cleo")), PATIENCE_SECONDS)
    wait_told(stage, cleo, "You broke glass")


def test_an_entry_that_leaves_the_policy_gives_nothing_any_more(stage: Stage, noa: Human) -> None:
    narrowed = stage.policy_file.with_suffix(".new")
    narrowed.write_text(sandbox_policy().replace("levels: [edit, cluster-admin]", "levels: [edit]"))
    narrowed.replace(stage.policy_file)
    noa.command(COMMAND, GENERAL)
    wait_told(stage, noa, "Break-glass does not give")
    assert production_entry(stage, "noa") is None


def test_a_typo_is_answered_with_what_could_be_typed(stage: Stage, noa: Human) -> None:
    noa.command("/eks-access brake-glass prod-eu edit It is down", GENERAL)
    wait_told(stage, noa, "/eks-access break-glass prod-eu edit It is down")
    answer = noa.command("/eks-access break-glass prod-eu edit", GENERAL)
    assert "The reason is missing" in str(answer.text)


# By buttons


def press(person: Human, action: str) -> None:
    """Use a button on Home."""
    view = person.home_view
    assert view is not None
    [block] = [
        block["block_id"]
        for block in view.all_blocks()
        for element in [*block.get("elements", ()), block.get("accessory", {})]
        if element.get("action_id") == action
    ]
    assert person.click(view, action, block_id=block).acknowledged


def wait_home(stage: Stage, person: Human, said: str) -> None:
    stage.slack.wait(
        lambda: person.home_view is not None and said in str(person.home_view.source),
        PATIENCE_SECONDS,
    )


def wait_form(stage: Stage, person: Human, said: str) -> None:
    stage.slack.wait(
        lambda: person.modal is not None and said in str(person.modal.source), PATIENCE_SECONDS
    )


def test_home_offers_it_to_those_who_may_and_the_form_says_who_is_told(
    stage: Stage, cleo: Human, dan: Human
) -> None:
    for person in (cleo, dan):
        person.home()
        wait_home(stage, person, "Ask for access")
    assert "Break-glass" not in str(dan.home_view.source if dan.home_view else "")
    press(cleo, "break_glass")
    wait_form(stage, cleo, "'text': 'Break glass'")
    cleo.choose("level", "cluster-admin")
    wait_form(stage, cleo, "For how long")
    form = str(cleo.modal.source if cleo.modal else "")
    assert "Security and the owners of prod-eu are told now" in form
    assert "A review by somebody else is due within" in form
    assert cleo.submit(reason="The API server is down").errors == {}
    assert stage.eks.wait_for(lambda: given(production_entry(stage, "cleo")), PATIENCE_SECONDS)
    wait_told(stage, cleo, "Told now:")


def test_a_waiting_request_becomes_a_break_glass_by_its_own_button(
    stage: Stage, cleo: Human
) -> None:
    cleo.command(
        "/eks-access request prod-eu edit --namespace payments --ticket PAY-1423 A job is stuck",
        GENERAL,
    )
    waiting = wait_told(stage, cleo, "Nothing is granted yet")
    stage.slack.wait(lambda: "Make this break-glass" in words(waiting), PATIENCE_SECONDS)
    old = request_id(wait_card(stage, cleo, "C02PAYMENTS"))
    cleo.click(waiting, "break_glass")
    wait_form(stage, cleo, "For how long")
    cleo.submit()
    stage.slack.wait(lambda: cards(cleo), PATIENCE_SECONDS)
    card = cards(cleo)[0]
    wait_card_says(stage, card, "ACTIVE until")
    assert f"in place of {old}" in words(card)
    wait_card_says(stage, wait_card(stage, cleo, "C02PAYMENTS"), "CANCELLED")
    assert given(production_entry(stage, "cleo")) == {"AmazonEKSEditPolicy": ("payments",)}


def test_a_forged_form_gives_nothing_to_whoever_is_not_on_call(stage: Stage, dan: Human) -> None:
    """The button is not Dan's; he sends what it would have opened all the same."""
    dan.home()
    wait_home(stage, dan, "Ask for access")
    assert dan.home_view is not None
    begin = next(b["block_id"] for b in dan.home_view.all_blocks() if b["type"] == "actions")
    dan.click(dan.home_view, "break_glass", block_id=begin, forge=True)
    wait_form(stage, dan, "not among those who may break glass now")
    assert production_entry(stage, "dan") is None


# Taking it away


def test_an_owner_of_the_place_revokes_it_with_a_click(stage: Stage, noa: Human) -> None:
    """Cleo and Dan own production as a whole; the card is in their channel too."""
    dan = stage.slack.human("U04DAN")
    card = break_glass(stage, noa)
    elsewhere = wait_card(stage, dan, PLATFORM)
    revoke(dan, elsewhere, "The incident is over")
    assert stage.eks.wait_for(lambda: production_entry(stage, "noa") is None, PATIENCE_SECONDS)
    wait_card_says(stage, card, "revoked by Dan Okafor")
    wait_told(stage, noa, "revoked by Dan Okafor")
    noa.command(f"/eks-access status {request_id(card)}", GENERAL)
    assert "The incident is over" in words(wait_told(stage, noa, "reason for the revocation"))


def test_security_revokes_it_with_a_command_and_a_reason(
    stage: Stage, noa: Human, iris: Human
) -> None:
    card = break_glass(stage, noa)
    iris.command(f"/eks-access revoke {request_id(card)} The incident is over", GENERAL)
    assert stage.eks.wait_for(lambda: production_entry(stage, "noa") is None, PATIENCE_SECONDS)
    wait_card_says(stage, card, "revoked by Iris Lund")
    noa.command(f"/eks-access status {request_id(card)}", GENERAL)
    told = words(wait_told(stage, noa, "The reason for the revocation:", GENERAL))
    assert "The incident is over" in told
    assert "revoked by iris lund" in told.lower()


def test_a_stranger_revokes_nothing_and_is_told_why(stage: Stage, noa: Human) -> None:
    card = break_glass(stage, noa)
    ana = stage.slack.human("U01ANA")
    revoke(ana, card)
    wait_told(stage, ana, "You own nothing that", SECURITY)
    assert given(production_entry(stage, "noa")) == ALL_OF_IT


def test_a_click_on_revoke_while_the_bot_goes_down_is_carried_out_at_its_start(
    stage: Stage, noa: Human, iris: Human
) -> None:
    card = break_glass(stage, noa)
    stage.slack.faults.add(method="users.info", times=1, error="ratelimited")
    revoke(iris, card)
    stage.stop_bot()
    stage.advance(timedelta(minutes=15))
    stage.start_bot()
    assert stage.eks.wait_for(lambda: production_entry(stage, "noa") is None, PATIENCE_SECONDS)
    # By name or, where it ended while Slack told no names, by a mention, which Slack shows as one.
    wait_card_says(stage, card, "revoked by")
    assert "Iris Lund" in words(card) or "<@U07IRIS>" in words(card)


# The review


def test_somebody_else_reviews_it_in_a_form_and_everybody_reads_the_findings(
    stage: Stage, noa: Human, iris: Human
) -> None:
    card = over(stage, noa)
    iris.click(card, "review")
    wait_form(stage, iris, "Was it justified?")
    assert iris.submit(findings="Restarted the API server").errors  # not without a verdict
    iris.submit(findings="Restarted the API server", justified="justified")
    wait_card_says(stage, card, "REVIEWED by Iris Lund: justified")
    assert "Restarted the API server" in words(card)
    stage.slack.wait(lambda: "Iris Lund reviewed the" in threads(iris), PATIENCE_SECONDS)
    wait_told(stage, noa, "Iris Lund reviewed your break-glass")
    assert "break_glass.reviewed" in actions(stage)
    assert not any(block["type"] == "actions" for block in card.blocks or [])


def test_it_is_reviewed_by_text_too_from_home_and_once(
    stage: Stage, noa: Human, iris: Human
) -> None:
    card = over(stage, noa)
    iris.home()
    wait_home(stage, iris, "Waiting for your review (1)")
    review = f"/eks-access review {request_id(card)}"
    iris.command(f"{review} unjustified Nothing was broken", GENERAL)
    wait_card_says(stage, card, "REVIEWED by Iris Lund: not justified")
    wait_home(stage, iris, "nothing waits for your decision")
    iris.command(f"{review} justified I was wrong", GENERAL)
    wait_told(stage, iris, "was reviewed already")
    noa.command("/eks-access mine", GENERAL)
    wait_told(stage, noa, "Your access and requests (1)")


def test_it_is_reviewed_neither_by_oneself_nor_by_a_stranger_nor_before_the_end(
    stage: Stage, noa: Human, iris: Human
) -> None:
    card = break_glass(stage, noa)
    line = f"/eks-access review {request_id(card)} justified All is well"
    iris.command(line, GENERAL)
    wait_told(stage, iris, "is not over")
    stage.advance(HALF_AN_HOUR)
    wait_card_says(stage, card, "What was done, and was it justified?")
    stage.slack.add_to_group("S05SECURITY", "U08NOA")
    noa.command(line, GENERAL)
    wait_told(stage, noa, "somebody else reviews it")
    ana = stage.slack.human("U01ANA")
    ana.command(line, GENERAL)
    wait_told(stage, ana, "none of those who review")
    stage.slack.remove_from_group("S05SECURITY", "U07IRIS")
    iris.command(line, GENERAL)
    wait_told(stage, iris, "none of those who review")
    assert "break_glass.reviewed" not in actions(stage)


def test_nobody_reviews_it_so_it_is_reminded_of_then_overdue_and_the_next_one_waits(
    stage: Stage, noa: Human, iris: Human
) -> None:
    card = over(stage, noa)
    stage.advance(timedelta(hours=12))
    stage.slack.wait(lambda: "is due by" in threads(iris), PATIENCE_SECONDS)
    stage.advance(timedelta(hours=12))
    wait_card_says(stage, card, "REVIEW IS OVERDUE")
    stage.slack.wait(lambda: "is overdue" in threads(iris), PATIENCE_SECONDS)
    wait_told(stage, noa, "your next break-glass needs an approval")

    waiting = alarm_after(stage, noa, EDIT)
    assert "Break-glass, not given yet" in words(waiting)
    wait_told(stage, noa, "has to approve first")
    noa.click(waiting, "approve")
    wait_told(stage, noa, "your own request", SECURITY)
    assert production_entry(stage, "noa") is None
    iris.click(waiting, "approve")
    wait_card_says(stage, waiting, "ACTIVE until")
    assert given(production_entry(stage, "noa")) == {"AmazonEKSEditPolicy": ("payments",)}
    wait_card_says(stage, waiting, "approved by Iris Lund")


def test_reminders_that_fell_due_while_the_bot_was_down_come_once_at_its_start(
    stage: Stage, noa: Human, iris: Human
) -> None:
    card = over(stage, noa)
    stage.stop_bot()
    stage.advance(timedelta(hours=24))
    stage.start_bot()
    wait_card_says(stage, card, "REVIEW IS OVERDUE")
    stage.slack.wait(lambda: "is overdue" in threads(iris), PATIENCE_SECONDS)
    assert iris.command("/eks-access mine", GENERAL).acknowledged  # it is quite there
    stage.stop_bot()
    stage.start_bot()
    iris.command(f"/eks-access review {request_id(card)} justified All is well", GENERAL)
    wait_card_says(stage, card, "REVIEWED by Iris Lund")
    assert threads(iris).count("is overdue") == threads(iris).count("text': ':rotating_light:") + 1
    assert "is due by" not in threads(iris)
    assert actions(stage).count("break_glass.review_overdue") == 1


def test_it_cannot_be_extended_and_says_so(stage: Stage, noa: Human) -> None:
    card = break_glass(stage, noa)
    noa.command(f"/eks-access extend {request_id(card)} 1h", GENERAL)
    wait_told(stage, noa, "is a break-glass, which cannot be extended")
    direct = wait_told(stage, noa, "aws eks update-kubeconfig")
    assert "Extend" not in words(direct)


def test_in_a_lockdown_it_is_refused_to_those_whom_the_policy_does_not_name(
    stage: Stage, noa: Human
) -> None:
    from bot.access import lockdown  # noqa: PLC0415 - only here the command line is stood in for

    assert stage.bot is not None
    with stage.bot.database.transaction() as tx:
        lockdown.begin(tx, by="operator", reason="drill", revoking=False, now=stage.clock())
    noa.command(COMMAND, GENERAL)
    wait_told(stage, noa, "Lockdown since")
    assert production_entry(stage, "noa") is None
