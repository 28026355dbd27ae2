"""`eks-access grants` and `eks-access revoke`."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cli_steps import execute, principals, states, three_grants

import bot.sandbox
from bot.access.extend import extend
from bot.access.facts import Facts
from bot.core.lifecycle import OPERATOR
from bot.core.model import EndReason, GrantState, Person
from bot.policy_file import load_policy
from bot.sandbox.stage import LAB_ACCOUNT, Stage, furnish
from bot.store import audit, grants
from bot.store.database import Database
from bot.wiring import utc_now

SANDBOX = load_policy(Path(bot.sandbox.__file__).with_name("policy.yaml")).policy


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> tuple[Path, tuple[str, str, str]]:
    """A store with three live grants, to be copied, and their ids."""
    file = tmp_path_factory.mktemp("stored") / "store.db"
    with Stage(database_url=f"sqlite:///{file}") as stage:
        furnish(stage)
        ids = three_grants(stage)
    return file, ids


@pytest.fixture
def store(stored, tmp_path) -> tuple[str, tuple[str, str, str]]:
    """The URL of a store with three live grants, which no bot looks after, and their ids."""
    file, ids = stored
    shutil.copy(file, tmp_path / "store.db")
    return f"sqlite:///{tmp_path / 'store.db'}", ids


def test_without_grants_it_says_so(cli, sqlite):
    assert cli("grants", DATABASE_URL=sqlite).stdout == "Nobody has access through the bot now.\n"
    assert json.loads(cli("grants", "--json", DATABASE_URL=sqlite).stdout) == []


def test_grants_are_listed_for_people_and_for_scripts(cli, store):
    url, three = store
    where = {"DATABASE_URL": url}
    head, *lines = cli("grants", **where).stdout.splitlines()
    assert head.split() == ["GRANT", "STATE", "WHO", "CLUSTER", "ACCESS", "SCOPE", "LEFT"]
    assert [line.split()[:6] for line in lines] == [
        [three[0], "active", "U01ANA", "modern-access-lab", "AmazonEKSViewPolicy", "default"],
        [three[1], "active", "U02BEN", "modern-access-lab", "AmazonEKSViewPolicy", "default"],
        [three[2], "active", "U03CLEO", "modern-access-lab", "AmazonEKSViewPolicy", "default"],
    ]
    assert {line.index("active") for line in lines} == {head.index("STATE")}
    first, *_ = listed = json.loads(cli("grants", "--json", **where).stdout)
    assert [one["id"] for one in listed] == list(three)
    assert first["confirmed_at"] < first["ends_at"]
    assert {name: first[name] for name in first if not name.endswith(("_at", "_since"))} == {
        "id": three[0],
        "state": "ACTIVE",
        "requester": "U01ANA",
        "cluster": "modern-access-lab",
        "region": "eu-west-1",
        "account": LAB_ACCOUNT,
        "principal_arn": f"arn:aws:iam::{LAB_ACCOUNT}:role/eks-jit/ana",
        "policy_arn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
        "namespaces": ["default"],
        "kubernetes_groups": [],
        "end_reason": None,
        "removal_lag_seconds": None,
        "problem": None,
    }
    assert first["removed_at"] is None
    assert first["revoking_since"] is None
    assert len(json.loads(cli("grants", "--json", "--cluster", "prod-eu", **where).stdout)) == 0


def test_what_ended_is_listed_with_when_it_was_seen_to_be_gone_and_how_late(cli, store):
    url, three = store
    where = {"DATABASE_URL": url}
    with closing(Database(url)) as database, database.transaction() as tx:
        grant = grants.get(tx, three[0])
        late = timedelta(minutes=34)
        ended = replace(
            grant,
            state=GrantState.ENDED,
            end_reason=EndReason.EXPIRED,
            ends_at=utc_now() - 2 * late,
            revoking_since=utc_now() - late,
            ended_at=utc_now() - late,
        )
        grants.change(tx, ended, expected=GrantState.ACTIVE)
    assert len(json.loads(cli("grants", "--json", **where).stdout)) == 2
    assert len(json.loads(cli("grants", "--ended", "10m", "--json", **where).stdout)) == 2
    first, *rest = json.loads(cli("grants", "--ended", "1d", "--json", **where).stdout)
    assert (first["id"], first["state"], first["end_reason"]) == (three[0], "ENDED", "expired")
    assert first["removed_at"] > first["ends_at"]
    assert round(first["removal_lag_seconds"]) == 34 * 60
    assert len(rest) == 2
    table = cli("grants", "--ended", "1d", **where).stdout
    assert f"gone {ended.ended_at:%Y-%m-%d %H:%M:%S}, expired, 2040 s after its end" in table


def test_a_removal_that_takes_long_is_seen_to_be_late_and_why(cli, store):
    url, three = store
    with closing(Database(url)) as database, database.transaction() as tx:
        removing = replace(
            grants.get(tx, three[0]),
            state=GrantState.REVOKING,
            end_reason=EndReason.RETURNED,
            revoking_since=utc_now() - timedelta(minutes=5),
            problem="AWS does not let the bot delete access entries.",
        )
        grants.change(tx, removing, expected=GrantState.ACTIVE)
    _, first, why, *_ = cli("grants", DATABASE_URL=url).stdout.splitlines()
    assert re.search(r"being removed for 5 min( \d+ s)?, LATE$", first)
    assert why.strip() == "AWS does not let the bot delete access entries."


def test_access_past_its_end_that_nobody_began_to_remove_is_seen_to_be_late(cli, store):
    url, three = store
    with closing(Database(url)) as database, database.transaction() as tx:
        over = replace(grants.get(tx, three[0]), ends_at=utc_now() - timedelta(minutes=5))
        grants.change(tx, over, expected=GrantState.ACTIVE)
    _, first, *_ = cli("grants", DATABASE_URL=url).stdout.splitlines()
    assert first.endswith("past its end, LATE")


@pytest.mark.parametrize("command", [["grants"], ["revoke", "--all"]])
def test_a_cluster_that_never_had_any_access_is_no_all_clear(cli, store, command):
    said = cli(*command, "--cluster", "modern-access-lap", DATABASE_URL=store[0]).stdout
    assert "on modern-access-lap" in said
    assert "is that its name?" in said


@pytest.mark.parametrize("back", ["90d", "400d", "99999999d", "9" * 20 + "d"])
def test_a_look_back_may_be_as_long_as_somebody_likes(cli, store, back):
    url, three = store
    end(url, three[0], utc_now() - timedelta(days=85))
    shown = cli("grants", "--ended", back, "--json", DATABASE_URL=url)
    assert shown.exit_code == 0
    assert [one["id"] for one in json.loads(shown.stdout)] == list(three)
    assert len(json.loads(cli("grants", "--ended", "30d", "--json", DATABASE_URL=url).stdout)) == 2


def end(url: str, grant_id: str, moment: datetime) -> None:
    """Let a grant have ended at a moment."""
    with closing(Database(url)) as database, database.transaction() as tx:
        ended = replace(
            grants.get(tx, grant_id),
            state=GrantState.ENDED,
            end_reason=EndReason.EXPIRED,
            revoking_since=moment,
            ended_at=moment,
        )
        grants.change(tx, ended, expected=GrantState.ACTIVE)


def test_what_ended_in_a_span_of_time_is_listed_alone(cli, store):
    url, three = store
    spring = datetime(2026, 3, 1, tzinfo=UTC)
    for number, grant in enumerate(three):
        end(url, grant, spring + timedelta(days=number))

    def ended(*span: str) -> list[str]:
        result = cli("grants", *span, "--json", DATABASE_URL=url)
        return [one["id"] for one in json.loads(result.stdout)]

    assert ended("--from", "2026-03-01T00:00Z") == list(three)
    assert ended("--from", "2026-03-01T00:00Z", "--until", "2026-03-03") == list(three[:2])
    assert ended("--from", "2026-03-01T01:00+00:00", "--until", "2026-03-03") == [three[1]]
    table = cli("grants", "--from", "2026-03-02", "--until", "2026-03-03", DATABASE_URL=url)
    assert [line.split()[0] for line in table.stdout.splitlines()] == ["GRANT", three[1]]
    none = cli("grants", "--from", "2027-03-02", "--cluster", "prdo-eu", DATABASE_URL=url)
    assert "No access through the bot on prdo-eu ended then." in none.stdout
    assert "is that its name?" in none.stdout


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (["--until", "2026-03-03"], "--from TIME"),
        (["--from", "2026-03-03", "--ended", "7d"], "no --ended"),
        (["--from", "2026-03-03", "--until", "2026-03-03"], "is not after"),
        (["--from", "spring"], "`spring` is no time"),
    ],
)
def test_a_span_of_time_that_is_none_is_told(cli, store, span, said):
    result = cli("grants", *span, DATABASE_URL=store[0])
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_length_of_time_that_is_none_is_told(cli, store):
    url, _ = store
    result = cli("grants", "--ended", "a week", DATABASE_URL=url)
    assert result.exit_code == 2
    assert "length of time" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [(), ("7K3-QMX", "--all"), ("--cluster", "lab"), ("7K3-QMX", "--cluster", "lab")],
    ids=" ".join,
)
def test_revoke_wants_one_grant_or_all(cli, sqlite, arguments):
    result = cli("revoke", *arguments, DATABASE_URL=sqlite)
    assert result.exit_code == 2
    assert "Name one grant, or --all, or --all --cluster CLUSTER." in result.stderr


@pytest.mark.parametrize(
    ("grant_id", "said"), [("nonsense", "is not a grant id"), ("7k3qmx", "no grant 7K3-QMX")]
)
def test_a_grant_that_is_not_there_is_told(cli, sqlite, grant_id, said):
    result = cli("revoke", grant_id, DATABASE_URL=sqlite)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_revoked_grant_is_on_record_and_removed_by_the_bot_that_starts_later(cli, stage):
    three = three_grants(stage)
    typed = three[1].lower().replace("-", "")
    result = cli("revoke", typed, "--reason", "Left us", DATABASE_URL=stage.database_url)
    assert result.exit_code == 0
    assert f"{three[1]}: revoked" in result.stdout
    assert principals(stage) == {"ana", "ben", "cleo"}
    again = cli("revoke", three[1], DATABASE_URL=stage.database_url)
    assert again.exit_code == 2
    assert "already being removed" in again.stderr
    with closing(Database(stage.database_url)) as database, database.reading() as tx:
        (event,) = [one for one in audit.of_request(tx, three[1]) if "revoking" in one.action]
    assert (event.actor, event.details["why"]) == (OPERATOR, "Left us")
    stage.start_bot()
    assert stage.eks.wait_for(lambda: principals(stage) == {"ana", "cleo"}, timeout=30)


def test_revoking_a_grant_revokes_what_is_about_to_take_over_from_it(cli, store):
    """Its holder has it extended by an automatic rule; EKS has not confirmed the longer one."""
    url, (first, second, third) = store
    ana = Person("U01ANA", "T01", "Ana Ruiz")
    facts = Facts(SANDBOX, "digest", "T01", {ana.id: ana}, {}, utc_now())
    with closing(Database(url)) as database, database.transaction() as tx:
        longer = extend(tx, facts, first, by=ana.id, more=timedelta(hours=1), reason="").id
    assert states(url)[longer] == GrantState.PROVISIONING
    assert cli("revoke", first, DATABASE_URL=url).exit_code == 0
    assert states(url) == {
        first: GrantState.REVOKING,
        longer: GrantState.REVOKING,
        second: GrantState.ACTIVE,
        third: GrantState.ACTIVE,
    }


def test_revoking_all_of_a_cluster_leaves_the_others(cli, store):
    url, three = store
    elsewhere = cli("revoke", "--all", "--cluster", "prdo-eu", DATABASE_URL=url)
    assert elsewhere.exit_code == 0
    assert "nothing to revoke on prdo-eu" in elsewhere.stdout
    assert states(url) == dict.fromkeys(three, GrantState.ACTIVE)
    result = cli("revoke", "--all", "--cluster", "modern-access-lab", DATABASE_URL=url)
    assert result.exit_code == 0
    assert [line[:7] for line in result.stdout.splitlines()] == list(three)
    assert states(url) == dict.fromkeys(three, GrantState.REVOKING)


def test_a_grant_that_ends_meanwhile_does_not_keep_the_rest_from_being_revoked(cli, store):
    url, (first, second, third) = store
    # What another process does between the listing and the second revocation.
    execute(
        url,
        f"CREATE TRIGGER meanwhile AFTER UPDATE ON grants WHEN NEW.id = '{first}' BEGIN "  # noqa: S608 - ids of ours
        f"UPDATE grants SET state = 'ENDED', end_reason = 'expired' WHERE id = '{second}'; END",
    )
    result = cli("revoke", "--all", DATABASE_URL=url)
    assert result.exit_code == 0
    assert f"{second}: Grant {second} has already ended." in result.stdout
    assert states(url) == {first: GrantState.REVOKING, third: GrantState.REVOKING}
