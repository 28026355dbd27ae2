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
from bot.slack.modals import (
    deny_modal,
    extend_modal,
    loading_modal,
    notice_modal,
    revoke_modal,
)
from bot.slack.submissions import (
    read_denial,
    read_extension,
    read_revocation,
    read_submission,
)


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
        else:
            initial = block["element"].get("initial_option")
            answer["selected_option"] = {"value": chosen} if chosen else initial
        kept[name] = {name: answer}
    return {"values": kept}


def test_a_denial_needs_a_reason() -> None:
    view = check_view(deny_modal(request(), NAMES))
    assert read(view["blocks"]) == [
        "Ana Ruiz asks for *edit* on *prod-eu* / `payments` for 2 h",
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


def test_a_revocation_takes_a_reason_and_needs_none() -> None:
    view = check_view(revoke_modal(request()))
    assert read(view["blocks"]) == [
        "<@U01ANA>: *edit* on *prod-eu* / `payments`",
        "It is removed at EKS at once. Work in progress may fail.",
        "Why?: plain_text_input",
    ]
    assert (view["callback_id"], view["private_metadata"]) == ("revoke", "7K3-QMX")
    assert read_revocation({**view, "state": submitted(view)}) == ("7K3-QMX", "")
    typed = submitted(view, reason=" It\u202e is over \n")
    assert read_revocation({**view, "state": typed}) == ("7K3-QMX", "It is over")
    with pytest.raises(InvalidInput):
        read_revocation({**view, "private_metadata": "", "state": typed})


@given(requests(), hostile)
@settings(max_examples=50)
def test_slack_takes_every_deny_form(asked, name: str) -> None:
    check_view(deny_modal(asked, {ANA: name}))
    check_view(revoke_modal(asked))


@given(hostile)
def test_slack_takes_every_notice(sentence: str) -> None:
    check_view(notice_modal(sentence))


def test_loading_has_nothing_to_submit() -> None:
    view = check_view(loading_modal())
    assert "submit" not in view
    assert read(view["blocks"]) == ["Loading…"]


GOOD = {
    "values": {
        "cluster": {"cluster": {"selected_option": {"value": "lab"}}},
        "level": {"level": {"selected_option": {"value": "view"}}},
        "namespaces": {"namespaces": {"value": "a"}},
        "duration": {"duration": {"selected_option": {"value": "1h"}}},
        "reason": {"reason": {"value": "why"}},
        "ticket": {"ticket": {"value": None}},
    }
}


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
def test_any_json_is_an_ask_or_a_sentence(state: object) -> None:
    outcome = ask_or_error(json.loads(json.dumps(state)))
    if isinstance(outcome, InvalidInput):
        assert outcome.field in {"cluster", "level", "namespaces", "duration", "ticket", "reason"}
    else:
        assert outcome.reason


@given(
    st.sampled_from(["cluster", "level", "namespaces", "duration", "reason", "ticket"]), json_values
)
def test_any_json_in_one_field_is_an_ask_or_names_that_field(field: str, answer: object) -> None:
    outcome = ask_or_error(forged(field, answer))
    if isinstance(outcome, InvalidInput):
        assert outcome.field == field
    else:
        assert outcome.cluster
        assert outcome.reason


@given(requests(), st.timedeltas(timedelta(seconds=1), timedelta(days=60)), hostile)
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
def test_any_json_is_more_time_or_a_sentence(view: object) -> None:
    with pytest.raises(InvalidInput):
        read_extension(view)
    with pytest.raises(InvalidInput):
        read_extension({"private_metadata": view, "state": view})


@given(json_values)
def test_any_json_is_a_denial_or_a_sentence(view: object) -> None:
    with pytest.raises(InvalidInput):
        read_denial(view)
    with pytest.raises(InvalidInput):
        read_denial({"private_metadata": view, "state": view})
