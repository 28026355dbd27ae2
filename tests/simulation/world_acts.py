"""What happens around the bot: time, the policy file, other people's hands in EKS, and faults."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bot.sandbox.eks import Entry
from tests.simulation.life import Life, act
from tests.simulation.scene import ACCOUNT, BACKSTOP_AFTER, DEPLOYMENT, REGION, role
from tests.simulation.shadow import STORE_TAG, TAG, Key
from tests.simulation.transports import AWS_AFTER, AWS_BEFORE

TERRAFORM = {"managed-by": "terraform"}
_ARN = "arn:aws:eks::aws:cluster-access-policy/"


@act("tick")
def tick(life: Life, order: list[str]) -> None:
    """The loops look once, in this order; those left out do not get to it. `*` is all of them."""
    life.tick(tuple(order) if order != ["*"] else None)


@act("calm")
def calm(life: Life) -> None:
    life.calm()


@act("restart")
def restart(life: Life) -> None:
    """The process ends in good order, and another one starts."""
    life.rebirth()


@act("gone for good")
def gone_for_good(life: Life) -> None:
    """The process dies, and none comes until all access is over, which its schedules have ended.

    One that was for access before counts too, until the bot has moved it nearer.
    """
    life.end_faults()
    life.settle_eks()
    over = [
        max(one.ends_at, one.provision_by + one.duration)
        for one in life.reader.read_grants()
        if one.state != "ENDED"
    ]
    fires = [one.at for one in life.eks.scheduler.schedules()]
    late = timedelta(minutes=2, seconds=life.setting["strikes_after"])
    life.move(max([*over, *fires, life.clock()]) + BACKSTOP_AFTER + late - life.clock())
    life.oracle.gone_for_good()
    life.rebirth()


@act("time")
def time(life: Life, seconds: float) -> None:
    life.move(timedelta(seconds=seconds))


@act("until")
def until(life: Life, number: int) -> None:
    """Time goes on exactly to the end of a grant, or of the time to decide a request."""
    request_id = life.request_id(number)
    if request_id is None:
        return
    grant = life.oracle.now.grants.get(request_id)
    lapses_at = life.oracle.now.requests[request_id].lapses_at
    at = grant.ends_at if grant is not None and grant.state == "ACTIVE" else lapses_at
    if at is not None and at > life.clock():
        life.move(at - life.clock())


@act("jump")
def jump(life: Life, seconds: float) -> None:
    """The clock is set wrong, or right again."""
    life.settle_eks()
    life.clock.move(timedelta(seconds=seconds))
    life.clock_went_back |= seconds < 0
    life.counts[f"met: the clock was set {'ahead' if seconds > 0 else 'back'}"] += 1


@act("policy")
def policy(life: Life, variant: str) -> None:
    """The policy file is replaced, and looked at within a second."""
    life.write_policy(variant)
    life.watch_policy()


# Other people's hands in EKS


@act("others")
def others(life: Life, what: str, cluster: str, who: str, more: Any) -> None:
    """Somebody changes an entry by hand or by another tool, if there is something to change."""
    life.settle_eks()
    if cluster in life.oracle.gone:
        return
    key = (cluster, role(who, life.setting))
    entry = life.eks.entry(*key, REGION, ACCOUNT)
    if what == "create" and entry is None:
        _create(life, key, more)
    elif what == "orphan" and entry is None:
        ((identity,),) = life.reader.rows("SELECT identity FROM store")
        tags = {TAG: DEPLOYMENT, "eks-access:grant": "000-000", STORE_TAG: identity}
        life.eks.put_entry(*key, REGION, ACCOUNT, tags=tags, policies={more: ()})
        life.oracle.shadow.others(key, orphan=True)
    elif entry is not None and what not in {"create", "orphan"}:
        _change(life, what, key, entry, more)
    else:
        return
    life.counts[f"met: others {what}"] += 1


def _create(life: Life, key: Key, more: Any) -> None:
    life.eks.put_entry(
        *key,
        REGION,
        ACCOUNT,
        tags=TERRAFORM if more["tags"] == "terraform" else {TAG: "another-deployment"},
        type=more.get("type", "STANDARD"),
        policies=more["policies"],
        kubernetes_groups=more["groups"],
    )
    life.oracle.shadow.others(key)


def _change(life: Life, what: str, key: Key, entry: Entry, more: Any) -> None:
    backend = life.eks.backend(REGION, ACCOUNT)
    standard = entry.type == "STANDARD"
    match what:
        case "delete":
            backend.delete_access_entry(*key)
        case "associate" if standard:
            scope = {"type": "namespace", "namespaces": ["theirs"]}
            backend.associate_access_policy(*key, f"{_ARN}{more}", scope)
        case "widen" if standard and entry.associations:
            scope = {"type": "cluster", "namespaces": []}
            backend.associate_access_policy(*key, entry.associations[0].policy_arn, scope)
        case "narrow" if standard and entry.associations:
            scope = {"type": "namespace", "namespaces": ["elsewhere"]}
            backend.associate_access_policy(*key, entry.associations[-1].policy_arn, scope)
        case "disassociate" if entry.associations:
            backend.disassociate_access_policy(*key, entry.associations[0].policy_arn)
        case "untag":
            backend.untag_resource(entry.arn, [TAG])
        case "tag":
            backend.tag_resource(entry.arn, {"team": "platform"})
        case "groups" if standard:
            backend.update_access_entry(*key, [*entry.kubernetes_groups, "their-group"])
        case _:
            return
    now = life.eks.entry(*key, REGION, ACCOUNT)
    before = {one.policy: one.namespaces for one in entry.associations}
    changed = {
        one.policy
        for one in (now.associations if now is not None else ())
        if before.get(one.policy, one.namespaces) != one.namespaces
    }
    life.oracle.shadow.others(key, taken=life.reader.unconfirmed(*key) & changed)


@act("cluster gone")
def cluster_gone(life: Life, cluster: str) -> None:
    """Somebody deletes a cluster, whatever access there is."""
    life.settle_eks()
    if cluster not in life.oracle.gone:
        life.eks.delete_cluster(cluster, REGION, ACCOUNT)
        life.oracle.cluster_gone(cluster)
        life.counts["met: a cluster was deleted"] += 1


# Faults


@act("aws")
def aws(life: Life, kind: str, operation: str | None, times: int) -> None:
    """AWS will fail: `operation` None is any."""
    faults = life.eks.faults
    name = f"aws: {kind}"
    match kind:
        case "throttled":
            laid = faults.throttle(operation, times=times)
        case "server error":
            laid = faults.server_error(operation, times=times)
        case "connection cut":
            laid = faults.drop(operation, times=times)
        case "answer lost":
            laid = faults.lose_answer(operation, times=times)
        case "denied":
            laid = faults.deny(operation, times=times)
        case "shown late":
            life.propagating = True
            laid = faults.propagation_delay(operation or "CreateAccessEntry", reads=2 * times)
        case "not there yet":
            message = "The specified principalArn could not be found."
            laid = faults.answer(
                404, "ResourceNotFoundException", message, operation=operation, times=times
            )
        case "timed out":
            life.stage.aws.late += times
            return
        case "slow":
            life.stage.aws.slow = float(times)
            return
        case _:
            raise ValueError(kind)
    life.laid_aws.append((name, laid))


@act("slack")
def slack(life: Life, kind: str, method: str, times: int) -> None:
    """Slack will fail."""
    options: dict[str, Any] = {
        "down": {"status": 503},
        "rate limited": {"ratelimited": 5},
        "cut": {"drop": True},
        "posted, answer lost": {"drop": True, "after": True},
        "error": {"error": "internal_error"},
    }[kind]
    laid = life.slack.faults.add(method, times=times, **options)
    life.laid_slack.append((f"slack: {kind}", laid, times))


@act("archive")
def archive(life: Life, channel: str) -> None:
    """A channel is archived until things are calm again."""
    if not life.slack.channels[channel].is_archived:
        life.slack.archive(channel)
        life.counts["met: slack: channel archived"] += 1


@act("crash")
def crash(life: Life, after: int, committed: bool) -> None:
    """The process will die after so many more points."""
    if committed:
        life.boundary.arm_crash_after_commit(after)
    else:
        life.boundary.arm_crash(after)


@act("crash at")
def crash_at(life: Life, point: str, after: int) -> None:
    """The process will die at a call to AWS or Slack, before it takes effect or after."""
    life.boundary.arm_crash(after, frozenset({point}))


@act("outage")
def outage(life: Life, after: int, applied: bool) -> None:
    """The store will be away for a moment; `applied`: just after it has committed."""
    life.boundary.arm_outage(after, applied=applied)


@act("meanwhile")
def meanwhile(life: Life, after: int, step: list[Any]) -> None:
    """While the bot is between two calls to AWS, something else happens."""
    from tests.simulation.life import ACTS  # noqa: PLC0415 - the registry is complete by then

    def happens() -> None:
        ACTS[step[0]](life, *step[1:])

    life.boundary.arm(f"meanwhile: {step[0]}", after, happens, frozenset({AWS_BEFORE, AWS_AFTER}))
