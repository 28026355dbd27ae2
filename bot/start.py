"""The console command's entry: a policy command starts without what only the bot needs."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command. An editor or a pipeline that asks about a policy file waits for it."""
    if sys.argv[1:2] == ["policy"]:
        from bot.cli_policy import app as policy  # noqa: PLC0415 - the point of this module

        policy(sys.argv[2:], prog_name="eks-access policy")
    from bot.cli import main as command  # noqa: PLC0415 - the same

    command()
