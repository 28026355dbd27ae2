"""What people do in Slack is soon sealed, told to the audit channel, and seen on the page."""

from __future__ import annotations

import json
import urllib.request
from datetime import timedelta

from audit_trail import found, seal_anew, tamper
from reading import GENERAL, wait_told
from sqlalchemy import text

from bot.core.audit_anchors import anchors_in
from bot.core.audit_findings import Anchor, Kind
from bot.sandbox.stage import Stage
from bot.store import audit_seals
from bot.store.audit_verify import verify

ASK = "/eks-access request modern-access-lab view --namespace default --for 30m Looking at the pods"


def trail(stage: Stage) -> list[dict]:
    """The audit trail as the page reads it, oldest first."""
    with urllib.request.urlopen(f"{stage.slack.url}/sandbox/audit") as answer:  # noqa: S310
        return json.load(answer)["events"][::-1]


def sealed(stage: Stage, action: str) -> list[dict]:
    """The trail, once an event with this action is there and every event has its seal."""

    def done() -> list[dict] | None:
        events = trail(stage)
        there = any(one["action"] == action for one in events)
        return events if there and all(one["seal"] for one in events) else None

    found = stage.slack.wait(done, 25)
    assert found is not None
    return found


def test_a_life_is_sealed_as_it_goes_on_and_verifies(stage: Stage) -> None:
    ana = stage.slack.human("U01ANA")
    ana.command(ASK)
    wait_told(stage, ana, "is active until", GENERAL)
    events = sealed(stage, "grant.confirmed")
    positions = [one["seal"]["position"] for one in events]
    assert sorted(positions) == list(range(1, len(events) + 1))
    database = stage.bot.database
    report = verify(database)
    assert (report.findings, report.events, report.late) == ([], len(events), 0)
    with database.reading() as tx:
        last = max(events, key=lambda one: one["seal"]["position"])
        assert audit_seals.head(tx).hash == last["seal"]["hash"]


def test_the_audit_channel_is_told_the_head_each_hour(stage: Stage) -> None:
    stage.slack.human("U01ANA").command(ASK)
    sealed(stage, "grant.confirmed")
    stage.advance(timedelta(hours=1))
    anchors = told(stage, 1)
    report = verify(stage.bot.database, anchors)
    assert (report.findings, len(anchors)) == ([], 1)


def told(stage: Stage, count: int) -> list[Anchor]:
    """The first anchors in the audit channel, once there are so many."""
    channel = stage.bot.policy.current().policy.audit_channel

    def heads() -> list[Anchor]:
        said = [one.text for one in stage.slack.human("U03CLEO").sees(channel)]
        return list(anchors_in(said, "Slack"))

    assert stage.slack.wait(lambda: len(heads()) >= count, 25)
    return heads()[:count]


def test_a_trail_rewritten_under_a_running_bot_stays_rewritten_once_it_has_anchored_again(
    stage: Stage,
) -> None:
    stage.slack.human("U07IRIS").command("/eks-access lockdown on A laptop was stolen")
    sealed(stage, "lockdown.begun")
    stage.advance(timedelta(hours=1))
    (before,) = told(stage, 1)
    database = stage.bot.database
    with database.reading() as tx:
        guards = tx.execute(text("SELECT sql FROM sqlite_master WHERE type = 'trigger'")).scalars()
        made_again = list(guards)
    tamper(database, "UPDATE audit_events SET actor = 'U02BEN' WHERE id = 1")
    seal_anew(database, 1)
    tamper(database, *made_again)
    # The bot sees that the newest seal is another, writes that down, and anchors the new trail.
    sealed(stage, "store.went_back")
    stage.advance(timedelta(hours=1))
    anchors = told(stage, 2)
    assert anchors[1].position > before.position
    (finding,) = found(database, *anchors)
    assert (finding.kind, finding.position) == (Kind.REWRITTEN, before.position)
    assert f"The anchor of position {anchors[1].position} fits because it" in finding.sentence
