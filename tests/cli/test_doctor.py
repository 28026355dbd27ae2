"""`eks-access doctor`, against the local Slack workspace and the local EKS."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from cli_steps import execute
from full_policy import FULL, names_in
from moto.iam.models import iam_backends

from bot import doctor_people, doctor_slack
from bot.core.drift import Finding, Kind, Outcome
from bot.core.model import Cluster
from bot.doctor import examine
from bot.doctor_result import Result, Status
from bot.policy_file import load_policy
from bot.sandbox.eks_faults import Call
from bot.sandbox.stage import LAB_ACCOUNT, PRODUCTION_ACCOUNT, Stage, furnish, sandbox_policy
from bot.settings import Settings
from bot.store import drift, entries, migrate
from bot.store.database import Database

COMMAND = Path(sys.executable).with_name("eks-access")
MANIFEST = Path(__file__).parents[2] / "app-manifest.yml"


@pytest.fixture
def whole(migrated_sqlite, tmp_path) -> Iterator[Stage]:
    """A set-up in which everything is as it should be."""
    file = tmp_path / "store.db"
    file.write_bytes(migrated_sqlite.read_bytes())
    policy = yaml.safe_load(sandbox_policy())
    policy["clusters"] = [one for one in policy["clusters"] if one["name"] != "legacy-eu"]
    with Stage(policy=yaml.safe_dump(policy), database_url=f"sqlite:///{file}") as stage:
        furnish(stage)
        with roles(stage, LAB_ACCOUNT), roles(stage, PRODUCTION_ACCOUNT):
            yield stage


def iam(stage: Stage, account: str) -> Any:
    """IAM's client in an account of the local AWS."""
    keys = stage.eks.credentials(account)
    return boto3.client("iam", region_name="eu-west-1", endpoint_url=stage.eks.endpoint_url, **keys)


@contextmanager
def roles(stage: Stage, account: str) -> Iterator[None]:
    """The roles that the sandbox's policy names. The local IAM outlives the stage."""
    client = iam(stage, account)
    people = [("/eks-jit/", person) for person in ("ana", "ben", "cleo", "dan", "noa")]
    made = [*people, ("/", "eks-access-backstop"), ("/", "eks-access-bot")]
    for path, name in made:
        client.create_role(Path=path, RoleName=name, AssumeRolePolicyDocument="{}")
    yield
    for backend in iam_backends[account].values():
        backend.reset()


@pytest.fixture
def results(whole) -> Callable[..., dict[str, Result]]:
    """What the doctor finds, by check; with some settings replaced."""

    def find(**changed: Any) -> dict[str, Result]:
        settings = whole.settings().model_dump(by_alias=True) | changed
        return {one.check: one for one in examine(Settings(**settings), lambda _: None)}

    return find


@pytest.fixture
def slack_results(whole) -> Callable[[], dict[str, Result]]:
    """What the doctor finds of Slack alone, by check."""

    def find() -> dict[str, Result]:
        settings, policy = whole.settings(), load_policy(whole.policy_file).policy
        slack, token = doctor_slack.bot_token(settings, policy)
        found = [doctor_slack.connection(settings), token]
        if slack is not None:
            found += doctor_slack.channels(slack, policy, lambda _: None)
            found += doctor_people.results(slack, policy, lambda _: None)
        return {one.check: one for one in found}

    return find


def findings(found: dict[str, Result]) -> set[str]:
    return {check for check, one in found.items() if one.status is Status.FINDING}


def edit(stage: Stage, change: Callable[[dict[str, Any]], object]) -> None:
    policy = yaml.safe_load(stage.policy_file.read_text())
    change(policy)
    stage.policy_file.write_text(yaml.safe_dump(policy))


def test_a_whole_set_up_has_no_findings_and_every_part_is_looked_at(whole, results):
    found = results()
    assert {one.status for one in found.values()} == {Status.OK}
    assert not [one for one in found.values() if one.remedy]
    assert set(found) == {
        "database",
        "policy file",
        "slack connection",
        "slack bot token",
        "pagerduty",
        "opsgenie",
        "jira",
        "pagerduty schedule PPLATFM",
        "channel C0AUDIT",
        "channel C01PLATFORM",
        "channel C02PAYMENTS",
        "channel C0SECURITY",
        "people",
        "user group S01PLATFORM",
        "user group S02PAYLEADS",
        "user group S04RESPOND",
        "user group S05SECURITY",
        "owners of lab editors",
        "owners of payments",
        "owners of production as a whole",
        "cluster modern-access-lab",
        "cluster prod-eu",
        "backstop of modern-access-lab",
        "backstop of prod-eu",
        "IAM principals",
    }
    assert "2 access entries" in found["cluster prod-eu"].message
    assert not whole.eks.writes()
    assert not whole.slack.rejections


