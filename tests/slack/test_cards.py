"""The request card and its notices are true in every state, whatever people call themselves."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from view_examples import (
    ANA,
    BEN,
    CLEO,
    DAN,
    END,
    HOUR,
    MINUTE,
    NAMES,
    NOW,
    PAYMENTS,
    TICKETS,
    YES,
    Situation,
    access,
    approved,
    buttons,
    check_message,
    decided,
    grant,
    live,
    nodes,
    over,
    read,
    request,
    revoking,
    situations,
    some_tickets,
)

from bot.core.model import (
    Access,
    AccessRequest,
    AccessScope,
    EndReason,
    EscalationStep,
    GrantState,
    Owners,
    Principal,
    RequestState,
    Requirement,
    Review,
    Step,
    StepKind,
    Verdict,
)
from bot.core.policy import Tickets
from bot.slack import phrases
from bot.slack.blocks import Message
from bot.slack.cards import request_card

LATER = END + timedelta(days=1)
FACTS = "Principal `role/eks-jit/ana` in account 111122223333"
EDIT = (
    "Edit can change workloads, read secrets, exec into pods and act as service accounts "
    "in this namespace."
)


def card(asked=None, given=None, reviews=(), now=NOW, **more) -> list[str]:
    message = request_card(asked or request(), reviews, given, names=NAMES, now=now, **more)
    return read(check_message(message).blocks)


def test_a_pending_card_has_all_that_an_owner_needs() -> None:
    assert card() == [
        "Ana Ruiz asks for *edit* on *prod-eu* / `payments`",
        "for 2 h, starting when access is confirmed",
        "*PENDING* · lapses 2026-01-05 15:40 UTC · waiting since 2026-01-05 14:40 UTC",
        "> Clearing a stuck settlement job",
        "> Ticket: PAY-1423",
        EDIT,
        FACTS,
        "Rule *payments* · 0 of 1 approval · owners: <!subteam^S02PAYLEADS> and <@U02BEN>",
        "[Approve] [Deny…] [Ask…]",
        "req 7K3-QMX",
    ]


def test_the_notification_says_who_asks_for_what() -> None:
    message = request_card(request(), (), None, names=NAMES, now=NOW)
    assert message.text == (
        "Ana Ruiz asks for edit on prod-eu / payments for 2 h: pending (7K3-QMX)"
    )


def test_buttons_hold_the_request_id_and_approving_asks_again() -> None:
    message = request_card(request(), (), None, names=NAMES, now=NOW)
    approve, deny, ask = (node for node in nodes(message.blocks) if node.get("type") == "button")
    assert (approve["action_id"], approve["value"]) == ("approve", "7K3-QMX")
    assert (deny["action_id"], deny["value"]) == ("deny", "7K3-QMX")
    assert (ask["action_id"], ask["value"]) == ("ask", "7K3-QMX")
    assert "confirm" not in deny
    assert approve["confirm"]["text"]["text"] == (
        "edit on prod-eu / payments\nFor 2 h.\nRequester: Ana Ruiz"
    )


def state(asked, given=None, reviews=(), now=NOW) -> list[str]:
    """The card's lines between the headline and the quote."""
    lines = card(asked, given, reviews, now)
    return lines[2 : lines.index("> Clearing a stuck settlement job")]


REMOVED = "2026-01-05 16:42:00 UTC · removal confirmed 1 s later"
BY_BEN = "Approved by Ben Ito · 2026-01-05 14:41 UTC"


