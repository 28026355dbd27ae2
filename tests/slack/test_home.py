"""The App Home shows what one person has, asked for, and must decide."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from view_examples import (
    ANA,
    BEN,
    END,
    HOUR,
    NAMES,
    NOW,
    SECOND,
    YES,
    approved,
    check_view,
    decided,
    grant,
    grants,
    hostile,
    live,
    nodes,
    over,
    read,
    request,
    requests,
    revoking,
    some_tickets,
)

from bot.core.model import AccessRequest, EndReason, Owners, Principal, RequestState
from bot.core.policy import Tickets
from bot.core.post_review import PostReview
from bot.slack.home import HomeGlass, home_view
from bot.store.health import Health

WHAT = "*edit* on *prod-eu* / `payments`"


def shown(live_=(), pending=(), waiting=(), history=(), **more) -> list[str]:
    view = home_view(live_, pending, waiting, history, **{"names": NAMES, "now": NOW, **more})
    return read(check_view(view)["blocks"])


def test_an_empty_home_says_how_to_begin() -> None:
    assert shown() == [
        "EKS access",
        "[Ask for access]",
        "`/eks-access help` has what can be typed.",
        "You have no access, no open request, and nothing waits for your decision.",
    ]


def test_home_has_what_waits_what_lives_and_what_is_open() -> None:
    other = request(id="7K3-QMZ")
    waiting = [(request(), (YES,))]
    assert shown([(approved(), live())], [other], waiting, now=NOW + HOUR)[3:] == [
        "Waiting for your decision (1)",
        f"Ana Ruiz asks for {WHAT} for 2 h, lapses 2026-01-05 15:40 UTC · req 7K3-QMX",
        "Edit can change workloads, read secrets, exec into pods and act as service accounts "
        "in this namespace.",
        "Principal `role/eks-jit/ana` in account 111122223333",
        "Rule *payments* · 1 of 1 approval · owners: <!subteam^S02PAYLEADS> and <@U02BEN>",
        "Approved so far by Ben Ito",
        "> Clearing a stuck settlement job",
        "> Ticket: PAY-1423",
        "[Approve] [Deny…] [Ask…]",
        "Your access (1)",
        f"{WHAT} · active until 2026-01-05 16:42 UTC · *1 h 2 min left* · req 7K3-QMX",
        "[Connect…] [Extend…] [Return]",
        "Time left as of 15:40 UTC.",
        "Your open requests (1)",
        f"{WHAT} · pending, lapses 2026-01-05 15:40 UTC · req 7K3-QMZ [Cancel]",
    ]


def test_access_that_is_being_removed_cannot_be_returned() -> None:
    assert shown([(approved(), revoking())])[-2] == f"{WHAT} · removing · req 7K3-QMX"


def test_past_its_end_access_is_no_longer_called_left() -> None:
    line = shown([(approved(), live())], now=END)[-2]
    assert "being removed" in line
    assert "left" not in line
    assert not line.endswith("]")


def test_the_last_minute_is_called_less_than_one() -> None:
    assert "*less than a minute left*" in shown([(approved(), live())], now=END - SECOND)[-3]


def test_a_break_glass_that_runs_can_be_connected_to_and_not_extended() -> None:
    lines = shown([(approved(break_glass=True), live())])
    assert "[Connect…] [Return]" in lines
    assert "[Connect…] [Return]" not in shown([(approved(break_glass=True), live())], now=END)


def test_access_that_is_being_set_up_can_be_returned() -> None:
    assert shown([(approved(), grant())])[-2] == f"{WHAT} · granting · req 7K3-QMX [Return]"


def test_what_is_over_can_be_asked_for_again() -> None:
    history = [
        (approved(), over()),
        (decided(RequestState.DENIED, BEN, "No"), None),
        (decided(RequestState.LAPSED, "bot"), None),
        (decided(RequestState.CANCELLED, ANA), None),
        (approved(), over(EndReason.FAILED)),
    ]
    history = [(replace(one, id=f"7K3-00{i}"), given_) for i, (one, given_) in enumerate(history)]
    lines = shown(history=history)
    assert lines[lines.index("Recently over") + 1 :] == [
        f"{WHAT} · ended 2026-01-05 16:42 UTC · req 7K3-000 [Ask again…]",
        f"{WHAT} · denied 2026-01-05 14:41 UTC · req 7K3-001 [Ask again…]",
        f"{WHAT} · lapsed 2026-01-05 14:41 UTC · req 7K3-002 [Ask again…]",
        f"{WHAT} · cancelled 2026-01-05 14:41 UTC · req 7K3-003 [Ask again…]",
        f"{WHAT} · failed 2026-01-05 16:42 UTC · req 7K3-004 [Ask again…]",
    ]


def test_whoever_decides_at_home_sees_the_same_warning() -> None:
    shared = Principal("arn:aws:iam::1:role/team", shared=True, shared_with=(BEN,))
    assert ":warning: *Shared principal:* this gives the same access to Ben Ito." in shown(
        waiting=[(request(principal=shared), ())]
    )


def test_more_time_is_decided_as_more_time() -> None:
    asked = request(extends="7K3-QMA", already=2 * HOUR, duration=HOUR)
    lines = shown(waiting=[(asked, ())])
    assert any(f"Ana Ruiz asks to extend {WHAT} by 1 h, to 3 h in all" in line for line in lines)
    confirm = next(one for one in nodes(home_of(asked)) if one.get("action_id") == "approve")
    assert confirm["confirm"]["title"]["text"] == "Approve more time?"
    assert "Longer by 1 h, to 3 h in all." in confirm["confirm"]["text"]["text"]


def home_of(asked: AccessRequest) -> dict:
    return home_view((), (), [(asked, ())], names=NAMES, now=NOW)


def test_access_is_given_back_only_on_being_asked_again() -> None:
    view = home_view([(approved(), live())], (), (), names=NAMES, now=NOW + HOUR)
    give_back = next(one for one in nodes(view) if one.get("action_id") == "return")
    assert give_back["confirm"]["title"]["text"] == "Return?"


def test_home_says_that_it_may_not_know_all_that_waits() -> None:
    assert any("more may wait for your decision" in line for line in shown(complete=False))


def test_operators_have_a_line_of_health() -> None:
    well = Health(pending=1, live=2, late=0, eks_problems=0, slack_problems=0)
    assert shown(health=well)[3] == (
        "The bot: 1 pending request · 2 live grants · no late removal, no trouble"
    )
    ill = Health(pending=0, live=1, late=1, eks_problems=2, slack_problems=3)
    assert shown(health=ill)[3] == (
        "The bot: 0 pending requests · 1 live grant · :warning: 1 late removal, 2 access entries "
        "with trouble at EKS, 3 requests with messages that Slack does not take"
    )


def full(number: int, asked=None, given_=None, **more) -> dict:
    """A Home with so many of everything."""
    many = [replace(asked or request(), id=f"7K3-{index:03}") for index in range(number)]
    pairs = [(one, replace(given_ or live(), id=one.id)) for one in many]
    owed = PostReview("7K3-000", Owners(frozenset({BEN})), NOW, NOW + HOUR, NOW + 2 * HOUR)
    glass = HomeGlass(
        offered=True,
        may_become=frozenset(one.id for one in many),
        to_review=[(one, owed) for one in many],
        owed={one.id: owed for one in many},
    )
    ill = Health(pending=number, live=number, late=1, eks_problems=2, slack_problems=3)
    options = {"complete": False, "health": ill, "names": NAMES, "now": NOW, "glass": glass, **more}
    waiting = [(one, (YES,)) for one in many]
    return home_view(pairs, many, waiting, pairs, **options)


def test_a_full_home_has_at_most_a_hundred_blocks_and_counts_the_rest() -> None:
    view = check_view(full(300))
    assert len(view["blocks"]) <= 100
    lines = read(view["blocks"])
    assert "… and 290 more. They are in their owners' channels." in lines
    assert "… and 295 more. Their cards are in the security channel." in lines
    assert "… and 289 more. `/eks-access mine` lists more." in lines
    assert "… and 290 more. `/eks-access mine` lists more." in lines


@given(
    st.data(),
    st.sampled_from([0, 1, 9, 13, 40, 200]),
    st.dictionaries(st.sampled_from([ANA, BEN]), hostile),
    st.timedeltas(timedelta(), 5 * HOUR),
    some_tickets,
)
@settings(max_examples=60)
def test_slack_takes_every_home(
    data: st.DataObject,
    number: int,
    names: dict[str, str],
    after: timedelta,
    tickets: Tickets | None,
) -> None:
    asked = data.draw(requests())
    options = {"names": names, "now": NOW + after, "tickets": tickets}
    view = check_view(full(number, asked, data.draw(grants(asked)), **options))
    assert len(view["blocks"]) <= 100
    found = [node for node in nodes(view) if node.get("type") == "button"]
    ids = {f"7K3-{index:03}" for index in range(number)}
    assert {node["value"] for node in found if "value" in node} <= ids
    per_request = {"approve", "deny", "ask", "return", "extend", "cancel", "again"}
    per_request |= {"break_glass", "connect", "review"}
    assert {node["action_id"] for node in found} <= {"request", *per_request}
