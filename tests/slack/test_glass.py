"""What is shown of a break-glass: the alarm, what is owed, the forms, and what Slack takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from view_examples import (
    ANA,
    BEN,
    END,
    HOUR,
    MINUTE,
    NAMES,
    NOW,
    SECOND,
    Situation,
    approved,
    buttons,
    check_message,
    check_view,
    grant,
    hostile,
    live,
    over,
    post_reviews,
    read,
    request,
    revoking,
    situations,
)

from bot.core.errors import InvalidInput
from bot.core.glass_choices import glass_choices
from bot.core.model import (
    AccessRequest,
    Ask,
    EndReason,
    EscalationStep,
    Grant,
    GrantState,
    Owners,
    Requirement,
)
from bot.core.policy import Policy
from bot.core.post_review import PostReview, ReviewStep
from bot.reconcile.messages import Projection, Wanted
from bot.slack.blocks import Message
from bot.slack.glass_form import glass_modal, review_modal
from bot.slack.glass_messages import begun
from bot.slack.projection import project
from bot.slack.stored import submitted_review

WHAT = "*edit* on *prod-eu* / `payments`"
OWED = PostReview(
    "7K3-QMX",
    Owners(groups=frozenset({"S05SEC"})),
    NOW,
    NOW + timedelta(hours=12),
    NOW + timedelta(hours=24),
)
REVIEWED = replace(
    OWED, reviewer=BEN, reviewed_at=END + HOUR, justified=True, findings="Restarted it, see INC-7"
)
GLASS: dict[str, Any] = {
    "break_glass": True,
    "requirements": (),
    "rules": ("break-glass",),
    "decided_by": "bot",
    "shown_in": ("C0SEC", "C01PAY"),
    "ticket": None,
}


def projected(
    given_: Grant | None = None, owed: PostReview | None = OWED, now: datetime = NOW, **more: Any
) -> Projection:
    asked = more.pop("asked", None) or approved(**GLASS)
    reviews = more.pop("reviews", ())
    options = {"audit_channel": "C0AUDIT", "unreachable": {}, **more}
    return project(asked, reviews, given_, names=NAMES, owed=owed, now=now, **options)


def message(projection: Projection, key: str, recipient: str = "C0SEC") -> Wanted:
    [found] = [one for one in projection.wanted if (one.key, one.recipient) == (key, recipient)]
    check_message(Message(found.text, found.blocks))
    return found


def card(*state: Any, **more: Any) -> list[str]:
    return read(message(projected(*state, **more), "card").blocks)


# The card


def test_each_of_those_concerned_is_mentioned_once_in_the_channel_it_is_for() -> None:
    owners = Owners(frozenset({BEN}), frozenset({"S02PAYLEADS"}))
    asked = approved(**{**GLASS, "alarmed": (("C01PAY", owners),)})
    shown = projected(live(), asked=asked)
    security = " ".join(read(message(shown, "card").blocks))
    assert "*Review due by 2026-01-06 14:40 UTC* · <!subteam^S05SEC>" in security
    assert "<!subteam^S02PAYLEADS>" not in security
    owned = " ".join(read(message(shown, "card", "C01PAY").blocks))
    assert "<!subteam^S02PAYLEADS> and <@U02BEN>: you own this place and can revoke it." in owned
    assert "<!subteam^S05SEC>" not in owned
    assert "<@U01ANA>" not in security + owned


def test_the_alarm_says_who_what_why_how_long_is_left_and_what_is_owed() -> None:
    shown = projected(live(), now=END - 33 * MINUTE)
    assert [one.recipient for one in shown.wanted if one.key == "card"] == ["C0SEC", "C01PAY"]
    alarm = message(shown, "card")
    assert alarm.text == (
        "Break-glass: Ana Ruiz has edit on prod-eu / payments for 2 h: active (7K3-QMX)"
    )
    assert read(alarm.blocks) == [
        f":rotating_light: *Break-glass:* Ana Ruiz has {WHAT}",
        "for 2 h, without an approval",
        "*ACTIVE* until 2026-01-05 16:42 UTC · about 35 min left",
        "> Clearing a stuck settlement job",
        "Edit can change workloads, read secrets, exec into pods and act as service accounts in "
        "this namespace.",
        "Principal `role/eks-jit/ana` in account 111122223333",
        "*Review due by 2026-01-06 14:40 UTC* · <!subteam^S05SEC>",
        "It is given once the access is over.",
        "[Revoke…]",
        "req 7K3-QMX",
    ]


@pytest.mark.parametrize(
    ("left", "words", "lasts"),
    [
        (2 * HOUR, "about 2 h left", 5 * MINUTE),
        (33 * MINUTE, "about 35 min left", 3 * MINUTE),
        (30 * MINUTE, "about 30 min left", 5 * MINUTE),
        (15 * MINUTE, "about 15 min left", MINUTE),
        (14 * MINUTE + SECOND, "about 15 min left", SECOND),
        (MINUTE, "less than a minute left", MINUTE),
        (SECOND, "less than a minute left", SECOND),
    ],
)
def test_the_time_left_is_brought_up_to_date_in_steps(
    left: timedelta, words: str, lasts: timedelta
) -> None:
    now = END - left
    assert any(words in line for line in card(live(), now=now))
    changes_at = projected(live(), now=now).changes_at
    assert changes_at is not None
    warning = END - 10 * MINUTE
    assert changes_at == min(now + lasts, warning if warning > now else now + lasts)


def test_it_says_how_it_was_decided_where_an_on_call_service_did_not_answer() -> None:
    notes = ("PagerDuty is down.", "So whoever is in the fallback group may break glass.")
    asked = approved(**GLASS, notes=notes)
    lines = card(live(), asked=asked)
    assert f":warning: {' '.join(notes)}" in lines


def test_nobody_revokes_what_is_being_removed_already() -> None:
    for given_ in (revoking(), revoking(EndReason.REVOKED, ended_by=BEN), over()):
        shown = message(projected(given_, now=END), "card")
        assert "revoke" not in buttons(shown.blocks)
    assert "revoked by Ben Ito" in " ".join(card(revoking(EndReason.REVOKED, ended_by=BEN)))


def test_once_it_is_over_the_review_is_asked_for_and_then_stands_there() -> None:
    lines = card(over(), now=END + MINUTE)
    assert f":rotating_light: *Break-glass:* Ana Ruiz had {WHAT}" in lines
    assert lines[-5:] == [
        "Principal `role/eks-jit/ana` in account 111122223333",
        "*Review due by 2026-01-06 14:40 UTC* · <!subteam^S05SEC>",
        "What was done, and was it justified?",
        "[Review…]",
        "req 7K3-QMX",
    ]
    lines = card(over(), now=OWED.due_at)
    assert (
        ":rotating_light: *REVIEW IS OVERDUE* since 2026-01-06 14:40 UTC · <!subteam^S05SEC>"
        in lines
    )
    assert card(over(), REVIEWED, now=OWED.due_at)[-3:] == [
        "*REVIEWED* by Ben Ito: *justified* · 2026-01-05 17:42 UTC",
        "> Restarted it, see INC-7",
        "req 7K3-QMX",
    ]
    unjustified = replace(REVIEWED, justified=False)
    assert any("*not justified*" in line for line in card(over(), unjustified))


def waiting() -> AccessRequest:
    needed = Requirement("break-glass", "C0SEC", Owners(groups=frozenset({"S05SEC"})))
    return request(**GLASS | {"decided_by": None, "requirements": (needed,)})


def test_one_that_has_to_be_approved_says_so_above_a_card_like_others() -> None:
    shown = message(projected(None, None, asked=waiting()), "card")
    assert shown.text.startswith("Break-glass: Ana Ruiz asks for edit on prod-eu")
    assert read(shown.blocks)[0] == (
        ":rotating_light: *Break-glass, not given yet:* an owner of the review decides first."
    )
    assert buttons(shown.blocks) == ["approve", "deny", "ask"]
    direct = message(projected(None, None, asked=waiting()), "direct", ANA)
    assert "This break-glass needs an approval" in " ".join(read(direct.blocks))


def test_a_card_has_somewhere_to_go_even_where_nothing_is_to_be_told() -> None:
    asked = approved(**GLASS | {"shown_in": ()})
    cards = [one for one in projected(live(), asked=asked).wanted if one.key == "card"]
    assert [one.recipient for one in cards] == ["C0AUDIT"]


# What is said anew


def test_the_owners_are_reminded_in_the_security_channel_alone() -> None:
    shown = projected(over(), replace(OWED, steps=(ReviewStep.REMINDED,)), now=OWED.remind_at)
    said = [one for one in shown.wanted if one.key == "notice:review-reminded"]
    assert [(one.recipient, one.thread) for one in said] == [("C0SEC", "card")]
    assert read(said[0].blocks) == [
        f"<!subteam^S05SEC>: the review of {WHAT}, which Ana Ruiz had by break-glass, is due by "
        "2026-01-06 14:40 UTC."
    ]


def test_an_overdue_review_is_told_to_its_owners_and_to_whoever_it_is_of() -> None:
    shown = projected(over(), replace(OWED, steps=(ReviewStep.OVERDUE,)), now=OWED.due_at)
    assert "is overdue" in message(shown, "notice:review-overdue").text
    assert "your next break-glass needs an approval" in (
        message(shown, "news:review-overdue", ANA).text
    )


def test_others_are_asked_where_they_are_once_it_is_theirs_to_review() -> None:
    later = EscalationStep(26 * HOUR, "C01PLATFORM", Owners(groups=frozenset({"S03PLAT"})))
    owed = replace(OWED, escalation=later)
    assert "C01PLATFORM" not in {one.recipient for one in projected(over(), owed).wanted}
    owed = replace(owed, steps=(ReviewStep.OVERDUE, ReviewStep.ESCALATED))
    shown = projected(over(), owed, now=NOW + 26 * HOUR)
    for channel in ("C0SEC", "C01PLATFORM"):
        said = message(shown, "notice:review-escalated", channel)
        assert "<!subteam^S03PLAT>" in said.text
        assert "so you may too" in said.text
    assert message(shown, "card", "C01PLATFORM")


def test_the_review_is_told_in_every_thread_and_to_whoever_broke_glass() -> None:
    shown = projected(over(), REVIEWED, now=END + HOUR)
    for channel in ("C0SEC", "C01PAY"):
        assert message(shown, "notice:reviewed", channel).text == (
            f"Ben Ito reviewed the break-glass of {WHAT}: justified."
        )
    news = message(shown, "news:reviewed", ANA)
    assert read(news.blocks) == [
        f"Ben Ito reviewed your break-glass of {WHAT}: justified.",
        "> Restarted it, see INC-7",
    ]


def test_whoever_broke_glass_reads_who_was_told_and_what_is_owed() -> None:
    lines = read(message(projected(live()), "direct", ANA).blocks)
    assert "Told now: <#C0SEC> and <#C01PAY>." in lines
    assert "A review by somebody else is due by 2026-01-06 14:40 UTC." in lines
    assert "Tell <!subteam^S05SEC> what you did: they say whether it was justified." in lines
    assert "[Return the access]" in lines
    first = read(message(projected(grant()), "direct", ANA).blocks)[0]
    assert first == f"You broke glass: {WHAT}."


def test_a_break_glass_is_never_offered_more_time() -> None:
    shown = projected(live(), now=END - MINUTE)
    assert not [one for one in shown.wanted if "extend" in buttons(one.blocks)]
    assert "/eks-access extend" not in str(message(shown, "news:ends-soon", ANA).blocks)


def test_a_waiting_request_can_be_made_one_by_those_who_may() -> None:
    for offers in (True, False):
        shown = projected(None, None, asked=request(), offers_break_glass=offers)
        direct = message(shown, "direct", ANA)
        assert ("break_glass" in buttons(direct.blocks)) is offers
    shown = projected(None, None, asked=waiting(), offers_break_glass=True)
    assert "break_glass" not in buttons(message(shown, "direct", ANA).blocks)


# The answer and the forms


def test_the_answer_says_at_once_who_is_told_and_what_is_owed() -> None:
    assert read(check_message(begun(approved(**GLASS), OWED)).blocks) == [
        f"You broke glass: {WHAT} for 2 h. Access is being set up; a direct message brings the "
        "commands once EKS confirms it.",
        "Told now: <#C0SEC> and <#C01PAY>.",
        "A review by somebody else is due by 2026-01-06 14:40 UTC.",
        "req 7K3-QMX",
    ]
    assert read(begun(waiting(), None).blocks)[:2] == [
        f"You asked to break glass: {WHAT} for 2 h. Nothing is given yet.",
        "One of <!subteam^S05SEC> has to approve first in <#C0SEC>.",
    ]


def policy(number: int = 2, **entry: Any) -> Policy:
    names = ["lab", "prod-eu", *(f"prod-{one:05}" for one in range(number - 2))]
    return Policy.model_validate(
        {
            "deployment": "acme",
            "security_channel": "C0SEC",
            "clusters": [
                {"name": name, "region": "eu-west-1", "account": "111122223333"}
                for name in names[:number]
            ],
            "levels": {
                "edit": {"policy": "AmazonEKSEditPolicy"},
                "root": {"policy": "AmazonEKSClusterAdminPolicy", "scope": "cluster"},
            },
            "principals": {"users": {ANA: "arn:aws:iam::{account}:role/ana"}},
            "rules": [],
            "break_glass": [
                {
                    "clusters": ["*"],
                    "levels": ["edit", "root"],
                    "responders": {"users": [ANA]},
                    "max_duration": "1h",
                    "review": {"owners": {"users": [BEN]}, "within": "24h"},
                    **entry,
                }
            ],
        }
    )


def form(of: Policy, *chosen: Any, instead_of: str | None = None) -> list[str]:
    choices = glass_choices(of, of.break_glass, Ask(*chosen))
    return read(check_view(glass_modal(choices, instead_of))["blocks"])


def test_the_form_asks_step_by_step_and_says_who_is_told_before_it_is_sent() -> None:
    first = form(policy(), "", "")
    assert first[1] == "Cluster: static_select"
    assert not [line for line in first if line.startswith("Level")]
    assert form(policy(), "prod-eu", "")[2] == "Level: static_select"
    whole = form(policy(), "prod-eu", "edit")
    assert whole[3:6] == [
        "Edit can change workloads, read secrets, exec into pods and act as service accounts in "
        "the whole cluster, or in the namespaces you name.",
        "Namespaces: plain_text_input",
        "Or all of it: checkboxes",
    ]
    assert whole[-1] == (
        "*Security and the owners of prod-eu are told now*, in <#C0SEC>. A review by somebody else "
        "is due within 1 day."
    )
    assert not [line for line in form(policy(), "prod-eu", "root") if line.startswith("Names")]


def test_many_clusters_are_searched_for() -> None:
    assert form(policy(101), "", "")[1] == "Cluster: external_select"


def test_what_may_not_be_had_is_left_out_of_the_form() -> None:
    narrow = policy(clusters=["prod-*"], levels=["edit"])
    choices = glass_choices(narrow, narrow.break_glass, Ask("lab", "root", duration=9 * HOUR))
    assert [one.name for one in choices.clusters] == ["prod-eu"]
    assert (choices.entered.cluster, choices.entered.level) == ("prod-eu", "edit")
    assert choices.entered.duration is None


def test_the_form_of_a_review_names_what_was_asked_and_when_it_ended() -> None:
    view = check_view(review_modal(approved(**GLASS), over(), NAMES))
    assert read(view["blocks"]) == [
        f"Ana Ruiz had {WHAT} by break-glass for 2 h.",
        "Ended 2026-01-05 16:42:00 UTC · removal confirmed 1 s later.",
        "> Clearing a stuck settlement job",
        "What was done?: plain_text_input",
        "Was it justified?: radio_buttons",
    ]
    assert view["private_metadata"] == "7K3-QMX"


def review(**changes: Any) -> dict[str, Any]:
    values = {
        "findings": {"findings": {"value": "Restarted it"}},
        "justified": {"justified": {"selected_option": {"value": "unjustified"}}},
    } | changes
    return {"private_metadata": "7K3-QMX", "state": {"values": values}}


def test_a_review_is_read_as_it_was_given() -> None:
    assert submitted_review(review()) == {
        "request_id": "7K3-QMX",
        "findings": "Restarted it",
        "justified": False,
    }


@pytest.mark.parametrize(
    ("view", "field"),
    [
        (review(findings={"findings": {"value": None}}), "findings"),
        (review(findings={"findings": {"value": " \u200b"}}), "findings"),
        (review(findings={"findings": {"value": "x" * 3001}}), "findings"),
        (review(findings={"findings": {"value": 7}}), "findings"),
        (review(justified={"justified": {"selected_option": None}}), "justified"),
        (review(justified={"justified": {"selected_option": {"value": "yes"}}}), "justified"),
        (review(justified={"justified": {"selected_option": {"value": True}}}), "justified"),
        (review() | {"private_metadata": None}, None),
        (review() | {"private_metadata": "<!channel>"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_review_that_somebody_made_up_is_refused_at_its_field(
    view: object, field: str | None
) -> None:
    with pytest.raises(InvalidInput) as raised:
        submitted_review(view)
    assert raised.value.field == field


# What Slack takes


@given(situations(), st.data())
@settings(max_examples=80)
def test_slack_takes_every_answer_and_form(situation: Situation, data: st.DataObject) -> None:
    asked, _, given_, names, _ = situation
    owed = data.draw(st.none() | post_reviews(asked))
    check_message(begun(asked, owed))
    if given_ is not None and given_.state is GrantState.ENDED:
        check_view(review_modal(asked, given_, names))


@given(
    st.sampled_from([policy(), policy(150), policy(levels=["root"]), policy(clusters=["lab"])]),
    st.sampled_from(["", "lab", "prod-eu", "nowhere"]) | hostile,
    st.sampled_from(["", "edit", "root"]) | hostile,
    st.lists(hostile, max_size=3),
    st.none() | st.timedeltas(-HOUR, 9 * HOUR),
    hostile,
)
@settings(max_examples=120)
def test_slack_takes_every_form_whatever_was_entered(  # noqa: PLR0917 - drawn one by one
    of: Policy,
    cluster: str,
    level: str,
    namespaces: list[str],
    length: timedelta | None,
    words: str,
) -> None:
    entered = Ask(cluster, level, tuple(namespaces), length, reason=words)
    choices = glass_choices(of, of.break_glass, entered)
    check_view(glass_modal(choices, "7K3-QMX"))