# Settings and database


def test_a_missing_token_is_a_finding_that_names_the_variable(results):
    found = results(SLACK_BOT_TOKEN=None, SLACK_APP_TOKEN=None, SLACK_SIGNING_SECRET=None)
    assert findings(found) == {"slack bot token", "slack connection"}
    assert "SLACK_BOT_TOKEN" in found["slack bot token"].message
    assert "SLACK_SIGNING_SECRET" in found["slack connection"].message
    assert found["cluster prod-eu"].status is Status.OK


def test_over_http_it_says_that_only_slack_can_try_the_secret(results):
    found = results(SLACK_APP_TOKEN=None)
    assert findings(found) == set()
    assert found["slack connection"].status is Status.NOTE
    assert "Request URL" in found["slack connection"].remedy


def test_a_database_that_is_behind_or_newer_or_away_is_a_finding(whole, results):
    execute(whole.database_url, "UPDATE alembic_version SET version_num = '9999'")
    assert "newer version" in results()["database"].message
    execute(whole.database_url, "DELETE FROM alembic_version")
    assert "eks-access db upgrade" in results()["database"].message
    away = results(DATABASE_URL="postgresql://bot:hunter2@127.0.0.1:1/eks")["database"]
    assert away.status is Status.FINDING
    assert "Connection refused" in away.message
    assert "hunter2" not in f"{away}"


def test_a_sqlite_file_that_is_not_there_yet_is_no_finding_and_is_not_made(results, tmp_path):
    found = results(DATABASE_URL=f"sqlite:///{tmp_path / 'new.db'}")
    assert found["database"].status is Status.NOTE
    assert not (tmp_path / "new.db").exists()


def test_a_postgresql_is_told_with_its_revision(results, postgresql):
    name = postgresql.create_migrated()
    found = results(DATABASE_URL=postgresql.url_of(name))["database"]
    assert found.status is Status.OK
    assert found.message.endswith(f"/{name}: PostgreSQL, at revision {migrate.head()}.")
    postgresql.drop(name)


def test_entries_that_were_made_from_another_database_are_counted(whole, results):
    cluster = Cluster("modern-access-lab", "eu-west-1", LAB_ACCOUNT)
    finding = Finding(Kind.ANOTHER_STORE, "another")
    now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    with closing(Database(whole.database_url)) as database, database.transaction() as tx:
        for name in ("ana", "ben"):
            principal = f"arn:aws:iam::{LAB_ACCOUNT}:role/eks-jit/{name}"
            entry = entries.wish(tx, cluster, principal, deployment="sandbox", now=now)
            drift.note(tx, entry, [finding], {finding: Outcome.LEFT}, now)
    found = results()["database"]
    assert found.status is Status.FINDING
    assert "2 access entries" in found.message
    assert whole.database_url in found.message
    assert "`eks-access adopt`" in found.remedy


# The policy file


def test_how_much_is_in_the_policy_file_is_counted_in_words_that_fit(whole, results):
    edit(whole, lambda policy: policy.update(rules=policy["rules"][:1]))
    assert "has no errors: 2 clusters, 1 rule." in results()["policy file"].message
    edit(whole, lambda policy: policy.update(drift={"repair": 1}, lockdown={"owners": {}}))
    assert "There is 1 more finding. The clusters" in results()["policy file"].message
    edit(whole, lambda policy: policy.update(deployment="a b"))
    assert "There are 2 more findings. The clusters" in results()["policy file"].message


def test_a_broken_policy_file_is_told_and_the_rest_is_still_looked_at(whole, results):
    whole.policy_file.write_text("clusters: 5\n")
    found = results()
    assert findings(found) == {"policy file"}
    assert f"{whole.policy_file}:1: error" in found["policy file"].message
    assert "policy check" in found["policy file"].remedy
    assert set(found) == {
        "database",
        "policy file",
        "slack connection",
        "slack bot token",
        "pagerduty",
        "opsgenie",
        "jira",
    }


