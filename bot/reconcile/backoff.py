"""How long to wait before trying again: doubling, up to a limit, for ever."""

from __future__ import annotations

from datetime import timedelta

_FIRST = timedelta(milliseconds=250)
_LIMIT = timedelta(seconds=60)
_DOUBLINGS = 10


def pause(attempts: int) -> timedelta:
    """The pause after `attempts` tries without success: 0.25 s, 0.5 s, … at most a minute."""
    doublings = min(max(attempts - 1, 0), _DOUBLINGS)
    return min(_LIMIT, _FIRST * (1 << doublings))


def worth_telling(tries: int) -> bool:
    """Whether to tell of the so manieth failure in a row: of the 1st, 2nd, 4th, 8th and so on."""
    return tries & (tries - 1) == 0
