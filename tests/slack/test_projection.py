"""Which messages a request has: every one of them is valid, and none has a button too many."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from view_examples import (
    BEN,
    CLEO,
    END,
    MINUTE,
    NAMES,
    NOW,
    SECOND,
    YES,
    Situation,
    approved,
    buttons,
    check_message,
    hostile,
    live,
    over,
    post_reviews,
    read,
    revoking,
    situations,
    some_tickets,
)

from bot.core.model import AuditEvent, EndReason, Grant, GrantState
from bot.core.policy import Tickets
from bot.reconcile.messages import Projection, Wanted
from bot.slack.blocks import Message
from bot.slack.projection import WARN_BEFORE, WARN_NOT_WITHIN, project

WHAT = "*edit* on *prod-eu* / `payments`"


def projected(given_: Grant, now=NOW, **more) -> Projection:
    options = {"names": NAMES, "audit_channel": None, "unreachable": {}, "now": now, **more}
    return project(approved(), (YES,), given_, **options)


def warning(given_: Grant, now=NOW) -> Wanted | None:
    found = [one for one in projected(given_, now).wanted if one.key == "news:ends-soon"]
    assert len(found) <= 1
    return found[0] if found else None


def test_the_warning_says_when_access_ends_and_what_can_be_done() -> None:
    assert projected(live(), END - WARN_BEFORE - SECOND).changes_at == END - WARN_BEFORE
    assert warning(live(), END - WARN_BEFORE - SECOND) is None
    said = warning(live(), END - WARN_BEFORE)
    assert said is not None
    assert said.once
    assert not said.never_new
    assert read(said.blocks) == [
        f"{WHAT} ends 2026-01-05 16:42 UTC.",
        "If you need it longer: `/eks-access extend 7K3-QMX 1h`",
        "[Extend…] [Return the access]",
        "req 7K3-QMX · `/eks-access status 7K3-QMX`",
    ]


def test_when_it_is_over_the_warning_only_says_what_became_of_it() -> None:
    for given_, now, words in (
        (live(), END, f"{WHAT} is being removed: its time was over."),
        (revoking(EndReason.RETURNED, ended_by=BEN), END, f"{WHAT} is being removed: returned"),
        (over(), END, f"{WHAT} has ended: its time was over."),
        (over(EndReason.SUPERSEDED), END, f"{WHAT} was extended before it ended."),
    ):
        said = warning(given_, now)
        assert said is not None
        assert said.never_new
        assert said.text.startswith(words)
        assert buttons(said.blocks) == []


def test_access_for_a_few_minutes_has_no_warning_to_bother_with() -> None:
    short = live(confirmed_at=END - WARN_BEFORE - WARN_NOT_WITHIN + SECOND)
    assert warning(short, END - MINUTE) is None


def _questions(asked: Sequence[str]) -> tuple[AuditEvent, ...]:
    return tuple(
        AuditEvent(NOW, CLEO, "request.asked", details={"question": words}) for words in asked
    )


@given(
    situations(),
    some_tickets,
    st.none() | st.just("C0AUDIT"),
    st.dictionaries(st.sampled_from(["C00000000", "C00000001"]), st.just("is_archived")),
    st.lists(hostile, max_size=3),
    st.data(),
)
@settings(max_examples=150)
def test_slack_takes_all_messages_of_every_request(  # noqa: PLR0917 - drawn one by one
    situation: Situation,
    tickets: Tickets | None,
    audit_channel: str | None,
    unreachable: dict[str, str],
    asked: list[str],
    data: st.DataObject,
) -> None:
    request, reviews, given_, names, now = situation
    shown = project(
        request,
        reviews,
        given_,
        names=names,
        audit_channel=audit_channel,
        tickets=tickets,
        unreachable=unreachable,
        questions=_questions(asked),
        owed=data.draw(post_reviews(request)) if request.break_glass and given_ else None,
        offers_break_glass=data.draw(st.booleans()),
        now=now,
    )
    for one in shown.wanted:
        check_message(Message(one.text, one.blocks))
    places = [(one.key, one.recipient) for one in shown.wanted]
    assert len(set(places)) == len(places)
    standing = {one.recipient for one in shown.wanted if one.thread is None}
    assert {one.recipient for one in shown.wanted} == standing, "a reply has something to reply to"
    assert shown.changes_at is None or shown.changes_at > now
    begun = given_ is not None and given_.state is not GrantState.SCHEDULED
    if given_ is not None and begun and now >= given_.ends_at:
        assert not {"extend", "return"} & {
            one for each in shown.wanted for one in buttons(each.blocks)
        }


def test_an_end_that_was_announced_and_came_on_time_makes_no_sound() -> None:
    """The first message says it; whoever was not warned, or had it taken away, is told anew."""

    warning = [("news:ends-soon", "U01ANA")]

    def told(given_: Grant, standing: Sequence[tuple[str, str]] = warning) -> bool:
        shown = projected(given_, END + 20 * MINUTE, standing=standing)
        return any(one.key == "news:ended" for one in shown.wanted)

    assert not told(over())
    assert told(over(), [])
    assert told(over(EndReason.REVOKED, ended_by=BEN))
    assert told(over(ended_at=END + 10 * MINUTE))