# Slack


@pytest.mark.parametrize("error", ["invalid_auth", "token_revoked"])
def test_a_token_that_slack_does_not_take_is_told_with_where_to_copy_it(
    whole, slack_results, error
):
    whole.slack.app.token_error = error
    found = slack_results()
    assert findings(found) == {"slack bot token", "slack connection"}
    assert error in found["slack bot token"].message
    assert "OAuth & Permissions" in found["slack bot token"].remedy
    assert "App-Level Tokens" in found["slack connection"].remedy


def test_an_app_token_without_its_scope_is_a_finding(whole, slack_results):
    whole.slack.app.app_scopes = ("authorizations:read",)
    found = slack_results()
    assert findings(found) == {"slack connection"}
    assert "connections:write" in found["slack connection"].remedy


def test_a_slack_that_cannot_be_reached_is_a_finding_with_its_address(whole, slack_results):
    whole.slack.kill()
    found = slack_results()
    assert findings(found) == {"slack bot token", "slack connection"}
    for one in found.values():
        assert "No answer came from Slack" in one.message
        assert whole.slack.api_url in one.remedy


def test_a_slack_out_of_order_is_a_finding_and_no_crash(whole, slack_results):
    whole.slack.faults.add("auth.test", times=None, status=500)
    whole.slack.faults.add("apps.connections.open", times=None, drop=True)
    assert findings(slack_results()) == {"slack bot token", "slack connection"}


def test_a_missing_scope_is_named(whole, slack_results):
    scopes = whole.slack.app.scopes
    for scope in (*doctor_slack.NEEDED_SCOPES, doctor_slack.GROUPS_SCOPE):
        whole.slack.app.scopes = tuple(one for one in scopes if one != scope)
        token = slack_results()["slack bot token"]
        assert token.status is Status.FINDING
        assert f"lacks {scope}." in token.message
        assert "app-manifest.yml" in token.remedy


def test_the_email_scope_is_missed_only_where_the_policy_uses_addresses(whole, slack_results):
    scope = doctor_slack.EMAIL_SCOPE
    whole.slack.app.scopes = tuple(one for one in whole.slack.app.scopes if one != scope)
    edit(whole, lambda policy: policy.pop("break_glass"))
    assert findings(slack_results()) == set()
    template = {
        "template": "arn:aws:iam::{account}:role/eks-jit/{email_name}",
        "email_domains": ["example.com"],
    }
    edit(whole, lambda policy: policy["principals"].update(template))
    assert scope in slack_results()["slack bot token"].message


def test_the_email_scope_is_missed_where_people_on_call_are_known_by_their_addresses(
    whole, slack_results
):
    scope = doctor_slack.EMAIL_SCOPE
    whole.slack.app.scopes = tuple(one for one in whole.slack.app.scopes if one != scope)
    break_glass = {
        "clusters": ["*"],
        "levels": ["cluster-admin"],
        "responders": {"pagerduty": {"schedules": ["PPLATFM"], "users": {"PCLEO01": "U03CLEO"}}},
        "max_duration": "1h",
        "review": {"owners": {"groups": ["S01PLATFORM"]}, "within": "24h"},
    }
    edit(whole, lambda policy: policy.update(break_glass=[break_glass]))
    edit(whole, lambda policy: policy["principals"].pop("email_domains"))
    assert scope not in slack_results()["slack bot token"].message
    edit(whole, lambda policy: policy["principals"].update(email_domains=["example.com"]))
    assert scope in slack_results()["slack bot token"].message


def test_every_scope_it_looks_for_is_in_the_app_manifest():
    manifest = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    looked_for = {
        *doctor_slack.NEEDED_SCOPES,
        *doctor_slack.CHANNEL_SCOPES,
        doctor_slack.GROUPS_SCOPE,
        doctor_slack.EMAIL_SCOPE,
        doctor_slack.POST_ANYWHERE,
    }
    assert looked_for <= set(manifest["oauth_config"]["scopes"]["bot"])


