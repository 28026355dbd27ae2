"""What the documents say, held against the code: commands, variables, metrics, policies, links."""

from __future__ import annotations

import ast
import dataclasses
import fnmatch
import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib.metadata import distribution
from pathlib import Path

import pytest
import typer.main
import yaml
from packaging.requirements import Requirement
from pydantic import BaseModel
from slack_bolt import App

import bot
from bot import console
from bot.case_file import read_cases, run_cases
from bot.cli import app
from bot.cli_drift import Difference
from bot.core import names
from bot.core.masking import without_secrets
from bot.core.model import Access, AccessScope, Cluster, Grant, StepKind
from bot.core.planner import DEPLOYMENT_TAG, GRANT_TAG, STORE_TAG
from bot.core.policy import Policy
from bot.core.policy_cases import CaseFile
from bot.core.policy_diff import policy_diff
from bot.doctor_result import Result, Status
from bot.jobs import Loop
from bot.metrics import build_registry
from bot.policy_file import check_policy
from bot.policy_findings import Finding
from bot.settings import SECRETS_DIR, Settings
from bot.slack import commands
from bot.slack.connection import SocketModeConnection
from bot.store.database import Database
from bot.store.watch import StoreWatch

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"```\w*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
_COMMAND = re.compile(r"(?<![/\w.-])eks-access ((?:[a-z]+ ?)+)")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code_in(text: str) -> list[str]:
    """Every code span and every line of a code block."""
    found = [block or span for block, span in _CODE.findall(text)]
    return [line for one in found for line in one.splitlines()]


def row_of(text: str, beginning: str) -> str:
    """The one line of a table that begins with this cell."""
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {beginning}")]
    return row


def command_tree() -> dict[str, set[str]]:
    """Each command of the command line, such as `db upgrade`, with its options."""

    def walk(command, path: tuple[str, ...]) -> Iterator[tuple[str, set[str]]]:
        subcommands = getattr(command, "commands", None)
        if subcommands:
            for name, sub in subcommands.items():
                yield from walk(sub, (*path, name))
            return
        options = {option for one in command.params for option in one.opts if option[0] == "-"}
        yield " ".join(path), options - {"--help"}

    return dict(walk(typer.main.get_command(app), ()))


