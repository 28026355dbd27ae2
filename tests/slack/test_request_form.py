"""The request form for any policy, and what comes back from it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from view_examples import HOUR, NOW, check_view, hostile, read

from bot.core.choices import Choices, choices_for
from bot.core.model import Ask
from bot.core.offers import clusters_under
from bot.core.policy import Policy
from bot.core.rule_choice import Spent, Usage
from bot.sandbox.slack_limits import options_problems
from bot.slack.fields import cluster_options
from bot.slack.form_state import block_of, by_field, read_entered
from bot.slack.inputs import field_of
from bot.slack.request_form import request_modal
from bot.slack.submissions import read_submission

ANA = "U01ANA"
APPROVAL = {"channel": "C01PAY", "owners": {"users": ["U02BEN"], "groups": ["S02PAY"]}}
LEVELS = {
    "view": {"policy": "AmazonEKSViewPolicy"},
    "edit": {"policy": "AmazonEKSEditPolicy"},
    "root": {"policy": "AmazonEKSClusterAdminPolicy", "scope": "cluster"},
}


def cluster(name: str, **labels: str) -> dict[str, Any]:
    return {"name": name, "region": "eu-west-1", "account": "111122223333", "labels": labels}


def rule(name: str, levels: Sequence[str], **changes: Any) -> dict[str, Any]:
    where = {} if "scope" in changes or "namespaces" in changes else {"namespaces": ["a"]}
    shared = {"clusters": ["*"], "approval": "automatic", "max_duration": "4h"}
    return {"name": name, "levels": list(levels), **shared, **where, **changes}


def policy(rules: Sequence[dict[str, Any]], clusters: Sequence[dict[str, Any]] = ()) -> Policy:
    return Policy.model_validate(
        {
            "deployment": "acme",
            "clusters": list(clusters) or [cluster("lab", env="lab"), cluster("prod-eu")],
            "levels": LEVELS,
            "principals": {"users": {ANA: "arn:aws:iam::{account}:role/ana"}},
            "rules": list(rules),
        }
    )


def chosen(of: Policy, ask: Ask, used: Usage | None = None) -> Choices:
    return choices_for(of, clusters_under(of, of.rules), ANA, {}, ask, now=NOW, usage=used or {})


def view(of: Policy, ask: Ask, used: Usage | None = None) -> dict[str, Any]:
    return check_view(request_modal(chosen(of, ask, used), ANA))


def element(shown: dict[str, Any], field: str) -> dict[str, Any]:
    (found,) = (
        block
        for block in shown["blocks"]
        if block["type"] == "input" and field_of(block["block_id"]) == field
    )
    return found["element"]


def submitted(shown: dict[str, Any]) -> dict[str, Any]:
    """The state that Slack sends for a view in which nobody touched anything."""
    kept: dict[str, Any] = {}
    for block in shown["blocks"]:
        if block["type"] != "input":
            continue
        held = block["element"]
        answer = {
            "plain_text_input": {"value": held.get("initial_value")},
            "datetimepicker": {"selected_date_time": held.get("initial_date_time")},
            "multi_static_select": {"selected_options": held.get("initial_options", [])},
        }.get(held["type"], {"selected_option": held.get("initial_option")})
        kept[block["block_id"]] = {held["action_id"]: {"type": held["type"], **answer}}
    return {"values": kept}


def values(held: dict[str, Any]) -> list[str]:
    groups = held.get("option_groups", [held])
    return [option["value"] for group in groups for option in group["options"]]


TWO = policy(
    [
        rule("automatic", ["view"], namespaces=["a", "b"]),
        rule("asked", ["view"], namespaces=["c"], approval=APPROVAL, max_duration="8h"),
        rule("edit", ["edit"], namespaces=["pay", "pay-*"], approval=APPROVAL, ticket="P-[0-9]+"),
        rule("whole", ["root"], scope="cluster", approval={**APPROVAL, "required": 2}),
    ]
)


def test_first_there_is_the_cluster_and_what_hangs_on_nothing() -> None:
    assert read(view(TWO, Ask("", ""))["blocks"]) == [
        "Cluster: static_select",
        "Levels, namespaces and durations follow from the cluster.",
        "Reason: plain_text_input",
        "Ticket: plain_text_input",
    ]


def test_nothing_in_the_form_is_hidden_from_the_person() -> None:
    assert "private_metadata" not in view(TWO, Ask("prod-eu", "edit"))


def test_the_whole_form_reads_as_what_will_happen() -> None:
    assert read(view(TWO, Ask("prod-eu", "edit", ("pay",)))["blocks"]) == [
        "Cluster: static_select",
        ":warning: *Production:* *prod-eu* is in production.",
        "Level: static_select",
        "*edit* on *prod-eu*:",
        "Edit can change workloads, read secrets, exec into pods and act as service accounts in "
        "this namespace.",
        "Namespaces: plain_text_input",
        "For how long: static_select",
        "Start: datetimepicker",
        "*Who decides:* one of <!subteam^S02PAY> and <@U02BEN> approves, asked in <#C01PAY> (rule "
        "*edit*).",
        "At most 4 h.",
        "Reason: plain_text_input",
        "Ticket, required by edit here or in the reason: plain_text_input",
    ]


def test_where_namespaces_have_different_rules_it_says_so_until_they_are_chosen() -> None:
    lines = read(view(TWO, Ask("lab", "view"))["blocks"])
    assert "*Who decides* hangs on the namespaces:" in lines
    assert "`a` and `b`: nobody has to approve (rule *automatic*, automatic). At most 4 h." in lines
    both = read(view(TWO, Ask("lab", "view", ("b", "c")))["blocks"])
    assert "*Who decides:* every one of these." in both
    alone = read(view(TWO, Ask("lab", "view", ("b",)))["blocks"])
    assert (
        "*Automatic:* nobody has to approve. *automatic* gives it at once, for at most 4 h."
        in alone
    )


def test_namespaces_are_a_list_where_the_rules_name_them_and_typed_otherwise() -> None:
    listed = element(view(TWO, Ask("lab", "view")), "namespaces")
    assert (listed["type"], values(listed)) == ("multi_static_select", ["a", "b", "c"])
    assert listed["max_selected_items"] == 20
    assert element(view(TWO, Ask("lab", "edit")), "namespaces")["type"] == "plain_text_input"


def test_durations_go_up_to_the_shortest_maximum_of_the_rules_that_decide() -> None:
    def offered(*names: str) -> list[str]:
        return values(element(view(TWO, Ask("lab", "view", names)), "duration"))

    assert offered()[-1] == "8h"
    assert offered("a")[-1] == "4h"
    assert offered("c")[-1] == "8h"
    assert offered("a", "c")[-1] == "4h"
    shown = element(view(TWO, Ask("lab", "view", ("a",), 8 * HOUR)), "duration")
    assert shown["initial_option"]["value"] == "1h"


def test_a_choice_is_kept_under_its_id_only_while_the_offer_is_the_same() -> None:
    def block_ids(ask: Ask) -> dict[str, str]:
        ids = [one["block_id"] for one in view(TWO, ask)["blocks"] if one["type"] == "input"]
        return {field_of(one): one for one in ids}

    lab, edit = block_ids(Ask("lab", "view")), block_ids(Ask("lab", "edit"))
    prod = block_ids(Ask("prod-eu", "view"))
    assert lab["level"] == edit["level"] != prod["level"]
    assert lab["namespaces"] != edit["namespaces"]
    assert all(one[name] == name for one in (lab, edit, prod) for name in ("reason", "ticket"))


def test_options_mark_production_in_words() -> None:
    options = element(view(TWO, Ask("", "")), "cluster")["options"]
    assert [one["text"]["text"] for one in options] == ["lab", "prod-eu · production"]


def test_more_than_a_hundred_clusters_are_searched_for() -> None:
    def shown(number: int, name: str = "") -> dict[str, Any]:
        clusters = [cluster(f"c{place:03}") for place in range(number)]
        return element(view(policy(TWO_RULES, clusters), Ask(name, "")), "cluster")

    assert shown(100)["type"] == "static_select"
    assert shown(101)["type"] == "external_select"
    assert shown(101, "c100")["initial_option"]["value"] == "c100"
    assert shown(1)["initial_option"]["value"] == "c000"


TWO_RULES = [rule("automatic", ["view"], namespaces=["a"])]


def test_suggestions_begin_with_names_that_begin_with_the_query() -> None:
    of = policy(TWO_RULES, [cluster(name) for name in ("eu-prod", "prod-us", "lab", "prod-eu")])
    found = cluster_options("PROD", clusters_under(of, of.rules))
    assert [one["value"] for one in found] == ["prod-eu", "prod-us", "eu-prod"]


@pytest.fixture(scope="module")
def crowded() -> Policy:
    """10,000 clusters with the longest names, 500 namespaces, 1,000 rules and 150 levels."""
    names = [f"ns-{number:03}-{'y' * 56}" for number in range(500)]
    owners = {"users": [f"U0{n:08}" for n in range(50)], "groups": [f"S0{n:08}" for n in range(50)]}
    approval = {"channel": "C01PAY", "owners": owners, "required": 3}
    levels = [f"level-{number:03}" for number in range(150)]
    rules = [
        rule(
            f"rule {number} {'z' * 40}",
            [levels[number % 140]] if number < 900 else levels,
            namespaces=names if number % 3 else [*names, "dev-*"],
            approval=approval if number % 2 else "automatic",
            clusters=[f"{'p' * 80}-*", {"labels": {"env": "lab"}}],
            **({"ticket": f"T{'0' * 40}-{number}"} if number % 5 else {}),
        )
        for number in range(990)
    ]
    rules += [rule(f"team {n}", levels[:9], clusters=[f"team-{n:05}-*"]) for n in range(10)]
    return Policy.model_validate(
        {
            "deployment": "acme",
            "clusters": [
                cluster(f"{'p' * 80}-{number:05}", env="lab" if number % 2 else "prod")
                for number in range(10_000)
            ],
            "levels": {name: {"policy": "AmazonEKSEditPolicy"} for name in levels},
            "principals": {"users": {ANA: "arn:aws:iam::{account}:role/ana"}},
            "rules": rules,
        }
    )


def test_slack_takes_the_form_of_the_largest_policy(crowded: Policy) -> None:
    began = time.monotonic()
    clusters = clusters_under(crowded, crowded.rules)
    assert len(clusters) == 10_000
    names = tuple(f"ns-{number:03}-{'y' * 56}" for number in range(20))
    for level in ("", "level-000", "level-149", "nope"):
        for namespaces in ((), names):
            ask = Ask(clusters[77].name, level, namespaces, HOUR, reason="x" * 3000)
            choices = choices_for(crowded, clusters, ANA, {}, ask, now=NOW, usage={})
            check_view(request_modal(choices, ANA))
    options = cluster_options("p", clusters)
    assert len(options) == 100
    assert options_problems({"options": options}) == []
    assert time.monotonic() - began < 60  # seconds: a guard against work that grows by product


names = st.sampled_from(["a", "b", "c", "kube-system", "dev-*", "*", "x" * 63])
policies = st.builds(
    policy,
    st.lists(
        st.builds(
            rule,
            st.text("abc", min_size=1, max_size=5),
            st.lists(st.sampled_from(list(LEVELS)), min_size=1, unique=True),
            namespaces=st.lists(names, min_size=1, max_size=4, unique=True),
            approval=st.sampled_from(["automatic", APPROVAL, {**APPROVAL, "required": 10}]),
            max_duration=st.sampled_from(["1s", "7m", "90m", "30d"]),
            ticket=st.sampled_from([None, "[A-Z]+", "T" * 100]),
        )
        | st.builds(rule, st.just("w"), st.just(["view", "root"]), scope=st.just("cluster")),
        max_size=5,
    ),
)
asks = st.builds(
    Ask,
    cluster=st.sampled_from(["lab", "prod-eu", ""]) | hostile,
    level=st.sampled_from([*LEVELS, ""]) | hostile,
    namespaces=st.lists(names | hostile, max_size=4).map(tuple),
    duration=st.none() | st.timedeltas(timedelta(-1), timedelta(400)),
    start_at=st.none() | st.integers(-300, 300).map(lambda days: NOW + timedelta(days)),
    ticket=st.none() | hostile,
    reason=st.just("why") | hostile,
)


@given(policies, asks)
@settings(max_examples=100)
def test_slack_takes_every_form_and_gives_back_what_it_shows(of: Policy, ask: Ask) -> None:
    choices = chosen(of, ask)
    if not choices.clusters:
        return
    shown = check_view(request_modal(choices, ANA))
    entered = read_entered(submitted(shown))
    kept = choices.entered
    assert (entered.cluster, entered.level) == (kept.cluster, kept.level)
    assert set(entered.namespaces) == set(kept.namespaces)
    if choices.level is not None and kept.reason == "why":
        again = read_submission(by_field(submitted(shown)))
        assert (again.cluster, again.level) == (kept.cluster, kept.level)
        assert again.duration is not None
        assert again.duration <= choices.max_duration


@given(policies, asks)
@settings(max_examples=50)
def test_drawing_the_form_again_changes_nothing(of: Policy, ask: Ask) -> None:
    first = chosen(of, ask)
    if not first.clusters:
        return
    entered = read_entered(submitted(request_modal(first, ANA)))
    second = chosen(of, entered)
    assert second.rules == first.rules
    assert replace(second.entered, duration=None, namespaces=()) == replace(
        first.entered,
        duration=None,
        namespaces=(),
        reason=first.entered.reason[:3000],
        ticket=(first.entered.ticket or "")[:100] or None,
    )


OFFICE = {"days": ["mon-fri"], "hours": "09:00-17:00", "time_zone": "UTC"}  # NOW is in it
CAPPED = policy(
    [
        rule("by day", ["view"], approval={"automatic": {"per_day": 2}}, when=OFFICE),
        rule("asked", ["view"], approval=APPROVAL),
        rule("office", ["edit"], when=OFFICE),
        rule("little", ["root"], scope="cluster", approval={"automatic": {"time_per_day": "3h"}}),
        rule("much", ["root"], scope="cluster", approval=APPROVAL),
    ],
    [cluster("lab")],
)
NIGHT = NOW.replace(hour=22)


def decides(shown: dict[str, Any]) -> list[str]:
    return read([block for block in shown["blocks"] if block["block_id"] in {"decides", "passed"}])


def test_the_form_says_what_automatic_rules_have_given_and_what_is_left() -> None:
    shown = decides(view(CAPPED, Ask("lab", "view"), {"by day": Spent(1, HOUR)}))
    assert shown == [
        "*Automatic:* nobody has to approve. *by day* gives it at once, for at most 4 h.",
        "Of *by day* you have had 1 of 2 times in 24 hours.",
    ]
    shown = decides(view(CAPPED, Ask("lab", "root", (), HOUR), {}))
    assert "Of *little* you have had nothing of 3 h in 24 hours." in shown


def test_a_rule_that_is_used_up_leaves_it_to_the_next_and_says_so() -> None:
    used = {"by day": Spent(2, HOUR), "little": Spent(1, 2 * HOUR)}
    shown = decides(view(CAPPED, Ask("lab", "view"), used))
    assert shown[0].startswith("*Who decides:* one of <!subteam^S02PAY> and <@U02BEN> approves")
    assert shown[-1].startswith("Rule by day gives at most 2 times in 24 hours")
    short, long = (decides(view(CAPPED, Ask("lab", "root", (), n * HOUR), used)) for n in (1, 2))
    assert short[0].startswith("*Automatic:*")
    assert long[0].startswith("*Who decides:*")


def test_the_length_and_the_start_tell_at_once_where_rules_hang_on_time() -> None:
    def tell(of: Policy, level: str) -> dict[str, bool]:
        return {
            field_of(block["block_id"]): block.get("dispatch_action", False)
            for block in view(of, Ask("lab", level))["blocks"]
            if field_of(block["block_id"]) in {"duration", "start"}
        }

    assert tell(CAPPED, "root") == {"duration": True, "start": True}
    assert tell(TWO, "view") == {"duration": False, "start": False}


def test_outside_its_window_a_rule_is_passed_over_unless_the_start_is_within() -> None:
    clusters = clusters_under(CAPPED, CAPPED.rules)
    ask = Ask("lab", "edit")
    night = choices_for(CAPPED, clusters, ANA, {}, ask, now=NIGHT, usage={})
    assert decides(check_view(request_modal(night, ANA))) == [
        "*Nobody* can give it at that time, or for so long.",
        "Rule office holds only mon-fri 09:00-17:00 (UTC).",
    ]
    start = NOW + 20 * HOUR
    later = choices_for(
        CAPPED, clusters, ANA, {}, replace(ask, start_at=start), now=NIGHT, usage={}
    )
    shown = check_view(request_modal(later, ANA))
    assert decides(shown)[0].startswith("*Automatic:*")
    assert element(shown, "start")["initial_date_time"] == int(start.timestamp())


PARTS = APPROVAL | {
    "also": [{"name": "security", "channel": "C0SEC", "owners": {"groups": ["S05SEC"]}}]
}


def test_each_part_of_an_approval_is_named_with_its_channel() -> None:
    of = policy([rule("pay", ["view"], approval=PARTS)], [cluster("lab")])
    assert decides(view(of, Ask("lab", "view")))[0] == (
        "*Who decides:* one of <!subteam^S02PAY> and <@U02BEN> in <#C01PAY> and one of "
        "<!subteam^S05SEC> for security in <#C0SEC> approve (rule *pay*)."
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["values", "value", "selected_option", "selected_options", "state", "blocks"]
            )
            | st.sampled_from(["cluster", "level:1", "level", "namespaces:", "reason", "block_id"])
            | st.sampled_from(["start", "selected_date_time"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_can_be_drawn_again(state: object) -> None:
    entered = read_entered(json.loads(json.dumps(state)))
    check_view(request_modal(chosen(TWO, entered), ANA))


@given(st.dictionaries(st.sampled_from(["blocks", "state"]), json_values))
def test_an_error_always_has_a_block(shown: dict[str, Any]) -> None:
    assert isinstance(block_of("level", shown), str)


def test_an_error_of_a_field_that_is_not_shown_stands_at_the_cluster() -> None:
    shown = view(TWO, Ask("", ""))
    assert block_of("level", shown) == "cluster"
    assert block_of("reason", shown) == "reason"
    assert block_of("level", view(TWO, Ask("lab", "view"))).startswith("level:")


WHOLE = policy(
    [rule("whole", ["view", "edit"], scope="cluster"), rule("root", ["root"], scope="cluster")]
)


def test_the_whole_cluster_is_never_what_an_empty_field_means() -> None:
    shown = view(WHOLE, Ask("lab", "view"))
    box = element(shown, "whole_cluster")
    assert box["type"] == "checkboxes"
    assert "initial_options" not in box
    assert "Left empty, it is" not in str(shown)
    ticked = element(view(WHOLE, Ask("lab", "view", whole_cluster=True)), "whole_cluster")
    assert ticked["initial_options"] == ticked["options"]


def test_a_tick_for_the_whole_cluster_holds_for_what_it_was_shown_with() -> None:
    for cluster, level, whole in (
        ("lab", "view", True),
        ("lab", "edit", False),
        ("prod-eu", "view", False),
    ):
        box = element(view(WHOLE, Ask("lab", "view")), "whole_cluster")
        answers = {
            "cluster": {"selected_option": {"value": cluster}},
            "level": {"selected_option": {"value": level}},
            "duration": {"selected_option": {"value": "1h"}},
            "reason": {"value": "why"},
            "whole_cluster": {"selected_options": box["options"]},
        }
        state = {"values": {name: {name: answer} for name, answer in answers.items()}}
        assert read_submission(by_field(state)).whole_cluster is whole
        assert read_entered(state).whole_cluster is whole
