"""A second bot of the same deployment, on an empty store, as where DATABASE_URL was forgotten.

It is asked for nothing, so whatever it changes at AWS it takes from somebody.
"""

from __future__ import annotations

import shutil
from dataclasses import astuple
from typing import Any

from bot.core.drift import Kind
from bot.store import drift, stores
from bot.store.database import Database
from tests.simulation.life import Life, act
from tests.simulation.process import Process
from tests.simulation.scene import ACCOUNT, DEPLOYMENT, REGION, role
from tests.simulation.shadow import SECOND_STORE, STORE_TAG, TAG, Violation
from tests.simulation.stage import SLACK

_LOOPS = ("drift", "access", "backstops", "drift", "access", "adoption", "drift reports")


@act("second bot")
def second_bot(life: Life) -> None:
    """It starts, reads every cluster and does what follows, and ends. Its store stays."""
    life.end_faults()
    life.settle_eks()
    file = life.stage.folder / "second.db"
    if life.second is None:
        for rest in ("", "-wal", "-shm"):
            file.with_name(f"{file.name}{rest}").unlink(missing_ok=True)
        shutil.copyfile(life.stage.folder / "migrated.db", file)
        life.second = Database(f"sqlite:///{file}")
    before = _held(life)
    heard, life.stage.aws.told = life.stage.aws.told, lambda _: None
    process = Process(
        life.second,
        life.stage.clients,
        policy_file=life.stage.policy_file,
        slack_url=f"{SLACK}/api/",
        bot_token=life.slack.app.bot_token,
        clock=life.clock,
    )
    process.watch_policy()
    for loop in _LOOPS:
        for item in process.due(loop):
            process.work(loop, item)
    process.close()
    life.stage.aws.told = heard
    if (after := _held(life)) != before:
        raise Violation(3, f"a second bot on an empty store changed {before} to {after}")
    life.counts["met: a second bot on an empty store"] += 1
    with life.second.reading() as tx:
        live = drift.open_by_kind(tx).get(Kind.ANOTHER_STORE, 0)
        unsure = stores.strangers(tx, DEPLOYMENT)
    life.counts["met: a second bot found live access of the first"] += bool(live)
    if bool(live) != (unsure is not None):
        raise Violation(3, f"a second bot found {live} entries of the first, and says {unsure}")


@act("second bot's entry")
def second_bots_entry(life: Life, cluster: str, who: str, policy: str) -> None:
    """The second bot gave somebody access, where there was none."""
    life.settle_eks()
    key = (cluster, role(who, life.setting))
    if cluster in life.oracle.gone or life.eks.entry(*key, REGION, ACCOUNT) is not None:
        return
    tags = {TAG: DEPLOYMENT, "eks-access:grant": "000-000", STORE_TAG: SECOND_STORE}
    life.eks.put_entry(*key, REGION, ACCOUNT, tags=tags, policies={policy: ()})
    life.oracle.shadow.others(key)
    life.counts["met: an entry of another store"] += 1


def _held(life: Life) -> tuple[list[Any], list[Any]]:
    """All entries and schedules that AWS holds."""
    schedules = [(one.name, one.form) for one in life.eks.scheduler.schedules()]
    return sorted(map(astuple, life.eks.all_entries()), key=str), sorted(schedules, key=str)
