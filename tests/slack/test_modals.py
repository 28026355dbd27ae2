"""The forms, and what comes back from them: read as something anybody could have made up."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from view_examples import (
    ANA,
    HOUR,
    MINUTE,
    NAMES,
    check_view,
    hostile,
    live,
    read,
    request,
    requests,
)

from bot.core.errors import InvalidInput
from bot.core.model import AccessRequest, Ask
from bot.sandbox.slack_limits import options_problems
from bot.slack.modals import (
    Choices,
    cluster_options,
    deny_modal,
    extend_modal,
    loading_modal,
    notice_modal,
    request_modal,
)
from bot.slack.submissions import read_denial, read_extension, read_submission

CHOICES = Choices(
    clusters=("prod-eu", "lab"), levels=("view", "edit"), max_duration=8 * HOUR, duration=HOUR
)


def element(view: dict[str, Any], block_id: str) -> dict[str, Any]:
    (found,) = (block for block in view["blocks"] if block["block_id"] == block_id)
    return found["element"]


def values(element_: dict[str, Any]) -> list[str]:
    return [option["value"] for option in element_["options"]]


def submitted(view: dict[str, Any], **typed: Any) -> dict[str, Any]:
    """The state that Slack sends for a view, initial values and what a person chose."""
    kept: dict[str, Any] = {}
    for block in view["blocks"]:
        if block["type"] != "input":
            continue
        name, kind = block["block_id"], block["element"]["type"]
        chosen = typed.get(name)
        answer: dict[str, Any] = {"type": kind}
        if kind == "plain_text_input":
            answer["value"] = chosen or block["element"].get("initial_value")
        elif kind == "multi_static_select":
            initial = block["element"].get("initial_options", [])
            answer["selected_options"] = (
                [{"value": one} for one in chosen] if chosen is not None else initial
            )
        else:
            initial = block["element"].get("initial_option")
            answer["selected_option"] = {"value": chosen} if chosen else initial
        kept[name] = {name: answer}
    return {"values": kept}


def test_the_form_asks_for_all_that_a_request_needs() -> None:
    view = check_view(request_modal(CHOICES))
    assert read(view["blocks"]) == [
        "Cluster: static_select",
        "Level: static_select",
        "Namespaces: plain_text_input",
        "For how long: static_select",
        "Reason: plain_text_input",
        "Ticket: plain_text_input",
    ]
    assert view["callback_id"] == "request"
    assert "private_metadata" not in view
    optional = {block["block_id"] for block in view["blocks"] if block["optional"]}
    assert optional == {"namespaces", "ticket"}


def test_what_is_filled_in_comes_back_as_the_ask() -> None:
    view = request_modal(CHOICES)
    state = submitted(
        view, cluster="prod-eu", level="edit", namespaces="b, a b", duration="2h", reason="why\nnot"
    )
    assert read_submission(state) == Ask("prod-eu", "edit", ("b", "a"), 2 * HOUR, reason="why\nnot")


@given(
    st.builds(
        Ask,
        cluster=st.sampled_from(CHOICES.clusters),
        level=st.sampled_from(CHOICES.levels),
        namespaces=st.lists(st.sampled_from(["a", "b", "kube-system"]), unique=True).map(tuple),
        duration=st.integers(1, 8 * 3600).map(lambda seconds: timedelta(seconds=seconds)),
        ticket=st.none() | st.just("PAY-1"),
        reason=st.sampled_from(["why", "two\nlines", "*x* <!here>"]),
    ),
    st.sampled_from([(), ("a", "b", "kube-system"), ("a",), ("*",)]),
)
@settings(deadline=None)
def test_a_form_filled_in_with_an_ask_submits_that_ask(ask: Ask, offered: tuple[str, ...]) -> None:
    view = check_view(request_modal(replace(CHOICES, namespaces=offered), state=ask))
    read_back = read_submission(submitted(view))
    assert set(read_back.namespaces) == set(ask.namespaces)
    assert replace(read_back, namespaces=ask.namespaces) == ask


def test_durations_go_up_to_what_a_rule_allows() -> None:
    assert values(element(request_modal(CHOICES), "duration")) == [
        "15m", "30m", "1h", "2h", "4h", "8h",
    ]  # fmt: skip
    odd = replace(CHOICES, max_duration=90 * MINUTE, duration=None)
    assert values(element(request_modal(odd), "duration")) == ["15m", "30m", "1h", "1h30m"]
    assert element(request_modal(odd), "duration")["initial_option"]["value"] == "1h"
    short = replace(CHOICES, max_duration=10 * MINUTE, duration=HOUR)
    assert values(element(request_modal(short), "duration")) == ["10m"]
    assert element(request_modal(short), "duration")["initial_option"]["value"] == "10m"


def test_more_than_a_hundred_clusters_are_searched_for() -> None:
    hundred = tuple(f"c{number:03}" for number in range(100))
    assert element(request_modal(replace(CHOICES, clusters=hundred)), "cluster")["type"] == (
        "static_select"
    )
    many = replace(CHOICES, clusters=(*hundred, "c100"))
    found = element(check_view(request_modal(many)), "cluster")
    assert (found["type"], found["action_id"]) == ("external_select", "cluster")
    chosen = request_modal(many, state=Ask("c100", "view"))
    assert element(chosen, "cluster")["initial_option"]["value"] == "c100"


def test_only_one_cluster_is_already_chosen() -> None:
    view = request_modal(replace(CHOICES, clusters=("lab",)))
    assert element(view, "cluster")["initial_option"]["value"] == "lab"


def test_too_many_levels_are_not_dropped_in_silence() -> None:
    levels = tuple(f"level-{number}" for number in range(150))
    view = check_view(request_modal(replace(CHOICES, levels=levels)))
    assert len(values(element(view, "level"))) == 100
    assert read(view["blocks"])[-1] == (
        "Not every level fits here: `/eks-access request` takes all."
    )


def test_exact_namespaces_are_offered_as_a_list_and_patterns_are_typed() -> None:
    exact = element(request_modal(replace(CHOICES, namespaces=("a", "b"))), "namespaces")
    assert (exact["type"], values(exact)) == ("multi_static_select", ["a", "b"])
    glob = element(request_modal(replace(CHOICES, namespaces=("a", "b-*"))), "namespaces")
    assert glob["type"] == "plain_text_input"


def test_without_clusters_there_is_a_sentence_instead_of_an_empty_list() -> None:
    view = check_view(request_modal(replace(CHOICES, clusters=())))
    assert view["callback_id"] == "notice"
    assert read(view["blocks"]) == [
        "The policy names no cluster and level that could be asked for here."
    ]


def test_errors_stand_above_the_form() -> None:
    view = check_view(request_modal(CHOICES, errors={"namespaces": "`A` is no namespace name."}))
    assert read(view["blocks"])[0] == "`A` is no namespace name."


@given(
    st.builds(
        Choices,
        clusters=st.lists(hostile | st.sampled_from(["a", "p" * 100, "p" * 151]), max_size=130).map(
            tuple
        ),
        levels=st.lists(hostile, max_size=3).map(tuple),
        max_duration=st.timedeltas(timedelta(seconds=1), timedelta(days=400)),
        namespaces=st.lists(hostile, max_size=120).map(tuple),
    ),
    st.none() | st.builds(Ask, hostile, hostile, reason=hostile, ticket=st.none() | hostile),
    st.dictionaries(st.sampled_from(["reason", "level"]), hostile),
)
@settings(max_examples=60, deadline=None)
def test_slack_takes_every_request_form(
    choices: Choices, state: Ask | None, errors: dict[str, str]
) -> None:
    check_view(request_modal(choices, state=state, errors=errors))


@given(hostile, st.lists(hostile | st.sampled_from(["prod-eu", "PROD-US"]), max_size=250))
@settings(max_examples=60, deadline=None)
def test_slack_takes_every_suggestion(query: str, names: list[str]) -> None:
    options = cluster_options(query, names)
    assert options_problems({"options": options}) == []
    assert len(options) <= 100


def test_suggestions_begin_with_names_that_begin_with_the_query() -> None:
    names = ["eu-prod", "prod-us", "lab", "prod-eu"]
    assert [one["value"] for one in cluster_options("PROD", names)] == [
        "prod-eu", "prod-us", "eu-prod",
    ]  # fmt: skip
    assert len(cluster_options("", [f"c{number}" for number in range(300)])) == 100
    assert len(cluster_options("", [f"c{number}" for number in range(300)], limit=7)) == 7


def test_a_denial_needs_a_reason() -> None:
    view = check_view(deny_modal(request(), NAMES))
    assert read(view["blocks"]) == [
        "*edit* on *prod-eu* / `payments` for Ana Ruiz",
        "> Clearing a stuck settlement job",
        "Why not?: plain_text_input",
    ]
    assert (view["callback_id"], view["private_metadata"]) == ("deny", "7K3-QMX")
    with pytest.raises(InvalidInput) as raised:
        read_denial({**view, "state": submitted(view)})
    assert (raised.value.field, raised.value.sentence) == (
        "reason",
        "Say why not. The requester reads it.",
    )
    answer = {**view, "state": submitted(view, reason=" Use\u202e view \n")}
    assert read_denial(answer) == ("7K3-QMX", "Use view")


@given(requests(), hostile)
@settings(max_examples=50, deadline=None)
def test_slack_takes_every_deny_form(asked, name: str) -> None:
    check_view(deny_modal(asked, {ANA: name}))


@given(hostile)
@settings(deadline=None)
def test_slack_takes_every_notice(sentence: str) -> None:
    check_view(notice_modal(sentence))


def test_loading_has_nothing_to_submit() -> None:
    view = check_view(loading_modal())
    assert "submit" not in view
    assert read(view["blocks"]) == ["Loading…"]


GOOD = submitted(
    request_modal(CHOICES), cluster="lab", level="view", namespaces="a", duration="1h", reason="why"
)


def forged(field: str, answer: Any) -> dict[str, Any]:
    return {"values": {**GOOD["values"], field: {field: answer}}}


@pytest.mark.parametrize(
    ("field", "answer", "code"),
    [
        ("cluster", None, "missing_cluster"),
        ("cluster", {"selected_option": None}, "missing_cluster"),
        ("cluster", {"selected_option": "lab"}, "malformed"),
        ("cluster", {"selected_option": {"value": ["lab"]}}, "malformed"),
        ("cluster", {"selected_option": {"value": ""}}, "malformed"),
        ("cluster", {"selected_option": {"value": "x" * 151}}, "malformed"),
        ("cluster", {"selected_option": {"value": "a b"}}, "malformed"),
        ("cluster", {"selected_option": {"value": "a\u202eb"}}, "malformed"),
        ("cluster", [], "malformed"),
        ("level", {"selected_option": {"value": 7}}, "malformed"),
        ("namespaces", {"value": 7}, "malformed"),
        ("namespaces", {"value": "x" * 200}, "malformed"),
        ("namespaces", {"value": "x " * 1501}, "too_long"),
        ("namespaces", {"selected_options": None}, "malformed"),
        ("namespaces", {"selected_options": [{"value": None}]}, "malformed"),
        ("duration", {"selected_option": None}, "missing_duration"),
        ("duration", {"selected_option": {"value": "9999h"}}, "bad_duration"),
        ("duration", {"selected_option": {"value": "-1h"}}, "bad_duration"),
        ("ticket", {"value": ["T"]}, "malformed"),
        ("ticket", {"value": "T" * 101}, "too_long"),
        ("reason", {"value": None}, "missing_reason"),
        ("reason", {"value": " \u200b\n"}, "missing_reason"),
        ("reason", {"value": {"a": 1}}, "malformed"),
        ("reason", {"value": "x" * 3001}, "too_long"),
    ],
)
def test_a_forged_value_names_its_field(field: str, answer: Any, code: str) -> None:
    assert read_submission(GOOD) == Ask("lab", "view", ("a",), HOUR, reason="why")
    with pytest.raises(InvalidInput) as raised:
        read_submission(forged(field, answer))
    assert (raised.value.field, raised.value.code) == (field, code)


def ask_or_error(state: object) -> Ask | InvalidInput:
    try:
        return read_submission(state)
    except InvalidInput as error:
        return error


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["values", "value", "selected_option", "selected_options", "state", "id"]
            )
            | st.sampled_from(["cluster", "level", "namespaces", "duration", "reason", "ticket"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
@settings(deadline=None)
def test_any_json_is_an_ask_or_a_sentence(state: object) -> None:
    outcome = ask_or_error(json.loads(json.dumps(state)))
    if isinstance(outcome, InvalidInput):
        assert outcome.field in {"cluster", "level", "namespaces", "duration", "ticket", "reason"}
    else:
        assert outcome.reason


@given(
    st.sampled_from(["cluster", "level", "namespaces", "duration", "reason", "ticket"]), json_values
)
@settings(deadline=None)
def test_any_json_in_one_field_is_an_ask_or_names_that_field(field: str, answer: object) -> None:
    outcome = ask_or_error(forged(field, answer))
    if isinstance(outcome, InvalidInput):
        assert outcome.field == field
    else:
        assert outcome.cluster
        assert outcome.reason


@given(requests(), st.timedeltas(timedelta(seconds=1), timedelta(days=60)), hostile)
@settings(deadline=None)
def test_slack_takes_every_form_for_more_time(
    asked: AccessRequest, longest: timedelta, name: str
) -> None:
    held = replace(live(), id=asked.id, access=asked.access)
    view = check_view(extend_modal(replace(asked, requester_name=name), held, longest))
    request_id, more, reason = read_extension({**view, "state": submitted(view)})
    assert request_id == asked.id
    assert timedelta() < more <= max(longest, timedelta(seconds=1))
    assert reason == ""


@given(json_values)
@settings(deadline=None)
def test_any_json_is_more_time_or_a_sentence(view: object) -> None:
    with pytest.raises(InvalidInput):
        read_extension(view)
    with pytest.raises(InvalidInput):
        read_extension({"private_metadata": view, "state": view})


@given(json_values)
@settings(deadline=None)
def test_any_json_is_a_denial_or_a_sentence(view: object) -> None:
    with pytest.raises(InvalidInput):
        read_denial(view)
    with pytest.raises(InvalidInput):
        read_denial({"private_metadata": view, "state": view})
