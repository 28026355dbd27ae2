"""The JSON Schema for editors: it takes what the check takes, and refuses what has another form."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from bot.cli import app
from bot.policy_file import check_policy
from bot.policy_schema import DIALECT, policy_schema

ROOT = Path(__file__).parents[1]
EXAMPLE = (ROOT / "eks-access.example.yaml").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
FILES = {
    "example": EXAMPLE,
    "reference": re.search(r"^```yaml\n(.*?)^```", REFERENCE, re.DOTALL | re.MULTILINE)[1],
    "sandbox": (ROOT / "bot/sandbox/policy.yaml").read_text(encoding="utf-8"),
    "conformance": (ROOT / "tests/conformance/policy/acme.yaml").read_text(encoding="utf-8"),
}


@pytest.fixture(scope="module")
def validator():
    schema = policy_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_schema_is_plain_json_of_the_dialect_it_names():
    schema = policy_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["$schema"] == DIALECT == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    assert "title" not in json.dumps(schema["$defs"])
    assert all("description" in one for one in schema["$defs"].values() if "properties" in one)


@pytest.mark.parametrize("name", FILES)
def test_what_the_check_takes_is_valid(validator, name):
    assert check_policy(FILES[name], name)[0] is not None
    assert list(validator.iter_errors(yaml.safe_load(FILES[name]))) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("clusters:", "clsuters:"),
        ("max_duration: 4h", "max_duration: 4 hours"),
        ("max_duration: 4h", "max_duration: 4"),
        ("max_duration: 4h", "max_duration:"),
        ("U01ALICE:", "alice:"),
        ("[S01ENG]", "[engineers]"),
        ("channel: C01PAY", 'channel: "#payments"'),
        ("required: 1", "required: 0"),
        ("required: 1", "required: one"),
        ("approval: automatic", "approval: yes please"),
        ("approval: automatic", "approval: {automatic: {per_dya: 1}}"),
        ("{policy: AmazonEKSViewPolicy}", "{policy: AmazonEKSNodePolicy}"),
        ("standing: refuse", "standing: ignore"),
        ('profile: "eks-{cluster}"', 'profile: "eks {cluster}"'),
        ('profile: "eks-{cluster}"', 'profile: "eks-{user}"'),
        ('profile: "eks-{cluster}"', 'profile: "-{cluster}"'),
        ("levels: [view, edit, admin]", "levels: []"),
    ],
)
def test_what_has_another_form_is_not(validator, old, new):
    assert EXAMPLE.count(old) >= 1
    text = EXAMPLE.replace(old, new)
    assert check_policy(text, "policy.yaml")[0] is None
    assert list(validator.iter_errors(yaml.safe_load(text)))


def test_the_command_prints_it():
    result = CliRunner().invoke(app, ["policy", "schema"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == policy_schema()
