"""What a bot of the first revision left: this version goes on with it, and takes it away on time.

`rows_of_revision_0001.json` is what such a bot had in its database while two grants were live and
one request waited, by table.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from reading import GENERAL, PATIENCE_SECONDS, given, lab_entry, production_entry, wait_told
from sqlalchemy import DateTime, MetaData, text

from bot.core.model import EndReason
from bot.core.planner import DEPLOYMENT_TAG, GRANT_TAG
from bot.sandbox.eks import Entry
from bot.sandbox.stage import LAB_ACCOUNT, PRODUCTION_ACCOUNT, Stage
from bot.store import grants, migrate
from bot.store.audit_verify import verify
from bot.store.database import Database

FIRST = "0001"
ROWS = Path(__file__).with_name("rows_of_revision_0001.json")
MADE_AT = datetime(2026, 11, 26, 16, 36, 26, tzinfo=UTC)
LAB = ("modern-access-lab", "eu-west-1", LAB_ACCOUNT)
PROD = ("prod-eu", "eu-central-1", PRODUCTION_ACCOUNT)
LIVE = {
    "1S7-PM2": (LAB, "AmazonEKSViewPolicy", "default"),
    "1S7-PM5": (PROD, "AmazonEKSEditPolicy", "payments"),
}
WAITS = "1S7-PM9"
"""Ana's request to read in prod-eu / payments, which Ben may approve."""


@pytest.fixture
def left_behind(
    database_kind: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    make_stage: Callable[..., Stage],
) -> Iterator[Stage]:
    """The world as a bot of the first revision left it a moment ago, and no bot."""
    if database_kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'eks-access.db'}"
    else:
        server = request.getfixturevalue("postgresql")
        name = server.create()
        url = server.url_of(name)
    stage = make_stage(database_url=url)
    arns = {name: _put_entry(stage, name) for name in LIVE}
    with closing(Database(url)) as database:
        migrate.upgrade(database)
        migrate.downgrade(database, FIRST)
        _insert(database, arns)
    yield stage
    stage.stop_bot()
    if database_kind == "postgresql":
        server.drop(name)


def _put_entry(stage: Stage, grant: str) -> str:
    """The entry of a grant, as that bot made it. Returns its ARN."""
    (cluster, region, account), policy, namespace = LIVE[grant]
    principal = _principal(account)
    tags = {DEPLOYMENT_TAG: "sandbox", GRANT_TAG: grant}
    policies = {policy: [namespace]}
    stage.eks.put_entry(cluster, principal, region, account, tags=tags, policies=policies)
    made = stage.eks.entry(cluster, principal, region, account)
    assert made is not None
    return made.arn


def _principal(account: str) -> str:
    return f"arn:aws:iam::{account}:role/eks-jit/ana"


def _insert(database: Database, arns: dict[str, str]) -> None:
    """Insert the rows as if they were made a moment ago."""
    rows: dict[str, list[dict[str, Any]]] = json.loads(ROWS.read_text())
    for entry, arn in zip(rows["entries"], arns.values(), strict=True):
        entry["arn"] = arn
    later = datetime.now(UTC) - MADE_AT
    with database.transaction() as tx:
        shape = MetaData()
        shape.reflect(tx)
        for table in shape.sorted_tables:
            times = [one for one in table.columns if isinstance(one.type, DateTime)]
            for row in rows.get(table.name, []):
                for column in times:
                    if row[column.name] is not None:
                        moment = datetime.fromisoformat(row[column.name]) + later
                        zone = UTC if column.type.timezone else None
                        row[column.name] = moment.replace(tzinfo=zone)
                tx.execute(table.insert().values(row))
            if table.name in {"entries", "inbox", "audit_events"} and not database.is_sqlite:
                newest = len(rows[table.name])
                tx.execute(text(f"SELECT setval('{table.name}_id_seq', {newest})"))


def _shown(stage: Stage) -> dict[str, dict[str, tuple[str, ...]]]:
    """Grant → what EKS gives on its cluster."""
    return {"1S7-PM2": given(lab_entry(stage)), "1S7-PM5": given(production_entry(stage))}


def _of_others(stage: Stage) -> list[Entry]:
    return [one for one in stage.eks.entries(*PROD) if "eks-jit" not in one.principal_arn]


@pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
def test_grants_of_the_first_revision_go_on_and_end_on_time(left_behind: Stage) -> None:
    stage, others = left_behind, _of_others(left_behind)
    stage.start_bot()
    ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
    ben.command(f"/eks-access approve {WAITS}", GENERAL)
    goes_on = {
        "1S7-PM2": {"AmazonEKSViewPolicy": ("default",)},
        "1S7-PM5": {
            "AmazonEKSEditPolicy": ("payments",),
            "AmazonEKSViewPolicy": ("payments",),
        },
    }
    assert stage.eks.wait_for(lambda: _shown(stage) == goes_on, PATIENCE_SECONDS)
    wait_told(stage, ana, "view on prod-eu / `payments` is active until")
    stage.advance(timedelta(minutes=61))
    ends = goes_on | {"1S7-PM5": {"AmazonEKSEditPolicy": ("payments",)}}
    assert stage.eks.wait_for(lambda: _shown(stage) == ends, PATIENCE_SECONDS)
    stage.advance(timedelta(minutes=60))
    nothing: dict[str, dict[str, tuple[str, ...]]] = {grant: {} for grant in LIVE}
    assert stage.eks.wait_for(lambda: _shown(stage) == nothing, PATIENCE_SECONDS)
    for what in (f"view on {LAB[0]} / `default`", "edit on prod-eu / `payments`"):
        wait_told(stage, ana, f"{what} has ended: its time was over")
    assert _of_others(stage) == others
    with closing(Database(stage.database_url)) as database, database.reading() as tx:
        reasons = [grants.get(tx, one).end_reason for one in (*LIVE, WAITS)]
    assert reasons == [EndReason.EXPIRED] * 3
    stage.stop_bot()
    with closing(Database(stage.database_url)) as database:
        report = verify(database)
    assert not report.findings
    assert report.events > len(json.loads(ROWS.read_text())["audit_events"])