@pytest.mark.parametrize(
    ("given", "now", "lines"),
    [
        (None, NOW, ["*APPROVED*"]),
        (
            grant(state=GrantState.SCHEDULED, starts_at=NOW + HOUR),
            NOW,
            ["*SCHEDULED* · starts 2026-01-05 15:40 UTC"],
        ),
        (grant(), NOW, ["*GRANTING…* · given up if not confirmed by 2026-01-05 14:56 UTC"]),
        (live(), NOW, ["*ACTIVE* until 2026-01-05 16:42 UTC"]),
        (live(), END, ["*REMOVING…* · its end was 2026-01-05 16:42:00 UTC"]),
        (
            live(),
            END + 2 * MINUTE,
            [
                ":rotating_light: *REMOVAL IS LATE* · its end was 2026-01-05 16:42 UTC",
                "EKS has not confirmed it: the access may still work. The bot keeps trying.",
            ],
        ),
        (revoking(), END, ["*REMOVING…* · its time was over"]),
        (
            revoking(EndReason.RETURNED, ended_by=ANA),
            END,
            ["*REMOVING…* · returned by Ana Ruiz"],
        ),
        (
            revoking(),
            END + 2 * MINUTE,
            [
                ":rotating_light: *REMOVAL IS LATE* · its time was over, 2026-01-05 16:42 UTC",
                "EKS has not confirmed it: the access may still work. The bot keeps trying.",
            ],
        ),
        (over(), LATER, [f"*ENDED* {REMOVED}", "Its time was over"]),
        (
            over(EndReason.RETURNED, ended_by=ANA),
            LATER,
            [f"*ENDED* {REMOVED}", "Returned by Ana Ruiz"],
        ),
        (
            over(EndReason.REVOKED, ended_by="operator"),
            LATER,
            [f"*ENDED* {REMOVED}", "Revoked by an operator"],
        ),
        (
            over(EndReason.SUPERSEDED),
            LATER,
            [
                "*EXTENDED* 2026-01-05 16:42:01 UTC",
                "The access goes on under the extension.",
            ],
        ),
        (
            over(EndReason.CLUSTER_GONE, ended_by="bot"),
            LATER,
            [
                "*ENDED* 2026-01-05 16:42:01 UTC · there was no cluster to read back",
                "Its cluster is gone: AWS has not known it for a day",
            ],
        ),
        (
            over(EndReason.CLUSTER_GONE, ended_by="operator"),
            LATER,
            [
                "*ENDED* 2026-01-05 16:42:01 UTC · there was no cluster to read back",
                "Its cluster is gone, says an operator",
            ],
        ),
        (
            over(EndReason.FAILED),
            LATER,
            [f"*FAILED* {REMOVED}", "Nothing of this grant is left at EKS."],
        ),
    ],
)
def test_the_card_says_where_the_grant_stands(given, now, lines) -> None:
    assert state(approved(), given, (YES,), now) == [*lines, BY_BEN]


def test_expiry_is_measured_from_the_end_and_not_from_its_discovery() -> None:
    found_late = over(revoking_since=END + 9 * MINUTE, ended_at=END + 10 * MINUTE)
    assert state(approved(), found_late)[0] == (
        "*ENDED* 2026-01-05 16:42:00 UTC · removal confirmed 10 min later"
    )


def test_a_removal_confirmed_at_once_is_not_called_zero_seconds() -> None:
    assert state(approved(), over(ended_at=END))[0].endswith("removal confirmed within a second")


def test_what_aws_says_is_shown_with_what_happens_next() -> None:
    troubled = grant(problem="EKS throttles `AssociateAccessPolicy`.")
    assert state(approved(), troubled)[-1] == (
        "EKS throttles `AssociateAccessPolicy`. The bot tries again by itself."
    )
    assert state(approved(), revoking(problem="EKS answers 500."))[-1] == (
        "EKS answers 500. The bot tries again until EKS confirms the removal."
    )
    assert state(approved(), over(EndReason.FAILED, problem="Another entry is there."))[-1] == (
        "Another entry is there."
    )


def test_an_automatic_approval_names_its_rule() -> None:
    asked = approved(decided_by="bot", requirements=(), rules=("lab readers",))
    assert state(asked, live())[1] == (
        "Approved by rule *lab readers*, automatically · 2026-01-05 14:41 UTC"
    )


def test_a_denial_is_shown_with_the_owners_words_as_a_quote() -> None:
    denied = decided(RequestState.DENIED, BEN, "View is\nenough")
    assert state(denied) == [
        "*DENIED* by Ben Ito · 2026-01-05 14:41 UTC",
        "> View is",
        "> enough",
    ]


