"""Policies, people, asks and circumstances made at random, small enough to meet each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from bot.core.model import Ask, Person
from bot.core.oncall import OnCall, OnCallFacts
from bot.core.policy import Policy
from bot.core.rule_choice import ANY_RULE, Spent

TEAM = "T01HOME"
USERS = ("U1A", "U1B", "U1C", "U1D")
GROUPS = ("S1A", "S1B", "S1C")
NAMESPACES = ("n1", "n2", "dev-a", "kube-system", "other")
LEVELS = ("view", "edit", "root")
CLUSTERS = ("prod", "lab")
MOMENTS = tuple(
    datetime(2026, 11, day, hour, 30, tzinfo=UTC) for day in (24, 28) for hour in (3, 12)
)
SCHEDULES = ("pagerduty", ("P1",))

WINDOWS = (
    {"days": ["mon-fri"], "time_zone": "UTC"},
    {"hours": "09:00-17:00", "time_zone": "UTC"},
    {"days": ["mon-fri"], "hours": "09:00-17:00", "time_zone": "Europe/Berlin"},
)


def people(users=USERS, groups=GROUPS, channels=()):
    def named(users, groups, channels):
        return {
            key: value
            for key, value in (("users", users), ("groups", groups), ("channels", channels))
            if value
        }

    return st.builds(
        named,
        st.lists(st.sampled_from(users), max_size=2, unique=True),
        st.lists(st.sampled_from(groups), max_size=1),
        st.lists(st.sampled_from(channels), max_size=1) if channels else st.just([]),
    ).filter(bool)


def optional(strategy):
    return st.none() | strategy


def without_none(mapping):
    return {key: value for key, value in mapping.items() if value is not None}


LENGTHS = st.sampled_from(["30m", "1h", "4h"])
OWNERS = people(channels=("C1X",))
BY_OWNERS = st.fixed_dictionaries(
    {
        "channel": st.sampled_from(["C1X", "C1Y"]),
        "owners": OWNERS,
        "required": st.integers(1, 2),
        "also": st.lists(
            st.fixed_dictionaries(
                {"name": st.just("security"), "owners": OWNERS, "required": st.integers(1, 2)}
            ),
            max_size=1,
        ),
        "escalate": optional(
            st.fixed_dictionaries(
                {"after": st.just("20m"), "channel": st.just("C1Y"), "owners": OWNERS}
            )
        ),
        "delegation": optional(
            st.fixed_dictionaries({"longest": st.just("7d"), "to": optional(people())}).map(
                without_none
            )
        ),
    }
).map(without_none)
AUTOMATIC = st.just("automatic") | st.fixed_dictionaries(
    {
        "automatic": st.fixed_dictionaries(
            {
                "per_day": optional(st.integers(1, 2)),
                "time_per_day": optional(st.sampled_from(["1h", "2h"])),
            }
        ).map(without_none)
    }
)
WHERE = st.just({"scope": "cluster"}) | st.builds(
    lambda names: {"namespaces": names},
    st.lists(
        st.sampled_from(["n1", "n2", "n?", "dev-*", "*", "kube-system"]),
        min_size=1,
        max_size=2,
        unique=True,
    ),
)
SELECTORS = st.lists(
    st.sampled_from(["prod", "lab", "*", "pr*"]) | st.just({"labels": {"env": "lab"}}),
    min_size=1,
    max_size=1,
)


@st.composite
def rules(draw, name="r"):
    where = draw(WHERE)
    given = LEVELS if "scope" in where else LEVELS[:2]
    return without_none(
        {
            "name": name,
            "clusters": draw(SELECTORS),
            "levels": draw(st.lists(st.sampled_from(given), min_size=1, max_size=2, unique=True)),
            **where,
            "requesters": draw(optional(people())),
            "approval": draw(AUTOMATIC | BY_OWNERS),
            "max_duration": draw(LENGTHS),
            "ticket": draw(optional(st.just("T-[0-9]+"))),
            "when": draw(optional(st.sampled_from(WINDOWS))),
        }
    )


@st.composite
def entries(draw):
    return {
        "clusters": draw(SELECTORS),
        "levels": draw(st.lists(st.sampled_from(LEVELS), min_size=1, max_size=2, unique=True)),
        "responders": draw(
            people()
            | st.builds(
                lambda fallback: without_none(
                    {"pagerduty": {"schedules": ["P1"]}, "fallback": fallback}
                ),
                optional(people()),
            )
        ),
        "max_duration": draw(LENGTHS),
        "review": {"owners": draw(people()), "within": "24h"},
    }


def raw_policy(rules, break_glass=(), **changes):
    """The file's content as data."""
    return {
        "deployment": "acme",
        "security_channel": "C1SEC",
        "clusters": [
            {"name": "prod", "region": "eu-west-1", "account": "111122223333"},
            {
                "name": "lab",
                "region": "eu-west-1",
                "account": "111122223333",
                "labels": {"env": "lab"},
            },
        ],
        "levels": {
            "view": {"policy": "AmazonEKSViewPolicy"},
            "edit": {"policy": "AmazonEKSEditPolicy"},
            "root": {"policy": "AmazonEKSClusterAdminPolicy", "scope": "cluster"},
        },
        "principals": {
            "users": {user: f"arn:aws:iam::{{account}}:role/jit/{user}" for user in USERS},
            "email_domains": ["example.com"],
        },
        "rules": [one | {"name": f"r{place}"} for place, one in enumerate(rules)],
        "break_glass": list(break_glass),
        **changes,
    }


