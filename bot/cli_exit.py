"""How a command ends: its exit codes, and the sentence that says why it cannot do its work."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from bot.core.masking import without_secrets

GOOD, FINDING, BAD_USE = 0, 1, 2
"""Good; a finding; bad use, or a set-up that does not work."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]


def fail(sentence: str) -> NoReturn:
    """Say why the command cannot do its work, and exit."""
    typer.echo(without_secrets(sentence).strip(), err=True)
    sys.exit(BAD_USE)
