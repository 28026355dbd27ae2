"""Files of cases for a policy: read with their lines, and run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from bot.core.case_run import run_case
from bot.core.names import nearest
from bot.core.policy import Policy
from bot.core.policy_cases import Case, CaseFile
from bot.policy_findings import Finding, from_form, from_text, line_of
from bot.yaml_lines import YamlMap, read_yaml

_SLACK_IDS = ("U", "W")


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case with its line; it holds where there are no `problems`."""

    name: str
    file: str
    line: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadCases:
    """A file of cases that can be run, with the data that knows its lines."""

    file: CaseFile
    data: YamlMap
    name: str


def read_cases(text: str, name: str) -> tuple[ReadCases | None, list[Finding]]:
    """The cases in `text`, or None and what is wrong with them. `name` is how the file is shown."""
    data, problems = read_yaml(text)
    findings = from_text(problems, name)
    if data is None:
        return None, findings
    try:
        file = CaseFile.model_validate(data)
    except ValidationError as error:
        return None, findings + from_form(error, data, name, model=CaseFile)
    findings += _unknown_people(file, data, name)
    return (None if findings else ReadCases(file, data, name)), findings


def run_cases(policy: Policy, read: ReadCases, now: datetime) -> list[CaseResult]:
    """What came of each case, in order. `now` holds where the file says nothing."""
    results = []
    for index, case in enumerate(read.file.cases):
        moment = case.now or read.file.now or now
        line = line_of(read.data, ("cases", index))
        problems = run_case(policy, read.file, case, moment)
        results.append(CaseResult(case.name, read.name, line, problems))
    return results


def _unknown_people(file: CaseFile, data: YamlMap, name: str) -> list[Finding]:
    found = []
    for index, case in enumerate(file.cases):
        for word in _words(case):
            if word not in file.people and not word.startswith(_SLACK_IDS):
                near = nearest(word, file.people)
                remedy = f"Did you mean `{near}`?" if near else "Name them under `people`."
                line = line_of(data, ("cases", index))
                found.append(Finding(name, line, f"There is nobody called `{word}`.", remedy))
    for group, members in file.groups.items():
        for word in members:
            if word not in file.people and not word.startswith(_SLACK_IDS):
                line = line_of(data, ("groups", group))
                message = f"There is nobody called `{word}`."
                found.append(Finding(name, line, message, "Name them under `people`."))
    return found


def _words(case: Case) -> Sequence[str]:
    words = [case.person]
    if case.review is not None:
        words += [case.review.by, *case.review.approved_by]
        words += [one for deputy in case.review.deputies for one in (deputy.owner, deputy.deputy)]
    if case.later_review is not None:
        words.append(case.later_review.by)
    return words
