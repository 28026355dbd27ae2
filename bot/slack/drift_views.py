"""What people read of drift and of standing access. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bot.core.drift import Kind, Outcome
from bot.core.standing_width import Width, width_of
from bot.slack import blocks
from bot.slack.blocks import Message
from bot.slack.text import code, count, date, listed, safe, size
from bot.store.drift import Found, Scan, StandingEntry

_MOST_FINDINGS = 20
_MOST_PRINCIPALS = 8
_PART = 110
"""How many characters what one principal has may take; the widest comes first."""

_DIGEST_SIZE = 10_000
"""How much of the digest is spent on clusters. Slack takes some 13,200 characters a message. [?]"""

_WHAT = {
    Kind.GONE: "the access entry is gone",
    Kind.REPLACED: "another access entry stands in place of the bot's",
    Kind.MISSING: "{subject} is gone",
    Kind.NARROWED: "{subject} was narrowed: {detail}",
    Kind.WIDENED: "{subject} was widened: {detail}",
    Kind.ORPHAN: "an access entry has the bot's tag and no live grant; it gives {detail}",
    Kind.ANOTHER_STORE: "an access entry of this deployment was made from another database "
    "({subject})",
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
    number = count(len(found), "difference")
    text = f":warning: On *{cluster}* EKS was not as the bot left it: {number}."
    lines = [_line(one) for one in found[:_MOST_FINDINGS]]
    more = len(found) - len(lines)
    if more:
        lines.append(f"and {count(more, 'more')}; the audit trail has all of them.")
    return Message(
        text,
        [
            blocks.section("drift", text),
            *blocks.sections("findings", lines, most=4, rest="difference"),
            blocks.context(
                "place", f"account {safe(found[0].account, 20)} · {safe(found[0].region, 40)}"
            ),
        ],
    )


def standing_digest(scans: Sequence[Scan], gone: Sequence[str] = ()) -> Message:
    """Who has access that the bot did not give, cluster by cluster, as of the last scans.

    `gone` are the user groups and channels of the policy through which nobody counts.
    """
    number = sum(one.standing.people for one in scans if one.standing is not None)
    text = (
        f"*Standing access* on {count(len(scans), 'cluster')}: "
        f"{count(number, 'principal')} with access that the bot did not give and never takes"
        f"{_told(': ', _widths(scans))}."
    )
    shown: list[blocks.Block] = [blocks.section("standing", text)]
    if gone:
        named = listed([code(one, 20) for one in gone], 20)
        lost = f":warning: Nobody counts through {named}, which the policy file names. "
        shown.append(
            blocks.section("gone", f"{lost}{code('eks-access doctor')} says why, and where.")
        )
    used = 0
    for place, one in enumerate(scans):
        section = blocks.section(f"cluster:{place}", *_cluster(one))
        used += size(section["text"]["text"])
        if used > _DIGEST_SIZE:
            left = scans[place:]
            more = count(len(left), "more cluster")
            people = count(sum(one.standing.people for one in left if one.standing), "principal")
            more = f"and {more} with {people}{_told(': ', _widths(left))}."
            shown.append(blocks.section("more", more))
            break
        shown.append(section)
    how = f"Told once a week. For one cluster now: {code('/eks-access who CLUSTER')}"
    return Message(text, [*shown, blocks.context("how", how)])


def _line(one: Found) -> str:
    finding = one.finding
    subject = finding.subject.rpartition("/")[2]
    detail = finding.detail or "nothing"
    if finding.kind is Kind.ORPHAN and finding.subject:
        detail = f"{subject} ({detail})"
    what = _WHAT[finding.kind].format(subject=code(subject, 60), detail=code(detail, 100))
    then = _THEN[one.outcome].format(grants=listed(finding.grants, 5))
    if finding.kind is Kind.ANOTHER_STORE:
        what = what if finding.subject else _WHAT[finding.kind].partition(" (")[0]
        then = f"The bot leaves it. {code('eks-access adopt')} says what to do."
    if finding.kind is Kind.UNTAGGED:
        then = "What the bot put there goes with its grants."
    return f"• {_role(one.principal_arn)}: {what}. {then}"


def _said(problem: str) -> str:
    """A problem's sentence, where what stands between two backticks is code, to be pasted."""
    sentence, *rest = problem.split("`", 2)
    if len(rest) < 2:  # noqa: PLR2004 - the code, and what follows it
        return safe(problem, 300)
    return f"{safe(sentence, 200)} {code(rest[0], 200)}{safe(rest[1], 100)}"


def _cluster(scan: Scan) -> list[str]:
    standing = scan.standing
    name = f"*{safe(scan.cluster, 100)}*"
    problem = f":warning: {name} could not be read: {_said(scan.problem or '')}"
    if standing is None or scan.scanned_at is None:
        return [problem]
    widths = Counter(dict(standing.by_width))
    people = count(standing.people, "principal")
    counts = [f"{people} ({_listed(widths)})" if widths else people]
    if standing.machines:
        counts.append(count(standing.machines, "entry of machines", "entries of machines"))
    if standing.empty:
        counts.append(count(standing.empty, "entry without access", "entries without access"))
    lines = [problem] if scan.problem else []
    lines.append(f"{name}: {', '.join(counts)}, as of {date(scan.scanned_at)}")
    named = standing.entries[:_MOST_PRINCIPALS]
    lines += [_principal(one) for one in named]
    more = standing.people - len(named)
    if more:
        widths -= Counter(str(width_of(one.policies, one.kubernetes_groups)) for one in named)
        lines.append(f"and {count(more, 'more principal')}{_told(': ', widths)}.")
    return lines


def _widths(scans: Sequence[Scan]) -> Counter[str]:
    """How many people have what at most, on all of these clusters."""
    found: Counter[str] = Counter()
    for one in scans:
        found.update(dict(one.standing.by_width) if one.standing is not None else {})
    return found


def _told(before: str, widths: Counter[str]) -> str:
    return f"{before}{_listed(widths)}" if widths else ""


def _listed(widths: Counter[str]) -> str:
    return ", ".join(f"{widths[width]:,} {width}" for width in Width if widths[width])


def _principal(one: StandingEntry) -> str:
    given = [f"{name} ({listed(scope.split(', '), 3)})" for name, scope in one.policies.items()]
    if one.kubernetes_groups:
        given.append(f"groups {listed(one.kubernetes_groups, 3)}")
    since = f" · since {date(one.created_at)}" if one.created_at else ""
    return f"• {_role(one.principal_arn)}: {_fitting(given)}{since}"


def _fitting(parts: Sequence[str]) -> str:
    """As many of the parts as there is room for, at least the first, and how many more."""
    shown = [safe(parts[0], _PART)] if parts else []
    for part in parts[1:]:
        if sum(map(size, shown)) + size(part) > _PART:
            break
        shown.append(safe(part, _PART))
    more = len(parts) - len(shown)
    return f"{', '.join(shown)} and {more:,} more" if more else listed(shown)


def _role(principal_arn: str) -> str:
    """The principal without its partition and account: `role/eks-jit/ana`."""
    return code(principal_arn.rpartition(":")[2], 90)
