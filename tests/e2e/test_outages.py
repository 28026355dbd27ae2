"""The bot, Slack, AWS and the database go away and come back; access is never more nor longer."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from reading import (
    GENERAL,
    PATIENCE_SECONDS,
    PAYMENTS,
    PLATFORM,
    ask_payments,
    given,
    lab_entry,
    production_entry,
    request_id,
    revoke,
    wait_card,
    wait_card_says,
    wait_told,
    words,
)
from shared_database import SharedDatabase

from bot.core.model import AuditEvent, EndReason, GrantState
from bot.sandbox.humans import Human
from bot.sandbox.slack_shown import Message
from bot.sandbox.stage import Stage
from bot.store import audit, grants, inbox
from bot.store.inbox import Kind

LAB = "/eks-access request modern-access-lab view --namespace default --for 1h Looking"


def grant_access(stage: Stage) -> Human:
    ana = stage.slack.human("U01ANA")
    ana.command(LAB, GENERAL)
    wait_told(stage, ana, "is active until")
    return ana


def test_what_ended_while_the_bot_was_down_is_removed_at_its_start(stage: Stage) -> None:
    ana = grant_access(stage)
    stage.stop_bot()
    stage.advance(timedelta(hours=1))
    assert lab_entry(stage) is not None

    stage.start_bot()
    assert stage.eks.wait_for(lambda: lab_entry(stage) is None, 25)
    wait_told(stage, ana, "has ended")


def test_a_grant_goes_on_over_a_restart_and_ends_when_it_should(stage: Stage) -> None:
    ana = grant_access(stage)
    stage.stop_bot()
    stage.start_bot()
    assert given(lab_entry(stage)) == {"AmazonEKSViewPolicy": ("default",)}
    stage.advance(timedelta(hours=1))
    wait_told(stage, ana, "has ended")
    assert lab_entry(stage) is None


def test_buttons_from_before_a_restart_work(stage: Stage) -> None:
    ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    stage.stop_bot()
    stage.start_bot()
    assert ben.click(card, "approve").acknowledged
    wait_told(stage, ana, "is active until")
    wait_card_says(stage, card, "active until")


def test_revocation_goes_on_for_as_long_as_aws_refuses(stage: Stage) -> None:
    ana = grant_access(stage)
    stage.eks.faults.deny("DeleteAccessEntry")
    stage.advance(timedelta(hours=1))
    assert stage.eks.wait_for(lambda: len(stage.eks.calls_of("DeleteAccessEntry")) >= 3, 25)
    assert lab_entry(stage) is not None
    stage.eks.faults.clear()
    stage.advance(timedelta(minutes=2))
    wait_told(stage, ana, "has ended")
    assert lab_entry(stage) is None


def test_throttling_and_slow_propagation_delay_access_and_no_more(stage: Stage) -> None:
    stage.eks.faults.throttle(times=3)
    stage.eks.faults.propagation_delay("CreateAccessEntry", reads=3)
    ana = grant_access(stage)
    assert given(lab_entry(stage)) == {"AmazonEKSViewPolicy": ("default",)}
    stage.eks.faults.throttle(times=3)
    stage.advance(timedelta(hours=1))
    wait_told(stage, ana, "has ended")
    assert lab_entry(stage) is None


def test_a_slack_that_answers_no_call_delays_no_acknowledgement(stage: Stage) -> None:
    """Whatever waited for Slack would not come while all calls are held."""
    ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
    held = stage.slack.faults.add(times=None, hold=True)
    assert ana.command(LAB, GENERAL).acknowledged
    assert held.reached.wait(PATIENCE_SECONDS), "deciding needs Slack"
    assert lab_entry(stage) is None
    stage.slack.faults.clear()
    wait_told(stage, ana, "is active until")
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    held = stage.slack.faults.add(times=None, hold=True)
    assert ben.click(card, "approve").acknowledged
    assert held.reached.wait(PATIENCE_SECONDS), "deciding needs Slack"
    stage.slack.faults.clear()
    wait_card_says(stage, card, "active until")


@pytest.mark.parametrize("way", ["command", "Home"])
def test_a_form_that_slack_opens_no_longer_is_said_and_not_swallowed(
    stage: Stage, way: str
) -> None:
    ana = stage.slack.human("U01ANA")
    home = ana.home()
    stage.slack.faults.add("views.open", error="expired_trigger_id")
    if way == "command":
        assert ana.command("/eks-access", GENERAL).acknowledged
    else:
        assert ana.click(home, "request").acknowledged
    wait_told(stage, ana, "Slack took too long to open the form")
    assert ana.modal is None


def test_a_connection_that_takes_its_time_to_open_is_waited_for(
    make_stage: Callable[..., Stage],
) -> None:
    """Another in its place would lose the payloads that Slack sends as soon as it is open."""
    stage = make_stage()
    stage.slack.faults.add("link", delay=1.5)
    stage.start_bot()
    assert stage.slack.human("U01ANA").command("/eks-access mine", GENERAL).acknowledged
    opened = [one for one in stage.slack.calls if one.method == "apps.connections.open"]
    assert len(opened) == 1


def test_access_ends_while_slack_is_away_and_slack_is_told_later(stage: Stage) -> None:
    ana = grant_access(stage)
    stage.slack.kill()
    stage.advance(timedelta(hours=1))
    assert stage.eks.wait_for(lambda: lab_entry(stage) is None, 25)
    stage.slack.revive()
    wait_told(stage, ana, "has ended")


def test_the_database_away_at_the_click_is_said_and_nothing_is_half_done(
    make_stage: Callable[..., Stage], shared_database: SharedDatabase
) -> None:
    stage = make_stage(database_url=shared_database.url)
    stage.start_bot()
    ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    # The direct message comes after the store knows where the card is; without that the card would
    # be posted once more, which is allowed.
    wait_told(stage, ana, "Nothing is granted yet")

    shared_database.take_away()
    assert ben.click(card, "approve").acknowledged
    wait_told(stage, ben, "database", PAYMENTS)
    assert production_entry(stage) is None

    shared_database.give_back()
    ben.click(card, "approve")
    wait_card_says(stage, card, "active until")


def test_a_broken_policy_file_keeps_the_last_good_one_and_stops_no_revocation(
    stage: Stage,
) -> None:
    ana = grant_access(stage)
    replace_policy(stage, "deployment: [broken")
    stage.advance(timedelta(hours=1))
    wait_told(stage, ana, "has ended")
    assert lab_entry(stage) is None


def test_a_bot_with_live_grants_and_no_valid_policy_at_start_still_revokes(stage: Stage) -> None:
    ana = grant_access(stage)
    stage.stop_bot()
    replace_policy(stage, "deployment: [broken")
    stage.advance(timedelta(hours=1))
    stage.start_bot()
    assert stage.eks.wait_for(lambda: lab_entry(stage) is None, 25)
    wait_told(stage, ana, "has ended")
    ana.command(LAB, "C01PLATFORM")
    wait_told(stage, ana, "nothing can be granted", "C01PLATFORM")


PRODUCTION = "/eks-access break-glass prod-eu cluster-admin --for 1h The API server is down"


def broken_glass(stage: Stage) -> Message:
    """Noa's break-glass, which EKS has confirmed. Returns its card in the platform channel."""
    stage.slack.human("U08NOA").command(PRODUCTION, GENERAL)
    card = wait_card(stage, stage.slack.human("U04DAN"), PLATFORM)
    wait_card_says(stage, card, "active until")
    return card


