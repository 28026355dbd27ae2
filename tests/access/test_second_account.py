"""One person with two accounts approves nothing for themselves."""

from __future__ import annotations

from typing import Any

import pytest
from desk import ANA, DAN, LEADS, Desk, person

from bot.core.errors import Conflict, Refused

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