def test_other_ends_of_a_request() -> None:
    assert state(decided(RequestState.CANCELLED, ANA)) == [
        "*CANCELLED* by the requester · 2026-01-05 14:41 UTC"
    ]
    assert state(decided(RequestState.LAPSED, "bot")) == [
        "*LAPSED* · 2026-01-05 14:41 UTC · nobody decided in time"
    ]


def test_there_are_buttons_only_while_something_can_be_decided() -> None:
    def shown(asked, given=None, now=NOW) -> list[str]:
        return buttons(request_card(asked, (), given, names=NAMES, now=now).blocks)

    assert shown(request()) == ["approve", "deny", "ask"]
    assert shown(request(lapses_at=None), now=LATER) == ["approve", "deny", "ask"]
    assert shown(request(), now=NOW + HOUR) == []
    for state_ in set(RequestState) - {RequestState.PENDING}:
        assert shown(decided(state_, BEN)) == []
    assert shown(approved(), live()) == []


def test_what_the_level_allows_is_said_only_while_it_matters() -> None:
    assert EDIT in card(approved(), live())
    assert EDIT not in card(approved(), over())
    assert EDIT not in card(decided(RequestState.DENIED, BEN))


TEAM = Requirement(
    rule="platform", channel="C01PLAT", owners=Owners(users=frozenset({CLEO, DAN})), required=2
)


def rules(asked, reviews=()) -> list[str]:
    """How far each requirement has come, and which it is: `owners`, or a part's name."""
    lines = card(asked, None, reviews)
    split = [line.split(" · ") for line in lines if line.startswith("Rule ")]
    return [f"{one[1]} · {one[2].partition(':')[0]}" for one in split]


def approval_of(one: str, *keys: str, **changes: Any) -> Review:
    return replace(Review("7K3-QMX", one, Verdict.APPROVE, NOW, rules=keys), **changes)


def test_approvals_are_counted_for_what_they_were_given_for() -> None:
    one_rule = request(requirements=(TEAM,))
    assert rules(one_rule) == ["0 of 2 approvals · owners"]
    assert rules(one_rule, (approval_of(CLEO, "platform"),)) == ["1 of 2 approvals · owners"]
    both = request(requirements=(TEAM, PAYMENTS))
    reviews = (approval_of(CLEO, "platform"), approval_of(BEN, "platform", "payments"))
    assert rules(both, reviews[:1]) == ["1 of 2 approvals · owners", "0 of 1 approval · owners"]
    assert rules(both, reviews) == ["2 of 2 approvals · owners", "1 of 1 approval · owners"]


SECURITY = Requirement("platform", "C0SEC", Owners(groups=frozenset({"S05SEC"})), part="security")


def test_each_part_of_a_rule_has_its_own_line_and_nobody_counts_for_two() -> None:
    parts = request(requirements=(replace(TEAM, required=1), SECURITY))
    assert "Rule *platform* · 0 of 1 approval · security: <!subteam^S05SEC>" in card(parts)
    both = approval_of(CLEO, "platform", "platform / security")
    assert rules(parts, (both,)) == ["1 of 1 approval · owners", "0 of 1 approval · security"]
    two = (both, approval_of(DAN, "platform"))
    assert rules(parts, two) == ["1 of 1 approval · owners", "1 of 1 approval · security"]


def test_a_deputy_is_shown_with_whose_place_they_took() -> None:
    deputy = approval_of(CLEO, "payments", deputy_of=(BEN,))
    two = request(requirements=(replace(PAYMENTS, required=2),))
    assert "Approved so far by Cleo Roux for Ben Ito" in card(two, reviews=(deputy,))
    (line,) = [one for one in card(approved(), None, (deputy,)) if one.startswith("Approved by")]
    assert line.startswith("Approved by Cleo Roux for Ben Ito · ")
    no = replace(deputy, verdict=Verdict.DENY)
    (line,) = [
        one for one in card(decided(RequestState.DENIED, CLEO), None, (no,)) if "DENIED" in one
    ]
    assert line.startswith("*DENIED* by Cleo Roux for Ben Ito · ")


LATER_ASKED = replace(
    PAYMENTS,
    escalation=EscalationStep(30 * MINUTE, "C01PLAT", Owners(groups=frozenset({"S03PLAT"}))),
)


