"""How the page holds still, fits a phone, and says who one is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from page_window import ANA, OTTO, OWNERS, Window
from playwright.sync_api import expect
from slack_sdk import WebClient

from bot.sandbox.stage import Stage
from bot.slack.commands import FORMS

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}


def test_a_phone_has_one_column_with_tabs_and_nothing_beyond_its_edge(
    stage: Stage, open_window: Callable[..., Window]
) -> None:
    assert stage.bot is not None
    window = open_window(ANA)
    window.send(
        "/eks-access request modern-access-lab view --namespace default --for 30m Looking at pods"
    )
    expect(window.entry("modern-access-lab", "role/eks-jit/ana")).to_contain_text("left")
    window.page.set_viewport_size(PHONE)
    tabs = {
        "Conversation": window.composer,
        "EKS": window.cluster("prod-eu"),
        "Audit": window.audit,
    }
    for name, part in tabs.items():
        window.button(name).click()
        expect(part).to_be_visible()
        for other in tabs.values():
            if other is not part:
                expect(other).not_to_be_visible()
        width = window.page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], name
    window.button("Conversation").click()
    window.page.get_by_role("combobox", name="You are").select_option(label="Ben Ito")
    window.page.get_by_role("combobox", name="Where").select_option(label="#payments-access")
    expect(window.page.get_by_role("heading", name="#payments-access")).to_be_visible()


def test_the_place_one_reads_stays_where_it_is_as_messages_come_and_change(
    api: WebClient, open_window: Callable[..., Window]
) -> None:
    window = open_window(ANA, OWNERS)
    sent = [api.chat_postMessage(channel=OWNERS, text=f"message {n}") for n in range(40)]
    last = window.messages.get_by_text("message 39", exact=True)
    expect(last).to_be_in_viewport()
    read = window.messages.get_by_text("message 10", exact=True)
    read.scroll_into_view_if_needed()
    before = read.bounding_box()
    api.chat_update(channel=OWNERS, ts=sent[2]["ts"], text="longer\n" * 8)
    api.chat_postMessage(channel=OWNERS, text="message 40")
    more = window.button("New messages below")
    expect(more).to_be_visible()
    expect(window.messages).to_contain_text("longer")
    after = read.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(after["y"] - before["y"]) <= 1  # screens scroll by whole points
    more.click()
    expect(window.messages.get_by_text("message 40", exact=True)).to_be_in_viewport()
    api.chat_postMessage(channel=OWNERS, text="message 41")
    expect(window.messages.get_by_text("message 41", exact=True)).to_be_in_viewport()


def test_replies_are_folded_under_their_message_and_one_can_answer(
    api: WebClient, open_window: Callable[..., Window]
) -> None:
    parent = api.chat_postMessage(channel=OWNERS, text="the question")
    api.chat_postMessage(channel=OWNERS, text="the first answer", thread_ts=parent["ts"])
    window = open_window(ANA, OWNERS)
    expect(window.messages).not_to_contain_text("the first answer")
    window.button("1 reply", exact=False).click()
    expect(window.messages).to_contain_text("the first answer")
    window.messages.get_by_text("the question").hover()
    window.button("Reply in thread").click()
    window.send("the second answer")
    replies = window.page.get_by_role("group", name="Replies")
    expect(replies).to_contain_text("the second answer")
    window.button("Hide 2 replies").click()
    expect(window.messages).not_to_contain_text("the second answer")


def test_people_of_every_kind_are_told_apart_in_words_and_see_only_their_channels(
    open_window: Callable[..., Window],
) -> None:
    window = open_window(OTTO)
    people = window.people
    expect(people.get_by_role("button", name="Gia Guest")).to_contain_text("guest")
    expect(people.get_by_role("button", name="Otto")).to_contain_text("from another organisation")
    expect(window.channels.get_by_role("button")).to_have_count(0)
    window.page.keyboard.press("Alt+1")
    expect(window.channels.get_by_role("button", name="payments-access")).to_be_visible()


def test_the_command_forms_are_offered_while_one_types(open_window: Callable[..., Window]) -> None:
    window = open_window(ANA)
    forms = window.page.get_by_role("listbox", name="Command forms")
    window.composer.press_sequentially("/eks-access re")
    offered = [name for name in FORMS if name.startswith("re")]
    expect(forms.get_by_role("option")).to_have_count(len(offered))
    for _ in range(offered.index("return") + 1):
        window.composer.press("ArrowDown")
    window.composer.press("Enter")
    expect(window.composer).to_have_value("/eks-access return ")
    expect(forms).to_contain_text("/eks-access return ID")
    window.composer.press("Escape")
    expect(forms).not_to_be_visible()


def test_the_three_steps_can_be_followed_and_hidden_for_good(
    stage: Stage, open_window: Callable[..., Window]
) -> None:
    assert stage.bot is not None
    window = open_window(ANA)
    steps = window.page.get_by_role("complementary", name="Three steps to try")
    again = window.button("Show the three steps")
    expect(again).not_to_be_visible()
    steps.get_by_role("button", name="Write it for me").click()
    expect(window.composer).to_be_focused()
    window.composer.press("Enter")
    expect(steps.get_by_role("listitem").nth(0)).to_contain_text("done")
    steps.get_by_role("button", name="Be Ben").click()
    window.messages.get_by_role("button", name="Approve").click()
    window.dialog.get_by_role("button", name="Approve").click()
    expect(steps.get_by_role("listitem").nth(1)).to_contain_text("done")
    steps.get_by_role("button", name="Hide").click()
    window.page.reload()
    expect(window.messages).to_be_visible()
    expect(steps).not_to_be_visible()
    again.click()
    expect(steps).to_be_visible()
    expect(again).not_to_be_visible()
