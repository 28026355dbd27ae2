"""The App Home shows what one person has, asked for, and must decide."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from view_examples import (
    ANA,
    BEN,
    NAMES,
    approved,
    buttons,
    check_view,
    grants,
    hostile,
    live,
    nodes,
    read,
    request,
    requests,
    revoking,
)

from bot.core.model import Principal, RequestState
from bot.slack.home import home_view

WHAT = "*edit* on *prod-eu* / `payments`"


def shown(live_=(), pending=(), waiting=()) -> list[str]:
    return read(check_view(home_view(live_, pending, waiting, names=NAMES))["blocks"])


def test_an_empty_home_says_how_to_begin() -> None:
    assert shown() == [
        "EKS access",
        "`/eks-access` asks for access. `/eks-access help` has more.",
        "You have no access, no open request, and nothing waits for your decision.",
    ]


def test_home_has_what_waits_what_lives_and_what_is_open() -> None:
    other = request(id="7K3-QMZ")
    assert shown([(approved(), live())], [other], [request()])[2:] == [
        "Waiting for your decision (1)",
        f"Ana Ruiz asks for {WHAT}",
        "for 2 h, lapses 2026-01-05 15:40 UTC · req 7K3-QMX",
        "Edit can change workloads, read secrets, exec into pods and act as service accounts "
        "in this namespace.",
        "> Clearing a stuck settlement job",
        "[Approve] [Deny…] [Ask…]",
        "Your access (1)",
        f"{WHAT} · active until 2026-01-05 16:42 UTC · req 7K3-QMX [Return]",
        "Your open requests (1)",
        f"{WHAT} · pending, lapses 2026-01-05 15:40 UTC · req 7K3-QMZ [Cancel]",
    ]


def test_access_that_is_being_removed_cannot_be_returned() -> None:
    assert shown([(approved(), revoking())])[-1] == f"{WHAT} · removing · req 7K3-QMX"


def test_whoever_decides_at_home_sees_the_same_warning() -> None:
    shared = Principal("arn:aws:iam::1:role/team", shared=True, shared_with=(BEN,))
    assert ":warning: *Shared principal:* this gives the same access to Ben Ito." in shown(
        waiting=[request(principal=shared)]
    )


def test_a_full_home_has_at_most_a_hundred_blocks_and_counts_the_rest() -> None:
    ids = [f"7K3-{number:03}" for number in range(300)]
    many = [request(id=one) for one in ids]
    lines = shown([(one, live(id=one.id)) for one in many], many, many)
    blocks = home_view([(one, live(id=one.id)) for one in many], many, many, names=NAMES)["blocks"]
    assert len(blocks) <= 100
    assert "… and 288 more. They are in their owners' channels." in lines
    assert lines.count("… and 280 more. `/eks-access mine` lists more.") == 2


@given(st.data(), st.integers(0, 40), st.dictionaries(st.sampled_from([ANA, BEN]), hostile))
@settings(max_examples=40, deadline=None)
def test_slack_takes_every_home(data: st.DataObject, number: int, names: dict[str, str]) -> None:
    asked = data.draw(requests(RequestState.PENDING))
    given_ = data.draw(grants(asked))
    many = [replace(asked, id=f"7K3-{index:03}") for index in range(number)]
    pairs = [(one, replace(given_, id=one.id)) for one in many]
    view = check_view(home_view(pairs, many, many, names=names))
    ids = {one.id for one in many}
    assert {node["value"] for node in nodes(view) if node.get("type") == "button"} <= ids
    assert set(buttons(view["blocks"])) <= {"approve", "deny", "ask", "return", "cancel"}