def test_an_owner_revokes_though_the_bot_has_had_no_good_policy_since_its_start(
    stage: Stage,
) -> None:
    card = broken_glass(stage)
    stage.stop_bot()
    replace_policy(stage, "deployment: [broken")
    stage.start_bot()
    ana, dan = stage.slack.human("U01ANA"), stage.slack.human("U04DAN")
    ana.command(f"/eks-access revoke {request_id(card)} Mine now", GENERAL)
    wait_told(stage, ana, "You own nothing that")
    revoke(dan, card)
    assert stage.eks.wait_for(lambda: production_entry(stage, "noa") is None, 25)
    wait_card_says(stage, card, "revoked by")


def test_an_owner_revokes_while_a_policy_file_is_read_that_takes_for_ever(stage: Stage) -> None:
    card = broken_glass(stage)
    good = stage.policy_file.read_text()
    pipe = stage.policy_file.with_suffix(".pipe")
    os.mkfifo(pipe)
    pipe.replace(stage.policy_file)
    writer = stage.slack.wait(lambda: opened(stage.policy_file), 25)  # once the bot reads it
    try:
        revoke(stage.slack.human("U04DAN"), card)
        assert stage.eks.wait_for(lambda: production_entry(stage, "noa") is None, 25)
    finally:  # whatever comes of it, or the bot reads for ever and never stops
        replace_policy(stage, good)
        os.close(writer)


def opened(pipe: Path) -> int | None:
    """A descriptor to write to the pipe, or None while nobody reads it."""
    with suppress(OSError):
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    return None


def test_an_owner_revokes_though_slack_describes_nobody(stage: Stage) -> None:
    card = broken_glass(stage)
    stage.slack.faults.add(method="users.info", times=1000, error="internal_error")
    revoke(stage.slack.human("U04DAN"), card)
    assert stage.eks.wait_for(lambda: production_entry(stage, "noa") is None, 25)
    stage.slack.faults.clear()


