"""What the requester is told: what is so, what to do next, and the commands to paste."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from view_examples import (
    ANA,
    BEN,
    END,
    HOUR,
    MINUTE,
    NAMES,
    NOW,
    YES,
    Situation,
    approved,
    buttons,
    check_message,
    decided,
    grant,
    live,
    over,
    read,
    request,
    revoking,
    situations,
    some_tickets,
)

from bot.core.model import EndReason, GrantState, RequestState
from bot.core.policy import Tickets
from bot.slack.commands import Request, parse
from bot.slack.direct import direct_message

WHAT = "*edit* on *prod-eu* / `payments`"
LAST = "req 7K3-QMX · `/eks-access status 7K3-QMX`"
OWNERS = "<!subteam^S02PAYLEADS> and <@U02BEN>"


def told(asked, given=None, reviews=(), now=NOW) -> list[str]:
    message = direct_message(asked, reviews, given, names=NAMES, now=now)
    lines = read(check_message(message).blocks)
    assert lines[-1] == LAST
    return lines[:-1]


def test_a_pending_request_can_be_cancelled() -> None:
    assert told(request()) == [
        f"You asked for {WHAT} for 2 h. Nothing is granted yet.",
        f"Rule *payments* · 0 of 1 approval · owners: {OWNERS}",
        "Asked in <#C01PAY>. It lapses 2026-01-05 15:40 UTC.",
        "> Clearing a stuck settlement job",
        "> Ticket: PAY-1423",
        "[Cancel the request]",
    ]


def test_a_pending_request_says_how_far_it_is_and_when_it_starts() -> None:
    asked = request(start_at=NOW + 2 * HOUR, lapses_at=NOW + 2 * HOUR)
    assert told(asked, reviews=(YES,))[1:3] == [
        f"Rule *payments* · 1 of 1 approval · owners: {OWNERS}",
        "Asked in <#C01PAY>. It lapses 2026-01-05 16:40 UTC. It starts 2026-01-05 16:40 UTC, if "
        "approved.",
    ]


def test_more_time_is_told_as_such_up_to_the_new_end() -> None:
    """Access goes on meanwhile: nothing of it is called granted, ended or given anew."""
    more = {"extends": "7K3-QMA", "already": 2 * HOUR, "duration": HOUR}
    stays = "The access you have ends when it would have ended."
    assert told(request(**more))[0] == (
        f"You asked to extend {WHAT} by 1 h, to 3 h in all. {stays}"
    )
    more_on = f"more time on {WHAT}"
    assert told(decided(RequestState.DENIED, BEN, **more))[0] == f"Ben Ito denied {more_on}."
    assert told(decided(RequestState.CANCELLED, ANA, **more))[0] == (
        f"You took back your request for {more_on}. {stays}"
    )
    lapsed = told(decided(RequestState.LAPSED, "bot", **more))
    assert lapsed[0] == f"Nobody decided by 2026-01-05 15:40 UTC about {more_on}. {stays}"
    assert not any("/eks-access request" in line for line in lapsed)
    yes = approved(**more)
    assert told(yes, grant(extends="7K3-QMA"), (YES,)) == [
        f"More time on {WHAT} is approved by Ben Ito.",
        "The end moves once EKS confirms it.",
    ]
    assert told(yes, live(extends="7K3-QMA"), (YES,))[0] == (
        f"{WHAT} is extended until 2026-01-05 16:42 UTC."
    )
    assert told(yes, over(EndReason.FAILED, extends="7K3-QMA"), (YES,)) == [
        f"{WHAT} could not be extended.",
        stays,
        f"Ask {OWNERS} in <#C01PAY> about it.",
    ]
    assert told(approved(), over(EndReason.SUPERSEDED), (YES,), END) == [
        f"{WHAT} goes on: it was extended."
    ]


def test_a_notification_of_a_denial_holds_the_reason() -> None:
    asked = decided(RequestState.DENIED, BEN, "View is <!channel> enough\nfor that")
    message = direct_message(asked, (), None, names=NAMES, now=NOW)
    assert message.text == f"Ben Ito denied {WHAT}: View is &lt;!channel&gt; enough for that"


def test_once_the_time_to_decide_is_over_there_is_nothing_to_cancel() -> None:
    assert told(request(), now=NOW + HOUR) == [
        f"You asked for {WHAT} for 2 h. Nothing is granted yet.",
        "The time to decide is over.",
    ]


def test_active_access_comes_with_its_end_two_commands_and_a_way_back() -> None:
    assert told(approved(), live(), (YES,)) == [
        f"{WHAT} is active until 2026-01-05 16:42 UTC.",
        "aws eks update-kubeconfig --region eu-west-1 --name prod-eu "
        "--assume-role-arn arn:aws:iam::111122223333:role/eks-jit/ana "
        "--role-arn arn:aws:iam::111122223333:role/eks-jit/ana",
        "kubectl auth can-i get pods -n payments",
        "[Extend…] [Return the access]",
    ]


def test_nothing_is_called_active_before_it_was_read_back() -> None:
    assert told(approved(), grant(), (YES,)) == [
        f"{WHAT} is approved by Ben Ito.",
        "It is being set up; the commands come once EKS confirms.",
    ]
    assert told(approved(), grant(problem="EKS throttles."), (YES,))[-1] == (
        "EKS throttles. The bot tries again by itself."
    )
    assert told(approved(), None, (YES,))[0] == f"{WHAT} is approved by Ben Ito."
    scheduled = grant(state=GrantState.SCHEDULED, starts_at=NOW + HOUR)
    assert told(approved(), scheduled, (YES,))[1:] == [
        "It starts 2026-01-05 15:40 UTC, for 2 h, if the rules still allow it then.",
        "[Take back]",
    ]


def test_access_that_never_began_is_said_so() -> None:
    later = {"starts_at": NOW + HOUR, "confirmed_at": None, "end_reason": EndReason.NOT_BEGUN}
    ended = {"state": GrantState.ENDED, "ended_at": NOW + HOUR, "ended_by": "bot"}
    assert told(approved(), grant(**later, **ended, problem="Rule payments is gone."), ()) == [
        f"{WHAT} does not begin: it was no longer allowed when it was to start.",
        "Nothing was given.",
        "Rule payments is gone.",
        "[Ask again…]",
    ]
    returned = {"end_reason": EndReason.RETURNED, "ended_by": ANA, "ended_at": NOW + MINUTE}
    assert told(approved(), grant(**{**later, **ended, **returned}), ())[:2] == [
        f"{WHAT} does not begin: returned by Ana Ruiz.",
        "Nothing was given.",
    ]


def test_access_past_its_end_is_no_longer_offered() -> None:
    assert told(approved(), live(), (YES,), END) == [f"{WHAT} is being removed: its time was over."]


def test_a_removal_is_claimed_only_once_confirmed_and_tokens_are_spoken_of() -> None:
    assert told(approved(), revoking(), (YES,), END) == [
        f"{WHAT} is being removed: its time was over."
    ]
    assert told(approved(), revoking(problem="EKS answers 500."), (YES,), END + 2 * MINUTE) == [
        f"{WHAT} is being removed: its time was over.",
        "EKS has not confirmed the removal yet; I keep trying.",
        "EKS answers 500. The bot tries again until EKS confirms the removal.",
    ]
    assert told(approved(), over(), (YES,), END) == [
        f"{WHAT} has ended: its time was over.",
        "Ended 2026-01-05 16:42:00 UTC · removal confirmed 1 s later.",
        "Tokens already issued may still work for some minutes.",
        "[Ask again…]",
    ]


def test_an_early_end_says_who_ended_it() -> None:
    assert told(approved(), over(EndReason.RETURNED, ended_by=ANA))[0] == (
        f"{WHAT} has ended: returned by Ana Ruiz."
    )
    assert told(approved(), over(EndReason.REVOKED, ended_by=BEN))[0] == (
        f"{WHAT} has ended: revoked by Ben Ito."
    )


def test_access_that_another_grant_took_over_is_not_asked_for_again() -> None:
    assert "[Ask again…]" not in told(approved(), over(EndReason.SUPERSEDED), (YES,), END)


def test_a_denial_says_who_and_why_in_their_words() -> None:
    assert told(decided(RequestState.DENIED, BEN, "View is enough\nfor that")) == [
        f"Ben Ito denied {WHAT}:",
        "> View is enough",
        "> for that",
        "[Ask again…]",
    ]
    assert told(decided(RequestState.DENIED, BEN)) == [f"Ben Ito denied {WHAT}.", "[Ask again…]"]


def test_a_lapse_says_whom_to_ask_and_how_to_ask_again() -> None:
    lines = told(decided(RequestState.LAPSED, "bot"))
    assert lines == [
        f"Nobody decided by 2026-01-05 15:40 UTC about {WHAT}. Nothing was granted.",
        f"The owners are {OWNERS} in <#C01PAY>. To ask again:",
        "/eks-access request prod-eu edit --namespace payments --for 2h --ticket PAY-1423 "
        "Clearing a stuck settlement job",
        "[Ask again…]",
    ]
    again = parse(lines[-2])
    assert again == Request(request().ask)


def test_a_request_too_long_to_paste_is_asked_again_with_the_form() -> None:
    asked = replace(decided(RequestState.LAPSED, "bot"), reason="word " * 600)
    assert told(asked)[1:] == [
        f"The owners are {OWNERS} in <#C01PAY>.",
        "[Ask again…]",
    ]


def test_a_cancelled_request_is_acknowledged() -> None:
    assert told(decided(RequestState.CANCELLED, ANA)) == [
        f"You took back your request for {WHAT}. Nothing was granted."
    ]


def test_a_failure_says_what_aws_said_that_nothing_is_left_and_whom_to_ask() -> None:
    problem = "prod-eu answers that your principal already has an entry. I changed nothing."
    assert told(approved(), over(EndReason.FAILED, problem=problem)) == [
        f"{WHAT} could not be given.",
        problem,
        "Nothing of it is left at EKS.",
        f"Ask {OWNERS} in <#C01PAY> about it.",
    ]
    half = revoking(EndReason.FAILED, problem=problem)
    assert told(approved(), half, (), END)[-1] == "What was begun is being removed."


@given(situations(), some_tickets)
@settings(max_examples=150)
def test_slack_takes_every_direct_message(situation: Situation, tickets: Tickets | None) -> None:
    asked, reviews, given_, names, now = situation
    message = check_message(
        direct_message(asked, reviews, given_, names=names, now=now, tickets=tickets)
    )
    offered = set(buttons(message.blocks))
    active = given_ is not None and given_.state is GrantState.ACTIVE and now < given_.ends_at
    later = given_ is not None and given_.state is GrantState.SCHEDULED and given_.starts_at
    may_return = active or bool(later)
    assert offered <= ({"extend", "return"} if may_return else {"cancel", "again"})
    assert active or "extend" not in offered
    assert ("return" in offered) == may_return
    assert len(offered & {"cancel", "again"}) <= 1
