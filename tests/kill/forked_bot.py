"""What a bot does that is forked from a process which has the command's modules already."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection


def run_bot(environment: Mapping[str, str], log: Connection) -> None:
    """Be `eks-access run` with this environment, and log into `log`."""
    os.environ.clear()
    os.environ.update(environment)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for place, descriptor in ((log.fileno(), 2), (nowhere, 1)):
        os.dup2(place, descriptor)
        os.close(place)
    sys.argv = ["eks-access", "run"]
    from bot.start import main  # noqa: PLC0415 - there by now; whoever starts it need not have it

    main()
