"""One person with two accounts approves nothing for themselves."""

from __future__ import annotations

from typing import Any

import pytest
from desk import ANA, BEN, DAN, ENGINEERS, EVE, HOUR, LEADS, Desk, person

from bot.access import delegate
from bot.core.errors import Conflict, Refused
from bot.core.model import RequestState

SECOND = "U08ANATOO"


@pytest.mark.parametrize(
    "account",
    [
        {"email": "ana@example.com"},
        {"email": "ana@example.org"},
        {"email": "ana@elsewhere.net"},
        {"email": "ana@example.com", "email_confirmed": False},
        {"email": "Ana@Example.com"},
        {"email": "ana+second@example.com"},
    ],
    ids=lambda account: "-".join(str(value) for value in account.values()),
)
@pytest.mark.parametrize("who", [ANA, DAN], ids=["mapped", "by the template"])
def test_whoever_may_be_the_requester_by_their_address_does_not_review(
    desk: Desk, who: str, account: dict[str, Any]
) -> None:
    first = desk.people[who].name
    account = {**account, "email": account["email"].replace("ana", first)}
    if who == DAN:
        account["email"] = account["email"].replace("Ana", "Dan")
    desk.people[SECOND] = person(SECOND, **account)
    desk.membership[LEADS] = desk.membership[LEADS] | {SECOND}
    request = desk.ask("payments", who=who)
    with desk.refuses(Refused, "same_principal"):
        desk.approve(request.id, SECOND)
    with desk.refuses(Refused, "same_principal"):
        desk.deny(request.id, SECOND, "I am not me")


def test_ten_requests_of_one_person_may_wait_and_no_more(desk: Desk) -> None:
    for number in range(10):
        desk.rules["payments"]["namespaces"].append(f"payments-{number}")
    desk.rules["payments"]["namespaces"].append("payments-10")
    for number in range(10):
        desk.ask(f"payments-{number}")
    with desk.refuses(Conflict, "too_many_pending"):
        desk.ask("payments-10")


def test_an_extension_that_waits_counts_like_any_other_request(desk: Desk) -> None:
    live = desk.ask("payments")
    desk.approve(live.id)
    desk.confirm(live.id)
    desk.rules["payments"]["namespaces"] += [f"payments-{number}" for number in range(10)]
    for number in range(10):
        desk.ask(f"payments-{number}")
    with desk.refuses(Conflict, "too_many_pending"):
        desk.extend(live.id)


@pytest.mark.parametrize("verdict", ["approve", "deny"])
def test_a_second_account_that_owns_the_rule_has_no_deputy_for_the_first(
    desk: Desk, verdict: str
) -> None:
    """Dan asks; his second account, an owner, has named Eve to decide in its place."""
    desk.rules["payments"]["approval"]["delegation"] = {"longest": "7d"}
    desk.people[SECOND] = person(SECOND, email="dan@example.org")
    desk.membership[LEADS] |= {SECOND}
    with desk.database.transaction() as tx:
        delegate.begin(tx, desk.facts(), SECOND, EVE, desk.clock() + HOUR)
    request = desk.ask("payments", who=DAN)
    with desk.refuses(Refused, "not_owner"):
        (desk.approve if verdict == "approve" else desk.deny)(request.id, EVE)
    others = desk.ask("payments", who=ANA)
    assert desk.approve(others.id, EVE).state is RequestState.APPROVED


def test_an_owners_two_accounts_are_one_word_also_by_a_deputy_of_one(desk: Desk) -> None:
    """Two owners have to approve. Dan's second account owns too, and has named Ben its deputy."""
    desk.rules["vault"]["approval"] |= {
        "owners": {"users": [DAN, SECOND, EVE]},
        "delegation": {"longest": "7d"},
    }
    desk.people[SECOND] = person(SECOND, email="dan@example.org")
    with desk.database.transaction() as tx:
        delegate.begin(tx, desk.facts(), SECOND, BEN, desk.clock() + HOUR)
    for order in ((DAN, BEN), (BEN, DAN)):
        request = desk.ask("vault", level="edit" if order[0] == DAN else "view")
        for who in order:
            assert desk.approve(request.id, who).state is RequestState.PENDING
        assert desk.approve(request.id, EVE).state is RequestState.APPROVED


@pytest.mark.parametrize("other", ["role/eks-jit/DAN", "role/people/dan"])
def test_one_role_is_one_principal_whatever_its_path_and_case(desk: Desk, other: str) -> None:
    """IAM has one role of a name in an account. The file comes to name it in another way."""
    desk.ask("payments", who=DAN)
    desk.people[SECOND] = person(SECOND)
    desk.membership[ENGINEERS] |= {SECOND}
    desk.document["principals"]["users"][SECOND] = f"arn:aws:iam::{{account}}:{other}"
    with desk.refuses(Refused, "principal_of_another"):
        desk.ask("payments", who=SECOND)
