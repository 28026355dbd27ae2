"""No misspelling of a request gives more than the right spelling does.

A request is typed with one word misspelt, doubled, quoted, glued to the next, or in another place.
What is asked then is refused, or is for no other cluster and level, no namespace more, no longer
time and no other start. The names of namespaces, and lengths of time, are left as they are: another
name that is spelt rightly is another wish.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.decide import decide_for
from bot.core.errors import InvalidInput
from bot.core.model import Access, Ask
from bot.core.policy import Policy
from bot.slack.commands import Request, parse
from bot.slack.id_commands import Approve
from bot.slack.lockdown_command import Lockdown, Turn

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
POLICY = Policy.model_validate(
    {
        "deployment": "acme",
        "clusters": [
            {"name": name, "region": "eu-west-1", "account": "111122223333"}
            for name in ("prod-eu", "prod-us")
        ],
        "levels": {
            "view": {"policy": "AmazonEKSViewPolicy"},
            "edit": {"policy": "AmazonEKSEditPolicy"},
            "cluster-admin": {"policy": "AmazonEKSClusterAdminPolicy", "scope": "cluster"},
        },
        "principals": {"users": {"U01ANA": "arn:aws:iam::{account}:role/eks-jit/ana"}},
        "rules": [
            {
                "name": "everything",
                "clusters": ["*"],
                "levels": ["view", "edit", "cluster-admin"],
                "scope": "cluster",
                "approval": "automatic",
                "max_duration": "8h",
            }
        ],
    }
)
"""All that can be asked for is given at once, on the whole cluster: nothing but the words of the
request holds anything back."""

REQUESTS = (
    ("request", "prod-eu", "view", "-n", "payments", "--for", "30m", "Looking", "at", "a", "job"),
    ("request", "prod-eu", "edit", "--namespace", "a,b", "--for=30m", "--ticket", "T-1", "Stuck"),
    ("request", "prod-us", "view", "--for", "15m", "--whole-cluster", "Looking", "for", "a", "job"),
    ("request", "prod-us", "cluster-admin", "--for", "15m", "Upgrading", "the", "nodes"),
    ("request", "prod-eu", "view", "--namespace=a", "--at", "18:00", "--for", "20m", "A", "job"),
)
NAMED = frozenset({"payments", "a,b", "30m", "15m", "20m", "18:00", "T-1"})
"""Values, which another spelling makes other wishes."""

_QUOTES = ('"', "'", "`", "\u201c", "\u2018")
_MARKS = ("", "-", "--", "\u2014", "\u2013", "_", ":", "/", "+", "=", "#")


def given_by(line: str) -> tuple[Access, timedelta, str, str] | None:
    """What the policy gives for `line`, for how long, where and from when; None: refused."""
    try:
        command = parse(line)
    except InvalidInput:
        return None
    if not isinstance(command, Request):
        return None
    decision = decide_for(POLICY, command.ask, "U01ANA", {}, NOW)
    if not decision.allowed or decision.access is None or decision.duration is None:
        return None
    return decision.access, decision.duration, command.ask.cluster, command.at


@st.composite
def misspelt(draw: st.DrawFn, words: tuple[str, ...]) -> list[str]:
    """The words with one thing done to them."""
    place = draw(st.integers(1, len(words) - 1))
    word, rest = words[place], list(words[place + 1 :])
    before = list(words[:place])
    kinds = [_doubled, _quoted, _moved] + ([] if word in NAMED else [_letter, _glued, _marked])
    return draw(st.sampled_from(kinds))(draw, before, word, rest)


def _unit(word: str, rest: list[str]) -> tuple[list[str], list[str]]:
    """The word with its value, if it is an option that has one; and the words after."""
    alone = not word.startswith("-") or "=" in word or word == "--whole-cluster"
    size = 0 if alone else 1
    return [word, *rest[:size]], rest[size:]


def _doubled(_: st.DrawFn, before: list[str], word: str, rest: list[str]) -> list[str]:
    unit, after = _unit(word, rest)
    return [*before, *unit, *unit, *after]


def _quoted(draw: st.DrawFn, before: list[str], word: str, rest: list[str]) -> list[str]:
    size, mark = draw(st.integers(0, 3)), draw(st.sampled_from(_QUOTES))
    inside = f"{mark}{' '.join([word, *rest[:size]])}{mark}"
    return [*before, *inside.split(), *rest[size:]]


def _moved(draw: st.DrawFn, before: list[str], word: str, rest: list[str]) -> list[str]:
    unit, after = _unit(word, rest)
    others = [*before, *after]
    apart = [at for at in range(1, len(others) + 1) if others[at - 1] not in {"-n", "--namespace"}]
    to = draw(st.sampled_from(apart))
    return [*others[:to], *unit, *others[to:]]


def _letter(draw: st.DrawFn, before: list[str], word: str, rest: list[str]) -> list[str]:
    """A letter left out, twice, another, in capitals, or swapped with the next."""
    at = draw(st.integers(0, len(word.partition("=")[0]) - 1))
    one, following = word[at], word[at + 1 : at + 2]
    put = draw(st.sampled_from(["", one * 2, "x", one.upper(), following + one]))
    skipped = 2 if following and put == following + one else 1
    return [*before, *(word[:at] + put + word[at + skipped :]).split(), *rest]


def _glued(draw: st.DrawFn, before: list[str], word: str, rest: list[str]) -> list[str]:
    between = draw(st.sampled_from(["", ":", "_", ".", ";", "-", "--"]))
    return [*before, between.join([word, *rest[:1]]), *rest[1:]]


def _marked(draw: st.DrawFn, before: list[str], word: str, rest: list[str]) -> list[str]:
    """Other marks, or none, in place of an option's hyphens."""
    marks = draw(st.sampled_from(_MARKS)) if word.startswith("-") else ""
    return [*before, marks + word.lstrip("-"), *rest]


