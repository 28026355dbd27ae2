"""Answers that only the person who asked sees."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from view_examples import (
    ANA,
    BEN,
    CLEO,
    END,
    HOUR,
    MINUTE,
    NAMES,
    NOW,
    POLICY,
    PROD,
    SECOND,
    YES,
    Situation,
    approved,
    check_message,
    hostile,
    live,
    namespace,
    over,
    read,
    request,
    revoking,
    scopes,
    situations,
    some_tickets,
)

from bot.core.errors import InvalidInput, Refused
from bot.core.model import AccessScope, AuditEvent, EndReason, RequestState
from bot.core.planner import ObservedEntry
from bot.core.policy import Tickets
from bot.core.rights import Right
from bot.core.roster import Roster
from bot.slack.blocks import Message
from bot.slack.commands import FORMS, Help, parse
from bot.slack.connect import connection
from bot.slack.replies import (
    NEEDED_RIGHTS,
    OFFERS_SHOWN,
    clusters_reply,
    commands_with,
    error_reply,
    fault_reply,
    help_reply,
    mine_reply,
    note,
    status_reply,
    who_reply,
)

WHAT = "*edit* on *prod-eu* / `payments`"


def shown(message: Message) -> list[str]:
    return read(check_message(message).blocks)


def test_help_lists_every_command() -> None:
    lines = shown(help_reply())
    assert lines[0] == "`/eks-access` opens the request form."
    assert lines[1] == (
        "`/eks-access request CLUSTER LEVEL [-n NS | --whole-cluster] [--for 2h] [--at TIME] "
        "[--ticket T] REASON` asks for access."
    )
    assert len(lines) == 1 + len(FORMS)


def test_help_fits_what_the_person_may_do() -> None:
    offers = [("prod-eu", ("view", "edit")), ("lab", ("view",))]
    lines = shown(help_reply(rights=(), offers=offers, more=12))
    assert len(lines) == 1 + len(FORMS) - len(NEEDED_RIGHTS) + 1
    for name in NEEDED_RIGHTS:
        assert not any(f"/eks-access {FORMS[name]}" in line for line in lines)
    assert lines[-1] == (
        "You can ask for `view` and `edit` on `prod-eu`; `view` on `lab`; 12 more clusters: "
        "`/eks-access clusters`."
    )
    assert shown(help_reply(offers=()))[-1].startswith("No rule lets you ask for access.")


@pytest.mark.parametrize("right", Right)
def test_a_right_shows_its_commands_and_no_others(right: Right) -> None:
    more = set(commands_with({right})) - set(commands_with(()))
    assert more == {name for name, needed in NEEDED_RIGHTS.items() if needed is right} != set()


def test_help_for_very_long_names_stays_within_the_limits() -> None:
    levels = tuple(f"{number}{'l' * 99}" for number in range(20))
    offers = [(f"{number}{'c' * 99}", levels) for number in range(OFFERS_SHOWN)]
    assert "9,995 more clusters" in shown(help_reply(offers=offers, more=9995))[-1]


@pytest.mark.parametrize("topic", FORMS)
def test_help_on_a_command_shows_an_example_that_is_valid(topic: str) -> None:
    assert parse(f"help {topic}") == Help(topic)
    lines = shown(help_reply(topic))
    assert lines[0].startswith(f"`/eks-access {FORMS[topic]}` ")
    for line in lines[1:]:
        example = line.removeprefix("For example: `").removesuffix("`")
        parse(example)


def test_an_error_shows_its_sentence_and_code_stays_code() -> None:
    error = InvalidInput("x", "`edti` is no level. Ask for `view` or `edit`.")
    assert shown(error_reply(error)) == ["`edti` is no level. Ask for `view` or `edit`."]


def test_a_sentence_that_quotes_markup_does_nothing() -> None:
    message = check_message(error_reply(Refused("x", "`<!channel>` *no* <@U0EVIL> `a` :tada: `")))
    (line,) = message.blocks
    parts = line["elements"][0]["elements"]
    assert [(part["text"], part.get("style")) for part in parts] == [
        ("<!channel>", {"code": True}),
        (" *no* <@U0EVIL> ", None),
        ("a", {"code": True}),
        (" :tada: `", None),
    ]


def test_a_fault_shows_no_detail_and_a_reference() -> None:
    assert shown(fault_reply("a1b2")) == [
        "That failed because of a fault in the bot. `/eks-access mine` shows what is so now. "
        "Whoever runs the bot finds more in its log under `a1b2`."
    ]


def test_mine_lists_requests_with_what_can_be_done() -> None:
    denied = request(
        id="7K3-QMZ", state=RequestState.DENIED, decided_by=BEN, decided_at=NOW + MINUTE
    )
    ending = (approved(id="7K3-QMW"), revoking(id="7K3-QMW"))
    items = [(approved(), live()), (request(id="7K3-QMY"), None), (denied, None), ending]
    assert shown(mine_reply(items, now=NOW + HOUR)) == [
        "*Your access and requests (4)*",
        f"{WHAT} · active until 2026-01-05 16:42 UTC · req 7K3-QMX · *1 h 2 min left*",
        "If you need it longer: `/eks-access extend 7K3-QMX 1h` [Return]",
        f"{WHAT} · pending, lapses 2026-01-05 15:40 UTC · req 7K3-QMY [Cancel]",
        f"{WHAT} · denied 2026-01-05 14:41 UTC · req 7K3-QMZ",
        f"{WHAT} · removing · req 7K3-QMW",
    ]
    assert shown(mine_reply([], now=NOW)) == [
        "You have no access and no open request. `/eks-access` opens the request form."
    ]


def test_status_of_live_access_says_what_is_left_and_how_to_connect() -> None:
    connect = connection(approved(), live(), None)
    lines = shown(
        status_reply(
            approved(), (YES,), live(), HISTORY, names=NAMES, now=NOW + HOUR, connect=connect
        )
    )
    assert "*1 h 2 min left*" in lines
    at = lines.index("kubectl auth can-i get pods -n payments")
    assert lines[at - 1].startswith("aws eks update-kubeconfig")
    assert lines[at + 1] == "If you need it longer: `/eks-access extend 7K3-QMX 1h`"
    ended = shown(status_reply(approved(), (YES,), over(), HISTORY, names=NAMES, now=END + SECOND))
    assert "left" not in str(ended)


def test_a_long_list_is_counted() -> None:
    items = [(request(id=f"7K3-{number:03}"), None) for number in range(100)]
    assert shown(mine_reply(items, now=NOW + HOUR))[-1] == "… and 85 older ones."


ROLE = "arn:aws:iam::111122223333:role/"
ENTRY = ObservedEntry(
    arn="arn:aws:eks:eu-west-1:111122223333:access-entry/prod-eu/role/111122223333/node/uuid",
    type="STANDARD",
    tags={},
    policies={POLICY.format("View"): AccessScope.of(["a"])},
    kubernetes_groups=frozenset({"ops"}),
)


def test_who_tells_the_bots_grants_from_what_others_manage() -> None:
    bare = replace(ENTRY, policies={}, kubernetes_groups=frozenset())
    others = Roster(others=((f"{ROLE}ops", ENTRY), (f"{ROLE}node", bare)))
    assert shown(who_reply("prod-eu", [(approved(), live())], others, names=NAMES)) == [
        "*Access to prod-eu through this bot (1)*",
        f"Ana Ruiz: {WHAT} · active until 2026-01-05 16:42 UTC · req 7K3-QMX",
        "*Managed by others, not this bot (2)*",
        "`role/ops` in account 111122223333: `AmazonEKSViewPolicy` (`a`) and group `ops`",
        "`role/node` in account 111122223333: no policy and no group",
    ]
    assert shown(who_reply("prod-eu", [], Roster(), names=NAMES)) == [
        "*Access to prod-eu through this bot (0)*",
        "Nobody.",
        "*Managed by others, not this bot (0)*",
        "None.",
    ]


def test_who_counts_and_names_nobody_to_those_who_are_not_concerned() -> None:
    roster = Roster(
        others=((f"{ROLE}ops", ENTRY),),
        by_hand=((f"{ROLE}ana", ENTRY),),
        others_unread=70,
        own_unread=3,
        problem="EKS throttles the bot.",
    )
    lines = shown(who_reply("prod-eu", [], roster, names=NAMES, principals=False))
    assert lines[2:] == [
        "*Added by hand to this bot's entries (1)*",
        "*Managed by others, not this bot (71)*",
        "Only people who can ask for access here, its owners and security see who that is.",
        "What others added to 3 of this bot's own entries was not read.",
        "Not all was read. EKS throttles the bot.",
    ]
    assert "role/" not in str(lines)


def test_who_marks_what_was_added_by_hand_to_the_bots_own_entries() -> None:
    lines = shown(who_reply("prod-eu", [], Roster(by_hand=((f"{ROLE}ana", ENTRY),)), names=NAMES))
    assert lines[2:5] == [
        "*Added by hand to this bot's entries (1)*",
        "The bot did not put this there:",
        "`role/ana` in account 111122223333: `AmazonEKSViewPolicy` (`a`) and group `ops`",
    ]


def test_who_counts_what_was_not_read_and_says_why() -> None:
    roster = Roster(
        others=((f"{ROLE}ops", ENTRY),),
        others_unread=70,
        own_unread=3,
        problem="EKS throttles the bot.",
    )
    assert shown(who_reply("prod-eu", [], roster, names=NAMES))[2:] == [
        "*Managed by others, not this bot (71)*",
        "`role/ops` in account 111122223333: `AmazonEKSViewPolicy` (`a`) and group `ops`",
        "… and 70 more that were not read.",
        "What others added to 3 of this bot's own entries was not read.",
        "Not all was read. EKS throttles the bot.",
    ]
    assert shown(who_reply("prod-eu", [], Roster(problem="No."), names=NAMES))[2:] == [
        "Not all was read. No."
    ]


def event(action: str, actor: str, after: timedelta = timedelta(), **details: object) -> AuditEvent:
    return AuditEvent(NOW + after, actor, action, "7K3-QMX", "prod-eu", details)


HISTORY = [
    event("request.submitted", ANA),
    event("request.reviewed", BEN, MINUTE, verdict="approve"),
    event("request.approved", BEN, MINUTE),
    event("grant.confirmed", "bot", MINUTE + 2 * SECOND, lag_seconds=1.954),
    event("grant.revoking", "operator", 2 * MINUTE, reason="revoked"),
    event("grant.ended", "bot", 3 * MINUTE, lag_seconds=0.6),
    event("grant.narrowed", "bot", 4 * MINUTE),
]


def test_status_names_the_operator_and_not_the_machine() -> None:
    operator = {"name": "Ana <!here>", "user": "root", "host": "bastion-1"}
    event_ = event("grant.revoking", "operator", reason="revoked", operator=operator)
    told = str(shown(status_reply(approved(), (YES,), None, [event_], names=NAMES, now=NOW)))
    assert "an operator (Ana &lt;!here&gt;) " in told
    assert "bastion-1" not in told


def test_status_tells_the_history() -> None:
    lines = shown(status_reply(approved(), (YES,), over(), HISTORY, names=NAMES, now=END + SECOND))
    assert lines == [
        f"Ana Ruiz asked for {WHAT} for 2 h",
        "*ENDED* 2026-01-05 16:42:00 UTC · removal confirmed 1 s later",
        "Its time was over",
        "Approved by Ben Ito",
        "Access confirmed 2026-01-05 14:42:00 UTC",
        "Absence confirmed 2026-01-05 16:42:01 UTC, 1 s after its end",
        "Principal `role/eks-jit/ana` in account 111122223333",
        "> Clearing a stuck settlement job",
        "> Ticket: PAY-1423",
        "2026-01-05 14:40:00 UTC · Ana Ruiz asked",
        "2026-01-05 14:41:00 UTC · Ben Ito approved",
        "2026-01-05 14:41:00 UTC · Ben Ito approved: nothing more is needed",
        "2026-01-05 14:41:02 UTC · the bot read at EKS that the access is there, 2.0 s later",
        "2026-01-05 14:42:00 UTC · an operator revoked the access",
        "2026-01-05 14:43:00 UTC · the bot read at EKS that the access is gone, 0.6 s later",
        "2026-01-05 14:44:00 UTC · the bot `grant.narrowed`",
        "req 7K3-QMX",
    ]


def test_status_of_a_denied_request_quotes_the_reason() -> None:
    denied = request(
        state=RequestState.DENIED,
        decided_by=CLEO,
        decided_at=NOW + MINUTE,
        decision_reason="View is enough",
    )
    lines = shown(status_reply(denied, (), None, [], names=NAMES, now=NOW))
    assert lines[1] == "denied 2026-01-05 14:41 UTC"
    assert lines[-3:] == ["The reason for the decision:", "> View is enough", "req 7K3-QMX"]


def test_status_of_revoked_access_says_who_took_it_away_and_why() -> None:
    taken = over(EndReason.REVOKED, ended_by=CLEO)
    events = [
        event("grant.revoking", CLEO, MINUTE, reason="revoked", why="*The* incident is over"),
        event("grant.ended", "bot", 2 * MINUTE, reason="revoked"),
    ]
    lines = shown(status_reply(approved(), (YES,), taken, events, names=NAMES, now=END + SECOND))
    assert lines[2] == "Revoked by Cleo Roux"
    assert lines[-5:] == [
        "The reason for the revocation:",
        "> *The* incident is over",
        "2026-01-05 14:41:00 UTC · Cleo Roux revoked the access",
        "2026-01-05 14:42:00 UTC · the bot read at EKS that the access is gone",
        "req 7K3-QMX",
    ]


@pytest.mark.parametrize(
    ("reason", "details", "by", "said"),
    [
        (EndReason.REVOKED, {}, "operator", "an operator revoked the access"),
        (EndReason.RETURNED, {"why": "no"}, ANA, "Ana Ruiz gave the access back"),
        (EndReason.TICKET_CLOSED, {"why": "no"}, "bot", "the bot began the removal"),
        (EndReason.EXPIRED, {"why": "no"}, "bot", "the bot began the removal"),
    ],
)
def test_status_says_no_reason_for_a_revocation_where_there_is_none(
    reason: EndReason, details: dict[str, str], by: str, said: str
) -> None:
    ended = over(reason, ended_by=by)
    events = [event("grant.revoking", by, MINUTE, reason=reason.value, **details)]
    lines = shown(status_reply(approved(), (YES,), ended, events, names=NAMES, now=END + SECOND))
    assert "The reason for the revocation:" not in lines
    assert lines[-2] == f"2026-01-05 14:41:00 UTC · {said}"


def test_a_long_history_shows_its_end() -> None:
    events = [event("grant.revoking", "bot", number * SECOND) for number in range(100)]
    lines = shown(status_reply(approved(), (), revoking(), events, names=NAMES, now=END))
    assert "… 82 earlier events" in lines
    assert lines[-2] == "2026-01-05 14:41:39 UTC · the bot began the removal"


def test_clusters_are_listed_with_their_levels() -> None:
    lab = replace(PROD, name="lab", region="us-east-1")
    assert shown(clusters_reply([PROD, lab], {"prod-eu": ["view", "edit"]})) == [
        "*Clusters (2)*",
        "`prod-eu` · eu-west-1, account 111122223333 · `view` and `edit`",
        "`lab` · us-east-1, account 111122223333",
    ]
    assert shown(clusters_reply([])) == ["The policy names no cluster yet."]


@given(hostile)
def test_slack_takes_every_sentence(sentence: str) -> None:
    check_message(note(sentence))
    check_message(error_reply(Refused("x", sentence)))


details = st.dictionaries(
    st.sampled_from(["verdict", "lag_seconds", "reason", "why"]),
    hostile | st.floats() | st.none() | st.integers(),
)
events = st.builds(
    AuditEvent,
    at=st.just(NOW),
    actor=st.sampled_from([ANA, BEN, "bot", "operator"]) | hostile,
    action=st.sampled_from(["request.submitted", "request.reviewed", "grant.revoking"]) | hostile,
    details=details,
)


@given(situations(), st.lists(events, max_size=40), some_tickets)
@settings(max_examples=80)
def test_slack_takes_every_status(
    situation: Situation, history: list[AuditEvent], tickets: Tickets | None
) -> None:
    asked, reviews, given_, names, now = situation
    check_message(
        status_reply(asked, reviews, given_, history, names=names, now=now, tickets=tickets)
    )


short = hostile.map(lambda text: text[:200])  # longer than any ARN; a list has many of them
entries = st.builds(
    ObservedEntry,
    arn=st.just("arn:entry"),
    type=st.just("STANDARD"),
    tags=st.just({}),
    policies=st.dictionaries(short, scopes, max_size=6),
    kubernetes_groups=st.frozensets(namespace | short, max_size=8),
)


some_entries = st.tuples(
    st.lists(st.tuples(short, entries), max_size=4), st.sampled_from([1, 13])
).map(lambda drawn: tuple(drawn[0] * drawn[1]))
rosters = st.builds(
    lambda entries, by_hand, unread, problem: Roster(
        entries, entries if by_hand else (), 15 * unread, unread, problem
    ),
    some_entries,
    st.booleans(),
    st.sampled_from([0, 1, 200]),
    st.none() | hostile,
)


@given(
    situations(),
    st.integers(0, 80),
    rosters,
)
@settings(max_examples=60)
def test_slack_takes_every_list(situation: Situation, number: int, roster: Roster) -> None:
    asked, _, given_, names, _ = situation
    many = [replace(asked, id=f"7K3-{index:03}") for index in range(number)]
    check_message(mine_reply([(one, given_) for one in many], now=NOW))
    if given_ is not None:
        pairs = [(one, given_) for one in many]
        check_message(who_reply(asked.cluster.name, pairs, roster, names=names))
    clusters = [replace(asked.cluster, name=f"{asked.cluster.name[:90]}{one.id}") for one in many]
    levels = {one.name: [asked.level] * 30 for one in clusters}
    check_message(clusters_reply(clusters, levels))
