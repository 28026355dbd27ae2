"""What several tests of the command need: a broken policy, grants, what the store and EKS hold."""

from __future__ import annotations

from contextlib import closing

from bot.core.model import GrantState
from bot.sandbox.stage import Stage
from bot.store import grants
from bot.store.database import Database

ASK = "/eks-access request modern-access-lab view --namespace default --for 30m Looking at the pods"
BROKEN = "deployment: sandbox\nclusters:\n  - {name: lab, regoin: eu-west-1, account: '12'}\n"


def execute(url: str, statement: str) -> None:
    with closing(Database(url)) as database, database.transaction() as tx:
        tx.exec_driver_sql(statement)


def grant(stage: Stage, user_id: str) -> None:
    """Ask for what needs nobody's approval, and wait until the person is told that it is there."""
    person = stage.slack.human(user_id)
    assert person.command(ASK).acknowledged
    stage.slack.wait(
        lambda: any("is active until" in one.all_text for one in person.dm), timeout=30
    )


def principals(stage: Stage) -> set[str]:
    """Who has an access entry on the lab's cluster: `ana`, `ben` and so on."""
    held = stage.eks.entries("modern-access-lab")
    return {entry.principal_arn.rpartition("/")[2] for entry in held}


def states(url: str) -> dict[str, GrantState]:
    with closing(Database(url)) as database, database.reading() as tx:
        return {one.id: one.state for one in grants.live(tx)}


def three_grants(stage: Stage) -> tuple[str, str, str]:
    """Give Ana, Ben and Cleo access, in this order, and stop the bot. Returns the grants' ids."""
    running = stage.start_bot()
    for user_id in ("U01ANA", "U02BEN", "U03CLEO"):
        grant(stage, user_id)
    with running.database.reading() as tx:
        first, second, third = (one.id for one in grants.live(tx))
    stage.stop_bot()
    return first, second, third