def test_further_owners_are_mentioned_only_once_they_are_asked() -> None:
    waiting = request(requirements=(LATER_ASKED,))
    lines = card(waiting)
    assert "S03PLAT" not in str(lines)
    assert "If nobody decides, further owners are asked in <#C01PLAT> from 15:10 UTC on." in lines
    escalated = replace(waiting, steps=(Step(StepKind.ESCALATED, "payments", NOW + 30 * MINUTE),))
    lines = card(escalated)
    assert "<!subteam^S03PLAT>" in str(lines)
    assert not any(line.startswith("If nobody decides") for line in lines)


def test_all_members_of_a_channel_may_be_owners() -> None:
    channel = Requirement("r", "C0R", Owners(groups=frozenset({"C0R", "G0PRIVATE"})))
    lines = card(request(requirements=(channel,)))
    whose = "the members of <#C0R> and the members of <#G0PRIVATE>"
    assert f"Rule *r* · 0 of 1 approval · owners: {whose}" in lines


def test_who_approved_so_far_is_named() -> None:
    assert "Approved so far by Cleo Roux" in card(
        request(requirements=(TEAM,)), reviews=(approval_of(CLEO, "platform"),)
    )


def test_the_requester_is_not_offered_as_an_owner() -> None:
    owners = Owners(users=frozenset({ANA, CLEO}))
    asked = request(requirements=(Requirement("r", "C0R", owners),))
    assert "Rule *r* · 0 of 1 approval · owners: <@U03CLEO>" in card(asked)
    alone = request(requirements=(Requirement("r", "C0R", Owners(users=frozenset({ANA}))),))
    assert "Rule *r* · 0 of 1 approval · owners: nobody who may decide" in card(alone)


def test_a_shared_principal_is_a_warning_with_names() -> None:
    arn = "arn:aws:iam::111122223333:role/team"
    known = card(request(principal=Principal(arn, shared=True, shared_with=(BEN, DAN))))
    assert (
        ":warning: *Shared principal:* this gives the same access to Ben Ito and Dan Oyelaran."
        in known
    )
    unknown = card(request(principal=Principal(arn, shared=True)))
    assert (
        ":warning: *Shared principal:* everybody who can use it gets this access too. "
        "Who that is, is not known here."
    ) in unknown
    message = request_card(
        request(principal=Principal(arn, shared=True)), (), None, names=NAMES, now=NOW
    )
    assert "It elevates other people too." in json.dumps(message.blocks)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            access("View", "a"),
            "View can read in this namespace, without secrets, and change nothing.",
        ),
        (access("Edit", "a", "b"), EDIT.replace("this namespace", "these 2 namespaces")),
        (
            access("Admin", "a"),
            "Admin can change most things in this namespace, roles and role bindings too, read "
            "secrets and exec into pods.",
        ),
        (access("ClusterAdmin"), "ClusterAdmin can do everything in the whole cluster."),
        (
            access("AdminView"),
            "AdminView can read everything in the whole cluster, secrets too, and change nothing.",
        ),
        (access("SecretReader", "a"), "SecretReader can read the secrets in this namespace."),
        (
            access("Compute"),
            "`AmazonEKSComputePolicy` applies in the whole cluster. Look up what it allows.",
        ),
        (
            Access(None, AccessScope.cluster(), frozenset({"deployers", "auditors"})),
            "It joins the Kubernetes groups `auditors` and `deployers`: what the cluster's RBAC "
            "binds.",
        ),
    ],
)
def test_what_access_means_follows_from_what_eks_gives_and_not_from_the_label(given, words) -> None:
    assert words in card(request(level="harmless", access=given))


def test_many_namespaces_are_all_listed() -> None:
    names = [f"team-{number}" for number in range(40)]
    lines = card(request(access=access("Edit", *names), namespaces=tuple(names)))
    assert lines[0] == (
        "Ana Ruiz asks for *edit* on *prod-eu* / `team-0`, `team-1`, `team-10` and 37 more"
    )
    assert "All 40 namespaces:" in lines
    assert {f"`{name}`" for name in names} <= set(lines)