@st.composite
def raw_policies(draw, most_rules=4, most_entries=2):
    return raw_policy(
        draw(st.lists(rules(), max_size=most_rules)),
        draw(st.lists(entries(), max_size=most_entries)),
    )


def built(raw):
    return Policy.model_validate(raw)


ASKS = st.builds(
    Ask,
    cluster=st.sampled_from([*CLUSTERS, "nowhere"]),
    level=st.sampled_from([*LEVELS, "none"]),
    namespaces=st.lists(st.sampled_from([*NAMESPACES, "NO"]), max_size=2).map(tuple),
    duration=st.sampled_from([None, timedelta(minutes=30), timedelta(hours=1), timedelta(hours=3)]),
    start_at=st.sampled_from([None, None, *MOMENTS]),
    ticket=st.sampled_from([None, "T-1", "X"]),
    reason=st.sampled_from(["a stuck job", "a stuck job", ""]),
    whole_cluster=st.booleans(),
)
"""Asks of which most are well-formed, and some are not."""

FITTING_ASKS = st.builds(
    Ask,
    cluster=st.sampled_from(CLUSTERS),
    level=st.sampled_from(["view", "view", "edit", "root"]),
    namespaces=st.sampled_from([(), ("n1",), ("n1",), ("n2", "dev-a"), ("kube-system",)]),
    duration=st.sampled_from([timedelta(minutes=30), timedelta(hours=1), timedelta(hours=3)]),
    ticket=st.sampled_from([None, "T-1"]),
    reason=st.just("a stuck job"),
).map(lambda ask: replace(ask, whole_cluster=not ask.namespaces))
"""Asks of valid form for what there is: of these, most hang on the rules alone."""

PEOPLE = st.builds(
    Person,
    id=st.sampled_from(USERS),
    team_id=st.just(TEAM),
    name=st.just("Somebody"),
    email=st.sampled_from([None, "a@example.com"]),
    email_confirmed=st.booleans(),
    is_guest=st.sampled_from([False] * 7 + [True]),
)


def memberships(known):
    """Who is in which group. `known` draws the groups that somebody answered for."""
    return known.flatmap(
        lambda groups: st.fixed_dictionaries(
            {group: st.frozensets(st.sampled_from(USERS), max_size=3) for group in (*groups, "C1X")}
        )
    )


ALL_MEMBERS = memberships(st.just(GROUPS))
SOME_MEMBERS = memberships(st.sampled_from([GROUPS, GROUPS[:2], GROUPS[1:]]))
SPENT = st.dictionaries(
    st.sampled_from(["r0", "r1", "r2"]),
    st.builds(Spent, st.integers(0, 2), st.sampled_from([timedelta(), timedelta(hours=1)])),
    max_size=2,
)
REVOKED = st.sampled_from([{}, {}, {ANY_RULE: Spent(revoked="7K3-QMX")}])
USAGE = st.builds(lambda spent, revoked: {**spent, **revoked}, SPENT, REVOKED)
ON_CALL: st.SearchStrategy[OnCallFacts] = st.sampled_from(
    [
        {},
        {SCHEDULES: OnCall()},
        {SCHEDULES: OnCall(available=False)},
        {SCHEDULES: OnCall(emails=frozenset({"a@example.com"}))},
    ]
)


@dataclass(frozen=True)
class Circumstances:
    """What besides the policy a decision depends on."""

    ask: Ask
    person: Person
    membership: dict
    now: datetime
    usage: dict
    on_call: dict


def circumstances(membership=SOME_MEMBERS, asks=ASKS):
    return st.builds(
        Circumstances, asks, PEOPLE, membership, st.sampled_from(MOMENTS), USAGE, ON_CALL
    )
