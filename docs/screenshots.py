"""Render the pictures of the README and the docs from the sandbox's page: `make screenshots`.

Needs Debian's package `chromium`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Locator, Page, sync_playwright

from bot.logs import configure_logs
from bot.sandbox.slack_server import SlackWorkspace
from bot.sandbox.stage import Stage, furnish

IMAGES = Path(__file__).with_name("images")
CHROMIUM = "/usr/bin/chromium"
ANA, BEN, CLEO = "U01ANA", "U02BEN", "U03CLEO"
OWNERS = "C02PAYMENTS"


def main() -> None:
    """Play the story, and take the pictures where it comes to them."""
    configure_logs("ERROR")
    IMAGES.mkdir(exist_ok=True)
    with Stage() as stage:
        furnish(stage)
        stage.start_bot()
        _to_the_decision(stage.slack)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            _waiting(browser, stage.slack.url)
            _form(browser, stage.slack.url)
            _active(browser, stage.slack)
            _home(browser, stage.slack)
            browser.close()


def _to_the_decision(slack: SlackWorkspace) -> None:
    ana, ben = slack.human(ANA), slack.human(BEN)
    ana.command(
        "/eks-access request modern-access-lab view --namespace default --for 30m "
        "Looking at the pods"
    )
    slack.wait(lambda: any("is active until" in one.text for one in ana.dm))
    ana.command(
        "/eks-access request prod-eu edit --namespace payments --for 2h --ticket PAY-1423 "
        "Clearing a stuck settlement job"
    )
    slack.wait(lambda: ben.sees(OWNERS))


def _waiting(browser: Browser, url: str) -> None:
    """The whole page, light and dark, and the card that waits, also on a phone."""
    for name, scheme in _SCHEMES:
        page = _page(browser, scheme)
        _look_as_ben(page, url)
        page.screenshot(path=IMAGES / f"{name}.png")
    page = _page(browser, width=960)
    page.goto(f"{url}/#{BEN}/{OWNERS}")
    _take(_message(page, "settlement job"), "slack-card-waiting")
    page = _page(browser, width=390, height=760)
    page.goto(f"{url}/#{BEN}/{OWNERS}")
    page.get_by_role("button", name="Hide").click()
    page.get_by_role("button", name="Approve").wait_for()
    page.screenshot(path=IMAGES / "slack-phone.png")


def _form(browser: Browser, url: str) -> None:
    page = _page(browser, height=1100)
    page.goto(f"{url}/#{ANA}/app")
    _message(page, "is active until").wait_for()
    composer = page.get_by_role("combobox", name="Message", exact=True)
    composer.fill("/eks-access")
    composer.press("Enter")
    form = page.get_by_role("dialog")
    form.get_by_role("textbox", name="Reason").fill("Clearing a stuck settlement job")
    form.get_by_text("Who decides").wait_for()
    form.get_by_role("textbox", name="Ticket").fill("PAY-1423")
    _take(form, "slack-request-form")
    form.get_by_role("button", name="Cancel").click()
    form.wait_for(state="hidden")


def _active(browser: Browser, slack: SlackWorkspace) -> None:
    """The same card once EKS has confirmed the access, and what the requester has then."""
    page = _page(browser, width=960)
    page.goto(f"{slack.url}/#{BEN}/{OWNERS}")
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("dialog").get_by_role("button", name="Approve").click()
    page.get_by_text("ACTIVE", exact=True).wait_for()
    _take(_message(page, "ACTIVE until"), "slack-card-active")
    page.goto(f"{slack.url}/#{ANA}/app")
    _take(_message(page, "--name prod-eu"), "slack-direct-message")


def _home(browser: Browser, slack: SlackWorkspace) -> None:
    """Home of somebody who has access and decides about others'."""
    cleo = slack.human(CLEO)
    cleo.command("/eks-access request modern-access-lab view --namespace default --for 4h Looking")
    slack.wait(lambda: any("is active until" in one.text for one in cleo.dm))
    slack.human(ANA).command(
        "/eks-access request prod-eu cluster-admin --for 30m Upgrading the control plane"
    )
    slack.wait(lambda: cleo.sees("C01PLATFORM"))
    page = _page(browser, width=960, height=640)
    page.goto(f"{slack.url}/#{CLEO}/home")
    page.get_by_role("button", name="Hide").click()
    page.get_by_text("Waiting for your decision (1)").wait_for()
    _take(page.get_by_role("tabpanel", name="Home"), "slack-home")


_SCHEMES: tuple[tuple[str, Literal["light", "dark"]], ...] = (
    ("workspace", "light"),
    ("workspace-dark", "dark"),
)


def _page(
    browser: Browser,
    scheme: Literal["light", "dark"] = "light",
    *,
    width: int = 1440,
    height: int = 900,
) -> Page:
    return browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)


def _look_as_ben(page: Page, url: str) -> None:
    page.goto(f"{url}/")
    page.get_by_role("button", name="Ben Ito").first.click()
    page.get_by_role("button", name="payments-access").first.click()
    page.get_by_role("button", name="Approve").wait_for()
    page.get_by_role("button", name="Approve").focus()
    page.get_by_text("min").first.wait_for()


def _message(page: Page, words: str) -> Locator:
    log = page.get_by_role("log", name="Messages")
    return log.get_by_role("article").filter(has_text=words).first


def _take(part: Locator, name: str) -> None:
    part.wait_for()
    part.page.mouse.move(0, 0)
    part.screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
