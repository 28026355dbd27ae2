"""Who was at the command line, and why, is on record; and none of it keeps access from ending."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import pwd
import shutil
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from cli_steps import states, three_grants
from sqlalchemy import select

from bot.core.model import AuditEvent, GrantState
from bot.sandbox.stage import Stage, furnish
from bot.store import audit
from bot.store.database import Database
from bot.store.tables import announcements

COMMAND = Path(sys.executable).with_name("eks-access")
ACCOUNT = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> tuple[Path, tuple[str, str, str]]:
    file = tmp_path_factory.mktemp("stored") / "store.db"
    with Stage(database_url=f"sqlite:///{file}") as stage:
        furnish(stage)
        return file, three_grants(stage)


@pytest.fixture
def grant(stored) -> str:
    return stored[1][0]


@pytest.fixture
def where(stored, tmp_path, policy_file) -> dict[str, str]:
    shutil.copy(stored[0], tmp_path / "store.db")
    return {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'store.db'}",
        "EKS_ACCESS_CONFIG": str(policy_file),
    }


def last(where: dict[str, str], action: str) -> AuditEvent:
    """The newest event of one action."""
    with closing(Database(where["DATABASE_URL"])) as database, database.reading() as tx:
        return next(one for one in audit.latest(tx, 50) if one.action == action)


def test_what_ends_or_changes_something_says_who_did_it_and_why(cli, where, grant):
    by = ("--as", " Ana  Ruiz ", "--reason", "INC-77")
    done = {
        "grant.revoking": ("revoke", grant),
        "lockdown.begun": ("lockdown", "on"),
        "lockdown.ended": ("lockdown", "off"),
    }
    for action, command in done.items():
        result = cli(*command, *by, **where)
        assert result.exit_code == 0, result.stderr
        event = last(where, action)
        assert event.actor == "operator"
        assert "INC-77" in str(event.details)
        assert event.details["operator"] == {
            "user": ACCOUNT,
            "host": socket.gethostname(),
            "name": "Ana Ruiz",
        }


def test_the_bots_own_events_say_nothing_of_an_operator(where):
    with closing(Database(where["DATABASE_URL"])) as database, database.reading() as tx:
        assert not [one for one in audit.latest(tx, 50) if "operator" in one.details]


def test_the_security_channel_reads_who_locked_the_bot_down(cli, where):
    cli("lockdown", "on", "--reason", "Stolen laptop", "--as", "Ana <!channel>", **where)
    with closing(Database(where["DATABASE_URL"])) as database, database.reading() as tx:
        said = str(tx.execute(select(announcements.c.blocks)).scalars().all())
    assert f"by an operator (Ana &lt;!channel&gt;, {ACCOUNT} on {socket.gethostname()})" in said


def test_a_variable_makes_nobody_somebody_else_and_sudo_says_who_came(cli, where, grant):
    forged = dict.fromkeys(("LOGNAME", "USER", "LNAME", "USERNAME"), "somebody-else")
    cli("revoke", grant, **where, **forged, SUDO_USER="ana\x1b[1m")
    operator = last(where, "grant.revoking").details["operator"]
    assert (operator["user"], operator["sudo_user"]) == (ACCOUNT, "ana?[1m")


def test_access_ends_where_neither_the_account_nor_the_host_has_a_name(
    cli, where, grant, monkeypatch
):
    def nameless() -> str:
        raise OSError

    monkeypatch.setattr(os, "getuid", lambda: 54_321)
    monkeypatch.setattr(socket, "gethostname", nameless)
    assert cli("revoke", grant, **where).exit_code == 0
    assert states(where["DATABASE_URL"])[grant] is GrantState.REVOKING
    assert last(where, "grant.revoking").details["operator"] == {"user": "uid 54321"}


@pytest.mark.parametrize("name", ["", "  ", "x" * 101])
def test_a_name_that_is_none_is_bad_use(cli, where, grant, name):
    result = cli("revoke", grant, "--as", name, **where)
    assert result.exit_code == 2
    assert "--as takes a name of 1 to 100 characters. Nothing was changed." in result.stderr
    assert states(where["DATABASE_URL"])[grant] is GrantState.ACTIVE


def test_a_script_without_a_reason_is_told_and_access_ends_all_the_same(cli, where, grant):
    result = cli("revoke", grant, **where)
    assert result.exit_code == 0
    assert "No reason was given" in result.stderr
    assert "--reason" in result.stderr
    assert last(where, "grant.revoking").details.get("why", "") == ""


@pytest.mark.parametrize(("typed", "kept"), [("Left us\n", "Left us"), ("\n", "")])
def test_on_a_terminal_the_reason_is_asked_for(where, grant, typed, kept):
    ours, theirs = pty.openpty()
    with subprocess.Popen(  # noqa: S603 - our own command
        [COMMAND, "revoke", grant],
        env={**os.environ, **where},
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    ) as process:
        os.close(theirs)  # so that reading ends where the command does
        shown = b""
        while b"Why:" not in shown:
            shown += os.read(ours, 1000)
        os.write(ours, typed.encode())
        assert process.wait(30) == 0
    os.close(ours)
    assert last(where, "grant.revoking").details.get("why", "") == kept


def test_an_export_has_who_it_was(cli, where, grant):
    cli("revoke", grant, "--as", "Ana Ruiz", "--reason", "Left us", **where)
    lines = cli("audit", "export", "--request", grant, **where).stdout.splitlines()
    exported = [json.loads(line) for line in lines]
    operators = [one["details"].get("operator") for one in exported]
    assert [one["name"] for one in operators if one] == ["Ana Ruiz"]
    text = cli("audit", "export", "--request", grant, "--format", "csv", **where).stdout
    cells = [row["details"] for row in csv.DictReader(io.StringIO(text))]
    assert '"name": "Ana Ruiz"' in cells[-1]
