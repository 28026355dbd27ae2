"""Requests and grants in every state, hostile words, and what every view must stand up to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from hypothesis import strategies as st
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from bot.core.model import (
    Access,
    AccessRequest,
    AccessScope,
    Cluster,
    EndReason,
    EscalationStep,
    Grant,
    GrantState,
    Owners,
    Principal,
    RequestState,
    Requirement,
    Review,
    Step,
    StepKind,
    Verdict,
)
from bot.core.policy import Tickets
from bot.core.post_review import PostReview, ReviewStep
from bot.sandbox.slack_limits import (
    blocks_are_too_long,
    blocks_problems,
    view_is_too_large,
    view_problems,
)
from bot.slack.blocks import Message

ANA, BEN, CLEO, DAN = "U01ANA", "U02BEN", "U03CLEO", "U04DAN"
NAMES = {ANA: "Ana Ruiz", BEN: "Ben Ito", CLEO: "Cleo Roux", DAN: "Dan Oyelaran"}
NOW = datetime(2026, 1, 5, 14, 40, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKS{}Policy"
PROD = Cluster(name="prod-eu", region="eu-west-1", account="111122223333")
PAYMENTS = Requirement(
    rule="payments",
    channel="C01PAY",
    owners=Owners(users=frozenset({BEN}), groups=frozenset({"S02PAYLEADS"})),
)


def access(policy: str = "Edit", *namespaces: str) -> Access:
    return Access(POLICY.format(policy), AccessScope.of(namespaces))


def request(**changes: Any) -> AccessRequest:
    """Ana asks for edit on prod-eu / payments for two hours; it lapses at 15:40."""
    return replace(
        AccessRequest(
            id="7K3-QMX",
            requester=ANA,
            requester_name="Ana Ruiz",
            cluster=PROD,
            level="edit",
            namespaces=("payments",),
            duration=2 * HOUR,
            reason="Clearing a stuck settlement job",
            ticket="PAY-1423",
            start_at=None,
            principal=Principal("arn:aws:iam::111122223333:role/eks-jit/ana"),
            access=access("Edit", "payments"),
            rules=("payments",),
            requirements=(PAYMENTS,),
            created_at=NOW,
            lapses_at=NOW + HOUR,
        ),
        **changes,
    )


def approved(**changes: Any) -> AccessRequest:
    decided = {"state": RequestState.APPROVED, "decided_at": NOW + MINUTE, "decided_by": BEN}
    return request(**{**decided, **changes})


def decided(
    state: RequestState, by: str, reason: str | None = None, **changes: Any
) -> AccessRequest:
    decision = {"decided_by": by, "decided_at": NOW + MINUTE, "decision_reason": reason}
    return request(state=state, **decision, **changes)


def grant(**changes: Any) -> Grant:
    """The grant of `approved()`, being set up."""
    return replace(
        Grant(
            id="7K3-QMX",
            requester=ANA,
            cluster=PROD,
            principal_arn="arn:aws:iam::111122223333:role/eks-jit/ana",
            access=access("Edit", "payments"),
            duration=2 * HOUR,
            created_at=NOW + MINUTE,
            provision_by=NOW + 16 * MINUTE,
            ends_at=NOW + 16 * MINUTE + 2 * HOUR,
        ),
        **changes,
    )


def live(**changes: Any) -> Grant:
    confirmed = NOW + 2 * MINUTE
    times = {"confirmed_at": confirmed, "ends_at": confirmed + 2 * HOUR}
    return grant(**{"state": GrantState.ACTIVE, **times, **changes})


END = live().ends_at


def revoking(reason: EndReason = EndReason.EXPIRED, **changes: Any) -> Grant:
    state = {"state": GrantState.REVOKING, "end_reason": reason, "revoking_since": END}
    return live(**{**state, "ended_by": "bot", **changes})


def over(reason: EndReason = EndReason.EXPIRED, **changes: Any) -> Grant:
    return revoking(reason, **{"state": GrantState.ENDED, "ended_at": END + SECOND, **changes})


TICKETS = Tickets(url="https://tickets.example/browse/{ticket}?from=eks")
some_tickets = st.sampled_from([None, TICKETS])
YES = Review("7K3-QMX", BEN, Verdict.APPROVE, NOW + MINUTE, rules=("payments",))


# What people type to deceive or to break something.
HOSTILE = [
    "<!channel>", "<!here>", "<!everyone>", "<@U0EVIL>", "<#C0EVIL|general>", "<!subteam^S0EVIL>",
    "<https://evil.example|Approve>", "https://evil.example/x", "@here", "@channel", "mailto:a@b.c",
    "*APPROVED*", "_it_", "~no~", "`code`", "```", ":tada:", ":a::b:", "&amp;", "&lt;!channel&gt;",
    "> quoted", "\n> *APPROVED* by Ben Ito", "\r\n\r\n\r\n", "\u202edevorppa", "\u2066x\u2069",
    "\u200b", "\u00ad", "\u3164", "\u2028", "\x00", "\x1b[31m", "\ud800", "e" + "\u0301" * 30,
    "\U0001f3f3\ufe0f\u200d\U0001f308", "\U0001f600" * 50, "—for 9h", "--", "a" * 4000, "x " * 1500,
    "<!date^0^{time}|15:40>",
    "\\", '"', "'", "|", "^", "{0}", "%s", "\u0627\u0644\u0644\u063a\u0629",
]  # fmt: skip
# Prepared and few, because a request has many of them: drawing must not take longer than testing.
hostile = st.sampled_from([*HOSTILE, "", " ".join(HOSTILE), "\n".join(HOSTILE)]) | st.tuples(
    st.sampled_from(HOSTILE), st.text(max_size=20), st.sampled_from(HOSTILE)
).map(" ".join)
namespace = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
_ids = st.sampled_from(["000-000", "7K3-QMX", "ZZZ-ZZZ"])
_users = [f"U0{number:08}" for number in range(15)]
_groups = [f"S0{number:08}" for number in range(3)]
_policies = st.sampled_from(
    ["View", "Edit", "Admin", "ClusterAdmin", "AdminView", "SecretReader", "Hybrid"]
).map(POLICY.format)


class Situation(NamedTuple):
    request: AccessRequest
    reviews: tuple[Review, ...]
    grant: Grant | None
    names: Mapping[str, str]
    now: datetime


scopes = st.sampled_from(
    [
        frozenset[str](),
        frozenset({"payments"}),
        frozenset({"dev-*", "payments"}),
        frozenset({"a", "b", "c"}),
        *(frozenset(f"ns-{i:03}-{'y' * 56}" for i in range(number)) for number in (4, 45, 500)),
    ]
).map(AccessScope)
owners = st.sampled_from(
    [
        Owners(users=frozenset({BEN})),
        Owners(groups=frozenset(_groups)),
        Owners(frozenset(_users), frozenset(_groups)),
        Owners(),
    ]
)


@st.composite
def requirements(draw: st.DrawFn) -> tuple[Requirement, ...]:
    number = draw(st.sampled_from([0, 1, 1, 2, 30]))
    asked, name, needed = draw(owners), draw(hostile), draw(st.integers(1, 3))
    escalation = draw(st.none() | st.just(EscalationStep(MINUTE, "C00000009", asked)))
    return tuple(
        Requirement(
            name if i < 2 else f"rule {i} {'z' * 60}",
            f"C0{i:07}",
            asked,
            needed,
            part="security" if i == 1 else "",
            escalation=escalation,
        )
        for i in range(number)
    )


# What is different about a break-glass.
PASSED_OVER = ("Rule `a` holds only mon-fri 09:00-17:00 (UTC).",) * 4
glass = st.fixed_dictionaries(
    {
        "break_glass": st.just(value=True),
        "shown_in": st.sampled_from([(), ("C0SEC",), ("C0SEC", "C01PAY", "C02PAY")]),
        "replaces": st.sampled_from([None, "7K3-QMW"]),
        "notes": st.sampled_from([(), ("PagerDuty is down.",)]) | st.tuples(hostile, hostile),
    }
)


@st.composite
def requests(draw: st.DrawFn, state: RequestState | None = None) -> AccessRequest:
    scope = draw(scopes)
    needed = draw(requirements())
    chosen = state or draw(st.sampled_from(RequestState))
    decided = chosen is not RequestState.PENDING
    said = draw(st.none() | hostile) if chosen is RequestState.DENIED else None
    return request(
        id=draw(_ids),
        requester_name=draw(hostile),
        reason=draw(hostile),
        ticket=draw(st.none() | hostile),
        level=draw(st.sampled_from(["edit", "cluster-admin", "l" * 300, "*bold*"])),
        cluster=replace(PROD, name=draw(st.sampled_from(["prod-eu", "p" * 100, "a_b_c"]))),
        duration=draw(st.timedeltas(SECOND, timedelta(days=30))),
        namespaces=tuple(sorted(scope.namespaces)),
        access=Access(
            draw(st.none() | _policies),
            scope,
            draw(st.sampled_from([frozenset[str](), frozenset({"ops"}), frozenset(_users)])),
        ),
        principal=Principal(
            draw(st.sampled_from(["arn:aws:iam::111122223333:user/x", "odd", "a:b:c:d:e:" * 300])),
            shared=draw(st.booleans()),
            shared_with=draw(st.sampled_from([(), (BEN,), tuple(_users)])),
        ),
        rules=tuple(one.rule for one in needed),
        requirements=needed,
        lapses_at=draw(st.none() | st.just(NOW + HOUR)),
        state=chosen,
        decided_at=NOW + MINUTE if decided else None,
        decided_by=draw(st.sampled_from([BEN, "bot", "operator"])) if decided else None,
        decision_reason=said,
        extends=draw(st.sampled_from([None, None, "7K3-QMW"])),
        already=timedelta(minutes=draw(st.integers(0, 60 * 24 * 30))),
        **draw(st.sampled_from([{}, {"notes": PASSED_OVER}]) | glass),
        steps=tuple(
            Step(draw(st.sampled_from(StepKind)), one.key, NOW + MINUTE)
            for one in needed[: draw(st.integers(0, 2))]
        ),
    )


@st.composite
def grants(draw: st.DrawFn, of: AccessRequest) -> Grant:
    chosen = draw(st.sampled_from(GrantState))
    ending = chosen in {GrantState.REVOKING, GrantState.ENDED}
    began = draw(st.none() | st.just(NOW)) if chosen is not GrantState.ACTIVE else NOW
    return live(
        id=of.id,
        cluster=of.cluster,
        access=of.access,
        duration=of.duration,
        principal_arn=of.principal.arn,
        state=chosen,
        starts_at=draw(st.none() | st.just(NOW)),
        confirmed_at=began,
        end_reason=draw(st.sampled_from(EndReason)) if ending else None,
        revoking_since=END if ending else None,
        ended_by=draw(st.sampled_from([ANA, BEN, "bot", "operator"])) if ending else None,
        ended_at=END + draw(st.timedeltas(timedelta(), HOUR))
        if chosen is GrantState.ENDED
        else None,
        problem=draw(st.none() | hostile),
    )


@st.composite
def post_reviews(draw: st.DrawFn, of: AccessRequest) -> PostReview:
    """The review that a break-glass owes, or has had, with any of the steps of time."""
    escalation = draw(st.none() | st.builds(EscalationStep, st.just(HOUR), st.just("C09"), owners))
    given = draw(st.booleans())
    steps = [one for one in ReviewStep if draw(st.booleans())]
    return PostReview(
        request_id=of.id,
        owners=draw(owners),
        begun_at=NOW,
        remind_at=NOW + HOUR,
        due_at=NOW + draw(st.timedeltas(MINUTE, 5 * HOUR)),
        escalation=escalation,
        reviewer=draw(st.sampled_from([BEN, CLEO])) if given else None,
        reviewed_at=NOW + HOUR if given else None,
        justified=draw(st.booleans()) if given else None,
        findings=draw(hostile) if given else None,
        steps=tuple(steps),
    )


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Any request in any state, with any grant, and names that people gave themselves."""
    asked = draw(requests())
    given = draw(st.none() | grants(asked)) if asked.state is RequestState.APPROVED else None
    reviewers = draw(st.sampled_from([(), (BEN,), tuple(_users)]))
    verdict = Verdict.DENY if asked.state is RequestState.DENIED else Verdict.APPROVE
    name, other = draw(hostile), draw(hostile)
    known = dict.fromkeys(_users, other) | {ANA: name, BEN: other}
    return Situation(
        asked,
        tuple(
            Review(
                asked.id,
                one,
                verdict,
                NOW + MINUTE,
                rules=tuple(each.key for each in asked.requirements),
                deputy_of=draw(st.sampled_from([(), (CLEO,)])),
            )
            for one in reviewers
        ),
        given,
        draw(st.sampled_from([{}, known])),
        NOW + draw(st.timedeltas(timedelta(), timedelta(hours=5))),
    )


