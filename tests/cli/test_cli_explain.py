"""`eks-access policy explain`, with the whole file of the policy reference."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parents[2] / "docs" / "policy.md"
NOON = "2026-11-24T12:00Z"
PAYMENTS = ("--cluster", "prod-eu", "--level", "edit", "--namespace", "payments")
LAB = ("--cluster", "modern-access-lab", "--level", "view", "--namespace", "dev-1")
ROOT = ("--cluster", "prod-eu", "--level", "cluster-admin")


@pytest.fixture
def explain(cli, tmp_path):
    file = tmp_path / "policy.yaml"
    text = REFERENCE.read_text(encoding="utf-8")
    file.write_text(re.search(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)[1])

    def call(*options: str, user="U01ALICE", now=NOON):
        return cli("policy", "explain", str(file), "--user", user, "--now", now, *options)

    return call


def test_a_request_that_may_be_made_exits_0_and_says_who_approves(explain):
    result = explain(*PAYMENTS, "--for", "2h", "--ticket", "PAY-1")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "at 2026-11-24 12:00 UTC" in result.stdout
    assert "ALLOWED with approval, for 2 h of at most 4 h; it waits 1 h for it" in result.stdout
    assert "arn:aws:iam::444455556666:role/eks-jit/alice" in result.stdout
    assert "payments: 1 of U02BOB and S02PAYLEADS, in C01PAY" in result.stdout
    assert "after 30 min also S03PLATFORM, in C01PLATFORM" in result.stdout
    assert "payments / security: 1 of S05SECURITY, in C0SECURITY" in result.stdout
    assert "an owner may name a deputy for up to 14 days: S01ENG" in result.stdout
    assert "never U01ALICE" in result.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((*PAYMENTS, "--for", "2h"), "There is no ticket, required by rule payments."),
        ((*PAYMENTS, "--for", "5h", "--ticket", "PAY-1"), "rule payments gives at most 4 h"),
        ((*LAB, "--member-of", "none"), "It lets S01ENG ask."),
        ((*LAB, "--member-of", "S01ENG", "--used", "lab readers=5"), "at most 5 times in 24 h"),
        ((*LAB, "--member-of", "S01ENG", "--at", "2026-11-28T12:00Z"), "holds only mon-fri"),
        ((*PAYMENTS, "--ticket", "PAY-1", "--reason", ""), "There is no reason"),
        (("--cluster", "prod-ue", "--level", "view"), "Did you mean `prod-eu`?"),
    ],
)
def test_a_request_that_is_refused_exits_1_and_says_why(explain, options, said):
    result = explain(*options)
    assert result.exit_code == 1
    assert "REFUSED" in result.stdout
    assert said in result.stdout


def test_a_decision_that_hangs_on_a_group_says_what_to_pass(explain):
    result = explain(*LAB)
    assert result.exit_code == 2
    assert "UNDECIDED: it hangs on who is in S01ENG." in result.stdout
    assert "--member-of" in result.stdout
    assert explain(*LAB, "--member-of", "S01ENG").exit_code == 0


def test_members_can_be_told_by_a_file(explain, tmp_path):
    (tmp_path / "groups.yaml").write_text("S01ENG: [U01ALICE]\nS02PAYLEADS: []\n")
    assert explain(*LAB, "--groups", "groups.yaml").exit_code == 0
    assert explain(*LAB, "--groups", "groups.yaml", user="U02BOB").exit_code == 1
    asked = (*PAYMENTS, "--ticket", "PAY-1", "--groups", "groups.yaml")
    result = explain(*asked, "--email", "bob@example.com", user="U02BOB")
    assert result.exit_code == 0  # the escalation's owners are left
    (tmp_path / "groups.yaml").write_text(
        "S02PAYLEADS: []\nS03PLATFORM: []\nS05SECURITY: [U05SEC]\nS01ENG: []\n"
    )
    result = explain(*asked, "--email", "bob@example.com", user="U02BOB")
    assert result.exit_code == 1
    assert "nobody but you could" in result.stdout


@pytest.mark.parametrize(
    ("options", "user", "code", "said"),
    [
        (("--on-call", "pagerduty:PXYZ789"), "U01ALICE", 0, "ALLOWED at once, for 1 h"),
        (("--on-call", "pagerduty:ana@example.com"), "U09ANA", 1, "not among those who may"),
        (
            ("--on-call", "pagerduty:ana@example.com", "--email", "ana@example.com"),
            "U09ANA",
            0,
            "role/eks-jit/ana",
        ),
        (("--on-call", "pagerduty:down", "--member-of", "none"), "U01ALICE", 1, "did not say"),
        (("--on-call", "pagerduty:down"), "U01ALICE", 2, "hangs on who is in"),
        (
            ("--on-call", "pagerduty:down", "--member-of", "S04ONCALL"),
            "U01ALICE",
            0,
            "fallback group",
        ),
        (
            ("--on-call", "pagerduty:PXYZ789", "--overdue", "7K3-QMX"),
            "U01ALICE",
            0,
            "The review of 7K3-QMX is overdue",
        ),
        ((), "U01ALICE", 1, "that pagerduty answers and nobody is on call"),
    ],
)
def test_a_break_glass_is_explained(explain, options, user, code, said):
    result = explain(*ROOT, "--break-glass", *options, user=user)
    assert said in result.stdout
    assert result.exit_code == code


def test_a_person_without_a_principal_cannot_be_given_anything(explain):
    asked = (*PAYMENTS, "--ticket", "PAY-1", "--email", "x+y@example.com", "--json")
    result = explain(*asked, user="U09ANA")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["allowed"] is True
    assert told["may_be_made"] is False
    assert "anybody can make such an alias" in told["principal_problem"]


def test_json_has_the_decision_and_every_rule(explain):
    result = explain(*PAYMENTS, "--namespace", "payments-eu", "--ticket", "PAY-1", "--json")
    told = json.loads(result.stdout)
    assert told["allowed"] is told["may_be_made"] is True
    assert told["automatic"] is False
    assert (told["duration"], told["max_duration"], told["lapse_after"]) == ("1h", "4h", "1h")
    assert [(one["rule"], one["part"]) for one in told["requirements"]] == [
        ("payments", None),
        ("payments", "security"),
    ]
    assert told["requirements"][0]["owners"] == ["U02BOB", "S02PAYLEADS"]
    assert told["requirements"][0]["escalate_to"] == ["S03PLATFORM"]
    assert [(one["rule"], one["namespace"], one["outcome"]) for one in told["rules"]] == [
        ("payments", "payments", "decides"),
        ("payments", "payments-eu", "decides"),
        ("platform", "payments", "other level"),
        ("platform", "payments-eu", "other level"),
    ]
    assert told["rules_on_other_clusters"] == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((*LAB, "--for", "soon"), "is no length of time"),
        ((*LAB, "--at", "tomorrow"), "`--at tomorrow` is no moment"),
        ((*LAB, "--at", "2026-11-28T12:00"), "is no moment"),
        ((*LAB, "--member-of", "engineers"), "user group"),
        ((*LAB, "--used", "lab readers"), "`--used lab readers` is not understood"),
        ((*LAB, "--groups", "missing.yaml"), "cannot be read"),
        ((*ROOT, "--break-glass", "--on-call", "pager:X"), "is not understood"),
    ],
)
def test_bad_use_exits_2_with_a_sentence(explain, options, said):
    result = explain(*options)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_person_is_named_by_slack_id(explain):
    result = explain(*LAB, user="alice")
    assert result.exit_code == 2
    assert "Slack user id" in result.stderr


@pytest.mark.parametrize("content", ["S01ENG: U01ALICE\n", "[S01ENG]\n", "S01ENG: [1, 2]\n"])
def test_a_file_of_groups_that_is_none_is_told(explain, tmp_path, content):
    (tmp_path / "groups.yaml").write_text(content)
    result = explain(*LAB, "--groups", "groups.yaml")
    assert result.exit_code == 2
    assert "groups.yaml" in result.stderr


def test_a_broken_policy_decides_nothing(cli, tmp_path):
    (tmp_path / "broken.yaml").write_text("deployment: acme\n")
    result = cli("policy", "explain", "broken.yaml", "--user", "U01ALICE", *LAB)
    assert result.exit_code == 2
    assert "broken.yaml:1: error: `clusters` is missing" in result.stderr


def test_a_policy_command_starts_without_what_only_the_bot_needs():
    """An editor and a pipeline wait for it: no Slack, no AWS, no database is loaded."""
    script = (
        "import sys; sys.argv = ['eks-access', 'policy', 'explain', '--help']\n"
        "from bot.start import main\n"
        "try: main()\n"
        "finally: print(sorted(HEAVY & {*sys.modules}))"
    ).replace("HEAVY", "{'boto3', 'slack_sdk', 'sqlalchemy', 'bot.wiring'}")
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "Usage: eks-access policy explain" in done.stdout
    assert done.stdout.rstrip().endswith("[]")