def test_a_channel_that_does_not_serve_is_told(whole, slack_results):
    whole.slack.archive("C0AUDIT")
    whole.slack.share("C01PLATFORM")
    whole.slack.remove_bot("C02PAYMENTS")
    found = slack_results()
    assert findings(found) == {"channel C0AUDIT", "channel C01PLATFORM"}
    assert "archived" in found["channel C0AUDIT"].message
    assert "another organisation" in found["channel C01PLATFORM"].message
    payments = found["channel C02PAYMENTS"]
    assert payments.status is Status.NOTE
    assert "can post there all the same" in payments.message
    assert "rule payments" in payments.message
    assert payments.remedy == "Type `/invite @eks-access` in #payments-access."


def payments(policy: dict[str, Any]) -> dict[str, Any]:
    return next(one["approval"] for one in policy["rules"] if one["name"] == "payments")


PUBLIC, PRIVATE = {"channels": ["C0AUDIT"]}, {"channels": ["C07SECRET"]}


@pytest.mark.parametrize(
    "place",
    [
        lambda policy, owners: payments(policy).update(owners=owners),
        lambda policy, owners: payments(policy).update(
            also=[{"name": "security", "owners": owners}]
        ),
        lambda policy, owners: payments(policy)["escalate"].update(owners=owners),
        lambda policy, owners: policy["break_glass"][0]["review"].update(owners=owners),
        lambda policy, owners: policy.update(lockdown={"owners": owners}),
    ],
    ids=["owners", "also", "escalate", "review", "lockdown"],
)
def test_a_public_channel_whose_members_decide_is_named(whole, slack_results, place):
    whole.slack.add_channel("C07SECRET", "secret", private=True)
    edit(whole, lambda policy: place(policy, PUBLIC))
    told = slack_results()["members of C0AUDIT"]
    assert told.status is Status.NOTE
    assert "It is public: everybody here can join it, and then decides." in told.message
    assert told.remedy == "Make it private in Slack, or name a user group as owners."
    edit(whole, lambda policy: place(policy, PRIVATE))
    found = slack_results()
    assert found["members of C07SECRET"].status is Status.OK
    assert "members of C0AUDIT" not in found


def test_a_private_channel_without_the_bot_is_a_finding_and_so_is_one_that_is_not_there(
    whole, slack_results
):
    whole.slack.add_channel("C07SECRET", "secret", private=True, bot=False)
    edit(whole, lambda policy: policy.update(audit_channel="C07SECRET", security_channel="C0NONE"))
    found = slack_results()
    assert findings(found) == {"channel C07SECRET", "channel C0NONE"}
    assert "invite the bot" in found["channel C07SECRET"].remedy


def test_a_public_channel_is_a_finding_where_the_bot_may_not_post_uninvited(whole, slack_results):
    whole.slack.app.scopes = tuple(
        scope for scope in whole.slack.app.scopes if scope != doctor_slack.POST_ANYWHERE
    )
    whole.slack.remove_bot("C0AUDIT")
    assert findings(slack_results()) == {"channel C0AUDIT"}


def test_without_the_scopes_for_channels_nothing_is_posted_and_it_says_so(whole, slack_results):
    whole.slack.app.scopes = tuple(
        scope for scope in whole.slack.app.scopes if scope not in doctor_slack.CHANNEL_SCOPES
    )
    found = slack_results()["channel C02PAYMENTS"]
    assert found.status is Status.FINDING
    assert "posts nothing there" in found.message
    assert "channels:read" in found.remedy


def test_empty_and_missing_groups_of_owners_are_findings(whole, slack_results):
    whole.slack.set_group("S01PLATFORM", [])
    whole.slack.disable_group("S02PAYLEADS")
    found = slack_results()
    assert findings(found) == {
        "user group S01PLATFORM",
        "user group S02PAYLEADS",
        "owners of lab editors",
        "owners of production as a whole",
    }
    lost = found["user group S02PAYLEADS"].message
    assert "disabled or deleted in Slack, so nobody counts through it (no_such_subteam)" in lost
    assert found["owners of payments"].message == "1 person can approve, and 1 must."


def test_every_id_and_role_of_the_policy_file_is_looked_up_whatever_key_it_stands_under(
    whole, results
):
    whole.policy_file.write_text(yaml.safe_dump(FULL))
    bad = [one for one in results().values() if one.status is Status.FINDING]
    for name, keys in names_in(FULL):
        told = [one for one in bad if name in one.check or name in one.message]
        assert told, f"{name} under {keys}"
        assert all(one.remedy for one in told)


