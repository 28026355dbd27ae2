"""`eks-access drift`: what others changed at EKS, read and told, and nothing changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest
from cli_steps import BROKEN, execute, three_grants

from bot.core.planner import DEPLOYMENT_TAG, GRANT_TAG, STORE_TAG
from bot.sandbox.stage import LAB_ACCOUNT, Stage, furnish
from bot.store import stores
from bot.store.database import Database

LAB = "modern-access-lab"
KNOWN = {"region": "eu-west-1", "account": LAB_ACCOUNT}
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"


def role(name: str) -> str:
    return f"arn:aws:iam::{LAB_ACCOUNT}:role/eks-jit/{name}"


@pytest.fixture(scope="module")
def granted(tmp_path_factory) -> Iterator[tuple[Stage, tuple[str, str, str]]]:
    """A sandbox in which three people were given access some minutes ago, and the bot is down."""
    file = tmp_path_factory.mktemp("granted") / "store.db"
    with Stage(database_url=f"sqlite:///{file}") as stage:
        furnish(stage)
        ids = three_grants(stage)
        execute(
            stage.database_url,
            "UPDATE grants SET confirmed_at = datetime(confirmed_at, '-5 minutes')",
        )
        yield stage, ids


@pytest.fixture
def drift(cli, granted, tmp_path):
    """Call the command on the sandbox; `ready` clusters alone, without the one in CONFIG_MAP."""
    stage, _ = granted
    file = tmp_path / "policy.yaml"
    text = stage.policy_file.read_text()
    before, after = text.split("  - name: legacy-eu")
    file.write_text(before + "\nlevels:" + after.split("\nlevels:")[1])

    def call(*arguments: str, policy: Path = file):
        return cli(
            "drift", *arguments, DATABASE_URL=stage.database_url, EKS_ACCESS_CONFIG=str(policy)
        )

    return call


def entries(stage: Stage) -> list[dict]:
    return [asdict(one) for one in stage.eks.all_entries()]


def put_back(stage: Stage, name: str) -> None:
    """As the bot left it, but for the entry's own id."""
    with closing(Database(stage.database_url)) as database, database.reading() as tx:
        store = stores.owner(tx, "sandbox").store
    put_entry(stage, name, store)


def put_entry(stage: Stage, name: str, store: str | None) -> None:
    """As a bot makes it from a store; None: from before stores had identities."""
    tags = {DEPLOYMENT_TAG: "sandbox", GRANT_TAG: "000-000"}
    if store is not None:
        tags[STORE_TAG] = store
    stage.eks.put_entry(LAB, role(name), tags=tags, policies={"AmazonEKSViewPolicy": ["default"]})


def test_where_nothing_differs_it_says_so_and_exits_0(drift, granted):
    stage, _ = granted
    before = entries(stage)
    result = drift()
    assert (result.exit_code, result.stdout) == (0, "Every access entry is as the bot left it.\n")
    assert json.loads(drift("--json").stdout) == []
    assert entries(stage) == before
    assert stage.eks.writes()[-1].operation == "AssociateAccessPolicy", "the last of the bot's own"


def test_what_differs_is_listed_for_people_and_for_scripts_and_left_as_it_is(drift, granted):
    stage, (ana, ben, _) = granted
    hand = stage.eks.client("eks")
    hand.delete_access_entry(clusterName=LAB, principalArn=role("ana"))
    hand.associate_access_policy(
        clusterName=LAB,
        principalArn=role("ben"),
        policyArn=VIEW,
        accessScope={"type": "namespace", "namespaces": ["other"]},
    )
    put_back(stage, "dan")
    before, writes = entries(stage), len(stage.eks.writes())
    result = drift("--json", "--cluster", LAB)
    assert result.exit_code == 1
    common = {"cluster": LAB, **KNOWN, "problem": ""}
    assert json.loads(result.stdout) == [
        {
            **common,
            "kind": "gone",
            "principal_arn": role("ana"),
            "subject": "",
            "detail": "",
            "grants": [ana],
        },
        {
            **common,
            "kind": "narrowed",
            "principal_arn": role("ben"),
            "subject": VIEW,
            "detail": "other instead of default",
            "grants": [ben],
        },
        {
            **common,
            "kind": "orphan",
            "principal_arn": role("dan"),
            "subject": "",
            "detail": "",
            "grants": [],
        },
    ]
    head, *lines = drift().stdout.splitlines()
    assert head.split() == ["CLUSTER", "KIND", "PRINCIPAL", "WHAT", "GRANTS"]
    assert [line.split()[1] for line in lines] == ["gone", "narrowed", "orphan"]
    assert "AmazonEKSViewPolicy other instead of default" in lines[1]
    assert drift("--cluster", "prod-eu").exit_code == 0
    assert (entries(stage), len(stage.eks.writes())) == (before, writes)


def test_a_cluster_that_cannot_be_read_is_a_finding_and_holds_no_other_up(drift, granted):
    stage, _ = granted
    result = drift("--json", policy=stage.policy_file)
    assert result.exit_code == 1
    [unreadable] = [one for one in json.loads(result.stdout) if one["kind"] == "unreadable"]
    assert unreadable["cluster"] == "legacy-eu"
    assert "CONFIG_MAP" in unreadable["problem"]
    line = next(
        one for one in drift(policy=stage.policy_file).stdout.splitlines() if "legacy" in one
    )
    assert "unreadable" in line


def test_a_cluster_that_nobody_names_is_bad_use(drift):
    result = drift("--cluster", "nowhere")
    assert result.exit_code == 2
    assert "Neither the policy nor a live grant names a cluster nowhere." in result.stderr


def test_without_a_good_policy_it_says_what_is_wrong_with_it(drift, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text(BROKEN)
    result = drift(policy=broken)
    assert result.exit_code == 2
    assert "regoin" in result.stderr


def test_without_a_database_it_makes_none(cli, policy_file, tmp_path):
    missing = tmp_path / "missing.db"
    result = cli("drift", DATABASE_URL=f"sqlite:///{missing}", EKS_ACCESS_CONFIG=str(policy_file))
    assert result.exit_code == 2
    assert not missing.exists()
