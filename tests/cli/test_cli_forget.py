"""`eks-access forget`: what is gone ends by an operator's word, and what is there does not."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from cli_steps import grant, principals, states

from bot.core.model import GrantState
from bot.sandbox.stage import Stage, sandbox_policy
from bot.store import announcements, audit, entries, grants
from bot.store.database import Database

LAB = "modern-access-lab"
WHY = ("--reason", "The account was closed in May.")


@pytest.fixture
def given(stage: Stage, tmp_path) -> tuple[Stage, str, dict[str, str]]:
    """A stage with live access that no bot looks after, its id, and an environment to call in."""
    running = stage.start_bot()
    grant(stage, "U01ANA")
    with running.database.reading() as tx:
        (one,) = grants.live(tx)
    stage.stop_bot()
    file = tmp_path / "policy.yaml"
    environment = {"DATABASE_URL": stage.database_url, "EKS_ACCESS_CONFIG": str(file)}
    write_policy(file, sandbox_policy())
    return stage, one.id, environment | stage.eks.environment()


def write_policy(file, text: str, *, without: str = "") -> None:
    policy = yaml.safe_load(text)
    policy["clusters"] = [one for one in policy["clusters"] if one["name"] != without]
    file.write_text(yaml.safe_dump(policy, sort_keys=False), encoding="utf-8")


def out_of_the_policy(environment: dict[str, str]) -> None:
    write_policy(Path(environment["EKS_ACCESS_CONFIG"]), sandbox_policy(), without=LAB)


def test_what_is_gone_ends_and_the_trail_and_the_channel_have_why(cli, given):
    stage, grant_id, environment = given
    stage.eks.delete_cluster(LAB, account="111122223333")
    out_of_the_policy(environment)
    said = cli("forget", grant_id, *WHY, "--json", **environment)
    assert said.exit_code == 0, said.output
    told = json.loads(said.stdout)
    assert told == {
        "grant": grant_id,
        "eks": "no_cluster",
        "refused": None,
        "forgotten": [grant_id],
    }
    assert states(stage.database_url) == {}
    bot = stage.start_bot()
    with bot.database.reading() as tx:
        ended = audit.of_request(tx, grant_id)[-1]
        alarm = announcements.newest(tx, f"late:{grant_id}:over")
    assert (ended.action, ended.actor, ended.details["why"]) == ("grant.ended", "operator", WHY[1])
    assert alarm is not None
    assert "its cluster is gone, says an operator" in alarm.text


def test_it_is_refused_while_the_policy_file_has_the_cluster(cli, given):
    stage, grant_id, environment = given
    said = cli("forget", grant_id, *WHY, "--even-if-there", **environment)
    assert said.exit_code == 1
    assert f"The policy file still has {LAB}" in said.stderr
    assert "Nothing was changed" in said.stderr
    assert states(stage.database_url) == {grant_id: GrantState.ACTIVE}


def test_it_is_refused_while_eks_shows_the_access_unless_it_is_said_plainly(cli, given):
    stage, grant_id, environment = given
    out_of_the_policy(environment)
    said = cli("forget", grant_id, *WHY, "--json", **environment)
    assert said.exit_code == 1
    told = json.loads(said.stdout)
    assert (told["eks"], told["forgotten"]) == ("shown", [])
    assert f"`eks-access revoke {grant_id}` removes it" in told["refused"]
    assert states(stage.database_url) == {grant_id: GrantState.ACTIVE}
    said = cli("forget", grant_id, *WHY, "--even-if-there", **environment)
    assert said.exit_code == 0, said.output
    assert "EKS still shows it" in said.stdout
    assert states(stage.database_url) == {}


def test_what_stayed_goes_once_the_bot_has_the_cluster_again(cli, given):
    stage, grant_id, environment = given
    out_of_the_policy(environment)
    assert cli("forget", grant_id, *WHY, "--even-if-there", **environment).exit_code == 0
    assert principals(stage) == {"ana"}
    stage.start_bot()
    assert stage.eks.wait_for(lambda: not principals(stage), timeout=30)


def test_credentials_of_another_account_do_not_do(cli, given):
    stage, grant_id, environment = given
    out_of_the_policy(environment)
    theirs = stage.eks.environment("999900001111")
    said = cli("forget", grant_id, *WHY, **environment | theirs)
    assert said.exit_code == 1
    assert "Run this where the bot runs" in said.stderr
    assert states(stage.database_url) == {grant_id: GrantState.ACTIVE}


@pytest.mark.parametrize("cannot", ["assume the role", "read the entry", "reach AWS"])
def test_where_nobody_can_ask_eks_nothing_is_forgotten_unless_it_is_said_plainly(
    cli, given, cannot
):
    stage, grant_id, environment = given
    out_of_the_policy(environment)
    if cannot == "assume the role":
        with closing(Database(stage.database_url)) as database, database.transaction() as tx:
            entries.reach_by(tx, 1, "arn:aws:iam::111122223333:role/trusts-the-bot-alone")
        stage.eks.faults.deny("AssumeRole")
    elif cannot == "read the entry":
        stage.eks.faults.deny("DescribeAccessEntry")
    else:
        stage.eks.faults.drop("DescribeAccessEntry", times=3)
    said = cli("forget", grant_id, *WHY, **environment)
    assert said.exit_code == 1, said.output
    assert "Run this where the bot runs" in said.stderr
    assert states(stage.database_url) == {grant_id: GrantState.ACTIVE}
    said = cli("forget", grant_id, *WHY, "--even-if-there", **environment)
    assert said.exit_code == 0, said.output
    assert states(stage.database_url) == {}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["7K3-QMX"], "--reason"),
        (["7K3-QMX", "--reason", " "], "how you know"),
        (["7K3-QMX", *WHY], "There is no grant 7K3-QMX"),
        (["nonsense", *WHY], "not a grant id"),
    ],
)
def test_bad_use_is_told(cli, sqlite, policy_file, arguments, said):
    policy_file.write_text(sandbox_policy(), encoding="utf-8")
    environment = {"DATABASE_URL": sqlite, "EKS_ACCESS_CONFIG": str(policy_file)}
    answer = cli("forget", *arguments, **environment)
    assert answer.exit_code == 2
    assert said in answer.stderr


def test_a_policy_file_with_errors_is_told(cli, sqlite, policy_file):
    policy_file.write_text("clusters: 5\n", encoding="utf-8")
    environment = {"DATABASE_URL": sqlite, "EKS_ACCESS_CONFIG": str(policy_file)}
    answer = cli("forget", "7K3-QMX", *WHY, **environment)
    assert answer.exit_code == 2
    assert "which clusters are gone" in answer.stderr