@settings(max_examples=1500)
@given(st.data())
def test_no_misspelling_gives_more_than_the_right_spelling(data: st.DataObject) -> None:
    words = data.draw(st.sampled_from(REQUESTS))
    right = given_by(" ".join(words))
    assert right is not None
    line = " ".join(data.draw(misspelt(words)))
    wrong = given_by(line)
    if wrong is None:
        return
    access, length, cluster, at = wrong
    assert (access.policy_arn, cluster, at) == (right[0].policy_arn, right[2], right[3]), line
    assert right[0].scope.covers(access.scope), line
    assert length <= right[1], line


@pytest.mark.parametrize(
    "line",
    [
        "request prod-eu view -n payments Looking",
        "request prod-eu view \u2014n payments Looking",
        "request prod-eu view -N=payments Looking",
        'request prod-eu view "-n payments" Looking',
        "request -n payments prod-eu view Looking",
    ],
)
def test_the_short_option_of_kubectl_names_the_namespace(line: str) -> None:
    command = parse(line)
    assert command == Request(Ask("prod-eu", "view", ("payments",), reason="Looking"))


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("-npayments", "--namespace payments"),
        ("--ns payments", "--namespace payments"),
        ("-namepsace payments", "--namespace payments"),
        ("--all-namespaces", "--namespace Looking"),
        ("-f 30m", "5 options"),
        ("-A", "5 options"),
        ("--cluster", "5 options"),
        ("-5", "5 options"),
        ("--for30m", "--for 30m"),
        ("--for:30m", "--for 30m"),
        ('"--fro 30m"', "--for 30m"),
        ("--wholecluster", "--whole-cluster"),
        ("--whole-cluster=no", "Write it alone, or leave it out."),
        ("for 30m", "--for 30m"),
        ("At 18:00", "--at 18:00"),
    ],
)
def test_what_was_meant_as_an_option_is_not_the_reason(typed: str, near: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse(f"request prod-eu view {typed} Looking at a job")
    assert near in raised.value.sentence


def test_the_reason_adds_no_namespace() -> None:
    with pytest.raises(InvalidInput) as raised:
        parse("request prod-eu view -n a kubectl --namespace kube-system get pods")
    assert raised.value.code == "duplicate_option"
    command = parse("request prod-eu view -n a kubectl -n kube-system get pods")
    assert isinstance(command, Request)
    assert command.ask.namespaces == ("a",)


def test_no_namespace_is_no_place_and_the_whole_cluster_is_said() -> None:
    assert given_by("request prod-eu view Looking") is None
    assert given_by("request prod-eu view -n a --whole-cluster Looking") is None
    whole = given_by("request prod-eu view --whole-cluster Looking")
    assert whole is not None
    assert whole[0].scope.is_cluster
    assert given_by("request prod-eu cluster-admin Looking") is not None


@pytest.mark.parametrize(
    "line",
    [
        "extend 7K3-QMX 1h --for 2h",
        "deny 7K3-QMX --reason No",
        "revoke 7K3-QMX --all",
        "review 7K3-QMX justified --unjustified",
        "lockdown on --revok Stolen",
    ],
)
def test_no_other_command_takes_an_option_for_its_reason(line: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse(line)
    assert raised.value.code == "unknown_option"
    assert "The form is `/eks-access" in raised.value.sentence


def test_lockdown_revokes_only_where_the_option_is_typed_as_one() -> None:
    assert parse("lockdown on Revoke the leaked key") == Lockdown(Turn.ON, "Revoke the leaked key")


@pytest.mark.parametrize(
    "typed", ["7K3-QMX.", "#7K3-QMX", "(7K3-QMX)", "*7K3-QMX*,", "(7k3 qmx).", "“7K3—QMX”!"]
)
def test_an_id_is_read_as_phones_and_chats_write_it(typed: str) -> None:
    assert parse(f"approve {typed}") == Approve("7K3-QMX")
