"""`eks-access policy diff`: exit codes, lines and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "eks-access.example.yaml"


@pytest.fixture
def diff(cli, tmp_path):
    text = EXAMPLE.read_text(encoding="utf-8")
    (tmp_path / "old.yaml").write_text(text)

    def call(*options: str, turned=False, **changes: str):
        new = text
        for old, other in changes.values():
            assert old in text
            new = new.replace(old, other)
        (tmp_path / "new.yaml").write_text(new)
        files = ["old.yaml", "new.yaml"]
        return cli("policy", "diff", *(reversed(files) if turned else files), *options)

    return call


LONGER = ("max_duration: 4h\n    ticket", "max_duration: 6h\n    ticket")
OTHERS = ("requesters: {groups: [S01ENG]}", "requesters: {groups: [S02OPS]}")


def test_equal_files_change_nothing(diff):
    result = diff()
    assert (result.exit_code, result.stdout) == (0, "Nobody gains or loses anything.\n")


def test_a_gain_exits_1_and_says_who_where_and_what(diff):
    result = diff(change=LONGER)
    assert result.exit_code == 1
    assert (
        "+ anybody: up to 6 h in place of 4 h · edit on prod-eu in payments and payments-*"
        in result.stdout
    )
    assert "with 2 approvals, up to 4 h, with a ticket (rule payments) → " in result.stdout
    assert result.stdout.endswith("3 gains, 0 losses.\n")


def test_a_loss_alone_exits_0(diff):
    result = diff(change=LONGER, turned=True)
    assert result.exit_code == 0
    assert "- anybody: no longer up to 6 h · edit on prod-eu" in result.stdout


def test_json_tells_gains_and_losses(diff):
    result = diff("--json", change=OTHERS)
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["gains"] is True
    gain, loss = told["changes"]
    assert (gain["kind"], gain["who"], loss["kind"], loss["who"]) == (
        "gain",
        "S02OPS",
        "loss",
        "S01ENG",
    )
    assert gain["clusters"] == ["modern-access-lab"]
    assert gain["namespaces"] == ["default", "dev-*"]
    assert (gain["gained"], loss["lost"]) == (["new access"], ["any access"])
    assert (gain["before"], loss["after"]) == ("nothing", "nothing")


def test_with_a_file_of_groups_people_are_named(diff, tmp_path):
    (tmp_path / "groups.yaml").write_text("S01ENG: [U01ALICE, U02BOB]\nS02OPS: [U02BOB]\n")
    result = diff("--groups", "groups.yaml", change=OTHERS)
    assert result.exit_code == 0
    assert "- U01ALICE: no longer any access" in result.stdout
    assert "U02BOB:" not in result.stdout


def test_a_broken_file_exits_2_with_its_findings(diff, cli):
    result = diff(change=("max_duration: 4h", "max_duration: 4"))
    assert result.exit_code == 2
    assert "new.yaml:" in result.stderr
    assert cli("policy", "diff", "old.yaml", "missing.yaml").exit_code == 2
