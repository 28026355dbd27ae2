"""Whether the IAM roles and users that the policy file names are there, as far as the bot may look.

Each account is reached as its clusters are. Looking needs iam:GetRole and iam:GetUser, which the
bot itself does without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from bot.aws.clients import EksClients
from bot.aws.errors import ACCESS_DENIED, translated
from bot.core.errors import AwsProblem
from bot.core.model import Cluster
from bot.core.names import parse_principal
from bot.core.policy import Policy
from bot.core.policy_fields import Outside
from bot.core.policy_names import Keys, places_of
from bot.doctor_result import Result, Status, count, listed, one_line

_AT_ONCE = 8
_ACCOUNT = "{account}"


@dataclass(frozen=True, slots=True)
class _Looked:
    """What IAM says of one ARN: `problem` is empty where it is there."""

    arn: str
    problem: str = ""
    unseen: str = ""


def results(clients: EksClients, policy: Policy, began: Callable[[str], None]) -> Iterator[Result]:
    """A result for each principal that is not there, and one for all that are."""
    ways: dict[str, Cluster] = {}
    for cluster in policy.clusters_by_name.values():
        ways.setdefault(cluster.account, cluster)

    away: dict[str, str] = {}

    def look(arn: str) -> _Looked:
        began(f"IAM {arn}")
        return _look(clients, ways, away, arn)

    places = places_of(policy, Outside.PRINCIPAL)
    arns = {form: _in_accounts(form, ways) for form in places}
    every = dict.fromkeys(arn for one in arns.values() for arn in one)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        looked = {one.arn: one for one in pool.map(look, every)}
    for form, keys in places.items():
        found = [looked[arn] for arn in arns[form]]
        yield from _missing(form, keys, found)
    yield from _unseen(list(looked.values()))
    there = sum(not one.problem and not one.unseen for one in looked.values())
    if there:
        what = count(there, "role or user is", "roles and users are")
        yield Result("IAM principals", Status.OK, f"{what} there as the policy file names them.")


def _in_accounts(form: str, accounts: dict[str, Cluster]) -> list[str]:
    """The ARNs that `{account}` stands for: one in each account of a cluster."""
    if _ACCOUNT not in form:
        return [form]
    return [form.replace(_ACCOUNT, account) for account in accounts]


def _look(clients: EksClients, ways: dict[str, Cluster], away: dict[str, str], arn: str) -> _Looked:
    """What IAM says. An account that does not answer is put into `away` and not asked again."""
    account, principal = arn.split(":")[4], parse_principal(arn)
    cluster = ways.get(account)
    if cluster is None or account in away:
        nobody = f"No cluster of the policy file is in account {account}."
        return _Looked(arn, unseen=away.get(account, nobody))
    try:
        iam = clients.iam_for(cluster)
        there = _arn_of(iam, cluster, principal.kind, principal.name)
    except AwsProblem as problem:
        if problem.code == ACCESS_DENIED:
            return _Looked(arn, unseen=f"The bot may not look at IAM in account {account}.")
        away[account] = problem.sentence
        return _Looked(arn, unseen=problem.sentence)
    if there is None:
        return _Looked(arn, f"IAM has no {principal.kind} `{arn}`.")
    return _Looked(arn, "" if there == arn else f"IAM has it as `{there}`, and its path counts.")


def _arn_of(iam: Any, cluster: Cluster, kind: str, name: str) -> str | None:
    """The ARN under which IAM has a role or a user; None where it has none of this name."""
    with translated(cluster, "", f"look at IAM {kind}s"):
        try:
            if kind == "user":
                return str(iam.get_user(UserName=name)["User"]["Arn"])
            return str(iam.get_role(RoleName=name)["Role"]["Arn"])
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchEntity":
                return None
            raise


def _missing(form: str, places: list[Keys], found: list[_Looked]) -> Iterator[Result]:
    """A person's role may be meant for some accounts alone; any other has to be everywhere."""
    problems = [one.problem for one in found if one.problem]
    if not problems:
        return
    partly = len(problems) < len(found) and all(keys[0] == "principals" for keys in places)
    at = listed([f"`{'.'.join(keys)}`" for keys in places])
    yield Result(
        f"IAM {form.rpartition('/')[2]}",
        Status.NOTE if partly else Status.FINDING,
        f"{' '.join(problems)} It is at {at} in the policy file.",
        "Make it in IAM, or correct its ARN in the policy file.",
    )


def _unseen(looked: list[_Looked]) -> Iterator[Result]:
    for reason in dict.fromkeys(one.unseen for one in looked if one.unseen):
        those = [one.arn for one in looked if one.unseen == reason]
        yield Result(
            "IAM principals",
            Status.NOTE,
            one_line(f"{reason} So nobody looked for {listed(those)}."),
            "Allow iam:GetRole and iam:GetUser to have them looked up; the bot works without.",
        )
