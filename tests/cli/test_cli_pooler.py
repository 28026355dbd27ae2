"""A pooler in transaction mode is found out before the bot works through it."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import make_url

from bot.doctor import examine
from bot.doctor_result import Status
from bot.settings import read_settings
from tests.transaction_pooler import transaction_pooler


@pytest.fixture
def pooled(postgresql):
    """The URL of a migrated database behind a pooler in transaction mode."""
    name = postgresql.create_migrated()
    url = make_url(postgresql.url_of(name))
    with transaction_pooler(f"{url.query['host']}/.s.PGSQL.5432") as port:
        through = url.set(host="127.0.0.1", port=port, query={})
        yield through.render_as_string(hide_password=False)
    postgresql.drop(name)


@pytest.mark.parametrize(("command", "code"), [(("db", "check"), 1), (("run",), 2)])
def test_a_pooler_that_swaps_sessions_is_refused_with_the_remedy(cli, ready, pooled, command, code):
    ready["DATABASE_URL"] = pooled
    result = cli(*command, **ready)
    assert result.exit_code == code
    assert "`pool_mode = session`" in result.output
    assert "Traceback" not in result.output


def test_the_doctor_finds_a_pooler_that_swaps_sessions(ready, pooled, monkeypatch):
    for name, value in {**ready, "DATABASE_URL": pooled}.items():
        monkeypatch.setenv(name, value)
    first = next(examine(read_settings(), lambda _: None))
    assert (first.check, first.status) == ("database", Status.FINDING)
    assert "`pool_mode = session`" in first.message
