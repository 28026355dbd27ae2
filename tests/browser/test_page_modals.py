"""Modals in the page, mostly from the keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from page_window import ANA, BEN, OWNERS, Window
from playwright.sync_api import Keyboard, Locator, expect

from bot.sandbox.stage import LAB_ACCOUNT, Stage

pytestmark = pytest.mark.browser


def go_to(keyboard: Keyboard, there: Locator) -> None:
    """Press Tab until the focus is there; each part of a date is a stop of its own."""
    for _ in range(20):
        keyboard.press("Tab")
        if there.evaluate("element => element === document.activeElement"):
            return
    expect(there).to_be_focused()


def test_access_is_asked_for_in_the_form_by_keyboard_alone(
    stage: Stage, open_window: Callable[..., Window]
) -> None:
    window = open_window(ANA)
    keyboard = window.page.keyboard
    window.send("/eks-access")
    cluster = window.dialog.get_by_role("combobox", name="Cluster")
    expect(cluster).to_be_focused()
    keyboard.type("access-l")
    expect(window.page.get_by_role("option", name="modern-access-lab")).to_be_visible()
    keyboard.press("Enter")
    expect(cluster).to_have_value("modern-access-lab")
    level = window.dialog.get_by_role("combobox", name="Level")
    expect(level).to_be_visible()
    keyboard.press("Tab")
    expect(level).to_be_focused()
    keyboard.press("ArrowDown")
    expect(window.page.get_by_role("option", name="view")).to_be_visible()
    keyboard.press("ArrowDown")
    keyboard.press("Enter")
    expect(level).to_have_value("view")
    namespaces = window.dialog.get_by_role("textbox", name="Namespaces")
    expect(namespaces).to_be_visible()
    keyboard.press("Tab")
    expect(namespaces).to_be_focused()
    keyboard.type("default")
    keyboard.press("Tab")
    expect(window.dialog.get_by_role("combobox", name="For how long")).to_be_focused()
    go_to(keyboard, window.dialog.get_by_role("textbox", name="Reason"))
    keyboard.type("Looking at the pods")
    go_to(keyboard, window.dialog.get_by_role("button", name="Ask"))
    keyboard.press("Enter")
    expect(window.dialog).not_to_be_visible()
    expect(window.composer).to_be_focused()
    entry = window.entry("modern-access-lab", "role/eks-jit/ana")
    expect(entry).to_contain_text("AmazonEKSViewPolicy namespace default")
    entries = stage.eks.entries("modern-access-lab", "eu-west-1", LAB_ACCOUNT)
    assert [one.principal_arn for one in entries] == [
        f"arn:aws:iam::{LAB_ACCOUNT}:role/eks-jit/ana"
    ]


def test_a_field_that_is_made_anew_keeps_the_focus(
    silent_stage: Stage, open_window: Callable[..., Window]
) -> None:
    window = open_window(ANA)
    title = {"type": "plain_text", "text": "A form"}

    def form(block_id: str) -> dict[str, Any]:
        element = {"type": "plain_text_input", "action_id": "why"}
        field = {"type": "input", "block_id": block_id, "label": title, "element": element}
        return {"type": "modal", "title": title, "submit": title, "blocks": [field]}

    view = silent_stage.slack.open_modal(ANA, form("why:before"))
    why = window.dialog.get_by_role("textbox", name="A form")
    expect(why).to_be_focused()
    before = why.get_attribute("data-focus")
    silent_stage.slack.update_view(view, form("why:after"))
    expect(why).not_to_have_attribute("data-focus", str(before))
    expect(why).to_be_focused()


def test_errors_stand_under_their_fields_and_go_as_one_types(
    stage: Stage, open_window: Callable[..., Window]
) -> None:
    assert stage.bot is not None
    window = open_window(ANA)
    window.send("/eks-access")
    reason = window.dialog.get_by_role("textbox", name="Reason")
    window.dialog.get_by_role("button", name="Ask").click()
    expect(reason).to_have_accessible_description(
        re.compile("^Please complete this required field.")
    )
    expect(window.dialog.get_by_role("combobox", name="Cluster")).to_be_focused()
    expect(reason).to_have_attribute("aria-invalid", "true")
    reason.fill("Looking")
    expect(reason).not_to_have_attribute("aria-invalid", "true")
    expect(reason).to_have_value("Looking")


def test_what_was_typed_waits_while_one_is_somebody_else_and_escape_closes(
    stage: Stage, open_window: Callable[..., Window]
) -> None:
    assert stage.bot is not None
    window = open_window(ANA)
    window.send("/eks-access")
    window.dialog.get_by_role("textbox", name="Reason").fill("Half a sentence")
    window.page.keyboard.press("Alt+2")
    expect(window.dialog).not_to_be_visible()
    expect(window.people.get_by_role("button", name="Ana Ruiz")).to_contain_text("a form is open")
    window.page.keyboard.press("Alt+1")
    reason = window.dialog.get_by_role("textbox", name="Reason")
    expect(reason).to_have_value("Half a sentence")
    # Escape closes an open list first, and the form only then.
    window.dialog.get_by_role("combobox", name="Cluster").click()
    option = window.page.get_by_role("option", name="modern-access-lab")
    expect(option).to_be_visible()
    window.page.keyboard.press("Escape")
    expect(option).not_to_be_visible()
    expect(reason).to_be_visible()
    window.page.keyboard.press("Escape")
    expect(window.dialog).not_to_be_visible()
    expect(window.composer).to_be_focused()
    assert ANA not in stage.slack.modals


def test_a_denial_asks_for_its_reason_and_the_requester_reads_it(
    stage: Stage, open_window: Callable[..., Window]
) -> None:
    assert stage.bot is not None
    window = open_window(ANA)
    window.send("/eks-access request prod-eu view --namespace payments --ticket PAY-1 Looking")
    expect(window.messages).to_contain_text("Only visible to you")
    window.page.goto(f"{stage.slack.url}/#{BEN}/{OWNERS}")
    window.messages.get_by_role("button", name="Deny").click()
    window.dialog.get_by_role("textbox", name="Why not?").fill("Ask in the morning")
    window.dialog.get_by_role("button", name="Deny").click()
    expect(window.messages).to_contain_text("DENIED")
    window.page.keyboard.press("Alt+1")
    expect(window.messages).to_contain_text("Ask in the morning")


def test_a_cluster_is_searched_for_where_there_are_too_many_for_a_list(
    silent_stage: Stage, open_window: Callable[..., Window]
) -> None:
    names = [f"team-{number:03}" for number in range(120)]
    place = f'region: eu-west-1, account: "{LAB_ACCOUNT}", labels: {{env: lab}}'
    rows = "".join(f"  - {{name: {name}, {place}}}\n" for name in names)
    policy = silent_stage.policy_file.read_text()
    silent_stage.policy_file.write_text(policy.replace("clusters:\n", f"clusters:\n{rows}", 1))
    for name in names:
        silent_stage.eks.create_cluster(name, "eu-west-1", LAB_ACCOUNT)
    silent_stage.start_bot()
    window = open_window(ANA)
    window.send("/eks-access")
    cluster = window.dialog.get_by_role("combobox", name="Cluster")
    cluster.press_sequentially("m-11")
    expect(window.page.get_by_role("option")).to_have_text([f"team-11{n}" for n in range(10)])
    window.page.get_by_role("option", name="team-117").click()
    window.dialog.get_by_role("combobox", name="Level").fill("view")
    window.page.keyboard.press("Enter")
    window.dialog.get_by_role("textbox", name="Namespaces").fill("default")
    window.dialog.get_by_role("textbox", name="Reason").fill("Looking")
    window.dialog.get_by_role("button", name="Ask").click()
    expect(window.dialog).not_to_be_visible()
    entry = window.entry("team-117", "role/eks-jit/ana")
    expect(entry).to_contain_text("AmazonEKSViewPolicy namespace default")


def test_a_form_that_was_being_loaded_has_the_focus_in_its_first_field(
    silent_stage: Stage, open_window: Callable[..., Window]
) -> None:
    window = open_window(ANA)
    title = {"type": "plain_text", "text": "A form"}
    loading = {"type": "section", "text": {"type": "plain_text", "text": "Loading"}}
    element = {"type": "plain_text_input", "action_id": "why"}
    field = {"type": "input", "label": {"type": "plain_text", "text": "Why"}, "element": element}
    view = silent_stage.slack.open_modal(
        ANA, {"type": "modal", "title": title, "blocks": [loading]}
    )
    expect(window.dialog.get_by_role("button", name="Close")).to_be_focused()
    silent_stage.slack.update_view(
        view, {"type": "modal", "title": title, "submit": title, "blocks": [field]}
    )
    expect(window.dialog.get_by_role("textbox", name="Why")).to_be_focused()
