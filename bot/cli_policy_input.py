"""What the policy commands read: policy files, who is in which group, moments in time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bot.cli_exit import fail
from bot.core.people import Membership
from bot.core.policy import Policy
from bot.policy_file import PolicyError, load_policy
from bot.yaml_lines import read_yaml

Groups = Annotated[
    Path | None,
    typer.Option(help="A YAML file that says who is in which group: `S01ENG: [U01ALICE]`."),
]


def text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}. Name a file that is there.")
    except UnicodeDecodeError as error:
        fail(f"{file} cannot be read: {error}. Name a file in UTF-8.")


def loaded(file: Path) -> Policy:
    try:
        return load_policy(file).policy
    except PolicyError as problem:
        fail(f"{problem.report}\nThe policy file has errors, so it decides nothing.")


def moment_of(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        fail(f"`{option} {text}` is no moment. Write for example 2026-12-24T08:00+01:00.")
    return moment.astimezone(UTC)


def members_in(file: Path | None) -> Membership:
    """Who is in which group, from a YAML file."""
    if file is None:
        return {}
    data, problems = read_yaml(text_of(file))
    for problem in problems:
        fail(f"{file}:{problem.line}: {problem.message} {problem.remedy}")
    found = {}
    for group, members in (data or {}).items():
        if not isinstance(members, list) or not all(isinstance(one, str) for one in members):
            fail(f"{file}: `{group}` is no list of Slack user ids. Write `{group}: [U01ALICE]`.")
        found[group] = frozenset(members)
    return found
