"""What Slack says has failed is not done later, or the person is told that it is."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from reading import GENERAL, wait_told
from shared_database import SharedDatabase
from sqlalchemy import select

from bot.sandbox.stage import Stage
from bot.store.tables import inbox

GLASS = "/eks-access break-glass prod-eu cluster-admin --for 30m The API server is down"
LATE_COMMIT = """
CREATE FUNCTION be_late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(10);
    RETURN NULL;
EXCEPTION WHEN query_canceled THEN
    PERFORM pg_sleep(1);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER be_late AFTER INSERT ON inbox DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION be_late();
"""


@pytest.fixture
def shared(make_stage: Callable[..., Stage], shared_database: SharedDatabase) -> Stage:
    stage = make_stage(database_url=shared_database.url)
    stage.start_bot()
    return stage


def asked_for(stage: Stage) -> list[str]:
    assert stage.bot is not None
    with stage.bot.database.reading() as tx:
        return list(tx.scalars(select(inbox.c.actor).order_by(inbox.c.id)))


def test_a_break_glass_that_slack_says_failed_is_not_done_once_the_table_is_free(
    shared: Stage, shared_database: SharedDatabase
) -> None:
    cleo, ana = shared.slack.human("U03CLEO"), shared.slack.human("U01ANA")
    with psycopg.connect(shared_database.url) as maintenance:
        maintenance.execute("LOCK TABLE inbox")
        outcome = cleo.command(GLASS, GENERAL)
        assert not outcome.acknowledged or "Nothing was changed" in outcome.text
    # Whatever waited for the table goes on before this.
    assert ana.command("/eks-access cancel 7K3-QMX", GENERAL).acknowledged
    wait_told(shared, ana, "7K3-QMX")
    assert asked_for(shared) == ["U01ANA"]


def test_who_was_told_of_a_failure_reads_that_it_was_taken_all_the_same(shared: Stage) -> None:
    ana = shared.slack.human("U01ANA")
    assert shared.bot is not None
    with shared.bot.database.transaction() as tx:
        tx.exec_driver_sql(LATE_COMMIT)
    assert not ana.command("/eks-access cancel 7K3-QMX", GENERAL).acknowledged
    wait_told(shared, ana, "took it a little late")
    wait_told(shared, ana, "7K3-QMX")
