"""The lab everybody learns access entries from, from the slash command to the end.

What EKS holds is read with the real AWS CLI over HTTP.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from reading import GENERAL, is_card, wait_told, words

from bot.sandbox.humans import Human
from bot.sandbox.stage import LAB_ACCOUNT, Stage

CLUSTER = "modern-access-lab"
READER = f"arn:aws:iam::{LAB_ACCOUNT}:role/EKS-Modern-Reader"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"

POLICY = """\
deployment: lab
clusters:
  - {name: modern-access-lab, region: eu-west-1, account: "111122223333", labels: {env: lab}}
levels:
  view: {policy: AmazonEKSViewPolicy}
principals:
  users: {U01ANA: "arn:aws:iam::{account}:role/EKS-Modern-Reader"}
rules:
  - name: lab readers
    clusters: [{labels: {env: lab}}]
    levels: [view]
    namespaces: [default]
    approval:
      channel: C01PLATFORM
      owners: {users: [U03CLEO]}
    max_duration: 8h
"""


def aws(stage: Stage, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the AWS CLI against the local EKS."""
    command = [str(Path(sys.executable).with_name("aws")), *arguments]
    environment = {"PATH": os.environ["PATH"], **stage.eks.environment(LAB_ACCOUNT)}
    return subprocess.run(  # noqa: S603 - the CLI of this very environment
        command, env=environment, capture_output=True, text=True, check=False, timeout=30
    )


def principals(stage: Stage) -> list[str]:
    listed = aws(stage, "eks", "list-access-entries", "--cluster-name", CLUSTER)
    assert listed.returncode == 0, listed.stderr
    return json.loads(listed.stdout)["accessEntries"]


def policies(stage: Stage) -> list[dict]:
    listed = aws(
        stage,
        *("eks", "list-associated-access-policies"),
        *("--cluster-name", CLUSTER, "--principal-arn", READER),
    )
    assert listed.returncode == 0, listed.stderr
    return [
        {"policy": one["policyArn"], "scope": one["accessScope"]}
        for one in json.loads(listed.stdout)["associatedAccessPolicies"]
    ]


def ask(stage: Stage) -> tuple[Human, Human]:
    ana, cleo = stage.slack.human("U01ANA"), stage.slack.human("U03CLEO")
    ana.command(f"/eks-access request {CLUSTER} view --namespace default --for 1h Reading", GENERAL)
    card = stage.slack.wait(
        lambda: next((one for one in cleo.sees("C01PLATFORM") if is_card(one)), None)
    )
    cleo.click(card, "approve")
    return ana, cleo


def test_the_role_has_exactly_the_scope_while_the_grant_lives_and_nothing_before_or_after(
    make_stage: Callable[..., Stage], tmp_path: Path
) -> None:
    stage = make_stage(policy=POLICY)
    stage.start_bot()
    assert principals(stage) == []

    ana, _ = ask(stage)
    active = wait_told(stage, ana, "aws eks update-kubeconfig")
    assert principals(stage) == [READER]
    assert policies(stage) == [
        {"policy": VIEW, "scope": {"type": "namespace", "namespaces": ["default"]}}
    ]

    printed = re.search(r"aws (eks update-kubeconfig [^'\"\\]*)", words(active))
    assert printed is not None
    file = tmp_path / "kubeconfig"
    used = aws(stage, *printed.group(1).split(), "--kubeconfig", str(file))
    assert used.returncode == 0, used.stderr
    assert READER in file.read_text()

    stage.advance(timedelta(hours=1))
    wait_told(stage, ana, "has ended")
    assert principals(stage) == []


def test_standing_access_to_another_namespace_is_left_as_it_is_and_the_person_is_told_why(
    make_stage: Callable[..., Stage],
) -> None:
    stage = make_stage(policy=POLICY)
    stage.eks.put_entry(
        CLUSTER,
        READER,
        account=LAB_ACCOUNT,
        tags={"managed-by": "terraform"},
        policies={"AmazonEKSViewPolicy": ["reporting"]},
    )
    before = stage.eks.entries(CLUSTER, account=LAB_ACCOUNT)
    stage.start_bot()

    ana, cleo = ask(stage)
    told = wait_told(stage, ana, "could not be given")
    assert "already has an access entry" in words(told)
    assert "changed nothing" in words(told)

    card = next(one for one in cleo.sees("C01PLATFORM") if is_card(one))
    stage.slack.wait(lambda: "failed" in card.text)
    assert stage.eks.entries(CLUSTER, account=LAB_ACCOUNT) == before
    assert stage.eks.writes() == []
    assert policies(stage) == [
        {"policy": VIEW, "scope": {"type": "namespace", "namespaces": ["reporting"]}}
    ]
