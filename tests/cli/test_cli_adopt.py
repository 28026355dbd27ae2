"""`eks-access adopt`: what was made from another database is listed, and taken over with --yes."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict

import pytest
from cli_steps import BROKEN

from bot.core.planner import DEPLOYMENT_TAG, GRANT_TAG, STORE_TAG
from bot.sandbox.stage import LAB_ACCOUNT, Stage
from bot.store import audit, stores
from bot.store.announcements import ADOPTION, newest
from bot.store.database import Database

LAB = "modern-access-lab"
THEIRS = {"ana": "another", "ben": None}


def role(name: str) -> str:
    return f"arn:aws:iam::{LAB_ACCOUNT}:role/eks-jit/{name}"


def put(stage: Stage, name: str, store: str | None) -> None:
    """An entry as a bot makes it from a store; None: from before stores had identities."""
    tags = {DEPLOYMENT_TAG: "sandbox", GRANT_TAG: "000-000"}
    if store is not None:
        tags[STORE_TAG] = store
    stage.eks.put_entry(LAB, role(name), tags=tags, policies={"AmazonEKSViewPolicy": ["default"]})


@pytest.fixture
def readable(stage, tmp_path):
    """The sandbox's policy file without the cluster in CONFIG_MAP, which cannot be read."""
    file = tmp_path / "readable.yaml"
    before, after = stage.policy_file.read_text().split("  - name: legacy-eu")
    file.write_text(before + "\nlevels:" + after.split("\nlevels:")[1])
    return str(file)


@pytest.fixture
def adopt(cli, sqlite, readable):
    def call(*arguments: str, policy: str = readable):
        return cli("adopt", *arguments, DATABASE_URL=sqlite, EKS_ACCESS_CONFIG=policy)

    return call


def test_where_there_is_nothing_of_another_it_says_so_and_exits_0(adopt, stage, sqlite):
    with closing(Database(sqlite)) as database, database.transaction() as tx:
        stores.ensure_identity(tx)
        own = stores.owner(tx, "sandbox").store
    put(stage, "cleo", own)
    for arguments in ((), ("--yes",)):
        result = adopt(*arguments)
        assert result.exit_code == 0
        assert "has nothing to take over" in result.stdout
        assert sqlite in result.stdout


def test_without_yes_it_lists_them_and_changes_nothing(adopt, stage, sqlite):
    for name, store in THEIRS.items():
        put(stage, name, store)
    before = [asdict(one) for one in stage.eks.all_entries()]
    result = adopt()
    assert result.exit_code == 1
    head, ana, ben, told = result.stdout.splitlines()
    assert head.split() == ["CLUSTER", "PRINCIPAL", "DATABASE"]
    assert ana.split() == [LAB, role("ana"), "another"]
    assert ben.split() == [LAB, role("ben"), "not", "named"]
    assert "`eks-access adopt --yes`" in told
    assert told.endswith("Nothing was changed.")
    known = {"cluster": LAB, "region": "eu-west-1", "account": LAB_ACCOUNT, "problem": ""}
    assert json.loads(adopt("--json").stdout) == [
        {**known, "principal_arn": role(name), "store": store or ""}
        for name, store in THEIRS.items()
    ]
    assert [asdict(one) for one in stage.eks.all_entries()] == before
    with closing(Database(sqlite)) as database, database.reading() as tx:
        assert stores.owner(tx, "sandbox").adopted == frozenset()
        assert not audit.latest(tx, 10)


def test_with_yes_it_takes_them_over_and_that_is_on_record_and_told(adopt, stage, sqlite):
    for name, store in THEIRS.items():
        put(stage, name, store)
    before = [asdict(one) for one in stage.eks.all_entries()]
    result = adopt("--yes", "--reason", "Disk lost, INC-7", "--as", "cleo")
    assert result.exit_code == 0
    assert "has taken over 2." in result.stdout
    assert [asdict(one) for one in stage.eks.all_entries()] == before, "the bot does the rest"
    with closing(Database(sqlite)) as database, database.reading() as tx:
        assert stores.owner(tx, "sandbox").adopted == {"another", ""}
        assert stores.owner(tx, "another-name").adopted == frozenset()
        (event,) = audit.latest(tx, 10)
        said = newest(tx, ADOPTION)
    assert (event.actor, event.action) == ("operator", "store.adopted")
    by = event.details.pop("operator")
    assert by["name"] == "cleo"
    assert event.details == {
        "deployment": "sandbox",
        "stores": ["", "another"],
        "entries": 2,
        "reason": "Disk lost, INC-7",
    }
    assert said is not None
    assert "take over 2 access entries" in said.text
    assert "has nothing to take over" in adopt("--yes").stdout


def test_a_cluster_that_cannot_be_read_is_told_and_is_a_finding(adopt, stage):
    put(stage, "ana", "another")
    for arguments in ((), ("--yes",)):
        result = adopt(*arguments, policy=str(stage.policy_file))
        assert result.exit_code == 1
        assert "legacy-eu" in result.stdout
        assert "CONFIG_MAP" in result.stdout


def test_without_a_policy_or_a_database_nothing_is_changed(cli, adopt, stage, tmp_path, readable):
    put(stage, "ana", "another")
    broken = tmp_path / "broken.yaml"
    broken.write_text(BROKEN)
    result = adopt("--yes", policy=str(broken))
    assert result.exit_code == 2
    assert "Nothing was changed" in result.stderr
    missing = f"sqlite:///{tmp_path / 'missing.db'}"
    result = cli("adopt", "--yes", DATABASE_URL=missing, EKS_ACCESS_CONFIG=readable)
    assert result.exit_code == 2
    assert "There is no database at" in result.stderr