def test_where_a_wrong_id_stands_is_told(whole, slack_results):
    edit(whole, lambda policy: policy["lockdown"]["owners"].update(users=["U0NOBODY"]))
    edit(whole, lambda policy: policy["break_glass"][0]["responders"].update(users=["U0NOBODY"]))
    found = slack_results()
    assert findings(found) == {"person U0NOBODY"}
    told = found["person U0NOBODY"]
    assert "(user_not_found)" in told.message
    assert "`break_glass.1.responders.users`, `lockdown.owners.users`" in told.message


def test_somebody_who_left_and_is_only_mapped_to_a_principal_is_a_note(whole, slack_results):
    whole.slack.change_person("U01ANA", deleted=True)
    found = slack_results()
    assert findings(found) == set()
    assert found["person U01ANA"].status is Status.NOTE
    assert "U01ANA is deactivated. It is at `principals.users`" in found["person U01ANA"].message
    assert (
        found["people"].message == "4 people in the policy file are full members of the workspace."
    )


@pytest.mark.parametrize(
    "asked",
    [
        ("usergroups.users.list", "user group S02PAYLEADS"),
        ("users.info", "person U02BEN"),
        ("conversations.members", "members of C0AUDIT"),
        ("conversations.info", "channel C02PAYMENTS"),
    ],
    ids=lambda asked: asked[0],
)
@pytest.mark.parametrize(
    "answer",
    [
        ("plan_upgrade_required", "instead of user groups"),
        ("team_access_not_granted", "A Slack admin has to allow the app."),
        ("internal_error", "Run this again in a minute."),
        ("brand_new_error", "says what `brand_new_error` means."),
    ],
    ids=lambda answer: answer[0],
)
def test_the_remedy_follows_from_what_slack_says(whole, slack_results, asked, answer):
    (method, check), (error, remedy) = asked, answer
    edit(whole, lambda policy: payments(policy)["owners"].update(PUBLIC))
    whole.slack.faults.add(method, times=None, error=error)
    found = slack_results()[check]
    assert error in found.message
    assert remedy in found.remedy


def test_the_remedy_of_a_missing_scope_names_it(whole, slack_results):
    scopes = whole.slack.app.scopes
    for scope, check in (
        ("usergroups:read", "user group S02PAYLEADS"),
        ("users:read", "person U02BEN"),
    ):
        whole.slack.app.scopes = tuple(one for one in scopes if one != scope)
        assert f"Add the scope {scope} under" in slack_results()[check].remedy


def test_who_may_ask_and_is_no_principal_is_told(whole, slack_results):
    people = {"users": ["U01ANA", "U07IRIS"], "groups": ["S05SECURITY", "S04RESPOND"]}
    edit(whole, lambda policy: policy["rules"][0].update(requesters=people))
    found = slack_results()
    assert findings(found) == set()
    told = found["principals"]
    assert told.message == "1 person who may ask is mapped to no IAM principal: U07IRIS."


def test_a_further_part_of_an_approval_needs_owners_enough(whole, slack_results):
    law = {"name": "law", "required": 2, "owners": {"groups": ["S05SECURITY"]}}
    edit(whole, lambda policy: payments(policy).update(also=[law]))
    told = slack_results()["owners of payments, part law"]
    assert (told.status, told.message) == (Status.FINDING, "1 person can approve, and 2 must.")


def test_an_empty_group_of_requesters_is_a_note(whole, slack_results):
    whole.slack.add_group("S09NOBODY", "nobody")
    edit(whole, lambda policy: policy["rules"][0].update(requesters={"groups": ["S09NOBODY"]}))
    found = slack_results()
    assert findings(found) == set()
    assert found["user group S09NOBODY"].status is Status.NOTE


def test_fewer_owners_than_a_rule_requires_are_a_finding(whole, slack_results):
    whole.slack.set_group("S01PLATFORM", ["U03CLEO"])
    found = slack_results()
    assert findings(found) == {"owners of production as a whole"}
    assert "1 person can approve, and 2 must." in found["owners of production as a whole"].message