def test_namespaces_that_do_not_fit_are_counted() -> None:
    names = [f"{number:03}-{'n' * 59}" for number in range(200)]
    lines = card(request(access=access("Edit", *names)))
    (more,) = (line for line in lines if line.endswith("more namespaces"))
    listed = sum(line.startswith("`") for line in lines)
    assert more == f"… and {200 - listed} more namespaces"


def test_nobody_can_put_words_into_the_bots_mouth() -> None:
    forged = "x\n*APPROVED* by Ben Ito\n<!channel> :tada: <https://evil.example|Approve>"
    lines = card(request(reason=forged, ticket=forged, requester_name=forged))
    for line in lines:
        assert line.startswith("> ") or "APPROVED" not in line
    message = request_card(
        request(reason=forged), (), None, names={ANA: forged, BEN: forged}, now=NOW
    )
    assert message.text.count("\n") == 0
    quotes = [node for node in nodes(message.blocks) if node.get("type") == "rich_text_quote"]
    assert {part["type"] for quote in quotes for part in quote["elements"]} == {"text"}


def test_a_long_reason_is_cut_and_says_so_in_italics() -> None:
    message = request_card(request(reason="y" * 3000), (), None, names=NAMES, now=NOW)
    (quote,) = (node for node in nodes(message.blocks) if node.get("type") == "rich_text_quote")
    words, note, *_ticket = quote["elements"]
    assert note["style"] == {"italic": True}
    assert note["text"].strip() == f"… ({3000 - len(words['text']):,} more letters)"


def test_the_ticket_is_a_link_where_it_is_known_where_tickets_are() -> None:
    def ticket(asked: AccessRequest, tickets: Tickets | None) -> dict[str, str]:
        message = request_card(asked, (), None, names=NAMES, now=NOW, tickets=tickets)
        check_message(message)
        (quote,) = (n for n in nodes(message.blocks) if n.get("type") == "rich_text_quote")
        last: dict[str, str] = quote["elements"][-1]
        return last

    assert ticket(request(), None) == {"type": "text", "text": "PAY-1423"}
    assert ticket(request(), TICKETS) == {
        "type": "link",
        "url": "https://tickets.example/browse/PAY-1423?from=eks",
        "text": "PAY-1423",
    }
    for forged in ("../x?y#z", "1@evil.example/", "a b|c>d", "\u00fc\U0001f600", "%2e%2e"):
        url = ticket(request(ticket=forged), TICKETS)["url"]
        assert url.startswith("https://tickets.example/browse/")
        inside = url.removeprefix("https://tickets.example/browse/").removesuffix("?from=eks")
        assert re.fullmatch(r"[\w.~%-]+", inside, re.ASCII)
        assert unquote(inside) == forged


def test_a_long_reason_does_not_push_the_ticket_out() -> None:
    assert "> Ticket: PAY-1423" in card(request(reason="y" * 3000), tickets=TICKETS)
    assert not any("Ticket" in line for line in card(request(ticket="\u200b"), tickets=TICKETS))


@given(situations(), some_tickets)
@settings(max_examples=150)
def test_slack_takes_every_card(situation: Situation, tickets: Tickets | None) -> None:
    asked, reviews, given_, names, now = situation
    check_message(request_card(asked, reviews, given_, names=names, now=now, tickets=tickets))


def test_a_card_is_a_value_of_its_state_alone() -> None:
    first, second = (
        request_card(approved(), (YES,), live(), names=NAMES, now=NOW + minutes * MINUTE)
        for minutes in (3, 90)
    )
    assert isinstance(first, Message)
    assert first == second


@pytest.mark.parametrize("name", ["the bot", "An operator", "Ben Ito (security)", "Approved"])
def test_a_name_that_passes_for_the_bots_own_words_is_shown_as_a_mention(name: str) -> None:
    assert phrases.person("U02BEN", {"U02BEN": name}) == "<@U02BEN>"
    assert phrases.person("U02BEN", {"U02BEN": "Ben Abbott"}) == "Ben Abbott"
