"""From a seed to a story. One `random.Random` decides everything, and only here.

Each kind of step has a weight and a function that draws its arguments; whatever is added to the
acts gets a line in `_KINDS`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tests.simulation.life import Story
from tests.simulation.process import CHANGING
from tests.simulation.scene import (
    ANA,
    BEN,
    CHANNELS,
    CLEO,
    CLUSTERS,
    DAN,
    ENGINEERS,
    EVE,
    EVERYBODY,
    GROUPS,
    GUEST,
    LAB,
    LEADS,
    MEMBERS,
    NAMESPACES,
    ON_CALL,
    OUTSIDER,
    PLATFORM,
    POLICIES,
    PROD,
    VARIANTS,
    Json,
)
from tests.simulation.store_troubles import FULL, LOCKED, READS
from tests.simulation.transports import AWS_AFTER, AWS_BEFORE, HALF, SLACK_AFTER, SLACK_BEFORE

Steps = list[list[Any]]


class _Draw(random.Random):
    """The one source of chance, and who asked last for what, so that others act upon it."""

    who, cluster = ANA, LAB
    approvals: dict[str, str]


Draw = Callable[[_Draw], Steps]
POSTGRESQL_EVERY = 25
"""Every so manieth seed is a life on PostgreSQL."""

RESTARTED_AT = 11
"""Of as many seeds, the one with this remainder has a restart in good order in its middle."""

AFTERWARDS_EVERY = 5
"""Every so manieth seed has revocations, reviews, lockdowns and owners who come and go besides."""

CALLING_AT = 4
"""Of five seeds, the one with this remainder has a bot that dies as it calls AWS or Slack."""

_CALLS = (AWS_BEFORE, AWS_AFTER, SLACK_BEFORE, SLACK_AFTER)

GONE_AT = 8
"""Of ten seeds, the one with this last digit has a user group that is disabled for a while."""

STORE_AT, ODD_AT = 1, 2
"""Of five seeds, those with these remainders have a store that only reads, is locked or full, or
loses its last commits; and AWS and Slack that do what nobody has foreseen."""

BACKSTOP_AT = 5
"""Of ten seeds, the one with this last digit has a backstop. Clocks are right in these lives:
EventBridge Scheduler goes by its own."""

SECOND_AT = 0
"""Of ten seeds, the one with this last digit has a second bot on an empty store. So has every other
one with a backstop."""

REFUSALS = (
    "account_inactive",
    "invalid_auth",
    "missing_scope",
    "org_login_required",
    "token_revoked",
)
_SCHEDULE_CALLS = ("GetSchedule", "CreateSchedule", "UpdateSchedule", "DeleteSchedule")
_READS = ("DescribeAccessEntry", "ListAssociatedAccessPolicies")
_WRITES = (
    "CreateAccessEntry",
    "AssociateAccessPolicy",
    "DisassociateAccessPolicy",
    "DeleteAccessEntry",
    "UpdateAccessEntry",
)
_METHODS = ("*", "*", "chat.postMessage", "chat.update", "users.info", "usergroups.users.list")


def write(seed: int) -> Story:
    """The story of a seed; the same for ever."""
    draw = _Draw(seed)
    setting = _setting(draw, seed)
    draw.approvals = setting["approvals"]
    steps: Steps = []
    if draw.random() < 0.2:
        steps += _others(draw)
    steps += _ask(draw)
    kinds = _KINDS + (_AFTERWARDS if seed % AFTERWARDS_EVERY == 3 else [])
    for _ in range(draw.choice((2, 3, 4, 5, 6))):
        (kind,) = draw.choices([one for one, _ in kinds], [weight for _, weight in kinds])
        steps += kind(draw)
        if draw.random() < 0.3:
            steps += _tick(draw)
    if setting["backstop"]:
        steps = _with_backstop(draw, seed, steps)
    elif seed % POSTGRESQL_EVERY == RESTARTED_AT:
        steps.insert(len(steps) // 2, ["restart"])
    elif seed % 5 == STORE_AT:
        steps = _with_store(_Draw(f"store {seed}"), steps)
    elif seed % 5 == ODD_AT:
        steps = _with_odd_things(_Draw(f"odd {seed}"), steps)
    elif seed % 5 == CALLING_AT:
        for _ in range(2):
            dies = ["crash at", draw.choice(_CALLS), draw.randrange(8)]
            steps.insert(draw.randrange(len(steps)), dies)
    steps = _with_gone_group(seed, steps)
    return Story(seed, setting, _with_second_bot(seed, steps))


def _with_gone_group(seed: int, steps: Steps) -> Steps:
    """In some stories a group is disabled, and most often enabled again later on."""
    if seed % 10 != GONE_AT:
        return steps
    draw = _Draw(f"gone {seed}")
    group = draw.choice((ENGINEERS, LEADS, LEADS, PLATFORM, ON_CALL))
    begins = draw.randrange(len(steps))
    ends = draw.randrange(begins, len(steps)) + 1
    back: Steps = [["group gone", group, False]] if draw.random() < 0.7 else []
    gone: list[Any] = ["group gone", group, True]
    return [*steps[:begins], gone, *steps[begins:ends], *back, *steps[ends:]]


def _with_second_bot(seed: int, steps: Steps) -> Steps:
    """The story where a second bot starts on an empty store, and may give access as well."""
    if seed % 10 != SECOND_AT and seed % 20 != BACKSTOP_AT:
        return steps
    draw, told = _Draw(f"second {seed}"), list(steps)
    for _ in range(draw.choice((1, 2, 3))):
        told.insert(draw.randrange(1, len(told) + 1), ["second bot"])
    if draw.random() < 0.4:
        who, policy = draw.choice((ANA, ANA, EVE, BEN)), draw.choice(POLICIES)
        gives = ["second bot's entry", draw.choice(CLUSTERS), who, policy]
        told.insert(draw.randrange(len(told) + 1), gives)
    return told


def _with_store(draw: _Draw, steps: Steps) -> Steps:
    """The story where the store has troubles: for a while, with all that happens meanwhile."""
    begins = draw.randrange(1, len(steps) + 1)
    ends = min(begins + draw.choice((1, 2, 3, 6)), len(steps))
    if draw.random() < 0.5:
        first, last = ["store kept"], ["store back"]
    else:
        first, last = ["store", draw.choice((READS, LOCKED, FULL))], ["store", None]
    everything: list[Any] = ["tick", list(CHANGING)]
    later: Steps = [["time", draw.choice((1, 30, 300))]] if draw.random() < 0.5 else []
    during = [*steps[begins:ends], everything, *later, everything]
    return [*steps[:begins], first, *during, last, everything, *steps[ends:]]


def _with_odd_things(draw: _Draw, steps: Steps) -> Steps:
    """The story where AWS and Slack do what nobody has foreseen."""
    told = list(steps)
    for _ in range(draw.choice((1, 2, 3))):
        waits = ("601", "86400", "2.5", "Tue, 03 Mar 2026 09:00:00 GMT", "")
        odd = draw.choice(
            (
                ["raise", draw.randrange(8), draw.choice((1, 1, 2, 5))],
                ["odd answers", "aws", HALF, draw.choice((1, 2, 3))],
                ["odd answers", "slack", HALF, draw.choice((1, 2, 5))],
                ["odd answers", "slack", draw.choice(waits), draw.choice((1, 2))],
            )
        )
        told.insert(draw.randrange(len(told)), odd)
    if draw.random() < 0.2:
        told.insert(draw.randrange(1, len(told) + 1), ["role replaced"])
    asks = [at for at, step in enumerate(told) if step[0] == "ask"]
    if asks and draw.random() < 0.2:
        # Soon after somebody asked for access there, and in most cases got it.
        at = draw.choice(asks)
        told.insert(min(at + draw.choice((2, 3, 4)), len(told)), ["cluster gone", told[at][2]])
    elif asks and draw.random() < 0.3:
        at = draw.choice(asks)
        _, who, cluster, *_ = told[at]
        at = min(at + draw.choice((2, 3, 4)), len(told))
        told[at:at] = [*_all(), ["others", "delete", cluster, who, None]]
    if draw.random() < 0.3:
        told.insert(draw.randrange(1, len(told) + 1), ["slack refuses", draw.choice(REFUSALS)])
    return told


def _with_backstop(draw: _Draw, seed: int, steps: Steps) -> Steps:
    """The story where EventBridge Scheduler has a part, and may fail; some end without a bot."""
    told: Steps = []
    for step in steps:
        if step[0] == "jump":
            continue
        if step[0] == "tick" and "access" in step[1]:
            step = ["tick", [*step[1], "backstops", "access", "backstops"]]  # noqa: PLW2901
        if draw.random() < 0.15:
            kinds = ("throttled", "server error", "connection cut", "answer lost", "denied")
            told.append(["aws", draw.choice(kinds), draw.choice(_SCHEDULE_CALLS), 1])
        told.append(step)
    return [*told, ["gone for good"]] if seed // 10 % 3 == 0 else told


def _setting(draw: _Draw, seed: int) -> Json:
    kinds = ("automatic", "one", "two", "platform")
    return {
        "backstop": seed % 10 == BACKSTOP_AT,
        "strikes_after": (0, 40, 0, 1500)[seed // 10 % 4],
        "database": "postgresql" if seed % POSTGRESQL_EVERY == 0 else "sqlite",
        "standing": {name: draw.choice(("refuse", "augment")) for name in CLUSTERS},
        "repair": draw.choice((True, False)),
        "shared": draw.choice(([], [], [ANA, EVE], [ANA, BEN])),
        "approvals": {
            "lab": draw.choice(("automatic", "automatic", "automatic", "one")),
            "payments": draw.choice(("automatic", *kinds)),
            "vault": draw.choice(("one", "two", "platform")),
            "whole clusters": draw.choice(("automatic", "automatic", *kinds)),
        },
    }


def _which(draw: _Draw) -> int:
    """A request by its place: mostly the newest."""
    return draw.choice((-1, -1, -1, -1, -2, -2, -3, draw.randrange(6)))


def _who(draw: _Draw) -> str:
    """Mostly those who may."""
    return draw.choice((BEN, BEN, CLEO, CLEO, DAN, DAN, ANA, EVE, GUEST, OUTSIDER))


def _asked(draw: _Draw) -> list[Any]:
    who = draw.choice((ANA, ANA, ANA, EVE, EVE, BEN, DAN, draw.choice(EVERYBODY)))
    minutes = draw.choice((1, 5, 20, 30, 60, 60, 110))
    if draw.random() < 0.3:
        level = draw.choice(("view", "admin", "deployer", "operator"))
        draw.who, draw.cluster = who, draw.choice(CLUSTERS)
        return ["ask", who, draw.cluster, level, [], minutes]
    cluster = draw.choice((LAB, PROD))
    draw.who, draw.cluster = who, cluster
    spaces = draw.sample(NAMESPACES, draw.choice((1, 1, 1, 2)))
    return ["ask", who, cluster, draw.choice(("view", "view", "edit")), sorted(spaces), minutes]


def _ask(draw: _Draw) -> Steps:
    """Somebody asks, and in most cases owners say yes and the loops do their work."""
    asked = _asked(draw)
    owners = _OWNERS[draw.approvals[_rule(asked)]]
    if owners and draw.random() < 0.1:
        owners = draw.choice(((draw.who,), (EVE, GUEST), (OUTSIDER, BEN), (CLEO, CLEO)))
    steps: Steps = [asked]
    if owners:
        steps.append(["tick", ["inbox"]])
    if owners and draw.random() < 0.2:
        no = (
            ["type", "deny", owners[0]],
            ["submit", "deny", owners[0]],
            ["type", "cancel", draw.who],
        )
        steps.append([*draw.choice(no), -1])
    for who in owners:
        steps.append([draw.choice(("type", "click")), "approve", who, -1])
    return steps + (_tick(draw) if draw.random() < 0.9 else [])


_OWNERS: dict[str, tuple[str, ...]] = {
    "automatic": (),
    "one": (BEN,),
    "two": (CLEO, DAN),
    "platform": (DAN,),
}
"""Owners who can approve what a rule with such an approval covers."""


def _rule(asked: list[Any]) -> str:
    """The rule that a request is for."""
    _, _, cluster, _, namespaces, _ = asked
    if not namespaces:
        return "whole clusters"
    if cluster == LAB:
        return "lab"
    return "vault" if "vault" in namespaces else "payments"


def _break_glass(draw: _Draw) -> Steps:
    """Somebody who is on call, or is not, takes access at once."""
    who, cluster = draw.choice((ANA, ANA, DAN, DAN, EVE, GUEST)), draw.choice(CLUSTERS)
    draw.who, draw.cluster = who, cluster
    level, namespaces = draw.choice((("admin", []), ("edit", ["pay"]), ("edit", ["vault"])))
    step = ["break glass", who, cluster, level, namespaces, draw.choice((5, 20, 30, 60))]
    return [step, *_tick(draw)]


def _decide(draw: _Draw) -> Steps:
    how = draw.choice(
        (
            ["type", "approve"],
            ["click", "approve"],
            ["click", "approve"],
            ["type", "deny"],
            ["submit", "deny"],
        )
    )
    return [[*how, _who(draw), _which(draw)]]


def _give_back(draw: _Draw) -> Steps:
    what = draw.choice(("return", "return", "cancel"))
    how = draw.choice(("type", "click"))
    who = draw.choice((draw.who, draw.who, draw.who, _who(draw)))
    return [[how, what, who, draw.choice((-1, -1, _which(draw)))]]


def _extend(draw: _Draw) -> Steps:
    who = draw.choice((draw.who, draw.who, draw.who, _who(draw)))
    number = draw.choice((-1, -1, _which(draw)))
    if draw.random() < 0.3:
        return [["submit", "extend", who, number]]
    steps: Steps = [["extend", who, number, draw.choice((5, 20, 60, 300))], ["tick", ["inbox"]]]
    if draw.random() < 0.6:
        steps += [["click", "approve", draw.choice((BEN, CLEO, DAN)), -1], *_tick(draw)]
    return steps


def _again(_: _Draw) -> Steps:
    return [["again"]]


def _operator(draw: _Draw) -> Steps:
    return [["operator revokes", _which(draw)]]


def _person(draw: _Draw) -> Steps:
    what = draw.choice(("deactivated", "guest", "member", "member"))
    return [["person", draw.choice(MEMBERS), what]]


def _group(draw: _Draw) -> Steps:
    group = draw.choice((ENGINEERS, LEADS, PLATFORM))
    users = [user for user in (*MEMBERS, GUEST) if draw.random() < 0.5]
    return [["group", group, draw.choice((users, GROUPS[group]))]]


def _policy(draw: _Draw) -> Steps:
    return [["policy", draw.choice((*VARIANTS, "good", "good"))]]


def _others(draw: _Draw) -> Steps:
    first = _ask(draw) if draw.random() < 0.5 else []
    cluster, who = draw.cluster, draw.who
    if draw.random() < 0.3:
        cluster, who = draw.choice(CLUSTERS), draw.choice((ANA, ANA, EVE, BEN))
    what = draw.choice(
        (
            "create",
            "create",
            "orphan",
            "delete",
            "associate",
            "associate",
            "widen",
            "widen",
            "narrow",
            "narrow",
            "disassociate",
            "disassociate",
            "untag",
            "tag",
            "groups",
            "groups",
        )
    )
    more: Any = draw.choice(POLICIES)
    if what == "create":
        scopes = ([], ["theirs"], ["pay", "theirs"])
        policies = {policy: draw.choice(scopes) for policy in POLICIES if draw.random() < 0.4}
        more = {
            "tags": draw.choice(("terraform", "another")),
            "policies": policies,
            "groups": draw.choice(([], [], ["their-group"], ["deployers"])),
        }
        if draw.random() < 0.1:
            more |= {"type": "EC2_LINUX", "policies": {}, "groups": []}
    done: Steps = [["others", what, cluster, who, more]]
    return first + done + (_something(draw) if draw.random() < 0.3 else [])


def _time(draw: _Draw) -> Steps:
    return [["time", draw.choice((1, 5, 8, 45, 130, 600, 1200, 3600, 7300))]]


def _until(draw: _Draw) -> Steps:
    return [
        ["until", _which(draw)],
        ["tick", ["access", "waiting", "giving back", "revoking", "inbox", "messages", "drift"]],
    ]


def _jump(draw: _Draw) -> Steps:
    far = draw.choice((120, 3600, 18000, 90000))
    if draw.random() < 0.5:
        return [["jump", far], *_tick(draw), ["jump", -far]]
    return [["jump", draw.choice((far, -far))]]


def _tick(draw: _Draw) -> Steps:
    if draw.random() < 0.15:
        return [["tick", ["*"]]]
    order = list(CHANGING)
    draw.shuffle(order)
    if draw.random() < 0.25:
        order = order[: draw.randrange(1, len(order))]
    return [["tick", order]]


def _aws(draw: _Draw) -> Steps:
    kind = draw.choice(
        (
            "throttled",
            "throttled",
            "not there yet",
            "server error",
            "connection cut",
            "answer lost",
            "answer lost",
            "denied",
            "shown late",
            "shown late",
            "not there yet",
            "timed out",
            "timed out",
            "slow",
        )
    )
    operation: str | None = draw.choice((*_WRITES, *_WRITES, *_READS, None))
    if kind == "shown late":
        operation = draw.choice(_WRITES)
    if kind == "not there yet":
        operation = "AssociateAccessPolicy"
    if kind == "throttled":
        operation = draw.choice((None, "CreateAccessEntry", "AssociateAccessPolicy"))
    laid: Steps = [["aws", kind, operation, draw.choice((1, 1, 2, 3))]]
    return laid + _something(draw)


def _something(draw: _Draw) -> Steps:
    """What makes the bot call EKS soon."""
    kind = draw.choice((_ask, _ask, _ask, _give_back, _until, _operator))
    return [*kind(draw), ["tick", ["giving back", "revoking", "inbox", "access", "messages"]]]


def _slack(draw: _Draw) -> Steps:
    kind = draw.choice(("down", "rate limited", "cut", "posted, answer lost", "error"))
    laid: Steps = [["slack", kind, draw.choice(_METHODS), draw.choice((1, 1, 2, 4))]]
    return laid + _something(draw)


def _archive(draw: _Draw) -> Steps:
    return [["archive", draw.choice(CHANNELS)]]


def _crash(draw: _Draw) -> Steps:
    armed: Steps = [["crash", draw.randrange(50), draw.random() < 0.2]]
    return armed + _something(draw)


def _outage(draw: _Draw) -> Steps:
    # Before a tick, not before a click: what is said of a click then is said in the background.
    return [["outage", draw.randrange(12), draw.random() < 0.4], *_tick(draw)]


def _meanwhile(draw: _Draw) -> Steps:
    happens = draw.choice(
        (
            ["operator revokes", _which(draw)],
            ["time", draw.choice((1, 5, 9))],
            ["type", "return", draw.who, _which(draw)],
            ["tick", ["inbox", "messages"]],
            ["tick", ["giving back", "revoking", "inbox", "access", "messages", "waiting"]],
        )
    )
    return [["meanwhile", draw.randrange(8), happens], *_something(draw)]


def _revoke(draw: _Draw) -> Steps:
    """An owner of the place, or somebody who owns nothing there, takes access away."""
    first = _ask(draw) if draw.random() < 0.7 else []
    return [*first, [draw.choice(("type", "click")), "revoke", _who(draw), -1], *_tick(draw)]


def _review(draw: _Draw) -> Steps:
    """Break-glass, given back or revoked, and looked at afterwards by whoever may or may not."""
    over = draw.choice((["type", "return", ANA, -1], ["operator revokes", -1], ["until", -1]))
    steps: Steps = [["break glass", ANA, LAB, "admin", [], 20], *_all(), over, *_all()]
    who = draw.choice((BEN, BEN, CLEO, CLEO, ANA, DAN, GUEST))
    steps += [["type", "review", who, -1], *_all()]
    return steps + (_break_glass(draw) if draw.random() < 0.3 else [])


def _lockdown(draw: _Draw) -> Steps:
    """Lockdown comes while somebody asks or waits for an approval, and goes again or stays."""
    begins: Steps = [["lockdown", True, draw.random() < 0.5]]
    during = draw.choice((_ask, _ask, _decide, _extend, _break_glass))(draw)
    ends: Steps = [["lockdown", False, False]] if draw.random() < 0.7 else []
    return [*(_ask(draw) if draw.random() < 0.5 else []), *begins, *during, *_tick(draw), *ends]


def _left(draw: _Draw) -> Steps:
    """An owner is put out of the group, or let into it, between the request and their approval."""
    was, is_now = draw.choice((([BEN, CLEO], [BEN]), ([BEN], [BEN, CLEO])))
    asked: Steps = [["ask", draw.choice((ANA, EVE)), PROD, "view", ["vault"], 30]]
    decided: Steps = [["type", "approve", CLEO, -1], *_all()]
    return [["group", LEADS, was], *asked, *_all(), ["group", LEADS, is_now], *decided]


def _all() -> Steps:
    return [["tick", list(CHANGING)]]


def _restart(_: _Draw) -> Steps:
    return [["restart"]]


def _calm(_: _Draw) -> Steps:
    return [["calm"]]


_KINDS: list[tuple[Draw, float]] = [
    (_ask, 34),
    (_break_glass, 6),
    (_decide, 8),
    (_give_back, 10),
    (_extend, 8),
    (_again, 2),
    (_operator, 5),
    (_person, 3),
    (_group, 2),
    (_policy, 4),
    (_others, 10),
    (_time, 6),
    (_until, 4),
    (_jump, 2),
    (_aws, 16),
    (_slack, 5),
    (_archive, 1),
    (_crash, 9),
    (_outage, 2),
    (_meanwhile, 4),
    (_restart, 0.5),
    (_calm, 1),
]
_AFTERWARDS: list[tuple[Draw, float]] = [
    (_revoke, 30),
    (_review, 30),
    (_lockdown, 30),
    (_left, 30),
]
