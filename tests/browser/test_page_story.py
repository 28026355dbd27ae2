"""The story that the page is for: ask, approve as another, watch EKS."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from page_window import ANA, BEN, OWNERS, Window
from playwright.sync_api import expect

from bot.sandbox.stage import PRODUCTION_ACCOUNT, Stage

pytestmark = pytest.mark.browser

ASK = "/eks-access request prod-eu edit --namespace payments --for 2h --ticket PAY-1 Settlement"
PRINCIPAL = f"arn:aws:iam::{PRODUCTION_ACCOUNT}:role/eks-jit/ana"


def principals(stage: Stage) -> list[str]:
    entries = stage.eks.entries("prod-eu", "eu-central-1", PRODUCTION_ACCOUNT)
    return [entry.principal_arn for entry in entries]


def test_a_request_is_approved_by_another_shown_as_eks_holds_it_and_gone_at_its_end(
    stage: Stage, open_window: Callable[..., Window]
) -> None:
    window = open_window(ANA)
    expect(window.composer).to_be_focused()
    window.send(ASK)
    expect(window.messages).to_contain_text("Only visible to you")
    expect(window.status).to_contain_text(re.compile(r"The bot answered in \d+ ms"))

    ben = window.people.get_by_role("button", name="Ben Ito")
    expect(ben).to_contain_text("1 new")
    window.page.keyboard.press("Alt+2")
    expect(ben).to_have_attribute("aria-pressed", "true")
    window.go("payments-access")
    expect(ben).not_to_contain_text("new")
    expect(window.messages).to_contain_text("PENDING")
    expect(window.messages).not_to_contain_text("Only visible to you")

    approve = window.messages.get_by_role("button", name="Approve")
    approve.click()
    expect(window.dialog).to_contain_text("Approve this access?")
    window.dialog.get_by_role("button", name="Back").click()
    expect(window.dialog).not_to_be_visible()
    expect(approve).to_be_focused()
    assert PRINCIPAL not in principals(stage)

    approve.press("Enter")
    window.dialog.get_by_role("button", name="Approve").press("Enter")
    entry = window.entry("prod-eu", "role/eks-jit/ana")
    expect(entry).to_contain_text("by this bot")
    expect(entry).to_contain_text("AmazonEKSEditPolicy namespace payments")
    expect(entry).to_contain_text(re.compile(r"(1 h 59|2 h 00) min \d\d s left"))
    expect(window.messages).to_contain_text("ACTIVE")
    expect(window.audit).to_contain_text("grant.confirmed")
    assert PRINCIPAL in principals(stage)
    others = window.entry("prod-eu", "role/platform-admins")
    expect(others).to_contain_text("managed by others")
    expect(others).to_contain_text("the whole cluster")

    forward = window.button("Move the clock 1 h forward")
    forward.click()
    expect(entry).to_contain_text(re.compile(r"(59 min \d\d s|1 h 00 min \d\d s) left"))
    forward.click()
    expect(window.cluster("prod-eu")).to_contain_text("role/eks-jit/ana is gone")
    expect(entry).not_to_be_visible()
    expect(window.messages).to_contain_text("ENDED")
    expect(window.audit).to_contain_text("grant.ended")
    assert PRINCIPAL not in principals(stage)


def test_what_one_window_does_shows_in_every_other_without_reloading(
    stage: Stage, open_window: Callable[..., Window]
) -> None:
    assert stage.bot is not None
    ana = open_window(ANA)
    context = ana.page.context
    # More windows than a browser opens connections to one server.
    others = [open_window(BEN, OWNERS, context=context) for _ in range(4)]
    ana.send(ASK)
    for window in others:
        expect(window.messages.get_by_role("button", name="Approve")).to_be_visible()
    # The window that listens for all goes away; another takes its place.
    ana.page.close()
    others[0].messages.get_by_role("button", name="Approve").click()
    others[0].dialog.get_by_role("button", name="Approve").click()
    for window in others:
        expect(window.entry("prod-eu", "role/eks-jit/ana")).to_contain_text("left")


def test_the_home_tab_shows_what_the_bot_published_and_its_buttons_act(
    stage: Stage, open_window: Callable[..., Window]
) -> None:
    assert stage.bot is not None
    window = open_window(ANA)
    lab = "/eks-access request modern-access-lab view --namespace default --for 30m Looking"
    window.send(lab)
    expect(window.entry("modern-access-lab", "role/eks-jit/ana")).to_contain_text("left")
    window.page.get_by_role("tab", name="Home").click()
    home = window.page.get_by_role("tabpanel", name="Home")
    home.get_by_role("button", name="Return").click()
    expect(window.cluster("modern-access-lab")).to_contain_text("role/eks-jit/ana is gone")
    expect(home).not_to_contain_text("Return")


def test_with_no_bot_there_the_page_says_so_and_keeps_what_was_typed(
    open_window: Callable[..., Window],
) -> None:
    window = open_window(ANA)
    expect(window.page.get_by_role("navigation", name="Workspace")).to_contain_text(
        "The bot is not connected"
    )
    window.send("/eks-access mine")
    expect(window.status).to_contain_text("The bot could not be reached")
    expect(window.composer).to_have_value("/eks-access mine")
    window.send("/nothing at all")
    expect(window.status).to_contain_text("There is no such command")