def test_an_owner_who_can_approve_nothing_is_named(whole, slack_results):
    for change, why in (
        ({"deleted": True}, "deactivated"),
        ({"deleted": False, "is_restricted": True}, "a guest"),
        ({"is_restricted": False, "is_ultra_restricted": True}, "a guest"),
        ({"is_ultra_restricted": False, "is_bot": True}, "a bot"),
        ({"is_bot": False, "team_id": "T0OUTSIDE"}, "of another organisation"),
    ):
        whole.slack.change_person("U02BEN", **change)
        owners = slack_results()["owners of payments"]
        assert owners.status is Status.FINDING
        assert f"U02BEN is {why}." in owners.message


def test_an_owner_whose_home_is_another_workspace_of_the_grid_is_one_of_ours(whole, slack_results):
    teams = ("T02SISTER", whole.slack.team.id)
    whole.slack.change_person("U02BEN", team_id="T02SISTER", teams=teams)
    assert findings(slack_results()) == set()


def test_rate_limits_of_slack_are_waited_out(whole, slack_results):
    whole.slack.faults.add("usergroups.users.list", ratelimited=1)
    assert findings(slack_results()) == set()


# EKS


def test_each_cluster_that_does_not_serve_is_told(whole, results):
    edit(whole, lambda policy: policy["clusters"].append(
        {"name": "legacy-eu", "region": "eu-west-1", "account": LAB_ACCOUNT}
    ))  # fmt: skip
    whole.eks.delete_cluster("modern-access-lab")
    whole.eks.faults.deny("ListAccessEntries", cluster="prod-eu")
    found = results()
    assert findings(found) == {
        f"cluster {n}" for n in ("legacy-eu", "modern-access-lab", "prod-eu")
    }
    assert "authenticationMode=API_AND_CONFIG_MAP" in found["cluster legacy-eu"].message
    assert "no cluster modern-access-lab" in found["cluster modern-access-lab"].message
    denied = found["cluster prod-eu"].message
    assert "docs/aws.md" in denied
    assert "assumed-role/eks-access-bot" in denied
    assert "eks:ListAccessEntries" in denied


def test_a_cluster_of_another_account_is_not_taken_for_the_one_in_the_policy(whole, results):
    whole.eks.create_cluster("prod-eu", "eu-central-1", LAB_ACCOUNT)
    edit(whole, lambda policy: policy["clusters"][1].pop("assume_role"))
    found = results()
    assert findings(found) == {"cluster prod-eu", "backstop of prod-eu"}
    for check in ("cluster prod-eu", "backstop of prod-eu"):
        told = found[check].message
        assert "prod-eu is in account 444455556666" in told
        assert f"credentials are of account {LAB_ACCOUNT}" in told
        assert "assume_role" in told


def test_a_backstop_that_could_not_be_set_is_told(whole, results):
    whole.eks.scheduler.delete_group("eks-access", "eu-west-1", LAB_ACCOUNT)
    found = results()
    assert findings(found) == {"backstop of modern-access-lab"}
    told = found["backstop of modern-access-lab"].message
    assert "aws scheduler create-schedule-group --name eks-access --region eu-west-1" in told
    whole.eks.faults.deny("ListSchedules")
    denied = results()["backstop of prod-eu"].message
    assert "scheduler:ListSchedules" in denied


def test_without_leave_to_describe_clusters_it_says_what_was_not_checked(whole, results):
    whole.eks.faults.deny("DescribeCluster")
    found = results()
    assert findings(found) == set()
    assert found["cluster prod-eu"].status is Status.NOTE
    assert "eks:DescribeCluster" in found["cluster prod-eu"].remedy


def test_an_aws_that_cannot_be_reached_is_a_finding_for_each_cluster(whole, results):
    whole.eks.stop()
    assert findings(results()) == {
        f"{part} {name}"
        for part in ("cluster", "backstop of")
        for name in ("modern-access-lab", "prod-eu")
    }


def test_a_cluster_whose_mode_has_no_entries_is_a_finding_also_where_the_listing_answers(
    whole, results
):
    edit(whole, lambda policy: policy["clusters"].append(
        {"name": "legacy-eu", "region": "eu-west-1", "account": LAB_ACCOUNT}
    ))  # fmt: skip
    backend = whole.eks.backend("eu-west-1", LAB_ACCOUNT)

    def let_the_listing_answer(call: Call) -> None:
        if (call.operation, call.cluster) == ("DescribeCluster", "legacy-eu"):
            backend.configure_access("legacy-eu", "API_AND_CONFIG_MAP", None)

    whole.eks.subscribe(let_the_listing_answer)
    found = results()
    assert findings(found) == {"cluster legacy-eu"}
    assert "in authentication mode CONFIG_MAP, which" in found["cluster legacy-eu"].message


