"""What people read of drift and of standing access fits into a message, and says what it leaves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from view_examples import NOW, check_message, read

from bot.core.drift import Finding, Kind, Outcome, outcome
from bot.slack.drift_views import drift_found, standing_digest
from bot.store.drift import Found, Scan, Standing, StandingEntry

POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
ROLE = "arn:aws:iam::111122223333:role/eks-jit/ana"
HOSTILE = "<!channel> *b* _i_ `c` https://x.y \u202e\n> q"


def found(kind: Kind, result: Outcome | None = None, **more) -> Found:
    subject = POLICY if kind in {Kind.MISSING, Kind.NARROWED, Kind.WIDENED} else ""
    finding = Finding(
        kind, more.pop("subject", subject), more.pop("detail", "x instead of a"), ("7K3-QMX",)
    )
    made = {"principal_arn": ROLE, **more}
    return Found(
        id=1,
        cluster="prod-eu",
        account="111122223333",
        region="eu-west-1",
        finding=finding,
        outcome=result or outcome(kind, repair=False),
        found_at=NOW,
        **made,
    )


def scan(name: str = "prod-eu", standing: Standing | None = None, problem: str | None = None):
    return Scan(
        cluster=name,
        account="111122223333",
        region="eu-west-1",
        due_at=NOW,
        attempts=0,
        scanned_at=NOW if standing else None,
        problem=problem,
        standing=standing,
    )


def people(number: int, stored: int | None = None, **more) -> Standing:
    entries = tuple(
        StandingEntry(f"{ROLE}-{index}", {"AmazonEKSViewPolicy": "cluster"}, (), NOW)
        for index in range(number if stored is None else stored)
    )
    return Standing(people=number, machines=0, empty=0, entries=entries, **more)


SAID = {
    Kind.GONE: "the access entry is gone. The access has ended: 7K3-QMX.",
    Kind.REPLACED: "another access entry stands in place of the bot's. The access has ended",
    Kind.MISSING: "`AmazonEKSViewPolicy` is gone. The access has ended",
    Kind.NARROWED: "`AmazonEKSViewPolicy` was narrowed: `x instead of a`. The access has ended",
    Kind.WIDENED: "`AmazonEKSViewPolicy` was widened: `x instead of a`. The bot sets it right.",
    Kind.ORPHAN: "has the bot's tag and no live grant; it gives `x instead of a`. The bot removes",
    Kind.ANOTHER_STORE: "of this deployment was made from another database. The bot leaves it. "
    "`eks-access adopt` says what to do",
    Kind.UNTAGGED: "tag was taken off its access entry, which counts as another's now.",
    Kind.FOREIGN_POLICY: "to the bot's entry. The bot leaves it as it is",
    Kind.FOREIGN_GROUPS: "to the bot's entry. The bot leaves it as it is",
}


@pytest.mark.parametrize("kind", Kind)
def test_each_finding_says_who_what_and_what_the_bot_does(kind: Kind) -> None:
    message = check_message(drift_found([found(kind)]))
    shown = "\n".join(read(message.blocks))
    assert "role/eks-jit/ana" in shown
    assert SAID[kind] in shown
    assert "1 difference" in message.text


def test_what_is_repaired_is_not_called_ended() -> None:
    message = drift_found([found(Kind.GONE, Outcome.REPAIRED)])
    shown = "\n".join(read(message.blocks))
    assert "The bot sets it right." in shown
    assert "ended" not in shown


@pytest.mark.parametrize("number", [1, 20, 21, 3000])
def test_many_findings_fit_and_the_rest_is_counted(number: int) -> None:
    many = [found(Kind.FOREIGN_POLICY, subject="p" * 200, detail="n" * 3000)] * number
    message = check_message(drift_found(many))
    shown = "\n".join(read(message.blocks))
    assert f"{number:,} difference" in message.text
    assert shown.count("somebody added") == min(number, 20)
    assert ("the audit trail has all of them" in shown) == (number > 20)


@given(
    kind=st.sampled_from(Kind),
    detail=st.text(max_size=3000) | st.just(HOSTILE),
    subject=st.text(max_size=500) | st.just(HOSTILE),
    arn=st.text(max_size=500) | st.just(HOSTILE),
)
def test_nothing_that_others_named_is_parsed(kind, detail, subject, arn) -> None:
    message = drift_found([found(kind, detail=detail, subject=subject, principal_arn=arn)])
    check_message(message)
    assert "<!channel>" not in str(message.blocks)


def test_the_digest_names_the_widest_and_counts_all() -> None:
    message = check_message(standing_digest([scan("lab", people(3)), scan("prod", people(25))]))
    shown = "\n".join(read(message.blocks))
    assert "28 principals" in message.text
    assert "more cluster" not in shown
    assert "*lab*: 3 principals" in shown
    assert "*prod*: 25 principals" in shown
    assert "and 17 more principals." in shown
    assert shown.count("AmazonEKSViewPolicy (cluster)") == 3 + 8


def test_the_digest_says_of_a_cluster_that_it_could_not_be_read() -> None:
    message = standing_digest([scan("lab", problem="AWS is away.")])
    assert ":warning: *lab* could not be read: AWS is away." in "\n".join(read(message.blocks))
    remedy = standing_digest([scan("lab", problem="It has none. Do: `aws eks <!channel>`.")])
    assert "It has none. Do: `aws eks &lt;!channel&gt;`." in "\n".join(read(remedy.blocks))
    old = standing_digest([scan("lab", people(1), problem="AWS is away.")])
    shown = "\n".join(read(old.blocks))
    assert "could not be read" in shown
    assert "*lab*: 1 principal, as of" in shown


def test_a_digest_of_many_full_clusters_fits_and_counts_what_it_leaves_out() -> None:
    wide = StandingEntry(
        ROLE + "x" * 400, {"P" * 90 + str(n): "n" * 900 for n in range(9)}, ("g" * 900,), NOW
    )
    standing = Standing(people=3000, machines=400, empty=20, entries=(wide,) * 200)
    message = check_message(standing_digest([scan(f"c{n}", standing) for n in range(40)]))
    shown = "\n".join(read(message.blocks))
    named = shown.count("400 entries of machines")
    assert named >= 3
    assert f"and {40 - named} more clusters with {(40 - named) * 3000:,} principals." in shown
    assert shown.count("and 2,992 more principals.") == named
    assert "120,000 principals" in message.text


WIDE = {"ClusterAdmin": 9, "by Kubernetes groups": 1, "View": 2990}


def wide(number: int) -> Standing:
    admin = StandingEntry(f"{ROLE}-{number}", {"AmazonEKSClusterAdminPolicy": "cluster"}, (), NOW)
    return Standing(3000, 0, 0, (admin,) * 9, tuple(WIDE.items()))


def test_what_the_digest_does_not_name_is_counted_by_what_it_allows() -> None:
    cluster = "\n".join(read(standing_digest([scan("prod", wide(1))]).blocks))
    assert "3,000 principals (9 ClusterAdmin, 1 by Kubernetes groups, 2,990 View)" in cluster
    assert "and 2,992 more principals: 1 ClusterAdmin, 1 by Kubernetes groups, 2,990 View." in (
        cluster
    )
    message = check_message(standing_digest([scan(f"c{n}", wide(n)) for n in range(40)]))
    assert "120,000 principals" in message.text
    assert message.text.endswith(": 360 ClusterAdmin, 40 by Kubernetes groups, 119,600 View.")
    last = read(message.blocks)[-2]
    left = 40 - sum(f"*c{n}*" in str(message.blocks) for n in range(40))
    assert f"and {left} more clusters with {left * 3000:,} principals: {left * 9} Cluster" in last


def test_of_many_policies_the_widest_is_named_and_the_rest_counted() -> None:
    names = ("ClusterAdmin", "Admin", "Edit", "AdminView", "View")
    scopes = {f"AmazonEKS{name}Policy": ", ".join("abcdef") for name in names}
    entry = StandingEntry(ROLE, scopes, tuple("ghijk"), NOW)
    message = standing_digest([scan("prod", Standing(1, 0, 0, (entry,), (("ClusterAdmin", 1),)))])
    shown = "\n".join(read(message.blocks))
    assert "AmazonEKSClusterAdminPolicy (a, b, c and 3 more), Amazon" in shown
    assert "and 4 more" in shown
    alone = StandingEntry(ROLE, {}, tuple("ghijk"), NOW)
    message = standing_digest([scan("prod", Standing(1, 0, 0, (alone,)))])
    assert "groups g, h, i and 2 more" in "\n".join(read(message.blocks))


def test_a_digest_without_any_cluster_is_a_message_too() -> None:
    check_message(standing_digest([]))
