"""The console command's entry: a policy command starts without what only the bot needs."""

from __future__ import annotations

import errno
import os
import sys

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main() -> None:
    """Run the command. An editor or a pipeline that asks about a policy file waits for it.

    Output that nobody could read is told and exits 2: a script must not take it for a finding.
    """
    try:
        try:
            _run()
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        # The interpreter flushes once more as it ends, and would say the same in its own words.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_told(error))


def _run() -> None:
    if sys.argv[1:2] == ["policy"]:
        from bot.cli_policy import app as policy  # noqa: PLC0415 - the point of this module

        policy(sys.argv[2:], prog_name="eks-access policy")
    from bot.cli import main as command  # noqa: PLC0415 - the same

    command()


def _told(error: OSError) -> int:
    sys.stderr.write(
        f"The output of this command could not be written: {error.strerror}. Make room where it "
        "goes, and run the command again.\n"
    )
    return 2
