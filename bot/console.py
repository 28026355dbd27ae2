"""What the command line prints: aligned tables for people, stable JSON for scripts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TextIO

from bot.core.durations import format_duration
from bot.core.model import Grant, GrantState
from bot.core.removal import lag, late
from bot.doctor_result import Result

_CLEAR_LINE = "\r\x1b[K"


def grant_json(grant: Grant) -> dict[str, Any]:
    """A grant. Times are ISO 8601 in UTC; `namespaces` empty is the whole cluster.

    `revoking_since` is when its removal began, `removed_at` when EKS was read to have nothing of it
    any more, and `removal_lag_seconds` how long after its end that was.
    """
    after = lag(grant)
    return {
        "id": grant.id,
        "state": grant.state.value,
        "requester": grant.requester,
        "cluster": grant.cluster.name,
        "region": grant.cluster.region,
        "account": grant.cluster.account,
        "principal_arn": grant.principal_arn,
        "policy_arn": grant.access.policy_arn,
        "namespaces": sorted(grant.access.scope.namespaces),
        "kubernetes_groups": sorted(grant.access.kubernetes_groups),
        "confirmed_at": grant.confirmed_at.isoformat() if grant.confirmed_at else None,
        "ends_at": grant.ends_at.isoformat(),
        "end_reason": grant.end_reason.value if grant.end_reason else None,
        "revoking_since": grant.revoking_since.isoformat() if grant.revoking_since else None,
        "removed_at": grant.ended_at.isoformat() if grant.ended_at else None,
        "removal_lag_seconds": round(after.total_seconds(), 3) if after is not None else None,
        "problem": grant.problem,
    }


def grant_table(grants: Sequence[Grant], now: datetime) -> str:
    """One line a grant, columns aligned, and one more for what keeps it from its state."""
    rows = [("GRANT", "STATE", "WHO", "CLUSTER", "ACCESS", "SCOPE", "LEFT")]
    rows += [
        (
            grant.id,
            grant.state.value.lower(),
            grant.requester,
            grant.cluster.name,
            _access(grant),
            str(grant.access.scope),
            _left(grant, now),
        )
        for grant in grants
    ]
    head, *lines = table(rows).splitlines()
    told = [
        [line, f"         {grant.problem}"] if grant.problem else [line]
        for line, grant in zip(lines, grants, strict=True)
    ]
    return "\n".join([head, *(line for both in told for line in both)])


def result_table(results: Sequence[Result]) -> str:
    """One line a check: ok, note or finding; what was checked; what is so and what to do."""
    return table(
        [
            (one.status.value, one.check, " ".join(f"{one.message} {one.remedy}".split()))
            for one in results
        ]
    )


def progress(stream: TextIO, doing: str = "Checking") -> Callable[[str], None]:
    """What shows on a terminal what is being waited for, and elsewhere nothing.

    Called with "" it clears the line.
    """

    def began(what: str) -> None:
        stream.write(f"{_CLEAR_LINE}{what and f'{doing} {what} …'}")
        stream.flush()

    return began if stream.isatty() else lambda _: None


def table(rows: Sequence[Sequence[str]]) -> str:
    """The rows with each column as wide as its widest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _left(grant: Grant, now: datetime) -> str:
    """How long it still lasts; or how long it has been being removed; or when it was gone (UTC)."""
    if grant.state is GrantState.REVOKING and grant.revoking_since is not None:
        tried = f"being removed for {format_duration(now - grant.revoking_since)}"
        return f"{tried}, LATE" if late(grant, now) else tried
    if late(grant, now):
        return "past its end, LATE"
    if grant.state is not GrantState.ENDED or grant.ended_at is None:
        return format_duration(grant.ends_at - now) if grant.ends_at > now else "over"
    why = f", {grant.end_reason.value}" if grant.end_reason is not None else ""
    after = lag(grant)
    delay = f", {round(after.total_seconds(), 1):g} s after its end" if after is not None else ""
    return f"gone {grant.ended_at:%Y-%m-%d %H:%M:%S}{why}{delay}"


def _access(grant: Grant) -> str:
    policy = grant.access.policy_arn.rpartition("/")[2] if grant.access.policy_arn else ""
    return ", ".join(filter(None, [policy, *sorted(grant.access.kubernetes_groups)]))