# IAM


def test_a_role_that_is_not_there_or_has_another_path_is_told(whole, results):
    client = iam(whole, LAB_ACCOUNT)
    client.delete_role(RoleName="eks-access-backstop")
    client.delete_role(RoleName="ben")
    client.create_role(RoleName="ben", AssumeRolePolicyDocument="{}")
    iam(whole, PRODUCTION_ACCOUNT).delete_role(RoleName="ben")
    found = results()
    assert findings(found) == {"IAM eks-access-backstop", "IAM ben"}
    assert f"IAM has no role `arn:aws:iam::{LAB_ACCOUNT}:role/eks-access-backstop`." in (
        found["IAM eks-access-backstop"].message
    )
    assert f"IAM has it as `arn:aws:iam::{LAB_ACCOUNT}:role/ben`" in found["IAM ben"].message
    assert "`principals.users.U02BEN`" in found["IAM ben"].message


def test_a_person_without_a_role_in_one_of_two_accounts_is_a_note(whole, results):
    iam(whole, PRODUCTION_ACCOUNT).delete_role(RoleName="ana")
    found = results()
    assert findings(found) == set()
    assert found["IAM ana"].status is Status.NOTE
    assert (
        f"IAM has no role `arn:aws:iam::{PRODUCTION_ACCOUNT}:role/eks-jit/ana`."
        in found["IAM ana"].message
    )


def test_an_iam_user_is_looked_up_as_one_and_other_accounts_are_said_to_be_out_of_sight(
    whole, results
):
    iam(whole, LAB_ACCOUNT).create_user(Path="/people/", UserName="ana")
    users = {
        "U01ANA": f"arn:aws:iam::{LAB_ACCOUNT}:user/people/ana",
        "U02BEN": "arn:aws:iam::777788889999:role/ben",
    }
    edit(whole, lambda policy: policy["principals"].update(users=users))
    found = results()
    assert findings(found) == set()
    told = [
        one for one in examine(whole.settings(), lambda _: None) if one.check == "IAM principals"
    ]
    assert [one.status for one in told] == [Status.NOTE, Status.OK]
    assert "No cluster of the policy file is in account 777788889999." in told[0].message


# The command


def environment(stage: Stage) -> dict[str, str]:
    return {
        **os.environ,
        "SLACK_BOT_TOKEN": stage.slack.bot_token,
        "SLACK_APP_TOKEN": stage.slack.app_token,
        "SLACK_API_URL": stage.slack.api_url,
        "DATABASE_URL": stage.database_url,
        "EKS_ACCESS_CONFIG": str(stage.policy_file),
        **{name: value for name, value in stage.services.settings().items() if value},
    }


def test_it_prints_one_aligned_line_a_check_and_on_a_terminal_what_is_being_checked(whole):
    ours, theirs = pty.openpty()
    good = subprocess.run(  # noqa: S603 - our own command
        [COMMAND, "doctor"],
        env=environment(whole),
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        check=False,
    )
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert good.returncode == 0
    assert len({line.index(line.split(None, 1)[1]) for line in good.stdout.splitlines()}) == 1
    assert "Checking cluster prod-eu …" in shown
    assert shown.endswith("\r\x1b[K")


def test_a_script_gets_json_alone_and_1_on_a_finding(whole):
    whole.slack.archive("C0AUDIT")
    bad = subprocess.run(  # noqa: S603 - our own command
        [COMMAND, "doctor", "--json"],
        env=environment(whole),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (bad.returncode, bad.stderr) == (1, "")
    listed = json.loads(bad.stdout)
    assert {frozenset(one) for one in listed} == {
        frozenset({"check", "status", "message", "remedy"})
    }
    assert [one["check"] for one in listed if one["status"] == "finding"] == ["channel C0AUDIT"]
    assert whole.slack.bot_token not in bad.stdout
    assert whole.slack.app_token not in bad.stdout


def test_an_environment_that_cannot_be_read_exits_2(cli):
    result = cli("doctor", EKS_ACCESS_HTTP_PORT="high")
    assert result.exit_code == 2
    assert "EKS_ACCESS_HTTP_PORT" in result.stderr
