"""What people and the bot write, as the page shows it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from page_window import ANA, BEN, OWNERS, Window
from playwright.sync_api import expect
from slack_sdk import WebClient

from bot.sandbox.stage import Stage

pytestmark = pytest.mark.browser

MOMENT = 1767603600
"""2026-01-05 09:00 UTC."""


def test_nothing_typed_becomes_markup_formatting_or_a_mention(
    stage: Stage, open_window: Callable[..., Window]
) -> None:
    assert stage.bot is not None
    window = open_window(ANA)
    typed = '<img src=x onerror="alert(1)"> <script>alert(2)</script> *loud* <!channel> :warning:'
    window.send(f"/eks-access request prod-eu view --namespace payments --ticket PAY-1 {typed}")
    expect(window.messages).to_contain_text("Only visible to you")
    window.send(typed)
    window.page.goto(f"{stage.slack.url}/#{BEN}/{OWNERS}")
    card = window.messages.get_by_role("article").filter(has_text="PENDING")
    expect(card.get_by_role("blockquote")).to_contain_text('<img src=x onerror="alert(1)">')
    expect(card.get_by_role("blockquote").locator("strong, img, script, .mention")).to_have_count(0)
    window.page.goto(f"{stage.slack.url}/#{ANA}/app")
    message = window.messages.get_by_role("article", name="Ana Ruiz")
    expect(message).to_contain_text("<script>alert(2)</script>")
    expect(message).to_contain_text("<!channel>")
    expect(message.locator("img, script, .mention")).to_have_count(0)


def test_mrkdwn_is_shown_as_slack_shows_it(
    api: WebClient, open_window: Callable[..., Window]
) -> None:
    text = (
        "*bold* _slanted_ ~struck~ `co*d*e` a_b_c 2*3*4 &lt;b&gt; "
        f"<@{ANA}> <!subteam^S02PAYLEADS> <#{OWNERS}> <https://example.com/a?b=1&amp;c|label>\n"
        "&gt; quoted *words*\n"
        "```pre <https://example.com|same> *not bold*```\n"
        "<javascript:alert(1)|press> :warning: :no_such_emoji:"
    )
    api.chat_postMessage(channel=OWNERS, text=text)
    window = open_window(ANA, OWNERS)
    content = window.messages.locator(".content").last
    expect(content.locator("strong")).to_have_text(["bold", "words"])
    expect(content.locator("em")).to_have_text("slanted")
    expect(content.locator("s")).to_have_text("struck")
    expect(content.locator("code")).to_have_text(["co*d*e", "pre same *not bold*"])
    expect(content.locator("blockquote")).to_have_text("quoted words")
    expect(content.locator(".mention")).to_have_text(
        ["@Ana Ruiz", "@pay-leads", "#payments-access"]
    )
    expect(content.locator(".mention.mine")).to_have_text("@Ana Ruiz")
    expect(content.get_by_role("link")).to_have_attribute("href", "https://example.com/a?b=1&c")
    expect(content.get_by_role("link")).to_have_text("label")
    expect(content.get_by_role("img", name="warning")).to_be_visible()
    for words in ("a_b_c 2*3*4 <b>", "press", ":no_such_emoji:"):
        expect(content).to_contain_text(words)


def test_times_are_in_the_time_zone_of_who_looks(
    api: WebClient, open_window: Callable[..., Window]
) -> None:
    token = f"<!date^{MOMENT}^{{date_short_pretty}} at {{time}}|then>"
    api.chat_postMessage(channel=OWNERS, text=f"Until {token}")
    window = open_window(ANA, OWNERS)
    expect(window.messages).to_contain_text("Until 5 Jan 2026 at 10:00")  # Madrid
    window.page.keyboard.press("Alt+2")
    window.go("payments-access")
    expect(window.messages).to_contain_text("Until 5 Jan 2026 at 18:00")  # Tokyo


def test_an_image_from_elsewhere_is_its_words_and_nothing_is_fetched(
    api: WebClient, open_window: Callable[..., Window]
) -> None:
    image = {"type": "image", "image_url": "https://example.com/x.png", "alt_text": "errors rising"}
    api.chat_postMessage(channel=OWNERS, text="an image", blocks=[image])
    window = open_window(ANA, OWNERS)
    expect(window.messages.get_by_role("img", name="errors rising")).to_be_visible()
    expect(window.messages.locator("img")).to_have_count(0)


def test_every_kind_of_input_holds_what_is_put_in_and_sends_it(
    silent_stage: Stage, open_window: Callable[..., Window]
) -> None:
    window = open_window(ANA)
    silent_stage.slack.open_modal(ANA, MODAL)
    dialog = window.dialog
    dialog.get_by_role("combobox", name="Namespaces").click()
    for name in ("payments", "default"):
        window.page.get_by_role("option", name=name).click()
    window.page.keyboard.press("Escape")
    dialog.get_by_role("button", name="Remove payments").click()
    dialog.get_by_role("checkbox", name="Tell the owners").check()
    dialog.get_by_role("radio", name="Soon").check()
    dialog.get_by_label("Day").fill("2026-01-31")
    dialog.get_by_label("Moment").fill("2026-01-05T10:00")
    dialog.get_by_role("combobox", name="Person").fill("ben")
    window.page.get_by_role("option", name="Ben Ito").click()
    dialog.get_by_role("button", name="Send").click()
    expect(dialog.get_by_role("status")).to_contain_text("The bot could not be reached")
    values = silent_stage.slack.modals[ANA][-1].values
    assert [one["value"] for one in values["namespaces"]["a"]["selected_options"]] == ["default"]
    assert [one["value"] for one in values["tell"]["a"]["selected_options"]] == ["owners"]
    assert values["when"]["a"]["selected_option"]["value"] == "soon"
    assert values["day"]["a"]["selected_date"] == "2026-01-31"
    assert values["moment"]["a"]["selected_date_time"] == MOMENT
    assert values["person"]["a"]["selected_user"] == BEN


def plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}


def option(text: str, value: str) -> dict[str, object]:
    return {"text": plain(text), "value": value}


def field(block_id: str, label: str, kind: str, **element: object) -> dict[str, object]:
    inner = {"type": kind, "action_id": "a", **element}
    return {"type": "input", "block_id": block_id, "label": plain(label), "element": inner}


MODAL = {
    "type": "modal",
    "title": plain("Every kind"),
    "submit": plain("Send"),
    "blocks": [
        field(
            "namespaces",
            "Namespaces",
            "multi_static_select",
            options=[option("default", "default"), option("payments", "payments")],
        ),
        field("tell", "Tell", "checkboxes", options=[option("Tell the owners", "owners")]),
        field(
            "when", "When", "radio_buttons", options=[option("Now", "now"), option("Soon", "soon")]
        ),
        field("day", "Day", "datepicker"),
        field("moment", "Moment", "datetimepicker"),
        field("person", "Person", "users_select"),
    ],
}
