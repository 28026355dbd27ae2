"""The local EKS as the AWS CLI sees it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bot.sandbox.eks import EksStandIn

ACCOUNT = "111122223333"
CLUSTER = "modern-access-lab"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/EKS-Modern-Reader"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
AWS = shutil.which("aws", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture(scope="module")
def eks():
    with EksStandIn(account=ACCOUNT) as stand_in:
        stand_in.create_cluster(CLUSTER)
        yield stand_in


@pytest.fixture(scope="module")
def aws(eks, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def run(*arguments):
        command = [AWS, "eks", *arguments, "--endpoint-url", eks.endpoint_url]
        command += ["--region", "eu-west-1"]
        return subprocess.run(  # noqa: S603 (the AWS CLI with the arguments of this file)
            command, env=environment, capture_output=True, text=True, timeout=30, check=False
        )

    return run


def answer(run):
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout) if run.stdout.strip() else None


def test_the_aws_cli_leads_an_entry_from_its_making_to_its_end(eks, aws):
    entry = ("--cluster-name", CLUSTER, "--principal-arn", ROLE)
    created = answer(aws("create-access-entry", *entry, "--tags", "grant=A"))["accessEntry"]
    assert (created["principalArn"], created["tags"]) == (ROLE, {"grant": "A"})
    scope = "type=namespace,namespaces=default"
    answer(aws("associate-access-policy", *entry, "--policy-arn", VIEW, "--access-scope", scope))
    assert answer(aws("list-access-entries", "--cluster-name", CLUSTER)) == {
        "accessEntries": [ROLE]
    }
    listed = answer(aws("list-associated-access-policies", *entry))["associatedAccessPolicies"]
    assert [(held["policyArn"], held["accessScope"]) for held in listed] == [
        (VIEW, {"type": "namespace", "namespaces": ["default"]})
    ]
    answer(aws("disassociate-access-policy", *entry, "--policy-arn", VIEW))
    assert eks.entry(CLUSTER, ROLE).associations == ()
    answer(aws("delete-access-entry", *entry))
    again = aws("delete-access-entry", *entry)
    assert again.returncode != 0
    assert "(ResourceNotFoundException)" in again.stderr
    assert "The specified principalArn could not be found." in again.stderr


def test_update_kubeconfig_writes_a_context_for_the_cluster_and_the_role(aws, tmp_path):
    file = tmp_path / "kubeconfig"
    run = aws("update-kubeconfig", "--name", CLUSTER, "--role-arn", ROLE, "--kubeconfig", str(file))
    assert run.returncode == 0, run.stderr
    written = yaml.safe_load(file.read_text())
    arn = f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/{CLUSTER}"
    assert written["current-context"] == arn
    arguments = written["users"][0]["user"]["exec"]["args"]
    assert arguments[arguments.index("--cluster-name") + 1] == CLUSTER
    assert arguments[-2:] == ["--role", ROLE]
