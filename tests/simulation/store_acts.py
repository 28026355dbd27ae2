"""What happens to the store, what nobody has foreseen, and a Slack that refuses for good."""

from __future__ import annotations

from tests.simulation.life import Life, act
from tests.simulation.scene import SECOND_ROLE
from tests.simulation.transports import AWS_AFTER, AWS_BEFORE, SLACK_AFTER, SLACK_BEFORE


@act("store")
def store(life: Life, kind: str | None) -> None:
    """The store only reads, is locked, or is full, or (None) is as it should be again."""
    if kind is None:
        life.stage.troubles.end()
    else:
        life.stage.troubles.begin(kind, life.copies)


@act("store kept")
def store_kept(life: Life) -> None:
    """A copy of the store is made, to which it may be put back."""
    life.copies.keep()


@act("store back")
def store_back(life: Life) -> None:
    """The store loses its last commits under the running bot, as in a failover."""
    life.stage.troubles.end()
    life.settle_eks()
    if life.copies.go_back():
        life.oracle.went_back()
        life.counts["met: the store went back"] += 1


@act("raise")
def raises(life: Life, after: int, times: int) -> None:
    """Calls to AWS or Slack raise what nobody has foreseen."""
    for _ in range(times):
        where = frozenset({AWS_BEFORE, AWS_AFTER, SLACK_BEFORE, SLACK_AFTER})
        life.boundary.arm_raise(after, where)


@act("odd answers")
def odd_answers(life: Life, whose: str, what: str, times: int) -> None:
    """Answers break off in their midst, or Slack asks for an odd pause."""
    if whose == "aws":
        life.stage.aws.half += times
    else:
        life.stage.slack_transport.odd += [what] * times


@act("slack refuses")
def slack_refuses(life: Life, error: str) -> None:
    """Slack takes no call any more: a token is revoked, a scope or the whole app is gone."""
    life.stage.slack_transport.refuses = error


@act("role replaced")
def role_replaced(life: Life) -> None:
    """AWS refuses what reached the clusters until now, and the policy file names another role."""
    life.settle_eks()
    life.stage.aws.refused.add(None)
    life.setting["by"] = SECOND_ROLE
    life.write_policy(life.variant)
    life.watch_policy()
    life.counts["met: role replaced"] += 1
