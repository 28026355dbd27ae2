"""Render the pictures of the README and the docs from the sandbox's page: `make screenshots`.

Needs Debian's package `chromium`.
"""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from bot.logs import configure_logs
from bot.sandbox.slack_server import SlackWorkspace
from bot.sandbox.stage import Stage, furnish

IMAGES = Path(__file__).with_name("images")
CHROMIUM = "/usr/bin/chromium"


def main() -> None:
    """Play to the moment at which an owner is about to approve, and take the pictures."""
    configure_logs("ERROR")
    IMAGES.mkdir(exist_ok=True)
    with Stage() as stage:
        furnish(stage)
        stage.start_bot()
        _to_the_decision(stage.slack)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for name, scheme in (("workspace", "light"), ("workspace-dark", "dark")):
                page = browser.new_page(
                    viewport={"width": 1440, "height": 900}, color_scheme=scheme
                )
                _look_as_ben(page, stage.slack.url)
                page.screenshot(path=IMAGES / f"{name}.png")
            browser.close()


def _to_the_decision(slack: SlackWorkspace) -> None:
    ana, ben = slack.human("U01ANA"), slack.human("U02BEN")
    ana.command(
        "/eks-access request modern-access-lab view --namespace default --for 30m "
        "Looking at the pods"
    )
    slack.wait(lambda: any("is active until" in one.text for one in ana.dm))
    ana.command(
        "/eks-access request prod-eu edit --namespace payments --for 2h --ticket PAY-1423 "
        "Clearing a stuck settlement job"
    )
    slack.wait(lambda: ben.sees("C02PAYMENTS"))


def _look_as_ben(page: Page, url: str) -> None:
    page.goto(f"{url}/")
    page.get_by_role("button", name="Ben Ito").first.click()
    page.get_by_role("button", name="payments-access").first.click()
    page.get_by_role("button", name="Approve").wait_for()
    page.get_by_role("button", name="Approve").focus()
    page.get_by_text("min").first.wait_for()


if __name__ == "__main__":
    main()
