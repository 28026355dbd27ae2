"""A policy file that is broken while the bot runs is told in the audit channel."""

from __future__ import annotations

import time
from collections.abc import Callable

from reading import PATIENCE_SECONDS, words

from bot.sandbox.stage import Stage
from bot.store import audit

AUDIT, SECURITY = "C0AUDIT", "C0SECURITY"


def test_people_read_that_the_policy_file_is_broken_and_that_it_is_good_again(
    stage: Stage,
) -> None:
    cleo = stage.slack.human("U03CLEO")
    good = stage.policy_file.read_text()
    replace(stage, good.replace("approval: automatic", "approval: auto"))
    wait_said(stage, cleo, "The last good policy holds")
    assert "approval" in wait_said(stage, cleo, "eks-access policy check")
    replace(stage, good)
    wait_said(stage, cleo, "without errors again")


def test_the_alarm_is_not_posted_where_another_organisation_reads_it(
    make_stage: Callable[..., Stage],
) -> None:
    stage = make_stage()
    cleo = stage.slack.human("U03CLEO")
    stage.slack.share(SECURITY)
    bot = stage.start_bot()
    replace(stage, stage.policy_file.read_text().replace("approval: automatic", "approval: auto"))
    wait_said(stage, cleo, "The last good policy holds")

    def refused() -> bool:
        with bot.database.reading() as tx:
            events = audit.latest(tx, 50)
        found = [one.details for one in events if one.action == "message.refused"]
        return (SECURITY, "shared_with_others") in {
            (one["recipient"], one["error"]) for one in found
        }

    # What only the store has is looked for again and again: Slack's changes do not tell of it.
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not refused():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not any("policy" in words(one) for one in cleo.sees(SECURITY))


def replace(stage: Stage, text: str) -> None:
    new = stage.policy_file.with_suffix(".new")
    new.write_text(text)
    new.replace(stage.policy_file)


def wait_said(stage: Stage, person, said: str) -> str:
    def found() -> str | None:
        seen = [words(one) for one in person.sees(AUDIT)]
        return next((one for one in seen if said in one), None)

    text = stage.slack.wait(found, PATIENCE_SECONDS)
    assert text is not None
    return text
