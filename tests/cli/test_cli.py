"""The `eks-access` command as an operator types it: its use, and `policy check`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cli_steps import BROKEN

import bot
from bot.sandbox.stage import sandbox_policy

COMMAND = Path(sys.executable).with_name("eks-access")


def test_the_version_is_told(cli):
    result = cli("--version")
    assert (result.exit_code, result.stdout) == (0, f"eks-access {bot.__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("polcy", "check", "file"),
        ("db", "downgrade"),
        ("grants", "--jsno"),
        ("policy", "check"),
        ("policy", "check", "one.yaml", "two.yaml"),
        ("sandbox", "--port", "high"),
        ("sandbox", "--port", "65536"),
        ("db",),
        (),
    ],
    ids=" ".join,
)
def test_what_is_no_command_exits_2(cli, arguments):
    result = cli(*arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.output


# The policy file


def test_a_good_policy_file_passes(cli, policy_file):
    result = cli("policy", "check", str(policy_file))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{policy_file}: no errors (3 clusters, 6 rules).\n"


def test_one_cluster_and_one_rule_are_counted_as_one(cli, policy_file):
    policy = yaml.safe_load(policy_file.read_text())
    policy |= {"clusters": policy["clusters"][:1], "rules": policy["rules"][:1], "break_glass": []}
    policy_file.write_text(yaml.safe_dump(policy))
    result = cli("policy", "check", str(policy_file))
    assert f"{policy_file}: no errors (1 cluster, 1 rule).\n" in result.stdout


def test_a_broken_policy_file_is_told_with_file_line_and_remedy(cli, policy_file):
    policy_file.write_text(BROKEN)
    result = cli("policy", "check", str(policy_file))
    assert result.exit_code == 1
    (typo,) = [line for line in result.stdout.splitlines() if "regoin" in line]
    assert typo.startswith(f"{policy_file}:3: error: ")
    assert "`region`" in typo


def test_a_yaml_error_is_told_with_its_line(cli, policy_file):
    policy_file.write_text("deployment: sandbox\nclusters: [\n")
    result = cli("policy", "check", str(policy_file))
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{policy_file}:")


def test_findings_as_json_have_file_line_message_and_remedy(cli, policy_file):
    policy_file.write_text(BROKEN)
    result = cli("policy", "check", "--json", str(policy_file))
    findings = json.loads(result.stdout)
    assert result.exit_code == 1
    assert findings
    for finding in findings:
        assert set(finding) == {"file", "line", "message", "remedy", "severity"}
        assert finding["file"] == str(policy_file)
    assert ("error", 3) in {(finding["severity"], finding["line"]) for finding in findings}


def test_a_warning_alone_is_no_reason_to_fail(cli, policy_file):
    policy_file.write_text(sandbox_policy().replace("levels: [view]", "levels: [view, edit]", 1))
    result = cli("policy", "check", str(policy_file))
    assert result.exit_code == 0
    assert "warning" in result.stdout


def test_no_findings_as_json_are_an_empty_list(cli, policy_file):
    assert json.loads(cli("policy", "check", "--json", str(policy_file)).stdout) == []


@pytest.mark.parametrize("content", [None, b"deployment: \xff\n"], ids=["missing", "not UTF-8"])
def test_a_file_that_cannot_be_read_exits_2(cli, tmp_path, content):
    file = tmp_path / "other.yaml"
    if content is not None:
        file.write_bytes(content)
    result = cli("policy", "check", str(file))
    assert result.exit_code == 2
    assert f"{file} cannot be read" in result.stderr


@pytest.mark.parametrize("command", ["--version", "policy schema", "grants --help"])
def test_output_that_finds_no_room_is_told_and_is_no_finding(command: str) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(  # noqa: S603 - our own command
            [COMMAND, *command.split()], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr == (
        "The output of this command could not be written: No space left on device. "
        "Make room where it goes, and run the command again.\n"
    )
