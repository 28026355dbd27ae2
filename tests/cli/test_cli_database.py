"""`db upgrade` and `db check`, and what every command says of a database it cannot work on."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from cli_steps import execute

from bot.cli_exit import fail
from bot.store import migrate


def test_upgrade_makes_the_tables_once_and_check_agrees(cli, tmp_path):
    url = f"sqlite:///{tmp_path / 'new.db'}"
    assert cli("db", "check", DATABASE_URL=url).exit_code == 2
    assert not (tmp_path / "new.db").exists()
    first, second = (cli("db", "upgrade", DATABASE_URL=url) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout == f"Upgraded the database from nothing to {migrate.head()}.\n"
    assert second.stdout == f"The database is up to date, at {migrate.head()}.\n"
    assert cli("db", "check", DATABASE_URL=url).exit_code == 0


def test_a_postgresql_that_is_behind_is_not_upgraded_unasked(cli, ready, postgresql):
    name = postgresql.create()
    ready["DATABASE_URL"] = postgresql.url_of(name)
    for command in (["db", "check"], ["run"], ["grants"]):
        result = cli(*command, **ready)
        assert result.exit_code == (1 if command[0] == "db" else 2)
        assert "Run `eks-access db upgrade`" in result.output
    assert cli("db", "upgrade", **ready).exit_code == 0
    assert cli("db", "check", **ready).exit_code == 0
    postgresql.drop(name)


def test_a_database_from_a_newer_version_is_left_alone(cli, ready, sqlite):
    execute(sqlite, "UPDATE alembic_version SET version_num = '9999'")
    before = Path(sqlite.removeprefix("sqlite:///")).read_bytes()
    for command in (["db", "check"], ["db", "upgrade"], ["run"], ["grants"], ["revoke", "--all"]):
        result = cli(*command, **ready)
        assert result.exit_code == (1 if command == ["db", "check"] else 2)
        assert "a newer version has upgraded it" in result.output
    assert Path(sqlite.removeprefix("sqlite:///")).read_bytes() == before


def test_tables_of_another_shape_are_a_finding(cli, sqlite):
    execute(sqlite, "ALTER TABLE inbox DROP COLUMN attempts")
    result = cli("db", "check", DATABASE_URL=sqlite)
    assert result.exit_code == 1
    assert "The tables differ" in result.stdout


@pytest.mark.parametrize(
    "arguments", [("db", "check"), ("db", "upgrade"), ("run",), ("grants",), ("revoke", "--all")]
)
def test_an_unreachable_database_is_told_without_its_password(cli, ready, arguments):
    ready["DATABASE_URL"] = f"postgresql://bot:hunter2@127.0.0.1:{closed_port()}/eks"
    result = cli(*arguments, **ready)
    assert result.exit_code == 2
    assert "does not answer" in result.stderr
    assert "Connection refused" in result.stderr
    assert "hunter2" not in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://bot:hunter2@db/eks", "SQLite or PostgreSQL"),
        ("hunter2", "no database URL"),
        ("postgresql://bot:hun@ter2@db/eks", "`%40`"),
        ("sqlite://", "in memory"),
    ],
)
def test_a_database_url_that_is_none_is_told_without_being_shown(cli, url, said):
    result = cli("db", "check", DATABASE_URL=url)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "ter2" not in result.output


@pytest.mark.parametrize("arguments", [("grants",), ("revoke", "--all"), ("db", "check")])
def test_in_a_wrong_folder_nobody_is_told_that_there_is_no_access(cli, tmp_path, arguments):
    result = cli(*arguments)
    assert result.exit_code == 2
    assert f"There is no database at {tmp_path / 'eks-access.db'}" in result.stderr
    assert not list(tmp_path.glob("*.db"))


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_an_error_of_the_command_line_holds_no_secret(capsys):
    with pytest.raises(SystemExit):
        fail("`postgresql+psycopg://bot:sEcReT@db/eks` does not answer, PGPASSWORD='sE cReT'.")
    said = capsys.readouterr().err
    assert (
        said == "`postgresql+psycopg://[secret]@db/eks` does not answer, PGPASSWORD='[secret]'.\n"
    )