def nodes(value: object) -> Iterator[dict[str, Any]]:
    """Every JSON object in `value`."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


_TOKENS = re.compile(
    r"<(?:!date\^\d+\^[^|<>]*\|[^<>|]* UTC|@(?P<user>[A-Z0-9]+)|#[CG][A-Z0-9]+"
    r"|!subteam\^(?P<group>[A-Z0-9]+)|https://[^|<>]*\|EKS console)>"
)


def check_mrkdwn(text: str) -> None:
    """Nothing in the text but the bot's own tokens is markup, and nobody else is mentioned."""
    for token in _TOKENS.finditer(text):
        assert "EVIL" not in token[0]
    rest = _TOKENS.sub("", text)
    assert "<" not in rest
    assert ">" not in rest
    assert not re.search(r"&(?!amp;|lt;|gt;)", rest)
    rest = re.sub(r"`[^`\n]+`", "", rest)
    assert "`" not in rest
    assert not re.search(r"@(here|channel|everyone)|https?://|mailto:", rest)
    assert not re.search(r":(?!warning:|rotating_light:)[a-z]+:", rest)
    assert "*APPROVED* by Ben" not in rest


def check_pieces(value: object) -> None:
    """What holds of every text and every button, in messages and views alike."""
    for node in nodes(value):
        match node.get("type"):
            case "mrkdwn":
                assert node["verbatim"] is True
                check_mrkdwn(node["text"])
            case "plain_text":
                assert node["emoji"] is False
            case "button":
                if "value" not in node:  # it is about no request yet
                    assert node["action_id"] in {"request", "break_glass"}
                    continue
                assert re.fullmatch(r"[0-9A-Z]{3}-[0-9A-Z]{3}", node["value"])
                assert node["action_id"] in {
                    *("approve", "deny", "ask", "cancel", "connect", "extend", "return", "again"),
                    *("break_glass", "revoke", "review", "answer"),
                }
            case "link":
                where = r"https://tickets\.example/browse/[\w.~%-]+\?from=eks"
                assert re.fullmatch(where, node["url"], re.ASCII)
            case "user" | "usergroup" | "broadcast" | "emoji" | "channel":
                raise AssertionError(f"a rich text element that does something: {node}")


