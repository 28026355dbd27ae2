"""What people read of drift and of standing access. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.drift import Kind, Outcome
from bot.slack import blocks
from bot.slack.blocks import Message
from bot.slack.text import code, count, date, listed, safe
from bot.store.drift import Found, Scan, StandingEntry

_MOST_FINDINGS = 20
_MOST_CLUSTERS = 15
_MOST_PRINCIPALS = 10

_WHAT = {
    Kind.GONE: "the access entry is gone",
    Kind.REPLACED: "another access entry stands in place of the bot's",
    Kind.MISSING: "{subject} is gone",
    Kind.NARROWED: "{subject} was narrowed: {detail}",
    Kind.WIDENED: "{subject} was widened: {detail}",
    Kind.ORPHAN: "an access entry has the bot's tag and no live grant; it gives {detail}",
    Kind.UNTAGGED: "the bot's tag was taken off its access entry, which counts as another's now",
    Kind.FOREIGN_POLICY: "somebody added {subject} ({detail}) to the bot's entry",
    Kind.FOREIGN_GROUPS: "somebody added the groups {subject} to the bot's entry",
}
_THEN = {
    Outcome.ENDED: "The access has ended: {grants}.",
    Outcome.REPAIRED: "The bot sets it right.",
    Outcome.REMOVED: "The bot removes it.",
    Outcome.LEFT: "The bot leaves it as it is: take it away if nobody needs it.",
}


def drift_found(found: Sequence[Found]) -> Message:
    """The findings at one cluster, all of one moment; at least one."""
    cluster = safe(found[0].cluster, 100)
    text = (
        f":mag: On *{cluster}* EKS was not as the bot left it: {count(len(found), 'difference')}."
    )
    lines = [_line(one) for one in found[:_MOST_FINDINGS]]
    more = len(found) - len(lines)
    if more:
        lines.append(f"and {count(more, 'more')}; the audit trail has all of them.")
    return Message(
        text,
        [
            blocks.section("drift", text),
            *blocks.sections("findings", lines, most=5, rest="difference"),
            blocks.context(
                "place", f"account {safe(found[0].account, 20)} · {safe(found[0].region, 40)}"
            ),
        ],
    )


def standing_digest(scans: Sequence[Scan]) -> Message:
    """Who has access that the bot did not give, cluster by cluster, as of the last scans."""
    number = sum(one.standing.people for one in scans if one.standing is not None)
    text = (
        f"*Standing access* on {count(len(scans), 'cluster')}: "
        f"{count(number, 'principal')} with access that the bot did not give and never takes."
    )
    shown: list[blocks.Block] = [blocks.section("standing", text)]
    for place, one in enumerate(scans[:_MOST_CLUSTERS]):
        shown += blocks.sections(f"cluster:{place}", _cluster(one), most=2, rest="principal")
    more = len(scans) - _MOST_CLUSTERS
    if more > 0:
        shown.append(blocks.section("more", f"and {count(more, 'more cluster')}."))
    shown.append(
        blocks.context(
            "how", f"Told once a week. For one cluster now: {code('/eks-access who CLUSTER')}"
        )
    )
    return Message(text, shown)


def _line(one: Found) -> str:
    finding = one.finding
    subject = finding.subject.rpartition("/")[2]
    detail = finding.detail or "nothing"
    if finding.kind is Kind.ORPHAN and finding.subject:
        detail = f"{subject} ({detail})"
    what = _WHAT[finding.kind].format(subject=code(subject, 100), detail=code(detail, 300))
    then = _THEN[one.outcome].format(grants=listed(finding.grants, 5))
    if finding.kind is Kind.UNTAGGED:
        then = "What the bot put there goes with its grants."
    return f"• {_role(one.principal_arn)}: {what}. {then}"


def _cluster(scan: Scan) -> list[str]:
    standing = scan.standing
    name = f"*{safe(scan.cluster, 100)}*"
    problem = f":warning: {name} could not be read: {safe(scan.problem or '', 300)}"
    if standing is None or scan.scanned_at is None:
        return [problem]
    counts = [count(standing.people, "principal")]
    if standing.machines:
        counts.append(count(standing.machines, "entry of nodes", "entries of nodes"))
    if standing.empty:
        counts.append(count(standing.empty, "entry without access", "entries without access"))
    lines = [problem] if scan.problem else []
    lines.append(f"{name}: {', '.join(counts)}, as of {date(scan.scanned_at)}")
    lines += [_principal(one) for one in standing.entries[:_MOST_PRINCIPALS]]
    more = standing.people - min(len(standing.entries), _MOST_PRINCIPALS)
    if more:
        lines.append(f"and {count(more, 'more principal')}.")
    return lines


def _principal(one: StandingEntry) -> str:
    given = [f"{safe(name, 100)} ({safe(scope, 100)})" for name, scope in one.policies.items()]
    if one.kubernetes_groups:
        given.append(f"groups {safe(', '.join(one.kubernetes_groups), 200)}")
    since = f" · since {date(one.created_at)}" if one.created_at else ""
    return f"• {_role(one.principal_arn)}: {listed(given, 5)}{since}"


def _role(principal_arn: str) -> str:
    """The principal without its partition and account: `role/eks-jit/ana`."""
    return code(principal_arn.rpartition(":")[2], 200)
