"""The commands that people get, in the set-up that docs/aws.md prescribes.

The real AWS CLI runs them against a local AWS that enforces the documented policies: the shared
role may only assume people's roles, and each person's role may only describe the clusters of its
account.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from reading import GENERAL, wait_told

from bot.sandbox.local_iam import Asked, asked_by
from bot.sandbox.slack_shown import Message
from bot.sandbox.stage import LAB_ACCOUNT, PRODUCTION_ACCOUNT, Stage
from tests.aws.iam_evaluation import Request, allows, trusts

ROOT = Path(__file__).parents[2]
AWS_PAGE = (ROOT / "docs/aws.md").read_text(encoding="utf-8")
TRUST = (ROOT / "deploy/person-role-trust.json").read_text(encoding="utf-8")
SSO = "aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Engineers_0123456789abcdef"
SHARED = f"arn:aws:iam::{LAB_ACCOUNT}:role/{SSO}"
ANA = "ana@example.com"
DOCUMENTED_ACCOUNT = "111122223333"

POLICY = """\
deployment: lab
clusters:
  - {name: modern-access-lab, region: eu-west-1, account: "111122223333"}
  - name: prod-eu
    region: eu-central-1
    account: "444455556666"
    assume_role: arn:aws:iam::444455556666:role/eks-access-bot
levels:
  view: {policy: AmazonEKSViewPolicy}
principals:
  users: {U01ANA: "arn:aws:iam::{account}:role/eks-jit/ana"}
rules:
  - name: everybody reads
    clusters: ["*"]
    levels: [view]
    namespaces: [default]
    approval: automatic
    max_duration: 8h
"""


def block(form: str, has: str) -> str:
    """The block of this form in docs/aws.md that has these words."""
    [found] = [
        one for one in re.findall(rf"```{form}\n(.*?)```", AWS_PAGE, re.DOTALL) if has in one
    ]
    return found


def personal(account: str) -> dict:
    text = block("json", '"Action": "eks:DescribeCluster"')
    return json.loads(text.replace(DOCUMENTED_ACCOUNT, account))


SHARED_POLICY = json.loads(block("json", '"Action": "sts:AssumeRole",\n      "Resource"'))
TRUST_OF_ANA = json.loads(TRUST.replace("alice@example.com", ANA))


def permit(asked: Asked) -> bool:
    """What the documented policies say to Ana, and all to the bot."""
    account = asked.caller.split(":")[4] if asked.caller else ""
    request = Request(asked.action, asked.resource)
    if asked.resource.endswith(":role/eks-jit/ana") and asked.action == "sts:AssumeRole":
        caller = {
            "aws:PrincipalArn": {asked.caller},
            "aws:userid": {asked.user_id},
            "sts:RoleSessionName": {asked.session_name},
        }
        return (
            asked.caller == SHARED
            and allows(SHARED_POLICY, request)
            and trusts(TRUST_OF_ANA, caller)
        )
    if asked.caller == SHARED:
        return allows(SHARED_POLICY, request)
    if "/eks-jit/" in asked.caller:
        return allows(personal(account), request)
    return True


def machine(stage: Stage, home: Path, cluster: str, account: str, *, profile: bool) -> dict:
    """The environment of Ana's shell: her session of the shared role, or profiles in files."""
    keys = stage.eks.credentials(LAB_ACCOUNT, SSO, ANA)
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "KUBECONFIG": str(home / "kubeconfig"),
        "AWS_ENDPOINT_URL": stage.eks.endpoint_url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if not profile:
        return environment | {name.upper(): value for name, value in keys.items()}
    documented = block("ini", "[profile eks-prod-eu]")
    own = documented.replace("eks-prod-eu", f"eks-{cluster}").replace("jit/alice", "jit/ana")
    own = own.replace(DOCUMENTED_ACCOUNT, account).replace("alice@example.com", ANA)
    shared = "\n".join(f"{name} = {value}" for name, value in keys.items())
    (home / ".aws").mkdir()
    (home / ".aws/config").write_text(f"[profile engineers]\n{shared}\n\n{own}")
    return environment


def run(environment: dict, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - what the bot printed, in a shell as people paste it
        command, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def first_command(message: Message) -> str:
    [pasted] = re.findall(r"'text': '(aws eks update-kubeconfig.*?)\\n", str(message.blocks))
    return pasted


def whose_token(environment: dict) -> str:
    """The role for which kubectl would get a token with the kubeconfig that was written."""
    written = yaml.safe_load(Path(environment["KUBECONFIG"]).read_text())
    how = written["users"][0]["user"]["exec"]
    more = {one["name"]: one["value"] for one in how.get("env") or ()}
    answer = run(environment | more, how["command"], *how["args"])
    assert answer.returncode == 0, answer.stderr
    token = json.loads(answer.stdout)["status"]["token"].removeprefix("k8s-aws-v1.")
    url = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    key = parse_qs(urlsplit(url).query)["X-Amz-Credential"][0].split("/")[0]
    return asked_by(key, "aws", "", "").caller


@pytest.mark.parametrize("profile", [False, True], ids=["no profile", "profile"])
@pytest.mark.parametrize(
    ("cluster", "account"),
    [("modern-access-lab", LAB_ACCOUNT), ("prod-eu", PRODUCTION_ACCOUNT)],
    ids=["same account", "another account"],
)
def test_the_commands_work_in_the_documented_set_up(
    make_stage: Callable[..., Stage],
    tmp_path: Path,
    cluster: str,
    account: str,
    profile: bool,
) -> None:
    stage = make_stage(policy=POLICY + ('profile: "eks-{cluster}"\n' if profile else ""))
    stage.eks.permit(permit)
    stage.start_bot()
    ana = stage.slack.human("U01ANA")
    ana.command(f"/eks-access request {cluster} view -n default --for 1h Reading", GENERAL)
    told = wait_told(stage, ana, "aws eks update-kubeconfig")

    environment = machine(stage, tmp_path, cluster, account, profile=profile)
    made = run(environment, "sh", "-c", first_command(told))
    assert made.returncode == 0, made.stderr
    assert whose_token(environment) == f"arn:aws:iam::{account}:role/eks-jit/ana"


def test_the_local_aws_refuses_whom_the_documented_policies_refuse(
    make_stage: Callable[..., Stage], tmp_path: Path
) -> None:
    stage = make_stage(policy=POLICY)
    stage.eks.permit(permit)
    environment = machine(stage, tmp_path, "prod-eu", PRODUCTION_ACCOUNT, profile=False)
    name = ("--name", "modern-access-lab", "--region", "eu-west-1")

    as_shared = run(environment, "aws", "eks", "describe-cluster", *name)
    assert "AccessDeniedException" in as_shared.stderr
    assert f"assumed-role/{SSO.rpartition('/')[2]}/{ANA}" in as_shared.stderr

    role = ("--role-arn", f"arn:aws:iam::{LAB_ACCOUNT}:role/eks-jit/ana")
    invented = ("--role-session-name", "somebody-else")
    refused = run(environment, "aws", "sts", "assume-role", *role, *invented, *name[2:])
    assert "AccessDenied" in refused.stderr
