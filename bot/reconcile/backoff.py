"""How long to wait before trying again: doubling, up to a limit, for ever.

Nobody's word makes it more than the limit: what takes access away waits by this too.
"""

from __future__ import annotations

from datetime import timedelta

_FIRST = timedelta(milliseconds=250)
_LIMIT = timedelta(seconds=60)
_DOUBLINGS = 10


def pause(attempts: int, asked: timedelta | None = None) -> timedelta:
    """The pause after `attempts` tries without success: 0.25 s, 0.5 s, … at most a minute.

    It is no shorter than the other side `asked` for, within that minute.
    """
    doublings = min(max(attempts - 1, 0), _DOUBLINGS)
    return min(_LIMIT, max(_FIRST * (1 << doublings), asked or timedelta()))


def worth_telling(tries: int) -> bool:
    """Whether to tell of the so manieth failure in a row: of the 1st, 2nd, 4th, 8th and so on."""
    return tries & (tries - 1) == 0