def anchors_of(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


# The command line


@pytest.mark.parametrize(("command", "options"), command_tree().items())
def test_every_command_and_option_stands_in_the_table_of_commands(command, options):
    row = row_of(read("docs/operations.md"), f"`eks-access {command}")
    assert not [option for option in options if option not in row]


def test_the_documents_name_no_command_that_is_not_there():
    known = {*command_tree(), "audit", "db", "policy"}
    wrong = []
    for document in DOCUMENTS:
        for line in code_in(document.read_text(encoding="utf-8")):
            for words in _COMMAND.findall(line):
                first, *rest = words.split()
                two = f"{first} {rest[0]}" if rest else first
                if not {first, two} & known:
                    wrong.append(f"{document.name}: {line}")
    assert not wrong


def test_what_people_type_in_slack_is_understood_as_the_readme_writes_it():
    lines = [line for line in code_in(read("README.md")) if line.startswith("/eks-access")]
    parsed = [commands.parse(line.removeprefix("/eks-access").strip()) for line in lines]
    assert commands.OpenForm() in parsed
    assert [one.ask.ticket for one in parsed if isinstance(one, commands.Request)] == ["PAY-1423"]
    words = {word for line in code_in(read("README.md")) for word in line.split()}
    assert words >= {*commands.FORMS}


def test_every_make_target_that_the_documents_name_is_in_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    named = {
        line.split()[1]
        for document in DOCUMENTS
        for line in code_in(document.read_text(encoding="utf-8"))
        if line.startswith("make ")
    }
    assert {"sandbox", "test", "lint", "bench"} <= named <= targets


# Environment and metrics


def test_every_variable_stands_in_the_table_with_its_default_and_no_other():
    text = read("docs/operations.md")
    for field in Settings.model_fields.values():
        default = field.default
        if hasattr(default, "get_secret_value"):
            default = default.get_secret_value()
        cell = f" `{default}` |" if default is not None else " |"
        assert row_of(text, f"`{field.alias}`").startswith(f"| `{field.alias}` |{cell}")
    table = set(re.findall(r"^\| `([A-Z_]+)`", text, re.MULTILINE))
    assert table == {SECRETS_DIR, *(field.alias for field in Settings.model_fields.values())}


def test_every_metric_stands_in_the_table_and_no_other(migrated_sqlite):
    loop = Loop("inbox", list, print, workers=1)
    with closing(Database(f"sqlite:///{migrated_sqlite}")) as database:
        slack = SocketModeConnection(
            App(token="xoxb-none", token_verification_enabled=False),
            "xapp-none",
            "http://127.0.0.1:9/",
            others=lambda _: 0,
            clock=lambda: NOW,
        )
        registry = build_registry(StoreWatch(database), [loop], lambda: NOW, connection=slack)
        exported = {one.name for one in registry.collect()}
    told = re.findall(r"^\| `(eks_access_\w+)", read("docs/operations.md"), re.MULTILINE)
    assert set(told) == exported
    assert len(told) == len(set(told))


def test_the_fields_of_json_output_are_those_that_are_told():
    text = " ".join(read("docs/operations.md").split())
    cluster = Cluster("prod-eu", "eu-west-1", "111122223333")
    grant = Grant(
        "7K3-QMX", "U01ANA", cluster, "arn", Access(None, AccessScope()), timedelta(), *[NOW] * 3
    )
    for beginning, fields in (
        ("A grant", [*console.grant_json(grant)]),
        ("A finding of `policy check`", [one.name for one in dataclasses.fields(Finding)]),
        ("A difference of `drift`", [*Difference(cluster).as_json()]),
        ("A check of the doctor", [one.name for one in dataclasses.fields(Result)]),
    ):
        (told,) = re.findall(rf"{beginning} has (.*?)\.", text)
        assert sorted(set(re.findall(r"`(\w+)`", told)) - {*Status}) == sorted(fields)


# The audit trail


def test_every_action_of_the_audit_trail_stands_in_its_table_and_no_other():
    table = read("docs/audit.md").split("## What is recorded")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(.+?)`", " ".join(cells))) == sorted(actions_in_the_code())


def actions_in_the_code() -> set[str]:
    """Every text of the code with the form of an action; what is filled in later is `…`."""
    texts = set()
    for path in (ROOT / "bot").rglob("*.py"):
        # The sandbox records nothing by itself, and tables name columns in the same form.
        if "sandbox" not in path.parts and path.name != "tables.py":
            texts |= {text_of(one) for one in ast.walk(ast.parse(path.read_text(encoding="utf-8")))}
    found = {one for one in texts if re.fullmatch(r"([a-z_]+|…)\.([a-z_]+|…)", one)}
    no_actions = {"slack_sdk.socket_mode", "….lock"}
    assert no_actions | {"request.…"} <= found
    return found - no_actions - {"request.…"} | {f"request.{kind}" for kind in StepKind}


def text_of(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or "…" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


# Policies


def test_the_policy_in_the_readme_is_valid_and_nothing_in_it_is_without_effect():
    (example,) = re.findall(r"```yaml\n(.*?)```", read("README.md"), re.DOTALL)
    policy, findings = check_policy(example, "README.md")
    assert policy is not None
    assert not findings


def test_the_example_policy_is_valid_and_nothing_in_it_is_without_effect():
    policy, findings = check_policy(read("eks-access.example.yaml"), "eks-access.example.yaml")
    assert policy is not None
    assert not findings


def test_the_example_policy_decides_what_its_cases_say():
    text = read("eks-access.example.cases.yaml")
    cases, findings = read_cases(text, "eks-access.example.cases.yaml")
    assert not findings
    policy, _ = check_policy(read(cases.file.policy), cases.file.policy)
    results = run_cases(policy, cases, NOW)
    assert [one for one in results if one.problems] == []


def test_the_example_policy_uses_every_key_there_is():
    policy, _ = check_policy(read("eks-access.example.yaml"), "eks-access.example.yaml")
    schema = Policy.model_json_schema()
    known = {
        (entry, key)
        for entry, form in {**schema["$defs"], "Policy": schema}.items()
        for key in form.get("properties", ())
    }
    assert known - keys_in(policy) == set()


def keys_in(value: object) -> set[tuple[str, str]]:
    """The keys that stand in what was read, each with the name of the entry that it is of."""
    if isinstance(value, dict):
        return keys_in(tuple(value.values()))
    if isinstance(value, tuple):
        return set().union(*map(keys_in, value))
    if not isinstance(value, BaseModel):
        return set()
    found = {(type(value).__name__, key) for key in value.model_fields_set}
    return found.union(*(keys_in(getattr(value, key)) for key in value.model_fields_set))


def test_every_key_of_the_policy_and_of_cases_stands_in_the_reference():
    words = {word for line in code_in(read("docs/policy.md")) for word in re.findall(r"\w+", line)}
    keys = set()
    for form in (Policy, CaseFile):
        for definition in (schema := form.model_json_schema())["$defs"].values():
            keys |= definition.get("properties", {}).keys()
        keys |= schema["properties"].keys()
    assert keys <= words


def test_the_diff_compares_every_key_but_those_of_which_that_is_told():
    text = read("docs/policy.md").split("**What it does not compare**")[1].split(" as a whole")[0]
    told = set(re.findall(r"`(\w+)`", text))
    compared = {"clusters", "levels", "principals", "rules", "break_glass", "lockdown"}
    assert told | compared == set(Policy.model_fields)
    whole = yaml.safe_load(read("eks-access.example.yaml"))
    kept = {key: one for key, one in whole.items() if key not in told}
    changed = kept | {"deployment": "other", "drift": {"repair": not whole["drift"]["repair"]}}
    old, new = Policy.model_validate(whole), Policy.model_validate(changed)
    assert all(getattr(old, key) != getattr(new, key) for key in told)
    assert not policy_diff(old, new)


def test_the_bots_permissions_are_what_its_code_calls():
    source = "".join(read(f"bot/{name}.py") for name in ("aws/access_entries", "doctor"))
    called = re.findall(r"client\.(?:get_paginator\(\s*\"(\w+)\"|(\w+)\()", source)
    operations = {one or other for one, other in called} - {"get_paginator"}
    actions = {f"eks:{one.title().replace('_', '')}" for one in operations}
    allowed = {action for one in iam_statements() for action in one["Action"]}
    # Creating an entry with tags asks for this one as well.
    assert allowed == actions | {"eks:TagResource"}
    table = read("docs/aws.md").split("### Where the credentials")[0]
    assert not [action for action in allowed if f"`{action}`" not in table]


def test_the_bot_may_change_only_entries_with_its_own_tag():
    tag = f"aws:ResourceTag/{DEPLOYMENT_TAG}"
    example = yaml.safe_load(read("eks-access.example.yaml"))
    for one in iam_statements():
        assert one["Effect"] == "Allow"
        assert "*" not in one["Action"]
        if {"Describe", "List"} >= {re.match("eks:([A-Z][a-z]+)", a)[1] for a in one["Action"]}:
            continue
        equal = one["Condition"]["StringEquals"]
        creating = {"eks:CreateAccessEntry", "eks:TagResource"} & {*one["Action"]}
        key = f"aws:RequestTag/{DEPLOYMENT_TAG}" if creating else tag
        assert equal[key] == example["deployment"]
        if creating:
            keys = one["Condition"]["ForAllValues:StringEquals"]["aws:TagKeys"]
            assert set(keys) == {DEPLOYMENT_TAG, GRANT_TAG, STORE_TAG}


def test_the_bot_may_give_what_the_example_policys_levels_give():
    levels = yaml.safe_load(read("eks-access.example.yaml"))["levels"].values()
    (associate,) = [s for s in iam_statements() if "eks:AssociateAccessPolicy" in s["Action"]]
    arns = associate["Condition"]["ArnEquals"]["eks:policyArn"]
    assert {arn.rpartition("/")[2] for arn in arns} == {
        level["policy"] for level in levels if "policy" in level
    }
    groups = {group for level in levels for group in level.get("kubernetes_groups", ())}
    for one in iam_statements():
        if {"eks:CreateAccessEntry", "eks:UpdateAccessEntry"} & {*one["Action"]}:
            limits = one["Condition"]["ForAllValues:StringEquals"]
            assert set(limits["eks:kubernetesGroups"]) == groups
            assert one["Condition"]["Null"] == {"eks:username": "true"}


@pytest.mark.parametrize(
    ("path", "name", "let_in"),
    [
        ("", "AWSReservedSSO_Engineers_0123456789abcdef", True),
        ("eu-west-1/", "AWSReservedSSO_Engineers_0123456789abcdef", True),
        ("eu-west-1/", "AWSReservedSSO_Engineers_Admin_0123456789abcdef", False),
        ("eu-west-1/", "AWSReservedSSO_Admins_0123456789abcdef", False),
    ],
)
def test_the_trust_policy_lets_in_one_shared_role_wherever_identity_center_is(path, name, let_in):
    condition = trust_condition()
    arn = f"arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/{path}{name}"
    assert names.is_sso_role(arn)
    assert fnmatch.fnmatchcase(arn, condition["ArnLike"]["aws:PrincipalArn"]) is let_in


def test_the_trust_policy_pins_the_name_of_the_session():
    assert re.fullmatch(r"\*:[\w.+=,@-]+", trust_condition()["StringLike"]["aws:userid"])


def trust_condition() -> dict:
    (statement,) = json.loads(read("deploy/person-role-trust.json"))["Statement"]
    return statement["Condition"]


def test_the_anchors_permissions_are_what_their_code_calls_and_no_removal():
    calls = {
        "put_object": {"s3:PutObject", "s3:PutObjectRetention"},  # the second for its lock
        "list_object_versions": {"s3:ListBucketVersions"},
    }
    source = read("bot/aws/anchor_bucket.py")
    called = re.findall(r"_client\(\)\.(?:get_paginator\(\"(\w+)\"|(\w+)\()", source)
    assert {one or other for one, other in called} - {"get_paginator"} == calls.keys()
    statements = iam_statements("OptionalPutAudit") + iam_statements("OptionalListAudit")
    allowed = {action for one in statements for action in one["Action"]}
    assert allowed == set().union(*calls.values())
    assert not [action for action in allowed if f"`{action}`" not in read("docs/aws.md")]
    put, _ = statements
    assert put["Resource"].endswith("/acme-prod/*")


def test_the_backstops_permissions_are_what_its_code_calls():
    source = read("bot/aws/scheduler.py")
    called = re.findall(r"client\.(?:get_paginator\(\"(\w+)\"|(\w+)\()", source)
    operations = {one or other for one, other in called} - {"get_paginator"}
    actions = {f"scheduler:{one.title().replace('_', '')}" for one in operations}
    statements = [
        *iam_statements("OptionalKeepBackstops"),
        *iam_statements("OptionalListBackstops"),
        *iam_statements("OptionalPassBackstopRole"),
    ]
    allowed = {action for one in statements for action in one["Action"]}
    assert allowed == actions | {"iam:PassRole"}
    assert not [action for action in allowed if f"`{action}`" not in read("docs/aws.md")]


def test_the_backstops_role_may_delete_what_has_the_deployments_tag_and_do_nothing_else():
    example = yaml.safe_load(read("eks-access.example.yaml"))
    (one,) = json.loads(read("deploy/backstop-policy.json"))["Statement"]
    assert (one["Effect"], one["Action"]) == ("Allow", "eks:DeleteAccessEntry")
    tag = one["Condition"]["StringEquals"][f"aws:ResourceTag/{DEPLOYMENT_TAG}"]
    assert tag == example["deployment"]
    (people,) = one["Condition"]["ArnLike"].values()
    assert people.endswith(":role/eks-jit/*")
    group, role = example["backstop"]["group"], example["backstop"]["role"]
    (trust,) = json.loads(read("deploy/backstop-trust.json"))["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"]["ArnLike"]["aws:SourceArn"].endswith(f":schedule-group/{group}")
    keep, _, let = (
        iam_statements(f"Optional{sid}")[0]
        for sid in ("KeepBackstops", "ListBackstops", "PassBackstopRole")
    )
    assert keep["Resource"].endswith(f":schedule/{group}/*")
    assert let["Resource"] == role.replace("{account}", "111122223333")
    assert let["Condition"] == {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}


def iam_statements(sid: str = "") -> list[dict]:
    """The statements whose id begins so; without: those that every bot needs."""
    statements = json.loads(read("deploy/iam-policy.json"))["Statement"]
    for one in statements:
        one["Action"] = [one["Action"]] if isinstance(one["Action"], str) else one["Action"]
    return [
        one
        for one in statements
        if (one["Sid"].startswith(sid) if sid else not one["Sid"].startswith("Optional"))
    ]


# Slack


def test_every_scope_of_the_manifest_is_explained_and_no_other():
    scopes = yaml.safe_load(read("app-manifest.yml"))["oauth_config"]["scopes"]
    table = read("docs/slack.md").split("## Scopes")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`([^`]+)`", " ".join(rows))) == sorted(scopes["bot"])
    for scope in scopes["bot_optional"]:
        (row,) = [line for line in table.splitlines() if f"`{scope}`" in line]
        assert "optional" in row


def test_the_manifest_for_http_changes_only_keys_that_the_manifest_has_or_slack_knows():
    (change,) = re.findall(r"```yaml\n(.*?)```", read("docs/slack.md"), re.DOTALL)
    changed, manifest = yaml.safe_load(change), yaml.safe_load(read("app-manifest.yml"))
    assert changed["settings"]["socket_mode_enabled"] is False
    assert manifest["settings"]["socket_mode_enabled"] is True
    for section, keys in changed.items():
        assert not keys.keys() - manifest[section].keys()
    urls = re.findall(r"https://\S+", change)
    assert len(urls) == 4
    assert {url.partition(".com")[2] for url in urls} == {"/slack/events"}


# Files


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(document):
    for target in _LINK.findall(document.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        file = document.parent / name if name else document
        assert file.exists(), target
        assert not anchor or anchor in anchors_of(file.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_nothing_in_the_documentation_is_taken_for_a_secret_but_for_examples(document):
    text = document.read_text(encoding="utf-8").replace("USER:PASSWORD@", "")
    assert without_secrets(text) == text


def test_the_architecture_names_every_module_of_the_root_and_the_core_and_no_other():
    text = read("docs/architecture.md")
    house = text.split("```\nbot/\n")[1].split("```")[0]
    for name in re.findall(r"\b[a-z_]+\.py\b|^  [a-z]+/", house, re.MULTILINE):
        assert (ROOT / "bot" / name.strip()).exists(), name
    drawn = set(re.findall(r"\b([a-z_]+)\.py\b", house))
    assert {path.stem for path in ROOT.glob("bot/*.py")} - {"__init__"} == drawn
    for cell in re.findall(r"^\| (`core/.*?) \|", text, re.MULTILINE):
        for name in re.findall(r"`(?:core/)?(\w+)`", cell):
            assert (ROOT / "bot" / "core" / f"{name}.py").is_file(), name
    cells = " ".join(re.findall(r"^\| (`core/.*?) \|", text, re.MULTILINE))
    modules = {path.stem for path in ROOT.glob("bot/core/*.py")} - {"__init__"}
    assert sorted(re.findall(r"`(?:core/)?(\w+)`", cells)) == sorted(modules)


def test_the_architecture_draws_the_import_order_that_is_checked():
    text = " ".join(read("docs/architecture.md").split())
    (drawn,) = re.findall(r"``` (cli → .*?) ```", text)
    contracts = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    (layers,) = [one["layers"] for one in contracts if one["type"] == "layers"]
    place = {
        module.strip().removeprefix("bot."): number
        for number, layer in enumerate(layers)
        for module in layer.split("|")
    }
    parts = {name for name in place if name.startswith(("cli_", "console_"))}
    assert set(re.findall(r"\w+", drawn)) == place.keys() - parts - {"start"}
    shown = [[place[name] for name in part.split(", ")] for part in drawn.split(" → ")]
    assert all(len(set(part)) == 1 for part in shown)
    assert [part[0] for part in shown] == sorted(part[0] for part in shown)


def test_the_changelog_begins_with_this_version():
    first = re.search(r"^## (\S+?),? ", read("CHANGELOG.md"), re.MULTILINE)
    assert first[1] == bot.__version__


def test_every_picture_is_there_has_words_and_is_shown():
    shown = set()
    for file in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        text = file.read_text()
        pictures = re.findall(r"!\[(.*?)\]\((.+?)\)", text)
        pictures += [(words, path) for path, words in re.findall(r'src="(.+?)" alt="(.*?)"', text)]
        assert not [path for words, path in pictures if len(words) < 20]
        paths = [path for _, path in pictures] + re.findall(r'srcset="(.+?)"', text)
        shown |= {file.parent / path for path in paths}
    assert shown == set((ROOT / "docs" / "images").glob("*.png"))


# The image


def test_the_image_copies_what_the_build_needs_and_nothing_that_is_kept_from_it():
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", read("Dockerfile"), re.MULTILINE)
        for source in line.split()[:-1]
    ]
    let_in = {one[1:] for one in read(".dockerignore").splitlines() if one.startswith("!")}
    assert read(".dockerignore").splitlines()[1] == "*"
    assert let_in == set(copied)
    assert not [source for source in copied if not (ROOT / source).exists()]
    project = tomllib.loads(read("pyproject.toml"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        "pyproject.toml",
        "requirements.txt",
        "requirements-build.txt",
        project["project"]["readme"],
        *project["project"]["license-files"],
        *wheel["packages"],
        *wheel["force-include"],
    }
    assert needed == set(copied)


def test_the_image_runs_the_bot_as_nobody_special_and_holds_no_secret():
    text = read("Dockerfile")
    assert re.search(r"^USER (?!0|root)\d+", text, re.MULTILINE)
    assert 'ENTRYPOINT ["eks-access"]' in text
    assert 'CMD ["run"]' in text
    (check,) = re.findall(r"HEALTHCHECK .*?CMD (\[.*?\])$", text, re.DOTALL | re.MULTILINE)
    compile(json.loads(check)[2], "HEALTHCHECK", "exec")
    assert "/healthz" in check
    names_set = set(re.findall(r"\b([A-Z][A-Z_]+)=", text))
    assert not names_set & {"DATABASE_URL"}
    assert not [name for name in names_set if name.startswith("SLACK_")]
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${BASE}", "${BASE}"]
    assert re.search(r"^ARG BASE=python:3\.12-slim@sha256:[0-9a-f]{64}$", text, re.MULTILINE)


def hashed(file: str) -> dict[str, str]:
    """Versions by name, of a file of pins in which each must have its hashes."""
    text = read(file)
    pin = r"^(\S+)==([^\s;]+)[^\n]* \\(?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)+$"
    pins = re.findall(pin, text, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^\S", text, re.MULTILINE))
    return dict(pins)


def plain_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_image_installs_what_the_tests_ran_with_by_hash_and_nothing_else():
    pinned = dict(line.split("==") for line in read("constraints.txt").splitlines())
    pinned = {plain_name(name): version for name, version in pinned.items()}
    runtime = hashed("requirements.txt")
    assert {name: pinned[name] for name in runtime} == runtime
    project = tomllib.loads(read("pyproject.toml"))
    assert needed_by(project["project"]["dependencies"]) <= runtime.keys()
    build = dict(pin.split("==") for pin in project["build-system"]["requires"])
    assert build == hashed("requirements-build.txt")
    assert needed_by(build) == build.keys()


def needed_by(names: Iterable[str]) -> set[str]:
    """These packages and what they need, as what is installed here says."""
    left, needed = [Requirement(name) for name in names], set()
    while left:
        one = left.pop()
        name = plain_name(one.name)
        needed.add(name)
        further = [Requirement(line) for line in distribution(name).requires or ()]
        extras = one.extras or {""}
        left += [
            each
            for each in further
            if plain_name(each.name) not in needed
            and (
                each.marker is None
                or any(each.marker.evaluate({"extra": extra}) for extra in extras)
            )
        ]
    return needed


def test_every_threat_has_tests_that_are_there():
    text = read("docs/security.md")
    rows = re.findall(r"^\| (\d+) \| .*? \| .*? \| (.*) \|$", text, re.MULTILINE)
    numbers = [int(number) for number, _ in rows]
    assert numbers == sorted(set(numbers))
    assert set(range(1, 23)) <= set(numbers)
    for number, cell in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", cell)
        assert named, f"threat {number} names no test"
        for file, test in named:
            assert f"def {test}(" in read(file), f"threat {number}: {file}::{test}"
