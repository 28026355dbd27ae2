"""Break-glass on the page: its button on Home, the form, the alarm, Revoke and the review."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from page_window import Window
from playwright.sync_api import expect

from bot.sandbox.stage import Stage

pytestmark = pytest.mark.browser

CLEO, DAN, IRIS = "U03CLEO", "U04DAN", "U07IRIS"
SECURITY = "C0SECURITY"


def test_whoever_is_on_call_breaks_glass_from_home_an_owner_revokes_and_security_reviews(
    stage: Stage, open_window: Callable[..., Window], keep: Callable[[Window, str], None]
) -> None:
    assert stage.bot is not None
    cleo = open_window(CLEO)
    cleo.page.get_by_role("tab", name="Home").click()
    home = cleo.page.get_by_role("tabpanel", name="Home")
    home.get_by_role("button", name="Break-glass…").click()
    expect(cleo.dialog).to_contain_text("Access at once, without an approval")
    cleo.dialog.get_by_role("combobox", name="Level").fill("cluster-admin")
    cleo.page.get_by_role("option", name="cluster-admin", exact=True).click()
    expect(cleo.dialog).to_contain_text("Security and the owners of prod-eu are told now")
    expect(cleo.dialog).to_contain_text("For how long")
    cleo.dialog.get_by_role("textbox", name="What is wrong?").fill("The API server is down")
    keep(cleo, "break-glass-form")
    cleo.dialog.get_by_role("button", name="Break glass").click()
    entry = cleo.entry("prod-eu", "role/eks-jit/cleo")
    expect(entry).to_contain_text("AmazonEKSClusterAdminPolicy")
    expect(home).to_contain_text("Your access (1)")

    iris = open_window(IRIS, SECURITY)
    expect(iris.messages).to_contain_text("Break-glass:")
    expect(iris.messages).to_contain_text("The API server is down")
    expect(iris.messages).to_contain_text("left")
    keep(iris, "break-glass-alarm")
    iris.messages.get_by_role("button", name="Revoke…").click()
    expect(iris.dialog).to_contain_text("Revoke this access?")
    iris.dialog.get_by_role("textbox", name="Why?").fill("The API server is back")
    iris.dialog.get_by_role("button", name="Revoke").click()
    expect(iris.cluster("prod-eu")).to_contain_text("role/eks-jit/cleo is gone")
    expect(iris.messages).to_contain_text("Revoked by Iris Lund")

    iris.messages.get_by_role("button", name="Review…").click()
    iris.dialog.get_by_role("textbox", name="What was done?").fill(
        "Restarted the API server, INC-7"
    )
    iris.dialog.get_by_role("radio", name="Justified", exact=True).check()
    keep(iris, "break-glass-review")
    iris.dialog.get_by_role("button", name="Record it").click()
    expect(iris.messages).to_contain_text("REVIEWED by Iris Lund")
    expect(iris.messages).to_contain_text("Restarted the API server, INC-7")
    expect(iris.audit).to_contain_text("break_glass.reviewed")
    keep(iris, "break-glass-reviewed")


def test_home_offers_it_to_nobody_who_may_not(
    stage: Stage, open_window: Callable[..., Window]
) -> None:
    assert stage.bot is not None
    dan = open_window(DAN)
    dan.page.get_by_role("tab", name="Home").click()
    home = dan.page.get_by_role("tabpanel", name="Home")
    expect(home.get_by_role("button", name="Ask for access")).to_be_visible()
    expect(home.get_by_role("button", name="Break-glass…")).to_have_count(0)
