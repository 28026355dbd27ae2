"""How fast a large policy decides: `make bench-explain`. Measured, never asserted.

A policy file of 10,000 clusters and 1,000 rules is made in a temporary folder. Measured are the
whole command `policy explain`, beside Python that only loads the YAML; the explanation alone; and
one decision, on clusters that the policy has not been asked about before and again on those that it
has. The latter two are in processor time. Quote ratios and medians: these machines are noisy.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.core.decide import evaluate, groups_needed
from bot.core.explain import assumed_membership, explain
from bot.core.model import Ask, Decision, Person
from bot.core.people import Membership
from bot.core.policy import Policy
from bot.policy_file import load_policy

CLUSTERS = 10_000
RULES = 1_000
TEAMS = 250
RUNS = 7
NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
ALICE = Person("U01ALICE", "T1", "Alice", "alice@example.com", email_confirmed=True)
ASK = (
    *("--user", ALICE.id, "--member-of", "S007TEAM"),
    *("--cluster", "team-007-3", "--level", "edit", "--namespace", "shop"),
)
LOAD_ALONE = """
import sys, yaml
loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
with open(sys.argv[1], "rb") as file:
    yaml.load(file, loader)
"""


def main() -> None:
    """Run every measurement and print a table, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "policy.yaml"
        file.write_text(policy_text(), encoding="utf-8")
        command = str(Path(sys.executable).with_name("eks-access"))
        explained = [command, "policy", "explain", str(file), *ASK]
        whole, whole_cpu = zip(*(_run(explained) for _ in range(RUNS)), strict=True)
        alone = [sys.executable, "-c", LOAD_ALONE, str(file)]
        bare, bare_cpu = zip(*(_run(alone) for _ in range(RUNS)), strict=True)
        used, asked, first, told = (load_policy(file).policy for _ in range(4))
    known = [(ask, everybody(used, ask)) for ask in requests()]
    rows = [
        ("`policy explain`, launch to exit", whole),
        ("  the same, processor", whole_cpu),
        ("Python that loads the same YAML alone", bare),
        ("  the same, processor", bare_cpu),
        ("the first decision on a policy", [_timed(lambda: _decide(first, *known[0]))]),
        ("the first typo on a policy", [_timed(lambda: _decide(first, *known[-1]))]),
        ("explanation alone", [_timed(lambda one=one: _explain(told, *one)) for one in known]),
        ("one decision, a cluster not asked about before", _decisions(asked, known)),
        ("one decision, a cluster asked about before", _decisions(asked, known)),
    ]
    print(f"{CLUSTERS:,} clusters, {RULES:,} rules, {len(known)} requests\n")  # noqa: T201 - what a script prints
    print(f"{'':50}{'median':>9}{'slowest':>9}")  # noqa: T201 - the same
    for name, seconds in rows:
        print(f"{name:50}{_ms(statistics.median(seconds))}{_ms(max(seconds))}")  # noqa: T201 - the same
    wall = statistics.median(whole) / statistics.median(bare)
    print(f"\n`policy explain` takes {wall:.2f} times as long as loading the YAML alone.")  # noqa: T201 - the same
    outcomes = sorted({_decide(used, *one).reasons[0].code for one in known})
    print(f"Decided: {', '.join(outcomes)}.")  # noqa: T201 - the same


def policy_text() -> str:
    """A policy of teams with clusters of their own, selected by name, by glob and by label."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "deployment: bench\naudit_channel: C0AUDIT\nclusters:"
    for number in range(CLUSTERS):
        team, place = number % TEAMS, number // TEAMS
        env = ("dev", "test", "prod")[place % 3]
        yield (
            f'  - {{name: team-{team:03}-{place}, region: eu-west-1, account: "{place:012}", '
            f"labels: {{env: {env}, team: t{team:03}}}}}"
        )
    yield (
        "levels:\n"
        "  view: {policy: AmazonEKSViewPolicy}\n"
        "  edit: {policy: AmazonEKSEditPolicy}\n"
        "  cluster-admin: {policy: AmazonEKSClusterAdminPolicy, scope: cluster}\n"
        "principals:\n"
        '  template: "arn:aws:iam::{account}:role/eks-jit/{email_name}"\n'
        "  email_domains: [example.com]\n"
        "rules:"
    )
    for number in range(RULES):
        team, kind = number % TEAMS, number // TEAMS
        yield f"  - name: rule {number:04}\n{_RULES[kind].format(team=team)}"


_OWNED = (
    "    approval: {{channel: C{team:03}OWN, owners: {{groups: [S{team:03}LEAD]}}}}\n"
    "    max_duration: 4h"
)
_RULES = (
    "    clusters: [{{labels: {{env: dev, team: t{team:03}}}}}]\n    levels: [view, edit]\n"
    '    namespaces: ["*"]\n    requesters: {{groups: [S{team:03}TEAM]}}\n'
    "    approval: automatic\n    max_duration: 8h",
    '    clusters: ["team-{team:03}-*"]\n    levels: [view]\n    namespaces: [default, "app-*"]\n'
    "    requesters: {{groups: [S{team:03}TEAM]}}\n    approval: automatic\n    max_duration: 8h",
    '    clusters: ["team-{team:03}-*"]\n    levels: [edit]\n    namespaces: [shop, "shop-*"]\n'
    + _OWNED,
    "    clusters: [team-{team:03}-0, team-{team:03}-1]\n    levels: [cluster-admin]\n"
    "    scope: cluster\n" + _OWNED,
)


def requests() -> Iterator[Ask]:
    """Requests that differ in cluster, level, place and outcome; each cluster is named once."""
    wishes = (
        ("view", ("default",)),
        ("edit", ("shop", "shop-api")),
        ("cluster-admin", ()),
        ("edit", ("billing",)),
        ("view", ()),
        ("edti", ("shop",)),
    )
    for number in range(36):
        level, namespaces = wishes[number % len(wishes)]
        cluster = f"team-{number * 7 % TEAMS:03}-{number % 5}"
        yield Ask(cluster, level, namespaces, timedelta(hours=2), reason="Measuring")
    yield Ask("team-00-0", "view", ("default",), timedelta(hours=2), reason="No such cluster")


def everybody(policy: Policy, ask: Ask) -> Membership:
    """Alice in the group of the cluster's team, and enough people in every group that is asked."""
    needed = groups_needed(policy, ask)
    mine = [group for group in needed if group.endswith("TEAM")]
    return assumed_membership(needed, ALICE.id, asked=mine, member_of=mine, known={})[0]


def _decide(policy: Policy, ask: Ask, membership: Membership) -> Decision:
    return evaluate(policy, ask, ALICE, membership, NOW, team_id="T1")


def _explain(policy: Policy, ask: Ask, membership: Membership) -> object:
    return explain(policy, ask, ALICE, membership, NOW, team_id="T1")


def _decisions(policy: Policy, known: Sequence[tuple[Ask, Membership]]) -> list[float]:
    return [_timed(lambda one=one: _decide(policy, *one)) for one in known]


def _timed(work: Callable[[], object]) -> float:
    """Processor seconds, which other load on the machine changes less."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _run(command: Sequence[str]) -> tuple[float, float]:
    """Seconds from launch to exit, and the processor's."""
    begun, used = time.perf_counter(), _of_children()
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)  # noqa: S603 - our own commands
    return time.perf_counter() - begun, _of_children() - used


def _of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:9,.2f}"


if __name__ == "__main__":
    main()
