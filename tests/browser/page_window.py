"""A window of the page, for the tests in this folder."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

ANA, BEN, OTTO = "U01ANA", "U02BEN", "U06OTTO"
OWNERS = "C02PAYMENTS"


class Window:
    """One window of the page, and where its parts are."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.composer = page.get_by_role("combobox", name="Message", exact=True)
        self.status = page.locator("#composer-status")
        self.messages = page.get_by_role("log", name="Messages")
        self.people = page.get_by_role("list", name="You are")
        self.channels = page.get_by_role("list", name="Channels")
        self.dialog = page.get_by_role("dialog")
        self.audit = page.get_by_role("list", name="Audit events")

    def send(self, text: str) -> None:
        self.composer.fill(text)
        self.composer.press("Enter")

    def go(self, channel: str) -> None:
        self.channels.get_by_role("button", name=channel).click()

    def button(self, name: str, *, exact: bool = True) -> Locator:
        return self.page.get_by_role("button", name=name, exact=exact)

    def cluster(self, name: str) -> Locator:
        return self.page.get_by_role("article", name=name, exact=True)

    def entry(self, cluster: str, principal: str) -> Locator:
        return self.cluster(cluster).get_by_role("listitem").filter(has_text=principal).first
