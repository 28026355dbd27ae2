"""From the form to the end of access as people live it, with a picture of each step.

The pictures are in `test-artefacts/browser`, named in the order of the story.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from page_window import ANA, BEN, OWNERS, Window
from playwright.sync_api import expect

from bot.sandbox.stage import PRODUCTION_ACCOUNT, Stage

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}
DECISION_CLICKS = 2
COUNT_CLICKS = """() => {
  window.personClicks = 0;
  const count = (event) => { if (event.isTrusted) window.personClicks += 1; };
  window.addEventListener("click", count, true);
}"""


def ask(window: Window, *, level: str, ticket: str, reason: str) -> None:
    """Ask for something on prod-eu / payments in the form."""
    window.send("/eks-access")
    dialog = window.dialog
    dialog.get_by_role("combobox", name="Cluster").fill("prod")
    window.page.get_by_role("option", name="prod-eu").click()
    dialog.get_by_role("combobox", name="Level").fill(level)
    window.page.get_by_role("option", name=level, exact=True).click()
    expect(dialog.get_by_role("textbox", name="Namespaces")).to_have_value("payments")
    dialog.get_by_role("textbox", name="Ticket").fill(ticket)
    dialog.get_by_role("textbox", name="Reason").fill(reason)


def decide(window: Window, button: str, reason: str | None = None) -> None:
    """Press a button of the only card that waits, and then the one of the dialog."""
    window.messages.get_by_role("button", name=button).click()
    if reason is not None:
        window.dialog.get_by_role("textbox", name="Why not?").fill(reason)
    window.dialog.get_by_role("button", name=button.removesuffix("…")).click()


def as_(window: Window, person: str, place: str = "app") -> None:
    window.page.goto(f"{window.page.url.partition('#')[0]}#{person}/{place}")


def principals(stage: Stage) -> list[str]:
    entries = stage.eks.entries("prod-eu", "eu-central-1", PRODUCTION_ACCOUNT)
    return [one.principal_arn.rpartition("/")[2] for one in entries]


def test_a_request_by_form_is_denied_with_a_reason_that_the_requester_reads(
    stage: Stage, open_window: Callable[..., Window], keep: Callable[[Window, str], None]
) -> None:
    window = open_window(ANA)
    ask(window, level="edit", ticket="PAY-1423", reason="Clearing a stuck settlement job")
    expect(window.dialog).to_contain_text("Production")
    expect(window.dialog).to_contain_text("read secrets")
    expect(window.dialog).to_contain_text("Who decides")
    keep(window, "01-request-form")
    window.dialog.get_by_role("button", name="Ask").click()
    expect(window.messages).to_contain_text("Nothing is granted yet")
    keep(window, "02-requester-waits")

    as_(window, BEN, OWNERS)
    expect(window.messages).to_contain_text("PENDING")
    ticket = window.messages.get_by_role("link", name="PAY-1423")
    expect(ticket).to_have_attribute("href", "https://acme.example/browse/PAY-1423")
    keep(window, "03-card-waiting")
    window.messages.get_by_role("button", name="Deny…").click()
    window.dialog.get_by_role("textbox", name="Why not?").fill("View is enough for that")
    keep(window, "04-deny-form")
    window.dialog.get_by_role("button", name="Deny").click()
    expect(window.messages).to_contain_text("DENIED")
    expect(window.messages.get_by_role("button", name="Approve")).to_have_count(0)
    keep(window, "05-card-denied")
    as_(window, ANA)
    expect(window.messages).to_contain_text("View is enough for that")
    keep(window, "06-requester-denied")
    assert "ana" not in principals(stage)


def test_access_is_approved_with_two_clicks_extended_and_returned_at_home(
    stage: Stage, open_window: Callable[..., Window], keep: Callable[[Window, str], None]
) -> None:
    window = open_window(ANA)
    ask(window, level="view", ticket="PAY-1423", reason="Looking at the settlement job")
    window.dialog.get_by_role("button", name="Ask").click()
    as_(window, BEN, OWNERS)
    approve = window.messages.get_by_role("button", name="Approve")
    expect(approve).to_be_visible()
    window.page.evaluate(COUNT_CLICKS)
    approve.click()
    keep(window, "07-approve-asks-again")
    window.dialog.get_by_role("button", name="Approve").click()
    expect(window.messages).to_contain_text("ACTIVE")
    assert window.page.evaluate("window.personClicks") == DECISION_CLICKS
    keep(window, "08-card-active")
    assert "ana" in principals(stage)

    as_(window, ANA)
    expect(window.messages).to_contain_text("aws eks update-kubeconfig")
    keep(window, "09-requester-active")
    window.messages.get_by_role("button", name="Extend…").click()
    window.dialog.get_by_role("textbox", name="Why?").fill("The job still runs")
    keep(window, "10-extend-form")
    window.dialog.get_by_role("button", name="Ask").click()
    as_(window, BEN, OWNERS)
    expect(window.messages).to_contain_text("asks to extend")
    decide(window, "Approve")
    entry = window.entry("prod-eu", "role/eks-jit/ana")
    expect(entry).to_contain_text(re.compile(r"1 h 59 min|2 h 00 min"))
    expect(entry).to_contain_text(re.compile(r"Backstop: deleted at \d\d:\d\d"))
    keep(window, "11-extended")

    as_(window, ANA)
    window.page.get_by_role("tab", name="Home").click()
    home = window.page.get_by_role("tabpanel", name="Home")
    expect(home).to_contain_text("Your access (1)")
    keep(window, "12-home")
    home.get_by_role("button", name="Return").click()
    expect(window.cluster("prod-eu")).to_contain_text("role/eks-jit/ana is gone")
    expect(home).not_to_contain_text("Your access")
    expect(home).to_contain_text("Recently over")
    keep(window, "13-home-returned")
    assert "ana" not in principals(stage)


def test_the_warning_before_the_end_can_be_acted_on_and_then_keeps_no_buttons(
    stage: Stage, open_window: Callable[..., Window], keep: Callable[[Window, str], None]
) -> None:
    assert stage.bot is not None
    window = open_window(ANA)
    window.send("/eks-access request modern-access-lab view --namespace default --for 1h Looking")
    expect(window.messages).to_contain_text("is active until")
    window.button("1 reply", exact=False).click()
    window.button("Move the clock 10 min forward").click(click_count=5, delay=50)
    replies = window.page.get_by_role("group", name="Replies")
    warning = replies.get_by_role("article").filter(has_text="If you need it longer")
    expect(warning).to_be_visible()
    keep(window, "14-ends-soon")
    warning.get_by_role("button", name="Return the access").click()
    expect(replies.get_by_text("has ended: returned by Ana Ruiz").first).to_be_visible()
    expect(window.messages.get_by_role("button", name="Return the access")).to_have_count(0)


def test_on_a_phone_an_owner_decides_and_everything_fits(
    stage: Stage, open_window: Callable[..., Window], keep: Callable[[Window, str], None]
) -> None:
    assert stage.bot is not None
    window = open_window(ANA)
    window.page.set_viewport_size(PHONE)
    ask(window, level="edit", ticket="PAY-1423", reason="Clearing a stuck settlement job")
    keep(window, "20-phone-request-form")
    window.dialog.get_by_role("button", name="Ask").click()
    expect(window.messages).to_contain_text("Nothing is granted yet")
    as_(window, BEN, OWNERS)
    approve = window.messages.get_by_role("button", name="Approve")
    expect(approve).to_be_visible()
    keep(window, "21-phone-card")
    decide(window, "Approve")
    expect(window.messages).to_contain_text("ACTIVE")
    keep(window, "22-phone-card-active")
    as_(window, ANA, "home")
    expect(window.page.get_by_role("tabpanel", name="Home")).to_contain_text("Your access (1)")
    keep(window, "23-phone-home")
    window.button("EKS").click()
    expect(window.entry("prod-eu", "role/eks-jit/ana")).to_be_visible()
    keep(window, "24-phone-eks")
    assert window.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
