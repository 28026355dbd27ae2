"""`eks-access policy …`: what a policy file says, tried out before it is in force.

Nothing here asks Slack, AWS or the database, so that it works in an editor and in a pipeline.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import typer

from bot.cli_exit import FINDING, GOOD, Json
from bot.cli_explain import explain_request
from bot.cli_policy_input import Groups, loaded, members_in, text_of
from bot.console_diff import diff_json, diff_text
from bot.core.policy_diff import policy_diff
from bot.policy_file import check_policy

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The policy file: check it, ask it, compare it and test it before it is used.",
)
app.command("explain")(explain_request)


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
            counts = f"{len(loaded.clusters)} clusters, {len(loaded.rules)} rules"
            typer.echo(f"{file}: no errors ({counts}).")
    raise typer.Exit(GOOD if loaded is not None else FINDING)


@app.command("diff")
def diff(old: Path, new: Path, groups: Groups = None, as_json: Json = False) -> None:
    """Who gains or loses what between two policy files. Exits 1 if anybody gains anything."""
    changes = policy_diff(loaded(old), loaded(new), members_in(groups))
    if as_json:
        typer.echo(json.dumps(diff_json(changes), indent=2))
    else:
        typer.echo(diff_text(changes))
    raise typer.Exit(FINDING if any(change.is_gain for change in changes) else GOOD)
