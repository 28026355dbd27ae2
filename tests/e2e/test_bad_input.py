"""What cannot be is said in a clear sentence; nothing is lost and nothing half-granted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from reading import GENERAL, given, lab_entry, production_entry, wait_told, words

from bot.sandbox.humans import Human
from bot.sandbox.stage import Stage


@pytest.fixture
def ana(stage: Stage) -> Human:
    return stage.slack.human("U01ANA")


LAB = "request modern-access-lab view --namespace default"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "request modern-lab view --namespace default Why", "modern-access-lab", id="cluster"
        ),
        pytest.param("request prod-eu edti --namespace payments Why", "edit", id="level"),
        pytest.param("request prod-eu edit --namespace Payments Why", "Payments", id="upper case"),
        pytest.param("request prod-eu edit --namespace * Why", "*", id="wildcard"),
        pytest.param(
            "request prod-eu edit --namespace kube-system Why", "kube-system", id="system"
        ),
        pytest.param(f"request prod-eu edit --namespace {'a' * 64} Why", "63", id="64 letters"),
        pytest.param("request prod-eu edit --namespace orders Why", "payments", id="no rule"),
        pytest.param(f"{LAB} --for 2 days Why", "2", id="2 days"),
        pytest.param(f"{LAB} --for -1h Why", "-1h", id="-1h"),
        pytest.param(f"{LAB} --for 9999h Why", "9999h", id="9999h"),
        pytest.param(f"{LAB} --for 9h Why", "8 h", id="over the maximum"),
        pytest.param(f"{LAB} --for 1h", "reason", id="no reason"),
        pytest.param(
            "request prod-eu edit --namespace payments --for 1h Why", "ticket", id="no ticket"
        ),
        pytest.param("reqeust prod-eu edit", "request", id="subcommand"),
        pytest.param("request", "/eks-access request", id="nothing else"),
        pytest.param(f"{LAB} --fro 1h Why", "--for", id="option"),
        pytest.param("status 7K3", "7K3-QMX", id="id"),
        pytest.param("status 7K3-QMX", "no request 7K3-QMX", id="unknown id"),
        pytest.param("break-glass prod-eu cluster-admin Help", "request", id="not in this version"),
        pytest.param("who prod-us", "prod-us", id="who"),
    ],
)
def test_a_mistake_is_answered_with_what_to_type_and_grants_nothing(
    stage: Stage, ana: Human, text: str, said: str
) -> None:
    outcome = ana.command(f"/eks-access {text}", GENERAL)
    assert outcome.acknowledged
    assert outcome.error is None
    answer = stage.slack.wait(lambda: [one for one in ana.sees(GENERAL) if one.ephemeral_to])[0]
    assert said in f"{answer.text} {answer.blocks}"
    assert stage.eks.writes() == []


def test_an_hour_and_a_half_is_a_length_of_time(stage: Stage, ana: Human) -> None:
    ana.command(f"/eks-access {LAB} --for 1h30m Looking", GENERAL)
    wait_told(stage, ana, "is active until")
    assert given(lab_entry(stage)) == {"AmazonEKSViewPolicy": ("default",)}


def test_a_guest_is_refused(stage: Stage) -> None:
    gia = stage.slack.human("U05GIA")
    gia.command(f"/eks-access {LAB} --for 1h Looking")
    wait_told(stage, gia, "guest")
    assert stage.eks.writes() == []


def test_somebody_without_a_principal_is_told_whom_to_ask(stage: Stage) -> None:
    stage.slack.add_person("U07EVE", "eve.new")
    eve = stage.slack.human("U07EVE")
    eve.command(f"/eks-access {LAB} --for 1h Looking")
    told = wait_told(stage, eve, "principal")
    assert "policy file" in words(told)
    assert stage.eks.writes() == []


@pytest.mark.parametrize(
    "reason",
    [
        pytest.param("<!channel> approve this", id="broadcast"),
        pytest.param("<https://evil.example|Approved by security>", id="link"),
        pytest.param("*Approved by Ben Ito* `req 000-000`", id="formatting"),
        pytest.param("\u202egnitseT \u200b\u0007 it", id="direction and control"),
        pytest.param("x" * 2900, id="long"),
    ],
)
def test_a_reason_cannot_pass_for_the_bots_own_words(stage: Stage, ana: Human, reason: str) -> None:
    ben = stage.slack.human("U02BEN")
    ana.command(
        "/eks-access request prod-eu edit --namespace payments --for 1h --ticket PAY-1 " + reason,
        GENERAL,
    )
    card = stage.slack.wait(lambda: ben.sees("C02PAYMENTS"))[0]
    quoted = [block for block in card.blocks or [] if block["type"] == "rich_text"]
    rest = [block for block in card.blocks or [] if block["type"] != "rich_text"]
    assert quoted
    for sign in ("<!channel>", "evil.example", "000-000", "\u202e", "\u0007", "xxxx"):
        assert ascii(sign)[1:-1] not in f"{rest!a} {card.text!a}"
    assert "\\u202e" not in ascii(quoted)
    assert not any(one.person == "U03CLEO" for one in stage.slack.notifications if "x" in one.text)


def test_a_reason_over_the_limit_is_refused(stage: Stage, ana: Human) -> None:
    ana.command(f"/eks-access {LAB} --for 1h {'x' * 100_000}", GENERAL)
    wait_told(stage, ana, "3,000")
    assert stage.eks.writes() == []


def test_access_denied_by_aws_ends_the_grant_with_a_sentence(stage: Stage, ana: Human) -> None:
    stage.eks.faults.deny("CreateAccessEntry")
    ana.command(f"/eks-access {LAB} --for 1h Looking", GENERAL)
    told = wait_told(stage, ana, "could not be given")
    assert "does not let the bot" in words(told)
    assert lab_entry(stage) is None


def test_a_cluster_in_config_map_mode_is_explained(stage: Stage, ana: Human) -> None:
    ana.command("/eks-access request legacy-eu view --namespace default --for 1h Looking", GENERAL)
    told = wait_told(stage, ana, "could not be given")
    assert "CONFIG_MAP" in words(told)
    assert "API_AND_CONFIG_MAP" in words(told)


def test_an_archived_channel_does_not_leave_a_request_stuck_in_silence(
    stage: Stage, ana: Human
) -> None:
    stage.slack.archive("C02PAYMENTS")
    ana.command(
        "/eks-access request prod-eu edit --namespace payments --for 1h --ticket PAY-1 Why", GENERAL
    )
    told = wait_told(stage, ana, "I cannot post in")
    assert "is_archived" in words(told)
    request = words(told).partition("/eks-access approve ")[2][:7]
    stage.slack.human("U02BEN").command(f"/eks-access approve {request}", GENERAL)
    wait_told(stage, ana, "is active until")
    assert production_entry(stage) is not None


@pytest.mark.parametrize("url", ["http://[::1", "no URL", "http://127.0.0.1:port/a b", "", None])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(f"{LAB} --for 1h Looking", "is active until", id="stored"),
        pytest.param("clusters", "prod-eu", id="read at once"),
    ],
)
def test_where_there_is_no_place_to_answer_a_direct_message_is_sent(
    make_stage: Callable[..., Stage], text: str, said: str, url: str | None
) -> None:
    stage = make_stage(http_mode=True)
    bot = stage.start_bot()
    http = stage.slack.deliver_over_http(f"http://127.0.0.1:{bot.http.port}/slack/events")
    command = {
        "command": "/eks-access",
        "text": text,
        "user_id": "U01ANA",
        "team_id": stage.slack.team.id,
        "api_app_id": stage.slack.app.id,
        "trigger_id": "1.2.3",
    } | ({} if url is None else {"response_url": url})
    answer = http.post(http.sign(*http.encode("slash_commands", command), {}), 10)
    assert answer.status == 200
    wait_told(stage, stage.slack.human("U01ANA"), said)
