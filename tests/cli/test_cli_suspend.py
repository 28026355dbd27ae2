"""`eks-access suspend` and its end, which need neither Slack nor a valid policy."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from cli_steps import BROKEN, three_grants

from bot.core.lifecycle import OPERATOR
from bot.core.model import EndReason, GrantState
from bot.sandbox.stage import Stage, furnish
from bot.store import announcements, grants, suspensions
from bot.store.database import Database

REASON = ("--reason", "Stolen laptop, INC-77")
ON = ("suspend", "U01ANA", *REASON)


@pytest.fixture
def where(sqlite, policy_file) -> dict[str, str]:
    return {"DATABASE_URL": sqlite, "EKS_ACCESS_CONFIG": str(policy_file)}


def test_somebody_is_suspended_and_let_in_again_and_listed(cli, where):
    assert cli("suspensions", **where).stdout == "Nobody is suspended.\n"
    on = cli(*ON, **where)
    assert on.exit_code == 0
    assert "U01ANA is suspended." in on.stdout
    listed = cli("suspensions", **where)
    assert listed.exit_code == 1
    assert "U01ANA since" in listed.stdout
    assert "by an operator: Stolen laptop, INC-77" in listed.stdout
    (shown,) = json.loads(cli("suspensions", "--json", **where).stdout)
    assert (shown["person"], shown["began_by"]) == ("U01ANA", OPERATOR)
    assert cli("unsuspend", "U01ANA", **where).exit_code == 0
    assert json.loads(cli("suspensions", "--json", **where).stdout) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("suspend", "U01ANA"), "--reason"),
        (("suspend", "U01ANA", "--reason", " "), "reason"),
        (("suspend", "@ana", *REASON), "not a Slack user id"),
        (("unsuspend", "ana"), "not a Slack user id"),
        (("unsuspend", "U01ANA"), "is not suspended"),
    ],
)
def test_bad_use_is_said(cli, where, arguments, says):
    result = cli(*arguments, **where)
    assert result.exit_code == 2
    assert says in result.stderr


def test_twice_is_bad_use(cli, where):
    cli(*ON, **where)
    again = cli(*ON, **where)
    assert again.exit_code == 2
    assert "suspended already" in again.stderr


def test_a_broken_policy_keeps_nobody_from_suspending(cli, where, policy_file):
    policy_file.write_text(BROKEN)
    assert cli(*ON, **where).exit_code == 0
    assert cli("unsuspend", "U01ANA", **where).exit_code == 0


def test_security_audit_and_the_person_are_told_by_the_running_bot(cli, where):
    cli(*ON, **where)
    with closing(Database(where["DATABASE_URL"])) as database, database.reading() as tx:
        begun = suspensions.current(tx, "U01ANA")
        assert begun is not None
        told = {
            place: str([one.blocks for one in announcements.due_in(tx, place, begun.began_at, 10)])
            for place in ("C0SECURITY", "C0AUDIT", "U01ANA")
        }
    assert "INC-77" in told["C0SECURITY"]
    assert "INC-77" in told["C0AUDIT"]
    assert "You are suspended here" in told["U01ANA"]
    assert "INC-77" not in told["U01ANA"]


def test_what_they_have_is_revoked_and_nobody_elses(cli, tmp_path, policy_file):
    url = f"sqlite:///{tmp_path / 'live.db'}"
    with Stage(database_url=url) as stage:
        furnish(stage)
        three_grants(stage)
    where = {"DATABASE_URL": url, "EKS_ACCESS_CONFIG": str(policy_file)}
    with closing(Database(url)) as database, database.reading() as tx:
        before = grants.live(tx)
    who = before[0].requester
    assert cli("suspend", who, *REASON, **where).exit_code == 0
    with closing(Database(url)) as database, database.reading() as tx:
        for grant in grants.live(tx):
            revoked = grant.end_reason is EndReason.REVOKED
            assert revoked == (grant.requester == who)
            assert revoked == (grant.state is GrantState.REVOKING)


def test_a_revocation_of_what_had_just_ended_is_noted(cli, tmp_path, policy_file):
    url = f"sqlite:///{tmp_path / 'live.db'}"
    with Stage(database_url=url) as stage:
        furnish(stage)
        first, *_ = three_grants(stage)
    where = {"DATABASE_URL": url, "EKS_ACCESS_CONFIG": str(policy_file)}
    with closing(Database(url)) as database, database.transaction() as tx:
        grant = grants.get(tx, first)
    assert "revoked." in cli("revoke", first, **where).stdout
    again = cli("revoke", first, **where)
    assert again.exit_code == 2
    assert grant.requester
