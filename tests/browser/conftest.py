"""The page in Debian's Chromium, over the whole sandbox."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright
from slack_sdk import WebClient

from bot.sandbox.stage import Stage, furnish

# Lets the tests in this folder share `page_window`.
sys.path.insert(0, str(Path(__file__).parent))

from page_window import ANA, Window

ARTEFACTS = Path(__file__).parents[2] / "test-artefacts" / "browser"


@pytest.fixture
def keep() -> Callable[[Window, str], None]:
    """Takes a picture of a window, which is kept."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)

    def picture(window: Window, name: str) -> None:
        window.page.screenshot(path=ARTEFACTS / f"{name}.png")

    return picture


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        expect.set_options(timeout=10_000)
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture
def silent_stage() -> Iterator[Stage]:
    """The sandbox's people, channels and clusters, with no bot behind them."""
    with Stage() as stage:
        furnish(stage)
        yield stage


@pytest.fixture
def stage(silent_stage: Stage) -> Stage:
    """The sandbox with the bot running."""
    silent_stage.start_bot()
    return silent_stage


@pytest.fixture
def api(silent_stage: Stage) -> WebClient:
    """Slack's Web API, as the bot uses it."""
    slack = silent_stage.slack
    return WebClient(slack.bot_token, base_url=slack.api_url)


@pytest.fixture
def open_window(chromium: Browser, silent_stage: Stage) -> Iterator[Callable[..., Window]]:
    """Opens the page as a person at a place; at the end nothing may have gone wrong in it.

    Nor may it have asked anybody but the sandbox for anything.

    Windows opened with the same `context` are windows of one browser.
    """
    problems: list[str] = []
    contexts: list[BrowserContext] = []

    def asked(url: str) -> None:
        if not url.startswith((f"{silent_stage.slack.url}/", "data:", "blob:")):
            problems.append(f"the page asks for {url}")

    def open_(
        person: str = ANA,
        place: str = "app",
        *,
        context: BrowserContext | None = None,
        **options: Any,
    ) -> Window:
        if context is None:
            context = chromium.new_context(viewport={"width": 1440, "height": 900}, **options)
            contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console",
            lambda said: problems.append(said.text) if said.type in ("error", "warning") else None,
        )
        page.on("request", lambda request: asked(request.url))
        page.on("dialog", lambda dialog: problems.append(f"a dialog: {dialog.message}"))
        page.goto(f"{silent_stage.slack.url}/#{person}/{place}")
        expect(page.get_by_role("article", name="prod-eu", exact=True)).to_be_visible()
        return Window(page)

    yield open_
    for context in contexts:
        context.close()
    assert problems == []
