"""`eks-access policy …`: what a policy file says, tried out before it is in force.

Nothing here asks Slack, AWS or the database, so that it works in an editor and in a pipeline.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bot.case_file import read_cases, run_cases
from bot.cli_exit import FINDING, GOOD, Json, fail
from bot.cli_explain import explain_request
from bot.cli_policy_input import Groups, loaded, members_in, text_of
from bot.console_diff import diff_json, diff_text
from bot.core.policy_diff import policy_diff
from bot.policy_file import check_policy, size_of
from bot.policy_schema import policy_schema

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The policy file: check it, ask it, compare it and test it before it is used.",
)


@app.command("check")
def check(file: Path, as_json: Json = False) -> None:
    """Everything that is wrong with a policy file, with line and remedy. Exits 1 on an error."""
    loaded, findings = check_policy(text_of(file), str(file))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            typer.echo(str(finding))
        if loaded is not None:
            typer.echo(f"{file}: no errors ({size_of(loaded)}).")
    raise typer.Exit(GOOD if loaded is not None else FINDING)


app.command("explain")(explain_request)


@app.command("diff")
def diff(old: Path, new: Path, groups: Groups = None, as_json: Json = False) -> None:
    """Who gains or loses what between two policy files. Exits 1 if anybody gains anything."""
    changes = policy_diff(loaded(old), loaded(new), members_in(groups))
    if as_json:
        typer.echo(json.dumps(diff_json(changes), indent=2))
    else:
        typer.echo(diff_text(changes))
    raise typer.Exit(FINDING if any(change.is_gain for change in changes) else GOOD)


@app.command("schema")
def schema() -> None:
    """The JSON Schema of the policy file, for editors."""
    typer.echo(json.dumps(policy_schema(), indent=2))


@app.command("test")
def run_tests(
    file: Path,
    policy: Annotated[
        Path | None, typer.Option(help="The policy file, if not the one that the cases name.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the cases of a file against a policy. Exits 1 if one does not come out as expected."""
    read, findings = read_cases(text_of(file), str(file))
    if read is None:
        fail("\n".join(map(str, sorted(findings, key=lambda finding: finding.line))))
    if policy is None and read.file.policy is None:
        fail(f"{file} names no policy. Add `policy: eks-access.yaml`, or pass `--policy FILE`.")
    path = policy if policy is not None else file.parent / str(read.file.policy)
    results = run_cases(loaded(path), read, datetime.now(UTC))
    failed = [one for one in results if one.problems]
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in results], indent=2))
        raise typer.Exit(FINDING if failed else GOOD)
    for one in results:
        if not one.problems:
            typer.echo(f"ok    {one.name}")
            continue
        typer.echo(f"FAIL  {one.file}:{one.line}: {one.name}")
        for problem in one.problems:
            typer.echo(f"        {problem}")
    typer.echo(f"{len(results)} cases, {len(failed)} failed.")
    raise typer.Exit(FINDING if failed else GOOD)