def test_a_group_that_slack_tells_a_little_later_is_waited_for(stage: Stage) -> None:
    card = broken_glass(stage)
    stage.slack.faults.add(method="usergroups.users.list", times=4, error="internal_error")
    revoke(stage.slack.human("U04DAN"), card)
    assert stage.eks.wait_for(lambda: production_entry(stage, "noa") is None, 25)


def test_whoever_cannot_be_told_for_an_owner_reads_how_it_is_done_without_slack(
    stage: Stage,
) -> None:
    card, dan = broken_glass(stage), stage.slack.human("U04DAN")
    stage.slack.faults.add(method="usergroups.users.list", times=1000, error="internal_error")
    revoke(dan, card)
    said = f"eks-access revoke {request_id(card)}"
    while_time_passes(stage, lambda: said in str([words(one) for one in dan.dm]))
    stage.slack.faults.clear()


def while_time_passes(stage: Stage, so: Callable[[], bool]) -> None:
    """Wait for what comes after several tries, with longer pauses between them."""
    for _ in range(25):
        stage.advance(timedelta(seconds=5))
        with suppress(AssertionError):
            stage.slack.wait(so, 1)
            return
    raise AssertionError("it never came")


def malformed(stage: Stage, kind: Kind) -> None:
    """An item as no listener of this version stores it."""
    assert stage.bot is not None
    with stage.bot.database.transaction() as tx:
        inbox.add(
            tx,
            kind,
            actor="U02BEN",
            team_id=None,
            document={"secret": "xoxb-1-hidden"},
            response_url=None,
            now=stage.clock(),
        )


def failures(stage: Stage) -> list[AuditEvent]:
    assert stage.bot is not None
    with stage.bot.database.reading() as tx:
        return [one for one in audit.latest(tx, 50) if one.action.endswith(".failed")]


@pytest.mark.parametrize("kind", [Kind.APPROVE, Kind.REVOKE])
def test_a_fault_of_the_bot_is_on_record_without_what_it_was_about(
    stage: Stage, kind: Kind
) -> None:
    malformed(stage, kind)
    while_time_passes(stage, lambda: bool(failures(stage)))
    [failed] = failures(stage)
    assert (failed.actor, failed.action) == ("U02BEN", f"{kind.value}.failed")
    assert failed.details == {"reference": "inbox-1", "error": "KeyError"}
    ben = stage.slack.human("U02BEN")
    told = words(
        wait_told(stage, ben, "fault in the bot, and nothing was changed. Do it once more")
    )
    assert "inbox-1" in told
    assert ("eks-access revoke ID" in told) is (kind is Kind.REVOKE)


def test_revoke_from_the_command_line_is_carried_out_by_the_running_bot(stage: Stage) -> None:
    ana = grant_access(stage)
    assert stage.bot is not None
    from bot.access import end  # noqa: PLC0415 - what `eks-access revoke` calls

    with stage.bot.database.transaction() as tx:
        grant = grants.live(tx)[0]
        end.revoke(tx, grant.id, EndReason.REVOKED, "operator", stage.clock())
    wait_told(stage, ana, "has ended")
    assert lab_entry(stage) is None
    with stage.bot.database.reading() as tx:
        ended = grants.get(tx, grant.id)
    assert ended.state is GrantState.ENDED
    assert ended.end_reason is EndReason.REVOKED


def replace_policy(stage: Stage, text: str) -> None:
    """Replace the policy file as an operator should: by a rename."""
    new = Path(f"{stage.policy_file}.new")
    new.write_text(text)
    new.replace(stage.policy_file)


def test_a_connection_that_slack_refreshes_or_drops_is_soon_there_again(stage: Stage) -> None:
    ana = stage.slack.human("U01ANA")
    for cut in (stage.slack.disconnect, stage.slack.drop_connections):
        cut()
        # The old connection's reader would stay in its select for ten seconds.
        stage.slack.wait_connected(timeout=20)
        assert stage.slack.wait(lambda: ana.command("/eks-access help").acknowledged, 25)


def test_readyz_says_that_slack_takes_no_connection_and_why(stage: Stage) -> None:
    assert stage.bot is not None
    port = stage.bot.http.port

    def ready() -> tuple[int, dict[str, Any]]:
        asked = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        with closing(asked):
            asked.request("GET", "/readyz")
            answer = asked.getresponse()
            return answer.status, json.loads(answer.read())

    assert stage.eks.wait_for(lambda: ready()[0] == HTTPStatus.OK, PATIENCE_SECONDS)
    stage.slack.faults.add("apps.connections.open", times=None, error="token_revoked")
    stage.slack.drop_connections()

    def told() -> bool:
        status, parts = ready()
        why = parts.get("reasons", {}).get("slack", "")
        return status == HTTPStatus.SERVICE_UNAVAILABLE and "(token_revoked)" in why

    assert stage.eks.wait_for(told, PATIENCE_SECONDS)
    assert ready()[1]["slack"] is False
