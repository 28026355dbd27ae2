"""The conformance set: decisions that every version has to make alike, in YAML.

`eks-access policy test tests/conformance/routing.yaml` runs the same cases.
"""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.case_file import read_cases
from bot.core.case_run import came_of, run_case
from bot.policy_file import check_policy

FOLDER = Path(__file__).parents[1] / "conformance"
CORE = Path(__file__).parents[2] / "bot" / "core"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def read(path):
    cases, findings = read_cases(path.read_text(encoding="utf-8"), path.name)
    assert not findings
    return cases.file


FILES = {path.stem: read(path) for path in sorted(FOLDER.glob("*.yaml"))}
POLICIES = {
    path.name: check_policy(path.read_text(encoding="utf-8"), path.name)[0]
    for path in FOLDER.glob("policy/*.yaml")
}
CASES = [(file, case) for file in FILES.values() for case in file.cases]


@pytest.mark.parametrize(
    ("file", "case"), CASES, ids=[case.name.replace(" ", "-") for _, case in CASES]
)
def test_the_decision_is_what_it_has_to_be(file, case):
    policy = POLICIES[Path(file.policy).name]
    assert run_case(policy, file, case, case.now or file.now or NOW) == ()


def test_there_are_enough_decisions_and_no_two_ask_the_same():
    assert len(CASES) >= 150
    assert len({case.name for _, case in CASES}) == len(CASES)
    asked = [
        case.model_copy(update={"name": "", "expect": None}).model_dump_json() + str(file.people)
        for file, case in CASES
    ]
    twice = {one for one in asked if asked.count(one) > 1}
    # One request may be asked about twice where different things are expected of it.
    assert len(twice) <= 8


def test_every_reason_that_a_decision_can_have_is_among_the_cases():
    """The codes that stand in the code, against those that come of the cases."""
    came = {
        reason.code
        for file, case in CASES
        for reason in came_of(
            POLICIES[Path(file.policy).name], file, case, case.now or file.now or NOW
        ).reasons
    }
    modules = (
        "ask_checks",
        "break_glass",
        "decide",
        "people",
        "post_review",
        "principals",
        "review",
        "rule_choice",
    )
    written = {
        call.args[0].value
        for name in modules
        for call in ast.walk(ast.parse((CORE / f"{name}.py").read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", "") in ("Reason", "Refused", "DirectoryUnavailable")
        and isinstance(call.args[0], ast.Constant)
    }
    assert written >= {"no_rule", "too_long", "own_request", "sso_role"}
    assert written - came <= NOT_BY_A_CASE


NOT_BY_A_CASE = {
    "bad_duration",  # a length of nothing cannot be written in YAML or in a command
    "bad_principal",  # needs an address whose role's name IAM would refuse
    "email_not_trusted",  # who is no full member is refused before
    "reason_too_long",  # three thousand letters: test_policy_decide
    "no_longer_allowed",  # the policy changes between two decisions: test_policy_review
    "policy_changed",  # the same
    "no_principal",  # a policy without a template: test_policy_principals
    "suspended",  # the store says it, and not Slack: tests/access/test_suspension
    "sso_role",  # an error of the policy file already
}
