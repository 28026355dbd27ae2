"""What is said beside the card, because an edited message notifies nobody."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from view_examples import (
    ANA,
    BEN,
    CLEO,
    END,
    MINUTE,
    NAMES,
    NOW,
    PAYMENTS,
    SECOND,
    YES,
    Situation,
    approved,
    check_message,
    decided,
    grant,
    live,
    over,
    read,
    request,
    revoking,
    situations,
)

from bot.core.model import (
    EndReason,
    EscalationStep,
    Owners,
    RequestState,
    Step,
    StepKind,
)
from bot.slack.notices import decision_notice, step_notice


def notice(asked, given=None, reviews=(), now=NOW) -> list[str] | None:
    message = decision_notice(asked, reviews, given, names=NAMES, now=now)
    return None if message is None else read(check_message(message).blocks)


def test_a_pending_request_is_no_news() -> None:
    assert notice(request()) is None


WHAT = "*edit* on *prod-eu* / `payments`"


def test_a_reminder_mentions_the_owners_who_have_not_answered() -> None:
    asked = request(requirements=(replace(PAYMENTS, required=2),))
    step = Step(StepKind.REMINDED, "payments", NOW + 15 * MINUTE + SECOND)
    assert read(check_message(step_notice(asked, step, (), NAMES)).blocks) == [
        f"<!subteam^S02PAYLEADS> and <@U02BEN>: Ana Ruiz has waited 15 min for {WHAT}, and it "
        "needs your decision. It lapses 2026-01-05 15:40 UTC."
    ]
    assert "<@U02BEN>" not in step_notice(asked, step, (YES,), NAMES).text


def test_an_escalation_mentions_everybody_who_can_decide_now() -> None:
    platform = EscalationStep(30 * MINUTE, "C01PLAT", Owners(groups=frozenset({"S03PLAT"})))
    step = Step(StepKind.ESCALATED, "payments", NOW + 30 * MINUTE)
    asked = request(requirements=(replace(PAYMENTS, escalation=platform),), steps=(step,))
    assert read(check_message(step_notice(asked, step, (), NAMES)).blocks) == [
        "<!subteam^S02PAYLEADS>, <!subteam^S03PLAT> and <@U02BEN>: nobody has decided for 30 min "
        f"about {WHAT} for Ana Ruiz. All of you can decide it now. "
        "It lapses 2026-01-05 15:40 UTC."
    ]


def test_decisions_stand_in_the_thread_and_mention_nobody() -> None:
    assert notice(approved(), None, (YES,)) == [f"Ana Ruiz: {WHAT} for 2 h is approved by Ben Ito."]
    assert notice(decided(RequestState.DENIED, BEN, "No")) == [
        f"Ana Ruiz: {WHAT} is denied by Ben Ito.",
        "> No",
    ]
    assert notice(decided(RequestState.LAPSED, "bot")) == [
        f"Ana Ruiz: nobody decided in time about {WHAT}. "
        "Nothing was granted; the request can be made again."
    ]
    assert notice(decided(RequestState.CANCELLED, ANA)) == [
        f"Ana Ruiz no longer asks for {WHAT}. There is nothing to decide."
    ]


def test_the_same_news_has_the_same_text() -> None:
    texts = {
        message.text
        for given_ in (None, grant(), live())
        if (message := decision_notice(approved(), (YES,), given_, names=NAMES, now=NOW))
    }
    assert len(texts) == 1


def test_a_late_removal_calls_the_owners() -> None:
    late = revoking(problem="EKS answers 500.")
    assert notice(approved(), late, (YES,), END + 2 * MINUTE) == [
        f":rotating_light: <!subteam^S02PAYLEADS> and <@U02BEN>: the removal of {WHAT} from "
        "Ana Ruiz is late. The access may still work. The bot keeps trying.",
        "EKS answers 500. The bot tries again until EKS confirms the removal.",
    ]


def test_a_failure_and_a_revocation_are_news_and_an_ordinary_end_is_not() -> None:
    failed = over(EndReason.FAILED, problem="Another entry is there.")
    assert notice(approved(), failed) == [
        f"Ana Ruiz: {WHAT} could not be given.",
        "Another entry is there.",
    ]
    assert notice(approved(), over(EndReason.REVOKED, ended_by=CLEO)) == [
        f"Ana Ruiz: {WHAT} was revoked by Cleo Roux."
    ]
    assert notice(approved(), over()) is None


@given(situations())
@settings(max_examples=100)
def test_slack_takes_every_notice(situation: Situation) -> None:
    asked, reviews, given_, names, now = situation
    message = decision_notice(asked, reviews, given_, names=names, now=now)
    if message is not None:
        check_message(message)
