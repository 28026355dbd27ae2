"""`eks-access policy test`: exit codes, lines of failing cases, JSON, files that are no cases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CASES = ROOT / "eks-access.example.cases.yaml"
NUMBER = CASES.read_text(encoding="utf-8").count("\n  - name: ")


@pytest.fixture
def cases(tmp_path):
    (tmp_path / "eks-access.example.yaml").write_text(
        (ROOT / "eks-access.example.yaml").read_text()
    )

    def write(old="", new=""):
        text = CASES.read_text(encoding="utf-8")
        assert old in text
        (tmp_path / "cases.yaml").write_text(text.replace(old, new, 1) if old else text)
        return "cases.yaml"

    return write


def test_cases_that_come_out_as_expected_exit_0(cli, cases):
    result = cli("policy", "test", cases())
    assert result.exit_code == 0
    assert "ok    engineers read the lab at once\n" in result.stdout
    assert result.stdout.endswith(f"{NUMBER} cases, 0 failed.\n")


def test_a_case_that_does_not_exits_1_with_file_and_line(cli, cases):
    result = cli("policy", "test", cases("outcome: automatic", "outcome: approval"))
    assert result.exit_code == 1
    lines = CASES.read_text(encoding="utf-8").splitlines()
    line = lines.index("  - name: engineers read the lab at once") + 1
    assert f"FAIL  cases.yaml:{line}: engineers read the lab at once\n" in result.stdout
    assert "expected approval, and it is automatic (automatic): Rule lab readers" in result.stdout
    assert result.stdout.endswith(f"{NUMBER} cases, 1 failed.\n")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rules: [lab readers]", "rules: [payments]", "expected rules payments, and it is lab re"),
        ("code: no_rule", "code: too_long", "expected the reason too_long, and it is no_rule"),
        ("enough: true", "enough: false", "expected enough False, and it is True"),
        ("counts_for: [payments]", "counts_for: [other]", "expected counts_for other"),
        ("code: ticket_missing", "says: hello", "expected it to say 'hello', and it says"),
        (
            "outcome: automatic",
            "outcome: automatic, duration: 3h",
            "expected duration 3 h, and it is 2 h",
        ),
        ("outcome: automatic", "outcome: automatic, access: X", "it is AmazonEKSViewPolicy"),
        ("outcome: automatic", "outcome: automatic, principal: X", "role/eks-jit/alice"),
        (
            "outcome: automatic",
            "outcome: automatic, requires: [{rule: payments}]",
            "expected the approvals payments, and they are",
        ),
    ],
)
def test_whatever_is_otherwise_than_expected_is_said(cli, cases, old, new, said):
    result = cli("policy", "test", cases(old, new))
    assert result.exit_code == 1
    assert said in result.stdout


def test_json_has_every_case_with_its_line(cli, cases):
    told = json.loads(cli("policy", "test", cases(), "--json").stdout)
    assert [*told[0]] == ["name", "file", "line", "problems"]
    assert len(told) == NUMBER
    assert not any(one["problems"] for one in told)


def test_another_policy_can_be_named(cli, cases, tmp_path):
    text = (tmp_path / "eks-access.example.yaml").read_text()
    (tmp_path / "new.yaml").write_text(text.replace("approval: automatic", ASKED))
    result = cli("policy", "test", cases(), "--policy", "new.yaml")
    assert result.exit_code == 1
    assert "expected automatic, and it is approval" in result.stdout


ASKED = "approval: {channel: C01LAB, owners: {users: [U02BOB]}}"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("cases:", "case:", "Did you mean `cases`?"),
        ("outcome: automatic", "outcom: automatic", "Did you mean `outcome`?"),
        ("outcome: automatic", "outcome: given", "cannot be `given`"),
        ("person: alice", "person: alcie", "There is nobody called `alcie`. Did you mean `alice`?"),
        ("S01ENG: [alice, bob,", "S01ENG: [alice, rob,", "nobody called `rob`"),
        ("now: 2026-11-24T12:00+01:00", "now: noon", "`noon` is no moment"),
        ("review: {by: bob}", "review: {by: rob}", "nobody called `rob`"),
        ("review: {by: bob}", "later_review: {by: bob, after: 1h}", "Add `break_glass: true`."),
        ("policy: eks-access.example.yaml", "policy: none.yaml", "none.yaml"),
        ("policy: eks-access.example.yaml\n", "", "names no policy"),
        ("duration: 2h", "duration: long", "is no length of time"),
    ],
)
def test_a_file_that_is_no_cases_exits_2_and_says_where(cli, cases, old, new, said):
    result = cli("policy", "test", cases(old, new))
    assert result.exit_code == 2
    assert said in result.stderr


def test_the_conformance_set_is_run_by_the_command_too(cli):
    result = cli("policy", "test", str(ROOT / "tests/conformance/windows.yaml"))
    assert result.exit_code == 0
