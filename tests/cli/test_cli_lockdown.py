"""`eks-access lockdown`, which needs neither Slack nor a valid policy."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from cli_steps import BROKEN, three_grants

from bot.core.lifecycle import OPERATOR
from bot.core.model import EndReason
from bot.sandbox.stage import Stage, furnish
from bot.store import announcements, grants, lockdowns
from bot.store.database import Database

ON = ("lockdown", "on", "--reason", "Stolen laptop, INC-77")


@pytest.fixture
def where(sqlite, policy_file) -> dict[str, str]:
    return {"DATABASE_URL": sqlite, "EKS_ACCESS_CONFIG": str(policy_file)}


def test_it_is_turned_on_and_off_and_asked_about(cli, where):
    assert cli("lockdown", "status", **where).stdout == "Lockdown is not on.\n"
    on = cli(*ON, **where)
    assert on.exit_code == 0
    assert "nothing new is granted" in on.stdout
    status = cli("lockdown", "status", **where)
    assert status.exit_code == 1
    assert "by an operator: Stolen laptop, INC-77" in status.stdout
    shown = json.loads(cli("lockdown", "status", "--json", **where).stdout)
    assert (shown["began_by"], shown["reason"]) == (OPERATOR, "Stolen laptop, INC-77")
    assert cli("lockdown", "off", **where).exit_code == 0
    assert json.loads(cli("lockdown", "status", "--json", **where).stdout) is None


def test_twice_on_and_off_without_on_are_bad_use(cli, where):
    off = cli("lockdown", "off", **where)
    assert off.exit_code == 2
    assert "Lockdown is not on" in off.stderr
    cli(*ON, **where)
    again = cli(*ON, **where)
    assert again.exit_code == 2
    assert "on already" in again.stderr


@pytest.mark.parametrize("arguments", [("lockdown", "on"), ("lockdown", "on", "--reason", " ")])
def test_without_a_reason_it_is_bad_use(cli, where, arguments):
    result = cli(*arguments, **where)
    assert result.exit_code == 2
    assert "reason" in result.stderr


def test_a_broken_policy_keeps_nobody_from_locking(cli, where, policy_file):
    policy_file.write_text(BROKEN)
    assert cli(*ON, **where).exit_code == 0
    assert cli("lockdown", "status", **where).exit_code == 1


def test_security_and_audit_are_told_by_the_running_bot(cli, where):
    cli(*ON, **where)
    with closing(Database(where["DATABASE_URL"])) as database, database.reading() as tx:
        lockdown = lockdowns.current(tx)
        assert lockdown is not None
        told = [
            one
            for channel in ("C0SECURITY", "C0AUDIT")
            for one in announcements.due_in(tx, channel, lockdown.began_at, 10)
        ]
    assert [one.key for one in told] == [f"lockdown.begun:{lockdown.id}"] * 2
    assert "Stolen laptop, INC-77" in str(told[0].blocks)


def test_with_revoke_everything_live_is_revoked(cli, tmp_path, policy_file):
    url = f"sqlite:///{tmp_path / 'live.db'}"
    with Stage(database_url=url) as stage:
        furnish(stage)
        three = three_grants(stage)
    where = {"DATABASE_URL": url, "EKS_ACCESS_CONFIG": str(policy_file)}
    said = cli(*ON, "--revoke", **where).stdout
    assert all(f"{one}: revoked" in said for one in three)
    with closing(Database(url)) as database, database.reading() as tx:
        assert {one.end_reason for one in grants.live(tx)} == {EndReason.REVOKED}