def check_message(message: Message) -> Message:
    """A message that Slack takes and that says nothing in a requester's name."""
    assert [block.to_dict() for block in Block.parse_all(message.blocks)] == message.blocks
    assert blocks_problems(message.blocks) == []
    assert not blocks_are_too_long(message.blocks)
    assert 0 < len(message.text) <= 4000
    assert all("block_id" in block for block in message.blocks)
    check_mrkdwn(message.text)
    check_pieces(message.blocks)
    return message


def check_view(view: dict[str, Any]) -> dict[str, Any]:
    """A view that Slack takes."""
    assert View(**view).to_dict() == view
    assert view_problems(view) == []
    assert not view_is_too_large(view)
    assert all("block_id" in block for block in view["blocks"])
    check_pieces(view["blocks"])
    return view


def read(blocks: list[dict[str, Any]]) -> list[str]:
    """The lines a person reads, dates as their UTC fallback, buttons in brackets."""
    lines: list[str] = []
    for block in blocks:
        match block["type"]:
            case "section" | "header":
                lines += block["text"]["text"].split("\n")
                if "accessory" in block:
                    lines[-1] += f" [{block['accessory']['text']['text']}]"
            case "context":
                lines += block["elements"][0]["text"].split("\n")
            case "rich_text":
                inner = block["elements"][0]
                mark = "> " if inner["type"] == "rich_text_quote" else ""
                text = "".join(
                    f"`{part['text']}`" if part.get("style", {}).get("code") else part["text"]
                    for part in inner["elements"]
                )
                lines += [mark + line for line in text.split("\n")]
            case "actions":
                lines.append(" ".join(f"[{one['text']['text']}]" for one in block["elements"]))
            case "input":
                lines.append(f"{block['label']['text']}: {block['element']['type']}")
    return [re.sub(r"<!date\^[^|]*\|([^>]*)>", r"\1", line) for line in lines]


def buttons(blocks: list[dict[str, Any]]) -> list[str]:
    return [node["action_id"] for node in nodes(blocks) if node.get("type") == "button"]
